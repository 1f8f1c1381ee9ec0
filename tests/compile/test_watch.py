"""Modes that look at every value: what they find, and that they compute the same."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import DebugMode, MonitorMode, NanGuardMode, config, detect_nan, function, grad, shared
from tinygraph.compile.watch import DebugModeError, NanError
from tinygraph.errors import InvalidValue
from tinygraph.graph import Op
from tinygraph.passes.rewrite import RULES, rule
from tinygraph.tensor.elemwise import Elemwise


def training_step(mode):
    w = shared(np.ones((3, 2)), name="w")
    x = T.matrix("x")
    cost = T.sqr(T.tanh(T.dot(x, w))).sum()
    return w, function([x], cost, updates=[(w, w - 0.1 * grad(cost, w))], mode=mode)


@pytest.mark.parametrize("mode", [MonitorMode(), NanGuardMode(), DebugMode(), "DebugMode", "NAN_GUARD"])
def test_watched_functions_compute_and_update_as_others_do(mode):
    x = np.random.default_rng(0).standard_normal((4, 3))
    w0, plain = training_step(None)
    w1, watched = training_step(mode)
    np.testing.assert_allclose(watched(x), plain(x))
    np.testing.assert_allclose(w1.get_value(), w0.get_value())


def test_monitors_see_every_node_in_order():
    seen = []
    mode = MonitorMode(
        pre_func=lambda i, node, fn: seen.append(("pre", i, [c[0].shape for c in fn.inputs])),
        post_func=lambda i, node, fn: seen.append(("post", i, fn.outputs[0][0].tolist())),
    )
    x = T.vector("x")
    function([x], T.exp(x) + 1, mode=mode)(np.zeros(2))
    assert seen[0] == ("pre", 0, [(2,)])
    assert seen[-1] == ("post", 1, [2.0, 2.0])


def test_detect_nan_prints_the_node_and_its_inputs(capsys):
    x = T.vector("x")
    function([x], T.log(x) * 2, mode=MonitorMode(post_func=detect_nan))(np.array([1.0, -1.0]))
    out = capsys.readouterr().out
    assert "NaN detected" in out and "Elemwise{log}" in out and "from -1 to 1" in out


@pytest.mark.parametrize(
    ("value", "found"),
    [([1.0, -1.0], "nan in output 0 of Elemwise{log}"), ([0.0], "infinity in output 0 of Elemwise{log}"),
     ([np.nan], "nan in the input x")],
)  # fmt: skip
def test_nan_guard_names_the_first_bad_value_and_the_users_line(value, found):
    x = T.vector("x")
    f = function([x], T.log(x), mode=NanGuardMode())
    with pytest.raises(NanError, match=found) as error:
        f(np.array(value))
    if "log" in found:
        assert "test_watch.py" in str(error.value)


def test_nan_guard_leaves_shared_variables_alone_when_it_raises():
    s = shared(np.array([1e11]), name="s")
    f = function([], updates=[(s, s * 2)], mode=NanGuardMode())
    with pytest.raises(NanError, match="a big number"):
        f()
    assert s.get_value() == [1e11]


def test_nan_guard_and_monitors_take_their_arguments_by_position_as_in_theano():
    x = T.vector("x")
    f = function([x], T.log(x), mode=NanGuardMode(True, False, False))
    assert f(np.array([0.0])) == -np.inf
    with pytest.raises(NanError, match="nan in output"):
        f(np.array([-1.0]))
    seen = []
    mode = MonitorMode(lambda i, node, fn: seen.append("before"), lambda i, node, fn: seen.append("after"))
    function([x], T.exp(x), mode=mode.excluding("mine"))(np.ones(1))
    assert seen == ["before", "after"]


def test_nan_guard_may_only_warn():
    x = T.vector("x")
    with pytest.warns(UserWarning, match="nan in output"):
        function([x], T.log(x), mode=NanGuardMode(action="warn"))(np.array([-1.0]))


def test_debug_mode_names_a_wrong_rule():
    x = T.vector("x")
    try:

        @rule(Elemwise, tags=("canonicalise", "fast_run"))
        def tanh_is_identity(node):
            """tanh(x)  ->  x, which is wrong"""
            return node.inputs[0] if node.op.name == "tanh" else None

        with pytest.raises(DebugModeError, match="tanh_is_identity"):
            function([x], T.tanh(x), mode=DebugMode())(np.array([1.0, 2.0]))
    finally:
        RULES.pop("tanh_is_identity", None)


class ChangesItsInput(Op):
    __props__ = ()

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        x[...] = 0
        return x + 1


class Forgetful(Op):
    """Gives another value each time."""

    __props__ = ()
    count = 0

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        Forgetful.count += 1
        return x + Forgetful.count


@pytest.mark.parametrize(("op", "what"), [(ChangesItsInput(), "changed its input 0"), (Forgetful(), "two different")])
def test_debug_mode_finds_ops_that_break_their_word(op, what):
    x = T.vector("x")
    with pytest.raises(DebugModeError, match=what):
        function([x], op(T.exp(x)), mode=DebugMode())(np.ones(3))


def test_test_values_show_shape_errors_while_the_graph_is_built():
    with config.change(compute_test_value="raise"):
        x, y = T.matrix("x"), T.matrix("y")
        x.tag.test_value = np.ones((2, 3))
        y.tag.test_value = np.ones((4, 5))
        with pytest.raises(ValueError, match="shapes|aligned|mismatch"):
            T.dot(x, y)
        z = T.exp(x)
        np.testing.assert_allclose(z.tag.test_value, np.e)


def test_a_missing_test_value_raises_or_warns_as_asked():
    x = T.vector("x")
    with config.change(compute_test_value="raise"), pytest.raises(InvalidValue, match="x.tag.test_value"):
        T.exp(x)
    with config.change(compute_test_value="warn"), pytest.warns(UserWarning, match="no test value"):
        T.exp(x)
    with config.change(compute_test_value="ignore"):
        T.exp(x)
