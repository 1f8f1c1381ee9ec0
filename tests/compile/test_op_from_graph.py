"""OpFromGraph: values, shapes, derivatives from the graph and derivatives given."""

import pickle

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import OpFromGraph
from tinygraph import tensor as T
from tinygraph.errors import DisconnectedInputError, GradientError, MissingInputError, TypeMismatch
from tinygraph.gradient import DisconnectedType, Rop, verify_grad

RNG = np.random.RandomState(5)
MODES = pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])


def product():
    x, w = T.dmatrices("x", "w")
    return OpFromGraph([x, w], [T.tanh(T.dot(x, w)), x.sum()], name="product")


@MODES
def test_it_computes_its_graph(mode):
    a, b = T.dmatrices("a", "b")
    y, s = product()(a, b)
    f = tg.function([a, b], [y, s * 2], mode=mode)
    p, q = RNG.rand(3, 4), RNG.rand(4, 2)
    found = f(p, q)
    assert np.allclose(found[0], np.tanh(p @ q)) and np.allclose(found[1], 2 * p.sum())


def test_in_a_compiled_function_its_graph_takes_its_place():
    a, b = T.dmatrices("a", "b")
    f = tg.function([a, b], product()(a, b)[0])
    assert not any(isinstance(n.op, OpFromGraph) for n in f.fgraph.toposort())


def test_graphs_in_graphs():
    x = T.dscalar("x")
    twice = OpFromGraph([x], [x * 2])
    four = OpFromGraph([x], [twice(twice(x))])
    assert four(four(T.constant(1.0, dtype="float64"))).eval() == 16


def test_derivatives_follow_from_the_graph():
    verify_grad(lambda a, b: product()(a, b)[0], [RNG.rand(3, 4), RNG.rand(4, 2)])
    verify_grad(lambda a, b: tg.grad(product()(a, b)[0].sum(), [a, b]), [RNG.rand(2, 3), RNG.rand(3, 2)])
    a, b, u, v = T.dmatrices("a", "b", "u", "v")
    f = tg.function([a, b, u, v], [Rop(product()(a, b)[0], [a, b], [u, v]), Rop(T.tanh(T.dot(a, b)), [a, b], [u, v])])
    found, expected = f(RNG.rand(2, 3), RNG.rand(3, 2), RNG.rand(2, 3), RNG.rand(3, 2))
    assert np.allclose(found, expected)


def test_what_is_not_connected_inside_is_not_connected_outside():
    x, y = T.dscalars("x", "y")
    op = OpFromGraph([x, y], [x * 2, y * 3])
    a, b = T.dscalars("a", "b")
    first, second = op(a, b)
    assert op.connection_pattern(first.owner) == [[True, False], [False, True]]
    with pytest.raises(DisconnectedInputError):
        tg.grad(first, b)


def test_shared_variables_inside_need_not_be_listed():
    x, w = T.dvector("x"), tg.shared(np.array([1.0, 2.0]), name="w")
    op = OpFromGraph([x], [(x * w).sum()])
    a = T.dvector("a")
    f = tg.function([a], [op(a), tg.grad(op(a), w)], updates=[(w, w + 1)])
    total, by_w = f([3.0, 4.0])
    assert total == 11 and by_w.tolist() == [3, 4]
    assert f([3.0, 4.0])[0] == 18


OVERRIDES = {
    "grad, one function": {"grad_overrides": lambda i, g: [g[0] * 10, g[0] * 20]},
    "grad, a list": {"grad_overrides": [lambda i, g: g[0] * 10, lambda i, g: g[0] * 20]},
    "lop, one function": {"lop_overrides": lambda i, o, g: [g[0] * 10, g[0] * 20]},
    "lop, a list": {"lop_overrides": [lambda i, o, g: g[0] * 10, lambda i, o, g: g[0] * 20]},
}


@pytest.mark.parametrize("how", OVERRIDES)
def test_gradients_can_be_given(how):
    x, y = T.dscalars("x", "y")
    op = OpFromGraph([x, y], [x * y], **OVERRIDES[how])
    a, b = T.dscalars("a", "b")
    f = tg.function([a, b], [op(a, b), *tg.grad(op(a, b) * 2, [a, b])])
    assert f(3.0, 4.0) == [12, 20, 40]


