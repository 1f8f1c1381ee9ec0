"""Learning rules: each against the formula of its paper, stepped by hand in NumPy on two parameters of one loss."""

import doctest

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.errors import InvalidUpdate, InvalidValue

STEPS = 5
W0 = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -0.25]])
B0 = np.array([0.3, -0.7, 0.0])


def loss_of(w, b):
    """Not quadratic, so that gradients change from step to step; zero gradient at b[2] = 0."""
    return T.sum(w**4) / 4 + T.sum(T.sqr(b)) + T.sum(T.dot(w, b))


def gradients_by_hand(w, b):
    return w**3 + b, 2 * b + w.sum(axis=0)


def run(rule, dtype="float64", steps=STEPS, **arguments):
    """The parameters after ``steps`` of a rule, through a compiled function."""
    w = tinygraph.shared(W0.astype(dtype), name="w")
    b = tinygraph.shared(B0.astype(dtype), name="b")
    step = tinygraph.function([], updates=rule(loss_of(w, b), [w, b], **arguments))
    for _ in range(steps):
        step()
    return w.get_value(), b.get_value()


def by_hand(step, steps=STEPS):
    """The same in NumPy; ``step(p, g, state, t)`` returns the new parameter, ``state`` is a dict of its own."""
    params = [W0.copy(), B0.copy()]
    states = [{}, {}]
    for t in range(1, steps + 1):
        grads = gradients_by_hand(*params)
        params = [step(p, g, s, t) for p, g, s in zip(params, grads, states, strict=True)]
    return params


def remember(state, name, value):
    state[name] = value
    return value


def sgd(p, g, s, t):
    return p - 0.01 * g


def momentum(p, g, s, t):
    return p + remember(s, "v", 0.8 * s.get("v", 0) - 0.01 * g)


def nesterov(p, g, s, t):
    v = remember(s, "v", 0.8 * s.get("v", 0) - 0.01 * g)
    return p + 0.8 * v - 0.01 * g


def adagrad(p, g, s, t):
    return p - 0.1 * g / np.sqrt(remember(s, "a", s.get("a", 0) + g**2) + 1e-6)


def rmsprop(p, g, s, t):
    return p - 0.01 * g / np.sqrt(remember(s, "a", 0.7 * s.get("a", 0) + 0.3 * g**2) + 1e-6)


def adadelta(p, g, s, t):
    a = remember(s, "a", 0.95 * s.get("a", 0) + 0.05 * g**2)
    step = g * np.sqrt(s.get("d", 0) + 1e-6) / np.sqrt(a + 1e-6)
    remember(s, "d", 0.95 * s.get("d", 0) + 0.05 * step**2)
    return p - 2.0 * step


def adam(p, g, s, t):
    # Algorithm 1 of the paper, with bias-corrected moments; its epsilon is epsilon-hat / sqrt(1 - b2^t).
    m = remember(s, "m", 0.9 * s.get("m", 0) + 0.1 * g) / (1 - 0.9**t)
    v = remember(s, "v", 0.99 * s.get("v", 0) + 0.01 * g**2) / (1 - 0.99**t)
    return p - 0.02 * m / (np.sqrt(v) + 1e-8 / np.sqrt(1 - 0.99**t))


def amsgrad(p, g, s, t):
    m = remember(s, "m", 0.9 * s.get("m", 0) + 0.1 * g) / (1 - 0.9**t)
    v = remember(s, "v", 0.99 * s.get("v", 0) + 0.01 * g**2)
    top = remember(s, "top", np.maximum(s.get("top", 0), v)) / (1 - 0.99**t)
    return p - 0.02 * m / (np.sqrt(top) + 1e-8 / np.sqrt(1 - 0.99**t))


def adamax(p, g, s, t):
    m = remember(s, "m", 0.9 * s.get("m", 0) + 0.1 * g)
    u = remember(s, "u", np.maximum(0.99 * s.get("u", 0), np.abs(g)))
    return p - 0.02 / (1 - 0.9**t) * m / (u + 1e-8)


RULES = [
    (updates.sgd, sgd, {"learning_rate": 0.01}),
    (updates.momentum, momentum, {"learning_rate": 0.01, "momentum": 0.8}),
    (updates.nesterov, nesterov, {"learning_rate": 0.01, "momentum": 0.8}),
    (updates.adagrad, adagrad, {"learning_rate": 0.1}),
    (updates.rmsprop, rmsprop, {"learning_rate": 0.01, "rho": 0.7}),
    (updates.adadelta, adadelta, {"learning_rate": 2.0}),
    (updates.adam, adam, {"learning_rate": 0.02, "beta2": 0.99}),
    (updates.amsgrad, amsgrad, {"learning_rate": 0.02, "beta2": 0.99}),
    (updates.adamax, adamax, {"learning_rate": 0.02, "beta2": 0.99}),
]
every_rule = pytest.mark.parametrize(
    ("rule", "hand", "arguments"), RULES, ids=[rule.__name__ for rule, _, _ in RULES]
)


