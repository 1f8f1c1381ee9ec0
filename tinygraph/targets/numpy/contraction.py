"""Printing sums of products: matrix products, convolutions and their gradients, as BLAS calls.

A contraction ``out[..] = sum(a[..] * b[..])`` sorts its parallel axes by the operands that move along them: M (a
only), N (b only), or both (a batch). With the reduction axes K it is a matrix product if each operand's memory reads
as a matrix; where it does not (the sliding windows of a convolution), a tile of it is first copied into scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest
from tinygraph.targets.numpy.interleave import interleaves_sum, print_interleaved, print_sum
from tinygraph.targets.numpy.views import merge_axes

if TYPE_CHECKING:
    from tinygraph.targets.numpy.nests import NestPrinter

#: bytes of a copied tile: it should stay in the second-level cache
_TILE_BYTES = 512 * 1024


@dataclass
class Matrix:
    """One operand as a stack of matrices: axes (loop, rows, columns) of the nest."""

    access: Access
    loop: list[int]
    rows: list[int]
    columns: list[int]

    def strides(self, axes: Sequence[int]) -> list[int]:
        return [self.access.strides[k] for k in axes]

    def packed(self, extents: Sequence[int]) -> bool:
        """Whether BLAS can read it where it lies."""
        e = lambda axes: [extents[k] for k in axes]  # noqa: E731
        r = merge_axes(e(self.rows), self.strides(self.rows))
        c = merge_axes(e(self.columns), self.strides(self.columns))
        if r is None or c is None:
            return False
        m, n = int(np.prod(e(self.rows), dtype=np.int64)), int(np.prod(e(self.columns), dtype=np.int64))
        return (c == 1 or n == 1) and (m == 1 or r >= n) or (r == 1 or m == 1) and (n == 1 or c >= m)


@dataclass
class Plan:
    """Left (loop, M, K) times right (loop, K, N) gives out (loop, M, N), in the order of the out's axes."""

    left: Matrix
    right: Matrix
    loop: list[int]
    rows: list[int]
    columns: list[int]
    inner: list[int]


def plan(nest: Nest) -> Plan | None:
    """How to run a contraction as matrix products, or None if its axes interleave too much."""
    a, b = nest.expr.args[0].attr, nest.expr.args[1].attr
    n = nest.kinds.count("p")
    inner = list(range(n, len(nest.extents)))
    live = [k for k in range(n) if nest.extents[k] != 1]
    kind = {k: ("b" if a.strides[k] and b.strides[k] else "m" if a.strides[k] else "n") for k in live}
    best: Plan | None = None
    for cut in range(len(live) + 1):
        loop, rest = live[:cut], live[cut:]
        if any(kind[k] == "b" for k in rest):
            continue
        kinds = "".join(kind[k] for k in rest)
        m, c = [k for k in rest if kind[k] == "m"], [k for k in rest if kind[k] == "n"]
        if kinds == "m" * len(m) + "n" * len(c):
            left, right, rows, columns = a, b, m, c
        elif kinds == "n" * len(c) + "m" * len(m):
            left, right, rows, columns = b, a, c, m
        else:
            continue
        best = Plan(Matrix(left, loop, rows, inner), Matrix(right, loop, inner, columns), loop, rows, columns, inner)
        break
    return best


def print_contraction(p: NestPrinter, nest: Nest) -> None:
    found = plan(nest)
    if found is None or _dots_across_rows(nest, found):
        print_einsum(p, nest)
        return
    packed = found.left.packed(nest.extents) and found.right.packed(nest.extents)
    if print_interleaved(p, nest, found):
        return
    if packed or p.tile is not None:
        _product(p, nest, found)
        return
    axis = found.loop[0] if found.loop and _moves(found, found.loop[0]) else found.inner[0]
    if nest.extents[found.inner[0]] == 1 and axis == found.inner[0]:
        _product(p, nest, found)
    else:
        _chunked(p, nest, found, axis)


def _dots_across_rows(nest: Nest, found: Plan) -> bool:
    """One dot product for each element of a row: BLAS would walk down the columns of both operands, line by line."""
    if found.rows or found.columns or not found.loop or len(found.inner) != 1:
        return False
    return all(
        x.access.strides[found.loop[-1]] == 1 < abs(x.access.strides[found.inner[0]]) for x in (found.left, found.right)
    )


def _moves(found: Plan, axis: int) -> bool:
    return bool(found.left.access.strides[axis] or found.right.access.strides[axis])


