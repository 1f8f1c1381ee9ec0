"""Basic indexing: every kind of integer, slice, None and ``...`` as NumPy has it, with bounds known at any time."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.errors import IndexOutOfRange, InvalidValue, TypeMismatch
from tinygraph.gradient import grad

X = np.arange(60.0).reshape(3, 4, 5)

KEYS = [
    (0,), (-1,), (1, 2), (1, -2, 3), (slice(None),), (Ellipsis,), (Ellipsis, 2), (0, Ellipsis, 1), (None,), (1, None),
    (None, slice(1, 3), None, Ellipsis), (slice(1, 3),), (slice(-2, None),), (slice(None, -1), 1), (slice(5, 9),),
    (slice(None, None, -1),), (slice(None), slice(None, None, -2), slice(4, 0, -2)), (slice(2, 0, -1), slice(-1, -9, -3)),
    (slice(0, 0),), (slice(3, 1),), (slice(1, 100, 2), Ellipsis, slice(None, None, 3)), (slice(-100, 100),), (),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_read_set_and_increment(key):
    for x in (T.dtensor3(), T.TensorType("float64", X.shape)()):
        out = x[key]
        want = X[key]
        got = function([x], out)(X)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)
        assert all(d is None or d == s for d, s in zip(out.type.shape, want.shape, strict=True))
        for write, change in ((T.set_subtensor, "set"), (T.inc_subtensor, "add")):
            expected = X.copy()
            expected[key] = 7.0 if change == "set" else expected[key] + 7.0
            np.testing.assert_array_equal(
                function([x], write(x[key], 7.0), on_unused_input="ignore")(X), expected
            )


@pytest.mark.parametrize("start", [None, 0, 2, -2, 9, -9])
@pytest.mark.parametrize("stop", [None, 0, 3, -1, 9, -9])
@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_symbolic_bounds(start, stop, step):
    x, v = T.dmatrix(), np.arange(20.0).reshape(5, 4)
    names = [T.lscalar(), T.lscalar(), T.lscalar()]
    given = [(n, b) for n, b in zip(names, (start, stop, step), strict=True) if b is not None]
    bounds = [None if b is None else n for n, b in zip(names, (start, stop, step), strict=True)]
    run = function([x, *(n for n, _ in given)], x[slice(*bounds)])
    np.testing.assert_array_equal(run(v, *(b for _, b in given)), v[start:stop:step])


def test_bounds_computed_on_the_device():
    x, v = T.dvector(), np.array([3.0, 9.0, 1.0])
    best = T.argmax(x)
    assert function([x], x[best])(v) == 9.0
    np.testing.assert_array_equal(function([x], T.set_subtensor(x[best], 0.0))(v), [3, 0, 1])


def test_one_function_for_every_batch():
    data, i = T.dmatrix(), T.lscalar()
    batch = function([data, i], data[i * 2 : (i + 1) * 2])
    v = np.arange(20.0).reshape(5, 4)
    for k in range(4):
        np.testing.assert_array_equal(batch(v, k), v[k * 2 : (k + 1) * 2])


def test_gradient_lands_where_the_slice_was():
    x = T.dmatrix()
    v = np.ones((3, 4))
    found = function([x], grad((x[1:, ::2] * 3).sum(), x))(v)
    np.testing.assert_array_equal(found, [[0, 0, 0, 0], [3, 0, 3, 0], [3, 0, 3, 0]])


def test_writing_into_an_index_of_an_index_gives_the_tensor_that_was_indexed():
    a = T.dmatrix("a")
    v = np.arange(12.0).reshape(3, 4)
    part = a[1:]  # a tensor of its own: set_subtensor(part[...]) is like `part`
    np.testing.assert_array_equal(
        function([a], T.set_subtensor(part[0, None], 5.0))(v), [[5, 5, 5, 5], [8, 9, 10, 11]]
    )
    np.testing.assert_array_equal(function([a], T.set_subtensor((a * 2)[:], 1.0))(v), np.ones((3, 4)))


def test_a_written_value_broadcasts():
    a, row = T.dmatrix(), T.dvector()
    v = np.zeros((3, 4))
    got = function([a, row], T.inc_subtensor(a[1:], row))(v, np.arange(4.0))
    np.testing.assert_array_equal(got, [[0, 0, 0, 0], [0, 1, 2, 3], [0, 1, 2, 3]])
    assert not v.any(), "the argument must not be written over"


def test_out_of_range_is_found_as_early_as_possible():
    with pytest.raises(IndexOutOfRange, match="index 3 is out of range for dimension 0 of size 3"):
        T.TensorType("float64", (3,))()[3]
    x, i = T.dvector(), T.lscalar()
    run = function([x, i], x[i])
    with pytest.raises(IndexOutOfRange, match="index 3"):
        run(np.zeros(3), 3)
    with pytest.raises(IndexError, match="-4"):
        run(np.zeros(3), -4)


def test_keys_that_make_no_sense():
    x = T.dmatrix("x")
    with pytest.raises(IndexOutOfRange, match="3 indices for 2 dimensions of x"):
        x[0, 0, 0]
    with pytest.raises(InvalidValue, match="one '...'"):
        x[..., ...]
    with pytest.raises(TypeMismatch, match="an index must be an integer, slice"):
        x[1.5]
    with pytest.raises(TypeMismatch, match="an index must be"):
        x[T.dscalar("f")]
    with pytest.raises(TypeMismatch, match="an index must be"):
        x["a"]
    with pytest.raises(InvalidValue, match="step must not be 0"):
        x[::0]


def test_only_an_index_can_be_written_to():
    x = T.dmatrix("x")
    with pytest.raises(TypeMismatch, match="need an indexed tensor"):
        T.set_subtensor(x, 1.0)
    with pytest.raises(TypeMismatch, match="need an indexed tensor"):
        T.inc_subtensor(T.exp(x), 1.0)
    with pytest.raises(TypeMismatch, match="cannot put values of float32 into a tensor of int32"):
        T.set_subtensor(T.imatrix()[0], 1.5)