@every_rule
def test_float64(rule, hand, arguments):
    for got, want in zip(run(rule, **arguments), by_hand(hand), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@every_rule
def test_float32_stays_float32(rule, hand, arguments):
    # floatX is float64 here, as is Adam's clock: neither may leak into the parameters.
    for got, want in zip(run(rule, "float32", **arguments), by_hand(hand), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


@every_rule
def test_learning_rate_as_a_shared_variable(rule, hand, arguments):
    rate = tinygraph.shared(np.float64(arguments["learning_rate"]), name="rate")
    for got, want in zip(run(rule, **(arguments | {"learning_rate": rate})), by_hand(hand), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@every_rule
def test_gradients_instead_of_a_loss(rule, hand, arguments):
    w = tinygraph.shared(W0, name="w")
    gw = T.matrix("gw")
    step = tinygraph.function([gw], updates=rule([gw], [w], **arguments))
    step(np.ones_like(W0))
    want = hand(W0, np.ones_like(W0), {}, 1)
    np.testing.assert_allclose(w.get_value(), want, rtol=1e-12)


@every_rule
def test_parameters_come_first_and_all_are_shared(rule, hand, arguments):
    w, b = tinygraph.shared(W0, name="w"), tinygraph.shared(B0, name="b")
    steps = rule(loss_of(w, b), [w, b], **arguments)
    assert list(steps)[0] is w and list(steps)[1] is b
    for variable, new in steps.items():
        assert variable.dtype == new.dtype and variable.ndim == new.ndim


def test_learning_rate_as_an_input():
    w = tinygraph.shared(W0, name="w")
    rate = T.scalar("rate")
    step = tinygraph.function([rate], updates=updates.sgd(T.sum(w), [w], rate))
    step(0.5)
    np.testing.assert_array_equal(w.get_value(), W0 - 0.5)


def test_momentum_on_top_of_any_rule():
    w = tinygraph.shared(W0, name="w")
    plain = updates.adagrad([T.ones_like(w)], [w], 0.1)
    step = tinygraph.function([], updates=updates.apply_momentum(plain, [w], 0.5))
    step()
    step()
    first = -0.1 / np.sqrt(1 + 1e-6)
    second = 0.5 * first - 0.1 / np.sqrt(2 + 1e-6)
    np.testing.assert_allclose(w.get_value(), W0 + first + second, rtol=1e-12)


def test_weight_decay_leaves_rule_state_alone():
    w = tinygraph.shared(W0, name="w")
    step = tinygraph.function(
        [], updates=updates.weight_decay(updates.momentum(T.sum(w), [w], 0.1, 0.5), 0.01)
    )
    step()
    step()
    first = W0 - 0.1 - 0.01 * W0
    np.testing.assert_allclose(w.get_value(), first - 0.15 - 0.01 * first, rtol=1e-12)


def test_weight_decay_of_what_is_not_updated():
    w, b = tinygraph.shared(W0, name="w"), tinygraph.shared(B0, name="b")
    with pytest.raises(InvalidUpdate, match="weight_decay: b is not among the updated variables"):
        updates.weight_decay(updates.sgd(T.sum(w), [w], 0.1), 0.01, [b])


@pytest.mark.parametrize(
    ("shape", "axes", "reduced"),
    [((4, 3), None, (0,)), ((5, 2, 3, 3), None, (1, 2, 3)), ((4, 3), (1,), (1,)), ((6,), (0,), (0,))],
)
def test_norm_constraint(shape, axes, reduced):
    value = np.random.default_rng(0).standard_normal(shape)
    got = updates.norm_constraint(tinygraph.shared(value), 1.5, axes).eval()
    norms = np.sqrt((value**2).sum(axis=reduced, keepdims=True))
    np.testing.assert_allclose(got, value * np.minimum(norms, 1.5) / norms, rtol=1e-6)
    assert (norms > 1.5).any() or len(shape) == 1


def test_norm_constraint_of_nothing():
    np.testing.assert_array_equal(updates.norm_constraint(T.zeros((3, 2)), 1.0).eval(), np.zeros((3, 2)))


def test_norm_constraint_of_a_vector_needs_axes():
    with pytest.raises(InvalidValue, match="norm_constraint: norm_axes= is needed for 1 dimensions"):
        updates.norm_constraint(tinygraph.shared(B0), 1.0)


def test_clip_by_value():
    got = updates.clip_by_value([tinygraph.shared(W0), tinygraph.shared(B0.astype("float32"))], 0.5)
    np.testing.assert_array_equal(got[0].eval(), np.clip(W0, -0.5, 0.5))
    assert got[1].dtype == "float32"
    np.testing.assert_array_equal(got[1].eval(), np.clip(B0.astype("float32"), -0.5, 0.5))


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_by_total_norm(limit):
    clipped, norm = updates.clip_by_total_norm(
        [tinygraph.shared(W0), tinygraph.shared(B0)], limit, return_norm=True
    )
    total = np.sqrt((W0**2).sum() + (B0**2).sum())
    np.testing.assert_allclose(norm.eval(), total)
    for got, value in zip(clipped, (W0, B0), strict=True):
        np.testing.assert_allclose(got.eval(), value * min(1, limit / total), rtol=1e-6)


def test_clip_by_total_norm_of_zero_gradients():
    (got,) = updates.clip_by_total_norm([T.zeros((3,))], 1.0)
    np.testing.assert_array_equal(got.eval(), np.zeros(3))


def test_what_is_no_parameter():
    w, x = tinygraph.shared(W0, name="w"), T.matrix("x")
    with pytest.raises(InvalidUpdate, match=r"params\[1\]: expected a shared variable, got x"):
        updates.sgd(T.sum(w * x), [w, x], 0.1)
    with pytest.raises(InvalidUpdate, match=r"params\[1\]: w stands among the parameters twice"):
        updates.sgd(T.sum(w), [w, w], 0.1)
    with pytest.raises(InvalidValue, match=r"expected one gradient per parameter \(1\), got 2"):
        updates.sgd([w, w], [w], 0.1)


def test_examples_in_the_docstrings():
    assert doctest.testmod(updates).failed == 0
