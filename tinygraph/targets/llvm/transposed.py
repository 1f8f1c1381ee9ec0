"""Copies that turn rows into columns: squares of numbers are read as vectors, turned in registers, written as vectors.

A nest that copies along one axis where memory is contiguous in the source, and along another in the result, would
gather every element by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.collapse import merged
from tinygraph.targets.llvm.scalars import I32, I64

#: the shortest axes for which this pays
_LEAST = 4


class Turn(NamedTuple):
    """``nest``: the copy with neighbouring axes merged. ``rows``: the axis that is contiguous in the result."""

    nest: Nest
    rows: int
    columns: int
    lanes: int


def turn(nest: Nest, depth: int, bits: int) -> Turn | None:
    """How the nest, from the loop at ``depth`` on, turns rows into columns; None if it is not such a copy."""
    e, out = nest.expr, nest.out
    if e.op != "load" or nest.combine is not None or e.attr.dynamic is not None:
        return None
    if out.dynamic is not None or e.attr.buffer is out.buffer or e.dtype != out.buffer.dtype:
        return None
    if out.buffer.itemsize not in (4, 8) or "r" in nest.kinds:
        return None
    n = merged(nest, max(depth, 1))  # the first axis may be shared out over threads
    source, out = n.expr.attr, n.out
    inner = [k for k in range(depth, len(n.extents)) if n.extents[k] > 1]
    rows = next((k for k in inner if out.strides[k] == 1 and source.strides[k] > 1), None)
    columns = next((k for k in inner if source.strides[k] == 1 and out.strides[k] > 1), None)
    if rows is None or columns is None or n.extents[columns] < _LEAST or _repeats(n):
        return None
    if n.extents[rows] < _LEAST and n.extents[rows] != out.strides[columns]:
        return None  # what is written lies in short pieces
    lanes = bits // (8 * out.buffer.itemsize)
    while lanes > n.extents[columns]:
        lanes //= 2
    return Turn(n, rows, columns, lanes)


def _repeats(n: Nest) -> bool:
    """Whether several points may be written to one place, the last of which counts."""
    reach = 0
    for s, e in sorted(zip((abs(s) for s in n.out.strides), n.extents, strict=True)):
        if e > 1 and s <= reach:
            return True
        reach += s * (e - 1)
    return False


class Transposition:
    """Prints one such nest from the loop at ``depth`` on. ``printer`` is the printer of the group it belongs to."""

    def __init__(self, printer: Any, original: Nest, depth: int, t: Turn):
        self.p, self.t, self.depth = printer, t, depth
        self.b: ir.IRBuilder = printer.b
        self.source, self.out = t.nest.expr.attr, t.nest.out
        self.starts = {
            self.source: printer._offset(original.expr.attr), self.out: printer._offset(original.out)
        }  # fmt: skip
        self.memory = scalars.memory_type(self.out.buffer.dtype)

    def print(self, first: ir.Value | None = None, last: ir.Value | None = None) -> None:
        """The whole; ``first`` and ``last`` bound the loop at ``depth``."""
        t = self.t
        self.span = {self.depth: (first, last)} if first is not None else {}
        others = [k for k in range(self.depth, len(t.nest.extents)) if k not in (t.rows, t.columns)]
        self._others(others, self.starts)

    def _others(self, axes: Sequence[int], at: dict[Access, ir.Value]) -> None:
        if not axes:
            self._blocks(at)
            return
        k = axes[0]
        self.p._loop(*self._range(k), 1, lambda i: self._others(axes[1:], self._moved(at, k, i)))

    def _range(self, k: int) -> tuple[ir.Value, ir.Value]:
        size = self.p.size(self.t.nest.extents[k], (self.t.nest, k))
        first, last = self.span.get(k, (None, None))
        return (ir.Constant(I64, 0), size) if first is None else (first, last)

    def _moved(self, at: dict[Access, ir.Value], k: int, i: ir.Value) -> dict[Access, ir.Value]:
        out = {}
        for a, offset in at.items():
            step = self.p.stride(a, k)
            out[a] = offset if step is None else self.b.add(offset, self.b.mul(i, step))
        return out

    def _blocks(self, at: dict[Access, ir.Value]) -> None:
        """Blocks of many rows, of few, and single rows."""
        b, t = self.b, self.t
        first, last = self._range(t.rows)
        few = t.nest.extents[t.rows] < _LEAST
        for count in (2, 1) if few else dict.fromkeys((t.lanes, _LEAST, 1)):
            span = b.sub(last, first)
            whole = b.add(first, b.and_(span, ir.Constant(I64, -count)))
            self.p._loop(first, whole, count, lambda i, n=count: self._band(self._moved(at, t.rows, i), n))
            first = whole

    def _band(self, at: dict[Access, ir.Value], count: int) -> None:
        """``count`` rows; the last block of columns overlaps the one before."""
        b, t = self.b, self.t
        first, last = self._range(t.columns)
        most = b.sub(last, ir.Constant(I64, t.lanes))
        most = b.select(b.icmp_signed("<", most, ir.Constant(I64, 0)), ir.Constant(I64, 0), most)

        def block(i: ir.Value) -> None:
            i = b.select(b.icmp_signed("<", i, most), i, most)
            self._block(self._moved(at, t.columns, i), count)

        self.p._loop(first, last, t.lanes, block)

    def _block(self, at: dict[Access, ir.Value], count: int) -> None:
        b, t = self.b, self.t
        across, down = self.p.stride(self.source, t.rows), self.p.stride(self.out, t.columns)
        kind = ir.VectorType(self.memory, t.lanes)
        rows = [
            b.load(self._place(self.source, at, across, r), align=self._size, typ=kind) for r in range(count)
        ]
        each = t.lanes // count
        if self.out.strides[t.columns] == count:  # columns lie side by side
            each = 1
        for k, v in enumerate(turned(b, rows)):
            for j in range(each):
                lanes = ir.Constant(ir.VectorType(I32, count), list(range(j * count, (j + 1) * count)))
                part = v if each == 1 else b.shuffle_vector(v, v, lanes)
                b.store(part, self._place(self.out, at, down, k * (t.lanes // count) + j), align=self._size)

    @property
    def _size(self) -> int:
        return int(self.out.buffer.itemsize)

    def _place(self, a: Access, at: dict[Access, ir.Value], step: ir.Value, i: int) -> ir.Value:
        offset = self.b.add(at[a], self.b.mul(step, ir.Constant(I64, i)))
        return self.b.gep(self.p.pointer(a.buffer), [offset], source_etype=self.memory)


def turned(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The rows' elements column by column, in as many vectors: halves are interleaved until all are."""
    lanes, half = rows[0].type.count, len(rows) // 2

    def interleaved(x: ir.Value, y: ir.Value, first: int) -> ir.Value:
        order = [k for i in range(first, first + lanes // 2) for k in (i, lanes + i)]
        return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, lanes), order))

    for _ in range(len(rows).bit_length() - 1):
        pairs = zip(rows[:half], rows[half:], strict=True)
        rows = [interleaved(x, y, first) for x, y in pairs for first in (0, lanes // 2)]
    return rows
