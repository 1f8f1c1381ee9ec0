"""Matrix products in code of our own: panels of the right matrix in each thread's cache, tiles of results in registers.

Threads share out the result, by rows or by columns or both. Each goes through its share in blocks (Goto and van de
Geijn, "Anatomy of high-performance matrix multiplication", 2008): panels of the right matrix, as much as the
second-level cache holds, are packed once and multiplied by a block of rows after the other. The left matrix is read
where it lies if a row's elements lie side by side; else a block of it is packed too, in bands of a tile's height, or
each step of the sum would be in another page of memory. All sizes are read from the kernel's table: one kernel serves
every shape. (Tiles as in ``panels.py``.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir

from tinygraph.targets.llvm.panel_copies import PanelCopy
from tinygraph.targets.llvm.panels import EACH, Shape, TableKernel, Tile
from tinygraph.targets.llvm.products import TRANSPOSED, Product
from tinygraph.targets.llvm.scalars import I8, I64, PTR

#: lines of packed panels, at most; bytes of the panels and of the left matrix's rows that are multiplied together:
#: both fit a common second-level cache
_INNER, _PANEL_BYTES, _LEFT_BYTES = 512, 512 << 10, 192 << 10
#: the smallest sizes of a product for which packing pays
_ROWS, _OTHERS = 24, 64
#: bands of the left matrix that are packed at once
_BANDS = 4
#: how much packing an element of the left and of the right matrix costs, in multiplications of it
_LEFT_COST, _RIGHT_COST = 24, 12
#: tiles by bits of a vector: rows, and vectors of each
_TILES = {512: ((6, 4), (5, 5), (8, 3), (12, 2)), 256: ((3, 4), (4, 3), (6, 2))}
_OTHER_TILES = ((6, 4), (8, 3))
#: by the rows of a tile, how many are taken at once: its remainders are few
_HEIGHTS = {3: (3, 1), 4: (4, 1), 5: (5, 2, 1), 6: (6, 2, 1), 8: (8, 3, 1), 12: (12, 4, 1)}


@dataclass(frozen=True)
class Share:
    """How threads share a product: the tile, and the rows and columns of each one's part."""

    shape: Shape
    rows: int
    columns: int


def own_share(p: Product, bits: int, shares: int) -> Share | None:
    """How the product is best made in about so many shares, or None to leave it to BLAS."""
    m, n, k = p.slots[:3]
    if p.batched or m < _ROWS or min(n, k) < _OTHERS:
        return None
    return min(_shares(p, bits, shares), key=lambda s: _cost(p, s, shares))


def _shares(p: Product, bits: int, shares: int) -> Iterator[Share]:
    lanes = bits // (32 if p.dtype == "float32" else 64)
    m, n = p.slots[:2]
    for tile in _TILES.get(bits, _OTHER_TILES):
        shape = Shape(*tile, lanes)
        for across in range(1, shares + 1):
            down = shares // across
            yield Share(shape, _part(m, down, shape.rows), _part(n, across, shape.width))


