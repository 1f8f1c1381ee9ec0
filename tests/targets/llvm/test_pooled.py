"""Gradients of convolutions under max-pools, made from the places of the maxima, against sums written out in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad
from tinygraph.targets.llvm import executable
from tinygraph.targets.llvm.engine import Target
from tinygraph.tensor.signal.pool import pool_2d
from tinygraph.tensor.signal.windowed import pooled_size

pytest.importorskip("llvmlite")

#: images, filters, the convolution's settings
CONVOLUTIONS: list[Any] = [
    ((2, 1, 12, 12), (5, 1, 5, 5), {}),
    ((3, 20, 8, 9), (7, 20, 3, 3), {"border_mode": "half"}),
    ((2, 3, 9, 11), (5, 3, 3, 2), {"border_mode": "full"}),
    ((2, 3, 13, 12), (6, 3, 3, 4), {"subsample": (2, 1), "border_mode": (1, 2)}),
    ((2, 5, 15, 13), (4, 5, 3, 3), {"filter_dilation": (2, 2)}),
    ((1, 3, 14, 17), (4, 3, 2, 3), {"filter_dilation": (1, 3), "subsample": (2, 2)}),
    ((2, 6, 10, 11), (9, 2, 3, 3), {"num_groups": 3}),
    ((2, 70, 7, 6), (3, 70, 2, 3), {"filter_flip": False}),
]
#: window, whether borders are ignored, distance of windows, padding
POOLS: list[Any] = [
    ((2, 2), True, None, (0, 0)),
    ((2, 2), False, None, (0, 0)),
    ((3, 3), False, None, (0, 0)),
    ((2, 3), True, None, (0, 0)),
    ((2, 2), True, (3, 4), (0, 0)),
    ((3, 2), True, None, (1, 1)),
]


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every gradient that is made from places meanwhile."""
    found: list[Any] = []
    original = executable.use_places

    def spy(program: Any, bits: int) -> None:
        original(program, bits)
        found.extend(i for i in program.instructions if isinstance(i, executable.PooledGradient))

    monkeypatch.setattr(executable, "use_places", spy)
    yield found


def taps(x: np.ndarray, w: np.ndarray, out: tuple[int, int], settings: dict[str, Any]) -> Iterator[Any]:
    """For each tap of the filters: its index in ``w``, and the index of the points of the padded ``x`` it meets."""
    (kh, kw), (dh, dw) = w.shape[2:], settings.get("filter_dilation", (1, 1))
    sh, sw = settings.get("subsample", (1, 1))
    for i in range(kh):
        for j in range(kw):
            tap = (kh - 1 - i, kw - 1 - j) if settings.get("filter_flip", True) else (i, j)
            rows = slice(i * dh, i * dh + (out[0] - 1) * sh + 1, sh)
            yield tap, (rows, slice(j * dw, j * dw + (out[1] - 1) * sw + 1, sw))


def reach(w: np.ndarray, settings: dict[str, Any]) -> list[int]:
    """Points from the first to the last tap of a filter, along rows and columns."""
    return [
        (k - 1) * d + 1 for k, d in zip(w.shape[2:], settings.get("filter_dilation", (1, 1)), strict=True)
    ]


