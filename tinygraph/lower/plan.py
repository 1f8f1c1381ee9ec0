"""The memory plan: where in one block each temporary lives, by the span of instructions that use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygraph.program.instructions import Buffer, Instruction, Program

ALIGN = 64


@dataclass
class MemoryPlan:
    """Offsets in bytes of the temporaries in one block of ``peak`` bytes; ``lower_bound`` is the largest live set."""

    offsets: dict[Buffer, int]
    spans: dict[Buffer, tuple[int, int]]
    peak: int
    lower_bound: int


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


def spans(instructions: Sequence[Instruction]) -> dict[Buffer, tuple[int, int]]:
    """First and last instruction that touches each temporary."""
    found: dict[Buffer, tuple[int, int]] = {}
    for i, instruction in enumerate(instructions):
        for buf in (*instruction.reads(), *instruction.writes()):
            if buf.kind == "temp":
                found[buf] = (found[buf][0] if buf in found else i, i)
    return found


def plan_memory(program: Program) -> MemoryPlan:
    """Interval-graph colouring, largest first: each buffer at the lowest offset free throughout its span."""
    live = spans(program.instructions)
    for ref in (*program.outputs, *program.updates):  # borrowed results stay until the end
        if ref.buffer in live:
            live[ref.buffer] = (live[ref.buffer][0], len(program.instructions))
    order = sorted(live, key=lambda b: (-b.nbytes, b.id))
    placed: list[tuple[int, int, int, int]] = []  # (first, last, offset, end)
    offsets: dict[Buffer, int] = {}
    peak = 0
    for buf in order:
        first, last = live[buf]
        size = aligned(max(buf.nbytes, 1))
        at = 0
        for _, _, low, high in sorted(
            (p for p in placed if p[0] <= last and first <= p[1]), key=lambda p: p[2]
        ):
            if low - at >= size:
                break
            at = max(at, high)
        offsets[buf] = at
        placed.append((first, last, at, at + size))
        peak = max(peak, at + size)
    return MemoryPlan(offsets, live, peak, _largest_live_set(live))


def _largest_live_set(live: dict[Buffer, tuple[int, int]]) -> int:
    events: list[tuple[int, int]] = []
    for buf, (first, last) in live.items():
        size = aligned(max(buf.nbytes, 1))
        events += [(first, size), (last + 1, -size)]
    now = most = 0
    for _, size in sorted(events):
        now += size
        most = max(most, now)
    return most