def _part(n: int, parts: int, unit: int) -> int:
    return -(-n // (parts * unit)) * unit


def _cost(p: Product, s: Share, shares: int) -> float:
    """Time of the largest share, for each multiplication of the product."""
    m, n = p.slots[:2]
    tile = s.shape
    packing = _RIGHT_COST / s.rows + (_LEFT_COST / s.columns if p.slots[3] == TRANSPOSED else 0)
    loads = (tile.rows + tile.vectors) / (tile.rows * tile.vectors)
    return s.rows * s.columns * shares / (m * n) * (1 + loads) * (1 + packing)


class OwnProduct:
    """Which kernel makes a product, its table, how many parts threads share, and the scratch memory that each needs."""

    def __init__(self, p: Product, share: Share):
        m, n, k, lies, lda, tb, ldb, ldc, add = p.slots[:9]
        shape, size = share.shape, 4 if p.dtype == "float32" else 8
        #: arguments for ``product_text``
        self.kind = p.dtype, shape
        inner = shape.lines(-(-k // -(-k // _INNER)))
        wide = min(share.columns, max(1, _PANEL_BYTES // (inner * shape.width * size)) * shape.width)
        high = min(share.rows, max(1, _LEFT_BYTES // (inner * shape.rows * size)) * shape.rows)
        across = -(-n // share.columns)
        self.parts = -(-m // share.rows) * across
        self.slots: list[Any] = [m, n, k, lda, ldb, ldc, add, lies == TRANSPOSED, tb == TRANSPOSED]
        self.slots += [share.rows, share.columns, across, inner, wide, high, *p.slots[14:]]
        bands = (
            -(-high // shape.rows // _BANDS) * _BANDS * (inner * shape.rows + _excess(shape))
            if lies == TRANSPOSED
            else 0
        )
        self.scratch = -(-(inner * wide + bands) * size // 64) * 64


def _piece(shape: Shape) -> int:
    """Numbers that are copied at once to a line of a packed band: not more than need be, as most cross cache lines."""
    return min(shape.lanes, 1 << (shape.rows - 1).bit_length())


def _excess(shape: Shape) -> int:
    """Numbers that a line of a packed band may write beyond its end, as it is stored in whole vectors."""
    return -shape.rows % _piece(shape)


@cache
def product_text(dtype: str, shape: Shape, checked: bool = False) -> str:
    """Parts ``begin .. end`` of ``out = left @ right``.

    Table: rows, columns, inner, steps of left's, right's and out's lines, whether to add to out, whether left and right
    lie column by column, rows and columns of a part, parts side by side, lines, columns and rows of blocks; the places
    of left, right and out.
    """
    return _Printer(dtype, shape, checked).text()


class _Printer:
    """Prints the kernel, loop by loop from the outermost."""

    def __init__(self, dtype: str, shape: Shape, checked: bool):
        k = self.k = TableKernel("product", dtype, checked)
        b = self.b = k.b
        self.dtype, self.shape = dtype, shape
        self.rows, self.columns, self.inner, self.lda, self.ldb, self.ldc = (k.slot(i) for i in range(6))
        self.add, self.left_columns, self.right_columns = (
            b.icmp_signed("!=", k.slot(i), ir.Constant(I64, 0)) for i in range(6, 9)
        )
        self.part_rows, self.part_columns, self.across = (k.slot(i) for i in range(9, 12))
        self.lines, self.wide, self.high = (k.slot(i) for i in range(12, 15))
        self.left, self.right, self.out = (k.place(15 + i * EACH) for i in range(3))
        size = b.load(b.gep(k.context, [ir.Constant(I64, 4)], source_etype=I64), typ=I64)
        scratch = b.load(b.gep(k.context, [ir.Constant(I64, 3)], source_etype=I64), typ=PTR)
        self.panels = b.gep(scratch, [b.mul(k.function.args[3], size)], source_etype=I8)
        b.guard_scratch(self.panels, size)
        self.bands = k.at(self.panels, b.mul(self.wide, self.lines))

    def text(self) -> str:
        self.k.loop(self.k.begin, self.k.end, 1, self._part)
        self.b.ret_void()
        return str(self.k.module)

    def _part(self, e: ir.Value) -> None:
        b, k = self.b, self.k
        first = b.mul(b.sdiv(e, self.across), self.part_rows)
        last = k.least(b.add(first, self.part_rows), self.rows)
        begin = b.mul(b.srem(e, self.across), self.part_columns)
        end = k.least(b.add(begin, self.part_columns), self.columns)

        def columns(j: ir.Value, j_end: ir.Value) -> None:
            k.blocks(ir.Constant(I64, 0), self.inner, self.lines, lambda s, s_end: inner(j, j_end, s, s_end))

        def inner(j: ir.Value, j_end: ir.Value, s: ir.Value, s_end: ir.Value) -> None:
            depth = b.sub(s_end, s)
            self._pack_right(j, j_end, s, depth)
            k.blocks(first, last, self.high, lambda i, i_end: self._block(i, i_end, j, j_end, s, depth))

        k.blocks(begin, end, self.wide, columns)

    def _pack_right(self, j: ir.Value, j_end: ir.Value, s: ir.Value, depth: ir.Value) -> None:
        b, k = self.b, self.k

        def panel(c: ir.Value) -> None:
            copy = PanelCopy(
                k, self.dtype, self.shape, depth, k.at(self.panels, b.mul(b.sub(c, j), self.lines))
            )
            count = b.sub(self.columns, c)
            with b.if_else(self.right_columns) as (by_columns, by_rows):
                with by_columns:
                    copy.by_columns(k.at(self.right, b.add(b.mul(c, self.ldb), s)), self.ldb, count)
                with by_rows:
                    copy.by_rows(k.at(self.right, b.add(b.mul(s, self.ldb), c)), self.ldb, count)

        self._each_panel(j, j_end, panel)

    def _each_panel(self, j: ir.Value, j_end: ir.Value, body: Any) -> None:
        width = self.shape.width
        self.k.loop(j, self.b.add(j_end, ir.Constant(I64, width - 1)), width, body)

    def _block(
        self, i: ir.Value, i_end: ir.Value, j: ir.Value, j_end: ir.Value, s: ir.Value, depth: ir.Value
    ) -> None:
        """Some rows by the panels that are packed."""
        b, k, shape = self.b, self.k, self.shape
        with b.if_then(self.left_columns):
            self._pack_left(i, i_end, s, depth)
        adds = b.or_(self.add, b.icmp_signed(">", s, ir.Constant(I64, 0)))
        step = b.select(self.left_columns, ir.Constant(I64, shape.rows), ir.Constant(I64, 1))
        tile = Tile(k, self.dtype, shape, depth, step, adds)

        def panel(c: ir.Value) -> None:
            packed = k.at(self.panels, b.mul(b.sub(c, j), self.lines))
            masks = tile.masks(b.sub(self.columns, c))
            at = i
            for height in _HEIGHTS[shape.rows]:

                def band(r: ir.Value, height: int = height) -> None:
                    rows = [b.add(r, ir.Constant(I64, x)) for x in range(height)]
                    outs = [k.at(self.out, b.add(b.mul(x, self.ldc), c)) for x in rows]
                    tile.print(self._lefts(rows, i, s), packed, outs, masks)

                k.loop(at, i_end, height, band)
                at = b.sub(i_end, b.srem(b.sub(i_end, at), ir.Constant(I64, height)))

        self._each_panel(j, j_end, panel)

    def _lefts(self, rows: list[ir.Value], i: ir.Value, s: ir.Value) -> list[ir.Value]:
        """Where a tile's rows of the left matrix start."""
        b, k = self.b, self.k
        number, high = b.sub(rows[0], i), ir.Constant(I64, self.shape.rows)
        band = b.add(b.mul(b.sdiv(number, high), self._band()), b.srem(number, high))
        packed, lying = k.at(self.bands, band), k.at(self.left, b.add(b.mul(rows[0], self.lda), s))
        first = b.select(self.left_columns, packed, lying)
        step = b.select(self.left_columns, ir.Constant(I64, 1), self.lda)
        return [k.at(first, b.mul(step, ir.Constant(I64, x))) for x in range(len(rows))]

    def _band(self) -> ir.Value:
        """Numbers from a packed band to the next."""
        b, shape = self.b, self.shape
        return b.add(b.mul(self.lines, ir.Constant(I64, shape.rows)), ir.Constant(I64, _excess(shape)))

    def _pack_left(self, i: ir.Value, i_end: ir.Value, s: ir.Value, depth: ir.Value) -> None:
        """The rows from ``i`` on in bands, some at once; what a vector holds too much, the next line overwrites."""
        b, k, rows, n = self.b, self.k, self.shape.rows, _piece(self.shape)
        band = self._band()

        def some(r: ir.Value) -> None:
            count = b.sub(i_end, r)
            from_ = k.at(self.left, b.add(b.mul(s, self.lda), r))
            to = k.at(self.bands, b.mul(b.sdiv(b.sub(r, i), ir.Constant(I64, rows)), band))
            starts = [k.at(to, b.mul(band, ir.Constant(I64, x))) for x in range(_BANDS)]
            pieces = [(start, x * rows, v) for x, start in enumerate(starts) for v in range(0, rows, n)]
            masks = [k.below(count, n, at + v) for _, at, v in pieces]

            def line(x: ir.Value) -> None:
                here, there = k.at(from_, b.mul(x, self.lda)), b.mul(x, ir.Constant(I64, rows))
                for (start, at, v), mask in zip(pieces, masks, strict=True):
                    value = k.masked_load(k.at(here, ir.Constant(I64, at + v)), mask)
                    b.store(value, k.at(k.at(start, there), ir.Constant(I64, v)), align=k.bytes)

            k.loop(ir.Constant(I64, 0), depth, 1, line)

        step = rows * _BANDS
        k.loop(i, b.add(i_end, ir.Constant(I64, step - 1)), step, some)
