"""Products with rows gathered from a small table: the table is multiplied, once, and the rows come after.

before -> after, ``e`` of V rows, ``i`` of R indices, V at most half of R::

    e[i] @ w                              ->   (e @ w)[i]
    e[i].T @ d                            ->   e.T @ s,  s = zeros(V, ..), s[i] += d
    g[i] += d @ w.T                       ->   g += s @ w.T

That is an embedding before a dense layer (or before a loop's input product), and its gradients: V rows are multiplied
instead of R, three times; what is left to do for each of the R rows is an addition. Sums are taken in another order:
results differ by rounding, as between two BLAS libraries. Rows that no index names count as zeros in ``e`` and are left
alone in ``g``, so that an inf or nan in them or in ``w`` reaches what it reached before, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from tinygraph.program.contraction import is_product
from tinygraph.program.expr import Access, Expr, binary, const, load, loads, postorder, rebuild, select
from tinygraph.program.instructions import Buffer, Instruction, Nest, Program, c_strides
from tinygraph.program.text import expr_text

#: multiplications from which a product is looked at, and columns of a table from which an addition is cheap beside it
_LEAST_WORK, _LEAST_COLUMNS = 1 << 16, 16


def multiply_tables(program: Program) -> None:
    """Rewrite the program's products in place, at its outermost level; before fusion."""
    program.instructions = _Tables(program).run()


class _Rows(NamedTuple):
    """Rows of a table by index, as a gather or scatter walks them: ``table[numbers(row)] <-> matrix[row]``."""

    nest: Nest
    table: Access  # of row 0, column 0
    step: int  # from one row of the table to the next
    matrix: Buffer  # (rows, columns), in order
    rows: int
    columns: int
    one: Expr  # one of the table's rows, as the nest computes it
    axes: tuple[int, ...]  # of the nest, that run over the rows

    @property
    def table_rows(self) -> int:
        return int(self.one.attr)

    def number(self, strides: Sequence[int], first: int = 0) -> Expr:
        """The row's index where the rows are walked with ``strides``, from ``first`` on."""

        def leaf(x: Expr) -> Expr:
            if x.op != "load":
                return x
            a = x.attr
            step = _merged(self.nest, a, self.axes)
            return load(Access(a.buffer, a.offset + step * first, tuple(step * s for s in strides), a.params), x.dtype)

        return rebuild(self.one, leaf)

    @property
    def key(self) -> tuple:
        """What two have in common that walk the same rows of tables of the same height."""
        return self.rows, self.table_rows, expr_text(self.number((1,)))


def _merged(nest: Nest, a: Access, axes: Sequence[int]) -> Any:
    """The one step that takes ``a`` along all of ``axes`` in order; None if there is none."""
    live = [(nest.extents[k], a.strides[k]) for k in axes if nest.extents[k] != 1]
    if any(outer != inner * e for (_, outer), (e, inner) in pairwise(live)):
        return None
    return live[-1][1] if live else 0


def _rows_of(nest: Nest, table: Access, matrix: Access) -> _Rows | None:
    """The nest as such a walk, ``table`` being what it accesses by index."""
    found = None if table.dynamic is None or matrix.dynamic is not None else _index(table.dynamic)
    if found is None or table.params or matrix.params or matrix.offset or "r" in nest.kinds:
        return None
    index, step = found
    numbers = loads(index)
    if any(x.op == "axis" for x in postorder(index)) or any(x.attr.dynamic is not None for x in numbers):
        return None
    axes = tuple(k for k, e in enumerate(nest.extents) if e > 1 and any(x.attr.strides[k] for x in numbers))
    others = [k for k, e in enumerate(nest.extents) if e > 1 and k not in axes]
    rows, columns = (prod(nest.extents[k] for k in some) for some in (axes, others))
    if not axes or any(table.strides[k] for k in axes) or any(_merged(nest, x.attr, axes) is None for x in numbers):
        return None
    if _merged(nest, matrix, axes) != columns or any(_merged(nest, a, others) != 1 for a in (matrix, table)):
        return None
    if matrix.buffer.size != rows * columns or step < columns:
        return None
    return _Rows(nest, table._replace(strides=(), dynamic=None), step, matrix.buffer, rows, columns, index, axes)


