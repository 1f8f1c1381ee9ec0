"""Small independent kernels as one launch: parameter updates above all, each of which is too little work for a GPU.

before -> after::

    w1' = w1 - a * g1        (a launch)         w1' = w1 - a * g1,  w2' = w2 - a * g2,  b' = b - a * h   (one launch)
    g2 = dot(x.T, d)         ->                 (after the product)
    w2' = w2 - a * g2        (a launch)

An instruction moves down only past others that neither read what it writes, nor write what it touches.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest, Program
from tinygraph.targets.cuda.schedule import split

#: kernels in one launch, and the points of the largest that joins: beyond that a launch of its own costs nothing
_MOST, _POINTS = 16, 1 << 22


def together(program: Program) -> None:
    """Join the elementwise instructions of ``program``, and those in its loops and branches."""
    program.instructions = _block(program.instructions)


def _block(block: Sequence[Instruction]) -> list[Instruction]:
    for i in block:
        if isinstance(i, Loop):
            i.body = _block(i.body)
        elif isinstance(i, Branch):
            i.then, i.otherwise = _block(i.then), _block(i.otherwise)
    return join(block)


def join(block: Sequence[Instruction]) -> list[Instruction]:
    """``block`` with small elementwise instructions moved down to independent ones, and joined with them."""
    out: list[Instruction] = []  # last instruction first
    for i in reversed(block):
        place = _place(i, out) if _small(i) else None
        if place is None:
            out.append(i)
        else:
            out[place] = _joined(i, out[place])
    return out[::-1]


def _small(i: Instruction) -> bool:
    """Whether ``i`` is elementwise work that may share a launch."""
    if isinstance(i, Group) and i.parts:
        return len(i.parts) < _MOST
    nests = i.nests if isinstance(i, Group) else [i] if isinstance(i, Nest) else []
    if not nests or max(n.points for n in nests) > _POINTS:
        return False
    runs = split(nests)
    return len(runs) == 1 and runs[0].form == "points"


def _place(i: Instruction, later: Sequence[Instruction]) -> int | None:
    """Where among the ``later`` instructions, last first, there is one that ``i`` can join."""
    reads, writes = set(i.reads()), set(i.writes())
    for place in reversed(range(len(later))):
        other = later[place]
        if _meet(reads, writes, other):
            return None
        if _small(other):
            return place
    return None


def _meet(reads: set[Buffer], writes: set[Buffer], other: Instruction) -> bool:
    theirs = other.writes()
    return any(b in writes for b in other.reads()) or any(b in writes or b in reads for b in theirs)


def _joined(i: Instruction, other: Instruction) -> Group:
    parts = [*_parts(i), *_parts(other)]
    private = {b for p in parts for b in p.private}
    return Group([n for p in parts for n in p.nests], 0, private, parts, origin=i.origin, label="together",
                 source=i.source)  # fmt: skip


def _parts(i: Instruction) -> list[Group]:
    if isinstance(i, Group):
        return i.parts or [i]
    assert isinstance(i, Nest)
    return [Group([i], 0, origin=i.origin, label=i.label, source=i.source)]
