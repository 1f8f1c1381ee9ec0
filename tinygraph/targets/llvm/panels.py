"""Matrix products with a packed right operand: what a loop multiplies by at every step is packed once, before it.

The right matrix lies in panels of a few vectors' width, each stored row after row and the last filled up with zeros,
so that the innermost loop reads it in order. A tile of results, some rows by one panel, is summed in registers over
the whole inner dimension (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, whose
blocking of the inner dimension is left out: a loop step's rows are few). All sizes are read from the kernel's table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.checks import builder
from tinygraph.targets.llvm.scalars import I32, I64, PTR, constant, splat

BODY = ir.FunctionType(ir.VoidType(), [PTR, I64, I64, I64])
#: host integers that may move one operand
PARAMS = 2
#: rows that are multiplied by one panel before the next: they stay in the second-level cache, the panel in the first
_ROWS = 96


@dataclass(frozen=True)
class Shape:
    """A tile of results: ``rows`` by ``vectors`` of ``lanes`` numbers."""

    rows: int
    vectors: int
    lanes: int

    @property
    def width(self) -> int:
        """Columns of a panel."""
        return self.vectors * self.lanes

    def lines(self, inner: int) -> int:
        """Rows that a panel has room for: whole squares, as they are transposed."""
        return -(-inner // self.lanes) * self.lanes


#: rows and vectors of tiles, by how many vector registers there are beside the operands
_TILES = {32: ((6, 4), (8, 3), (12, 2), (16, 1)), 16: ((3, 4), (4, 3), (6, 2), (8, 1))}


def best_shape(dtype: str, bits: int, rows: int, columns: int) -> Shape:
    """The tile with which a product of ``columns`` columns needs the fewest multiplications and loads."""
    lanes = bits // (32 if dtype == "float32" else 64)
    registers = 16 if bits == 256 else 32

    def cost(tile: tuple[int, int]) -> float:
        r, v = tile
        width = v * lanes
        return -(-columns // width) * width * (1 + (r + v) / (r * v))

    r, v = min(_TILES[registers], key=cost)
    return Shape(r, v, lanes)


class TableKernel:
    """A function with the kernels' signature, and its table."""

    def __init__(self, name: str, dtype: str, checked: bool = False):
        self.module = ir.Module(name=name)
        self.function = ir.Function(self.module, BODY, "kernel")
        self.b = builder(self.function.append_basic_block("entry"), checked)
        self.context, self.begin, self.end, _ = self.function.args
        self.number = scalars.memory_type(dtype)
        self.bytes = 4 if dtype == "float32" else 8
        self.table, self.params, self.args = (self._context(i) for i in range(3))

    def _context(self, index: int) -> ir.Value:
        return self.b.load(self.b.gep(self.context, [ir.Constant(I64, index)], source_etype=I64), typ=PTR)

    def slot(self, index: int) -> ir.Value:
        return self.b.load(self.b.gep(self.args, [ir.Constant(I64, index)], source_etype=I64), typ=I64)

    def place(self, first: int) -> ir.Value:
        """Where an operand starts: the slots ``first ..`` hold its buffer, offset, and params with their factors."""
        b, index = self.b, self.slot(first)
        base = b.load(b.gep(self.table, [index], source_etype=I64), typ=PTR)
        b.guard_buffer(base, index)
        offset = self.slot(first + 1)
        for j in range(PARAMS):
            by = b.load(b.gep(self.params, [self.slot(first + 2 + 2 * j)], source_etype=I64), typ=I64)
            offset = b.add(offset, b.mul(by, self.slot(first + 3 + 2 * j)))
        return self.at(base, offset)

    def at(self, base: ir.Value, elements: ir.Value) -> ir.Value:
        return self.b.gep(base, [elements], source_etype=self.number)

    def loop(self, first: ir.Value, last: ir.Value, step: int, body: Callable[[ir.Value], None]) -> None:
        """``body(i)`` while ``i + step <= last``, from ``first`` in steps."""
        b = self.b
        bound = b.sub(last, ir.Constant(I64, step - 1)) if step > 1 else last
        scalars.loop(b, first, bound, step, body)

    def blocks(
        self, first: ir.Value, last: ir.Value, size: ir.Value, body: Callable[[ir.Value, ir.Value], None]
    ) -> None:
        """``body(i, end)`` for stretches of ``size`` from ``first`` up to ``last``, the last one perhaps shorter."""
        b = self.b
        before = b.block
        inside, after = b.append_basic_block("block"), b.append_basic_block("after")
        b.cbranch(b.icmp_signed("<", first, last), inside, after)
        b.position_at_end(inside)
        i = b.phi(I64)
        i.add_incoming(first, before)
        end = self.least(b.add(i, size), last)
        body(i, end)
        i.add_incoming(end, b.block)
        b.cbranch(b.icmp_signed("<", end, last), inside, after)
        b.position_at_end(after)

    def least(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def below(self, count: ir.Value, lanes: int, first: int = 0) -> ir.Value:
        """A mask: which of the numbers ``first ..``, one for each lane, are less than ``count``."""
        numbers = ir.Constant(ir.VectorType(I64, lanes), list(range(first, first + lanes)))
        return self.b.icmp_signed("<", numbers, splat(self.b, count, lanes))

    def masked_load(self, at: ir.Value, mask: ir.Value) -> ir.Value:
        """A vector, zeros in the lanes that the mask leaves out."""
        n = mask.type.count
        kind = ir.VectorType(self.number, n)
        load = ir.FunctionType(kind, [PTR, I32, mask.type, kind])
        zeros = ir.Constant(kind, [0.0] * n)
        return self.b.call(self._masked("load", n, load), [at, ir.Constant(I32, self.bytes), mask, zeros])

    def masked_store(self, value: ir.Value, at: ir.Value, mask: ir.Value) -> None:
        store = ir.FunctionType(ir.VoidType(), [value.type, PTR, I32, mask.type])
        f = self._masked("store", mask.type.count, store)
        self.b.call(f, [value, at, ir.Constant(I32, self.bytes), mask])

    def _masked(self, what: str, lanes: int, kind: ir.FunctionType) -> ir.Function:
        return scalars.declared(self.module, f"llvm.masked.{what}.v{lanes}f{8 * self.bytes}.p0", kind)

    def prefetch(self, at: ir.Value) -> None:
        """Have the line at an address brought near that will be written soon."""
        kind = ir.FunctionType(ir.VoidType(), [PTR, I32, I32, I32])
        write, near, data = (ir.Constant(I32, x) for x in (1, 3, 1))
        self.b.call(scalars.declared(self.module, "llvm.prefetch.p0", kind), [at, write, near, data])


#: numbers that a place takes in a table
EACH = 2 + 2 * PARAMS


@cache
def product_text(dtype: str, shape: Shape, accumulate: bool, checked: bool = False) -> str:
    """Rows ``begin .. end`` of ``out = left @ packed`` (or ``+=``).

    Table: columns, inner, strides of left (row, inner) and of out (row), lines of a panel; then the places of left,
    packed and out.
    """
    k = TableKernel("panels_product", dtype, checked)
    b = k.b
    columns, inner, row_step, inner_step, out_step, lines = (k.slot(i) for i in range(6))
    left, packed, out = (k.place(6 + i * EACH) for i in range(3))
    tile = Tile(k, dtype, shape, inner, inner_step, accumulate)
    zero, width = ir.Constant(I64, 0), shape.width

    def bands(first: ir.Value, last: ir.Value, j: ir.Value) -> None:
        """The rows from ``first`` to ``last`` of the panel that starts at column ``j``."""
        masks = tile.masks(b.sub(columns, j))
        for height in ladder(shape.rows):

            def band(i: ir.Value, height: int = height) -> None:
                places = [b.add(i, ir.Constant(I64, r)) for r in range(height)]
                lefts = [k.at(left, b.mul(r, row_step)) for r in places]
                outs = [k.at(out, b.add(b.mul(r, out_step), j)) for r in places]
                tile.print(lefts, k.at(packed, b.mul(j, lines)), outs, masks)

            k.loop(first, last, height, band)
            first = b.sub(last, b.srem(b.sub(last, first), ir.Constant(I64, height)))

    def block(i: ir.Value) -> None:
        end = b.add(i, ir.Constant(I64, _ROWS))
        end = b.select(b.icmp_signed("<", end, k.end), end, k.end)
        k.loop(zero, b.add(columns, ir.Constant(I64, width - 1)), width, lambda j: bands(i, end, j))

    k.loop(k.begin, b.add(k.end, ir.Constant(I64, _ROWS - 1)), _ROWS, block)
    b.ret_void()
    return str(k.module)


def ladder(rows: int) -> Sequence[int]:
    """Heights of tiles, largest first, down to 1: a stretch of any length is cut into them."""
    return [rows, *[h for h in (8, 4, 2, 1) if h < rows]]


class Tile:
    """Prints one tile of results."""

    def __init__(
        self, k: TableKernel, dtype: str, shape: Shape, inner: ir.Value, inner_step: ir.Value,
        accumulate: bool | ir.Value,
    ):  # fmt: skip
        self.k, self.dtype, self.n, self.vectors = k, dtype, shape.lanes, shape.vectors
        self.inner, self.inner_step, self.accumulate = inner, inner_step, accumulate
        self.type = ir.VectorType(k.number, shape.lanes)

    def masks(self, columns: ir.Value) -> list[ir.Value]:
        """Which of a tile's columns are stored, where there are so many from its first on."""
        return [self.k.below(columns, self.n, v * self.n) for v in range(self.vectors)]

    def print(
        self, lefts: list[ir.Value], packed: ir.Value, outs: list[ir.Value], masks: list[ir.Value]
    ) -> None:
        """``lefts`` and ``outs``: where the tile's rows start."""
        for out in outs:
            for v in range(self.vectors):
                self.k.prefetch(self.k.at(out, ir.Constant(I64, v * self.n)))
        sums = self._sums(lefts, packed)
        for v, mask in enumerate(masks):
            for out, row in zip(outs, sums, strict=True):
                self._store(self.k.at(out, ir.Constant(I64, v * self.n)), row[v], mask)

    def _sums(self, lefts: list[ir.Value], packed: ir.Value) -> list[list[ir.Value]]:
        k, b = self.k, self.k.b
        before = b.block
        inside, after = b.append_basic_block("inner"), b.append_basic_block("summed")
        zero = constant(0, self.dtype, self.n)
        start = ir.Constant(I64, 0)
        some = b.icmp_signed("<", start, self.inner)
        b.cbranch(some, inside, after)
        b.position_at_end(inside)
        i, distance, source = b.phi(I64), b.phi(I64), b.phi(PTR)
        b.follow(source, packed)
        held = [[b.phi(self.type) for _ in range(self.vectors)] for _ in lefts]
        rights = [
            b.load(k.at(source, ir.Constant(I64, v * self.n)), align=k.bytes, typ=self.type)
            for v in range(self.vectors)
        ]
        new = []
        for left, row in zip(lefts, held, strict=True):
            x = splat(b, b.load(k.at(left, distance), align=k.bytes, typ=k.number), self.n)
            new.append([scalars.intrinsic(b, "fma", [x, r, h]) for r, h in zip(rights, row, strict=True)])
        pairs = [(i, start, b.add(i, ir.Constant(I64, 1))),
                 (distance, start, b.add(distance, self.inner_step)),
                 (source, packed, k.at(source, ir.Constant(I64, self.vectors * self.n)))]  # fmt: skip
        pairs += [(h, zero, x) for hs, xs in zip(held, new, strict=True) for h, x in zip(hs, xs, strict=True)]
        for phi, first, following in pairs:
            phi.add_incoming(first, before)
            phi.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", pairs[0][2], self.inner), inside, after)
        last = b.block
        b.position_at_end(after)
        out = []
        for xs in new:
            row = []
            for x in xs:
                phi = b.phi(self.type)
                phi.add_incoming(zero, before)
                phi.add_incoming(x, last)
                row.append(phi)
            out.append(row)
        return out

    def _store(self, at: ir.Value, value: ir.Value, mask: ir.Value) -> None:
        b, k = self.k.b, self.k
        if self.accumulate is not False:
            none = ir.Constant(mask.type, [0] * self.n)
            old = mask if self.accumulate is True else b.select(self.accumulate, mask, none)
            value = b.fadd(k.masked_load(at, old), value)
        k.masked_store(value, at, mask)