def print_einsum(p: NestPrinter, nest: Nest) -> None:
    """Axes or dtypes that no matrix product fits: let NumPy loop, without an array of all the products."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    terms, views = [], []
    for x in nest.expr.args:
        keep = [k for k, s in enumerate(x.attr.strides) if s or nest.extents[k] == 1]
        view = p.view(x.attr, nest.extents)
        index = ", ".join(":" if k in keep else "0" for k in range(len(nest.extents)))
        terms.append("".join(letters[k] for k in keep))
        views.append(view if len(keep) == len(nest.extents) else f"{view}[{index}]")
    target = "".join(letters[k] for k in range(nest.kinds.count("p")))
    text = f"einsum('{terms[0]},{terms[1]}->{target}', {views[0]}, {views[1]}"
    if nest.accumulate:
        add_into(p, nest, f"{text})")
    else:
        p.code.body.add(f"{text}, out={p.out_view(nest)})")


def _chunked(p: NestPrinter, nest: Nest, found: Plan, axis: int) -> None:
    """Run over ``axis`` in chunks, so that copied windows stay in cache; a reduction axis adds its chunks up."""
    from tinygraph.targets.numpy.nests import NestPrinter

    row = sum(
        int(np.prod([nest.extents[k] for k in m.loop + m.rows + m.columns if k != axis], dtype=np.int64))
        for m in (found.left, found.right)
        if not m.packed(nest.extents)
    )
    itemsize = np.dtype(nest.dtype).itemsize
    n = nest.extents[axis]
    step = max(1, min(n, _TILE_BYTES // max(row * itemsize, 1)))
    if step == n:
        _product(p, nest, found)
        return
    if nest.kinds[axis] == "r" and p.code.tile_bound is None and not (nest.accumulate or found.loop):
        _summed(p, nest, found, axis, step)
        return
    order = [axis] + [k for k in range(len(nest.extents)) if k != axis]
    moved = _reorder(nest, order)
    if nest.kinds[axis] == "r" and not nest.accumulate:
        p.code.body.add(f"{p.out_view(nest)}.fill(0)")
        moved.accumulate = True
    with p.code.body.block(f"for lo in range(0, {n}, {step}):"):
        p.code.body.add(f"hi = min(lo + {step}, {n})")
        inner = NestPrinter(p.code, step)
        back = plan(moved) if nest.kinds[axis] == "p" else _axes_plan(found, order)
        _product(inner, moved, back or found)


def _summed(p: NestPrinter, nest: Nest, found: Plan, axis: int, step: int) -> None:
    """A sum over ``axis`` in chunks. Each thread adds up its share, then the shares are added in order."""
    from tinygraph.targets.numpy.nests import NestPrinter

    n = nest.extents[axis]
    interleaved = axis == found.inner[0] and interleaves_sum(nest, found)
    rows, columns = _prod(nest, found.rows), _prod(nest, found.columns)
    with p.code.tiles(n, min(step, 64), {}) as name:
        inner = NestPrinter(p.code, min(step, 64))
        total = p.code.take(nest.dtype, (rows, columns))
        position = len(p.code.tile_bound or ()) - 1
        if interleaved:
            print_sum(inner, nest, found, total)
        else:
            order = [axis] + [k for k in range(len(nest.extents)) if k != axis]
            _add_product(inner, _reorder(nest, order), _axes_plan(found, order), total)
        p.code.before_tiles.append(f"for z in {name}_z: z[{position}].fill(0)")
    par = [k for k, kind in enumerate(nest.kinds) if kind == "p"]
    sums = f"sum(z[{position}] for z in {name}_z)"
    value = f"{sums}.reshape({[nest.extents[k] for k in found.rows + found.columns]})"
    order = found.rows + found.columns
    if order != sorted(order):
        value += f".transpose({tuple(order.index(k) for k in sorted(order))})"
    if sorted(order) != par:
        value += f"[{', '.join(':' if k in order else 'None' for k in par)}]"
    p.code.body.add(f"copyto({p.out_view(nest)}, {value})")


def _add_product(p: NestPrinter, nest: Nest, found: Plan, total: str) -> None:
    """``total`` += one chunk's product, a matrix."""
    left, right = operand(p, nest, found.left), operand(p, nest, found.right)
    if not found.columns:
        right = f"{right}.reshape(-1, 1)"
    product = p.code.take(nest.dtype, (_prod(nest, found.rows), _prod(nest, found.columns)))
    p.code.body.add(f"matmul({left}, {right}, {product})")
    p.code.body.add(f"add({total}, {product}, {total})")


