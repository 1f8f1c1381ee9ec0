"""Gathers and scatters of whole rows: the same results as element by element, whatever the rows are."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.gradient import grad

X = np.arange(2.0 * 7 * 6 * 4).reshape(2, 7, 6, 4)
AT = np.array([[5, 0, -1], [3, 3, 0]])


def source_of(f):
    return f.source() if callable(getattr(f, "source", None)) else ""


@pytest.mark.parametrize("key", [(0, AT), (slice(None), AT), (AT % 2, AT), (slice(None), AT, slice(1, 5)),
                                 (slice(None), AT, slice(None), slice(0, 3)), (1, AT, slice(None, None, -1)),
                                 (slice(None), AT[:, :1], AT[:1] % 6)], ids=str)  # fmt: skip
def test_reads_and_adds(key):
    x, y = T.dtensor4(), T.TensorType("float64", (None,) * X[key].ndim)()
    values = np.random.default_rng(0).random(X[key].shape)
    read, added, written, slope = function(
        [x, y],
        [x[key], T.inc_subtensor(x[key], y), T.set_subtensor(x[key], 0.5), grad((x[key] * y).sum(), x)],
    )(X, values)
    np.testing.assert_array_equal(read, X[key])
    expected = X.copy()
    np.add.at(expected, key, values)
    np.testing.assert_allclose(added, expected, rtol=1e-13)
    expected = X.copy()
    expected[key] = 0.5
    np.testing.assert_array_equal(written, expected)
    expected = np.zeros_like(X)
    np.add.at(expected, key, values)
    np.testing.assert_allclose(slope, expected, rtol=1e-13)


def test_rows_are_moved_whole():
    table, words = T.dmatrix(), T.lvector()
    f = function([table, words], table[words])
    f(np.ones((10, 8)), np.zeros(3, int))
    assert ", 8, " in source_of(f), "a row of 8 elements should be one step"


def test_a_large_embedding_in_tiles_and_threads():
    rng = np.random.default_rng(1)
    table, words = T.fmatrix(), T.ivector()
    v, w = rng.random((500, 256)).astype("float32"), rng.integers(0, 500, 3000).astype("int32")
    read, slope = function([table, words], [table[words], grad((table[words] ** 2).sum(), table)])(v, w)
    np.testing.assert_array_equal(read, v[w])
    np.testing.assert_allclose(slope, 2 * v * np.bincount(w, minlength=500)[:, None], rtol=1e-4)


def test_in_memory_that_is_not_contiguous():
    table, words = T.dmatrix(), T.lvector()
    f = function([table, words], [table[words], T.inc_subtensor(table[words], 1.0), table.T[words]])
    for v in (np.asfortranarray(X[0, 0]), np.ascontiguousarray(X[0, 0, ::-1])[::-1], X[0, :, 0, :]):
        w = np.array([1, 3, 1])
        read, added, across = f(v, w)
        np.testing.assert_array_equal(read, v[w])
        expected = v.copy()
        np.add.at(expected, w, 1.0)
        np.testing.assert_array_equal(added, expected)
        np.testing.assert_array_equal(across, v.T[w])
