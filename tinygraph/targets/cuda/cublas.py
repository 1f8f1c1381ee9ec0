"""cuBLAS by ctypes: matrix products that may be captured into a CUDA graph, which CuPy's own binding refuses.

A handle belongs to one stream and has a workspace of its own, as captured products need.
"""

from __future__ import annotations

import ctypes
import os
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tinygraph.targets.cuda.device import DeviceUnavailable
from tinygraph.targets.cuda.products import Gemm

#: NVIDIA recommends 32 MiB for Hopper, 4 MiB for what came before
WORKSPACE_BYTES = 32 << 20
#: CUDA_R_32F and CUDA_R_16F, CUBLAS_COMPUTE_32F and its forms that round factors, CUBLAS_GEMM_DEFAULT
_FLOAT, _HALF, _DEFAULT = 0, 2, -1
_COMPUTE = {"": 68, "bf16": 75, "tf32": 77}


class Call(NamedTuple):
    """The arguments of cublas<t>gemmStridedBatched, whose matrices are stored by columns.

    ``swapped``: the first operand is ``b``. Leading dimensions and batch strides in elements.
    """

    swapped: bool
    transpose_first: bool
    transpose_second: bool
    m: int
    n: int
    k: int
    ld_first: int
    ld_second: int
    ld_out: int
    step_first: int
    step_second: int
    step_out: int


def call_of(g: Gemm) -> Call:
    """How cuBLAS is asked for ``g``: a result stored by rows is its transpose stored by columns, C' = B' A'."""
    _, row, column = g.c_strides
    a = (g.a_strides[1], g.a_strides[2], g.m, g.k)
    b = (g.b_strides[1], g.b_strides[2], g.k, g.n)
    by_rows = (column == 1 or g.n == 1) and (g.m == 1 or row >= g.n)
    if by_rows:  # first = B transposed: (n, k); second = A transposed: (k, m)
        first, second = (b[1], b[0], g.n, g.k), (a[1], a[0], g.k, g.m)
        m, n, ld = g.n, g.m, row if g.m != 1 else g.n
        steps = g.b_strides[0], g.a_strides[0]
    else:
        first, second = a, b
        m, n, ld = g.m, g.n, column if g.n != 1 else g.m
        steps = g.a_strides[0], g.b_strides[0]
    (t1, ld1), (t2, ld2) = _stored(*first), _stored(*second)
    return Call(by_rows, t1, t2, m, n, g.k, ld1, ld2, max(ld, m), *steps, g.c_strides[0])


def _stored(row: int, column: int, rows: int, columns: int) -> tuple[bool, int]:
    """Whether a (rows, columns) matrix lies in memory as its transpose by columns, and the leading dimension."""
    if (row == 1 or rows == 1) and (columns == 1 or column >= rows):
        return False, max(column if columns != 1 else rows, rows, 1)
    return True, max(row if rows != 1 else columns, columns, 1)


@lru_cache(maxsize=2)
def library(major: int) -> ctypes.CDLL:
    """Load and return cuBLAS of CUDA ``major`` (the version that CuPy runs with).

    Raises: DeviceUnavailable, saying which package provides it.
    """
    site = Path(sysconfig.get_path("purelib")) / "nvidia"
    folders = [site / "cublas" / "lib", site / f"cu{major}" / "lib"]
    if root := os.environ.get("CUDA_PATH"):
        folders.append(Path(root) / "lib64")
    folders.append(Path("/usr/local/cuda/lib64"))
    file = f"libcublas.so.{major}"
    found = [str(path) for folder in folders for path in sorted(folder.glob(f"{file}*"))]
    for name in [*found, file]:
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        _declare(lib)
        return lib
    raise DeviceUnavailable(
        f"cuBLAS of CUDA {major} not found: pip install {'nvidia-cublas-cu12' if major == 12 else 'nvidia-cublas'}, "
        "or install the CUDA toolkit"
    )


def _declare(lib: ctypes.CDLL) -> None:
    size, pointer, number = ctypes.c_longlong, ctypes.c_void_p, ctypes.c_int
    for name in ("cublasSgemmStridedBatched", "cublasDgemmStridedBatched"):
        getattr(lib, name).argtypes = [pointer, *[number] * 5, pointer, pointer, number, size, pointer, number, size,
                                       pointer, pointer, number, size, number]  # fmt: skip
    lib.cublasGemmStridedBatchedEx.argtypes = [
        pointer, *[number] * 5, pointer, pointer, number, number, size, pointer, number, number, size, pointer, pointer,
        number, number, size, number, number, number,
    ]  # fmt: skip
    lib.cublasCreate_v2.argtypes = [ctypes.POINTER(pointer)]
    lib.cublasDestroy_v2.argtypes = [pointer]
    lib.cublasSetStream_v2.argtypes = [pointer, pointer]
    lib.cublasSetWorkspace_v2.argtypes = [pointer, pointer, ctypes.c_size_t]


class Handle:
    """cuBLAS on one stream."""

    def __init__(self, major: int, stream: int, workspace: Any, workspace_address: int):
        self.workspace = workspace  # kept alive
        self.handle = ctypes.c_void_p()
        lib = self.library = library(major)
        _check(lib.cublasCreate_v2(ctypes.byref(self.handle)), "create")
        _check(lib.cublasSetStream_v2(self.handle, stream), "set stream")
        _check(lib.cublasSetWorkspace_v2(self.handle, workspace_address, WORKSPACE_BYTES), "set workspace")

    def gemm(self, g: Gemm, a: int, b: int, c: int) -> None:
        """Queue one product."""
        lib = self.library
        x = call_of(g)
        first, second = (b, a) if x.swapped else (a, b)
        kind = ctypes.c_double if g.dtype == "float64" else ctypes.c_float
        one, old = kind(1.0), kind(1.0 if g.accumulate else 0.0)
        shape = (self.handle, int(x.transpose_first), int(x.transpose_second), x.m, x.n, x.k, ctypes.byref(one))
        if g.dtype == "float16" or g.factors:  # summed as float32
            stored = _HALF if g.dtype == "float16" else _FLOAT
            status = lib.cublasGemmStridedBatchedEx(
                *shape, first, stored, x.ld_first, x.step_first, second, stored, x.ld_second, x.step_second,
                ctypes.byref(old), c, stored, x.ld_out, x.step_out, g.batch, _COMPUTE[g.factors], _DEFAULT)  # fmt: skip
        else:
            run = lib.cublasSgemmStridedBatched if g.dtype == "float32" else lib.cublasDgemmStridedBatched
            status = run(*shape, first, x.ld_first, x.step_first, second, x.ld_second, x.step_second,
                         ctypes.byref(old), c, x.ld_out, x.step_out, g.batch)  # fmt: skip
        _check(status, "gemm")

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            try:
                self.library.cublasDestroy_v2(self.handle)
            except (TypeError, AttributeError):  # the interpreter is shutting down
                pass


def _check(status: int, what: str) -> None:
    if status:
        raise RuntimeError(f"cuBLAS: {what} failed with status {status}")