def test_an_op_from_a_graph_as_gradient():
    x, y, o, g = T.dscalars("x", "y", "o", "g")
    back = OpFromGraph([x, y, o, g], [g + x, g + o])
    op = OpFromGraph([x, y], [x * y], lop_overrides=back)
    a, b = T.dscalars("a", "b")
    assert [float(d.eval({a: 3.0, b: 4.0})) for d in tg.grad(op(a, b), [a, b])] == [4, 13]


def test_single_entries():
    x, y, z = T.dscalars("x", "y", "z")
    op = OpFromGraph([x, y, z], [x * y * z], grad_overrides=["default", None, DisconnectedType()()])
    a, b, c = T.dscalars("a", "b", "c")
    cost = op(a, b, c)
    by_a, by_b = tg.grad(cost, [a, b])
    values = {a: 2.0, b: 3.0, c: 5.0}
    assert by_a.eval({k: values[k] for k in (b, c)} | {a: 0.0}) == 15 and by_b.eval({b: 3.0}) == 0


def test_forward_mode_can_be_given():
    x = T.dscalar("x")
    a, v = T.dscalars("a", "v")
    op = OpFromGraph([x], [x * x], rop_overrides=lambda i, e: [e[0] * 100])
    assert Rop(op(a), a, v).eval({a: 1.0, v: 2.0}) == 200
    op = OpFromGraph([x], [x * x, x * 3], rop_overrides=["default", lambda i, e: e[0] * 100])
    first, second = Rop(op(a), a, v)
    assert first.eval({a: 3.0, v: 2.0}) == 12 and second.eval({v: 2.0, a: 0.0}) == 200


def test_inside_a_loop():
    x = T.dscalar("x")
    op = OpFromGraph([x], [x * 2 + 1])
    found, _ = tg.scan(lambda acc: op(acc), outputs_info=T.zeros(()), n_steps=4)
    assert found.eval().tolist() == [1, 3, 7, 15]


def test_sizes_come_from_the_graph():
    x = T.dmatrix("x")
    op = OpFromGraph([x], [T.concatenate([x, x]).T])
    a = T.dmatrix("a")
    f = tg.function([a], op(a).shape)
    assert f(np.zeros((3, 5))).tolist() == [5, 6]


def test_pickled():
    a = T.dmatrix("a")
    b = T.dmatrix("b")
    y = product()(a, b)[0]
    a2, b2, y2 = pickle.loads(pickle.dumps((a, b, y)))
    p, q = RNG.rand(2, 2), RNG.rand(2, 2)
    assert np.allclose(y2.eval({a2: p, b2: q}), np.tanh(p @ q))


def test_bad_arguments():
    x, y = T.dscalars("x", "y")
    with pytest.raises(MissingInputError, match="OpFromGraph: the variable y of type .* is needed but is not an input"):
        OpFromGraph([x], [x * y])
    with pytest.raises(TypeMismatch, match="inputs and outputs must be lists"):
        OpFromGraph(x, [x])
    with pytest.raises(TypeMismatch, match="must be symbolic variables, got 3"):
        OpFromGraph([x], [3])
    with pytest.raises(GradientError, match="give lop_overrides or grad_overrides, not both"):
        OpFromGraph([x], [x], lop_overrides=[None], grad_overrides=[None])
    with pytest.raises(TypeMismatch, match="expected 1 inputs, got 2"):
        OpFromGraph([x], [x])(x, x)
    with pytest.raises(TypeMismatch, match="input 0 must be TensorType\\(float64, \\(\\)\\), got v of type"):
        OpFromGraph([x], [x])(T.dvector("v"))
    wrong = OpFromGraph([x, y], [x * y], grad_overrides=lambda i, g: [g[0]])
    with pytest.raises(GradientError, match="grad_overrides must give 2 gradients, got 1"):
        tg.grad(wrong(x, y), x)
    with pytest.raises(TypeMismatch, match="updates and givens are not supported, got updates"):
        OpFromGraph([x], [x], updates=[])
