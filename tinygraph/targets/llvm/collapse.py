"""Fewer, longer loops: neighbouring axes that memory runs through as one become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, Expr, axis_index, const, postorder
from tinygraph.program.instructions import Group, Nest
from tinygraph.targets.numpy.random_words import Run, affine


def collapsed(group: Group) -> Group:
    """``group`` with axes merged where every nest that has them allows it.

    Beside contractions, whose schedules go by the axes that they have, only those that all nests share.
    """
    nests, outer = list(group.nests), group.outer
    bound = len(nests) > 1 and any(is_contraction(n) for n in nests)
    limit = outer if bound else max(len(n.extents) for n in nests)
    d = 0
    while d + 1 < limit:
        apart = len(nests) > 1 and d + 1 == outer  # the last of the axes that are shared
        if not apart and all(_can_merge(n, d) for n in nests if len(n.extents) > d):
            inside = d + 1 < outer
            nests = [_merge(n, d) if len(n.extents) > d else n for n in nests]
            limit -= 1
            outer -= inside
        else:
            d += 1
    return Group(nests, outer, group.private, origin=group.origin, label=group.label)


def merged(n: Nest, depth: int) -> Nest:
    """The nest with neighbouring axes from ``depth`` on merged where memory runs through both as one."""
    d = depth
    while d + 1 < len(n.extents):
        if _can_merge(n, d):
            n = _merge(n, d)
        else:
            d += 1
    return n


def _can_merge(n: Nest, d: int) -> bool:
    if d + 1 >= len(n.extents) or n.kinds[d] != n.kinds[d + 1] or n.out.dynamic is not None:
        return False
    e = n.extents[d + 1]
    for run in _numbers(n.expr, len(n.extents)).values():
        if run.strides[d] != run.strides[d + 1] * e and n.extents[d] != 1 and e != 1:
            return False
    for a in [*n.accesses(), n.out]:
        if a.dynamic is not None and _uses_axis(a.dynamic, (d, d + 1)):
            return False
        if n.extents[d] == 1 or e == 1:
            continue
        if a.strides[d] != a.strides[d + 1] * e:
            return False
    return True


def _numbers(e: Expr, n: int) -> dict[int, Run]:
    """The largest parts of an expression that number the points of the ``n`` axes: constants plus multiples of them."""
    order = postorder(e)
    if not any(x.op == "axis" for x in order):
        return {}
    runs = {id(x): run for x in order if x.dtype == "int64" and (run := affine(x, n)) is not None}
    used = {id(e)} | {id(a) for x in order if id(x) not in runs for a in x.args}
    return {number: run for number, run in runs.items() if number in used and any(run.strides)}


def _numbered(run: Run) -> Expr:
    total = const(run.start, "int64")
    for k, s in enumerate(run.strides):
        if s:
            total = total + axis_index(k) * s
    return total


def _uses_axis(e: Expr, axes: Sequence[int]) -> bool:
    return any(x.op == "axis" and x.attr in axes for x in postorder(e))


def _merge(n: Nest, d: int) -> Nest:
    first, second = n.extents[d], n.extents[d + 1]

    def strides(s: tuple[int, ...]) -> tuple[int, ...]:
        kept = s[d + 1] if second != 1 else s[d]
        if first == 1 and second == 1:
            kept = 0
        return (*s[:d], kept, *s[d + 2 :])

    def access(a: Access) -> Access:
        dynamic = None if a.dynamic is None else expression(a.dynamic)
        return Access(a.buffer, a.offset, strides(a.strides), a.params, dynamic)

    memo: dict[int, Expr] = {}
    for number, run in _numbers(n.expr, len(n.extents)).items():
        memo[number] = _numbered(Run(run.start, strides(run.strides)))

    def expression(e: Expr) -> Expr:
        for x in postorder(e):
            if id(x) in memo:
                continue
            if x.op == "load":
                memo[id(x)] = Expr("load", (), x.dtype, access(x.attr))
            elif x.op == "axis":
                k = x.attr
                memo[id(x)] = Expr("axis", (), x.dtype, k if k < d else k - 1)
            elif x.args:
                memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr)
            else:
                memo[id(x)] = x
        return memo[id(e)]

    extents = (*n.extents[:d], first * second, *n.extents[d + 2 :])
    kinds = n.kinds[:d] + n.kinds[d + 1 :]
    return replace(n, extents=extents, kinds=kinds, expr=expression(n.expr), out=access(n.out))
