"""Jacobians, Hessians, products with them, and gradients of parts of a graph."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import DisconnectedInputError, GradientError, TypeMismatch
from tinygraph.gradient import grad, hessian, hessian_times_vector, jacobian, subgraph_grad

RNG = np.random.RandomState(4)


def test_jacobian_of_a_scalar_is_its_gradient():
    x = T.dvector("x")
    assert jacobian((x**2).sum(), x).eval({x: [1, 2]}).tolist() == [2, 4]


def test_jacobian_of_few_rows():
    x = T.dvector("x")
    y = T.stack([x.prod(), (x**2).sum()])
    assert jacobian(y, x).eval({x: [1, 2, 3]}).tolist() == [[6, 3, 2], [2, 4, 6]]


def test_jacobian_by_several():
    x, w = T.dvector("x"), T.dmatrix("w")
    y = T.stack([T.dot(x, w)[0], x.sum()])
    by_x, by_w = jacobian(y, [x, w], disconnected_inputs="ignore")
    values = {x: RNG.rand(3), w: RNG.rand(3, 2)}
    assert np.allclose(by_x.eval(values), [values[w][:, 0], np.ones(3)])
    assert by_w.eval(values).shape == (2, 3, 2)
    assert isinstance(jacobian(y, (x,)), tuple)


def test_jacobian_refuses_a_matrix():
    m = T.dmatrix("m")
    with pytest.raises(TypeMismatch, match="the expression must be a scalar or vector, got m"):
        jacobian(m, m)
    with pytest.raises(TypeMismatch, match="expected a symbolic vector, got 3"):
        jacobian(3, m)


def test_jacobian_of_something_else():
    x, y = T.dvectors("x", "y")
    with pytest.raises(DisconnectedInputError):
        jacobian(T.stack([x[0], x[1]]), y)


def test_hessian_of_known_length():
    x = T.tensor("float64", shape=(3,), name="x")
    h = hessian((x**3).sum() + x.prod(), x)
    assert np.allclose(h.eval({x: [1, 2, 3]}), np.diag([6, 12, 18]) + [[0, 3, 2], [3, 0, 1], [2, 1, 0]])


def test_hessian_of_a_linear_cost_is_zero():
    x = T.tensor("float64", shape=(2,), name="x")
    assert hessian(x.sum(), x).eval({x: [1, 2]}).tolist() == [[0, 0], [0, 0]]


def test_hessian_by_a_matrix_is_refused():
    m = T.dmatrix("m")
    with pytest.raises(TypeMismatch, match="hessian: wrt must be symbolic vectors, got m"):
        hessian(m.sum(), m)


@pytest.mark.parametrize("r_op", [False, True])
def test_hessian_times_vector(r_op):
    x, v = T.dvectors("x", "v")
    cost = (x**3).sum() + x.prod()
    hv = hessian_times_vector(grad(cost, x), x, v, r_op=r_op)
    point, direction = np.array([1.0, 2, 3]), np.array([1.0, -1, 2])
    expected = (np.diag(6 * point) + [[0, 3, 2], [3, 0, 1], [2, 1, 0]]) @ direction
    assert np.allclose(hv.eval({x: point, v: direction}), expected)


@pytest.mark.parametrize("r_op", [False, True])
def test_hessian_times_several_vectors(r_op):
    x, y, v, w = T.dvectors("x", "y", "v", "w")
    cost = (x**2 * y).sum()
    found = hessian_times_vector(grad(cost, [x, y]), [x, y], [v, w], r_op=r_op)
    a, b, c, d = 2.0, 3.0, 5.0, 7.0
    values = {x: [a], y: [b], v: [c], w: [d]}
    run = tg.function(list(values), found, on_unused_input="ignore")
    by_x, by_y = run(*values.values())
    assert by_x == 2 * b * c + 2 * a * d and by_y == 2 * a * c


def test_hessian_times_vector_counts_its_arguments():
    x = T.dvector("x")
    with pytest.raises(GradientError, match="1 gradients, 1 parameters, 2 vectors"):
        hessian_times_vector(x, x, [x, x])


def test_subgraph_grad_piece_by_piece_is_the_whole():
    x, t = T.dvector("x"), T.dvector("t")
    w1, w2 = tg.shared(RNG.rand(3, 4)), tg.shared(RNG.rand(4, 2))
    a1 = T.tanh(T.dot(x, w1))
    a2 = T.tanh(T.dot(a1, w2))
    cost2 = T.sqr(a2 - t).sum() + T.sqr(w2).sum()
    cost1 = T.sqr(w1).sum()
    param, to_a2 = subgraph_grad([w2], [a1], start={a2: grad(cost2, a2)}, cost=T.sqr(w2).sum())
    param1, ends = subgraph_grad([w1], [x], start=dict(zip([a1], to_a2)), cost=cost1)
    pieces = tg.function([x, t], [*param, *param1, *ends])
    whole = tg.function([x, t], grad(cost2 + cost1, [w2, w1, x]))
    values = RNG.rand(3), RNG.rand(2)
    for piece, expected in zip(pieces(*values), whole(*values)):
        assert np.allclose(piece, expected)


def test_subgraph_grad_details():
    x = T.dscalar("x")
    y = x * 3
    wrt, end, above, own = subgraph_grad([], [x], start={y: 2.0}, cost=x**2, details=True)
    assert wrt == []
    assert [g.eval({x: 5.0}) for g in (*end, *above, *own)] == [16, 6, 10]


def test_subgraph_grad_stops_at_its_end():
    x = T.dscalar("x")
    middle = x * 3
    wrt, end = subgraph_grad([x], [middle], cost=middle**2)
    assert end[0].eval({x: 1.0}) == 6 and wrt[0].eval({x: 1.0}) == 0


def test_subgraph_grad_needs_a_top():
    x = T.dscalar("x")
    with pytest.raises(GradientError, match="give start, cost or both"):
        subgraph_grad([x], [])
    with pytest.raises(TypeMismatch, match="wrt and end must be lists"):
        subgraph_grad(x, [], cost=x)


def test_jacobian_of_unknown_length_is_a_loop():
    x, w = T.dvector("x"), T.dmatrix("w")
    y = T.tanh(T.dot(x, w))
    point, weight = RNG.rand(3), RNG.rand(3, 5)
    by_x, by_w = jacobian(y, [x, w])
    slope = 1 - np.tanh(point @ weight) ** 2
    assert np.allclose(by_x.eval({x: point, w: weight}), (weight * slope).T)
    expected = np.einsum("j,i,jk->jik", slope, point, np.eye(5))
    assert np.allclose(by_w.eval({x: point, w: weight}), expected)


def test_hessian_of_unknown_length():
    x = T.dvector("x")
    h = tg.function([x], hessian((x**3).sum() + x.prod(), x))
    assert np.allclose(h([1, 2, 3]), np.diag([6, 12, 18]) + [[0, 3, 2], [3, 0, 1], [2, 1, 0]])
    assert h([2.0]).tolist() == [[12]]


def test_hessian_by_several_vectors():
    x, y = T.dvectors("x", "y")
    by_x, by_y = hessian((x**2).sum() + (y**3).sum(), [x, y])
    assert by_x.eval({x: [1, 2]}).tolist() == [[2, 0], [0, 2]]
    assert by_y.eval({y: [1, 2]}).tolist() == [[6, 0], [0, 12]]
