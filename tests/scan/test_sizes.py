"""Sizes inside a step: those of what it computes are known sizes; those that data decide are taken as they come."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, errors, function, grad, scan, shared
from tinygraph.program.text import program_text

TARGETS = ["numpy", "llvm"]
shapes, x, start = T.lmatrix("shapes"), T.dvector("x"), T.dmatrix("start")
X = np.arange(6.0)


def compiled(inputs, outputs, target):
    if target == "llvm":
        pytest.importorskip("llvmlite")
    return function(inputs, outputs, mode=Mode(target=target))


@pytest.mark.parametrize("target", TARGETS)
def test_a_state_of_a_shape_that_data_decide(target):
    def step(shape, state):
        return T.dot(x.reshape(shape, ndim=2).T, x.reshape(shape, ndim=2))

    f = compiled([shapes, x, start], scan(step, shapes, [start])[0], target)
    wanted = [X.reshape(2, 3).T @ X.reshape(2, 3)] * 2
    np.testing.assert_allclose(f([[2, 3], [2, 3]], X, np.ones((3, 3))), wanted)
    with pytest.raises(errors.ShapeMismatch, match=r"output 0 is of shape \(2, 2\) after a step.*shape \(3, 3\)"):
        f([[2, 3], [3, 2]], X, np.ones((3, 3)))


@pytest.mark.parametrize("target", TARGETS)
def test_an_output_of_a_shape_that_data_decide(target):
    f = compiled([shapes, x], scan(lambda shape: x.reshape(shape, ndim=2).T, shapes)[0], target)
    np.testing.assert_allclose(f([[2, 3], [2, 3]], X), [X.reshape(2, 3).T] * 2)


def test_the_gradient_knows_the_sizes_of_what_steps_computed():
    """Were sizes stored by the forward loop, they would be data, and what is shaped by them would run in Python."""
    w, cube = shared(np.ones((3, 1)), "w"), T.dtensor3("cube")

    def step(e, state):
        score = T.dot(T.tanh(cube * e + state.mean()), w)
        return state + score.reshape((score.shape[0], score.shape[1])).sum(0)

    out, _ = scan(step, x, [T.zeros(2)])
    f = function([x, cube], grad(out[-1].sum(), w))
    c = np.random.default_rng(0).normal(size=(4, 2, 3))
    assert f(X, c).shape == (3, 1)
    assert all("host" not in program_text(p.program) for p in f._programs.values())
