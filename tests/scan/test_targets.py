"""One loop of each kind on every target of this machine, against the op's meaning in plain Python."""

import importlib.util

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import Mode, function, grad, scan, until
from tinygraph.passes.reference import evaluate
from tinygraph.random.streams import RandomStreams

TARGETS = ["numpy"] + (["llvm"] if importlib.util.find_spec("llvmlite") else [])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 0.5


def recurrent(x, w, h0):
    h = scan(lambda r, h, w: T.tanh(T.dot(h, w) + r), x, [h0], [w])[0]
    return [h, h[-1], *grad(T.sqr(h).sum(), [x, w, h0])]


def taps(x, init):
    y = scan(lambda a, b, far, near: a * far + T.sin(near) * b, dict(input=x, taps=[-1, 1]),
             [dict(initial=init, taps=[-3, -1])])[0]  # fmt: skip
    return [y, y[-2], *grad(y.sum(), [x, init])]


def last_steps(x):
    s, p = scan(lambda e, s, p: (s + e, p * e), x, [0.0, 1.0])[0]
    return [s[-1], p[-1] * p[-2]]


def stopping(x):
    y = scan(lambda e, s: (s + e * e, until(s + e * e > 1.5)), x, [0.0])[0]
    return [y, y[-1], y.sum(), grad(y[-1], x)]


def nested(a):
    def row_step(row, acc):
        return acc + row * scan(lambda e, s: s * e + acc.sum(), row, [1.0])[0][-1]

    y = scan(row_step, a, [T.zeros_like(a[0])])[0]
    return [y, grad(y.sum(), a)]


def indexed(table, at):
    i = T.cast(T.abs(at) * 5, "int64") % 3
    y = scan(lambda k, s: T.tanh(s + table[k]), i, [T.zeros_like(table[0])])[0]
    return [y, grad(y.sum(), table)]


CASES = [
    (recurrent, [(5, 2, 3), (3, 3), (2, 3)]), (taps, [(8,), (3,)]), (last_steps, [(6,)]), (stopping, [(9,)]),
    (nested, [(3, 4)]), (indexed, [(3, 2), (6,)]),
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fn, shapes", CASES, ids=[fn.__name__ for fn, _ in CASES])
def test_a_target_agrees_with_the_meaning(fn, shapes, target):
    variables = [T.TensorType("float64", (None,) * len(s))() for s in shapes]
    values = [numbers(*s, seed=k) for k, s in enumerate(shapes)]
    outputs = fn(*variables)
    want = evaluate(outputs, dict(zip(variables, values, strict=True)))
    got = function(variables, outputs, mode=Mode(target=target))(*values)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_lengths_may_change_from_call_to_call(target):
    x = T.dmatrix("x")
    y, _ = scan(lambda r, s: s + r, x, [T.zeros((3,))])
    f = function([x], [y, grad(y.sum(), x)], mode=Mode(target=target))
    for n in (4, 0, 7, 1):
        total, g = f(numbers(n, 3))
        np.testing.assert_allclose(total, np.cumsum(numbers(n, 3), axis=0))
        np.testing.assert_allclose(g, np.broadcast_to(np.arange(n, 0, -1.0)[:, None], (n, 3)))


@pytest.mark.skipif(len(TARGETS) < 2, reason="there is one target only")
def test_random_draws_are_the_same_on_all_targets():
    draws = []
    for target in TARGETS:
        streams = RandomStreams(seed=11)
        y, updates = scan(lambda s: s + streams.uniform((3,)), outputs_info=[T.zeros((3,))], n_steps=4)  # noqa: B023
        f = function([], y, updates=updates, mode=Mode(target=target))
        draws.append([f(), f()])
    np.testing.assert_allclose(draws[0], draws[1])
    assert tinygraph.config.floatX == "float64"
