"""verify_grad must pass right gradients and find planted wrong ones."""

import pickle

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import GradientError, TypeMismatch
from tinygraph.gradient import VerifyGradError, numeric_grad, verify_grad
from tinygraph.graph.op import Op

RNG = np.random.RandomState(1)


class Cube(Op):
    """x ** 3, with a gradient that ``wrong`` spoils."""

    __props__ = ("wrong",)

    def __init__(self, wrong="no"):
        self.wrong = wrong

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        return x**3

    def vjp(self, inputs, outputs, grads):
        (x,), (g,) = inputs, grads
        spoil = {
            "no": lambda right: right,
            "factor": lambda right: right * 1.01,
            "missing": T.zeros_like,
            "one element": lambda right: T.inc_subtensor(right[1, 2], 0.5),
            "nan": lambda right: right * np.nan,
            "sign": lambda right: -right,
        }[self.wrong]
        return [spoil(3 * g * x**2)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (), (0, 3), (2, 1, 3)])
def test_a_right_gradient_passes(dtype, shape):
    verify_grad(Cube(), [RNG.uniform(0.5, 1.5, shape).astype(dtype)])


@pytest.mark.parametrize("wrong", ["factor", "missing", "nan", "sign"])
def test_a_planted_wrong_gradient_is_found(wrong):
    with pytest.raises(VerifyGradError, match="the gradient .* by argument 0 is wrong at position"):
        verify_grad(Cube(wrong), [RNG.uniform(0.5, 1.5, (3, 4))])


def test_the_wrong_element_is_named():
    with pytest.raises(VerifyGradError) as caught:
        verify_grad(Cube("one element"), [RNG.uniform(0.5, 1.5, (3, 4))])
    error = caught.value
    assert (error.arg, error.err_pos, error.shape) == (0, 6, (3, 4))
    assert error.abs_err == pytest.approx(0.5, rel=1e-3)
    assert error.val2 - error.val1 == pytest.approx(0.5, rel=1e-3)
    assert "position (1, 2)" in str(error)


def test_the_error_is_a_gradient_error_and_is_known_by_theanos_name():
    assert verify_grad.E_grad is VerifyGradError
    assert issubclass(VerifyGradError, GradientError)


def test_the_error_survives_pickling():
    error = VerifyGradError(1, 2, (3,), 0.5, 0.75, 0.25, 0.2, 1e-4, 1e-4)
    again = pickle.loads(pickle.dumps(error))
    assert again.__dict__ == error.__dict__ and str(again) == str(error)


def test_several_arguments_and_outputs():
    def fun(a, b):
        return T.dot(a, b), T.exp(a)

    points = [RNG.uniform(-1, 1, (3, 4)), RNG.uniform(-1, 1, (4, 2))]
    verify_grad(fun, points)


def test_a_wrong_second_argument_is_named():
    with pytest.raises(VerifyGradError) as caught:
        verify_grad(lambda a, b: a + Cube("sign")(b), [RNG.rand(2), RNG.rand(2) + 1])
    assert caught.value.arg == 1


def test_second_order():
    verify_grad(lambda x: tg.grad(T.sum(T.exp(x) * x), x), [RNG.rand(3)])


def test_points_keep_their_layout():
    verify_grad(lambda x: T.tanh(x) * 2, [RNG.rand(4, 6)[:, ::2].T])


def test_other_generators_of_random_numbers():
    verify_grad(Cube(), [RNG.rand(2)], rng=np.random.default_rng(3))
    verify_grad(Cube(), [RNG.rand(2)], rng=np.random.RandomState(3))


def test_integers_are_refused():
    with pytest.raises(TypeMismatch, match="argument 1 must be of a float dtype, got int64"):
        verify_grad(lambda a, b: a + b, [np.ones(2), np.ones(2, "int64")])
    with pytest.raises(TypeMismatch, match="the output must be of a float dtype"):
        verify_grad(lambda a: T.argmax(a), [np.ones(2)])


def test_tolerances_decide():
    point = [RNG.uniform(0.5, 1.5, (2,))]
    with pytest.raises(VerifyGradError):
        verify_grad(Cube("factor"), point)
    verify_grad(Cube("factor"), point, rel_tol=0.02)
    verify_grad(Cube("factor"), point, abs_tol=1.0)


def test_numeric_grad_of_a_polynomial():
    x, y = RNG.rand(3), RNG.rand(2, 2)
    found = numeric_grad(lambda a, b: (a**3).sum() + (a.sum() * b**2).sum(), [x, y])
    assert np.allclose(found.gf[0], 3 * x**2 + (y**2).sum(), atol=1e-8)
    assert np.allclose(found.gf[1], 2 * y * x.sum(), atol=1e-8)
    assert np.allclose(numeric_grad(lambda a: np.sin(a).sum(), x).gf, np.cos(x), atol=1e-8)


def test_numeric_grad_compares_shapes():
    found = numeric_grad(lambda a: a.sum(), [np.ones(3)])
    with pytest.raises(ValueError, match=r"shape \(4,\), its argument has \(3,\)"):
        found.max_err([np.ones(4)], 1e-4, 1e-4)
    with pytest.raises(ValueError, match="expected 1 gradients, got 2"):
        found.max_err([np.ones(3), np.ones(3)], 1e-4, 1e-4)
