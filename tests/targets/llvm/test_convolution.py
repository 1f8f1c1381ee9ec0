"""Convolutions that are printed with what follows them, against sums written out in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, function, grad
from tinygraph.targets.llvm import convolution_tiling, executable, kernel, printed, winograd
from tinygraph.targets.llvm.engine import Target
from tinygraph.tensor.signal import downsample

pytest.importorskip("llvmlite")

#: images, filters, subsample, border, dilation
GEOMETRIES: list[Any] = [
    ((3, 1, 28, 28), (20, 1, 5, 5), (1, 1), "valid", (1, 1)),
    ((2, 20, 12, 12), (50, 20, 5, 5), (1, 1), "valid", (1, 1)),
    ((2, 8, 14, 15), (7, 8, 3, 3), (1, 1), "half", (1, 1)),
    ((3, 3, 9, 11), (5, 3, 3, 2), (1, 1), "full", (1, 1)),
    ((2, 3, 13, 12), (6, 3, 3, 3), (2, 2), "valid", (1, 1)),
    ((2, 3, 17, 12), (6, 3, 4, 3), (2, 1), (1, 2), (1, 1)),
    ((2, 4, 15, 16), (8, 4, 3, 3), (1, 1), "valid", (2, 2)),
    ((2, 4, 15, 16), (8, 4, 3, 3), (3, 2), "full", (1, 2)),
    ((2, 5, 6, 40), (9, 5, 1, 7), (1, 1), "valid", (1, 1)),
    ((2, 5, 40, 6), (9, 5, 7, 1), (1, 1), "valid", (1, 1)),
    ((1, 2, 8, 8), (4, 2, 8, 3), (1, 1), "valid", (1, 1)),
]


def convolved(x: np.ndarray, w: np.ndarray, subsample: Any, border: Any, dilation: Any) -> np.ndarray:
    """The convolution with flipped filters, tap by tap, in float64."""
    (kh, kw), (dh, dw) = w.shape[2:], dilation
    reach = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    named = {"valid": (0, 0), "half": (reach[0] // 2, reach[1] // 2), "full": (reach[0] - 1, reach[1] - 1)}
    ph, pw = named[border] if isinstance(border, str) else border
    x = np.pad(x.astype("float64"), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    h, v = ((x.shape[2 + k] - reach[k]) // subsample[k] + 1 for k in range(2))
    out = np.zeros((x.shape[0], w.shape[0], h, v))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + (h - 1) * subsample[0] + 1, subsample[0])
            columns = slice(j * dw, j * dw + (v - 1) * subsample[1] + 1, subsample[1])
            out += np.einsum("nchw,fc->nfhw", x[:, :, rows, columns], w[:, :, kh - 1 - i, kw - 1 - j])
    return out


def pooled(z: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    h, w = z.shape[2] // size[0], z.shape[3] // size[1]
    z = z[:, :, : h * size[0], : w * size[1]].reshape(*z.shape[:2], h, size[0], w, size[1])
    return z.max((3, 5))


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every convolution that the kernels' printer finds meanwhile; nothing is taken from caches."""
    found: list[Any] = []

    def spy(group: Any) -> Any:
        c = original(group)
        found.extend([c] if c is not None else [])
        return c

    original = kernel.recognise
    monkeypatch.setattr(kernel, "recognise", spy)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable._engine(), "cache", None)
    yield found


