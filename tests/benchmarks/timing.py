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


def compare(candidates: Mapping[str, Callable[[], object]], seconds: float = 3.0, least: int = 5) -> dict[str, float]:
    """Median time of a call of each, in seconds; ``seconds`` is the time spent on each candidate."""
    repeat: dict[str, int] = {}
    for name, call in candidates.items():
        call()
        begin = time.perf_counter()
        call()
        once = time.perf_counter() - begin
        repeat[name] = max(1, int(0.01 / max(once, 1e-7)))  # short calls are timed several at a time
    times: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds * len(candidates)
    while time.perf_counter() < end or min(map(len, times.values())) < least:
        for name, call in candidates.items():
            n = repeat[name]
            warm = time.perf_counter() + _WARM_UP
            while time.perf_counter() < warm:
                call()
            begin = time.perf_counter()
            for _ in range(n):
                call()
            times[name].append((time.perf_counter() - begin) / n)
    return {name: statistics.median(t) for name, t in times.items()}
