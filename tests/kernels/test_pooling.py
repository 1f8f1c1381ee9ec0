"""Pooling and its gradients against loops over windows."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import pytest
from on_emulator import needs_emulator, out, run

pytestmark = needs_emulator


@dataclass(frozen=True)
class Pool:
    """The kernels' geometry arguments, in order (kernels/pooling.cu)."""

    height: int
    width: int
    out_height: int
    out_width: int
    rows: int
    columns: int
    stride_h: int
    stride_w: int
    pad_h: int = 0
    pad_w: int = 0


def pool(size, window, stride=None, pad=(0, 0), ignore_border=True):
    stride = stride or window
    extent = []
    for n, k, s, p in zip(size, window, stride, pad):
        whole = (n + 2 * p - k) // s + 1
        extent.append(whole if ignore_border or (n + 2 * p - k) % s == 0 else whole + 1)
    return Pool(*size, *extent, *window, *stride, *pad)


CASES = {
    "lenet": (6, pool((8, 8), (2, 2))),
    "odd": (3, pool((7, 5), (2, 3))),
    "with_border": (2, pool((7, 5), (2, 2), ignore_border=False)),
    "overlapping": (2, pool((9, 8), (3, 2), (2, 1))),
    "padded": (2, pool((6, 7), (3, 3), (2, 2), (1, 1))),
    "gaps": (2, pool((9, 9), (2, 2), (3, 4))),
    "global": (4, pool((5, 6), (5, 6))),
    "nothing": (0, pool((4, 4), (2, 2))),
}


def windows(g):
    """Yield (i, j, rows of x in the window, columns of x, top, left)."""
    for i, j in np.ndindex(g.out_height, g.out_width):
        top, left = i * g.stride_h - g.pad_h, j * g.stride_w - g.pad_w
        rows = slice(max(top, 0), max(min(top + g.rows, g.height), 0))
        yield i, j, rows, slice(max(left, 0), max(min(left + g.columns, g.width), 0)), top, left


def maximum(x, g):
    y, where = (
        np.empty((len(x), g.out_height, g.out_width), x.dtype),
        np.empty((len(x), g.out_height, g.out_width), "uint8"),
    )
    for i, j, rows, columns, top, left in windows(g):
        seen = x[:, rows, columns]
        first = seen.reshape(len(x), seen.shape[1] * seen.shape[2]).argmax(1)
        h, v = first // seen.shape[2], first % seen.shape[2]
        y[:, i, j] = seen[np.arange(len(x)), h, v]
        where[:, i, j] = (h + rows.start - top) * g.columns + v + columns.start - left
    return y, where


def divisors(g, mode):
    sizes = np.ones((g.out_height, g.out_width))
    for i, j, rows, columns, top, left in windows(g):
        if mode == 1:
            bottom, right = min(top + g.rows, g.height + g.pad_h), min(left + g.columns, g.width + g.pad_w)
            sizes[i, j] = (bottom - top) * (right - left)
        elif mode == 2:
            sizes[i, j] = (rows.stop - rows.start) * (columns.stop - columns.start)
    return sizes


def data(planes, g, integers=False, seed=3):
    rng = np.random.default_rng(seed)
    shape = (planes, g.height, g.width)
    x = (rng.integers(0, 3, shape) if integers else rng.standard_normal(shape)).astype("float32")
    return x, rng.standard_normal((planes, g.out_height, g.out_width)).astype("float32")


@pytest.mark.parametrize("case", CASES)
def test_maximum_and_its_gradient_first_of_ties_wins(case):
    planes, g = CASES[case]
    x, dy = data(planes, g, integers=True)
    expected, where = maximum(x, g)
    args = (x, out(dy.shape), out(dy.shape, "uint8"), planes, *astuple(g))
    found, places = run("pooling.cu", "pool_max", 3, 64, args)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(places, where)

    (dx,) = run("pooling.cu", "pool_max_grad", 3, 64, (dy, places, out(x.shape), planes, *astuple(g)))
    gradient = np.zeros(x.shape)
    for i, j, _, _, top, left in windows(g):
        place = where[:, i, j].astype(int)
        gradient[np.arange(planes), top + place // g.columns, left + place % g.columns] += dy[:, i, j]
    np.testing.assert_allclose(dx, gradient, rtol=1e-5, atol=1e-6)

    (picked,) = run("pooling.cu", "pool_max_pick", 3, 64, (x, places, out(dy.shape), planes, *astuple(g)))
    np.testing.assert_array_equal(picked, expected)


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["sum", "average_inc_pad", "average_exc_pad"])
@pytest.mark.parametrize("case", CASES)
def test_sum_and_averages_and_their_gradients(case, mode):
    planes, g = CASES[case]
    x, dy = data(planes, g)
    sizes, macros = divisors(g, mode), {"TG_POOL": mode}
    expected, gradient = np.zeros(dy.shape), np.zeros(x.shape)
    for i, j, rows, columns, *_ in windows(g):
        expected[:, i, j] = x[:, rows, columns].sum((1, 2), dtype="float64") / sizes[i, j]
        gradient[:, rows, columns] += (dy[:, i, j] / sizes[i, j])[:, None, None]
    (y,) = run("pooling.cu", "pool_sum", 2, 96, (x, out(dy.shape), planes, *astuple(g)), macros)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    (dx,) = run("pooling.cu", "pool_sum_grad", 2, 96, (dy, out(x.shape), planes, *astuple(g)), macros)
    np.testing.assert_allclose(dx, gradient, rtol=1e-5, atol=1e-5)


def test_nan_wins_and_the_first_of_several():
    planes, g = 1, pool((2, 4), (2, 2))
    x = np.array([[[1, 2, np.nan, 9], [np.nan, np.nan, 3, np.nan]]], "float32")
    args = (x, out((1, 1, 2)), out((1, 1, 2), "uint8"), planes, *astuple(g))
    y, where = run("pooling.cu", "pool_max", 1, 32, args)
    assert np.isnan(y).all()
    np.testing.assert_array_equal(where.ravel(), [2, 0])


def test_windows_above_256_elements_keep_their_place_in_more_bytes():
    g = pool((20, 20), (20, 20))
    x, _ = data(2, g)
    args = (x, out((2, 1, 1)), out((2, 1, 1), "int16"), 2, *astuple(g))
    y, where = run("pooling.cu", "pool_max", 1, 32, args, {"TG_OFFSET": "short"})
    np.testing.assert_array_equal(where.ravel(), x.reshape(2, -1).argmax(1))
    np.testing.assert_array_equal(y.ravel(), x.reshape(2, -1).max(1))