def data(geometry: Any, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images, filters = geometry[:2]
    x, w, b = (rng.standard_normal(s) for s in (images, filters, filters[:1]))
    w /= np.sqrt(np.prod(filters[1:]))
    return x.astype(dtype), w.astype(dtype), b.astype(dtype)


def built(geometry: Any, dtype: str) -> tuple[Any, Any, Any, Any]:
    x, w, b = T.tensor4("x", dtype), T.tensor4("w", dtype), T.vector("b", dtype)
    _, _, subsample, border, dilation = geometry
    z = T.nnet.conv2d(x, w, subsample=subsample, border_mode=border, filter_dilation=dilation)
    return x, w, b, z


def compiled(inputs: Any, outputs: Any) -> Any:
    return function(inputs, outputs, mode=Mode(target="llvm"), on_unused_input="ignore")


def close(found: np.ndarray, expected: np.ndarray) -> None:
    bound = 1e-5 if found.dtype == np.float32 else 1e-13
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry_with_and_without_what_follows(geometry, dtype, recognised):
    x, w, b, z = built(geometry, dtype)
    values = data(geometry, dtype)
    biased = z + b.dimshuffle("x", 0, "x", "x")
    expected = convolved(values[0], values[1], *geometry[2:])
    shifted = expected + values[2][:, None, None]
    plain, finished = compiled([x, w, b], [z, T.tanh(biased)])(*values)
    close(plain, expected)
    close(finished, np.tanh(shifted))
    if dtype == "float32":
        close(compiled([x, w, b], T.tanh(biased))(*values), np.tanh(shifted))


@pytest.mark.parametrize(
    "geometry, size",
    [*((g, (2, 2)) for g in GEOMETRIES[:6]), *((GEOMETRIES[2], s) for s in ((3, 2), (1, 3)))],
)
def test_pools_before_and_after_the_activation(geometry, size, recognised):
    x, w, b, z = built(geometry, "float32")
    values = data(geometry, "float32")
    shifted = convolved(values[0], values[1], *geometry[2:]) + values[2][:, None, None]
    bias = b.dimshuffle("x", 0, "x", "x")
    pool = lambda t: downsample.max_pool_2d(t, size, ignore_border=True)  # noqa: E731
    close(compiled([x, w, b], T.tanh(pool(z) + bias))(*values), np.tanh(pooled(shifted, size)))
    close(compiled([x, w, b], pool(T.maximum(z + bias, 0)))(*values), np.maximum(pooled(shifted, size), 0))
    both = compiled([x, w, b], [z + bias, pool(z + bias)])(*values)
    close(both[0], shifted)
    close(both[1], pooled(shifted, size))


#: images, filters, subsample, groups
DEEP: list[Any] = [
    ((3, 12, 9, 10), (24, 4, 3, 3), (1, 1), 3),
    ((1, 12, 9, 10), (24, 4, 3, 2), (2, 1), 3),
    ((1, 40, 11, 9), (37, 40, 3, 3), (1, 1), 1),
    ((2, 33, 12, 13), (21, 33, 3, 3), (2, 2), 1),
    ((1, 19, 7, 70), (16, 19, 1, 5), (1, 2), 1),
]


def in_groups(x: np.ndarray, w: np.ndarray, subsample: Any, groups: int) -> np.ndarray:
    parts = zip(np.split(x, groups, 1), np.split(w, groups, 0), strict=True)
    return np.concatenate([convolved(a, b, subsample, (1, 1), (1, 1)) for a, b in parts], 1)


@pytest.mark.parametrize("packed", [160 << 10, 5 << 10])
@pytest.mark.parametrize("images, filters, subsample, groups", DEEP)
def test_groups_single_samples_and_many_channels(
    images, filters, subsample, groups, packed, recognised, monkeypatch
):
    """With all channels packed at once, and some at a time; by itself, and followed by an activation."""
    monkeypatch.setattr(convolution_tiling, "_PACKED_BYTES", packed)
    x, w, b = T.ftensor4("x"), T.ftensor4("w"), T.fvector("b")
    values = data((images, filters), "float32")
    expected = in_groups(values[0], values[1], subsample, groups)
    for flip in (True, False):
        z = T.nnet.conv2d(x, w, subsample=subsample, border_mode=(1, 1), filter_flip=flip, num_groups=groups)
        given = values[1] if flip else np.ascontiguousarray(values[1][:, :, ::-1, ::-1])
        close(compiled([x, w, b], z)(values[0], given, values[2]), expected)
    finished = compiled([x, w, b], T.tanh(z + b.dimshuffle("x", 0, "x", "x")))(values[0], given, values[2])
    close(finished, np.tanh(expected + values[2][:, None, None]))
    assert len(recognised) >= 2


@pytest.mark.parametrize("n", [1, 3])
def test_a_gradient_to_filters_is_no_convolution_with_few_positions(n, recognised):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    values = data(((n, 8, 20, 20), (8, 8, 3, 3)), "float32")
    compiled([x, w], grad(T.nnet.conv2d(x, w).sum(), w))(*values[:2])
    assert not any(c.rows.extent * c.columns.extent < c.taps for c in recognised)


def test_what_follows_a_convolution_is_finished_with_it(recognised):
    geometry = GEOMETRIES[0]
    x, w, b, z = built(geometry, "float32")
    out = T.tanh(downsample.max_pool_2d(z, (2, 2), ignore_border=True) + b.dimshuffle("x", 0, "x", "x"))
    compiled([x, w, b], [out, grad(out.sum(), w)])(*data(geometry, "float32"))
    assert any(
        c.window == (2, 2) and len(c.tails) >= 3 and c.nest.out.buffer in c.unstored for c in recognised
    )


def test_of_equal_maxima_the_first_takes_the_gradient(recognised):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    out = downsample.max_pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True)
    images = np.ones((2, 1, 10, 10), "float32")
    filters = np.ones((4, 1, 3, 3), "float32")
    found = compiled([x, w], grad(out.sum(), x))(images, filters)
    expected = np.zeros((10, 10))
    for i in range(0, 8, 2):
        for j in range(0, 8, 2):
            expected[i : i + 3, j : j + 3] += 4
    assert (found == expected).all()


def test_a_nan_reaches_exactly_its_windows(recognised):
    geometry = GEOMETRIES[0]
    x, w, b, z = built(geometry, "float32")
    values = data(geometry, "float32")
    values[0][1, 0, 10, 10] = np.nan
    out = compiled([x, w], downsample.max_pool_2d(z, (2, 2), ignore_border=True))(*values[:2])
    expected = np.isnan(pooled(convolved(values[0], values[1], *geometry[2:]), (2, 2)))
    assert (np.isnan(out) == expected).all() and expected.any()


