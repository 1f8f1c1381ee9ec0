"""The memory plan: where in one block each temporary lives, by the span of instructions that use it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tinygraph.lower.timed import timed
from tinygraph.program.instructions import Buffer, Instruction, Program

ALIGN = 64
#: with more buffers than this the first order is taken as it comes
_MANY = 600
#: rounds without gain after which the search ends
_ROUNDS = 12

#: first and last instruction that touches each buffer
Spans = dict[Buffer, tuple[int, int]]


@dataclass
class MemoryPlan:
    """Offsets in bytes of the temporaries in one block of ``peak`` bytes; ``lower_bound`` is the largest live set."""

    offsets: dict[Buffer, int]
    spans: Spans
    peak: int
    lower_bound: int


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


def spans(instructions: Sequence[Instruction]) -> Spans:
    """First and last instruction that touches each temporary."""
    found: Spans = {}
    for i, instruction in enumerate(instructions):
        for buf in (*instruction.reads(), *instruction.writes()):
            if buf.kind == "temp":
                found[buf] = (found[buf][0] if buf in found else i, i)
    return found


@timed("plan memory")
def plan_memory(program: Program) -> MemoryPlan:
    """Interval-graph colouring: each buffer at the lowest offset free throughout its span.

    What is placed first decides how well the rest fits, so several orders are tried, until one reaches the largest
    live set. Then those buffers that stand highest go first, a few times over.
    """
    live = spans(program.instructions)
    for ref in (*program.outputs, *program.updates):  # borrowed results stay until the end
        if ref.buffer in live:
            live[ref.buffer] = (live[ref.buffer][0], len(program.instructions))
    bound = largest_live_set(live)
    best: dict[Buffer, int] = {}
    peak = -1
    for order in _orders(live):
        offsets, reached = _place(order, live)
        if peak < 0 or reached < peak:
            best, peak = offsets, reached
        if peak <= bound or len(live) > _MANY:
            break
    if peak > bound and len(live) <= _MANY:
        best, peak = _improve(best, peak, bound, live)
    return MemoryPlan(best, live, max(peak, 0), bound)


def _orders(live: Spans) -> Iterator[list[Buffer]]:
    """Orders in which to place buffers, the one that is best most often first."""
    span = {b: last - first + 1 for b, (first, last) in live.items()}
    yield sorted(live, key=lambda b: (-b.nbytes, b.id))
    yield sorted(live, key=lambda b: (-b.nbytes * span[b], b.id))
    yield sorted(live, key=lambda b: (-span[b], -b.nbytes, b.id))
    yield sorted(live, key=lambda b: (live[b][0], -b.nbytes, b.id))
    yield sorted(live, key=lambda b: (-live[b][1], -b.nbytes, b.id))


def _place(order: Sequence[Buffer], live: Spans) -> tuple[dict[Buffer, int], int]:
    """Each buffer in turn at the lowest offset that is free throughout its span; and the peak reached."""
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), by offset
    offsets: dict[Buffer, int] = {}
    peak = 0
    for buf in order:
        first, last = live[buf]
        size = aligned(max(buf.nbytes, 1))
        at = 0
        for low, high, begin, end in placed:
            if begin <= last and first <= end:
                if low - at >= size:
                    break
                at = max(at, high)
        offsets[buf] = at
        insort(placed, (at, at + size, first, last))
        peak = max(peak, at + size)
    return offsets, peak


def _improve(best: dict[Buffer, int], peak: int, bound: int, live: Spans) -> tuple[dict[Buffer, int], int]:
    """Place again, starting with the buffers that reach above the bound, until nothing is gained for some rounds.

    If that ends more than a twentieth above the bound, rounds follow in which sizes are blurred by chance (the same
    in every run).
    """
    chance = Random(0)
    order, offsets, idle = list(best), best, 0
    while peak > bound and (idle < _ROUNDS or (peak > 1.05 * bound and idle < 5 * _ROUNDS)):
        if idle >= _ROUNDS:
            weight = {b: b.nbytes * chance.uniform(0.3, 1) for b in live}
            order = sorted(live, key=lambda b: (-weight[b], b.id))
        else:
            high = {b for b in order if offsets[b] + aligned(max(b.nbytes, 1)) > bound}
            order = [*(b for b in order if b in high), *(b for b in order if b not in high)]
        offsets, reached = _place(order, live)
        idle += 1
        if reached < peak:
            best, peak, idle = offsets, reached, 0
    return best, peak


def largest_live_set(live: Spans) -> int:
    """Bytes of the buffers that are live at once, where these are most."""
    events: list[tuple[int, int]] = []
    for buf, (first, last) in live.items():
        size = aligned(max(buf.nbytes, 1))
        events += [(first, size), (last + 1, -size)]
    now = most = 0
    for _, size in sorted(events):
        now += size
        most = max(most, now)
    return most
