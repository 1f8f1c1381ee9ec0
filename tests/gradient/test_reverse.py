"""Reverse mode: values, what is connected to what, and what is said where there is no gradient."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import DisconnectedInputError, GradientError, NullTypeGradError, TypeMismatch
from tinygraph.gradient import DisconnectedType, Lop, NullType, grad, grad_undefined, verify_grad
from tinygraph.graph.op import Op

RNG = np.random.RandomState(2)


def value(expression, *pairs):
    return expression.eval(dict(pairs))


class Split2(Op):
    """Two outputs, x and 2x, of which the second is also integers if asked; counts what it is given."""

    __props__ = ()

    def infer(self, x):
        return [(x.dtype, x.shape), (x.dtype, x.shape)]

    def forward(self, x):
        return x.copy(), 2 * x

    def vjp(self, inputs, outputs, grads):
        return [grads[0] + 2 * grads[1]]


class Typed(Op):
    """The identity with a gradient that is whatever the test hands in."""

    def __init__(self, gradient):
        self.gradient = gradient

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        return x

    def vjp(self, inputs, outputs, grads):
        return self.gradient(inputs[0], grads[0])


def test_product_rule_and_shared_subexpressions():
    x = T.dscalar("x")
    y = T.exp(x)
    assert value(grad(y * y + x * y, x), (x, 0.5)) == pytest.approx(2 * np.exp(1) + 1.5 * np.exp(0.5))


def test_results_come_as_wrt_came():
    x, y = T.dscalars("x", "y")
    cost = x * y
    assert isinstance(grad(cost, [x, y]), list)
    assert isinstance(grad(cost, (x, y)), tuple)
    assert grad(cost, x).type.ndim == 0


def test_gradients_are_named_after_cost_and_variable():
    x = T.dscalar("x")
    cost = T.sin(x) ** 2
    cost.name = "loss"
    assert grad(cost, x).name == "(dloss/dx)"
    assert grad(T.sin(x), x, add_names=False).name is None


def test_by_an_intermediate_variable():
    x = T.dvector("x")
    y = x**2
    g = grad((3 * y).sum(), y)
    assert value(g, (x, np.ones(2))).tolist() == [3, 3]


def test_by_the_cost_itself():
    x = T.dscalar("x")
    y = x * 2
    assert value(grad(y, y), (x, 1.0)) == 1


def test_broadcast_operands_sum_back():
    verify_grad(lambda a, b: a * b + b, [RNG.rand(3, 4), RNG.rand(4)])
    verify_grad(lambda a, b: a * b, [RNG.rand(3, 1), RNG.rand(1, 4)])
    a, b = T.dmatrices("a", "b")
    g = tg.function([a, b], grad((a * b).sum(), b))  # the size 1 is only known at the call
    assert g(np.ones((3, 4)), np.ones((3, 1))).tolist() == [[4.0]] * 3
    assert g(np.ones((3, 4)), np.ones((3, 4))).shape == (3, 4)


def test_float32_stays_float32():
    x = T.fvector("x")
    assert grad(T.cast(T.cast(x, "float64").sum(), "float64"), x).dtype == "float32"


def test_a_cost_must_be_a_float_scalar():
    v = T.dvector("v")
    with pytest.raises(TypeMismatch, match=r"the cost must be a scalar, got v of type TensorType\(float64, "):
        grad(v, v)
    i = T.iscalar("i")
    with pytest.raises(TypeMismatch, match="grad: the cost must be of a float dtype, got i"):
        grad(i, i)
    with pytest.raises(TypeMismatch, match="grad: wrt must be symbolic variables, got 3"):
        grad(v.sum(), 3)
    with pytest.raises(TypeMismatch, match="grad: the cost must be a symbolic scalar, got 3"):
        grad(3, v)
    with pytest.raises(GradientError, match="without a cost, known_grads must say where to start"):
        grad(None, v)


@pytest.mark.parametrize("name", ["disconnected_inputs", "return_disconnected", "null_gradients"])
def test_unknown_choices_are_refused(name):
    x = T.dscalar("x")
    with pytest.raises(ValueError, match=f"grad: {name} must be one of .*, got 'maybe'"):
        grad(x, x, **{name: "maybe"})


def test_a_disconnected_variable_raises_warns_or_gives_zeros():
    x, y = T.dvectors("x", "y")
    cost = x.sum()
    with pytest.raises(DisconnectedInputError, match="the cost .* does not depend on y"):
        grad(cost, y)
    with pytest.warns(UserWarning, match="does not depend on y"):
        grad(cost, y, disconnected_inputs="warn")
    zeros = grad(cost, y, disconnected_inputs="ignore")
    assert value(zeros, (y, np.ones(3))).tolist() == [0, 0, 0]
    assert grad(cost, y, disconnected_inputs="ignore", return_disconnected="none") is None
    found = grad(cost, y, disconnected_inputs="ignore", return_disconnected="Disconnected")
    assert isinstance(found.type, DisconnectedType)


def test_a_path_through_integers_gives_zeros_not_an_error():
    x = T.dmatrix("x")
    wrong = T.neq(T.argmax(x, axis=1), 0).mean()
    assert value(grad(wrong, x), (x, RNG.rand(2, 3))).tolist() == [[0, 0, 0]] * 2


def test_shapes_and_indices_do_not_connect():
    x = T.dvector("x")
    i = T.lscalar("i")
    with pytest.raises(DisconnectedInputError):
        grad(T.cast(x.shape[0], "float64"), x)
    with pytest.raises(DisconnectedInputError):
        grad(x[i], i)


def test_consider_constant():
    x = T.dscalar("x")
    y = x * x
    g = grad(y * x, x, consider_constant=[y])
    assert value(g, (x, 3.0)) == 9
    assert value(grad(y * x, x, consider_constant=y), (x, 3.0)) == 9
    assert value(grad(y * x, y, consider_constant=[y]), (x, 3.0)) == 3


def test_known_grads_replace_the_cost():
    x = T.dvector("x")
    y = T.exp(x)
    g = grad(None, x, known_grads={y: np.array([1.0, 2.0])})
    assert np.allclose(value(g, (x, [0, 1])), [1, 2 * np.e])


def test_known_grads_are_totals():
    x = T.dscalar("x")
    y = x * 2
    z = y * 3
    g = grad(None, x, known_grads={y: 5.0, z: 7.0})  # what z passes to y is part of y's 5 already
    assert value(g, (x, 1.0)) == 10


def test_known_grads_of_the_wrong_shape():
    x = T.dvector("x")
    with pytest.raises(TypeMismatch, match="the known gradient of x must have its shape"):
        grad(None, x, known_grads={x: np.ones((2, 2))})
    with pytest.raises(TypeMismatch, match="must be of a float dtype"):
        grad(None, x, known_grads={x: T.lvector("g")})


def test_lop_counts_every_output():
    x = T.dscalar("x")
    y = x * 2
    z = y * 3
    assert value(Lop([y, z], x, [5.0, 7.0]), (x, 1.0)) == 2 * 5 + 6 * 7
    assert value(Lop([y, y], x, [5.0, 7.0]), (x, 1.0)) == 24
    assert isinstance(Lop(y, [x], 1.0), list)
    with pytest.raises(GradientError, match="2 outputs but 1 evaluation points"):
        Lop([y, z], x, [1.0])


def test_unused_outputs_get_zero_cotangents():
    x = T.dvector("x")
    a, b = Split2()(x)
    assert value(grad(b.sum(), x), (x, np.ones(2))).tolist() == [2, 2]
    assert value(grad((a * b).sum(), x), (x, np.ones(2))).tolist() == [4, 4]


def test_undefined_and_missing_gradients_name_the_op():
    x = T.dvector("x")
    undefined = Typed(lambda x, g: [grad_undefined("floor of a sum", 0, x, "it jumps")])
    with pytest.raises(NullTypeGradError, match=r"by x is undefined: floor of a sum by its input 0 \(x\): it jumps"):
        grad(undefined(x).sum(), x)
    assert isinstance(grad(undefined(x).sum(), x, null_gradients="return").type, NullType)

    class Bare(Op):
        __props__ = ()

        def infer(self, x):
            return [(x.dtype, x.shape)]

    with pytest.raises(NullTypeGradError, match="by x is not implemented for Bare"):
        grad(Bare()(x).sum(), x)
    other = T.dvector("other")
    assert grad((Bare()(x) + other).sum(), other) is not None  # only an error where it is asked for


def test_null_spreads_through_what_follows():
    x = T.dvector("x")
    y = Typed(lambda x, g: [grad_undefined("op", 0, x)])(T.exp(x))
    with pytest.raises(NullTypeGradError):
        grad((y + x).sum(), x)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda x, g: [g, g], "its gradient must be a list of 1 entries"),
        (lambda x, g: g, "its gradient must be a list of 1 entries"),
        (lambda x, g: [g.sum()], r"the gradient by input 0 \(x of type .*\) has type TensorType\(float64, \(\)\)"),
    ],
)
def test_a_malformed_gradient_is_named(gradient, message):
    x = T.dvector("x")
    with pytest.raises(GradientError, match=message):
        grad(Typed(gradient)(x).sum(), x)


def test_known_sizes_that_differ_are_found():
    x = T.tensor("float64", shape=(3,), name="x")
    with pytest.raises(GradientError, match="the gradient by input 0"):
        grad(Typed(lambda x, g: [T.zeros(4)])(x).sum(), x)


def test_a_wrong_connection_pattern_is_named():
    class Odd(Typed):
        def connection_pattern(self, node):
            return [[True], [True]]

    x = T.dvector("x")
    with pytest.raises(GradientError, match="connection_pattern must have a row for each of 1 inputs"):
        grad(Odd(lambda x, g: [g])(x).sum(), x)


def test_the_users_line_stays_with_the_gradient():
    x = T.dvector("x")
    y = T.exp(x)  # the gradient of this line belongs to it
    g = grad(y.sum(), x)
    assert g.owner.origin.line in (y.owner.origin.line, y.owner.origin.line + 1)
    assert g.owner.origin.file == __file__


def test_deep_chains_do_not_recurse():
    x = T.dscalar("x")
    y = x
    for _ in range(5000):
        y = y * 1.0001
    assert grad(y, x).type.ndim == 0


def test_gradient_of_gradient_of_gradient():
    x = T.dscalar("x")
    g = x**4
    for _ in range(3):
        g = grad(g, x)
    assert value(g, (x, 2.0)) == pytest.approx(48)
