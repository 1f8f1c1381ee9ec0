"""The kernels of ``pooled.py``: gradients of a convolution, one multiplication for each maximum and not for each point.

Images lie with their channels innermost, so that what one gradient meets in a row of the image, taps times channels,
is one stretch of memory. Both kernels first list the gradients that are not 0 with what they meet:

``weights``  for a filter, the places of its gradients in the image; some lines of the filter's gradient then stay in
             registers while the list is walked
``inputs``   for a point of the image, the filters whose maximum lay there; the sum of their weights, each times its
             gradient, is made in registers and added to the image once

Sizes are part of the code, but for the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import NamedTuple

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.checks import builder
from tinygraph.targets.llvm.kernel import BODY
from tinygraph.targets.llvm.scalars import I1, I8, I64, PTR, splat

#: bytes of images, and of lists, that the kernels work on at once
_IMAGES, _LISTS = 16 << 10, 16 << 10
#: bytes of weights that are to stay in the nearest cache, and vectors of sums from which on multiplications overlap
_WEIGHTS, _LEAST_VECTORS = 24 << 10, 6


class Piece(NamedTuple):
    """A vector of a line: where it lies in the image (from the first tap on) and in a table, and lanes in use."""

    image: int
    table: int
    width: int
    used: int


@dataclass(frozen=True)
class Lines:
    """A row of taps as vectors. Taps lie ``spacing`` apart in the image; without a gap they form one stretch."""

    taps: int
    channels: int
    spacing: int
    lanes: int
    dtype: str

    @property
    def pitch(self) -> int:
        """Distance of taps in a table."""
        return self.channels if self.spacing == self.channels else sum(p.width for p in self._stretch(self.channels))

    @property
    def length(self) -> int:
        """Distance of lines in a table: whole vectors, so that none lies across two lines of the cache."""
        used = sum(p.width for p in self.pieces())
        return -(-used // self.lanes) * self.lanes

    def pieces(self) -> list[Piece]:
        if self.spacing == self.channels:
            return list(self._stretch(self.taps * self.channels))
        return [
            p._replace(image=p.image + t * self.spacing, table=p.table + t * self.pitch)
            for t in range(self.taps)
            for p in self._stretch(self.channels)
        ]

    def _stretch(self, n: int) -> Iterator[Piece]:
        least = 4 if self.dtype == "float32" else 2
        for at in range(0, n, self.lanes):
            used = min(self.lanes, n - at)
            width = least
            while width < used:
                width *= 2
            yield Piece(at, at, min(width, self.lanes), used)


@dataclass(frozen=True)
class Pooled:
    """The pool: how many windows, their size and step, and how far the convolution's first result lies within.

    ``place`` and ``grad``: steps in memory along sample, channel, row and column of windows.
    """

    windows: tuple[int, int]
    size: tuple[int, int]
    step: tuple[int, int]
    first: tuple[int, int]
    place: tuple[int, ...]
    grad: tuple[int, ...]
    place_dtype: str

    @property
    def points(self) -> int:
        return prod(self.size)


@dataclass(frozen=True)
class Geometry:
    """The convolution: ``filters`` and ``channels`` of each group, results, and the image's packed ``grid``."""

    pool: Pooled
    lines: Lines
    dtype: str
    bits: int
    groups: int
    filters: int
    channels: int
    results: tuple[int, int]
    taps: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    grid: tuple[int, int]

    @property
    def lanes(self) -> int:
        return self.lines.lanes

    @property
    def row(self) -> int:
        """Numbers in a row of the packed image."""
        return self.grid[1] * self.channels


