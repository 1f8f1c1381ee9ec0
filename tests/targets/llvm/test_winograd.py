"""The errors of convolutions with fewer multiplications, within the bound that ``winograd.py`` states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tests.targets.llvm.test_convolution import convolved, pooled, spy_on
from tinygraph import Mode, function
from tinygraph.targets.llvm import executable, kernel, printed, winograd
from tinygraph.tensor.signal import downsample

pytest.importorskip("llvmlite")


def signs(taps: int) -> tuple[np.ndarray, np.ndarray]:
    """An image's and a filter's signs for which one product of the transformed ones is as large as can be."""
    filters, image, results = (np.array(m, "float64") for m in winograd.matrices(taps))
    q = np.argmax(np.abs(results).sum(0) * np.abs(image).sum(1) * np.abs(filters).max(1))
    x, w = (np.where(row < 0, -1.0, 1.0) for row in (image[q], filters[q]))
    return np.outer(x, x), np.outer(w, w)


def operands(kind: str, channels: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    images, filters = (2, channels, 12, 16), (16, channels, taps, taps)
    if kind == "normal":
        return rng.standard_normal(images), rng.standard_normal(filters)
    x, w = rng.random(images), rng.random(filters)
    if kind == "worst":  # windows that do not overlap
        pattern, sign = signs(taps)
        x = 0.5 + x / 2
        for column in range(0, 16 - taps, 6):
            x[:, :, : taps + 1, column : column + taps + 1] *= pattern
        w = (0.5 + w / 2) * sign
    return x, w


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("channels", [8, 20, 64])
def test_errors_are_within_the_bound(channels, taps, dtype, monkeypatch):
    used: list[Any] = []
    monkeypatch.setattr(kernel, "WinogradPrinter", spy_on(kernel.WinogradPrinter, used))
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable._engine(), "cache", None)
    a, b = T.tensor4("a", dtype), T.tensor4("b", dtype)
    out = downsample.max_pool_2d(T.nnet.conv2d(a, b), (2, 2), ignore_border=True)
    f = function([a, b], out, mode=Mode(target="llvm"))
    for kind in ("normal", "positive", "worst"):
        x, w = (v.astype(dtype) for v in operands(kind, channels, taps))
        error = np.abs(f(x, w) - pooled(convolved(x, w, (1, 1), "valid", (1, 1)), (2, 2))).max((0, 2, 3))
        scale = np.abs(x).max() * np.abs(w).sum((1, 2, 3)) * np.finfo(dtype).eps
        assert (error <= winograd.error_bound(taps, channels) * scale).all(), (kind, (error / scale).max())
    assert used
