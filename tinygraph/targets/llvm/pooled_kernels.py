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

from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from typing import NamedTuple

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.checks import builder
from tinygraph.targets.llvm.kernel import BODY
from tinygraph.targets.llvm.pooled_geometry import Geometry, Piece
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, splat

#: bytes of images, and of lists, that the kernels work on at once
_IMAGES, _LISTS = 16 << 10, 16 << 10
#: bytes of weights that are to stay in the nearest cache, and vectors of sums from which on multiplications overlap
_WEIGHTS, _LEAST_VECTORS = 24 << 10, 6


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


class _Block(NamedTuple):
    """Lines that are in registers together: ``rows`` of taps from ``first`` in steps, ``pieces`` of each."""

    first: int
    last: int
    rows: int
    pieces: list[Piece]


#: a register for each row of taps (of a block) and piece
_Cells = dict[tuple[int, Piece], ir.Value]


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
        self.bytes = g.bytes
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

    def at(self, base: ir.Value, index: ir.Value | int, kind: ir.Type | None = None) -> ir.Value:
        index = ir.Constant(I64, index) if isinstance(index, int) else index
        return self.b.gep(base, [index], source_etype=kind or self.number)

    def word(self, base: ir.Value, index: ir.Value) -> ir.Value:
        """A number of 32 bits, which is not negative, as one of 64."""
        return self.b.zext(self.b.load(self.at(base, index, I32), typ=I32), I64)

    def vector(self, width: int) -> ir.VectorType:
        return ir.VectorType(self.number, width)

    def zero(self, width: int) -> ir.Constant:
        return scalars.constant(0, self.g.dtype, width)

    def read(self, base: ir.Value, index: ir.Value | int, width: int) -> ir.Value:
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

    def parts(self, sizes: list[int]) -> Iterator[ir.Value]:
        """Pieces of the scratch memory."""
        for k, size in enumerate(sizes):
            pointer = self.top.gep(self.scratch, [ir.Constant(I64, sum(sizes[:k]))], source_etype=I8)
            self.b.guard_scratch(pointer, size, self.top)
            yield pointer

    def channel(self, n: ir.Value, f: ir.Value) -> list[ir.Value]:
        """Where a channel's places and gradients begin."""
        strides = self.g.pool.place, self.g.pool.grad
        return [
            self.sum(slot, self.times(n, s[0]), self.times(f, s[1]))
            for slot, s in zip(self.slots[4:6], strides, strict=True)
        ]

    def windows(self, channel: list[ir.Value], w: ir.Value, width: int) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Points and gradients of ``width`` windows from ``w`` on (more than one only where they lie flat).

        And which of them count: those that are not 0, at a point that the window has.
        """
        b, pool = self.b, self.g.pool
        at = [b.add(start, self._window(w, s)) for start, s in zip(channel, (pool.place, pool.grad), strict=True)]
        kind = scalars.memory_type(pool.place_dtype)
        point = b.load(self.at(self.place, at[0], kind), align=kind.width // 8, typ=ir.VectorType(kind, width))
        point = b.zext(point, ir.VectorType(I32, width)) if kind.width < 32 else point
        last = self.words(pool.points - 1, width)
        inside = b.icmp_unsigned("<=", point, last)
        grad = self.read(self.grad, at[1], width)
        counts = b.and_(inside, b.fcmp_unordered("!=", grad, self.zero(width)))
        return b.select(inside, point, last), grad, counts

    def _window(self, w: ir.Value, steps: tuple[int, ...]) -> ir.Value:
        if self.g.pool.flat:
            return w
        across = ir.Constant(I64, self.g.pool.windows[1])
        down, right = self.b.udiv(w, across), self.b.urem(w, across)
        return self.b.add(self.times(down, steps[2]), self.times(right, steps[3]))

    def corner(self, w: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Row and column of a window's first point, and where in the packed image the first tap meets it (i32)."""
        b, pool = self.b, self.g.pool
        across = ir.Constant(I64, pool.windows[1])
        y, x = (
            b.sub(self.times(i, pool.step[k]), ir.Constant(I64, pool.first[k]))
            for k, i in enumerate((b.udiv(w, across), b.urem(w, across)))
        )
        start = b.add(self.times(y, self.g.steps[0]), self.times(x, self.g.steps[1]))
        return b.trunc(y, I32), b.trunc(x, I32), b.trunc(start, I32)

    def has_result(self, y: ir.Value, x: ir.Value) -> ir.Value:
        """Whether there are results in these rows and columns (i32, or vectors of them)."""
        rows, columns = (splat(self.b, ir.Constant(I32, n), getattr(y.type, "count", 0)) for n in self.g.results)
        return self.b.and_(self.b.icmp_unsigned("<", y, rows), self.b.icmp_unsigned("<", x, columns))

    def words(self, value: int, width: int) -> ir.Constant:
        return ir.Constant(ir.VectorType(I32, width), [value] * width)

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

    def cells(self, block: _Block) -> _Cells:
        """A register for each piece of a block's lines."""
        return {(r, p): self.top.alloca(self.vector(p.width)) for r in range(block.rows) for p in block.pieces}

    def add_product(self, cell: ir.Value, factor: ir.Value, v: ir.Value) -> None:
        b = self.b
        new = scalars.intrinsic(b, "fma", [v, splat(b, factor, v.type.count), b.load(cell, typ=v.type)])
        b.store(new, cell)

    def each_entry(
        self, cells: _Cells, first: ir.Value, last: ir.Value, entry: Callable[[ir.Value, _Cells], None]
    ) -> None:
        """``entry(i, cells)`` along a list; some at once, to sums of their own, where a block has few vectors."""
        b, copies = self.b, min(4, -(-_LEAST_VECTORS // len(cells)))
        if copies > 1:
            more = [{key: self.top.alloca(self.vector(key[1].width)) for key in cells} for _ in range(copies - 1)]
            for other in more:
                for (_, p), cell in other.items():
                    b.store(self.zero(p.width), cell)
            whole = b.sub(last, b.urem(b.sub(last, first), ir.Constant(I64, copies)))

            def some(i: ir.Value) -> None:
                for k, each in enumerate([cells, *more]):
                    entry(self.sum(i, k), each)

            self.loop(first, whole, copies, some)
            for other in more:
                for key, cell in cells.items():
                    kind = self.vector(key[1].width)
                    b.store(b.fadd(b.load(cell, typ=kind), b.load(other[key], typ=kind)), cell)
            first = whole
        self.loop(first, last, 1, lambda i: entry(i, cells))

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

    def _add(self, k: ir.Value, block: _Block, table: ir.Value, image: ir.Value) -> None:
        b, g = self.b, self.g
        cells = self.cells(block)
        line = b.add(table, self.times(k, g.lines.length))
        for (r, p), cell in cells.items():
            b.store(self.read(self.out, self.sum(line, r * g.lines.length + p.table), p.width), cell)
        first = self.at(self.operand, b.add(image, self.times(k, g.dilation[0] * g.row)))

        def entry(i: ir.Value, cells: _Cells) -> None:
            at = self.at(first, self.word(self.places, i))
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                # lanes that are not in use meet what lies behind: more of the image, or zeros
                x = self.read(at, r * g.dilation[0] * g.row + p.image, p.width)
                self.add_product(cell, factor, x)

        self.each_entry(cells, ir.Constant(I64, 0), b.load(self.count, typ=I64), entry)
        for (r, p), cell in cells.items():
            self.write(b.load(cell, typ=self.vector(p.width)), self.out, self.sum(line, r * g.lines.length + p.table))


class _Inputs(_Printer):
    """A *slot* is a point of a window: ``places`` says where it lies, ``counts`` how long its list is."""

    def body(self) -> None:
        self.together = _rows_at_once(self.g)
        self.places, self.counts, self.lines, self.factors = self.parts(_inputs_scratch(self.g))
        self.loop(self.begin, self.end, 1, self._sample)

    def most_vectors(self) -> int:
        """The weights of a block, which every list reads some of, should stay in the nearest cache."""
        near = _WEIGHTS // (self.g.filters * self.g.lanes * self.bytes)
        return max(min(super().most_vectors(), near), _LEAST_VECTORS)

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

    def _add(self, k: ir.Value, block: _Block, table: ir.Value, slots: ir.Value, image: ir.Value) -> None:
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

        def entry(i: ir.Value, cells: _Cells) -> None:
            at = self.at(lines, self.word(self.lines, i))
            factor = b.load(self.at(self.factors, i), typ=self.number)
            for (r, p), cell in cells.items():
                self.add_product(cell, factor, self.read(at, r * rows + p.table, p.width))

        self.loop(0, slots, 1, slot)


__all__ = ["inputs_text", "scratch_size", "weights_text"]
