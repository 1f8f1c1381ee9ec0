"""Copying a matrix into panels: row by row, or transposed square by square in registers."""

from __future__ import annotations

from functools import cache

from llvmlite import ir

from tinygraph.targets.llvm.panels import EACH, Shape, TableKernel
from tinygraph.targets.llvm.scalars import I32, I64

#: how a matrix lies: its rows' elements side by side, its columns', or neither
ROWS, COLUMNS, APART = "rows", "columns", "apart"


def layout(inner_step: int, column_step: int) -> str:
    """How a matrix with these steps lies."""
    return ROWS if column_step == 1 else COLUMNS if inner_step == 1 else APART


@cache
def pack_text(dtype: str, shape: Shape, lies: str, checked: bool = False) -> str:
    """Panels ``begin .. end`` of a matrix. Table: columns, inner, steps (inner, column), lines; places of both."""
    k = TableKernel("panels_pack", dtype, checked)
    b = k.b
    columns, inner, inner_step, column_step, lines = (k.slot(i) for i in range(5))
    source, packed = (k.place(5 + i * EACH) for i in range(2))
    size = ir.Constant(I64, shape.width)

    def panel(p: ir.Value) -> None:
        first = b.mul(p, size)
        copy = PanelCopy(k, dtype, shape, inner, k.at(packed, b.mul(first, lines)))
        from_, count = k.at(source, b.mul(first, column_step)), b.sub(columns, first)
        if lies == ROWS:
            copy.by_rows(from_, inner_step, count)
        elif lies == COLUMNS:
            copy.by_columns(from_, column_step, count)
        else:
            copy.one_by_one(from_, inner_step, column_step, count)

    k.loop(k.begin, k.end, 1, panel)
    b.ret_void()
    return str(k.module)


class PanelCopy:
    """Prints the copy of a panel, row after row, to ``target``."""

    def __init__(self, k: TableKernel, dtype: str, shape: Shape, inner: ir.Value, target: ir.Value):
        self.k, self.dtype, self.shape, self.inner, self.target = k, dtype, shape, inner, target
        self.type = ir.VectorType(k.number, shape.lanes)

    def by_rows(self, source: ir.Value, line: ir.Value, count: ir.Value) -> None:
        """From rows that are ``line`` apart; columns from ``count`` on become zeros."""
        k, b, n, width = self.k, self.k.b, self.shape.lanes, self.shape.width
        masks = [k.below(count, n, v) for v in range(0, width, n)]

        def row(i: ir.Value) -> None:
            from_, to = k.at(source, b.mul(i, line)), k.at(self.target, b.mul(i, ir.Constant(I64, width)))
            for v, mask in enumerate(masks):
                x = k.masked_load(k.at(from_, ir.Constant(I64, v * n)), mask)
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
                lines.append(k.masked_load(k.at(source, b.add(b.mul(column, line), i)), mask))
            for q, x in enumerate(transposed(b, lines)):
                to = b.add(b.mul(b.add(i, ir.Constant(I64, q)), ir.Constant(I64, width)), v)
                b.store(x, k.at(self.target, to), align=k.bytes)

        def squares(i: ir.Value) -> None:
            mask = k.below(b.sub(self.inner, i), n)
            k.loop(ir.Constant(I64, 0), ir.Constant(I64, width), n, lambda v: square(i, v, mask))

        k.loop(ir.Constant(I64, 0), b.add(self.inner, ir.Constant(I64, n - 1)), n, squares)

    def one_by_one(self, source: ir.Value, line: ir.Value, step: ir.Value, count: ir.Value) -> None:
        """From elements that are ``step`` apart along rows that are ``line`` apart."""
        k, b, width = self.k, self.k.b, ir.Constant(I64, self.shape.width)
        zero, used = ir.Constant(I64, 0), b.select(b.icmp_signed("<", count, width), count, width)

        def row(i: ir.Value) -> None:
            from_, to = k.at(source, b.mul(i, line)), k.at(self.target, b.mul(i, width))

            def one(j: ir.Value) -> None:
                b.store(
                    b.load(k.at(from_, b.mul(j, step)), align=k.bytes, typ=k.number),
                    k.at(to, j),
                    align=k.bytes,
                )

            k.loop(zero, used, 1, one)
            k.loop(used, width, 1, lambda j: b.store(ir.Constant(k.number, 0.0), k.at(to, j), align=k.bytes))

        k.loop(zero, self.inner, 1, row)


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
