"""How fast a GPU is: matrix products, copies inside it, and calls with next to nothing to do."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tinygraph.program.instructions import Buffer
from tinygraph.targets.cuda.device import Device
from tinygraph.targets.cuda.products import Gemm
from tinygraph.targets.cuda.writer import Pointer


def gemm_rate(device: Device, dtype: str, n: int = 8192) -> float:
    """Floating-point operations per second in products of two n by n matrices, float32 without TF32."""
    with device.active():
        blocks = [device.put(np.zeros((n, n), dtype)) for _ in range(3)]
        a, b, c = (device.pointer(x) for x in blocks)
        p = Pointer(Buffer(0, dtype, n * n, "temp"))
        square = (n * n, n, 1)
        g = Gemm(dtype, 1, n, n, n, p, p, p, square, square, square, False)
        return 2 * n**3 / _seconds(device, lambda: device.gemm(g, a, b, c))


def copy_bandwidth(device: Device, nbytes: int = 1 << 30) -> float:
    """Bytes per second, read and written, in copies inside the device."""
    with device.active():
        source, target = device.empty((nbytes,), "uint8"), device.empty((nbytes,), "uint8")
        to, of = device.pointer(target), device.pointer(source)
        return 2 * nbytes / _seconds(device, lambda: device.copy(to, of, nbytes))


def call_seconds(device: Device, calls: int = 2000) -> float:
    """Seconds for a call of the smallest compiled function, of many queued one after another."""
    from tinygraph import Mode, Out, function, shared
    from tinygraph.config import config

    with config.change(device=device.name):
        f = function([], Out(shared(np.float32(1)) + 1, borrow=True), mode=Mode(target="cuda"))
    return _seconds(device, f, calls)


def _seconds(device: Device, work: Callable[[], object], repeats: int = 10) -> float:
    """Mean time of one of ``repeats`` queued one after another, the best of three such series."""
    for _ in range(3):
        work()
    best = float("inf")
    for _ in range(3):
        device.synchronize()
        begin = time.perf_counter()
        for _ in range(repeats):
            work()
        device.synchronize()
        best = min(best, (time.perf_counter() - begin) / repeats)
    return best
