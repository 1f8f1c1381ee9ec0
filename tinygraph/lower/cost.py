"""What instructions cost: scalar operations, and bytes read and written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from tinygraph.program.expr import Access, Expr, loads, postorder
from tinygraph.program.instructions import (
    Branch,
    Buffer,
    Group,
    Host,
    Instruction,
    Loop,
    Nest,
    Program,
    Routine,
)

_FREE = frozenset("load const param axis cast".split())
_SIMPLE = frozenset(
    "add sub mul neg abs minimum maximum eq ne lt le gt ge and or xor not invert shl shr select sign index".split()
)
#: what the other operations cost, in simple ones: divisions and roots, and functions evaluated by polynomials
_DIVISION, _FUNCTION = 4, 40


def cost(i: Instruction) -> tuple[int, int]:
    """``(flops, bytes)`` of one run of an instruction: scalar operations, and memory read and written once each.

    A function such as ``tanh`` counts as one operation, a multiplication with its addition as two. Of a loop, what its
    steps read and write; of a branch, the first.
    """
    own = i.own_cost()
    if own is not None:
        return own
    if isinstance(i, Nest):
        per_point = sum(x.op not in _FREE for x in postorder(i.expr)) + (i.combine is not None)
        return i.points * per_point, _traffic([i], ())
    if isinstance(i, Group):
        flops = sum(cost(n)[0] for n in i.nests)
        return flops, _traffic(i.nests, i.private)
    if isinstance(i, (Loop, Branch)):
        body = i.body if isinstance(i, Loop) else i.then
        flops, moved = (sum(c) for c in zip(*map(cost, body), strict=True)) if body else (0, 0)
        times = i.steps if isinstance(i, Loop) else 1
        return flops * times, moved * times
    refs = [*i.inputs, *i.outputs] if isinstance(i, (Routine, Host)) else []
    return 0, sum(r.size * r.buffer.itemsize for r in refs if r.dtype != "object")


def operations(e: Expr) -> int:
    """What one evaluation of an expression costs, in simple scalar operations."""
    return sum(
        0 if x.op in _FREE else 1 if x.op in _SIMPLE else _DIVISION if x.op in ("div", "sqrt") else _FUNCTION
        for x in postorder(e)
    )


def operands(e: Expr) -> set[Buffer]:
    """The arrays that an expression reads, those of a single element aside: they stay in a register."""
    return {x.attr.buffer for x in loads(e) if any(x.attr.strides) or x.attr.dynamic is not None}


def duplication_pays(work: int, fresh: Iterable[Buffer], itemsize: int, places: int, readers: int) -> bool:
    """Whether to compute a value at each of ``places`` in ``readers`` nests rather than once, to be stored and read.

    ``work``: operations that compute it; ``fresh``: what computing it reads that a reader would not read anyway. An
    operation is taken to cost as much as a byte moved, which errs on the side of storing. The value's memory may give
    way to that of at most one operand: the largest live set does not grow.
    """
    read = [b.itemsize for b in fresh]
    again = work * (places - 1) + sum(read) * (readers - 1)
    return len(read) <= 1 and again < itemsize * (1 + places)


def _traffic(nests: Iterable[Nest], private: Iterable[Buffer]) -> int:
    """Bytes that nests run together read and write: what one has written or read is at hand for the next."""
    read: dict[Buffer, int] = {}
    written: dict[Buffer, int] = {b: 0 for b in private}
    for n in nests:
        for b, count in _points(n, [x.attr for x in loads(n.expr)]).items():
            if b not in written:
                read[b] = max(read.get(b, 0), count)
        out = n.out.buffer
        (count,) = _points(n, [n.out]).values()
        if n.accumulate and out not in written:
            read[out] = max(read.get(out, 0), count)
        written[out] = 0 if out in private else max(written.get(out, 0), count)
    return sum(count * b.itemsize for side in (read, written) for b, count in side.items())


def _points(n: Nest, accesses: Iterable[Access]) -> dict[Buffer, int]:
    """Elements of each buffer that the accesses touch, at most."""
    points: dict[Buffer, int] = defaultdict(int)
    for a in set(accesses):
        points[a.buffer] += prod(e for e, s in zip(n.extents, a.strides, strict=True) if s or a.dynamic is not None)
    return {b: min(count, max(b.size, 1)) for b, count in points.items()}


def bytes_moved(program: Program) -> int:
    """Bytes that all instructions of a program read and write."""
    return sum(cost(i)[1] for i in program.instructions)


def flops_by_type(i: Instruction) -> dict[str, int]:
    """The flops of one run of an instruction by the type of number that they work on."""
    found: dict[str, int] = defaultdict(int)
    for part, times in _parts(i):
        dtypes = [part.expr.dtype] if isinstance(part, Nest) else [b.dtype for b in part.writes()]
        flops = times * cost(part)[0]
        if flops:
            found[dtypes[0]] += flops
    return dict(found)


def _parts(i: Instruction, times: int = 1) -> Iterator[tuple[Instruction, int]]:
    """The nests, and other instructions that hold none, with how often each runs."""
    if isinstance(i, Group):
        yield from ((n, times) for n in i.nests)
    elif isinstance(i, (Loop, Branch)):
        for inner in i.body if isinstance(i, Loop) else i.then:
            yield from _parts(inner, times * (i.steps if isinstance(i, Loop) else 1))
    else:
        yield i, times


def cost_by_node(i: Instruction) -> dict[Any, tuple[int, int]]:
    """``(flops, bytes)`` of one run of an instruction by the graph node that each part of it computes.

    The bytes are those that the part would move on its own: what fusion saves is no single node's.
    """
    found: dict[Any, tuple[int, int]] = {}

    def add(part: Instruction, times: int) -> None:
        if part.source is not None:
            flops, moved = cost(part)
            before = found.get(part.source.node, (0, 0))
            found[part.source.node] = before[0] + times * flops, before[1] + times * moved

    for part, times in _parts(i):
        for n in (part.made_of or (part,)) if isinstance(part, Nest) else (part,):
            add(n, times)
    return found
