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

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.panels import PARAMS, Shape, TableKernel, Tile, ladder
from tinygraph.targets.llvm.products import TRANSPOSED, Product
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, constant, splat

#: bytes of a packed panel, at most: half of a common second-level cache
_PANEL_BYTES = 512 << 10
#: rows from which packing a panel pays, and up to which BLAS's own packing costs it more than ours
_ROWS = 24, 768
_EACH = 2 + 2 * PARAMS


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

    def __init__(self, p: Product, shape: Shape):
        m, n, k, _, lda, tb, ldb, ldc, add = p.slots[:9]
        self.text = product_text(p.dtype, shape, bool(add), tb == TRANSPOSED)
        self.slots: list[Any] = [m, n, k, lda, ldb, ldc, *p.slots[14:]]
        self.panels = -(-n // shape.width)
        itemsize = 4 if p.dtype == "float32" else 8
        self.scratch = (k + shape.lanes) * shape.width * itemsize + 64


@cache
def product_text(dtype: str, shape: Shape, accumulate: bool, by_columns: bool) -> str:
    """Panels ``begin .. end`` of ``out = left @ right`` (or ``+=``); ``by_columns``: so the right matrix lies.

    Table: rows, columns, inner, steps of left's rows, right's lines and out's rows; the places of all three.
    """
    k = TableKernel("product", dtype)
    b = k.b
    rows, columns, inner, row_step, line, out_step = (k.slot(i) for i in range(6))
    left, right, out = (k.place(6 + i * _EACH) for i in range(3))
    own = b.mul(k.function.args[3], b.load(b.gep(k.context, [ir.Constant(I64, 4)], source_etype=I64), typ=I64))
    packed = b.gep(b.load(b.gep(k.context, [ir.Constant(I64, 3)], source_etype=I64), typ=PTR), [own], source_etype=I8)
    tile = Tile(k, dtype, shape, inner, ir.Constant(I64, 1), accumulate)
    pack = _Pack(k, dtype, shape, inner, packed)

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


class _Pack:
    """Prints the copy of a panel of the right matrix into scratch memory, row after row."""

    def __init__(self, k: TableKernel, dtype: str, shape: Shape, inner: ir.Value, target: ir.Value):
        self.k, self.dtype, self.shape, self.inner, self.target = k, dtype, shape, inner, target
        self.type = ir.VectorType(k.number, shape.lanes)

    def by_rows(self, source: ir.Value, line: ir.Value, count: ir.Value) -> None:
        """From rows that are ``line`` apart; columns from ``count`` on become zeros."""
        k, b, n, width = self.k, self.k.b, self.shape.lanes, self.shape.width
        masks = [self._below(count, v) for v in range(0, width, n)]

        def row(i: ir.Value) -> None:
            from_, to = k.at(source, b.mul(i, line)), k.at(self.target, b.mul(i, ir.Constant(I64, width)))
            for v, mask in enumerate(masks):
                x = self._masked(k.at(from_, ir.Constant(I64, v * n)), mask)
                b.store(x, k.at(to, ir.Constant(I64, v * n)), align=k.bytes)

        k.loop(ir.Constant(I64, 0), self.inner, 1, row)

    def by_columns(self, source: ir.Value, line: ir.Value, count: ir.Value) -> None:
        """From columns that are ``line`` apart, square by square; beyond the last column it stands again."""
        k, b, n, width = self.k, self.k.b, self.shape.lanes, self.shape.width
        last = b.sub(count, ir.Constant(I64, 1))

        def square(i: ir.Value, v: ir.Value, mask: ir.Value) -> None:
            lines = []
            for j in range(n):
                number = b.add(v, ir.Constant(I64, j))
                column = b.select(b.icmp_signed("<", number, last), number, last)
                lines.append(self._masked(k.at(source, b.add(b.mul(column, line), i)), mask))
            for q, x in enumerate(transposed(b, lines)):
                to = b.add(b.mul(b.add(i, ir.Constant(I64, q)), ir.Constant(I64, width)), v)
                b.store(x, k.at(self.target, to), align=k.bytes)

        def squares(i: ir.Value) -> None:
            mask = self._below(b.sub(self.inner, i), 0)
            k.loop(ir.Constant(I64, 0), ir.Constant(I64, width), n, lambda v: square(i, v, mask))

        k.loop(ir.Constant(I64, 0), b.add(self.inner, ir.Constant(I64, n - 1)), n, squares)

    def _below(self, count: ir.Value, first: int) -> ir.Value:
        n = self.shape.lanes
        numbers = ir.Constant(ir.VectorType(I64, n), list(range(first, first + n)))
        return self.k.b.icmp_signed("<", numbers, splat(self.k.b, count, n))

    def _masked(self, at: ir.Value, mask: ir.Value) -> ir.Value:
        n = self.shape.lanes
        kind = ir.FunctionType(self.type, [PTR, I32, ir.VectorType(I1, n), self.type])
        load = scalars.declared(self.k.module, f"llvm.masked.load.v{n}f{8 * self.k.bytes}.p0", kind)
        return self.k.b.call(load, [at, ir.Constant(I32, self.k.bytes), mask, constant(0, self.dtype, n)])


def transposed(b: ir.IRBuilder, lines: list[ir.Value]) -> list[ir.Value]:
    """As many vectors as they have lanes, rows turned into columns: blocks swapped, of growing size (Eklundh 1972)."""
    n = len(lines)
    s = 1
    while s < n:
        low = ir.Constant(ir.VectorType(I32, n), [x if not x & s else n + x - s for x in range(n)])
        high = ir.Constant(ir.VectorType(I32, n), [x + s if not x & s else n + x for x in range(n)])
        new = list(lines)
        for i in range(n):
            if not i & s:
                new[i] = b.shuffle_vector(lines[i], lines[i + s], low)
                new[i + s] = b.shuffle_vector(lines[i], lines[i + s], high)
        lines = new
        s *= 2
    return lines
