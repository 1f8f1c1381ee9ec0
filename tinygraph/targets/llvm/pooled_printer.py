"""What the kernels of ``pooled_kernels.py`` share: loops, windows of gradients, and blocks of lines of taps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.checks import builder
from tinygraph.targets.llvm.kernel import BODY
from tinygraph.targets.llvm.pooled_geometry import Geometry, Piece
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, splat

#: vectors of sums from which on multiplications overlap
LEAST_VECTORS = 6


class Block(NamedTuple):
    """Lines that are in registers together: ``rows`` of taps from ``first`` in steps, ``pieces`` of each."""

    first: int
    last: int
    rows: int
    pieces: list[Piece]


#: a register for each row of taps (of a block) and piece
Cells = dict[tuple[int, Piece], ir.Value]


class Printer:
    """A kernel; subclasses print its ``body``."""

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
        first, last = (ir.Constant(I64, x) if isinstance(x, int) else x for x in (first, last))
        scalars.loop(self.b, first, last, step, body)

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

    def blocks(self) -> list[Block]:
        """All lines, in blocks that registers hold."""
        most = self.most_vectors()
        pieces, rows = self.g.lines.pieces(), self.g.taps[0]
        if len(pieces) > most:
            parts = -(-len(pieces) // most)
            size = -(-len(pieces) // parts)
            return [Block(0, rows, 1, pieces[i : i + size]) for i in range(0, len(pieces), size)]
        together = min(rows, most // len(pieces))
        together = -(-rows // -(-rows // together))
        whole = rows - rows % together
        found = [Block(0, whole, together, pieces)]
        return found + ([Block(whole, rows, rows - whole, pieces)] if whole < rows else [])

    def most_vectors(self) -> int:
        """Vectors of a block."""
        return 24 if self.g.bits == 512 else 12

    def each_block(self, body: Callable[[ir.Value, Block], None]) -> None:
        """``body(row of taps, block)`` for every block."""
        for block in self.blocks():
            if block.last - block.first == block.rows:
                body(ir.Constant(I64, block.first), block)
            else:
                self.loop(block.first, block.last, block.rows, lambda k, block=block: body(k, block))  # type: ignore[misc]

    def cells(self, block: Block) -> Cells:
        """A register for each piece of a block's lines."""
        return {(r, p): self.top.alloca(self.vector(p.width)) for r in range(block.rows) for p in block.pieces}

    def add_product(self, cell: ir.Value, factor: ir.Value, v: ir.Value) -> None:
        b = self.b
        new = scalars.intrinsic(b, "fma", [v, splat(b, factor, v.type.count), b.load(cell, typ=v.type)])
        b.store(new, cell)

    def each_entry(
        self, cells: Cells, first: ir.Value, last: ir.Value, entry: Callable[[ir.Value, Cells], None]
    ) -> None:
        """``entry(i, cells)`` along a list; some at once, to sums of their own, where a block has few vectors."""
        b, copies = self.b, min(4, -(-LEAST_VECTORS // len(cells)))
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


__all__ = ["LEAST_VECTORS", "Block", "Cells", "Printer"]