def _index(e: Expr) -> tuple[Expr, int] | None:
    """A checked index and what it is multiplied by."""
    if e.op == "mul":
        for a, b in (e.args, e.args[::-1]):
            if a.op == "index" and b.op == "const" and isinstance(a.attr, int):
                return a, int(b.attr)
    return (e, 1) if e.op == "index" and isinstance(e.attr, int) else None


@dataclass
class _Operand:
    """An access of a product to a matrix of such rows: its axes that move along rows, and the rest."""

    axes: tuple[int, ...]
    steps: tuple[int, ...]  # rows, for each axis of the nest
    columns: tuple[int, ...]  # columns, for each axis of the nest
    first: tuple[int, int]  # row and column

    @staticmethod
    def of(nest: Nest, a: Access, columns: int) -> _Operand | None:
        moved = [s if e > 1 else 0 for s, e in zip(a.strides, nest.extents, strict=True)]
        if a.dynamic is not None or a.params or a.offset < 0 or any(s < 0 for s in moved):
            return None
        steps = tuple(s // columns if s % columns == 0 else 0 for s in moved)
        rest = tuple(0 if q else s for q, s in zip(steps, moved, strict=True))
        first = divmod(a.offset, columns)
        if first[1] + sum(s * (e - 1) for s, e in zip(rest, nest.extents, strict=True)) >= columns:
            return None
        return _Operand(tuple(k for k, q in enumerate(steps) if q), steps, rest, first)

    def covers(self, nest: Nest, rows: int) -> bool:
        """Whether the axes take each row once, in order."""
        extents = [nest.extents[k] for k in self.axes]
        in_order = tuple(self.steps[k] for k in self.axes) == c_strides(extents)
        return in_order and self.first[0] == 0 and prod(extents) == rows


class _Tables:
    """One walk over a program's instructions."""

    def __init__(self, program: Program):
        self.program = program
        self.kept = {r.buffer for r in (*program.outputs, *program.updates)}
        self.written: dict[Buffer, list[int]] = {}
        self.read: dict[Buffer, list[int]] = {}
        for at, i in enumerate(program.instructions):
            for b in i.writes():
                self.written.setdefault(b, []).append(at)
            for b in i.reads():
                self.read.setdefault(b, []).append(at)
        #: gathers by what they fill
        self.gathers: dict[Buffer, _Rows] = {}
        #: what stands in an instruction's place
        self.placed: dict[int, list[Instruction]] = {}
        #: sums of rows by index
        self.sums: dict[Any, Buffer] = {}
        #: which rows are named by an index; tables with zeros for the others
        self.flags: dict[Any, Buffer] = {}
        self.named: dict[Any, Buffer] = {}

    def run(self) -> list[Instruction]:
        block = self.program.instructions
        for at, i in enumerate(block):
            if not isinstance(i, Nest):
                continue
            gather = self._gather(i, at)
            if gather is not None:
                self.gathers[i.out.buffer] = gather
            elif is_product(i) and i.points >= _LEAST_WORK:
                self._product(i, at)
            elif i.combine == "add" and i.accumulate and i.expr.op == "load":
                self._scatter(i, at)
        if not self.placed:
            return block
        out = [x for at, i in enumerate(block) for x in self.placed.get(at, [i])]
        unread = set(self.gathers) - {b for i in out for b in i.reads()} - self.kept
        return [i for i in out if not (isinstance(i, Nest) and i.out.buffer in unread)]

    def _same_since(self, a: Access, at: int) -> bool:
        """Whether nothing writes what ``a`` reads, from instruction ``at`` on."""
        return all(w < at for w in self.written.get(a.buffer, ()))

    def _small(self, r: _Rows) -> bool:
        return 2 * r.table_rows <= r.rows and r.columns >= _LEAST_COLUMNS

    def _gather(self, n: Nest, at: int) -> _Rows | None:
        if n.combine is not None or n.accumulate or n.expr.op != "load" or n.expr.dtype != n.dtype:
            return None
        found = _rows_of(n, n.expr.attr, n.out)
        if found is None or n.out.buffer.kind != "temp" or self.written[n.out.buffer] != [at] or not self._small(found):
            return None
        return found if all(self._same_since(x.attr, at) for x in loads(n.expr)) else None

    # -- products that read rows ----------------------------------------------------------------------------------

    def _product(self, n: Nest, at: int) -> None:
        for x, y in (n.expr.args, n.expr.args[::-1]):
            rows = self.gathers.get(x.attr.buffer)
            operand = _Operand.of(n, x.attr, rows.columns) if rows is not None else None
            if rows is None or operand is None or not operand.axes:
                continue
            kinds = {n.kinds[k] for k in operand.axes}
            if kinds == {"p"} and not n.accumulate and not any(y.attr.strides[k] for k in operand.axes):
                self.placed[at] = self._gathered(n, rows, operand, x, y)
                return
            if kinds == {"r"} and operand.covers(n, rows.rows):
                made = self._summed(n, rows, operand, x, y, at)
                if made is not None:
                    self.placed[at] = made
                    return

    def _gathered(self, n: Nest, rows: _Rows, o: _Operand, x: Expr, y: Expr) -> list[Instruction]:
        """``e[i] @ w`` as rows of ``e @ w``."""
        swap = _Swap(n, o.axes, rows.table_rows)
        sizes = [e if kind == "p" else 1 for e, kind in zip(swap.extents, swap.kinds, strict=True)]
        sizes[0], steps = rows.table_rows, c_strides([rows.table_rows, *sizes[1:]])
        product = self._buffer(n.dtype, prod(sizes))
        out = Access(product, 0, tuple(s if kind == "p" else 0 for s, kind in zip(steps, swap.kinds, strict=True)))
        left = _table(rows, o, swap, x.dtype)
        made = replace(n, extents=swap.extents, kinds=swap.kinds, expr=_times(left, swap.load(y), n), out=out)
        results = [k for k, kind in enumerate(n.kinds) if kind == "p"]
        inside = [0 if k in o.axes else steps[swap.place(k)] for k in results]
        return [made, self._picked(n, rows, o, load(Access(product, 0, tuple(inside)), n.dtype), steps[0])]

    @staticmethod
    def _picked(n: Nest, rows: _Rows, o: _Operand, product: Expr, row: int) -> Nest:
        """The results of ``n`` from the product with the whole table, whose rows are ``row`` apart."""
        results = [k for k, kind in enumerate(n.kinds) if kind == "p"]
        extents, inside = [n.extents[k] for k in results], list(product.attr.strides)
        walk, out = [o.steps[k] for k in results], [n.out.strides[k] for k in results]
        if o.covers(n, rows.rows) and len(o.axes) == 1:  # as the rows are gathered: with what reads them one nest
            at = results.index(o.axes[0])
            sizes = [rows.nest.extents[k] for k in rows.axes]
            steps = c_strides(sizes)
            extents[at : at + 1], inside[at : at + 1] = sizes, [0] * len(sizes)
            out[at : at + 1], walk[at : at + 1] = [s * out[at] for s in steps], list(steps)
            walk = [w if at <= k < at + len(sizes) else 0 for k, w in enumerate(walk)]
        number = rows.number(walk, o.first[0]) * const(row, "int64")
        return replace(rows.nest, extents=tuple(extents), kinds="p" * len(extents),
                       expr=load(product.attr._replace(strides=tuple(inside), dynamic=number), n.dtype),
                       out=n.out._replace(strides=tuple(out)))  # fmt: skip

    def _summed(self, n: Nest, rows: _Rows, o: _Operand, x: Expr, y: Expr, at: int) -> list[Instruction] | None:
        """``e[i].T @ d`` as ``e.T @ s``."""
        if any(y.attr.strides[k] for k, c in enumerate(o.columns) if c and n.kinds[k] == "p"):
            return None
        found = self._sum(n, rows, o, y, at)
        if found is None:
            return None
        before, total, swap = found
        before += self._named(rows, x.dtype)
        inside = Access(self.named[rows.key, rows.table, x.dtype], o.first[1],
                        (rows.columns, *[o.columns[k] for k in swap.kept]))  # fmt: skip
        expr = _times(load(inside, x.dtype), total, n)
        return [*before, replace(n, extents=swap.extents, kinds=swap.kinds, expr=expr, out=swap.access(n.out))]

    def _named(self, rows: _Rows, dtype: str) -> list[Nest]:
        """What makes the table with zeros for rows that no index names, if that is not yet made."""
        key = rows.key, rows.table, dtype
        if key in self.named:
            return []
        made, flag = self._flags(rows, dtype)
        height, width = rows.table_rows, rows.columns
        self.named[key] = self._buffer(dtype, height * width)
        value = load(rows.table._replace(strides=(rows.step, 1)), dtype)
        made.append(replace(rows.nest, extents=(height, width), kinds="pp", combine=None, accumulate=False,
                            expr=_where(flag, value, dtype),
                            out=Access(self.named[key], 0, (width, 1))))  # fmt: skip
        return made

    def _flags(self, rows: _Rows, dtype: str) -> tuple[list[Nest], Expr]:
        """1 for rows that some index names, else 0: what makes that, and how a nest over (rows, columns) reads it."""
        made: list[Nest] = []
        if (rows.key, dtype) not in self.flags:
            flags = self.flags[rows.key, dtype] = self._buffer(dtype, rows.table_rows)
            none = replace(rows.nest, extents=(rows.table_rows,), kinds="p", combine=None, accumulate=False,
                           expr=const(0.0, dtype), out=Access(flags, 0, (1,)))  # fmt: skip
            mark = replace(none, extents=(rows.rows,), accumulate=True, expr=const(1.0, dtype),
                           out=Access(flags, 0, (0,), (), rows.number((1,))))  # fmt: skip
            made = [none, mark]
        return made, load(Access(self.flags[rows.key, dtype], 0, (1, 0)), dtype)

    def _sum(self, n: Nest, rows: _Rows, o: _Operand, y: Expr, at: int) -> tuple[list[Nest], Expr, _Swap] | None:
        """What makes ``s``, if that is not yet made; how ``n`` reads it in place of ``y``; the axes ``n`` then has."""
        a = y.attr
        steps = [a.strides[k] for k in o.axes]
        first = _merged(n, a, o.axes)
        if a.dynamic is not None or a.params or first is None or not all(steps) or not self._same_since(a, at):
            return None
        others = [k for k, s in enumerate(a.strides) if s and n.extents[k] > 1 and k not in o.axes]
        others.sort(key=lambda k: -abs(a.strides[k]))
        sizes, strides = tuple(n.extents[k] for k in others), tuple(a.strides[k] for k in others)
        swap = _Swap(n, o.axes, rows.table_rows)
        inside = c_strides(sizes)
        key = rows.key, a.buffer, a.offset, first, sizes, strides
        before: list[Nest] = []
        total = self.sums.get(key)
        if total is None:
            total = self.sums[key] = self._buffer(y.dtype, rows.table_rows * prod(sizes))
            whole = (rows.table_rows, *sizes)
            before.append(replace(n, extents=whole, kinds="p" * len(whole), expr=const(0.0, y.dtype), combine=None,
                                  accumulate=False, out=Access(total, 0, c_strides(whole))))  # fmt: skip
            number = rows.number((1, *[0] * len(sizes))) * const(prod(sizes), "int64")
            before.append(replace(
                rows.nest, extents=(rows.rows, *sizes), kinds="p" * len(whole), combine="add", accumulate=True,
                expr=load(Access(a.buffer, a.offset, (first, *strides)), y.dtype),
                out=Access(total, 0, (0, *inside), (), number)))  # fmt: skip
        moved = [0] * len(swap.extents)
        moved[0] = prod(sizes)
        for k, s in zip(others, inside, strict=True):
            moved[swap.place(k)] = s
        return before, load(Access(total, 0, tuple(moved)), y.dtype), swap

    # -- products whose rows are scattered ------------------------------------------------------------------------

    def _scatter(self, n: Nest, at: int) -> None:
        """``g[i] += d @ w.T`` as ``g += s @ w.T``."""
        source = n.expr.attr
        rows = _rows_of(n, n.out, source)
        made = self.written.get(source.buffer, [])
        if rows is None or not self._small(rows) or len(made) != 1 or self.read[source.buffer] != [at]:
            return
        p = self.program.instructions[made[0]]
        if source.buffer in self.kept or source.buffer.kind != "temp" or made[0] in self.placed:
            return
        if not isinstance(p, Nest) or not is_product(p) or p.accumulate or p.points < _LEAST_WORK:
            return
        if p.dtype != n.dtype or n.expr.dtype != n.dtype:
            return
        o = _Operand.of(p, p.out, rows.columns)
        if o is None or not o.covers(p, rows.rows) or o.first[1]:
            return
        for d, w in (p.expr.args, p.expr.args[::-1]):
            crossed = any(d.attr.strides[k] for k, c in enumerate(o.columns) if c)
            if crossed or any(w.attr.strides[k] for k in o.axes) or not self._same_since(w.attr, made[0]):
                continue
            if not all(self._same_since(x.attr, made[0]) for x in loads(n.out.dynamic)):  # type: ignore[arg-type]
                continue
            found = self._sum(p, rows, o, d, made[0])
            if found is None:
                continue
            before, total, swap = found
            flags, flag = self._flags(rows, n.dtype)
            product = self._buffer(n.dtype, rows.table_rows * rows.columns)
            out = Access(product, 0, (rows.columns, *[o.columns[k] for k in swap.kept]))
            steps = (rows.step, 1)
            added = _where(flag, load(Access(product, 0, (rows.columns, 1)), n.dtype), n.dtype)
            self.placed[made[0]] = [*before, *flags]
            self.placed[at] = [
                replace(p, extents=swap.extents, kinds=swap.kinds, out=out, expr=_times(total, swap.load(w), p)),
                replace(n, extents=(rows.table_rows, rows.columns), kinds="pp", expr=added,
                        out=rows.table._replace(strides=steps)),
            ]  # fmt: skip
            return

    def _buffer(self, dtype: str, size: int) -> Buffer:
        made = Buffer(1 + max(b.id for b in self.program.buffers), dtype, size, "temp")
        self.program.buffers.append(made)
        return made


class _Swap:
    """A product's axes with one, in front, over the rows of a table in place of those over the rows by index."""

    def __init__(self, n: Nest, axes: Sequence[int], table_rows: int):
        self.kept = [k for k in range(len(n.extents)) if k not in axes]
        self.extents = (table_rows, *[n.extents[k] for k in self.kept])
        self.kinds = n.kinds[axes[0]] + "".join(n.kinds[k] for k in self.kept)

    def place(self, k: int) -> int:
        """Where an axis that stays is now."""
        return 1 + self.kept.index(k)

    def access(self, a: Access, step: int = 0) -> Access:
        return a._replace(strides=(step, *[a.strides[k] for k in self.kept]))

    def load(self, x: Expr) -> Expr:
        return load(self.access(x.attr), x.dtype)


def _table(rows: _Rows, o: _Operand, swap: _Swap, dtype: str) -> Expr:
    """The table itself, in place of its rows by index."""
    inside = [o.columns[k] for k in swap.kept]
    return load(rows.table._replace(offset=rows.table.offset + o.first[1], strides=(rows.step, *inside)), dtype)


def _where(flag: Expr, value: Expr, dtype: str) -> Expr:
    """``value`` where the flag is set, else 0."""
    return select(binary("gt", flag, const(0.0, dtype)), value, const(0.0, dtype))


def _times(a: Expr, b: Expr, n: Nest) -> Expr:
    return Expr("mul", (a, b), n.expr.dtype, n.expr.attr)
