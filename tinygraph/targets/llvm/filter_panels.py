"""A convolution's filters, packed so that the numbers that a tile multiplies by lie side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir

from tinygraph.targets.llvm.scalars import I32, I64
from tinygraph.targets.llvm.transposed import turned
from tinygraph.targets.llvm.windows import Axis, Convolution

#: positions of a sample from which each filter's numbers are used often enough
_POSITIONS = 64
#: multiplications that take as long as packing a number: as one of a vector, and by itself
_RUN, _SINGLE = 16, 48


def suits(c: Convolution) -> bool:
    """Whether the numbers are used often enough."""
    return c.height * c.width >= _POSITIONS


def _is_run(c: Convolution, lanes: int) -> bool:
    """Whether a filter's numbers are one run of memory, no shorter than a vector."""
    size = 1
    for a in sorted((a for a in _axes(c) if a.extent > 1), key=lambda a: abs(a.weights)):
        if abs(a.weights) != size:
            return False
        size *= a.extent
    return size >= lanes


def _axes(c: Convolution) -> tuple[Axis, ...]:
    return c.channels, c.down, c.across


class FilterPanels:
    """Prints the packing. A panel has a tile's filters: for each number of a filter those of all.

    ``count``: panels that are kept at once. ``p``: the printer of the convolution, whose last tile may overlap others.
    ``channel``, ``row``, ``column``: elements of a panel from one tap's numbers to the next one's. The order is that of
    memory, where this has a filter in one run, which is then read as vectors.
    """

    def __init__(self, p: Any, count: int):
        self.p, self.c = p, p.c
        self.filters = p.t.filters
        self.numbers = self.c.channels.extent * self.c.taps
        self.run = _is_run(self.c, p.lanes)
        self.lowest = sum(min(a.weights, 0) * (a.extent - 1) for a in _axes(self.c)) if self.run else 0
        steps = [a.weights for a in _axes(self.c)] if self.run else [self.c.taps, self.c.across.extent, 1]
        self.channel, self.row, self.column = (self.filters * s for s in steps)
        self.panel = self.numbers * self.filters
        self.memory = p._scratch(count * self.panel)

    @property
    def cost(self) -> int:
        """Multiplications that take as long as packing a panel."""
        return self.panel * (_RUN if self.run else _SINGLE)

    def pack(self, start: ir.Value, first: ir.Value, count: int, to: int = 0) -> None:
        """``count`` tiles, from the one numbered ``first`` on, as panels from ``to`` on.

        ``start`` is the place of the group's filters.
        """
        b, c, p = self.p.b, self.c, self.p
        lowest = b.add(start, ir.Constant(I64, self.lowest))

        def tile(t: ir.Value) -> None:
            rows = b.add(lowest, p._times(p._first_filter(b.add(first, t)), c.filters.weights))
            panel = b.mul(b.add(t, ir.Constant(I64, to)), ir.Constant(I64, self.panel))
            if not self.run:
                p._loops([c.channels.extent, c.down.extent], lambda i, r: self._single(rows, panel, i, r))
                return
            p._in_steps(self.numbers, p.lanes, lambda k: self._some(
                b.add(rows, k), b.add(panel, b.mul(k, ir.Constant(I64, self.filters)))))  # fmt: skip

        p.p._loop(ir.Constant(I64, 0), ir.Constant(I64, count), 1, tile)

    def _single(self, source: ir.Value, to: ir.Value, i: ir.Value, r: ir.Value) -> None:
        """A row of a channel's taps, number by number."""
        b, c, p = self.p.b, self.c, self.p
        source = b.add(source, b.add(p._times(i, c.channels.weights), p._times(r, c.down.weights)))
        to = b.add(to, b.add(p._times(i, self.channel), p._times(r, self.row)))
        for s in range(c.across.extent):
            for m in range(self.filters):
                at = b.add(source, ir.Constant(I64, s * c.across.weights + m * c.filters.weights))
                one = b.load(b.gep(p.p.pointer(c.weights.buffer), [at], source_etype=p.memory), align=p.itemsize,
                             typ=p.memory)  # fmt: skip
                place = b.add(to, ir.Constant(I64, s * self.column + m))
                b.store(one, b.gep(self.memory, [place], source_etype=p.memory), align=p.itemsize)

    def _some(self, source: ir.Value, to: ir.Value) -> None:
        """As many numbers of each filter as a vector holds."""
        b, p = self.p.b, self.p
        pointer = p.p.pointer(self.c.weights.buffer)
        for first, count in self._bands():
            rows = []
            for m in range(first, first + count):
                at = b.add(source, ir.Constant(I64, m * self.c.filters.weights))
                rows.append(b.load(b.gep(pointer, [at], source_etype=p.memory), align=p.itemsize, typ=p.type))
            each = p.lanes // count
            for k, v in enumerate(turned(b, rows)):
                for j in range(each):
                    lanes = ir.Constant(ir.VectorType(I32, count), list(range(j * count, (j + 1) * count)))
                    at = b.add(to, ir.Constant(I64, (k * each + j) * self.filters + first))
                    place = b.gep(self.memory, [at], source_etype=p.memory)
                    b.store(b.shuffle_vector(v, v, lanes), place, align=p.itemsize)

    def _bands(self) -> Iterator[tuple[int, int]]:
        """The tile's filters in powers of two."""
        first, count = 0, self.p.lanes
        while count:
            while first + count <= self.filters:
                yield first, count
                first += count
            count //= 2

    def place(self, tile: ir.Value) -> ir.Value:
        """Where the numbers of a tile's filters begin, as if strides counted from their lowest."""
        b = self.p.b
        return b.sub(b.mul(tile, ir.Constant(I64, self.panel)), ir.Constant(I64, self.lowest * self.filters))
