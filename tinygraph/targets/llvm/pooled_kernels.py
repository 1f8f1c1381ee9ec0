"""The kernels of ``pooled.py``: gradients of a convolution, one multiplication for each maximum and not for each point.

Images are packed as ``pooled_geometry.py`` says. Both kernels first list the gradients that are not 0 with
what they meet:

``weights``  for a filter, the places of its gradients in the image; some lines of the filter's gradient then stay in
             registers while the list is walked
``inputs``   for a point of the image, the filters whose maximum lay there; the sum of their weights, each times its
             gradient, is made in registers and added to the image once

Sizes are part of the code, but for the number of samples.
"""

from __future__ import annotations

from functools import cache
from math import prod

from llvmlite import ir

from tinygraph.targets.llvm.pooled_geometry import Geometry
from tinygraph.targets.llvm.pooled_printer import LEAST_VECTORS, Block, Cells, Printer
from tinygraph.targets.llvm.scalars import I32, I64, splat

#: bytes of images, and of lists, that the kernels work on at once
_IMAGES, _LISTS = 16 << 10, 16 << 10
#: bytes of weights that are to stay in the nearest cache
_WEIGHTS = 24 << 10


@cache
def weights_text(g: Geometry, checked: bool = False) -> str:
    """Filters ``begin .. end``: a table of lines (filter, row of taps) from packed images."""
    return _Weights(g, "pooled_weights", checked).text()


@cache
def inputs_text(g: Geometry, checked: bool = False) -> str:
    """Samples ``begin .. end``: packed images from a table of lines (group, row of taps, filter)."""
    return _Inputs(g, "pooled_inputs", checked).text()


def scratch_size(g: Geometry, kind: str) -> int:
    """Bytes of scratch memory that a thread needs."""
    return sum(_weights_scratch(g) if kind == "weights" else _inputs_scratch(g))


def _weights_scratch(g: Geometry) -> list[int]:
    """Bytes of: each window's start in the image, its row and its column; the list's places and its factors."""
    windows = prod(g.pool.windows)
    entries = _samples_at_once(g) * windows + g.lanes
    return [_lines(size) for size in (4 * windows, 4 * windows, 4 * windows, 4 * entries, g.bytes * entries)]


def _inputs_scratch(g: Geometry) -> list[int]:
    """Bytes of: each slot's place in the image and the length of its list; the lists' lines and their factors."""
    slots = _rows_at_once(g) * g.pool.windows[1] * g.pool.points
    return [_lines(size) for size in (4 * slots, 4 * slots, 4 * slots * g.filters, g.bytes * slots * g.filters)]