def sample_size(g: Geometry) -> int:
    """Numbers of one packed sample. Vectors may reach into the end, which no sample uses, and whole ones fill it."""
    used = g.groups * g.grid[0] * g.row + g.lanes
    return -(-used // g.lanes) * g.lanes


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
    if kind == "weights":
        return _samples_at_once(g) * prod(g.pool.windows) * 16
    slots = _rows_at_once(g) * g.pool.windows[1] * g.pool.points
    return slots * (16 + 16 * g.filters)


def _samples_at_once(g: Geometry) -> int:
    return max(1, _IMAGES // (sample_size(g) * (4 if g.dtype == "float32" else 8)))


def _rows_at_once(g: Geometry) -> int:
    """Rows of windows whose lists are made together."""
    return min(g.pool.windows[0], max(1, _LISTS // (g.filters * g.pool.windows[1] * 16)))


class _Block(NamedTuple):
    """Lines that are in registers together: ``rows`` of taps from ``first`` in steps, ``pieces`` of each."""

    first: int
    last: int
    rows: int
    pieces: list[Piece]


class _Printer:
    def __init__(self, g: Geometry, name: str, checked: bool):
        self.g = g
        self.module = ir.Module(name=name)
        self.function = ir.Function(self.module, BODY, "kernel")
        self.top = ir.IRBuilder(self.function.append_basic_block("entry"))
        start = self.function.append_basic_block("start")
        self.b = builder(start, checked)
        self.context, self.begin, self.end, self.thread = self.function.args
        self.number = scalars.memory_type(g.dtype)
        self.bytes = 4 if g.dtype == "float32" else 8
        table, args, scratch = (self._word(self.context, i, PTR) for i in (0, 2, 3))
        self.slots = [self._word(args, i, I64) for i in range(7)]
        self.operand, self.place, self.grad, self.out = (
            self.top.load(self.top.gep(table, [s], source_etype=I64), typ=PTR) for s in self.slots[:4]
        )
        for pointer, index in zip((self.operand, self.place, self.grad, self.out), self.slots, strict=False):
            self.b.guard_buffer(pointer, index, self.top)
        self.samples = self.slots[6]
        step = self._word(self.context, 4, I64)
        self.scratch = self.top.gep(scratch, [self.top.mul(self.thread, step)], source_etype=I8)

    def _word(self, base: ir.Value, index: int, kind: ir.Type) -> ir.Value:
        return self.top.load(self.top.gep(base, [ir.Constant(I64, index)], source_etype=I64), typ=kind)

    def text(self) -> str:
        self.body()
        self.b.ret_void()
        self.top.branch(self.function.blocks[1])
        return str(self.module)

    def body(self) -> None:
        raise NotImplementedError

    # -- small parts --------------------------------------------------------------------------------------------------

    def loop(self, first: ir.Value | int, last: ir.Value | int, step: int, body: Callable[[ir.Value], None]) -> None:
        b = self.b
        first, last = (ir.Constant(I64, x) if isinstance(x, int) else x for x in (first, last))
        before = b.block
        inside, after = b.append_basic_block("loop"), b.append_basic_block("after")
        b.cbranch(b.icmp_signed("<", first, last), inside, after)
        b.position_at_end(inside)
        i = b.phi(I64)
        i.add_incoming(first, before)
        body(i)
        following = b.add(i, ir.Constant(I64, step))
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, last), inside, after)
        b.position_at_end(after)

    def times(self, x: ir.Value, n: int) -> ir.Value:
        return x if n == 1 else self.b.mul(x, ir.Constant(I64, n))

    def sum(self, *terms: ir.Value | int) -> ir.Value:
        out: ir.Value | None = None
        for t in terms:
            t = ir.Constant(I64, t) if isinstance(t, int) else t
            out = t if out is None else self.b.add(out, t)
        assert out is not None
        return out

    def at(self, base: ir.Value, index: ir.Value, kind: ir.Type | None = None) -> ir.Value:
        return self.b.gep(base, [index], source_etype=kind or self.number)

    def vector(self, width: int) -> ir.VectorType:
        return ir.VectorType(self.number, width)

    def zero(self, width: int) -> ir.Constant:
        return scalars.constant(0, self.g.dtype, width)

    def read(self, base: ir.Value, index: ir.Value, width: int) -> ir.Value:
        return self.b.load(self.at(base, index), align=self.bytes, typ=self.vector(width))

    def write(self, value: ir.Value, base: ir.Value, index: ir.Value) -> None:
        self.b.store(value, self.at(base, index), align=self.bytes)

    def clear(self, base: ir.Value, first: ir.Value, count: int) -> None:
        """Zeros in ``count`` numbers; all of the lines' widths divide it."""
        width = self.g.lanes
        while count % width:
            width //= 2
        self.loop(0, count, width, lambda i: self.write(self.zero(width), base, self.b.add(first, i)))

    # -- gradients ----------------------------------------------------------------------------------------------------

    def gradient(self, n: ir.Value, f: ir.Value, y: ir.Value, x: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Place and gradient of a window, and whether it counts: not 0, and at a point that the window has."""
        b, pool = self.b, self.g.pool
        index = [self.slots[4], self.slots[5]]
        for k, steps in enumerate((pool.place, pool.grad)):
            index[k] = self.sum(index[k], *(self.times(i, s) for i, s in zip((n, f, y, x), steps, strict=True)))
        kind = scalars.memory_type(pool.place_dtype)
        place = b.load(self.at(self.place, index[0], kind), typ=kind)
        place = b.zext(place, I64)
        grad = b.load(self.at(self.grad, index[1]), typ=self.number)
        last = ir.Constant(I64, pool.points - 1)
        inside = b.icmp_unsigned("<=", place, last)
        counts = b.and_(inside, b.fcmp_unordered("!=", grad, scalars.constant(0, self.g.dtype)))
        return b.select(inside, place, last), grad, counts

    def position(self, y: ir.Value, x: ir.Value, down: ir.Value, across: ir.Value) -> tuple[ir.Value, ir.Value | None]:
        """Where in the packed image a window's point is met by the first tap; whether there is a result (None: yes)."""
        b, g = self.b, self.g
        inside = None
        out: list[ir.Value] = []
        for k, (window, point) in enumerate(((y, down), (x, across))):
            at = b.add(self.times(window, g.pool.step[k]), point)
            if g.pool.first[k]:
                at = b.sub(at, ir.Constant(I64, g.pool.first[k]))
            reach = (g.pool.windows[k] - 1) * g.pool.step[k] + g.pool.size[k] - g.pool.first[k]
            if g.pool.first[k] or reach > g.results[k]:
                ok = b.icmp_unsigned("<", at, ir.Constant(I64, g.results[k]))
                inside = ok if inside is None else b.and_(inside, ok)
            out.append(at)
        place = b.add(self.times(out[0], g.strides[0] * g.row), self.times(out[1], g.strides[1] * g.channels))
        return place, inside

    # -- blocks of lines ----------------------------------------------------------------------------------------------

    def blocks(self) -> list[_Block]:
        """All lines, in blocks that registers hold."""
        most = self.most_vectors()
        pieces, rows = self.g.lines.pieces(), self.g.taps[0]
        if len(pieces) > most:
            parts = -(-len(pieces) // most)
            size = -(-len(pieces) // parts)
            return [_Block(0, rows, 1, pieces[i : i + size]) for i in range(0, len(pieces), size)]
        together = min(rows, most // len(pieces))
        together = -(-rows // -(-rows // together))
        whole = rows - rows % together
        found = [_Block(0, whole, together, pieces)]
        return found + ([_Block(whole, rows, rows - whole, pieces)] if whole < rows else [])

    def most_vectors(self) -> int:
        """Vectors of a block."""
        return 24 if self.g.bits == 512 else 12

    def each_block(self, body: Callable[[ir.Value, _Block], None]) -> None:
        """``body(row of taps, block)`` for every block."""
        for block in self.blocks():
            if block.last - block.first == block.rows:
                body(ir.Constant(I64, block.first), block)
            else:
                self.loop(block.first, block.last, block.rows, lambda k, block=block: body(k, block))  # type: ignore[misc]

    def cells(self, block: _Block) -> dict[tuple[int, Piece], ir.Value]:
        """A register for each piece of a block's lines."""
        return {(r, p): self.top.alloca(self.vector(p.width)) for r in range(block.rows) for p in block.pieces}

    def add_product(self, cell: ir.Value, factor: ir.Value, v: ir.Value) -> None:
        b = self.b
        new = scalars.intrinsic(b, "fma", [v, splat(b, factor, v.type.count), b.load(cell, typ=v.type)])
        b.store(new, cell)

    def in_use(self, p: Piece, v: ir.Value) -> ir.Value:
        """``v`` with zeros in the lanes that the piece does not use."""
        mask = self.mask(p)
        return v if mask is None else self.b.select(mask, v, self.zero(p.width))

    def mask(self, p: Piece) -> ir.Constant | None:
        """The lanes in use, None for all."""
        if p.used == p.width:
            return None
        return ir.Constant(ir.VectorType(I1, p.width), [int(j < p.used) for j in range(p.width)])


class _Weights(_Printer):
    def body(self) -> None:
        g = self.g
        self.together = _samples_at_once(g)
        most = self.together * prod(g.pool.windows)
        self.places = self.scratch
        self.factors = self.top.gep(self.scratch, [ir.Constant(I64, 8 * most)], source_etype=I8)
        self.b.guard_scratch(self.places, 8 * most, self.top)
        self.b.guard_scratch(self.factors, self.bytes * most, self.top)
        self.count = self.top.alloca(I64)
        size = g.taps[0] * g.lines.length
        self.loop(self.begin, self.end, 1, lambda f: self.clear(self.out, self.times(f, size), size))
        self.loop(0, self.samples, self.together, self._some)

    def _some(self, n: ir.Value) -> None:
        """All filters for the samples from ``n`` on, which then come from memory once."""
        b, g = self.b, self.g
        end = b.add(n, ir.Constant(I64, self.together))
        end = b.select(b.icmp_signed("<", end, self.samples), end, self.samples)

        def one(f: ir.Value) -> None:
            image = self.times(b.udiv(f, ir.Constant(I64, g.filters)), g.grid[0] * g.row)
            table = self.times(f, g.taps[0] * g.lines.length)
            b.store(ir.Constant(I64, 0), self.count)
            self.loop(n, end, 1, lambda m: self._list(m, f, image))
            self.each_block(lambda k, block: self._add(k, block, table))

        self.loop(self.begin, self.end, 1, one)

    def _list(self, n: ir.Value, f: ir.Value, image: ir.Value) -> None:
        b, g = self.b, self.g
        start = b.add(image, self.times(n, sample_size(g)))

        def window(y: ir.Value, x: ir.Value) -> None:
            place, grad, counts = self.gradient(n, f, y, x)
            across = ir.Constant(I64, g.pool.size[1])
            at, inside = self.position(y, x, b.udiv(place, across), b.urem(place, across))
            counts = counts if inside is None else b.and_(counts, inside)
            i = b.load(self.count, typ=I64)
            b.store(b.add(start, at), self.at(self.places, i, I64))
            b.store(grad, self.at(self.factors, i))
            b.store(b.add(i, b.zext(counts, I64)), self.count)

        down, across = g.pool.windows
        self.loop(0, down, 1, lambda y: self.loop(0, across, 1, lambda x: window(y, x)))

    def _add(self, k: ir.Value, block: _Block, table: ir.Value) -> None:
        b, g = self.b, self.g
        cells = self.cells(block)
        line = b.add(table, self.times(k, g.lines.length))
        for (r, p), cell in cells.items():
            b.store(self.read(self.out, self.sum(line, r * g.lines.length + p.table), p.width), cell)
        first = self.times(k, g.dilation[0] * g.row)

        def entry(i: ir.Value) -> None:
            at = b.add(b.load(self.at(self.places, i, I64), typ=I64), first)
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                x = self.read(self.operand, self.sum(at, r * g.dilation[0] * g.row + p.image), p.width)
                self.add_product(cell, factor, self.in_use(p, x))  # other lanes hold anything: denormals are slow

        self.loop(0, b.load(self.count, typ=I64), 1, entry)
        for (r, p), cell in cells.items():
            self.write(b.load(cell, typ=self.vector(p.width)), self.out, self.sum(line, r * g.lines.length + p.table))


class _Inputs(_Printer):
    """A *slot* is a point of a window: ``places`` says where it lies, ``counts`` how long its list is."""

    def body(self) -> None:
        g = self.g
        self.together = _rows_at_once(g)
        slots = self.together * g.pool.windows[1] * g.pool.points
        sizes = (8 * slots, 8 * slots, 8 * slots * g.filters, 0)
        parts = [sum(sizes[:i]) for i in range(4)]
        self.places, self.counts, self.lines, self.factors = (
            self.top.gep(self.scratch, [ir.Constant(I64, p)], source_etype=I8) for p in parts
        )
        for pointer, size in zip((self.places, self.counts, self.lines), sizes, strict=False):
            self.b.guard_scratch(pointer, size, self.top)
        self.b.guard_scratch(self.factors, slots * g.filters * self.bytes, self.top)
        self.loop(self.begin, self.end, 1, self._sample)

    def most_vectors(self) -> int:
        """The weights of a block, which every list reads some of, should stay in the nearest cache."""
        near = _WEIGHTS // (self.g.filters * self.g.lanes * self.bytes)
        return max(min(super().most_vectors(), near), _LEAST_VECTORS)

    def _sample(self, n: ir.Value) -> None:
        b, g = self.b, self.g
        size = sample_size(g)
        self.clear(self.out, self.times(n, size), size)

        def group(i: ir.Value) -> None:
            image = b.add(self.times(n, size), self.times(i, g.grid[0] * g.row))
            filters = self.times(i, g.filters)
            table = self.times(i, g.taps[0] * g.filters * g.lines.length)

            def rows(y: ir.Value) -> None:
                last = ir.Constant(I64, g.pool.windows[0])
                end = b.add(y, ir.Constant(I64, self.together))
                end = b.select(b.icmp_signed("<", end, last), end, last)
                self._list(n, filters, y, end)
                slots = self.times(b.sub(end, y), g.pool.windows[1] * g.pool.points)
                self._place(image, y, end)
                self.each_block(lambda k, block: self._add(k, block, table, slots))

            self.loop(0, g.pool.windows[0], self.together, rows)

        self.loop(0, g.groups, 1, group)

    def _slot(self, y: ir.Value, x: ir.Value, first: ir.Value) -> ir.Value:
        """The first slot of a window."""
        window = self.b.add(self.times(self.b.sub(y, first), self.g.pool.windows[1]), x)
        return self.times(window, self.g.pool.points)

    def _list(self, n: ir.Value, filters: ir.Value, first: ir.Value, end: ir.Value) -> None:
        """For each slot the lines of weights, and the factors, of the filters whose maximum lay there."""
        b, g = self.b, self.g
        slots = self.times(b.sub(end, first), g.pool.windows[1] * g.pool.points)
        self.loop(0, slots, 1, lambda s: b.store(ir.Constant(I64, 0), self.at(self.counts, s, I64)) and None)

        def window(f: ir.Value, y: ir.Value, x: ir.Value) -> None:
            place, grad, counts = self.gradient(n, b.add(filters, f), y, x)
            slot = b.add(self._slot(y, x, first), place)
            count = self.at(self.counts, slot, I64)
            i = b.load(count, typ=I64)
            at = b.add(self.times(slot, g.filters), i)
            b.store(self.times(f, g.lines.length), self.at(self.lines, at, I64))
            b.store(grad, self.at(self.factors, at))
            b.store(b.add(i, b.zext(counts, I64)), count)

        across = g.pool.windows[1]
        self.loop(0, g.filters, 1, lambda f: self.loop(first, end, 1, lambda y: self.loop(
            0, across, 1, lambda x: window(f, y, x))))  # fmt: skip

    def _place(self, image: ir.Value, first: ir.Value, end: ir.Value) -> None:
        """Where the slots lie in the image; those without a result get no list."""
        b, g = self.b, self.g

        def window(y: ir.Value, x: ir.Value) -> None:
            start = self._slot(y, x, first)
            for p in range(g.pool.points):
                down, across = (ir.Constant(I64, i) for i in divmod(p, g.pool.size[1]))
                at, inside = self.position(y, x, down, across)
                slot = self.sum(start, p)
                b.store(b.add(image, at), self.at(self.places, slot, I64))
                if inside is not None:
                    count = self.at(self.counts, slot, I64)
                    b.store(b.select(inside, b.load(count, typ=I64), ir.Constant(I64, 0)), count)

        self.loop(first, end, 1, lambda y: self.loop(0, g.pool.windows[1], 1, lambda x: window(y, x)))

    def _add(self, k: ir.Value, block: _Block, table: ir.Value, slots: ir.Value) -> None:
        b, g = self.b, self.g
        cells = self.cells(block)
        rows = g.filters * g.lines.length
        line = b.add(table, self.times(k, rows))
        down = self.times(k, g.dilation[0] * g.row)

        def slot(s: ir.Value) -> None:
            count = b.load(self.at(self.counts, s, I64), typ=I64)
            with b.if_then(b.icmp_signed(">", count, ir.Constant(I64, 0))):
                for (_, p), cell in cells.items():
                    b.store(self.zero(p.width), cell)
                first = self.times(s, g.filters)
                self.loop(first, b.add(first, count), 1, entry)
                at = b.add(b.load(self.at(self.places, s, I64), typ=I64), down)
                for (r, p), cell in cells.items():
                    here = self.sum(at, r * g.dilation[0] * g.row + p.image)
                    # an infinite gradient makes nan of the empty lanes' zeros
                    more = self.in_use(p, b.load(cell, typ=self.vector(p.width)))
                    self.write(b.fadd(self.read(self.out, here, p.width), more), self.out, here)

        def entry(i: ir.Value) -> None:
            at = b.add(b.load(self.at(self.lines, i, I64), typ=I64), line)
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                self.add_product(cell, factor, self.read(self.operand, self.sum(at, r * rows + p.table), p.width))

        self.loop(0, slots, 1, slot)


__all__ = ["Geometry", "Lines", "Piece", "Pooled", "inputs_text", "sample_size", "scratch_size", "weights_text"]
