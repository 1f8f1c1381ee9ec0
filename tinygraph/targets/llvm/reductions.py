"""Reductions within the printer of kernels: accumulators, their lanes, and sums of many numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from tinygraph.program.instructions import Nest
from tinygraph.program.reduction import identity
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.looptree import Loop
from tinygraph.targets.llvm.scalars import I32, I64, constant, splat

#: terms that one accumulator adds up before its sum goes to a compensated total
TERMS = 128


class Reductions:
    """What a kernel's printer does for nests with a combiner."""

    b: Any
    top: Any
    lanes: int
    mask: ir.Value | None
    vector_depth: int | None
    axes: dict[int, ir.Value]
    values: dict[int, ir.Value]
    accumulators: dict[Nest, tuple[ir.Value, ...]]
    totals: dict[Nest, tuple[ir.Value, ir.Value]]
    _in_parts: set[Nest]
    size: Any
    _read: Any
    _write: Any

    @staticmethod
    def _width(v: ir.Value) -> int:
        return v.type.count if isinstance(v.type, ir.VectorType) else 0

    def _reduction_width(self, nest: Nest, node: Loop) -> int:
        """Lanes of the accumulator: it is a vector in a vector loop around it, or if its own loops hold one."""
        return self.lanes if self.vector_depth is not None or _has_vector(node, nest) else 0

    def _start_reduction(self, nest: Nest, node: Loop) -> None:
        width = self._reduction_width(nest, node)
        dtype = nest.expr.dtype
        assert nest.combine is not None
        if nest.combine.startswith("arg"):
            worst = identity("maximum" if nest.combine == "argmax" else "minimum", dtype)
            # where every lane has a result of its own, position 0 stands until something better comes
            first = -1 if width and self.vector_depth is None else 0
            starts = [constant(worst, dtype, width), constant(first, self._position_dtype(nest), width)]
        else:
            starts = [constant(identity(nest.combine, dtype), dtype, width)]
        cells = []
        for s in starts:
            cell = self.top.alloca(s.type)
            self.b.store(s, cell)
            cells.append(cell)
        self.accumulators[nest] = tuple(cells)
        if width and self.vector_depth is None:
            self._in_parts.add(nest)
        if nest.combine == "add" and dtype in ("float32", "float64") and reduced(nest) > TERMS:
            self.totals[nest] = (self.top.alloca(starts[0].type), self.top.alloca(starts[0].type))
            for cell in self.totals[nest]:
                self.b.store(constant(0, dtype, width), cell)

    def _empty(self, nest: Nest) -> None:
        """Move an accumulator's sum to the total, keeping what rounding loses (Knuth's two-sum)."""
        b, (total, lost), cell = self.b, self.totals[nest], self.accumulators[nest][0]
        t = cell.allocated_type
        old, more = b.load(total, typ=t), b.load(cell, typ=t)
        new = b.fadd(old, more)
        part = b.fsub(new, old)
        error = b.fadd(b.fsub(old, b.fsub(new, part)), b.fsub(more, part))
        b.store(new, total)
        b.store(b.fadd(b.load(lost, typ=t), error), lost)
        b.store(constant(0, nest.expr.dtype, self._width(new)), cell)

    def _total(self, nest: Nest) -> ir.Value:
        b, (total, lost) = self.b, self.totals.pop(nest)
        t = total.allocated_type
        sum_, error = b.load(total, typ=t), b.load(lost, typ=t)
        known = b.fcmp_ordered("ord", error, error)  # of infinite sums it is not
        return b.fadd(sum_, b.select(known, error, constant(0, nest.expr.dtype, self._width(sum_))))

    @staticmethod
    def _position_dtype(nest: Nest) -> str:
        """Positions of argmax and argmin are kept as short integers where they fit."""
        return "int32" if reduced(nest) < 1 << 31 else "int64"

    def _accumulate(self, nest: Nest, value: ir.Value) -> None:
        b, dtype = self.b, nest.expr.dtype
        cells = self.accumulators[nest]
        old = b.load(cells[0], typ=cells[0].allocated_type)
        width = self._width(old)
        value = splat(b, value, width)
        assert nest.combine is not None
        if nest.combine.startswith("arg"):
            self._accumulate_position(nest, value, old, width)
            return
        new = self._fused(nest, old, width)
        if new is None:
            new = scalars.combine(b, nest.combine, old, value, dtype, width)
        if self.mask is not None:
            new = b.select(self.mask, new, old)
        b.store(new, cells[0])

    def _fused(self, nest: Nest, old: ir.Value, width: int) -> ir.Value | None:
        """A sum of products as one fused operation for each term."""
        e = nest.expr
        if nest.combine != "add" or e.op != "mul" or e.dtype not in ("float32", "float64"):
            return None
        x, y = (splat(self.b, self.values[id(a)], width) for a in e.args)
        return scalars.intrinsic(self.b, "fma", [x, y, old])

    def _accumulate_position(self, nest: Nest, value: ir.Value, old: ir.Value, width: int) -> None:
        """Keep the better value and its position; of equal values the earlier one, of nans the first."""
        b, cells, dtype = self.b, self.accumulators[nest], nest.expr.dtype
        where = b.load(cells[1], typ=cells[1].allocated_type)
        position = scalars.convert(b, self._position(nest, width), "int64", self._position_dtype(nest), width)
        better = beats(b, nest.combine, value, old, dtype)  # type: ignore[arg-type]
        if width and nest in self._in_parts:
            better = b.or_(better, b.icmp_signed("<", where, constant(0, self._position_dtype(nest), width)))
        if self.mask is not None:
            better = b.and_(better, self.mask)
        b.store(b.select(better, value, old), cells[0])
        b.store(b.select(better, position, where), cells[1])

    def _position(self, nest: Nest, width: int) -> ir.Value:
        """Row-major number of the point within the reduction axes."""
        b = self.b
        total: ir.Value | None = None
        for k, kind in enumerate(nest.kinds):
            if kind != "r":
                continue
            i = self._counter(k, width)
            if total is None:
                total = i
            else:
                n = splat(b, self.size(nest.extents[k], (nest, k)), width)
                total = b.add(b.mul(total, n), i)
        assert total is not None
        return total

    def _counter(self, depth: int, width: int) -> ir.Value:
        """The loop counter of an axis, one number for each lane."""
        i = splat(self.b, self.axes[depth], width)
        if depth == self.vector_depth and width:
            steps = ir.Constant(ir.VectorType(I64, width), list(range(width)))
            i = self.b.add(i, steps)
        return i

    def _finish_reduction(self, nest: Nest, node: Loop) -> None:
        b, dtype = self.b, nest.expr.dtype
        if nest in self.totals:
            values = [self._total(nest)]
            self.accumulators.pop(nest)
        else:
            values = [b.load(c, typ=c.allocated_type) for c in self.accumulators.pop(nest)]
        assert nest.combine is not None
        if self._width(values[0]) and self.vector_depth is None:  # lanes are parts of one result
            values = self._horizontal(nest, values)
        result = values[-1] if nest.combine.startswith("arg") else values[0]
        source = self._position_dtype(nest) if nest.combine.startswith("arg") else dtype
        a = nest.out
        result = scalars.convert(b, result, source, a.buffer.dtype, self._width(result))
        if nest.accumulate:
            old = self._read(a, a.buffer.dtype)
            width = max(self._width(old), self._width(result))
            old, result = splat(b, old, width), splat(b, result, width)
            result = scalars.combine(b, nest.combine, old, result, a.buffer.dtype, width)
        self._write(a, result)

    def _horizontal(self, nest: Nest, values: Sequence[ir.Value]) -> list[ir.Value]:
        b, dtype = self.b, nest.expr.dtype
        if nest.combine.startswith("arg"):  # type: ignore[union-attr]
            return self._best_lane(nest, values)
        v = values[0]
        width = self._width(v)
        while width > 1:
            width //= 2
            low = b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, width), list(range(width))))
            high = b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, width), list(range(width, 2 * width))))
            v = scalars.combine(b, nest.combine, low, high, dtype, width)  # type: ignore[arg-type]
        return [b.extract_element(v, ir.Constant(I32, 0))]

    def _best_lane(self, nest: Nest, values: Sequence[ir.Value]) -> list[ir.Value]:
        b, dtype = self.b, nest.expr.dtype
        best: list[ir.Value] = []
        for lane in range(self.lanes):
            v, p = (b.extract_element(x, ir.Constant(I32, lane)) for x in values)
            if not best:
                best = [v, p]
                continue
            used = b.icmp_signed(">=", p, ir.Constant(p.type, 0))
            wins = beats(b, nest.combine, v, best[0], dtype)  # type: ignore[arg-type]
            loses = beats(b, nest.combine, best[0], v, dtype)  # type: ignore[arg-type]
            earlier = b.and_(b.not_(loses), b.icmp_signed("<", p, best[1]))
            take = b.and_(used, b.or_(wins, earlier))
            best = [b.select(take, v, best[0]), b.select(take, p, best[1])]
        return best


