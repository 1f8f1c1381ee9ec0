"""Ops in Python: decorated functions, Theano's protocol, generic values, Print and Assert, clone."""

import pickle

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import as_op
from tinygraph import tensor as T
from tinygraph.errors import NullTypeGradError, TypeMismatch
from tinygraph.gradient import Rop, verify_grad
from tinygraph.graph import Apply, Op, generic
from tinygraph.tensor.checks import Assert, Print, assert_

MODES = pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])


@as_op(itypes=[T.dmatrix, T.dmatrix], otypes=[T.dmatrix], infer_shape=lambda node, shapes: [(shapes[0][0], shapes[1][1])],
       grad=lambda i, g: [T.dot(g[0], i[1].T), T.dot(i[0].T, g[0])])  # fmt: skip
def numpy_dot(a, b):
    assert a.shape[1] == b.shape[0]
    return a @ b


@MODES
def test_a_decorated_function_is_an_op(mode):
    a, b = T.dmatrices("a", "b")
    f = tg.function([a, b], numpy_dot(a, b) + 1, mode=tg.Mode("none" if mode == "NONE" else "fast_run", "numpy"))
    p, q = np.random.RandomState(0).rand(2, 3), np.random.RandomState(1).rand(3, 4)
    assert np.allclose(f(p, q), p @ q + 1)
    assert "dynamic" not in f.source() and str(numpy_dot) == "FromFunctionOp{numpy_dot}"


def test_a_decorated_function_with_a_gradient():
    verify_grad(numpy_dot, [np.random.RandomState(0).rand(2, 3), np.random.RandomState(1).rand(3, 4)])


def test_a_decorated_function_without_one():
    @as_op(T.dvector, T.dvector)
    def cumulate(x):
        return np.cumsum(x)

    x = T.dvector("x")
    assert cumulate(x).eval({x: [1, 2, 3]}).tolist() == [1, 3, 6]
    with pytest.raises(NullTypeGradError, match="cumulate was declared without a gradient; pass grad= to as_op"):
        tg.grad(cumulate(x).sum(), x)


def test_sizes_that_only_the_result_tells():
    @as_op([T.dvector], [T.dvector, T.lscalar])
    def positive(x):
        return x[x > 0], (x > 0).sum()

    x = T.dvector("x")
    values, count = positive(x)
    f = tg.function([x], [values * 2, count, values.shape[0]])
    assert [v.tolist() for v in f([1, -1, 3])] == [[2, 6], 2, 2]
    assert [v.tolist() for v in f([-1])] == [[], 0, 0]


def test_a_decorated_function_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(numpy_dot)) is numpy_dot
    local = as_op([T.dvector], [T.dvector])(lambda x: x)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(local)


def test_bad_declarations():
    with pytest.raises(TypeMismatch, match="itypes and otypes must be types, got 3"):
        as_op([3], [T.dvector])
    with pytest.raises(TypeMismatch, match="a function needs at least one result"):
        as_op([T.dvector], [])
    with pytest.raises(TypeError, match="expected 2 inputs, got 1"):
        numpy_dot(T.dmatrix())
    with pytest.raises(TypeError, match="input 0 must be TensorType\\(float64, \\(\\?, \\?\\)\\), got v of type"):
        numpy_dot(T.dvector("v"), T.dmatrix())


class AXPB(Op):
    """a * x + b as Theano's tutorial writes it."""

    __props__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b
        super().__init__()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.a * inputs[0] + self.b

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [self.a * output_grads[0]]

    def R_op(self, inputs, eval_points):
        if eval_points[0] is None:
            return eval_points
        return self.grad(inputs, eval_points)


@MODES
def test_theanos_protocol(mode):
    x = T.dmatrix("x")
    y = AXPB(4, 2)(T.exp(x)) * 2
    f = tg.function([x], [y, tg.grad(y.sum(), x)], mode=mode)
    point = np.random.RandomState(0).rand(2, 3)
    found = f(point)
    assert np.allclose(found[0], 2 * (4 * np.exp(point) + 2)) and np.allclose(found[1], 8 * np.exp(point))
    assert AXPB(4, 2) == AXPB(4, 2) != AXPB(4, 3)
    verify_grad(AXPB(4, 2), [point])
    v = T.dmatrix("v")
    assert np.allclose(Rop(AXPB(4, 2)(x), x, v).eval({x: point, v: point}), 4 * point)


def test_theanos_protocol_in_a_loop():
    found, _ = tg.scan(lambda acc: AXPB(2, 1)(acc), outputs_info=T.zeros((2,)), n_steps=3)
    assert found[-1].eval().tolist() == [7, 7]


class Reverse(AXPB):
    """An op that says it works in place."""

    __props__ = ()
    destroy_map = {0: [0]}

    def __init__(self):
        pass

    def perform(self, node, inputs, output_storage):
        inputs[0][:] = inputs[0][::-1].copy()
        output_storage[0][0] = inputs[0]


