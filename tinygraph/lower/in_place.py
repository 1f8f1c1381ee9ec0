"""Results written over what they are computed from: a gradient, say, becomes the parameter's new value where it lies.

An elementwise nest that is the last to read a temporary of its result's size, element by element where it writes,
needs no second block of memory: the temporary takes the result's place from the start. So it does where nests of its
group, before it, are the last to read it. Never a user's array or a
shared variable's present value: those are not ours to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinygraph.lower.renaming import rename
from tinygraph.program.expr import Access, loads
from tinygraph.program.instructions import Buffer, Group, Instruction, Nest, Program


def write_in_place(program: Program) -> None:
    """Let results take the place of temporaries that die where the results are made."""
    kept = {r.buffer for r in (*program.outputs, *program.updates)}
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for k, i in enumerate(program.instructions):
        for b in (*i.reads(), *i.writes()):
            first.setdefault(b, k)
            last[b] = k
    moved: dict[Buffer, Buffer] = {}
    for k, i in enumerate(program.instructions):
        for n in _maps(i):
            out = n.out.buffer
            if first.get(out) != k or out in moved or out.kind not in ("temp", "output", "update"):
                continue
            for a in _read_so_far(n, i):
                t = moved.get(a.buffer, a.buffer)
                if t is a.buffer and t.kind == "temp" and t not in kept and last.get(t) == k and _may_take(n, a, i):
                    moved[t] = out
                    first[out] = first[t]
                    break
    if moved:
        final = {b: _end(b, moved) for b in moved}
        rename(program.instructions, final)
        program.buffers = [b for b in program.buffers if b not in final]


def _end(b: Buffer, moved: dict[Buffer, Buffer]) -> Buffer:
    while b in moved:
        b = moved[b]
    return b


def _nests(i: Instruction) -> Sequence[Nest]:
    return [i] if isinstance(i, Nest) else i.nests if isinstance(i, Group) else []


def _maps(i: Instruction) -> list[Nest]:
    """Nests of an instruction that store one value at each point, every point at a place of its own."""
    private = i.private if isinstance(i, Group) else set()
    return [
        n for n in _nests(i)
        if n.combine is None and not n.accumulate and n.out.dynamic is None and n.out.buffer not in private
        and n.points == n.out.buffer.size and all(s for s, e in zip(n.out.strides, n.extents, strict=True) if e > 1)
    ]  # fmt: skip


def _read_so_far(n: Nest, i: Instruction) -> Iterator[Access]:
    """What ``n`` reads, and then what the nests before it in ``i`` do."""
    yield from n.accesses()
    for m in _nests(i):
        if m is n:
            return
        yield from m.accesses()


def _may_take(n: Nest, a: Access, i: Instruction) -> bool:
    """Whether ``n``'s result may lie where ``a`` reads: nothing in ``i`` reads there later, or at another point."""
    out, t = n.out, a.buffer
    if a[1:] != out[1:] or (t.size, t.dtype) != (out.buffer.size, out.buffer.dtype):
        return False
    if isinstance(i, Group) and t in i.private:
        return False
    before = True
    for m in _nests(i):
        touching = [x for x in (*(e.attr for e in loads(m.expr)), m.out) if x.buffer in (t, out.buffer)]
        if not before and any(x.buffer is t for x in touching):
            return False
        if before and any(x.buffer is t and (x is m.out or x[1:] != a[1:] or m.extents != n.extents) for x in touching):
            return False
        if before and m is not n and any(x.buffer is out.buffer for x in touching):
            return False
        before = before and m is not n
    return not any(x.buffer is out.buffer for x in (e.attr for e in loads(n.expr)))
