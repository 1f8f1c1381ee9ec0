"""What this machine can do: rates of matrix products, and of reading and copying as many bytes as work touches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from tinygraph.config import available_cpus

#: bytes: smaller work is measured with calls rather than with memory, larger does not fit any cache
_LEAST, _MOST = 1 << 15, 1 << 27


def best_seconds(flops: Mapping[str, int], moved: int, touched: int) -> float:
    """The least time in which so many operations, by their types, and so many bytes could be got through.

    ``touched``: of how many bytes the ``moved`` ones are: what stays in a cache is at hand more quickly.
    """
    counted = sum(n / product_rate(_of_width(dtype)) for dtype, n in flops.items())
    return max(counted, moved / bandwidth(touched) if moved else 0.0)


def _of_width(dtype: str) -> str:
    return "float64" if np.dtype(dtype).itemsize == 8 else "float32"


@cache
def product_rate(dtype: str) -> float:
    """Flop/s of matrix products of float32 or float64 on all threads, the best of some."""
    a = np.ones((1024, 1024), dtype=dtype)
    return 2 * 1024**3 / _least_seconds(lambda: a @ a)


def bandwidth(touched: int) -> float:
    """Bytes per second that all threads read or copy, whichever is more, of about ``touched`` bytes in all."""
    return _bandwidth(1 << min(max(touched, _LEAST) - 1, _MOST - 1).bit_length())


@cache
def _bandwidth(touched: int) -> float:
    threads = available_cpus() if touched >= 1 << 21 else 1
    share = touched // threads // 8
    halves = [(np.ones(share // 2), np.empty(share // 2)) for _ in range(threads)]
    whole = [np.ones(share) for _ in range(threads)]
    turns = max(1, min(200, (1 << 24) // touched))
    read = _least_seconds(lambda: _at_once([_repeated(np.dot, turns, x, x) for x in whole]))
    copy = _least_seconds(lambda: _at_once([_repeated(np.copyto, turns, b, a) for a, b in halves]))
    return touched * turns / min(read, copy)


def _repeated(call: Callable[..., Any], turns: int, *args: Any) -> Callable[[], None]:
    def run() -> None:
        for _ in range(turns):
            call(*args)

    return run


def _at_once(works: list[Callable[[], None]]) -> None:
    others = [threading.Thread(target=work) for work in works[1:]]
    for t in others:
        t.start()
    works[0]()
    for t in others:
        t.join()


def _least_seconds(call: Callable[[], Any]) -> float:
    """The least of some runs, for half a tenth of a second but four at least: others use the machine too."""
    best, spent, runs = float("inf"), 0.0, 0
    while spent < 0.05 or runs < 4:
        begin = time.perf_counter()
        call()
        seconds = time.perf_counter() - begin
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return best