@pytest.mark.parametrize("bits", [128, 256])
def test_narrow_vectors(bits, recognised, monkeypatch):
    monkeypatch.setattr(Target, "vector_bits", property(lambda self: bits))
    for geometry in GEOMETRIES[1:5]:
        x, w, b, z = built(geometry, "float32")
        values = data(geometry, "float32")
        shifted = convolved(values[0], values[1], *geometry[2:]) + values[2][:, None, None]
        pool = downsample.max_pool_2d(z + b.dimshuffle("x", 0, "x", "x"), (2, 2), ignore_border=True)
        close(compiled([x, w, b], pool)(*values), pooled(shifted, (2, 2)))
    assert recognised


def test_another_number_of_samples_builds_no_kernel(recognised):
    """Neither for the results nor for the gradients."""
    geometry = ((20, 1, 16, 16), (10, 1, 5, 5), (1, 1), "valid", (1, 1))
    x, w, b, z = built(geometry, "float32")
    out = T.tanh(downsample.max_pool_2d(z, (2, 2), ignore_border=True) + b.dimshuffle("x", 0, "x", "x"))
    dense = T.tanh(T.nnet.conv2d(out, T.alloc(np.float32(0.1), 12, 10, 3, 3)))
    f = compiled([x, w, b], [out, *grad(dense.sum(), [w, b])])
    values = data(geometry, "float32")
    f(*values)
    before = set(executable._libraries)
    images = np.random.default_rng(1).standard_normal((37, 1, 16, 16)).astype("float32")
    found = f(images, *values[1:])
    assert set(executable._libraries) == before
    shifted = convolved(images, values[1], *geometry[2:]) + values[2][:, None, None]
    close(found[0], np.tanh(pooled(shifted, (2, 2))))
    parts = [f(images[k : k + 1], *values[1:]) for k in range(37)]
    for k in (1, 2):
        np.testing.assert_allclose(found[k], sum(p[k] for p in parts), rtol=1e-4, atol=1e-4)


def test_a_result_written_over_what_it_adds_to(recognised):
    geometry = ((2, 3, 12, 12), (7, 3, 3, 3), (1, 1), "valid", (1, 1))
    x, w, b, z = built(geometry, "float32")
    values = data(geometry, "float32")
    more = T.tanh(x[:, :1, 1:-1, 1:-1] + b.dimshuffle("x", 0, "x", "x"))
    expected = convolved(values[0], values[1], *geometry[2:])
    added = np.tanh(values[0][:, :1, 1:-1, 1:-1] + values[2][:, None, None])
    close(compiled([x, w, b], z * 2 + more)(*values), expected * 2 + added)
    close(compiled([x, w, b], [z * 2 + more, more.sum((0, 2, 3))])(*values)[0], expected * 2 + added)


@pytest.mark.parametrize("dtype, bound", [("float32", 1e-5), ("float64", 1e-14)])
@pytest.mark.parametrize(
    "size", [(2, 20, 12, 12, 50, 5), (3, 9, 11, 14, 17, 3), (2, 8, 9, 40, 33, 5), (2, 16, 8, 6, 16, 3)]
)
def test_fewer_multiplications_give_the_same_results(size, dtype, bound, recognised, monkeypatch):
    n, channels, height, width, filters, taps = size
    geometry = ((n, channels, height, width), (filters, channels, taps, taps), (1, 1), "valid", (1, 1))
    used = []
    monkeypatch.setattr(kernel, "WinogradPrinter", spy_on(kernel.WinogradPrinter, used))
    x, w, b, z = built(geometry, dtype)
    values = data(geometry, dtype)
    pool = downsample.max_pool_2d(z + b.dimshuffle("x", 0, "x", "x"), (2, 2), ignore_border=True)
    found, gradient = compiled([x, w, b], [pool, grad(T.sqr(pool).sum(), w)])(*values)
    exact = pooled(convolved(values[0], values[1], *geometry[2:]) + values[2][:, None, None], (2, 2))
    assert np.abs(found - exact).max() <= bound * np.abs(exact).max()
    other = function([x, w, b], grad(T.sqr(pool).sum(), w), mode=Mode(target="numpy"))(*values)
    assert np.abs(gradient - other).max() <= 10 * bound * np.abs(other).max()
    assert used


def spy_on(kind: Any, used: list[Any]) -> Any:
    class Spy(kind):
        def begin(self) -> None:
            used.append(self)
            super().begin()

    return Spy


@pytest.mark.parametrize("taps", [3, 5])
def test_the_matrices_give_two_results_of_a_filter(taps):
    filters, image, results = (np.array(m, "float64") for m in winograd.matrices(taps))
    rng = np.random.default_rng(0)
    g, d = rng.standard_normal(taps), rng.standard_normal(taps + 1)
    found = results @ ((filters @ g) * (image @ d))
    np.testing.assert_allclose(found, np.correlate(d, g, "valid"), rtol=1e-13)
