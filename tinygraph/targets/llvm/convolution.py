"""Printing a convolution with what finishes it: the image packed into vectors of positions, tiles in registers.

For some rows of results of one sample and group, the image's elements are copied into scratch memory so that each
offset within a filter's reach has the positions' elements side by side, whatever the strides; of so many channels as
fit into a cache, then of the next ones. A tile of filters times vectors of positions, all results of a pool's window
among them, is summed in registers. The tile's results go through the nests that follow (pool, position of its maximum,
bias, activation) as full vectors, and only what is wanted of them reaches memory. Threads share samples, and where no
nest is left that needs a whole sample, also groups, rows and filters. How many samples there are is not in the code,
unless they are few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from tinygraph.targets.llvm import filter_panels, scalars
from tinygraph.targets.llvm.checks import Builder
from tinygraph.targets.llvm.convolution_results import Results
from tinygraph.targets.llvm.convolution_tiling import tiling
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, constant, splat
from tinygraph.targets.llvm.windows import Convolution

#: parts of the work from which threads can share it well
_UNITS = 8
#: rows of a pack that are written out rather than looped over
_UNROLLED = 4


class ConvolutionPrinter(Results):
    """Prints one sample's part. ``printer`` is the printer of the group that the convolution begins."""

    def __init__(self, printer: Any, c: Convolution, bits: int):
        self.p, self.c = printer, c
        self.b: Builder = printer.b
        self.memory = scalars.memory_type(c.nest.dtype)
        self.itemsize = 4 if c.nest.dtype == "float32" else 8
        self.lanes = bits // (8 * self.itemsize)
        self.type = ir.VectorType(self.memory, self.lanes)
        self.t = tiling(c, self.lanes, 32 if bits == 512 else 16)
        self.results = c.window[0] * c.window[1]
        self.panels: filter_panels.FilterPanels | None = None

    @property
    def tiles(self) -> int:
        """Tiles of filters of a group."""
        return -(-self.c.filters.extent // self.t.filters)

    @property
    def parts(self) -> int:
        """Stretches of a group's tiles that are made apart: several only where there is little else to share."""
        steps = self.c.samples.extent * self.c.groups.extent * -(-self.c.height // self.t.rows)
        each = max(1, self.tiles * steps // _UNITS)
        return 1 if steps >= _UNITS else -(-self.tiles // each)

    @property
    def units(self) -> int:
        """Parts of a sample's work that can be done apart."""
        return self.c.groups.extent * -(-self.c.height // self.t.rows) * self.parts

    @property
    def setup(self) -> int:
        """Multiplications that could be made while the filters of all groups are packed."""
        return self.panels.cost * self.tiles * self.c.groups.extent if self.panels and self.parts == 1 else 0

    def begin(self) -> None:
        """What comes before the samples."""
        c = self.c
        self._reserve()
        if not filter_panels.suits(c):
            return
        if self.parts > 1:
            self.panels = filter_panels.FilterPanels(self, -(-self.tiles // self.parts))
            return
        self.panels = filter_panels.FilterPanels(self, self.tiles * c.groups.extent)
        for g in range(c.groups.extent):
            start = self.b.add(self.p._start(c.weights), ir.Constant(I64, g * c.groups.weights))
            self.panels.pack(start, ir.Constant(I64, 0), self.tiles, g * self.tiles)

    def sample(self, n: ir.Value) -> None:
        """Everything for sample ``n``."""
        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, self.units), 1, lambda u: self.unit(n, u))

    def unit(self, n: ir.Value, u: ir.Value) -> None:
        """The part ``u`` of sample ``n``."""
        steps = -(-self.c.height // self.t.rows)
        part, rest = self._digit(u, self.parts)
        step, group = self._digit(rest, steps)
        self.n, self.group = n, group
        self._rows(self._clipped(step, self.t.rows, self.c.height), part)

    def _digit(self, u: ir.Value, base: int) -> tuple[ir.Value, ir.Value]:
        """``u`` modulo ``base``, and what is left of it."""
        if base == 1:
            return ir.Constant(I64, 0), u
        n = ir.Constant(I64, base)
        return self.b.urem(u, n), self.b.udiv(u, n)

    def _clipped(self, i: ir.Value, step: int, count: int) -> ir.Value:
        """Where step ``i`` of ``count`` begins; the last one overlaps those before, which gives the same results."""
        first = self.b.mul(i, ir.Constant(I64, step))
        if count % step == 0:
            return first
        last = ir.Constant(I64, count - step)
        return self.b.select(self.b.icmp_signed("<", first, last), first, last)

    def _first_filter(self, tile: ir.Value) -> ir.Value:
        return self._clipped(tile, self.t.filters, self.c.filters.extent)

    def _reserve(self) -> None:
        t, c = self.t, self.c
        a, b = c.grid
        self.stretch = t.vectors * self.lanes  # elements of one offset of one channel
        self.packed = self._scratch(t.channels * a * b * self.stretch + self.lanes)
        self.slot = t.filters * t.wide * self.results * self.lanes  # elements of a tile's sums
        slots = 1 if t.channels == c.channels.extent else -(-self.tiles // self.parts) * -(-t.vectors // t.wide)
        self.sums = self._scratch(slots * self.slot)

    def _rows(self, y: ir.Value, part: ir.Value) -> None:
        """The rows of positions from ``y`` on, for a stretch of the group's filters."""
        b, c = self.b, self.c
        self.y = y
        count = -(-self.tiles // self.parts)
        self.first = self.kept = self._clipped(part, count, self.tiles)
        if self.panels is not None and self.parts > 1:
            start = b.add(self.p._start(c.weights), self._times(self.group, c.groups.weights))
            self.panels.pack(start, self.first, count)
            self.kept = ir.Constant(I64, 0)
        elif self.panels is not None:
            self.kept = b.mul(self.group, ir.Constant(I64, self.tiles))
        if self.t.channels == c.channels.extent:
            self.channel, self.channels = ir.Constant(I64, 0), ir.Constant(I64, c.channels.extent)
            self._pack()
            self._tiles(count, self._multiply, self._tile)
            return

        def some(i: ir.Value) -> None:
            left = b.sub(ir.Constant(I64, c.channels.extent), i)
            most = ir.Constant(I64, self.t.channels)
            self.channel, self.channels = i, b.select(b.icmp_signed("<", left, most), left, most)
            self._pack()
            self._tiles(count, self._multiply)

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, c.channels.extent), self.t.channels, some)
        self._tiles(count, self._tile)

    def _tiles(self, count: int, *bodies: Callable[[ir.Value, ir.Value], None]) -> None:
        """``body(filter, vector)`` at the begin of each tile, whose sums' place is then known."""
        t, b = self.t, self.b
        across = -(-t.vectors // t.wide)

        def tile(i: ir.Value, j: ir.Value) -> None:
            self.tile = b.add(self.kept, i)
            place: ir.Value = ir.Constant(I64, 0)
            if t.channels < self.c.channels.extent:
                place = b.mul(b.add(b.mul(i, ir.Constant(I64, across)), j), ir.Constant(I64, self.slot))
            self.place = place
            f, v = self._first_filter(b.add(self.first, i)), self._clipped(j, t.wide, t.vectors)
            for body in bodies:
                body(f, v)

        self._loops([count, across], tile)

    def _tile(self, f: ir.Value, v: ir.Value) -> None:
        """What follows a tile's sums."""
        lane = self.b.mul(v, ir.Constant(I64, self.lanes))
        filters = self.b.add(f, self._times(self.group, self.c.filters.extent))

        def finish(i: ir.Value) -> None:
            for w in range(self.t.wide):
                values = self._values(i, w)
                at = self.b.add(lane, ir.Constant(I64, w * self.lanes))
                self._finish(self.b.add(filters, i), at, values)

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
        start = self._image()
        start = b.add(start, self._times(self.y, c.rows.image * c.window[0]))
        down, _ = c.grid
        zero = ir.Constant(I64, 0)

        def channel(i: ir.Value) -> None:
            here = b.add(start, self._times(b.add(self.channel, i), c.channels.image))
            to = b.mul(i, ir.Constant(I64, down))

            def row(a: ir.Value) -> None:
                self._pack_row(b.add(here, self._times(a, c.units[0])), b.add(to, a))

            self.p._loop(zero, ir.Constant(I64, down), 1, row)

        self.p._loop(zero, self.channels, 1, channel)

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
        blocked = t.channels < c.channels.extent
        for k, key in enumerate((i, w, d) for i in range(t.filters) for w in range(t.wide) for d in window):
            start: ir.Value = constant(0, dtype, lanes)
            if blocked:
                before = b.load(self._sum(ir.Constant(I64, k * lanes)), align=self.itemsize, typ=self.type)
                start = b.select(b.icmp_signed("==", self.channel, ir.Constant(I64, 0)), start, before)
            cells[key] = self.p.top.alloca(self.type)
            b.store(start, cells[key])
        weights, pointer = self._weights(f)
        steps = (c.channels.weights, c.down.weights, c.across.weights, c.filters.weights)
        if self.panels is not None:
            steps = (self.panels.channel, self.panels.row, self.panels.column, 1)
        vectors = b.mul(v, ir.Constant(I64, lanes))
        down, across = c.grid
        by_row, by_tap = c.rows.image // c.units[0], c.down.image // c.units[0]
        by_column, by_side = c.columns.image // c.units[1], c.across.image // c.units[1]

        def line(i: ir.Value, r: ir.Value) -> None:
            place = b.add(b.mul(i, ir.Constant(I64, down)), self._times(r, by_tap))
            place = b.add(b.mul(place, ir.Constant(I64, across * self.stretch)), vectors)
            number = b.add(weights, self._times(b.add(self.channel, i), steps[0]))
            number = b.add(number, self._times(r, steps[1]))
            sums = {key: b.load(cell, typ=self.type) for key, cell in cells.items()}
            for s in range(c.across.extent):
                held = {}
                for w in range(t.wide):
                    for d in window:
                        k = (d[0] * by_row * across + d[1] * by_column + s * by_side) * self.stretch + w * lanes
                        at = b.gep(self.packed, [b.add(place, ir.Constant(I64, k))], source_etype=self.memory)
                        held[w, d] = b.load(at, align=self.itemsize, typ=self.type)
                for m in range(t.filters):
                    k = m * steps[3] + s * steps[2]
                    at = b.gep(pointer, [b.add(number, ir.Constant(I64, k))], source_etype=self.memory)
                    factor = splat(b, b.load(at, align=self.itemsize, typ=self.memory), lanes)
                    for (w, d), x in held.items():
                        sums[m, w, d] = scalars.intrinsic(b, "fma", [x, factor, sums[m, w, d]])
            for key, cell in cells.items():
                b.store(sums[key], cell)

        self._loops([self.channels if blocked else c.channels.extent, c.down.extent], line)
        for k, cell in enumerate(cells.values()):
            b.store(b.load(cell, typ=self.type), self._sum(ir.Constant(I64, k * lanes)), align=self.itemsize)

    def _sum(self, at: ir.Value) -> ir.Value:
        """A place among the sums of the current tile."""
        return self.b.gep(self.sums, [self.b.add(self.place, at)], source_etype=self.memory)

    def _loops(self, counts: list[Any], body: Callable[..., None], *at: ir.Value) -> None:
        """Nested loops; one of a single turn is left out."""
        if not counts:
            body(*at)
        elif counts[0] == 1:
            self._loops(counts[1:], body, *at, ir.Constant(I64, 0))
        else:
            count = counts[0] if isinstance(counts[0], ir.Value) else ir.Constant(I64, counts[0])
            self.p._loop(ir.Constant(I64, 0), count, 1, lambda i: self._loops(counts[1:], body, *at, i))

    def _values(self, i: ir.Value, w: int) -> list[ir.Value]:
        """The results of a window for the tile's filter ``i`` and vector ``w``."""
        b, size = self.b, self.results * self.lanes
        first = b.add(b.mul(i, ir.Constant(I64, self.t.wide * size)), ir.Constant(I64, w * size))
        return [b.load(self._sum(b.add(first, ir.Constant(I64, d * self.lanes))), align=self.itemsize, typ=self.type)
                for d in range(self.results)]  # fmt: skip

    # -- small things ---------------------------------------------------------------------------------------------

    def _image(self) -> ir.Value:
        """Where the sample's and group's part of the image begins."""
        c, b = self.c, self.b
        start = b.add(self.p._start(c.image), self._times(self.n, c.samples.image))
        return b.add(start, self._times(self.group, c.groups.image))

    def _weights(self, f: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Where the numbers of the tile's filters begin, and from what."""
        c, b = self.c, self.b
        if self.panels is not None:
            return self.panels.place(self.tile), self.panels.memory
        start = b.add(self.p._start(c.weights), self._times(self.group, c.groups.weights))
        return b.add(start, self._times(f, c.filters.weights)), self.p.pointer(c.weights.buffer)

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