def beats(b: ir.IRBuilder, kind: str, x: ir.Value, y: ir.Value, dtype: str) -> ir.Value:
    """Whether ``x`` beats ``y`` for argmax or argmin; a nan beats all but a nan."""
    sign = ">" if kind == "argmax" else "<"
    if dtype[0] == "f":
        return b.and_(b.fcmp_unordered(sign, x, y), b.fcmp_ordered("ord", y, y))
    if dtype == "bool":
        return b.and_(x, b.not_(y)) if kind == "argmax" else b.and_(b.not_(x), y)
    return (b.icmp_signed if scalars.is_signed(dtype) else b.icmp_unsigned)(sign, x, y)


def _has_vector(node: Loop, nest: Nest) -> bool:
    """Whether a loop that belongs to ``nest``, from ``node`` inwards, is the vector axis."""
    if node.vector:
        return True
    return any(_has_vector(c, nest) for c in node.children if isinstance(c, Loop) and nest in c.nests)


def reduced(nest: Nest, depth: int = 0) -> int:
    """Points of a nest's reduction axes from ``depth`` on."""
    n = 1
    for e, kind in zip(nest.extents[depth:], nest.kinds[depth:], strict=True):
        n *= e if kind == "r" else 1
    return n


def emptied_at(nest: Nest) -> int:
    """The loop after some rounds of which a long sum's accumulator is emptied: the innermost with terms enough."""
    axes = [k for k, kind in enumerate(nest.kinds) if kind == "r"]
    return next((k for k in reversed(axes) if reduced(nest, k) > TERMS), axes[0])
