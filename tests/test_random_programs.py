"""Random programs, built by Hypothesis: without passes and with all, every target gives the same results.

Dtypes, ranks, broadcasting, shared subgraphs, reductions, products, indexing, scans, gradients and updates; after two
calls the shared variables agree too.
"""

import importlib.util

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygraph.tensor as T
from tinygraph import Mode, function, grad, scan, shared

TARGETS = ["numpy", *(["llvm"] if importlib.util.find_spec("llvmlite") else [])]
ROWS, COLUMNS = 3, 4

# Each step takes a matrix of 3 rows and 4 columns and another one, and makes one of that shape again: of values of
# moderate size, so that what differs is wrong and not merely rounded.
STEPS = {
    "add": lambda a, b: (a + b) / 2,
    "subtract": lambda a, b: (a - b) / 2,
    "multiply": lambda a, b: T.tanh(a * b),
    "divide": lambda a, b: a / (2 + T.sqr(b)),
    "maximum": T.maximum,
    "switch": lambda a, b: T.switch(T.gt(a, b), a, 0.5 * b),
    "clip": lambda a, b: T.clip(a, -0.5, 0.5) + 0.1 * b,
    "sigmoid": lambda a, b: T.sigmoid(a) - 0.25,
    "log of naive softmax": lambda a, b: T.log(T.exp(a) / T.exp(a).sum(axis=1, keepdims=True)) / 4,
    "naive softplus": lambda a, b: T.log(1 + T.exp(a)) / 2,
    "softmax": lambda a, b: T.nnet.softmax(a + b),
    "row sums": lambda a, b: T.tanh(a.sum(axis=1, keepdims=True)) - b / 2,
    "column means": lambda a, b: b - a.mean(axis=0, keepdims=True),
    "column maxima": lambda a, b: (b + a.max(axis=0)) / 2,
    "total": lambda a, b: b * T.tanh(a.sum()),
    "product": lambda a, b: T.tanh(T.dot(T.dot(a, b.T), a)),
    "turned": lambda a, b: a.T[:, ::-1].T,
    "reshaped": lambda a, b: T.sin(a.reshape((COLUMNS, ROWS))).reshape(a.shape),
    "shifted rows": lambda a, b: T.concatenate([a[1:], b[:1]], axis=0),
    "column set": lambda a, b: T.set_subtensor(a[:, 1], b[:, 2]),
    "row added": lambda a, b: T.inc_subtensor(a[0], b[-1] / 2),
    "gathered": lambda a, b: a[np.array([2, 0, 2])],
    "diagonal-wise": lambda a, b: b * a[T.arange(ROWS), np.array([0, 3, 1])].dimshuffle(0, "x"),
    "counted": lambda a, b: a * T.cast(T.eq(T.argmax(b, axis=1), 1), "int8").dimshuffle(0, "x"),
    "rounded": lambda a, b: b + T.cast(T.floor(a * 2 + 0.25), "int32") % 3 / 8.0,
    "three dimensions": lambda a, b: T.tanh((a.dimshuffle(0, "x", 1) * b.dimshuffle("x", 0, 1)).sum(axis=1)),
    "scan": lambda a, b: T.tanh(_running(a, b)),
}


def _running(a, b):
    out, _ = scan(lambda row, state: T.tanh(row - 0.5 * state), sequences=[a], outputs_info=[b[0]])
    return out


# rounding to whole numbers and choosing the largest jump where two values nearly agree: a last digit decides
JUMPS = {"counted", "rounded", "switch"}
choices = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=9)


def built(steps, dtype):
    """Inputs, an expression, a cost, and the updates of a shared matrix, of the steps chosen."""
    x, v = T.tensor(dtype, shape=(None, None), name="x"), T.tensor(dtype, shape=(None,), name="v")
    w = shared(np.linspace(-1, 1, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(dtype), name="w")
    pool = [x, x + v, w]
    for name, i, j in steps:
        pool.append(T.cast(STEPS[name](pool[-1 - i % len(pool)], pool[-1 - j % len(pool)]), dtype))
    cost = T.sqr(pool[-1]).mean() + pool[len(pool) // 2].mean()
    gradient = grad(cost, w, disconnected_inputs="ignore")
    return [x, v], [pool[-1], cost], w, (w, T.cast(w - 0.1 * gradient, dtype))


def results(steps, dtype, mode, values):
    """Results of two calls and the shared variable after them."""
    inputs, outputs, w, update = built(steps, dtype)
    f = function(inputs, outputs, updates=[update], mode=mode, on_unused_input="ignore")
    return [np.array(r) for _ in range(2) for r in f(*values)] + [w.get_value()]


def agree(steps, dtype, seed, modes):
    rng = np.random.default_rng(seed)
    values = [rng.uniform(-1, 1, s).astype(dtype) for s in ((ROWS, COLUMNS), (COLUMNS,))]
    expected = results(steps, dtype, Mode("none", target="numpy"), values)
    tolerance = 2e-4 if dtype == "float32" else 1e-9
    for mode in modes:
        for a, b in zip(expected, results(steps, dtype, mode, values), strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


def test_the_steps_alone():
    for name in STEPS:
        agree([(name, 0, 1)], "float64", 1, [Mode(target=t) for t in TARGETS])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(steps=choices, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 2**31))
def test_all_passes_and_none_agree(target, steps, dtype, seed):
    if dtype == "float32":
        steps = [s for s in steps if s[0] not in JUMPS]
    agree(steps, dtype, seed, [Mode(target=target), Mode("none", target=target)])


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(steps=choices, seed=st.integers(0, 2**31))
def test_fewer_passes_agree_too(steps, seed):
    without = [Mode(target="numpy").excluding(tag) for tag in ("stabilise", "specialise", "loops")]
    agree(steps, "float64", seed, [Mode("fast_compile", target="numpy"), *without])
