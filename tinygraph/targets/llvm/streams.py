"""Long reductions over memory read several places at once.

before -> after::

    for i<4096: s[i] = add over j<4096 of x[4096*i + j]
    for i<4096: s[i] = add over j<1024, k<4 of x[4096*i + j + 1024*k]

Processors fetch ahead within a page of memory, and begin anew at the next one. Who reads several pages at a time waits
for their beginnings together: a tenth of the time such a reduction takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from tinygraph.lower.cost import cost, operands, operations
from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Expr, load, postorder
from tinygraph.program.instructions import Group, Instruction, Nest

#: places that are read at once; the loop over them is printed without a loop
STREAMS = 4
#: bytes of a page, and bytes from which on a reduction waits for memory rather than for a cache
_PAGE, _MEMORY = 4096, 8 << 20
#: what a reduction that waits for memory computes at a point at most, and how many arrays it reads
_LIGHT, _ARRAYS = 4, 2


def in_streams(i: Instruction) -> Instruction:
    """The instruction, its reduction in streams if it is long, light, and alone in its loops."""
    if not isinstance(i, Group) or i.parts or cost(i)[1] < _MEMORY:
        return i
    reductions = [n for n in i.nests if prod(n.extents[i.outer :]) > 1]
    if len(reductions) != 1 or not _is_long(reductions[0]):
        return i
    return replace(i, nests=[_split(n) if n is reductions[0] else n for n in i.nests])


def _is_long(n: Nest) -> bool:
    if n.combine is None or n.combine.startswith("arg") or n.kinds[-1:] != "r" or is_contraction(n):
        return False
    if operations(n.expr) > _LIGHT or len(operands(n.expr)) > _ARRAYS:
        return False
    if n.extents[-1] % STREAMS or any(x.op in ("axis", "philox") for x in postorder(n.expr)):
        return False
    each = n.extents[-1] // STREAMS
    return all(
        a.dynamic is None and (a.strides[-1] == 0 or (a.strides[-1] == 1 and each * a.buffer.itemsize >= _PAGE))
        for a in (*n.accesses(), n.out)
    )


def _split(n: Nest) -> Nest:
    """The last axis as streams of neighbours, of which the points that stand at the same place come together."""
    each = n.extents[-1] // STREAMS

    def strides(s: Sequence[int]) -> tuple[int, ...]:
        return (*s, s[-1] * each)

    memo: dict[int, Expr] = {}
    for x in postorder(n.expr):
        if x.op == "load":
            memo[id(x)] = load(x.attr._replace(strides=strides(x.attr.strides)), x.dtype)
        else:
            memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
    return replace(n, extents=(*n.extents[:-1], each, STREAMS), kinds=n.kinds + "r", expr=memo[id(n.expr)],
                   out=n.out._replace(strides=strides(n.out.strides)))  # fmt: skip