def padding(w: np.ndarray, settings: dict[str, Any]) -> Any:
    border, (h, b) = settings.get("border_mode", "valid"), reach(w, settings)
    named: Any = {"valid": (0, 0), "half": (h // 2, b // 2), "full": (h - 1, b - 1)}
    return named[border] if isinstance(border, str) else border


def output_sizes(x: np.ndarray, w: np.ndarray, settings: dict[str, Any]) -> Any:
    steps = settings.get("subsample", (1, 1))
    each = zip(x.shape[2:], padding(w, settings), reach(w, settings), steps, strict=True)
    return tuple((n + 2 * p - r) // s + 1 for n, p, r, s in each)


def expected(
    x: np.ndarray, w: np.ndarray, v: np.ndarray, settings: dict[str, Any], pool: Any
) -> list[np.ndarray]:
    """Gradients with respect to ``x`` and ``w`` of ``sum(v * pool(conv(x, w)))``: the first maximum takes all."""
    groups, (ph, pw) = settings.get("num_groups", 1), padding(w, settings)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    out = output_sizes(x, w, settings)
    c, f = x.shape[1] // groups, w.shape[0] // groups
    z = np.zeros((x.shape[0], w.shape[0], *out))
    parts = [(slice(k * c, (k + 1) * c), slice(k * f, (k + 1) * f)) for k in range(groups)]
    for cs, fs in parts:
        for tap, at in taps(x, w, out, settings):
            z[:, fs] += np.einsum("nchw,fc->nfhw", padded[:, cs][(..., *at)], w[fs][(..., *tap)])
    dz = np.zeros_like(z)
    (h, b), _, step, pad = pool
    step = step or (h, b)
    for n, k, p, q in np.ndindex(*v.shape):
        top, left = p * step[0] - pad[0], q * step[1] - pad[1]
        rows, columns = slice(max(top, 0), top + h), slice(max(left, 0), left + b)
        window = z[n, k, rows, columns]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dz[n, k, rows.start + i, columns.start + j] += v[n, k, p, q]
    dx, dw_ = np.zeros_like(padded), np.zeros_like(w)
    for cs, fs in parts:
        for tap, at in taps(x, w, out, settings):
            dx[:, cs][(..., *at)] += np.einsum("nfhw,fc->nchw", dz[:, fs], w[fs][(..., *tap)])
            dw_[fs][(..., *tap)] += np.einsum("nchw,nfhw->fc", padded[:, cs][(..., *at)], dz[:, fs])
    return [dx[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]], dw_]


def gradients(dtype: str, settings: dict[str, Any], pool: Any, target: str = "llvm") -> Any:
    size, ignore, step, pad = pool
    x, w, v = (T.TensorType(dtype, (None,) * 4)(name) for name in "xwv")
    z = pool_2d(T.nnet.conv2d(x, w, **settings), size, ignore_border=ignore, stride=step, pad=pad)
    return function([x, w, v], grad((v * z).sum(), [x, w]), mode=Mode(target=target))


def values(dtype: str, images: Any, filters: Any, settings: Any, pool: Any) -> list[np.ndarray]:
    """Small integers: all sums are exact, and maxima are often equal."""
    rng = np.random.default_rng(1)
    x, w = rng.integers(-2, 3, images).astype(dtype), rng.integers(-2, 3, filters).astype(dtype)
    sizes = output_sizes(x, w, settings)
    (size, ignore, step, pad) = pool
    windows = [pooled_size(*each, ignore) for each in zip(sizes, size, step or size, pad, strict=True)]
    shape = (images[0], filters[0], *windows)
    return [x, w, rng.integers(-3, 4, shape).astype(dtype)]


@pytest.mark.parametrize(
    "images, filters, settings, pool",
    [(*c, p) for k, c in enumerate(CONVOLUTIONS) for p in POOLS[k % 2 :: 2]],
    ids=str,
)
def test_gradients_equal_the_sums_over_all_points(
    used: list[Any], images: Any, filters: Any, settings: Any, pool: Any
) -> None:
    x, w, v = values("float32", images, filters, settings, pool)
    used.clear()
    found = gradients("float32", settings, pool)(x, w, v)
    assert {i.kind for i in used} == {"inputs", "weights"}
    for have, want in zip(found, expected(x, w, v, settings, pool), strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_of_equal_maxima_the_first_takes_the_gradient_on_every_target(target: str) -> None:
    pool = ((2, 2), True, None, (0, 0))
    x, w, v = np.ones((1, 4, 6, 6)), np.ones((4, 4, 3, 3)), np.ones((1, 4, 2, 2))
    found = gradients("float64", {}, pool, target)(x, w, v)
    for have, want in zip(found, expected(x, w, v, {}, pool), strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bits", [128, 256, 512])
def test_all_widths_of_vectors_give_the_same(monkeypatch: pytest.MonkeyPatch, dtype: str, bits: int) -> None:
    monkeypatch.setattr(Target, "vector_bits", property(lambda self: bits))
    pool = POOLS[0]
    for images, filters, settings in (CONVOLUTIONS[1], CONVOLUTIONS[4]):
        x, w, v = values(dtype, images, filters, settings, pool)
        found = gradients(dtype, settings, pool)(x, w, v)
        for have, want in zip(found, expected(x, w, v, settings, pool), strict=True):
            np.testing.assert_array_equal(have, want)


def test_kernels_stay_within_their_buffers_and_read_nothing_that_is_not_set(used: list[Any]) -> None:
    settings, pool = {"filter_dilation": (1, 2)}, ((2, 2), False, None, (0, 0))
    x, w, v = values("float32", (1, 3, 6, 7), (2, 3, 2, 2), settings, pool)
    with config.change(bounds_check=True):
        found = gradients("float32", settings, pool)(x, w, v)
    for have, want in zip(found, expected(x, w, v, settings, pool), strict=True):
        np.testing.assert_array_equal(have, want)
    assert used


@pytest.mark.parametrize(
    "pool", [((3, 3), True, (2, 2), (0, 0)), ((1, 2), True, None, (0, 0))], ids=["overlapping", "two points"]
)
def test_where_it_does_not_pay_the_dense_sums_stay(used: list[Any], pool: Any) -> None:
    x, w, v = values("float32", (2, 3, 9, 9), (4, 3, 3, 3), {}, pool)
    found = gradients("float32", {}, pool)(x, w, v)
    assert not used
    for have, want in zip(found, expected(x, w, v, {}, pool), strict=True):
        np.testing.assert_array_equal(have, want)


def test_infinite_gradients_stay_where_they_belong(used: list[Any]) -> None:
    x, w, v = values("float32", (1, 3, 6, 6), (4, 3, 3, 3), {}, POOLS[0])
    v[0, 1, 0, 1] = np.inf
    w[w == 0] = 1
    dx = gradients("float32", {}, POOLS[0])(x, w, v)[0]
    want = expected(x.astype("float64"), w.astype("float64"), np.where(v == np.inf, 0, v), {}, POOLS[0])[0]
    touched = expected(x, w, np.where(v == np.inf, 1.0, 0), {}, POOLS[0])[0] != 0
    assert used and np.isinf(dx[touched]).all()
    np.testing.assert_array_equal(dx[~touched], want[~touched])


def test_the_spread_gradient_stays_for_others_that_read_it(used: list[Any]) -> None:
    x, w, v = (T.TensorType("float32", (None,) * 4)(name) for name in "xwv")
    z = T.nnet.conv2d(x, w)
    dz, dw = grad((v * pool_2d(z, (2, 2), ignore_border=True)).sum(), [z, w])
    f = function([x, w, v], [dz, dw], mode=Mode(target="llvm"))
    values_ = values("float32", (2, 3, 8, 8), (4, 3, 3, 3), {}, POOLS[0])
    used.clear()
    dense, weights = f(*values_)
    assert len(used) == 1
    np.testing.assert_array_equal(weights, expected(*values_, {}, POOLS[0])[1])
    np.testing.assert_array_equal(dense.sum((0, 2, 3)), values_[2].sum((0, 2, 3)))
