"""Each form of nest as the numpy target prints it, against NumPy written out by hand."""

import re

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad
from tinygraph.tensor.signal.pool import pool_2d

RNG = np.random.RandomState(5)


def windows(x, size, stride):
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))
    return view[..., :: stride[0], :: stride[1], :, :]


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("mode, combine", [("max", np.max), ("sum", np.sum), ("average_inc_pad", np.mean)])
def test_reductions_over_windows(mode, combine, stride):
    x = RNG.randn(3, 2, 7, 9)
    image = T.dtensor4()
    f = function([image], pool_2d(image, (3, 2), ignore_border=True, stride=stride, mode=mode))
    np.testing.assert_allclose(f(x), combine(windows(x, (3, 2), stride), axis=(-2, -1)), rtol=1e-12)


def test_overlapping_windows_add_up_in_the_gradient():
    x, g = RNG.randn(2, 1, 6, 6), RNG.randn(2, 1, 4, 4)
    image, cotangent = T.dtensor4(), T.dtensor4()
    out = pool_2d(image, (3, 3), ignore_border=True, stride=(1, 1), mode="sum")
    found = function([image, cotangent], grad(None, image, known_grads={out: cotangent}))(x, g)
    expected = np.zeros_like(x)
    for i in range(4):
        for j in range(4):
            expected[:, :, i : i + 3, j : j + 3] += g[:, :, i, j][..., None, None]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_scatters_add_where_indices_repeat_and_keep_the_last_where_they_set():
    x, rows, y = RNG.randn(5, 3), np.array([4, 0, 4, -1]), RNG.randn(4, 3)
    a, i, b = T.dmatrix(), T.lvector(), T.dmatrix()
    added, stored = function([a, i, b], [T.inc_subtensor(a[i], b), T.set_subtensor(a[i], b)])(x, rows, y)
    expected = x.copy()
    np.add.at(expected, rows, y)
    np.testing.assert_allclose(added, expected, rtol=1e-12)
    expected = x.copy()
    expected[rows] = y
    np.testing.assert_array_equal(stored, expected)


def test_gathers_from_two_index_arrays():
    x, rows, columns = RNG.randn(5, 4), np.array([[0, -1], [2, 3]]), np.array([3, 0])
    a, i, j = T.dmatrix(), T.lmatrix(), T.lvector()
    np.testing.assert_array_equal(function([a, i, j], a[i, j])(x, rows, columns), x[rows, columns])


@pytest.mark.parametrize("axes", [([1], [0]), ([0], [1]), ([0, 2], [1, 0]), ([2, 1], [0, 2])], ids=str)
def test_contractions_whose_operands_must_be_packed_for_blas(axes):
    x = RNG.randn(4, 5, 6)
    shape = [7, 7, 7]
    for a, b in zip(*axes, strict=True):
        shape[b] = x.shape[a]
    y = RNG.randn(*shape)
    a, b = T.dtensor3(), T.dtensor3()
    f = function([a, b], T.tensordot(a, b, axes))
    for left, right in ((x, y), (x[::-1, :, ::-1], y.transpose(2, 1, 0).copy().transpose(2, 1, 0))):
        np.testing.assert_allclose(f(left, right), np.tensordot(left, right, axes), rtol=1e-12, atol=1e-12)


def test_products_go_to_blas_in_one_call():
    a, b = T.dmatrix(), T.dmatrix()
    f = function([a, b], T.dot(a, b.T))
    f(RNG.randn(3, 4), RNG.randn(5, 4))
    assert "matmul(" in f.source()


@pytest.mark.parametrize("name, expression", [
    ("elementwise", lambda x: T.tanh(x) * T.exp(-(x**2)) + x),
    ("rows", lambda x: T.nnet.softmax(x)),
    ("reduction", lambda x: T.sum(T.sqr(x), axis=1)),
    ("columns", lambda x: T.max(x, axis=0)),
])  # fmt: skip
def test_tiles_in_threads_give_what_one_thread_gives(name, expression):
    x = RNG.randn(1001, 517)  # more than a tile, and no multiple of one
    a = T.dmatrix()
    results = []
    for threads in (1, 2, 3):
        with config.change(threads=threads):
            f = function([a], expression(a))
            results.append(f(x))
            np.testing.assert_array_equal(f(x), results[-1])
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-12)


def test_large_nests_run_in_parallel_tiles():
    a = T.dmatrix()
    with config.change(threads=2):
        f = function([a], T.exp(a) * T.tanh(a) + a)
        f(RNG.randn(2000, 500))
    assert "parallel(" in f.source() and "min(lo + " in f.source()


def test_parts_of_planned_memory_whose_place_comes_with_the_call():
    """A slice with bounds from arguments, written into a temporary and read back from another."""
    x, y, i, j = T.dmatrix(), T.dmatrix(), T.lscalar(), T.lscalar()
    changed = T.set_subtensor(x[i:j], y)
    f = function([x, y, i, j], grad(T.sum(T.sqr(changed)), y))
    value = RNG.randn(2, 3)
    for start in (0, 1, 3):
        np.testing.assert_allclose(f(RNG.randn(5, 3), value, start, start + 2), 2 * value)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_arrays_with_nothing_or_one_thing_in_them(shape):
    x = RNG.randn(*shape)
    a = T.dmatrix()
    total, doubled, product = function([a], [T.sum(a, axis=0), a * 2, T.dot(a, a.T)])(x)
    np.testing.assert_allclose(total, x.sum(0))
    np.testing.assert_allclose(doubled, x * 2)
    np.testing.assert_allclose(product, x @ x.T)


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_the_position_of_an_extremum_is_that_of_the_first_nan(target):
    if target == "llvm":
        pytest.importorskip("llvmlite", reason="the llvm target needs llvmlite")
    x = T.matrix("x")
    value = np.random.default_rng(0).random((6, 40))
    value[2, 3] = value[4, 3] = np.nan
    f = function([x], [T.argmax(x, axis=0), T.argmin(x, axis=0)], mode=Mode(target=target))
    for got, want in zip(f(value), (value.argmax(0), value.argmin(0)), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("sum_of", [lambda a, b: a.sum(0), lambda a, b: (a * b).sum(0)])
def test_sums_down_the_columns_read_whole_stretches_of_rows(sum_of):
    a, b = T.fmatrix("a"), T.fmatrix("b")
    f = function([a, b], sum_of(a, b), mode=Mode(target="numpy"), on_unused_input="ignore")
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((300, 5000), dtype=np.float32) for _ in range(2))
    np.testing.assert_allclose(f(x, y), sum_of(x.astype("f8"), y.astype("f8")), rtol=1e-4, atol=1e-3)
    widths = [int(w) for w in re.findall(r"range\(first, last, (\d+)\)", f.source())]
    assert all(w >= 1024 for w in widths) and (widths or "einsum" in f.source())