def _axes_plan(found: Plan, order: list[int]) -> Plan:
    """The plan with axis numbers after a reordering (the chunked reduction axis now first)."""
    to = {old: new for new, old in enumerate(order)}

    def m(axes: list[int]) -> list[int]:
        return [to[k] for k in axes]

    def access(a: Access) -> Access:
        return a._replace(strides=tuple(a.strides[k] for k in order))

    left, right = found.left, found.right
    return Plan(
        Matrix(access(left.access), m(left.loop), m(left.rows), m(left.columns)),
        Matrix(access(right.access), m(right.loop), m(right.rows), m(right.columns)),
        m(found.loop), m(found.rows), m(found.columns), m(found.inner),
    )  # fmt: skip


def _reorder(nest: Nest, order: list[int]) -> Nest:
    from tinygraph.program.expr import Expr

    def access(a: Access) -> Access:
        return a._replace(strides=tuple(a.strides[k] for k in order))

    e = nest.expr
    args = tuple(Expr("load", (), x.dtype, access(x.attr)) for x in e.args)
    return Nest(
        tuple(nest.extents[k] for k in order), "".join(nest.kinds[k] for k in order),
        Expr("mul", args, e.dtype), access(nest.out), nest.combine, nest.accumulate,
        origin=nest.origin, label=nest.label,
    )  # fmt: skip


def _product(p: NestPrinter, nest: Nest, found: Plan) -> None:
    """One matrix product (or a stack of them), operands copied where BLAS cannot read them."""
    left = operand(p, nest, found.left)
    right = operand(p, nest, found.right)
    if not found.columns and not found.loop:
        right = f"{right}[..., 0]" if found.rows else right
    direct = None if nest.accumulate else _out_matrix(p, nest, found)
    if direct is not None:
        p.code.body.add(f"matmul({left}, {right}, {direct})" if found.columns or found.loop else
                        f"matmul({left}, {right}[:, None] if {right}.ndim == 1 else {right}, {direct})")  # fmt: skip
        return
    order = found.loop + found.rows + found.columns
    here = p.shape(nest)
    whole = p.code.take(nest.dtype, [here[k] for k in found.loop] + [prod(here[k] for k in axes) for axes in
                                                                     (found.rows, found.columns)])  # fmt: skip
    full, name = [str(nest.extents[k]) for k in order], whole
    if p.tile and 0 in order:
        full[order.index(0)] = "hi - lo"
        name = p.code.fresh("y")
        p.code.body.add(f"{name} = {whole}[{_cut(nest, found)}]")
    if not found.columns and not found.loop:
        p.code.body.add(f"matmul({left}, {right}[:, None] if {right}.ndim == 1 else {right}, {name})")
    else:
        p.code.body.add(f"matmul({left}, {right}, {name})")
    value = f"{name}.reshape({', '.join(full) if full else '()'})"
    n = nest.kinds.count("p")
    par = [k for k, kind in enumerate(nest.kinds) if kind == "p"]
    live = sorted(order)
    if order != live:
        value += f".transpose({tuple(order.index(k) for k in live)})"
    if live != par:
        value += f"[{', '.join(':' if k in live else 'None' for k in par)}]"
    if nest.accumulate:
        add_into(p, nest, value)
    else:
        p.code.body.add(f"copyto({_par_out(p, nest, n)}, {value})")


def _cut(nest: Nest, found: Plan) -> str:
    """Of the array (loop..., rows, columns) that a whole tile fills, the part that this one does."""
    axes = [[k] for k in found.loop] + [found.rows, found.columns]
    at = next(i for i, some in enumerate(axes) if 0 in some)
    assert axes[at][0] == 0  # the tiles run over the first axis, so their rows follow each other
    return ":, " * at + f":(hi - lo) * {prod(nest.extents[k] for k in axes[at][1:])}"


def _par_out(p: NestPrinter, nest: Nest, n: int) -> str:
    par = [k for k, kind in enumerate(nest.kinds) if kind == "p"]
    out = nest.out._replace(strides=tuple(nest.out.strides[k] for k in par))
    return p.view(out, [nest.extents[k] for k in par])


def add_into(p: NestPrinter, nest: Nest, value: str) -> None:
    """``out += value``, where several points may share one element of ``out``."""
    par = [k for k, kind in enumerate(nest.kinds) if kind == "p"]
    flat = Nest(
        tuple(nest.extents[k] for k in par), "p" * len(par), nest.expr,
        nest.out._replace(strides=tuple(nest.out.strides[k] for k in par)), "add", True,
    )  # fmt: skip
    name = p.code.fresh("y")
    p.code.body.add(f"{name} = {value}")
    tile = p.tile
    if tile is not None and 0 not in par:
        p = type(p)(p.code)  # the tile runs over a reduction axis: the output is whole
    p.add_value(flat, name)


def _prod(nest: Nest, axes: Sequence[int]) -> int:
    return int(np.prod([nest.extents[k] for k in axes], dtype=np.int64))


