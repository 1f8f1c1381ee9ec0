"""Timing candidates against each other: in turn, so that a noisy machine is noisy for all, and by medians.

Idle worker threads of BLAS and OpenMP libraries spin for some milliseconds before they sleep. So that none of them takes
a CPU from the next candidate, each turn begins with calls that are not timed, for all alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

#: seconds of calls before those that count; OpenBLAS lets its workers spin the longest, some 20 ms
_WARM_UP = 0.03


def turn(call: Callable[[], object], calls: int) -> float:
    """Seconds per call, of so many, after calls that do not count."""
    warm = time.perf_counter() + _WARM_UP
    while time.perf_counter() < warm:
        call()
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def compare(
    candidates: Mapping[str, Callable[[], object]], seconds: float = 3.0, least: int = 5
) -> dict[str, float]:
    """Median time of a call of each, in seconds; ``seconds`` is the time spent on each candidate."""
    return take_turns(
        {name: lambda n, call=call: turn(call, n) for name, call in candidates.items()}, seconds, least
    )


def take_turns(
    runs: Mapping[str, Callable[[int], float]], seconds: float = 3.0, least: int = 5
) -> dict[str, float]:
    """The same of functions that make so many calls, warm, and return the seconds of one."""
    calls = {}
    for name, run in runs.items():
        run(1)  # compiles
        calls[name] = max(1, int(0.01 / max(run(1), 1e-7)))  # short calls are timed several at a time
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end or min(map(len, times.values())) < least:
        for name, run in runs.items():
            times[name].append(run(calls[name]))
    return {name: statistics.median(t) for name, t in times.items()}
