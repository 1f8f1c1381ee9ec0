"""Random programs, built by Hypothesis: no passes, each pass alone and all of them, on every target, give the same.

All families of ops, dtypes, ranks, broadcasting, shared subgraphs, scans, branches, random draws, gradients and updates;
after two calls the shared variables agree too. ``TARGETS`` is the one place that says what a target is: the CUDA sources
run on the emulator.
"""

import contextlib
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad, ifelse, scan, shared
from tinygraph.passes.pipeline import PIPELINE
from tinygraph.random import RandomStreams
from tinygraph.tensor.signal.pool import pool_2d


@contextlib.contextmanager
def _emulator():
    """The name "cuda" stands for the emulated GPU."""
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from cuda_emulator.device import EmulatedDevice

    from tinygraph.targets.cuda.device import installed

    with installed("cuda", EmulatedDevice(captures=True)):
        yield


def _checked():
    """Kernels with every access checked."""
    return config.change(bounds_check=True)


#: what programs run on: the target's name, what to run under, and how many random programs
TARGETS = {"numpy": ("numpy", contextlib.nullcontext, 15)}
if importlib.util.find_spec("llvmlite"):
    TARGETS["llvm"] = ("llvm", contextlib.nullcontext, 15)
    TARGETS["llvm, checked"] = ("llvm", _checked, 5)
if shutil.which("g++"):
    TARGETS["cuda"] = ("cuda", _emulator, 2)  # each kernel is built by the host compiler: seconds for each program
each_target = pytest.mark.parametrize(
    "target", [pytest.param(t, marks=pytest.mark.slow) if TARGETS[t][2] < 5 else t for t in TARGETS]
)
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
    "scan until": lambda a, b: b / 2 + _until(a),
    "scan in scan": lambda a, b: T.tanh(_nested(a)) - b / 2,
    "branch": lambda a, b: ifelse(T.gt(a.sum(), 0), T.tanh(a), b / 2),
    "sorted": lambda a, b: T.sort(a, axis=1) / 2 + b[:, ::-1] / 4,
    "running sums": lambda a, b: T.tanh(T.cumsum(a, axis=0)) - b / 4,
    "four dimensions": lambda a, b: T.tanh(_pooled(a)) + b / 2,
    "stack of products": lambda a, b: T.tanh(T.batched_dot(_stack(a, b), _stack(b, a).dimshuffle(0, 2, 1)).sum(0)[:, :1]) + a / 2,
    "whole numbers": lambda a, b: T.cast(T.cast(a * 4, "int16") // 3 + T.cast(b > 0, "uint8"), "float64") / 4 + b / 2,
    "bits": lambda a, b: T.switch(T.and_(T.gt(a, 0), T.invert(T.gt(b, 0))), a, b / 2),
    "solved": lambda a, b: T.tanh(T.dot(T.nlinalg.matrix_inverse(T.eye(ROWS) * 3 + T.dot(a, a.T)), b)),
    "drawn": lambda a, b: a * RandomStreams(3).uniform(size=a.shape, dtype="float64") + b / 4,
}


def _running(a, b):
    out, _ = scan(lambda row, state: T.tanh(row - 0.5 * state), sequences=[a], outputs_info=[b[0]])
    return out


def _until(a):
    from tinygraph.scan import until

    out, _ = scan(lambda s: (T.tanh(s + 0.5), until(s.sum() > 5)), outputs_info=[a / 2], n_steps=4)
    return out[-1] / 2


def _nested(a):
    def outer(row):
        inner, _ = scan(lambda x, s: 0.5 * s + x, sequences=[row], outputs_info=[T.zeros_like(row[0])])
        return inner

    return scan(outer, sequences=[a])[0]


def _pooled(a):
    image = T.concatenate([a, a[:1]], axis=0).dimshuffle("x", "x", 0, 1)  # 4 x 4
    weights = T.constant(np.linspace(-1, 1, 18).reshape(2, 1, 3, 3))
    maps = T.nnet.conv2d(image, T.cast(weights, a.dtype), border_mode="half")
    return pool_2d(maps, (2, 2), ignore_border=True).sum(axis=(0, 1, 2, 3)) / 8 + a / 2


def _stack(a, b):
    return T.stack([a, b])


# rounding to whole numbers and choosing the largest jump where two values nearly agree: a last digit decides
JUMPS = {"counted", "rounded", "switch", "branch", "scan until", "whole numbers", "bits", "sorted"}
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


def modes(target, *more):
    """All passes, none, and what ``more`` names, on a target."""
    name = TARGETS[target][0]
    return [Mode(target=name), Mode("none", target=name), *[m(name) for m in more]]


EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@each_target
def test_the_steps_alone(target):
    name, around, many = TARGETS[target]
    if many < 5:
        pytest.skip("the emulator builds each kernel; it runs the random programs below, and tests/cuda_emulator all ops")
    with around():
        for step in STEPS:
            agree([(step, 0, 1)], "float64", 1, [Mode(target=name)])


@each_target
def test_all_passes_and_none_agree(target):
    _, around, many = TARGETS[target]

    @settings(EXAMPLES, max_examples=many)
    @given(steps=choices, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 2**31))
    def check(steps, dtype, seed):
        if dtype == "float32":
            steps = [s for s in steps if s[0] not in JUMPS]
        agree(steps, dtype, seed, modes(target))

    with around():
        check()


@settings(EXAMPLES, max_examples=6)
@given(steps=choices, seed=st.integers(0, 2**31))
def test_each_pass_alone_and_each_left_out_agree_too(steps, seed):
    stages = [stage.name for stage in PIPELINE]
    alone = [Mode(target="numpy").excluding(*(s for s in stages if s != stage)) for stage in stages]
    without = [Mode(target="numpy").excluding(stage) for stage in stages]
    agree(steps, "float64", seed, [Mode("fast_compile", target="numpy"), *alone, *without])