def operand(p: NestPrinter, nest: Nest, m: Matrix) -> str:
    """The operand as an array of shape (loop..., rows, columns), copied if it must be."""
    order = m.loop + m.rows + m.columns
    extents = [nest.extents[k] for k in order]
    rows, columns = _prod(nest, m.rows), _prod(nest, m.columns)
    if m.packed(nest.extents):
        r = merge_axes([nest.extents[k] for k in m.rows], m.strides(m.rows)) or 0
        c = merge_axes([nest.extents[k] for k in m.columns], m.strides(m.columns)) or 0
        loop = [nest.extents[k] if s else 1 for k, s in zip(m.loop, m.strides(m.loop), strict=True)]
        strides = (*m.strides(m.loop), r, c)
        tiled_axis = next((i for i, k in enumerate(order) if k == 0 and m.access.strides[0]), None) if p.tile else None
        if tiled_axis is None:
            return p.code.view(m.access._replace(strides=strides), (*loop, rows, columns))
        if tiled_axis < len(m.loop):
            return p.view(m.access._replace(strides=strides), (*[nest.extents[k] for k in m.loop], rows, columns))
        if [k for k in (m.rows if 0 in m.rows else m.columns) if nest.extents[k] != 1] == [0]:
            base = p.code.view(m.access._replace(strides=strides), (*loop, rows, columns))
            cut = "lo:hi" if m.access.buffer not in p.private else ":hi - lo"
            key = ", ".join([":"] * len(loop) + (["lo:hi", ":"] if 0 in m.rows else [":", "lo:hi"]))
            return f"{base}[{key.replace('lo:hi', cut)}]"
    return _copied(p, nest, m, order, extents)


def _copied(p: NestPrinter, nest: Nest, m: Matrix, order: list[int], extents: list[int]) -> str:
    """A tile of the operand copied into scratch as (loop..., rows, columns), the fastest axis kept innermost."""
    sizes = [p.shape(nest)[k] if m.access.strides[k] or nest.extents[k] == 1 else 1 for k in range(len(nest.extents))]
    rows, columns = m.rows, m.columns
    fastest = min((k for k in order if nest.extents[k] > 1),  # of equal strides the longer axis
                  key=lambda k: (abs(m.access.strides[k]) or 1 << 60, -nest.extents[k]),
                  default=order[-1] if order else 0)  # fmt: skip
    swap = fastest in rows and columns
    layout = m.loop + (columns + rows if swap else rows + columns)
    shape = [sizes[k] for k in layout]
    handle = p.code.take(nest.dtype, shape)
    source = p.code.view(m.access._replace(strides=tuple(m.access.strides[k] for k in layout)),
                         [1 if m.access.strides[k] == 0 else nest.extents[k] for k in layout])  # fmt: skip
    dims = [str(s) for s in shape]
    name = handle
    if p.tile is not None and 0 in layout and m.access.strides[0]:
        at = layout.index(0)
        cut = f"({', '.join([':'] * at)}{', ' if at else ''}lo:hi)"[1:-1]
        source = f"{source}[{cut}]"
        if m.access.buffer in p.private:
            source = source.replace("lo:hi", ":hi - lo")
        name = f"{handle}[{cut.replace('lo:hi', ':hi - lo')}]"
        dims[at] = "(hi - lo)"
    local = p.code.fresh("y")
    p.code.body.add(f"{local} = {name}")
    p.code.body.add(f"copyto({local}, {source})")
    loop = dims[: len(m.loop)]
    first, second = (columns, rows) if swap else (rows, columns)
    size = lambda axes, at: " * ".join(dims[at : at + len(axes)]) or "1"  # noqa: E731
    matrix = [*loop, size(first, len(loop)), size(second, len(loop) + len(first))]
    text = f"{local}.reshape({', '.join(matrix)})"
    return f"{text}.swapaxes(-1, -2)" if swap else text


def _out_matrix(p: NestPrinter, nest: Nest, found: Plan) -> str | None:
    """The output as (loop..., rows, columns) if its memory reads so."""
    out = nest.out
    rows = [nest.extents[k] for k in found.rows]
    columns = [nest.extents[k] for k in found.columns]
    r = merge_axes(rows, [out.strides[k] for k in found.rows])
    c = merge_axes(columns, [out.strides[k] for k in found.columns])
    if r is None or c is None:
        return None
    loop = [nest.extents[k] for k in found.loop]
    strides = (*(out.strides[k] for k in found.loop), r, c)
    shape = (*loop, _prod(nest, found.rows), _prod(nest, found.columns))
    if p.tile is None:
        return p.code.view(out._replace(strides=strides), shape)
    if 0 in found.loop and found.loop[0] == 0:
        return p.view(out._replace(strides=strides), shape)
    return None