@pytest.mark.parametrize("known_shape", [True, False])
def test_an_op_in_place_never_touches_what_is_not_its_own(known_shape):
    op = Reverse()
    if not known_shape:
        op.infer_shape = None
    x, w = T.dvector("x"), tg.shared(np.array([1.0, 2.0]))
    f = tg.function([x], [op(x), op(w), x + 0, w + 0])
    given = np.array([3.0, 4.0])
    assert [v.tolist() for v in f(given)] == [[4, 3], [2, 1], [3, 4], [1, 2]]
    assert given.tolist() == [3, 4] and w.get_value().tolist() == [1, 2]


def test_an_op_that_returns_its_argument():
    @as_op([T.dvector], [T.dvector])
    def same(x):
        return x

    x, w = T.dvector("x"), tg.shared(np.zeros(2))
    y = same(x)
    f = tg.function([x], [y, y], updates=[(w, y)])
    given = np.ones(2)
    a, b = f(given)
    a[:] = 7
    assert b.tolist() == [1, 1] and given.tolist() == [1, 1] and w.get_value().tolist() == [1, 1]


def test_a_perform_that_sets_nothing_is_named():
    class Empty(AXPB):
        def perform(self, node, inputs, output_storage):
            pass

    x = T.dvector("x")
    with pytest.raises(TypeError, match="perform left output 0 empty"):
        Empty(1, 2)(x).eval({x: [1.0]})


def test_a_perform_of_the_wrong_dtype_is_named():
    class Wrong(AXPB):
        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0].astype("float32")

    x = T.dvector("x")
    with pytest.raises(TypeError, match="expected an array of float64, got an array of float32"):
        Wrong(1, 2)(x).eval({x: [1.0]})


def test_values_of_any_kind():
    @as_op([generic, T.lscalar], [generic])
    def remember(store, k):
        return {**store, int(k): True}

    @as_op([generic], [T.lscalar])
    def size(store):
        return np.int64(len(store))

    seen, k = tg.shared({}, name="seen"), T.lscalar("k")
    new = remember(seen, k)
    f = tg.function([k], size(new), updates=[(seen, new)])
    assert [int(f(i)) for i in (5, 6, 5)] == [1, 2, 2]
    assert seen.get_value() == {5: True, 6: True}
    seen.set_value({})
    assert f(1) == 1
    given = generic("given")
    assert tg.function([given], size(given))([1, 2, 3]) == 3


def test_print_shows_what_passes(capsys):
    x = T.dvector("x")
    y = Print("x is", attrs=("__str__", "shape"))(x * 2)
    f = tg.function([x], [y + 1, tg.grad(y.sum(), x)])
    assert [v.tolist() for v in f([1.0, 2.0])] == [[3, 5], [2, 2]]
    assert capsys.readouterr().out == "x is __str__ = [2. 4.]\nx is shape = (2,)\n"
    f([0.0])
    assert "x is shape = (1,)" in capsys.readouterr().out


def test_print_with_a_function_of_its_own():
    seen = []
    x = T.dvector("x")
    f = tg.function([x], Print("m", global_fn=lambda op, value: seen.append((op.message, value.tolist())))(x))
    f([1.0])
    assert seen == [("m", [1])]


@MODES
def test_assert(mode):
    x = T.dvector("x")
    y = Assert("must be positive")(x, T.all(x > 0), x.shape[0] < 5)
    f = tg.function([x], [T.log(y), tg.grad(y.sum(), x)], mode=mode)
    assert [v.tolist() for v in f([1.0])] == [[0], [1]]
    with pytest.raises(AssertionError, match="must be positive"):
        f([-1.0])
    with pytest.raises(AssertionError, match="must be positive"):
        f(np.ones(5))


def test_assert_of_what_is_known_to_be_false():
    with pytest.raises(AssertionError, match="never"):
        assert_(T.dvector(), T.constant(0), msg="never")


def test_clone_replaces():
    x, y = T.dscalars("x", "y")
    z = x * 2 + y
    assert tg.clone(z, replace={x: y}).eval({y: 3.0}) == 9
    assert tg.clone([z, x], replace=[(x, y + 1)])[1].eval({y: 1.0}) == 2
    assert tg.clone({"z": z}, {x: 10.0})["z"].eval({y: 1.0}) == 21
    middle = z.owner.inputs[0]
    assert tg.clone(z, {middle: y}).eval({y: 4.0}) == 8
    assert tg.clone(z) is not z and tg.clone(z).eval({x: 1.0, y: 1.0}) == 3


def test_clone_with_inputs_of_its_own():
    x, s = T.dscalar("x"), tg.shared(2.0)
    z = x * s
    new = tg.clone(z, share_inputs=False)
    assert x not in tg.graph.graph_inputs([new])
    (x2,) = [v for v in tg.graph.graph_inputs([new]) if v.name == "x"]
    assert new.eval({x2: 3.0}) == 6


def test_clone_checks_types():
    x = T.dscalar("x")
    with pytest.raises(TypeMismatch, match="clone: x of type .* cannot be replaced by a value of type"):
        tg.clone(x * 2, {x: T.dvector()})
    with pytest.raises(TypeMismatch, match="clone: only variables can be replaced, got 'x'"):
        tg.clone(x * 2, {"x": x})
    v = T.dvector("v")
    assert tg.clone(x * 2, {x: v}, strict=False).eval({v: [1.0]}).tolist() == [2]
