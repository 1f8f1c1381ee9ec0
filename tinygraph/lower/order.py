"""The order of instructions: what frees memory runs early, and what only makes results runs at the end, as one.

Sums of large arrays run right behind what made these, while they are in the caches.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.lower.plan import aligned, largest_live_set, spans
from tinygraph.program.contraction import is_contraction
from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest, Program

#: programs of more instructions stay in the order in which they were made
_MANY = 2000
#: memory, in bytes, that each gathered result may keep alive until the end; and where reductions are gathered too,
#: which read whole gradients, if the largest live set allows it
_KEPT_ALIVE, _KEPT_NEAR = 4096, 1 << 20
#: bytes of an array from which on another instruction drives it out of the caches, and of results that do not
_LARGE, _SMALL = 1 << 20, 1 << 16


def arrange(program: Program) -> None:
    """Reorder the instructions where the largest live set becomes smaller by it."""
    block = program.instructions
    if len(block) < 3 or len(block) > _MANY:
        return
    new = _greedy(block, _dependencies(block))
    if largest_live_set(spans(new)) < largest_live_set(spans(block)):
        program.instructions = new


def gather_results(program: Program, reductions: bool = False) -> None:
    """One last instruction for all elementwise work whose results nothing reads any more: a step's updates.

    It is a ``Group`` without shared loops, whose ``parts`` are groups that do not touch each other's results.
    ``reductions``: parts may also be the sum that is a bias' gradient, with the update that reads it.
    """
    if reductions:
        gathered = _gathered(program.instructions, True, _KEPT_NEAR)
        if largest_live_set(spans(gathered)) <= largest_live_set(spans(program.instructions)):
            program.instructions = gathered
            return
    program.instructions = _gathered(program.instructions, reductions, _KEPT_ALIVE)


def _gathered(block: list[Instruction], reductions: bool, keep: int) -> list[Instruction]:
    touched: dict[Buffer, int] = {}  # the last instruction that reads or writes a buffer, and the last that writes it
    written: dict[Buffer, int] = {}
    for k, i in enumerate(block):
        written.update(dict.fromkeys(i.writes(), k))
        touched.update(dict.fromkeys([*i.reads(), *i.writes()], k))
    parts = [
        i for k, i in enumerate(block)
        if isinstance(i, Group) and _is_final(i, reductions, keep)
        and all(touched[b] == k for b in i.writes()) and all(written.get(b, k) <= k for b in i.reads())
    ]  # fmt: skip
    if len(parts) < 2:
        return block
    rest = [i for i in block if i not in set(parts)]
    label = f"{len(parts)} results"
    together = Group([n for p in parts for n in p.nests], 0, {b for p in parts for b in p.private}, parts=parts,
                     origin=parts[-1].origin, label=label)  # fmt: skip
    return [*rest, together]


def _is_final(g: Group, reductions: bool, keep: int) -> bool:
    """Whether a group only maps arrays to results, and keeps few temporaries alive by running late."""
    if any(n.accumulate or n.out.dynamic is not None for n in g.nests):
        return False
    summing = [n for n in g.nests if n.combine is not None]
    if summing and (not reductions or g.outer == 0 or any(is_contraction(n) for n in summing)):
        return False
    if any(n.out.buffer.kind not in ("update", "output") and n.out.buffer not in g.private for n in g.nests):
        return False
    return sum(aligned(b.nbytes) for b in set(g.reads()) if b.kind == "temp") <= keep


def reduce_soon(program: Program) -> None:
    """Put reductions of large buffers right behind what wrote these."""
    block: list[Instruction] = []
    for i in program.instructions:
        at, reads, writes = len(block), set(i.reads()), set(i.writes())
        if _reduces(i):
            while at and not writes & {*block[at - 1].reads()} and not (reads | writes) & {*block[at - 1].writes()}:
                at -= 1
            if not any(b in reads and b.nbytes >= _LARGE for b in (block[at - 1].writes() if at else ())):
                at = len(block)
        block.insert(at, i)
    program.instructions = block


def _reduces(i: Instruction) -> bool:
    """Whether all that an instruction makes is small, by reductions of what it reads."""
    nests = [i] if isinstance(i, Nest) else i.nests if isinstance(i, Group) and not i.parts else []
    if not any(n.combine is not None and not is_contraction(n) for n in nests):
        return False
    return sum(b.nbytes for b in i.writes()) <= _SMALL


def _dependencies(block: Sequence[Instruction]) -> list[set[int]]:
    """For each instruction those that must run before it. Work in Python keeps its order: it may have effects."""
    needs: list[set[int]] = []
    writer: dict[Buffer, int] = {}
    readers: dict[Buffer, list[int]] = {}
    python = -1
    for k, i in enumerate(block):
        reads, writes = set(i.reads()), set(i.writes())
        found = {writer[b] for b in reads | writes if b in writer}
        found.update(r for b in writes for r in readers.get(b, ()))
        if runs_python(i):
            found.update([python] if python >= 0 else [])
            python = k
        needs.append(found - {k})
        for b in reads:
            readers.setdefault(b, []).append(k)
        for b in writes:
            writer[b] = k
            readers[b] = [k] if b in reads else []
    return needs


def runs_python(i: Instruction) -> bool:
    if isinstance(i, Loop):
        return any(map(runs_python, i.body))
    if isinstance(i, Branch):
        return any(map(runs_python, [*i.then, *i.otherwise]))
    return not isinstance(i, (Nest, Group))


def _greedy(block: Sequence[Instruction], needs: Sequence[set[int]]) -> list[Instruction]:
    """Always the ready instruction after which least memory is live; the earliest of equals."""
    temps = [{b for b in (*i.reads(), *i.writes()) if b.kind == "temp"} for i in block]
    uses: dict[Buffer, int] = {}
    for found in temps:
        for b in found:
            uses[b] = uses.get(b, 0) + 1
    users: list[list[int]] = [[] for _ in block]
    waiting = [len(n) for n in needs]
    for k, n in enumerate(needs):
        for j in n:
            users[j].append(k)
    live: set[Buffer] = set()
    ready = [k for k, n in enumerate(waiting) if n == 0]
    out: list[Instruction] = []

    def growth(k: int) -> int:
        made = sum(aligned(b.nbytes) for b in temps[k] if b not in live)
        return made - sum(aligned(b.nbytes) for b in temps[k] if uses[b] == 1)

    while ready:
        k = min(ready, key=lambda j: (growth(j), j))
        ready.remove(k)
        out.append(block[k])
        for b in temps[k]:
            live.add(b)
            uses[b] -= 1
        for j in users[k]:
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(j)
    return out
