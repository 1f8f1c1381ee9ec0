"""Forward mode: own rules, rules derived from the reverse ones, and agreement with Lop."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import DisconnectedInputError, GradientError, TypeMismatch
from tinygraph.gradient import DisconnectedType, Lop, Rop
from tinygraph.graph.op import Apply, Op

RNG = np.random.RandomState(3)


def directional(fun, points, directions, eps=1e-5):
    """d/dt fun(points + t directions) by central differences."""
    high = fun(*(p + eps * d for p, d in zip(points, directions)))
    low = fun(*(p - eps * d for p, d in zip(points, directions)))
    return (high - low) / (2 * eps)


CASES = {
    "elementwise": (lambda x, w: T.tanh(x * w) + T.exp(x) / w, [(3, 4), (3, 4)]),
    "broadcast": (lambda x, w: x * w + T.sin(w), [(3, 4), (4,)]),
    "dot": (lambda x, w: T.dot(T.sqr(x), w), [(3, 4), (4, 2)]),
    "sum": (lambda x, w: (x * w).sum(axis=1), [(3, 4), (3, 4)]),
    "max": (lambda x, w: (x * w).max(axis=0), [(3, 4), (3, 4)]),
    "prod": (lambda x, w: (x + w).prod(axis=1), [(3, 4), (3, 4)]),
    "reshape and index": (lambda x, w: x.reshape((4, 3))[1:, ::-1] * w.T[0], [(3, 4), (3, 4)]),
    "join": (lambda x, w: T.concatenate([x * 2, w], axis=1), [(3, 4), (3, 2)]),
    "set_subtensor": (lambda x, w: T.set_subtensor(x[1], w**2), [(3, 4), (4,)]),
    "advanced index": (lambda x, w: x[[0, 2, 0]] * w, [(3, 4), (4,)]),
    "log-likelihood": (lambda x, w: -T.mean(T.log(T.exp(T.dot(x, w)).sum(axis=1))), [(3, 4), (4, 2)]),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_finite_differences_and_with_lop(name):
    fun, shapes = CASES[name]
    points = [RNG.uniform(0.5, 1.5, s) for s in shapes]
    moves = [RNG.uniform(-1, 1, s) for s in shapes]
    xs = [T.TensorType("float64", (None,) * len(s))() for s in shapes]
    ts = [T.TensorType("float64", (None,) * len(s))() for s in shapes]
    y = fun(*xs)
    run, tangent = tg.function(xs, y), tg.function([*xs, *ts], Rop(y, xs, ts), on_unused_input="ignore")
    found = tangent(*points, *moves)
    assert np.allclose(found, directional(run, points, moves), atol=1e-7)
    u = T.TensorType("float64", (None,) * y.ndim)()
    back = tg.function([*xs, u], Lop(y, xs, u), on_unused_input="ignore")
    weight = RNG.rand(*found.shape)
    across = sum((g * m).sum() for g, m in zip(back(*points, weight), moves))
    assert np.allclose((found * weight).sum(), across)  # <w, J m> == <J' w, m>


class Swap(Op):
    """(a, b) -> (a * b, a + b), with a reverse rule only."""

    __props__ = ()

    def infer(self, a, b):
        return [(a.dtype, a.shape), (a.dtype, a.shape)]

    def forward(self, a, b):
        return a * b, a + b

    def vjp(self, inputs, outputs, grads):
        (a, b), (g, h) = inputs, grads
        return [g * b + h, g * a + h]


def test_a_rule_is_derived_from_the_reverse_one():
    a, b, da, db = T.dvectors("a", "b", "da", "db")
    p, s = Rop(list(Swap()(a, b)), [a, b], [da, db])
    values = {a: [1.0, 2.0], b: [3.0, 4.0], da: [1.0, 0.0], db: [0.0, 10.0]}
    assert p.eval(values).tolist() == [3, 20]
    assert s.eval({k: v for k, v in values.items() if k in (da, db)} | {a: [0, 0], b: [0, 0]}).tolist() == [1, 10]


class OldStyle(Op):
    """x ** 2 in Theano's protocol, with R_op."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0] ** 2

    def R_op(self, inputs, eval_points):
        return [2 * inputs[0] * eval_points[0]]


def test_theanos_r_op_is_called():
    x, v = T.dvectors("x", "v")
    assert Rop(OldStyle()(x), x, v).eval({x: [3.0], v: [2.0]}).tolist() == [12]


def test_forward_over_reverse_is_a_hessian_vector_product():
    x, v = T.dvectors("x", "v")
    cost = T.sum(x**3) + T.prod(x)
    hv = Rop(tg.grad(cost, x), x, v)
    point, direction = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.5])
    hessian = np.diag(6 * point) + np.array([[0, 3, 2], [3, 0, 1], [2, 1, 0.0]])
    assert np.allclose(hv.eval({x: point, v: direction}), hessian @ direction)


def test_variables_in_wrt_are_independent():
    x = T.dscalar("x")
    y = x * 2
    z = x * y
    assert Rop(z, [x, y], [1.0, 0.0]).eval({x: 3.0}) == 6  # y is held fixed


def test_disconnected_outputs():
    x, y = T.dvectors("x", "y")
    with pytest.raises(DisconnectedInputError, match="the output y does not depend on any of the variables"):
        Rop([x, y], x, x)
    with pytest.warns(UserWarning, match="the output y"):
        Rop(y, x, x, disconnected_outputs="warn")
    zero = Rop(y, x, x, disconnected_outputs="ignore")
    assert zero.eval({y: [1.0, 2.0]}).tolist() == [0, 0]
    assert Rop(y, x, x, "ignore", "none") is None
    assert isinstance(Rop(y, x, x, "ignore", "disconnected").type, DisconnectedType)


def test_steps_have_zero_tangents():
    x = T.dvector("x")
    assert Rop(T.floor(x), x, x).eval({x: [1.5, 2.5]}).tolist() == [0, 0]
    assert Rop(T.cast(T.argmax(x), "float64"), x, x).eval({x: [1.5, 2.5]}) == 0


def test_bad_arguments():
    x = T.dvector("x")
    with pytest.raises(GradientError, match="1 variables but 2 evaluation points"):
        Rop(x, x, [x, x])
    with pytest.raises(TypeMismatch, match="the evaluation point of x must have 1 dimensions"):
        Rop(x, x, T.dmatrix())
    with pytest.raises(TypeMismatch, match="wrt must be symbolic variables, got 1"):
        Rop(x, 1, x)
    with pytest.raises(ValueError, match="disconnected_outputs must be one of .*, got 'no'"):
        Rop(x, x, x, "no")


def test_an_op_without_any_rule_is_named():
    class Bare(Op):
        __props__ = ()

        def infer(self, x):
            return [(x.dtype, x.shape)]

    x = T.dvector("x")
    with pytest.raises(GradientError, match="Bare has neither R_op, jvp nor a gradient"):
        Rop(Bare()(x), x, x)