def _lines(size: int) -> int:
    """Bytes of whole lines of the cache."""
    return -(-size // 64) * 64


def _samples_at_once(g: Geometry) -> int:
    return max(1, _IMAGES // (g.sample * g.bytes))


def _rows_at_once(g: Geometry) -> int:
    """Rows of windows whose lists are made together."""
    return min(g.pool.windows[0], max(1, _LISTS // (g.filters * g.pool.windows[1] * 16)))


class _Weights(Printer):
    def body(self) -> None:
        g = self.g
        self.together = _samples_at_once(g)
        self.starts, self.rows, self.columns, self.places, self.factors = self.parts(_weights_scratch(g))
        self.count = self.top.alloca(I64)
        self.loop(0, prod(g.pool.windows), 1, self._start)
        size = g.taps[0] * g.lines.length
        self.loop(self.begin, self.end, 1, lambda f: self.clear(self.out, self.times(f, size), size))
        self.loop(0, self.samples, self.together, self._some)

    def _start(self, w: ir.Value) -> None:
        tables = self.rows, self.columns, self.starts
        for table, value in zip(tables, self.corner(w), strict=True):
            self.b.store(value, self.at(table, w, I32))

    def _some(self, n: ir.Value) -> None:
        """All filters for the samples from ``n`` on, which then come from memory once."""
        b, g = self.b, self.g
        end = b.add(n, ir.Constant(I64, self.together))
        end = b.select(b.icmp_signed("<", end, self.samples), end, self.samples)
        images = self.times(n, g.sample)

        def one(f: ir.Value) -> None:
            image = b.add(images, self.times(b.udiv(f, ir.Constant(I64, g.filters)), g.grid[0] * g.row))
            table = self.times(f, g.taps[0] * g.lines.length)
            b.store(ir.Constant(I64, 0), self.count)
            self.loop(n, end, 1, lambda m: self._list(m, f, b.trunc(self.times(b.sub(m, n), g.sample), I32)))
            self.each_block(lambda k, block: self._add(k, block, table, image))

        self.loop(self.begin, self.end, 1, one)

    def _list(self, n: ir.Value, f: ir.Value, sample: ir.Value) -> None:
        """Of one channel, what counts; ``sample``: where its sample begins."""
        channel = self.channel(n, f)
        at, width, windows = 0, self.g.lanes if self.g.pool.flat else 1, prod(self.g.pool.windows)
        while at < windows:
            end = windows - (windows - at) % width
            self.loop(at, end, width, lambda w, width=width: self._append(channel, w, width, sample))  # type: ignore[misc]
            at, width = end, width // 2

    def _append(self, channel: list[ir.Value], w: ir.Value, width: int, sample: ir.Value) -> None:
        b, g = self.b, self.g
        point, grad, counts = self.windows(channel, w, width)
        across = self.words(g.pool.size[1], width)
        down, right = b.udiv(point, across), b.urem(point, across)
        rows, columns, place = (
            b.load(self.at(table, w, I32), align=4, typ=point.type) for table in (self.rows, self.columns, self.starts)
        )
        if g.cut:
            counts = b.and_(counts, self.has_result(b.add(rows, down), b.add(columns, right)))
        for moved, step in zip((down, right), g.steps, strict=True):
            place = b.add(place, b.mul(moved, self.words(step, width)))
        i = b.load(self.count, typ=I64)
        b.store(b.add(place, splat(b, sample, width)), self.at(self.places, i, I32), align=4)
        self.write(grad, self.factors, i)
        bits = b.bitcast(counts, ir.IntType(width))
        if width == 1:
            b.store(b.add(i, b.zext(bits, I64)), self.count)
            return
        with b.if_else(b.icmp_unsigned("==", bits, ir.Constant(bits.type, -1)), likely=True) as (every, some):
            with every:
                b.store(self.sum(i, width), self.count)
            with some:
                self.loop(0, width, 1, lambda j: self._keep(b.add(i, j), b.lshr(b.zext(bits, I64), j)))

    def _keep(self, i: ir.Value, counts: ir.Value) -> None:
        """Move an entry down to the end of those that count; it stays there if it does."""
        b = self.b
        end = b.load(self.count, typ=I64)
        for table, kind in ((self.places, I32), (self.factors, self.number)):
            b.store(b.load(self.at(table, i, kind), typ=kind), self.at(table, end, kind))
        b.store(b.add(end, b.and_(counts, ir.Constant(I64, 1))), self.count)

    def _add(self, k: ir.Value, block: Block, table: ir.Value, image: ir.Value) -> None:
        b, g = self.b, self.g
        cells = self.cells(block)
        line = b.add(table, self.times(k, g.lines.length))
        for (r, p), cell in cells.items():
            b.store(self.read(self.out, self.sum(line, r * g.lines.length + p.table), p.width), cell)
        first = self.at(self.operand, b.add(image, self.times(k, g.dilation[0] * g.row)))

        def entry(i: ir.Value, cells: Cells) -> None:
            at = self.at(first, self.word(self.places, i))
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                # lanes that are not in use meet what lies behind: more of the image, or zeros
                x = self.read(at, r * g.dilation[0] * g.row + p.image, p.width)
                self.add_product(cell, factor, x)

        self.each_entry(cells, ir.Constant(I64, 0), b.load(self.count, typ=I64), entry)
        for (r, p), cell in cells.items():
            self.write(b.load(cell, typ=self.vector(p.width)), self.out, self.sum(line, r * g.lines.length + p.table))


class _Inputs(Printer):
    """A *slot* is a point of a window: ``places`` says where it lies, ``counts`` how long its list is."""

    def body(self) -> None:
        self.together = _rows_at_once(self.g)
        self.places, self.counts, self.lines, self.factors = self.parts(_inputs_scratch(self.g))
        self.loop(self.begin, self.end, 1, self._sample)

    def most_vectors(self) -> int:
        """The weights of a block, which every list reads some of, should stay in the nearest cache."""
        near = _WEIGHTS // (self.g.filters * self.g.lanes * self.bytes)
        return max(min(super().most_vectors(), near), LEAST_VECTORS)

    def _sample(self, n: ir.Value) -> None:
        b, g = self.b, self.g
        self.clear(self.out, self.times(n, g.sample), g.sample)
        windows, some = prod(g.pool.windows), self.together * g.pool.windows[1]

        def group(i: ir.Value) -> None:
            image = b.add(self.times(n, g.sample), self.times(i, g.grid[0] * g.row))
            filters = self.times(i, g.filters)
            table = self.times(i, g.taps[0] * g.filters * g.lines.length)

            def rows(w: ir.Value) -> None:
                last = ir.Constant(I64, windows)
                end = b.add(w, ir.Constant(I64, some))
                end = b.select(b.icmp_signed("<", end, last), end, last)
                slots = self.times(b.sub(end, w), g.pool.points)
                self.loop(0, slots, 1, lambda s: b.store(ir.Constant(I32, 0), self.at(self.counts, s, I32)) and None)
                self.loop(0, g.filters, 1, lambda f: self._list(self.channel(n, b.add(filters, f)), f, w, end))
                self.loop(w, end, 1, lambda v: self._place(v, self.times(b.sub(v, w), g.pool.points)))
                self.each_block(lambda k, block: self._add(k, block, table, slots, image))

            self.loop(0, windows, some, rows)

        self.loop(0, g.groups, 1, group)

    def _list(self, channel: list[ir.Value], f: ir.Value, first: ir.Value, end: ir.Value) -> None:
        """A filter's line of weights and its gradients, each for the slot where the maximum lay."""
        b, g = self.b, self.g
        line = b.trunc(self.times(f, g.lines.length), I32)

        def window(w: ir.Value) -> None:
            point, grad, counts = (b.extract_element(v, ir.Constant(I32, 0)) for v in self.windows(channel, w, 1))
            slot = b.add(self.times(b.sub(w, first), g.pool.points), b.zext(point, I64))
            count = self.at(self.counts, slot, I32)
            i = b.load(count, typ=I32)
            at = b.add(self.times(slot, g.filters), b.zext(i, I64))
            b.store(line, self.at(self.lines, at, I32))
            b.store(grad, self.at(self.factors, at))
            b.store(b.add(i, b.zext(counts, I32)), count)

        self.loop(first, end, 1, window)

    def _place(self, w: ir.Value, first: ir.Value) -> None:
        """Where a window's slots, from ``first`` on, lie in the image; those without a result get no list."""
        b, g = self.b, self.g
        y, x, start = self.corner(w)
        for p in range(g.pool.points):
            down, right = divmod(p, g.pool.size[1])
            slot = self.sum(first, p)
            here = b.add(start, ir.Constant(I32, down * g.steps[0] + right * g.steps[1]))
            b.store(here, self.at(self.places, slot, I32))
            if g.cut:
                inside = self.has_result(b.add(y, ir.Constant(I32, down)), b.add(x, ir.Constant(I32, right)))
                count = self.at(self.counts, slot, I32)
                b.store(b.select(inside, b.load(count, typ=I32), ir.Constant(I32, 0)), count)

    def _add(self, k: ir.Value, block: Block, table: ir.Value, slots: ir.Value, image: ir.Value) -> None:
        b, g = self.b, self.g
        cells = self.cells(block)
        rows = g.filters * g.lines.length
        lines = self.at(self.operand, b.add(table, self.times(k, rows)))
        down = b.add(image, self.times(k, g.dilation[0] * g.row))

        def slot(s: ir.Value) -> None:
            count = self.word(self.counts, s)
            with b.if_then(b.icmp_signed(">", count, ir.Constant(I64, 0))):
                for (_, p), cell in cells.items():
                    b.store(self.zero(p.width), cell)
                first = self.times(s, g.filters)
                self.each_entry(cells, first, b.add(first, count), entry)
                at = b.add(self.word(self.places, s), down)
                for (r, p), cell in cells.items():
                    here = self.sum(at, r * g.dilation[0] * g.row + p.image)
                    # an infinite gradient makes nan of the empty lanes' zeros
                    more = self.in_use(p, b.load(cell, typ=self.vector(p.width)))
                    self.write(b.fadd(self.read(self.out, here, p.width), more), self.out, here)

        def entry(i: ir.Value, cells: Cells) -> None:
            at = self.at(lines, self.word(self.lines, i))
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                self.add_product(cell, factor, self.read(at, r * rows + p.table, p.width))

        self.loop(0, slots, 1, slot)


__all__ = ["inputs_text", "scratch_size", "weights_text"]
