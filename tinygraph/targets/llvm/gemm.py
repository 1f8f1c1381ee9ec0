"""Matrix products in code of our own: threads take panels of the right matrix, pack each once, and pass all rows by it.

BLAS packs both matrices into blocks for each of its calls, so that a product of few rows that threads share spends
much of its time on packing the same right matrix. Here each column of it is packed by one thread only, into its own
cache, and the left matrix is read where it lies. All sizes are read from the kernel's table: one kernel serves every
shape. (Tiles as in ``panels.py``.) Measured with 2 threads against OpenBLAS: 64x800 by 800x500 in 0.55 to 0.8 of its
time, 128x784 by 784x625 in 0.6 to 0.9, 500x800 by 800x500 in 0.7 to 0.95, 1000x1000 in 0.85 to 1.1; with a left matrix
that lies by columns, so that each step of the sum is in another page of memory, in 1.1 to 1.5.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

from tinygraph.targets.llvm.panel_copies import PanelCopy
from tinygraph.targets.llvm.panels import EACH, Shape, TableKernel, Tile, ladder
from tinygraph.targets.llvm.products import TRANSPOSED, Product
from tinygraph.targets.llvm.scalars import I8, I64, PTR

#: bytes of a packed panel, at most: half of a common second-level cache
_PANEL_BYTES = 512 << 10
#: rows from which packing a panel pays, and up to which BLAS's own packing costs it more than ours
_ROWS = 24, 768


def own_shape(p: Product, bits: int, threads: int) -> Shape | None:
    """The tile with which threads best make the product, or None to leave it to BLAS."""
    m, n, k, left = p.slots[:4]
    if p.batched or not _ROWS[0] <= m <= _ROWS[1] or min(n, k) < 64 or left == TRANSPOSED:
        return None
    lanes = bits // (32 if p.dtype == "float32" else 64)
    tiles = ((6, 4), (8, 3), (12, 2)) if bits == 512 else ((3, 4), (4, 3), (6, 2)) if bits == 256 else ((6, 4), (8, 3))
    best: tuple[float, Shape] | None = None
    for rows, vectors in tiles:
        shape = Shape(rows, vectors, lanes)
        panels = -(-n // shape.width)
        share = -(-panels // threads)
        if k * shape.width * (4 if p.dtype == "float32" else 8) > _PANEL_BYTES:
            continue
        waste = share * threads * shape.width / n
        cost = waste * (1 + (rows + vectors) / (rows * vectors))
        if best is None or cost < best[0]:
            best = cost, shape
    return best[1] if best is not None else None


class OwnProduct:
    """A product's kernel, its table, how many panels there are, and the scratch memory that a thread needs."""

    def __init__(self, p: Product, shape: Shape, checked: bool = False):
        m, n, k, _, lda, tb, ldb, ldc, add = p.slots[:9]
        self.text = product_text(p.dtype, shape, bool(add), tb == TRANSPOSED, checked)
        self.slots: list[Any] = [m, n, k, lda, ldb, ldc, *p.slots[14:]]
        self.panels = -(-n // shape.width)
        itemsize = 4 if p.dtype == "float32" else 8
        self.scratch = (k + shape.lanes) * shape.width * itemsize + 64


@cache
def product_text(dtype: str, shape: Shape, accumulate: bool, by_columns: bool, checked: bool = False) -> str:
    """Panels ``begin .. end`` of ``out = left @ right`` (or ``+=``); ``by_columns``: so the right matrix lies.

    Table: rows, columns, inner, steps of left's rows, right's lines and out's rows; the places of all three.
    """
    k = TableKernel("product", dtype, checked)
    b = k.b
    rows, columns, inner, row_step, line, out_step = (k.slot(i) for i in range(6))
    left, right, out = (k.place(6 + i * EACH) for i in range(3))
    own = b.mul(k.function.args[3], b.load(b.gep(k.context, [ir.Constant(I64, 4)], source_etype=I64), typ=I64))
    packed = b.gep(b.load(b.gep(k.context, [ir.Constant(I64, 3)], source_etype=I64), typ=PTR), [own], source_etype=I8)
    if checked:
        size = b.mul(b.add(inner, ir.Constant(I64, shape.lanes)), ir.Constant(I64, shape.width * k.bytes))
        b.guard_scratch(packed, size)
    tile = Tile(k, dtype, shape, inner, ir.Constant(I64, 1), accumulate)
    pack = PanelCopy(k, dtype, shape, inner, packed)

    def panel(p: ir.Value) -> None:
        first = b.mul(p, ir.Constant(I64, shape.width))
        count = b.sub(columns, first)
        if by_columns:
            pack.by_columns(k.at(right, b.mul(first, line)), line, count)
        else:
            pack.by_rows(k.at(right, first), line, count)
        at: ir.Value = ir.Constant(I64, 0)
        for height in ladder(shape.rows):

            def band(i: ir.Value, height: int = height) -> None:
                lefts = [k.at(left, b.mul(b.add(i, ir.Constant(I64, r)), row_step)) for r in range(height)]
                outs = [k.at(out, b.add(first, b.mul(b.add(i, ir.Constant(I64, r)), out_step))) for r in range(height)]
                tile.print(lefts, packed, outs, count)

            k.loop(at, rows, height, band)
            at = b.sub(rows, b.srem(b.sub(rows, at), ir.Constant(I64, height)))

    k.loop(k.begin, k.end, 1, panel)
    b.ret_void()
    return str(k.module)
