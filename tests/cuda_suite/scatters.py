"""Writes that meet: in order, whoever makes them, and the same bits every time."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY
from tinygraph.config import config
from tinygraph.errors import IndexOutOfRange


def data(n, rows=7, columns=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)).astype("float32"), rng.standard_normal((n, columns)).astype("float32"), \
        rng.integers(-rows, rows, n)  # fmt: skip


def in_order(x, v, i):
    """The sums that one thread would make, from the first to the last."""
    out = x.copy()
    for k in range(len(i)):
        out[i[k]] += v[k]
    return out


@pytest.mark.parametrize("n", [3, 31, 32, 300])
def test_sums_keep_the_order_of_their_points(device, n):
    x, v, i = T.fmatrix("x"), T.fmatrix("v"), T.lvector("i")
    with config.change(deterministic=True):
        f = tinygraph.function([x, v, i], T.inc_subtensor(x[i], v), mode=CUDA)
    given = data(n)
    for _ in range(3):
        np.testing.assert_array_equal(f(*given), in_order(*given))
    assert ("_links" in f.source()) == (n >= 32)


@pytest.mark.parametrize("n", [40, 300])
def test_the_last_store_counts(device, n):
    x, v, i = T.fmatrix("x"), T.fmatrix("v"), T.lvector("i")
    f = tinygraph.function([x, v, i], [T.set_subtensor(x[i], v), T.set_subtensor(x[i, 1], v[:, 2])], mode=CUDA)
    x0, v0, i0 = given = data(n)
    rows, column = x0.copy(), x0.copy()
    rows[i0], column[i0, 1] = v0, v0[:, 2]
    for _ in range(3):
        for found, expected in zip(f(*given), (rows, column), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes_and_two_indices(device, dtype):
    x, v = T.TensorType(dtype, (None, None))(), T.TensorType(dtype, (None,))()
    i, j = T.lvector("i"), T.lvector("j")
    with config.change(deterministic=True):
        f = tinygraph.function([x, v, i, j], T.inc_subtensor(x[i, j], v), mode=CUDA)
    rng = np.random.default_rng(1)
    x0, v0 = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal(90).astype(dtype)
    i0, j0 = rng.integers(0, 4, 90), rng.integers(0, 3, 90)
    expected = x0.copy()
    np.add.at(expected, (i0, j0), v0)
    np.testing.assert_array_equal(f(x0, v0, i0, j0), expected)


def test_an_embeddings_gradient_is_the_same_bits_every_time(device):
    w = tinygraph.shared(data(1, rows=12)[0])
    letters = T.lmatrix("letters")
    with config.change(deterministic=True):
        f = tinygraph.function([letters], T.grad((T.tanh(w[letters]) ** 2).sum(), w), mode=CUDA)
    given = np.random.default_rng(0).integers(0, 12, (9, 8))
    first = f(given)
    for _ in range(3):
        np.testing.assert_array_equal(f(given), first)
    expected = tinygraph.function([letters], T.grad((T.tanh(w[letters]) ** 2).sum(), w), mode=NUMPY)(given)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)


def test_an_index_out_of_range_is_told(device):
    x, v, i = T.fmatrix("x"), T.fmatrix("v"), T.lvector("i")
    f = tinygraph.function([x, v, i], T.set_subtensor(x[i], v), mode=CUDA)
    x0, v0, i0 = data(50)
    i0[33] = 7
    with pytest.raises(IndexOutOfRange, match="index 7 is out of range for a dimension of size 7"):
        f(x0, v0, i0)


def test_more_arguments_than_a_launch_takes_are_several_launches(device):
    vectors = [tinygraph.shared(np.full((2, k % 5 + 1), k, "float32")) for k in range(40)]
    x = T.fvector("x")
    changes = [(v, v.T[::-1, ::-1].T * x.sum() + v[::-1] * len(vectors)) for v in vectors]
    f = tinygraph.function([x], [], updates=changes, mode=CUDA)
    before = [v.get_value() for v in vectors]
    f(np.ones(2, "float32"))
    for v, b in zip(vectors, before, strict=True):
        np.testing.assert_allclose(v.get_value(), b[::-1, ::-1] * 2 + b[::-1] * 40)
