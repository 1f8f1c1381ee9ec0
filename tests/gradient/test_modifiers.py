"""Identities with a gradient of their own."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import DisconnectedInputError, NullTypeGradError
from tinygraph.gradient import (
    GradClip,
    Rop,
    consider_constant,
    disconnected_grad,
    grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    undefined_grad,
    zero_grad,
)

MODIFIERS = {
    "clip": lambda x: grad_clip(x, -1, 1),
    "scale": lambda x: grad_scale(x, 3),
    "zero": zero_grad,
    "constant": consider_constant,
    "disconnected": disconnected_grad,
    "undefined": undefined_grad,
}


@pytest.mark.parametrize("name", MODIFIERS)
def test_the_value_is_untouched_and_nothing_runs(name):
    x = T.dvector("x")
    y = MODIFIERS[name](x * 2)
    assert y.type == x.type
    f = tg.function([x], y)
    assert f([1, -2]).tolist() == [2, -4]


@pytest.mark.parametrize("name", ["clip", "scale", "zero"])
def test_integers_and_sizes_pass_through(name):
    n = T.lscalar("n")
    assert tg.function([n], T.zeros((MODIFIERS[name](n), 2)))(3).shape == (3, 2)


def test_clip():
    x = T.dvector("x")
    g = grad((5 * grad_clip(x, -1, 1) ** 2).sum(), x)
    assert g.eval({x: [0.05, 3.0, -3.0]}).tolist() == [0.5, 1, -1]
    with pytest.raises(ValueError, match="the upper bound -1 must be at least the lower one, 1"):
        grad_clip(x, 1, -1)
    assert GradClip(-1, 1) == GradClip(-1, 1) != GradClip(-1, 2)


def test_clip_acts_once_per_use():
    x = T.dscalar("x")
    y = grad_clip(x, -1, 1)
    assert grad(5 * y + 5 * y, x).eval({x: 1.0}) == 1  # the sum of both uses is clipped


def test_scale_reverses():
    x = T.dvector("x")
    assert grad(grad_scale(x, -2).sum(), x).eval({x: [1, 2]}).tolist() == [-2, -2]


def test_scale_keeps_the_dtype():
    x = T.fvector("x")
    assert grad(grad_scale(x, 0.5).sum(), x).dtype == "float32"


@pytest.mark.parametrize("modifier", [zero_grad, consider_constant])
def test_zero_grad_is_connected_and_zero(modifier):
    x = T.dvector("x")
    assert grad(modifier(x).sum(), x).eval({x: [1, 2]}).tolist() == [0, 0]
    assert grad((x * modifier(x)).sum(), x).eval({x: [1, 2]}).tolist() == [1, 2]


def test_disconnected_grad_disconnects():
    x = T.dvector("x")
    with pytest.raises(DisconnectedInputError):
        grad(disconnected_grad(x).sum(), x)
    assert grad((x * disconnected_grad(x)).sum(), x).eval({x: [1, 2]}).tolist() == [1, 2]


def test_undefined_grad_refuses():
    x, y = T.dvectors("x", "y")
    with pytest.raises(NullTypeGradError, match="by x is undefined: UndefinedGrad by its input 0"):
        grad((undefined_grad(x) + y).sum(), x)
    assert grad((undefined_grad(x) + y).sum(), y) is not None


def test_forward_mode_sees_identities():
    x, v = T.dvectors("x", "v")
    for name in ("clip", "scale"):
        assert Rop(MODIFIERS[name](x), x, v).eval({v: [5.0], x: [0.0]}).tolist() == [5]


def test_null_gradients_say_why():
    x = T.dvector("x")
    assert grad_undefined("Op", 1, x, "why").type.why_null == "undefined: Op by its input 1 (x): why"
    assert grad_not_implemented("Op", 0, x).type.why_null == "not implemented: Op by its input 0 (x)"
    with pytest.raises(TypeError, match="has no value: undefined"):
        grad_undefined("Op", 1, x).type.filter(np.ones(2))


@pytest.mark.parametrize("name", MODIFIERS)
def test_nothing_of_it_is_left_in_a_compiled_function(name):
    x = T.dvector("x")
    f = tg.function([x], T.exp(MODIFIERS[name](x)))
    assert [str(n.op) for n in f.fgraph.toposort()] == ["Elemwise{exp}"]
