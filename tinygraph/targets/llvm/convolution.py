"""Printing a convolution with what finishes it: the image packed into vectors of positions, tiles in registers.

For some rows of results of one sample, the image's elements are copied into scratch memory so that each offset within
a filter's reach has the positions' elements side by side, whatever the strides. A tile of filters times vectors of
positions, all results of a pool's window among them, is then summed in registers. The tile's results go through the
nests that follow (pool, position of its maximum, bias, activation) as full vectors, and only what is wanted of them
reaches memory. The number of samples is not part of the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.reductions import beats
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, constant, splat
from tinygraph.targets.llvm.windows import Convolution

#: bytes of packed image that one thread keeps at once, where rows of results can be few enough
_PACKED_BYTES = 160 << 10
#: cycles until a sum can be added to again, and what follows a tile's sums has begun
_LATENCY = 6.0
#: rows of a pack that are written out rather than looped over
_UNROLLED = 4


@dataclass(frozen=True)
class Tiling:
    """``rows`` of positions make ``vectors`` vectors; a tile is ``filters`` by ``wide`` of them."""

    rows: int
    vectors: int
    filters: int
    wide: int


def tiling(c: Convolution, lanes: int, registers: int) -> Tiling:
    """The tile with the least time for each result, by counting multiplications, loads and wasted lanes."""
    itemsize = 4 if c.nest.dtype == "float32" else 8
    a, b = c.grid
    results = c.window[0] * c.window[1]
    best: tuple[float, Tiling] | None = None
    for rows in range(1, c.height + 1):
        vectors = -(-rows * c.width // lanes)
        packed = c.channels.extent * a * b * vectors * lanes * itemsize
        if rows > 1 and packed > _PACKED_BYTES:
            break
        lost = -(-c.height // rows) * vectors * lanes / (c.height * c.width)
        for wide in range(1, min(vectors, 4) + 1):
            most = (registers - 2 - results * wide) // (results * wide)
            for filters in range(1, min(most, c.filters.extent) + 1):
                waste = lost * -(-vectors // wide) * wide / vectors
                waste *= -(-c.filters.extent // filters) * filters / c.filters.extent
                sums = results * wide * filters
                loads = results * wide + filters
                cost = waste * max(sums / 2, (sums + loads) / 3.5, _LATENCY) / sums + 0.002 * (rows < c.height)
                if best is None or cost < best[0]:
                    best = cost, Tiling(rows, vectors, filters, wide)
    assert best is not None
    return best[1]


class ConvolutionPrinter:
    """Prints one sample's part. ``printer`` is the printer of the group that the convolution begins."""

    def __init__(self, printer: Any, c: Convolution, bits: int):
        self.p, self.c = printer, c
        self.b: ir.IRBuilder = printer.b
        self.memory = scalars.memory_type(c.nest.dtype)
        self.itemsize = 4 if c.nest.dtype == "float32" else 8
        self.lanes = bits // (8 * self.itemsize)
        self.type = ir.VectorType(self.memory, self.lanes)
        self.t = tiling(c, self.lanes, 32 if bits == 512 else 16)
        self.results = c.window[0] * c.window[1]
        self.base: dict[Access, ir.Value] = {}

    def begin(self) -> None:
        """What comes before the samples."""

    def sample(self, n: ir.Value) -> None:
        """Everything for sample ``n``."""
        c, t = self.c, self.t
        self.n = n
        self.base = {}
        self._reserve()
        self._in_steps(c.height, t.rows, self._rows)

    def _reserve(self) -> None:
        a, b = self.c.grid
        self.stretch = self.t.vectors * self.lanes  # elements of one offset of one channel
        self.packed = self._scratch(self.c.channels.extent * a * b * self.stretch + self.lanes)
        self.sums = self._scratch(self.t.filters * self.t.wide * self.results * self.lanes)

    def _rows(self, y: ir.Value) -> None:
        """The rows of positions from ``y`` on."""
        t = self.t
        self.y = y
        self._pack()
        self._in_steps(t.vectors, t.wide, lambda v: self._in_steps(
            self.c.filters.extent, t.filters, lambda f: self._tile(f, v)))  # fmt: skip

    def _tile(self, f: ir.Value, v: ir.Value) -> None:
        self._multiply(f, v)
        lane = self.b.mul(v, ir.Constant(I64, self.lanes))

        def finish(i: ir.Value) -> None:
            for w in range(self.t.wide):
                values = self._values(i, w)
                at = self.b.add(lane, ir.Constant(I64, w * self.lanes))
                self._finish(self.b.add(f, i), at, values)

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, self.t.filters), 1, finish)

    def _in_steps(self, count: int, step: int, body: Callable[[ir.Value], None]) -> None:
        """``body`` at each multiple of ``step``; the last ones overlap those before, which gives the same results."""
        if count == step:
            body(ir.Constant(I64, 0))
            return
        last = ir.Constant(I64, count - step)

        def inside(i: ir.Value) -> None:
            body(i if count % step == 0 else self.b.select(self.b.icmp_signed("<", i, last), i, last))

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, count), step, inside)

    # -- packing --------------------------------------------------------------------------------------------------

    def _pack(self) -> None:
        c, b = self.c, self.b
        start = self._offset(c.image)
        start = b.add(start, self._times(self.y, c.rows.image * c.window[0]))
        down, _ = c.grid
        zero = ir.Constant(I64, 0)

        def channel(i: ir.Value) -> None:
            here = b.add(start, self._times(i, c.channels.image))
            to = b.mul(i, ir.Constant(I64, down))

            def row(a: ir.Value) -> None:
                self._pack_row(b.add(here, self._times(a, c.units[0])), b.add(to, a))

            self.p._loop(zero, ir.Constant(I64, down), 1, row)

        self.p._loop(zero, ir.Constant(I64, c.channels.extent), 1, channel)

    def _pack_row(self, source: ir.Value, row: ir.Value) -> None:
        """The offsets of one row of the grid. Vectors end in the place of what is written after them."""
        c, b, t = self.c, self.b, self.t
        _, across = c.grid
        step, pitch = c.columns.image * c.window[1], c.rows.image * c.window[0]
        for k in range(across):
            at = b.add(source, ir.Constant(I64, k * c.units[1]))
            to = b.mul(b.add(b.mul(row, ir.Constant(I64, across)), ir.Constant(I64, k)), ir.Constant(I64, self.stretch))
            if (t.rows * c.width) % self.lanes:
                end = b.add(to, ir.Constant(I64, self.stretch - self.lanes))
                self._put(constant(0, c.nest.dtype, self.lanes), end)

            def line(i: ir.Value, at: ir.Value = at, to: ir.Value = to) -> None:
                for q in range(0, c.width, self.lanes):
                    n = min(self.lanes, c.width - q)
                    x = self._strided(b.add(b.add(at, self._times(i, pitch)), ir.Constant(I64, q * step)), step, n)
                    self._put(x, b.add(b.add(to, self._times(i, c.width)), ir.Constant(I64, q)))

            if t.rows <= _UNROLLED:
                for i in range(t.rows):
                    line(ir.Constant(I64, i))
            else:
                self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, t.rows), 1, line)

    def _put(self, value: ir.Value, to: ir.Value) -> None:
        self.b.store(value, self.b.gep(self.packed, [to], source_etype=self.memory), align=self.itemsize)

    def _strided(self, offset: ir.Value, step: int, n: int) -> ir.Value:
        """``n`` elements of the image, ``step`` apart, in a vector's first lanes."""
        b, lanes = self.b, self.lanes
        pointer = self.p.pointer(self.c.image.buffer)

        def at(k: int) -> ir.Value:
            return b.gep(pointer, [b.add(offset, ir.Constant(I64, k))], source_etype=self.memory)

        def some(first: int, used: list[int]) -> ir.Value:
            if len(used) == lanes:
                return b.load(at(first), align=self.itemsize, typ=self.type)
            mask = _lanes(lanes, used)
            return self._masked(lambda: self.p._masked_load(at(first), self.type, self.c.nest.dtype), mask)

        if step == 1:
            return some(0, list(range(n)))
        if step == 2:
            low = some(0, [2 * i for i in range(n) if 2 * i < lanes])
            even = ir.Constant(ir.VectorType(I32, lanes), list(range(0, 2 * lanes, 2)))
            high = some(lanes, [2 * i - lanes for i in range(n) if 2 * i >= lanes]) if 2 * n > lanes else low
            return b.shuffle_vector(low, high, even)
        out: ir.Value = constant(0, self.c.nest.dtype, lanes)
        for i in range(n):
            one = b.load(at(i * step), align=self.itemsize, typ=self.memory)
            out = b.insert_element(out, one, ir.Constant(I32, i))
        return out

    # -- products -------------------------------------------------------------------------------------------------

    def _multiply(self, f: ir.Value, v: ir.Value) -> None:
        """Sums of a tile's products, into ``sums``: for each filter and vector the results of a window."""
        c, b, t = self.c, self.b, self.t
        dtype, lanes = c.nest.dtype, self.lanes
        window = [(i, j) for i in range(c.window[0]) for j in range(c.window[1])]
        cells = {}
        for key in [(i, w, d) for i in range(t.filters) for w in range(t.wide) for d in window]:
            cells[key] = self.p.top.alloca(self.type)
            b.store(constant(0, dtype, lanes), cells[key])
        weights = b.add(self._offset(c.weights), self._times(f, c.filters.weights))
        vectors = b.mul(v, ir.Constant(I64, lanes))
        down, across = c.grid
        by_row, by_tap = c.rows.image // c.units[0], c.down.image // c.units[0]
        by_column, by_side = c.columns.image // c.units[1], c.across.image // c.units[1]

        def line(i: ir.Value, r: ir.Value) -> None:
            place = b.add(b.mul(i, ir.Constant(I64, down)), self._times(r, by_tap))
            place = b.add(b.mul(place, ir.Constant(I64, across * self.stretch)), vectors)
            number = b.add(b.add(weights, self._times(i, c.channels.weights)), self._times(r, c.down.weights))
            sums = {key: b.load(cell, typ=self.type) for key, cell in cells.items()}
            for s in range(c.across.extent):
                held = {}
                for w in range(t.wide):
                    for d in window:
                        k = (d[0] * by_row * across + d[1] * by_column + s * by_side) * self.stretch + w * lanes
                        at = b.gep(self.packed, [b.add(place, ir.Constant(I64, k))], source_etype=self.memory)
                        held[w, d] = b.load(at, align=self.itemsize, typ=self.type)
                for m in range(t.filters):
                    k = m * c.filters.weights + s * c.across.weights
                    at = b.gep(self.p.pointer(c.weights.buffer), [b.add(number, ir.Constant(I64, k))],
                               source_etype=self.memory)  # fmt: skip
                    factor = splat(b, b.load(at, align=self.itemsize, typ=self.memory), lanes)
                    for (w, d), x in held.items():
                        sums[m, w, d] = scalars.intrinsic(b, "fma", [x, factor, sums[m, w, d]])
            for key, cell in cells.items():
                b.store(sums[key], cell)

        self._loops([c.channels.extent, c.down.extent], line)
        for k, cell in enumerate(cells.values()):
            at = b.gep(self.sums, [ir.Constant(I64, k * lanes)], source_etype=self.memory)
            b.store(b.load(cell, typ=self.type), at, align=self.itemsize)

    def _loops(self, counts: list[int], body: Callable[..., None], *at: ir.Value) -> None:
        """Nested loops; one of a single turn is left out."""
        if not counts:
            body(*at)
        elif counts[0] == 1:
            self._loops(counts[1:], body, *at, ir.Constant(I64, 0))
        else:
            self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, counts[0]), 1,
                         lambda i: self._loops(counts[1:], body, *at, i))  # fmt: skip

    def _values(self, i: ir.Value, w: int) -> list[ir.Value]:
        """The results of a window for the tile's filter ``i`` and vector ``w``."""
        b, size = self.b, self.results * self.lanes
        first = b.add(b.mul(i, ir.Constant(I64, self.t.wide * size)), ir.Constant(I64, w * size))
        return [b.load(b.gep(self.sums, [b.add(first, ir.Constant(I64, d * self.lanes))], source_etype=self.memory),
                       align=self.itemsize, typ=self.type) for d in range(self.results)]  # fmt: skip

    # -- what follows ---------------------------------------------------------------------------------------------

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

    # -- small things ---------------------------------------------------------------------------------------------

    def _masked(self, what: Callable[[], Any], mask: ir.Value) -> Any:
        self.p.mask = mask
        out = what()
        self.p.mask = None
        return out

    def _offset(self, a: Access) -> ir.Value:
        """Where the sample's part of an access begins."""
        if self.p._is_private(a.buffer) or not a.strides[0]:
            return self.p._start(a)
        return self.b.add(self.p._start(a), self.b.mul(self.n, self.p.stride(a, 0)))

    def _times(self, i: ir.Value, factor: int) -> ir.Value:
        return ir.Constant(I64, 0) if not factor else self.b.mul(i, ir.Constant(I64, factor))

    def _scratch(self, elements: int) -> ir.Value:
        """A place in the thread's scratch memory."""
        p = self.p
        start = p.scratch
        p.scratch += -(-elements * self.itemsize // 64) * 64
        mine = p.top.gep(p._context_pointer(3), [p.top.mul(p.thread, p._context_number(4))], source_etype=I8)
        place = p.top.gep(mine, [ir.Constant(I64, start)], source_etype=I8)
        self.b.guard_scratch(place, elements * self.itemsize, p.top)
        return place


def _lanes(count: int, used: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(I1, count), [int(i in used) for i in range(count)])
