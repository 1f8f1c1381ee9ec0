"""How matrix products are handed to cuBLAS: every layout that it can read, and none that it cannot."""

import itertools

import numpy as np
import pytest

from tinygraph.program.instructions import Buffer
from tinygraph.targets.cuda.cublas import call_of
from tinygraph.targets.cuda.products import Gemm
from tinygraph.targets.cuda.writer import Pointer


def laid_out(values, by_columns, gap):
    """A (batch, rows, columns) array stored by rows or columns with a gap after each, and its strides."""
    b, m, n = values.shape
    stored = values.transpose(0, 2, 1) if by_columns else values
    memory = np.full((b, stored.shape[1], stored.shape[2] + gap), np.nan)
    memory[:, :, : stored.shape[2]] = stored
    step, line, one = (s // 8 for s in memory.strides)
    return memory, (step, one, line) if by_columns else (step, line, one)


def blas(x, first, second, out, accumulate):
    """What cublasDgemmStridedBatched does: all matrices by columns."""
    first, second = first.reshape(-1), second.reshape(-1)
    flat = out.reshape(-1)
    for z, i, j in itertools.product(range(2), range(x.m), range(x.n)):
        total = 0.0
        for k in range(x.k):
            a = first[z * x.step_first + (i * x.ld_first + k if x.transpose_first else k * x.ld_first + i)]
            b = second[z * x.step_second + (k * x.ld_second + j if x.transpose_second else j * x.ld_second + k)]
            total += a * b
        at = z * x.step_out + j * x.ld_out + i
        flat[at] = (flat[at] if accumulate else 0) + total


@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 2)])
@pytest.mark.parametrize("layouts", list(itertools.product([False, True], repeat=3)))
def test_every_layout(sizes, layouts):
    m, n, k = sizes
    rng = np.random.default_rng(0)
    a, b = rng.random((2, m, k)), rng.random((2, k, n))
    (ma, sa), (mb, sb), (mc, sc) = (
        laid_out(v, by, gap) for v, by, gap in zip((a, b, np.zeros((2, m, n))), layouts, (0, 2, 1), strict=True)
    )
    buffer = Buffer(0, "float64", 1, "temp")
    g = Gemm("float64", 2, m, n, k, Pointer(buffer), Pointer(buffer), Pointer(buffer), sa, sb, sc, False)
    x = call_of(g)
    first, second = (mb, ma) if x.swapped else (ma, mb)
    blas(x, first, second, mc, False)
    found = mc[:, :, :m].transpose(0, 2, 1) if layouts[2] else mc[:, :, :n]
    np.testing.assert_allclose(found, a @ b)


class FakeBlas:
    """Notes what is called."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args):
            self.calls.append((name, args))
            return 0

        return call


def test_a_handle_sets_its_workspace_after_its_stream_and_its_precision_when_asked(monkeypatch):
    """cublasSetStream takes a workspace away again; factors are rounded where a product says so."""
    from dataclasses import replace

    from tinygraph.targets.cuda import cublas

    blas = FakeBlas()
    monkeypatch.setattr(cublas, "library", lambda major: blas)
    handle = cublas.Handle(12, 7, object(), 4096)
    names = [name for name, _ in blas.calls]
    assert names.index("cublasSetStream_v2") < names.index("cublasSetWorkspace_v2")
    b = Pointer(Buffer(0, "float32", 1, "temp"))
    g = Gemm("float32", 1, 2, 3, 4, b, b, b, (0, 4, 1), (0, 3, 1), (0, 3, 1), True)
    handle.gemm(g, 100, 200, 300)
    name, args = blas.calls[-1]
    assert name == "cublasSgemmStridedBatched" and args[1:6] == (0, 0, 3, 2, 4)
    assert (args[7], args[10], args[14]) == (200, 100, 300), "by columns the operands change places"
    for factors, compute in (("tf32", 77), ("bf16", 75)):
        handle.gemm(replace(g, factors=factors), 100, 200, 300)
        name, args = blas.calls[-1]
        assert name == "cublasGemmStridedBatchedEx" and args[-2:] == (compute, -1)
        assert (args[7], args[8], args[11], args[12], args[17]) == (200, 0, 100, 0, 0), "float32 in memory"


def test_without_cublas_the_error_says_which_package_brings_it(monkeypatch):
    from tinygraph.targets.cuda import cublas
    from tinygraph.targets.cuda.device import DeviceUnavailable

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(cublas.ctypes, "CDLL", missing)
    with pytest.raises(DeviceUnavailable, match="cuBLAS of CUDA 99 not found: pip install nvidia-cublas"):
        cublas.library(99)
