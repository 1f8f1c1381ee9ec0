"""What follows a convolution's sums while they are in registers: pool, place of its maximum, bias, activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.checks import Builder
from tinygraph.targets.llvm.convolution_tiling import Tiling
from tinygraph.targets.llvm.reductions import beats
from tinygraph.targets.llvm.scalars import I8, I32, I64, constant, splat
from tinygraph.targets.llvm.windows import Convolution


class Results:
    """What the printer of a convolution does with the nests behind it."""

    p: Any
    c: Convolution
    b: Builder
    t: Tiling
    n: ir.Value
    y: ir.Value
    results: int
    lanes: int
    itemsize: int
    memory: Any
    type: Any

    def _finish(self, f: ir.Value, lane: ir.Value, values: list[ir.Value]) -> None:
        """The nests after the convolution for one filter and the positions from ``lane`` of these rows on."""
        c, b = self.c, self.b
        here: dict[Any, list[ir.Value]] = {c.nest.out.buffer: values}
        self.extrema: dict[Any, tuple[ir.Value, ir.Value]] = {}
        place = b.add(b.mul(self.y, ir.Constant(I64, c.width)), lane)
        mask = self._mask(lane)
        if c.nest.out.buffer not in c.unstored:
            self._store(c.nest.out, c.filters.out, values[0], f, place, mask)
        for t in c.tails:
            n = t.nest
            if t.window:
                value = self._reduced(n, [self._value(n.expr, here, d, f, place, mask) for d in range(self.results)])
                results = [value]
            else:
                count = max([len(here[a.buffer]) for a in n.accesses() if a.buffer in here], default=1)
                results = [self._value(n.expr, here, d, f, place, mask) for d in range(count)]
                source = n.expr.dtype
                results = [scalars.convert(b, r, source, n.out.buffer.dtype, self.lanes) for r in results]
            here[n.out.buffer] = results
            if n.out.buffer not in c.unstored:
                self._store(n.out, n.out.strides[1], results[0], f, place, mask)

    def _mask(self, lane: ir.Value) -> ir.Value | None:
        used = self.t.rows * self.c.width
        if used % self.lanes == 0:
            return None
        steps = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
        left = splat(self.b, self.b.trunc(self.b.sub(ir.Constant(I64, used), lane), I32), self.lanes)
        return self.b.icmp_signed("<", steps, left)

    def _reduced(self, n: Nest, values: list[ir.Value]) -> ir.Value:
        """A window's results as one; of equal ones, and of nans, the first counts."""
        dtype, how = n.expr.dtype, n.combine
        assert how is not None
        if how == "add":
            total = values[0]
            for v in values[1:]:
                total = scalars.combine(self.b, how, total, v, dtype, self.lanes)
            return scalars.convert(self.b, total, dtype, n.out.buffer.dtype, self.lanes)
        best, where = self._extremum("argmax" if how.endswith("max") or how == "maximum" else "argmin", values, dtype)
        found, source = (where, "int32") if how.startswith("arg") else (best, dtype)
        return scalars.convert(self.b, found, source, n.out.buffer.dtype, self.lanes)

    def _extremum(self, kind: str, values: list[ir.Value], dtype: str) -> tuple[ir.Value, ir.Value]:
        """The best of some values and its place among them, for a pool and for its gradient's sake at once."""
        key = (kind, *map(id, values))
        if key not in self.extrema:
            best, where = values[0], constant(0, "int32", self.lanes)
            for d, v in enumerate(values[1:], 1):
                wins = beats(self.b, kind, v, best, dtype)
                best = self.b.select(wins, v, best)
                where = self.b.select(wins, constant(d, "int32", self.lanes), where)
            self.extrema[key] = best, where
        return self.extrema[key]

    def _value(self, e: Expr, here: Any, d: int, f: ir.Value, place: ir.Value, mask: ir.Value | None) -> ir.Value:
        """A tail's expression for the result ``d`` of each window."""
        p = self.p
        saved, p.values = p.values, {}
        for x in postorder(e):
            if x.op != "load":
                p.values[id(x)] = p._value(x)
            elif x.attr.buffer in here:
                found = here[x.attr.buffer]
                p.values[id(x)] = found[d] if len(found) > 1 else found[0]
            else:
                p.values[id(x)] = self._read(x.attr, f, place, mask)
        out = splat(self.b, p.values[id(e)], self.lanes)
        p.values = saved
        return out

    def _read(self, a: Access, f: ir.Value, place: ir.Value, mask: ir.Value | None) -> ir.Value:
        b = self.b
        offset = b.add(self._offset(a), self._times(f, a.strides[1]))
        moves = any(a.strides[2:])
        if moves:
            offset = b.add(offset, place)
        at = b.gep(self.p.pointer(a.buffer), [offset], source_etype=self.memory)
        if not moves:
            return b.load(at, align=self.itemsize, typ=self.memory)
        if mask is None:
            return b.load(at, align=self.itemsize, typ=self.type)
        return self._masked(lambda: self.p._masked_load(at, self.type, self.c.nest.dtype), mask)

    def _store(
        self, a: Access, step: int, value: ir.Value, f: ir.Value, place: ir.Value, mask: ir.Value | None
    ) -> None:
        b, dtype = self.b, a.buffer.dtype
        if dtype == "bool":
            value = b.zext(value, ir.VectorType(I8, self.lanes))
        offset = b.add(b.add(self._offset(a), self._times(f, step)), place)
        at = b.gep(self.p.pointer(a.buffer), [offset], source_etype=scalars.memory_type(dtype))
        if mask is None:
            b.store(value, at, align=a.buffer.itemsize)
        else:
            self._masked(lambda: self.p._masked_store(at, value, dtype), mask)

    def _masked(self, what: Callable[[], Any], mask: ir.Value) -> Any:
        self.p.mask = mask
        out = what()
        self.p.mask = None
        return out

    def _offset(self, a: Access) -> ir.Value:
        """Where the sample's part of an access begins."""
        if a is self.c.nest.out and not self.p._is_private(a.buffer):
            return self.b.add(self.p._start(a), self._times(self.n, self.c.samples.out))
        if self.p._is_private(a.buffer) or not a.strides[0]:
            return self.p._start(a)
        return self.b.add(self.p._start(a), self.b.mul(self.n, self.p.stride(a, 0)))

    def _times(self, i: ir.Value, factor: int) -> ir.Value:
        return ir.Constant(I64, 0) if not factor else self.b.mul(i, ir.Constant(I64, factor))
