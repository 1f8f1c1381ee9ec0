"""Activation functions against NumPy, their derivatives, their behaviour far out, at 0 and at nan."""

import numpy as np
import pytest
from scipy import special

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.gradient import verify_grad

X = np.array([-800.0, -6.5, -3.2, -2.4, -1.0, -0.1, 0.1, 0.7, 2.6, 3.3, 6.5, 800.0])


def _fast(x):
    h = np.abs(x) / 2
    z = np.select([h < 1.7, h < 3], [1.5 * h / (1 + h), 0.935409070603099 + 0.0458812946797165 * (h - 1.7)], 0.99505475368673)
    return (np.sign(x) * z + 1) / 2


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FUNCTIONS = {
    "sigmoid": (T.nnet.sigmoid, special.expit),
    "softplus": (T.nnet.softplus, lambda x: np.logaddexp(0, x)),
    "relu": (T.nnet.relu, lambda x: np.maximum(x, 0)),
    "leaky": (lambda x: T.nnet.relu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "leaky_relu": (T.nnet.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "elu": (T.nnet.elu, _elu),
    "elu with alpha": (lambda x: T.nnet.elu(x, 0.7), lambda x: _elu(x, 0.7)),
    "selu": (T.nnet.selu, lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    "softsign": (T.nnet.softsign, lambda x: x / (1 + np.abs(x))),
    "hard_sigmoid": (T.nnet.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "ultra_fast_sigmoid": (T.nnet.ultra_fast_sigmoid, _fast),
    "swish": (T.nnet.swish, lambda x: x * special.expit(x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(name, dtype):
    symbolic, oracle = FUNCTIONS[name]
    x = T.tensor(dtype, shape=(None,))
    out = function([x], symbolic(x))(X.astype(dtype))
    assert out.dtype == dtype
    expected = oracle(X.astype(dtype).astype("float64"))
    single = dtype == "float32"
    np.testing.assert_allclose(out, expected, rtol=2e-6 if single else 1e-13, atol=3e-8 if single else 1e-30)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    symbolic, _ = FUNCTIONS[name]
    verify_grad(symbolic, [X[1:-1]], n_tests=1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_far_out_are_finite(name):
    symbolic, _ = FUNCTIONS[name]
    x = T.dvector()
    slope = function([x], grad(symbolic(x).sum(), x))(np.array([-800.0, -1e4, 800.0, 1e4]))
    assert np.isfinite(slope).all()


def test_relu_at_zero_and_nan():
    x = T.dvector()
    value, slope = function([x], [T.nnet.relu(x), grad(T.nnet.relu(x).sum(), x)])(np.array([0.0, np.nan]))
    np.testing.assert_array_equal(value, [0, np.nan])
    assert slope[0] == 0


def test_relu_with_learnt_slopes():
    x, a = T.dmatrix(), T.dvector()
    value, slopes = np.array([[-2.0, 3.0], [1.0, -4.0]]), np.array([0.5, 0.25])
    out = T.nnet.relu(x, a.dimshuffle("x", 0))
    found, da = function([x, a], [out, grad(out.sum(), a)])(value, slopes)
    np.testing.assert_allclose(found, [[-1, 3], [1, -1]])
    np.testing.assert_allclose(da, [-2, -4])


def test_relu_of_integers_stays_integer():
    x = T.ivector()
    out = function([x], T.nnet.relu(x))(np.array([-3, 0, 4], "int32"))
    assert out.dtype == "int32"
    np.testing.assert_array_equal(out, [0, 0, 4])


@pytest.mark.parametrize("name", ["elu", "selu", "softsign", "hard_sigmoid", "ultra_fast_sigmoid"])
def test_integers_become_floats(name):
    x = T.wvector()
    out = function([x], getattr(T.nnet, name)(x))(np.array([-1, 2], "int16"))
    assert out.dtype == "float32"


def test_maxout_takes_the_largest_of_its_pieces():
    value = np.random.RandomState(0).randn(3, 6)
    x = T.dmatrix()
    np.testing.assert_array_equal(function([x], T.nnet.maxout(x, 3))(value), value.reshape(3, 2, 3).max(2))
