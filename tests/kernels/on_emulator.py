"""Helpers of the kernel tests: launch under several seeds, types, tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from cuda_emulator import DeviceBuffer, Emulator, Module, missing_reason

from tinygraph.targets.cuda import kernels

# Each run has its own fiber order and poison; two have buffers that end at a protected page, one aligned ones.
RUNS = ((0, None), (1, 256), (2, None))

needs_emulator = pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason()))

C_TYPES = {
    np.dtype(name): c_type
    for name, c_type in {
        "float16": "half_t", "float32": "float", "float64": "double", "int8": "signed char", "uint8": "unsigned char",
        "int16": "short", "int32": "int", "int64": "i64", "uint32": "u32", "bool": "bool",
    }.items()
}  # fmt: skip


def c_type(dtype: Any) -> str:
    """Return the kernels' name for a NumPy dtype."""
    return C_TYPES[np.dtype(dtype)]


@cache
def build(source: str, seed: int, align: int | None) -> Module:
    """Compile for one run; the library itself is shared by all of them."""
    return Emulator(seed=seed, align=align).compile(source)


def launch(
    source: str,
    kernel: str,
    grid: Sequence[int] | int,
    block: Sequence[int] | int,
    args: Sequence[Any],
    exact: bool = True,
    shared_mem: int = 0,
) -> list[np.ndarray]:
    """Launch once per run on copies of the arguments; return the arrays that the kernel may write, in order.

    ``exact``: every run must give the same bits (leave it on but for floating-point atomics).
    """
    results = []
    for seed, align in RUNS:
        function = build(source, seed, align).function(kernel)
        copies = _copies(args)
        function(np.atleast_1d(grid).tolist(), np.atleast_1d(block).tolist(), copies, shared_mem)
        writable = zip(copies, function.parameters, strict=True)
        results.append(
            [
                array
                for array, (_, kind, const) in writable
                if kind == "p" and not const and isinstance(array, np.ndarray)
            ]
        )
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            if exact:
                np.testing.assert_array_equal(
                    first, again, err_msg=f"{kernel} depends on the order of its threads"
                )
            else:
                np.testing.assert_allclose(first, again, rtol=1e-4, atol=1e-5)
    return results[0]


def run(
    file: str,
    kernel: str,
    grid: Any,
    block: Any,
    args: Sequence[Any],
    macros: Mapping[str, object] | None = None,
    **more: Any,
) -> list[np.ndarray]:
    """Like :func:`launch`, for a kernel file and its macros."""
    return launch(kernels.source(file, macros), kernel, grid, block, args, **more)


def _copies(args: Sequence[Any]) -> list[Any]:
    """Copy arrays, an array given twice once, so that in-place use stays in place."""
    made: dict[int, np.ndarray] = {}
    return [made.setdefault(id(arg), arg.copy()) if isinstance(arg, np.ndarray) else arg for arg in args]


def out(shape: Any, dtype: Any = "float32") -> np.ndarray:
    """Return an array for a kernel to fill, holding what no test expects."""
    return np.ones(shape, bool) if np.dtype(dtype).kind == "b" else np.full(shape, 77, dtype)


def ceil_div(a: int, b: int) -> int:
    """Return the number of pieces of size ``b`` that cover ``a``."""
    return -(-a // b)


def to_bf16(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16, returned as its uint16 bits."""
    bits = np.ascontiguousarray(values, "float32").view("uint32")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("uint16")


def from_bf16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 bits."""
    return (bits.astype("uint32") << 16).view("float32")


__all__ = [
    "DeviceBuffer",
    "RUNS",
    "build",
    "c_type",
    "ceil_div",
    "from_bf16",
    "launch",
    "needs_emulator",
    "out",
    "run",
    "to_bf16",
]
