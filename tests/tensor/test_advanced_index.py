"""Integer arrays and masks in an index, alone and mixed with everything else, exactly as NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.errors import IndexOutOfRange, ShapeMismatch, TypeMismatch
from tinygraph.gradient import grad, verify_grad

rng = np.random.default_rng(0)
X = rng.random((4, 5, 6))
I, J = np.array([0, 2, -1]), np.array([1, 1, 3])  # noqa: E741
GRID = np.array([[0, 3], [1, 1]])
MASK, ROW, CUBE = X[..., 0] > 0.5, np.array([1, 0, 1, 1], bool), X > 0.7
ALL = slice(None)

KEYS = [
    (I,), (I, J), (ALL, I), (ALL, I, J), (I, ALL, J), (0, ALL, J), (ALL, 0, J), (None, I), (I, None, J), (I, None),
    (..., I), (I, ..., J), (ALL, I, ..., J), (I, J, ...), (slice(1, 3), GRID), (GRID, slice(None, None, -1), GRID),
    (ALL, slice(None, None, 2), I), (GRID[:, :1], np.array([1, 2])), (np.array([1, 2], "uint8"),), ([0, 1],),
    ([[0, 1], [1, 2]],), (np.zeros(0, int),), (slice(0, 0), I), (np.array(1), I), (I, 1, 2), (1, I, 2), (1, ALL, I),
    (MASK,), (ROW,), (CUBE,), (MASK, 0), (ROW, ALL, 1), (ROW, ALL, [1, 2, 3]), (ALL, MASK[0]), (slice(1, None), MASK[0], 0),
    (np.zeros((4, 5), bool),), (True,), (False,), (True, I), (I, True), (None, ROW, None),
]  # fmt: skip


def name(key):
    return ",".join("..." if k is ... else ":" if k == ALL else str(k) for k in map(_plain, key))


def _plain(k):
    return (
        k.tolist() if isinstance(k, np.ndarray) and k.size < 9 else "mask" if isinstance(k, np.ndarray) else k
    )


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_read(key):
    want = X[key]
    for x in (T.dtensor3(), T.TensorType("float64", X.shape)()):
        out = x[key]
        got = function([x], out)(X)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)
        assert out.type.ndim == want.ndim
        assert all(d is None or d == s for d, s in zip(out.type.shape, want.shape, strict=True))


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_set_and_increment(key):
    x = T.dtensor3()
    expected = X.copy()
    expected[key] = 7.0
    np.testing.assert_array_equal(function([x], T.set_subtensor(x[key], 7.0))(X), expected)
    values = rng.random(X[key].shape)
    expected = X.copy()
    np.add.at(expected, key, values)
    np.testing.assert_allclose(function([x], T.inc_subtensor(x[key], values))(X), expected, rtol=1e-13)


@pytest.mark.parametrize("key", [k for k in KEYS if X[k].size], ids=name)
def test_gradient_by_source_and_by_value(key):
    verify_grad(lambda x: x[key] * 2, [X], n_tests=1)
    verify_grad(lambda x, y: T.inc_subtensor(x[key], y), [X, rng.random(X[key].shape)], n_tests=1)


def test_keys_that_are_arguments():
    x, i, m, k = T.dmatrix(), T.lvector(), T.TensorType("bool", (None,))(), T.lscalar()
    v = X[0]
    run = function([x, i, m, k], [x[i, k], x[m], x[m, k:], x[:, i][m]])
    for mask in (np.array([1, 0, 1, 0, 0], bool), np.zeros(5, bool)):
        got = run(v, I, mask, 2)
        for g, w in zip(got, [v[I, 2], v[mask], v[mask, 2:], v[:, I][mask]], strict=True):
            np.testing.assert_array_equal(g, w)


def test_a_mask_computed_from_the_data():
    x = T.dmatrix()
    run = function([x], [x[x > 0.5], T.set_subtensor(x[x > 0.5], 0.0), grad((x[x > 0.5] ** 2).sum(), x)])
    v = X[0]
    read, cut, slope = run(v)
    np.testing.assert_array_equal(read, v[v > 0.5])
    np.testing.assert_array_equal(cut, np.where(v > 0.5, 0, v))
    np.testing.assert_allclose(slope, np.where(v > 0.5, 2 * v, 0))


def test_class_probabilities_of_a_batch():
    """The way every tutorial reads out the probability of the right class."""
    p, y = T.dmatrix(), T.ivector()
    v, labels = X[0], np.array([1, 0, 5, 2, 2], "int32")
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    value, slope = function([p, y], [cost, grad(cost, p)])(v, labels)
    picked = v[np.arange(5), labels]
    np.testing.assert_allclose(value, -np.log(picked).mean())
    expected = np.zeros_like(v)
    expected[np.arange(5), labels] = -1 / picked / 5
    np.testing.assert_allclose(slope, expected)


def test_an_embedding_adds_up_the_gradients_of_a_word_that_occurs_twice():
    table, words = T.dmatrix(), T.ivector()
    slope = function([table, words], grad(table[words].sum(), table))(np.zeros((4, 2)), [1, 3, 1])
    np.testing.assert_array_equal(slope, [[0, 0], [2, 2], [0, 0], [1, 1]])


def test_duplicates():
    x = T.dvector()
    at, values = np.array([1, 1, 1]), np.array([1.0, 2.0, 4.0])
    zero = np.zeros(3)
    np.testing.assert_array_equal(function([x], T.inc_subtensor(x[at], values))(zero), [0, 7, 0])
    last = T.inc_subtensor(x[at], values, ignore_duplicates=True)
    np.testing.assert_array_equal(function([x], last)(zero), [0, 4, 0])
    np.testing.assert_array_equal(function([x], T.set_subtensor(x[at], values))(zero), [0, 4, 0])


def test_the_argument_is_not_written_over():
    x, v = T.dvector(), np.zeros(3)
    function([x], T.set_subtensor(x[[0, 1]], 1.0))(v)
    assert not v.any()


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_take(mode, axis):
    x, i = T.dtensor3(), T.lmatrix()
    at = GRID if mode == "raise" else GRID * 7 - 9
    got = function([x, i], T.take(x, i, axis, mode))(X, at)
    np.testing.assert_array_equal(got, np.take(X, at, axis, mode=mode))


def test_out_of_range():
    x, i = T.dmatrix(), T.lvector()
    run = function([x, i], x[:, i])
    with pytest.raises(IndexOutOfRange, match="index 6 is out of range"):
        run(X[0], [0, 6])
    with pytest.raises(IndexError, match="-7"):
        run(X[0], [-7])
    with pytest.raises(IndexOutOfRange, match="index 4 is out of range for dimension 0 of size 4"):
        T.TensorType("float64", (4, 2))()[[0, 4]]


def test_a_mask_of_the_wrong_size():
    with pytest.raises(IndexOutOfRange, match="its dimension 0 is 3, that of the indexed tensor 4"):
        T.TensorType("float64", (4, 2))()[np.ones(3, bool)]
    x, m = T.dmatrix(), T.TensorType("bool", (None,))()
    with pytest.raises(IndexOutOfRange, match="mask"):
        function([x, m], x[m])(np.zeros((4, 2)), np.ones(3, bool))


def test_index_arrays_that_do_not_broadcast():
    with pytest.raises(ShapeMismatch, match="index arrays .* do not broadcast"):
        T.dmatrix()[[0, 1], [0, 1, 2]]


def test_float_arrays_are_no_index():
    with pytest.raises(TypeMismatch, match="integer array or boolean mask"):
        T.dmatrix()[np.array([0.5, 1.0])]
    with pytest.raises(TypeMismatch, match="integer array or boolean mask"):
        T.dmatrix()[T.dvector()]
    with pytest.raises(TypeMismatch, match="take: indices must be integers"):
        T.take(T.dmatrix(), [0.5])


@given(st.data())
@settings(max_examples=60)
def test_any_key_at_all(data):
    """Keys drawn at random: what NumPy makes of them, and the gradient of reading them."""
    shape = data.draw(array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    v = np.arange(float(np.prod(shape))).reshape(shape)
    key = data.draw(basic_indices(shape, allow_newaxis=True) | _mixed_keys(shape))
    want = v[key]
    x = T.TensorType("float64", (None,) * v.ndim)()
    read, slope = function([x], [x[key], grad((x[key] * 2).sum(), x)], on_unused_input="ignore")(v)
    np.testing.assert_array_equal(read, want)
    expected = np.zeros_like(v)
    np.add.at(expected, key, 2.0)
    np.testing.assert_array_equal(slope, expected)


@st.composite
def _mixed_keys(draw, shape):
    """Integer arrays that broadcast together, integers, slices, new axes, in any order."""
    joint = draw(array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    key = []
    for n in shape:
        kinds = ["slice"] + (["array", "number"] if n else [])
        kind = draw(st.sampled_from(kinds))
        if kind == "array":
            own = tuple(draw(st.sampled_from([1, d])) for d in joint)
            key.append(
                np.array(
                    draw(
                        st.lists(
                            st.integers(-n, n - 1), min_size=int(np.prod(own)), max_size=int(np.prod(own))
                        )
                    )
                )
            )
            key[-1] = key[-1].astype("int64").reshape(own)
        elif kind == "number":
            key.append(draw(st.integers(-n, n - 1)))
        else:
            key.append(draw(st.slices(n)))
        if draw(st.integers(0, 4)) == 0:
            key.append(None)
    return tuple(key[: draw(st.integers(1, len(key)))])
