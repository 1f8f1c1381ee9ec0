"""Convolutions, pools and their gradients of many geometries, every access compared with its memory's extent."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tinygraph.tensor as T
from tests.targets.llvm.kinds_of_kernels import drawn
from tinygraph import Mode, config, function, grad
from tinygraph.tensor.signal.pool import pool_2d

#: images, filters, the convolution's settings, the pool's window
GEOMETRIES = [
    ((2, 1, 14, 14), (5, 1, 5, 5), {}, (2, 2)),
    ((1, 8, 12, 11), (16, 8, 3, 3), {"border_mode": "half"}, (2, 2)),
    ((2, 3, 9, 11), (5, 3, 3, 2), {"border_mode": "full"}, (3, 2)),
    ((2, 3, 13, 12), (6, 3, 3, 4), {"subsample": (2, 1), "border_mode": (1, 2)}, (1, 1)),
    ((1, 4, 15, 16), (8, 4, 3, 3), {"filter_dilation": (2, 2)}, (2, 3)),
    ((2, 6, 10, 11), (9, 2, 3, 3), {"num_groups": 3}, (2, 2)),
]


@pytest.mark.parametrize("images, filters, settings, window", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_checked_kernels_compute_what_the_numpy_target_does(images, filters, settings, window, dtype):
    x, w = T.tensor4("x", dtype), T.tensor4("w", dtype)
    y = T.tanh(pool_2d(T.nnet.conv2d(x, w, **settings), window, ignore_border=window[0] != 3))
    outs = [y, *grad(T.sqr(y).sum(), [x, w])]
    values = drawn(*images, dtype=dtype), drawn(*filters, dtype=dtype) / 3
    expected = function([x, w], outs, mode=Mode(target="numpy"))(*values)
    with config.change(bounds_check=True, threads=2):
        f = function([x, w], outs, mode=Mode(target="llvm"))
        for _ in range(2):
            for a, b in zip(f(*values), expected, strict=True):
                assert np.abs(a - b).max() <= (1e-4 if dtype == "float32" else 1e-12) * np.abs(b).max()
