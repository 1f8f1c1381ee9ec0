"""What Theano's own tests hold, and programs rely on: unused inputs, default updates, loops, examples, modes."""

import numpy as np
import pytest

from tinygraph.compile.test_values import get_test_value
from tinygraph.errors import InvalidValue


@pytest.fixture
def theano(installed):
    import theano

    return theano


@pytest.fixture
def T(installed):  # noqa: N802
    import theano.tensor as T  # noqa: N812

    return T


@pytest.mark.parametrize("cost", [lambda x, y: x * y, lambda x, y: x + y, lambda x, y: y * 2 + x * 3])
def test_what_a_gradient_was_derived_from_may_be_an_input(theano, T, cost):
    x, y = T.dscalars("xy")
    derivative = float(theano.function([x, y], theano.grad(cost(x, y), x))(2.0, 5.0))
    assert np.isclose(derivative, cost(3.0, 5.0) - cost(2.0, 5.0))


def test_what_has_nothing_to_do_with_a_gradient_is_unused(theano, T):
    x, y, z = T.dscalars("xyz")
    with pytest.raises(theano.compile.UnusedInputError, match=r"input 2 \(z\)"):
        theano.function([x, y, z], theano.grad(x * y, x))


def test_default_updates_of_what_an_input_hides_do_not_happen(theano):
    a = theano.shared(0)
    a.default_update = a + 1
    b = 2 * a
    assert theano.function([b], b)(21) == 21 and a.get_value() == 0
    theano.function([], b)()
    assert a.get_value() == 1
    del a.default_update
    theano.function([], b)()
    assert a.get_value() == 1


def test_a_loop_with_an_empty_outputs_info(theano, T):
    v = T.dvector("v")
    doubled, _ = theano.scan(lambda a: 2 * a, sequences=v, outputs_info=[])
    assert doubled.eval({v: [1.0, 2.0]}).tolist() == [2, 4]


def test_a_step_may_return_no_outputs_beside_its_updates(theano):
    count = theano.shared(0)
    outputs, updates = theano.scan(lambda: ([], {count: count + 2}), n_steps=3)
    assert outputs is None
    theano.function([], [], updates=updates)()
    assert count.get_value() == 6


def test_examples_are_followed_into_loops(theano, T):
    with theano.change_flags(compute_test_value="raise"):
        xs = T.dmatrix("xs")
        xs.tag.test_value = np.arange(6.0).reshape(3, 2)
        w = theano.shared(np.eye(2), name="w")
        seen = []

        def step(x, before, h, w):
            seen.append((get_test_value(x), get_test_value(before), get_test_value(h)))
            return before + h, T.tanh(x + T.dot(h, w))

        start = theano.shared(np.array([[5.0, 5.0], [7.0, 7.0]]))
        (_, hs), _ = theano.scan(
            step, xs, [dict(initial=start, taps=[-2]), T.ones((2,))], non_sequences=w
        )
        theano.grad(hs[-1].sum(), w)
        x, before, h = seen[0]
        assert x.tolist() == [0, 1] and before.tolist() == [5, 5] and h.tolist() == [1, 1]
        with pytest.raises(ValueError, match="not aligned|equal inner sizes"):
            theano.scan(lambda x, w: T.dot(x, w), xs, non_sequences=T.zeros((3, 3)))
        with pytest.raises(InvalidValue, match="x.* has no test value"):
            theano.scan(lambda row: T.exp(row), T.dmatrix("x"))


def test_a_known_gradient_that_is_disconnected(theano, T):
    x = T.dscalar("x")
    cost = x * 2
    nothing = theano.gradient.DisconnectedType()()
    with pytest.raises(theano.gradient.DisconnectedInputError):
        theano.grad(cost, x, known_grads={cost: nothing})


def test_errors_are_of_theanos_kinds(theano, T):
    x = theano.shared(1.0)
    with pytest.raises(ValueError, match="two updates"):
        theano.function([], [], updates=[(x, x + 1), (x, x - 1)])
    assert issubclass(theano.gradient.NullTypeGradError, TypeError)


