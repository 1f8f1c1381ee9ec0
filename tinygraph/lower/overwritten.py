"""Stores that nobody reads before all of their buffer is written again go; stores that walk backwards turn round.

before -> after::

    g[i, j] = 0                                       (nothing)
    g[24 - 5 i - j] = t[5 i + j]           ->         g[5 i + j] = t[24 - 5 i - j]

That is the gradient of a flipped filter, ``set_subtensor(zeros(..)[::-1, ::-1], t)``, once its sizes are known: now an
elementwise nest like any other, which moves into whatever reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinygraph.program.expr import Access, Expr, loads, postorder
from tinygraph.program.instructions import Branch, Buffer, Instruction, Loop, Nest


def without_overwritten(block: Sequence[Instruction]) -> list[Instruction]:
    """The block, and those inside it, without such stores."""
    out: list[Instruction] = []
    #: what is written again, in full, before anything reads it
    lost: set[Buffer] = set()
    for i in reversed(block):
        if isinstance(i, Nest):
            if i.accumulate and i.combine is None and i.out.dynamic is None and not i.out.params and fills(i):
                i = replace(i, accumulate=False)  # nothing is left of what was there
            plain = _plain(i)
            if plain and i.out.buffer in lost and not any(a.dynamic is not None for a in i.accesses()):
                continue  # (a computed address may be out of range, which has to be told)
            i = _forwards(i)
            if plain and fills(i):
                lost.add(i.out.buffer)
        elif isinstance(i, Loop):
            i.body = without_overwritten(i.body)
        elif isinstance(i, Branch):
            i.then, i.otherwise = without_overwritten(i.then), without_overwritten(i.otherwise)
        lost.difference_update(i.reads())
        out.append(i)
    return out[::-1]


def _plain(n: Nest) -> bool:
    return not n.accumulate and n.out.dynamic is None and not n.out.params


def fills(n: Nest) -> bool:
    """Whether a plain store writes each element of its buffer once."""
    reach, points = 0, 1
    for s, e, kind in sorted(zip(map(abs, n.out.strides), n.extents, n.kinds, strict=True)):
        if kind == "r" or e == 1:
            continue
        if s != reach + 1:
            return False
        reach += s * (e - 1)
        points *= e
    return points == n.out.buffer.size


def _forwards(n: Nest) -> Nest:
    """The nest with each axis along which its store walks backwards taken from the other end."""
    turned = {k for k, (s, e) in enumerate(zip(n.out.strides, n.extents, strict=True)) if s < 0 and e > 1}
    if not turned or n.combine is not None or n.out.dynamic is not None:
        return n
    if turned.intersection(x.attr for x in postorder(n.expr) if x.op == "axis"):
        return n
    if any(a.dynamic is not None for a in (x.attr for x in loads(n.expr))):
        return n

    def turn(a: Access) -> Access:
        offset = a.offset + sum(a.strides[k] * (n.extents[k] - 1) for k in turned)
        return a._replace(offset=offset, strides=tuple(-s if k in turned else s for k, s in enumerate(a.strides)))

    memo: dict[int, Expr] = {}
    for x in postorder(n.expr):
        if x.op == "load":
            memo[id(x)] = Expr("load", (), x.dtype, turn(x.attr))
        else:
            memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
    return replace(n, expr=memo[id(n.expr)], out=turn(n.out))
