"""Profiles of compiled functions: ``function(..., profile=True)``, then ``f.profile.summary()``.

Times are taken around each instruction of the program; flops and bytes follow from what the instructions compute.
Percentages of the roofline compare with the least time that this machine's measured rates allow (``roofline.py``).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygraph.compile.roofline import bandwidth, best_seconds, product_rate
from tinygraph.lower.cost import bytes_moved, cost, flops_by_type
from tinygraph.program.instructions import Group, Instruction, Program
from tinygraph.program.titles import main_op, title


@dataclass
class Entry:
    """One instruction of one program, summed over its runs.

    ``label``: the ops that it computes; ``op``: the class of that which takes the most operations. ``flops`` (by the
    type of number in ``typed_flops``) and ``bytes`` are those of one run; ``touched``: of how many different bytes.
    """

    label: str
    origin: str
    kind: str
    flops: int
    bytes: int
    op: str = ""
    typed_flops: dict[str, int] = field(default_factory=dict)
    touched: int = 0
    calls: float = 0
    seconds: float = 0.0
    #: where the target times the kernels of a loop: theirs, whose seconds add up to the loop's
    inner: dict[Instruction, Entry] = field(default_factory=dict)

    @property
    def best_seconds(self) -> float:
        """The least time that one run could take on this machine."""
        return best_seconds(self.typed_flops, self.bytes, self.touched or self.bytes)


    def share_out(self, seconds: float, kernels: Sequence[tuple[Instruction, float, int]]) -> None:
        """Share a run's seconds out to a loop's kernels, given how often each ran and for how many ticks of a clock."""
        whole = sum(ticks for _, _, ticks in kernels)
        for i, runs, ticks in kernels if whole else ():
            if i not in self.inner:
                self.inner[i] = _entry(i)
                self.inner[i].label = f"{self.label}: {self.inner[i].label}"
            self.inner[i].calls += runs
            self.inner[i].seconds += seconds * ticks / whole


def _entry(i: Instruction) -> Entry:
    flops, moved = cost(i)
    weight = {n: cost(n)[0] for n in i.nests} if isinstance(i, Group) else {}
    touched = sum(b.nbytes for b in {*i.reads(), *i.writes()} if b.dtype != "object")
    return Entry(title(i), str(i.origin or ""), type(i).__name__, flops, moved, main_op(i, weight), flops_by_type(i),
                 min(moved, touched))  # fmt: skip


@dataclass
class Profile:
    """What a function's calls cost."""

    name: str
    compile_seconds: float = 0.0
    passes: list[tuple[str, float]] = field(default_factory=list)
    #: seconds from graph to program and code, at first calls; and of these the steps that are timed by themselves
    lower_seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    calls: int = 0
    call_seconds: float = 0.0
    entries: dict[Any, Entry] = field(default_factory=dict)
    events: list[tuple[Any, float, float]] = field(default_factory=list)
    #: spans kept for the trace
    limit: int = 100_000
    #: bytes that each program's instructions read and write in a call: before fusion, and after
    moved: list[tuple[int, int]] = field(default_factory=list)

    def register(self, program: Program) -> Callable[..., None]:
        """``record(k, begin, end)`` for the program's instruction ``k``.

        For a loop the target may add its kernels: ``(instruction, how often it ran, ticks of any clock)`` of each.
        """
        keys = []
        after = bytes_moved(program)
        self.moved.append((after if program.unfused_bytes is None else program.unfused_bytes, after))
        for k, i in enumerate(program.instructions):
            key = (id(program), k)
            self.entries[key] = _entry(i)
            keys.append(key)

        def record(
            k: int, begin: float, end: float, kernels: Sequence[tuple[Instruction, float, int]] = ()
        ) -> None:
            entry = self.entries[keys[k]]
            entry.calls += 1
            entry.seconds += end - begin
            entry.share_out(end - begin, kernels)
            if len(self.events) < self.limit:
                self.events.append((keys[k], begin, end))

        return record

    @property
    def fct_callcount(self) -> int:
        """``calls``, as Theano names it."""
        return self.calls

    @property
    def fct_call_time(self) -> float:
        """``call_seconds``, as Theano names it."""
        return self.call_seconds

    @property
    def instruction_seconds(self) -> float:
        return sum(e.seconds for e in self.entries.values())

    def by(self, key: Callable[[Entry], str]) -> list[tuple[str, int, float, int, int, float]]:
        """``(name, calls, seconds, flops, bytes, least possible seconds)`` summed by ``key``, the costliest first."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0, 0, 0.0])
        for e in (x for whole in self.entries.values() for x in (whole.inner.values() or (whole,))):
            row = sums[key(e)]
            row[0] += e.calls
            row[1] += e.seconds
            row[2] += e.flops * e.calls
            row[3] += e.bytes * e.calls
            row[4] += e.best_seconds * e.calls if e.calls else 0.0
        rows = [(name, int(r[0]), r[1], int(r[2]), int(r[3]), r[4]) for name, r in sums.items()]
        return sorted(rows, key=lambda r: -r[2])

    def summary(self, top: int = 20) -> str:
        """The profile as text: by instruction, by op class, by the user's line, and what surrounds them."""
        inside = self.instruction_seconds
        running = max(self.call_seconds - self.lower_seconds, 0.0)
        overhead = max(running - inside, 0.0)
        lines = [
            f"profile of {self.name}: {self.calls} calls, {running:.6f} s; instructions {inside:.6f} s, "
            f"call overhead {overhead:.6f} s ({overhead / max(self.calls, 1) * 1e6:.1f} us a call)",
            _machine(),
            f"compiling: {self.compile_seconds:.4f} s, making programs: {self.lower_seconds:.4f} s",
        ]
        lines += [f"memory read and written in a call: {a:,} bytes, {b:,} before fusion" for b, a in self.moved]
        lines += [f"  pass {name:<18} {seconds * 1e3:9.2f} ms" for name, seconds in self.passes]
        steps = {"lower": max(self.lower_seconds - sum(self.steps.values()), 0.0), **self.steps}
        lines += [f"  step {name:<18} {seconds * 1e3:9.2f} ms" for name, seconds in steps.items()]
        for heading, key in (
            ("by instruction", lambda e: f"{_brief(e.label)}  {e.origin}"),
            ("by op class", lambda e: e.op),
            ("by line", lambda e: e.origin or "(none)"),
        ):
            lines += ["", f"{heading}:", f"  {'time':>10} {'%':>5} {'calls':>7} {'GFLOP/s':>8} {'GB/s':>7} {'roof':>5}"]
            for row in self.by(key)[:top]:  # type: ignore[no-untyped-call]
                lines.append(_row(*row, inside))
        return "\n".join(lines)

    def chrome_trace(self, file: str | Path) -> None:
        """Write the calls as a trace that Perfetto and chrome://tracing open."""
        start = min((b for _, b, _ in self.events), default=0.0)
        names = (("process_name", "tinygraph"), ("thread_name", self.name))
        events: list[dict[str, Any]] = [
            {"name": kind, "ph": "M", "pid": 1, "tid": 1, "args": {"name": name}} for kind, name in names
        ]
        events += [
            {
                "name": self.entries[key].label, "cat": self.entries[key].kind, "ph": "X", "pid": 1, "tid": 1,
                "ts": (begin - start) * 1e6, "dur": (end - begin) * 1e6,
                "args": {"line": self.entries[key].origin, "flops": self.entries[key].flops,
                         "bytes": self.entries[key].bytes},
            }
            for key, begin, end in self.events
        ]  # fmt: skip
        Path(file).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}), encoding="utf-8")


def _brief(label: str) -> str:
    """A label without the long lists of its ops' parameters."""
    return re.sub(r"{[^{}]{25,}}", "", label)


def _machine() -> str:
    single, double = (product_rate(dtype) / 1e9 for dtype in ("float32", "float64"))
    memory, cache = (bandwidth(n) / 1e9 for n in (1 << 27, 1 << 18))
    return (
        f"machine: {single:.0f} GFLOP/s in products of float32, {double:.0f} of float64; "
        f"{memory:.1f} GB/s from memory, {cache:.1f} GB/s from a cache of 256 kB"
    )


def _row(name: str, calls: int, seconds: float, flops: int, moved: int, best: float, inside: float) -> str:
    share = 100 * seconds / inside if inside else 0.0
    roof = 100 * best / seconds if seconds else 0.0
    return (
        f"  {seconds * 1e3:8.3f}ms {share:4.1f}% {calls:7d} {flops / max(seconds, 1e-12) / 1e9:8.2f} "
        f"{moved / max(seconds, 1e-12) / 1e9:7.2f} {roof:4.0f}%  {name}"
    )