@pytest.mark.parametrize(
    "arguments",
    [("cvm", "fast_run"), ("py",), (None, "fast_compile"), ("c|py_nogc", None), ("fast_run",), ("vm", "o1")],
)
def test_modes_by_theanos_arguments(theano, T, arguments):
    x = T.dvector("x")
    mode = theano.Mode(*arguments).excluding("fusion")
    assert isinstance(mode, theano.compile.Mode) and theano.function([x], 2 * x, mode=mode)([1.0]).tolist() == [2]


def test_settings_of_a_mode_can_be_assigned(theano, T):
    mode = theano.compile.mode.get_default_mode()
    mode.check_isfinite = False
    x = T.dvector("x")
    assert theano.function([x], 2 * x, mode=mode)([np.inf]).tolist() == [np.inf]


def test_a_mode_for_a_target_that_is_not_there_is_refused():
    from tinygraph import Mode

    with pytest.raises(InvalidValue, match="target must be one of numpy, llvm, cuda, got 'gpu'"):
        Mode(target="gpu")


def test_ops_made_by_their_class(T):
    x = T.dvector("x")
    values, first, counts = T.extra_ops.Unique(return_index=True, return_counts=True)(x)
    at = {x: [3.0, 1.0, 3.0]}
    assert values.eval(at).tolist() == [1, 3]
    assert (first.eval(at).tolist(), counts.eval(at).tolist()) == ([1, 0], [1, 2])
    assert T.extra_ops.CumOp(axis=0, mode="mul")(x).eval(at).tolist() == [3, 3, 9]
    assert T.extra_ops.RepeatOp(axis=0)(x, 2).eval(at).tolist() == [3, 3, 1, 1, 3, 3]
    assert T.extra_ops.DiffOp()(x).eval(at).tolist() == [-2, 2]
    assert T.extra_ops.SearchsortedOp("right")(x, 2.0).eval({x: [1.0, 2.0, 3.0]}) == 2


def test_closeness_in_tests_broadcasts(installed):
    from theano.tests import unittest_tools as utt

    utt.assert_allclose(np.ones(2), np.ones((1, 2)) + 1e-7)
    with pytest.raises(AssertionError):
        utt.assert_allclose(np.ones(2), np.ones((1, 2)) + 1e-3)


def test_a_subclass_of_view_op_changes_what_flows_back(theano, T):
    class Clipped(theano.compile.ViewOp):
        def __init__(self, low, high):
            self.low, self.high = low, high

        def grad(self, inputs, gradients):
            return [T.clip(g, self.low, self.high) for g in gradients]

    clipped = Clipped(-1.0, 1.0)
    T.opt.register_canonicalize(theano.gof.OpRemove(clipped), name="clipped_is_removed")
    try:
        x = T.dvector("x")
        y = clipped(x)
        f = theano.function([x], [y, theano.grad((y**2).sum(), x)])
        value, gradient = f([0.25, -3.0])
        assert value.tolist() == [0.25, -3] and gradient.tolist() == [0.5, -1]
        assert Clipped(-1.0, 1.0) == clipped != Clipped(-2.0, 2.0)
        assert theano.compile.view_op(x).eval({x: [1.0]}).tolist() == [1]
    finally:
        T.opt.unregister("clipped_is_removed")


def test_graphs_are_walked_by_parents(T):
    x, y = T.dvectors("xy")
    total = x + y
    assert total.get_parents() == [total.owner] and total.owner.get_parents() == [x, y]
    assert x.get_parents() == []


def test_a_variable_that_is_no_condition_counts_as_there(installed, T):
    import tinygraph.compat.theano as compat

    x = T.dvector("x")
    assert x and T.exp(x) and T.constant(0)
    with pytest.raises(TypeError, match="the truth of the symbolic variable"):
        bool(x > 0)
    compat.uninstall()
    with pytest.raises(TypeError, match="the truth of the symbolic variable"):
        bool(x)
