"""Tiles spread over threads: NumPy's calls on large arrays release the GIL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

_pool: ThreadPoolExecutor | None = None
_pool_pid = 0


def _executor(threads: int) -> ThreadPoolExecutor:
    """A pool of this process; made on first use, and anew after a fork."""
    global _pool, _pool_pid
    if _pool is None or _pool_pid != os.getpid() or _pool._max_workers < threads - 1:
        _pool = ThreadPoolExecutor(max(threads - 1, 1), thread_name_prefix="tinygraph")
        _pool_pid = os.getpid()
    return _pool


#: ``shared`` is true on a thread while it works on its share: what it calls then finds no other thread free
_here = threading.local()


def _shared(work: Callable[..., Any], first: int, last: int, scratch: Any) -> None:
    _here.shared = True
    try:
        with np.errstate(all="ignore"):  # a thread has a state of its own
            work(first, last, scratch)
    finally:
        _here.shared = False


def parallel(work: Callable[..., Any], n: int, rows: int, scratch: Sequence[Any]) -> None:
    """``work(first, last, scratch of the thread)`` over ``0 .. n``, one share for each entry of ``scratch``."""
    threads = len(scratch)
    tiles = -(-n // rows)
    if threads == 1 or tiles < 2 or getattr(_here, "shared", False):
        work(0, n, scratch[0])
        return
    share = -(-tiles // threads) * rows
    executor = _executor(threads)
    futures = [
        executor.submit(_shared, work, t * share, min((t + 1) * share, n), scratch[t])
        for t in range(1, threads)
        if t * share < n
    ]
    try:
        _shared(work, 0, min(share, n), scratch[0])
    finally:
        for f in futures:
            f.exception()  # wait, whatever happened here
    for f in futures:
        f.result()


#: multiplications below which a product is not worth a second thread's start
_SPLIT_ABOVE = 2_000_000


def split_matmul(threads: int) -> Callable[..., None]:
    """``matmul(a, b, out)`` for matrices, its rows (or columns) shared out over threads that each call BLAS."""

    def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        if out.ndim != 2 or a.size * b.shape[-1] < _SPLIT_ABOVE:
            np.matmul(a, b, out)
            return
        if out.shape[0] >= out.shape[1]:
            parallel(lambda i, j, _: np.matmul(a[i:j], b, out[i:j]), out.shape[0], 8, [None] * threads)
        else:
            parallel(lambda i, j, _: np.matmul(a, b[:, i:j], out[:, i:j]), out.shape[1], 8, [None] * threads)

    return product
