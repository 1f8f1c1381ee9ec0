"""Profiles of compiled functions: ``function(..., profile=True)``, then ``f.profile.summary()``.

Times are taken around each instruction of the program; flops and bytes follow from the loop nests. Percentages of the
roofline compare with this machine's measured rate of matrix products and copy bandwidth.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph.lower.cost import bytes_moved, cost
from tinygraph.program.instructions import Program


@dataclass
class Entry:
    """One instruction of one program, summed over its runs."""

    label: str
    origin: str
    kind: str
    flops: int
    bytes: int
    calls: int = 0
    seconds: float = 0.0


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

    def register(self, program: Program) -> Callable[[int, float, float], None]:
        """``record(k, begin, end)`` for the program's instruction ``k``."""
        keys = []
        after = bytes_moved(program)
        self.moved.append((after if program.unfused_bytes is None else program.unfused_bytes, after))
        for k, i in enumerate(program.instructions):
            key = (id(program), k)
            flops, moved = cost(i)
            self.entries[key] = Entry(i.label or type(i).__name__, str(i.origin or ""), type(i).__name__, flops, moved)
            keys.append(key)

        def record(k: int, begin: float, end: float) -> None:
            entry = self.entries[keys[k]]
            entry.calls += 1
            entry.seconds += end - begin
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

    def by(self, key: Callable[[Entry], str]) -> list[tuple[str, int, float, int, int]]:
        """``(name, calls, seconds, flops, bytes)`` summed by ``key``, the costliest first."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0, 0])
        for e in self.entries.values():
            row = sums[key(e)]
            row[0] += e.calls
            row[1] += e.seconds
            row[2] += e.flops * e.calls
            row[3] += e.bytes * e.calls
        rows = [(name, int(r[0]), r[1], int(r[2]), int(r[3])) for name, r in sums.items()]
        return sorted(rows, key=lambda r: -r[2])

    def summary(self, top: int = 20) -> str:
        """The profile as text: by instruction, by op class, by the user's line, and what surrounds them."""
        rate, bandwidth = roofline()
        inside = self.instruction_seconds
        running = max(self.call_seconds - self.lower_seconds, 0.0)
        overhead = max(running - inside, 0.0)
        lines = [
            f"profile of {self.name}: {self.calls} calls, {running:.6f} s; instructions {inside:.6f} s, "
            f"call overhead {overhead:.6f} s ({overhead / max(self.calls, 1) * 1e6:.1f} us a call)",
            f"machine: {rate / 1e9:.0f} GFLOP/s in products, {bandwidth / 1e9:.1f} GB/s in copies",
            f"compiling: {self.compile_seconds:.4f} s, making programs: {self.lower_seconds:.4f} s",
        ]
        lines += [f"memory read and written in a call: {a:,} bytes, {b:,} before fusion" for b, a in self.moved]
        lines += [f"  pass {name:<18} {seconds * 1e3:9.2f} ms" for name, seconds in self.passes]
        steps = {"lower": max(self.lower_seconds - sum(self.steps.values()), 0.0), **self.steps}
        lines += [f"  step {name:<18} {seconds * 1e3:9.2f} ms" for name, seconds in steps.items()]
        for title, key in (
            ("by instruction", lambda e: f"{_brief(e.label)}  {e.origin}"),
            ("by op class", lambda e: e.label.split("{")[0].split(" ")[0]),
            ("by line", lambda e: e.origin or "(none)"),
        ):
            lines += ["", f"{title}:", f"  {'time':>10} {'%':>5} {'calls':>7} {'GFLOP/s':>8} {'GB/s':>7} {'roof':>5}"]
            for name, calls, seconds, flops, moved in self.by(key)[:top]:  # type: ignore[no-untyped-call]
                lines.append(_row(name, calls, seconds, flops, moved, inside, rate, bandwidth))
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


def _row(name: str, calls: int, seconds: float, flops: int, moved: int, inside: float, rate: float,
         bandwidth: float) -> str:  # fmt: skip
    share = 100 * seconds / inside if inside else 0.0
    best = max(flops / rate, moved / bandwidth)
    roof = 100 * best / seconds if seconds else 0.0
    return (
        f"  {seconds * 1e3:8.3f}ms {share:4.1f}% {calls:7d} {flops / max(seconds, 1e-12) / 1e9:8.2f} "
        f"{moved / max(seconds, 1e-12) / 1e9:7.2f} {roof:4.0f}%  {name}"
    )


@cache
def roofline() -> tuple[float, float]:
    """This machine's rate of float32 matrix products (flop/s) and of copies (bytes read and written per second)."""
    a = np.ones((1024, 1024), dtype="float32")
    big, other = np.ones(16_000_000, dtype="float32"), np.empty(16_000_000, dtype="float32")
    product = min(_seconds(lambda: a @ a) for _ in range(5))
    copy = min(_seconds(lambda: np.copyto(other, big)) for _ in range(3))
    return 2 * 1024**3 / product, 2 * big.nbytes / copy


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
