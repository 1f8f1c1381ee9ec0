"""Reductions to a few results, in parts that threads share: sums of whole arrays, and down long, narrow ones.

The parts do not depend on the number of threads, so neither do the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tinygraph.lower.columns import results_of, total
from tinygraph.program.contraction import is_product
from tinygraph.program.expr import Access, Expr, axis_index, const, load, postorder
from tinygraph.program.instructions import Buffer, Group, Instruction, Nest, Program, c_strides
from tinygraph.targets.llvm.streams import STREAMS

#: reductions to fewer results than this are made in parts; how many parts at least, and at most
_RESULTS, _FEWEST, _PARTS = 8, 32, 128
#: scalar operations from which that pays
_WORK = 200_000


def in_parts(i: Instruction, program: Program) -> Sequence[Instruction]:
    """The instruction, or for a long reduction to few results: its parts, what does not divide, and their reduction."""
    nest = i.nests[0] if isinstance(i, Group) and len(i.nests) == 1 else i
    if not isinstance(nest, Nest) or not _is_long(nest):
        return [i]
    k = max((k for k, kind in enumerate(nest.kinds) if kind == "r"), key=lambda k: (nest.extents[k] >= _FEWEST, -k))
    if nest.extents[k] < _FEWEST:
        return [i]
    parts = min(_PARTS, nest.extents[k])
    each = nest.extents[k] // parts
    each -= each % STREAMS if each > STREAMS * _PARTS else 0
    rest = nest.extents[k] - each * parts
    results = results_of(nest)
    count = parts + (rest > 0)
    partial = Buffer(1 + max(b.id for b in program.buffers), nest.expr.dtype, count * prod(results), "temp")
    program.buffers.append(partial)
    made = [_part(nest, k, 0, each, parts, partial, 0)]
    if rest:
        made.append(_part(nest, k, parts * each, rest, 1, partial, parts))
    nests = [*made, total(nest, partial, results, count)]
    return [Group([n], int(n.kinds[0] == "p"), origin=n.origin, label=n.label) for n in nests]


def _is_long(nest: Nest) -> bool:
    if nest.combine is None or nest.combine.startswith("arg") or nest.out.dynamic is not None or is_product(nest):
        return False
    return 0 < prod(results_of(nest)) < _RESULTS and nest.points * nest.expr.weight >= _WORK


def _part(nest: Nest, k: int, start: int, each: int, count: int, partial: Buffer, place: int) -> Nest:
    """``count`` runs of ``each`` points of axis ``k`` from ``start`` on, an axis before others, into ``partial``."""

    def access(a: Access) -> Access:
        s = a.strides
        dynamic = None if a.dynamic is None else expression(a.dynamic)
        return Access(a.buffer, a.offset + s[k] * start, (s[k] * each, *s), a.params, dynamic)

    def expression(e: Expr) -> Expr:
        memo: dict[int, Expr] = {}
        for x in postorder(e):
            if x.op == "load":
                memo[id(x)] = load(access(x.attr), x.dtype)
            elif x.op == "axis":
                here = axis_index(x.attr + 1)
                memo[id(x)] = here + axis_index(0) * each + const(start, "int64") if x.attr == k else here
            else:
                memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr)
        return memo[id(e)]

    results = results_of(nest)
    steps = iter(c_strides(results))
    strides = tuple(next(steps) if kind == "p" else 0 for kind in nest.kinds)
    out = Access(partial, place * prod(results), (prod(results), *strides))
    extents = (count, *nest.extents[:k], each, *nest.extents[k + 1 :])
    return Nest(extents, "p" + nest.kinds, expression(nest.expr), out, nest.combine, origin=nest.origin,
                source=nest.source, label=nest.label)  # fmt: skip
