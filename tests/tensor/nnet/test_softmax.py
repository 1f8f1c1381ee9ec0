"""Softmax and its logarithm against SciPy, for values of any size, along any axis."""

import numpy as np
import pytest
from scipy import special

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.gradient import verify_grad
from tinygraph.tensor.nnet.softmax import LogSoftmax, Softmax

RNG = np.random.RandomState(11)
OPS = {"softmax": (Softmax, special.softmax), "logsoftmax": (LogSoftmax, special.log_softmax)}


@pytest.fixture(params=OPS)
def pair(request):
    return OPS[request.param]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), [((4, 5), 1), ((4, 5), 0), ((7,), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((3, 1), 1), ((0, 4), 1)])  # fmt: skip
def test_values(pair, shape, axis, dtype):
    op, oracle = pair
    value = (RNG.randn(*shape) * 3).astype(dtype)
    x = T.tensor(dtype, shape=(None,) * len(shape))
    out = function([x], op(axis)(x))(value)
    assert out.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(out, oracle(value.astype("float64"), axis=axis), rtol=4 * tolerance, atol=tolerance)
    np.testing.assert_allclose(op(axis).forward(value), out, rtol=4 * tolerance, atol=tolerance)


@pytest.mark.parametrize(("shape", "axis"), [((3, 4), 1), ((3, 4), 0), ((2, 3, 4), 1)])
def test_gradients_of_both_orders(pair, shape, axis):
    op, _ = pair
    value = RNG.randn(*shape)
    verify_grad(op(axis), [value], n_tests=1)
    verify_grad(lambda x: grad(T.sum(T.sqr(op(axis)(x))), x), [value], n_tests=1)


def test_tangents(pair):
    op, _ = pair
    x, t = T.dmatrices("x", "t")
    out = op(1)(x)
    (tangent,) = op(1).jvp([x], [out], [t])
    value, step = RNG.randn(3, 4), RNG.randn(3, 4)
    expected = (op(1).forward(value + 1e-6 * step) - op(1).forward(value - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(function([x, t], tangent)(value, step), expected, atol=1e-8)


def test_large_arguments_neither_overflow_nor_lose_digits(pair):
    op, oracle = pair
    value = np.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4 + 1], [-1e4, -1e4 - 3, -1e4]])
    x = T.dmatrix()
    out, slope = function([x], [op(1)(x), grad(op(1)(x)[:, 0].sum(), x)])(value)
    np.testing.assert_allclose(out, oracle(value, axis=1), rtol=1e-12)
    assert np.isfinite(slope).all()


def test_a_vector_is_one_row_unless_an_axis_is_named():
    """Theano's softmax of a vector is a matrix (1, n): programs index it so."""
    v = T.dvector()
    value = RNG.randn(5)
    row, plain, log_row = function([v], [T.nnet.softmax(v), T.nnet.softmax(v, axis=0), T.nnet.logsoftmax(v)])(value)
    np.testing.assert_allclose(row, special.softmax(value)[None])
    np.testing.assert_allclose(plain, special.softmax(value))
    np.testing.assert_allclose(log_row, special.log_softmax(value)[None])


def test_integers_are_taken_as_floats():
    x = T.lmatrix()
    out = function([x], T.nnet.softmax(x))(np.array([[1, 2, 3]]))
    np.testing.assert_allclose(out, special.softmax([[1.0, 2, 3]], axis=1), rtol=1e-6)


def test_errors():
    with pytest.raises(TypeMismatch, match="float tensor of at least one dimension"):
        T.nnet.softmax(T.dscalar())
    with pytest.raises(InvalidValue, match="axis 2 is out of range"):
        T.nnet.softmax(T.dmatrix(), axis=2)
