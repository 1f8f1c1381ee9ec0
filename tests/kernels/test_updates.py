"""Multi-tensor learning rules against the same rule tensor by tensor in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import RUNS, DeviceBuffer, build, c_type, needs_emulator

from tinygraph.targets.cuda import kernels

pytestmark = needs_emulator

CHUNK = 64
SHAPES = [(3, 5), (1,), (200,), (0, 4), (64,), (65,)]


def sgd(p, g, r):
    return (p - r * g,)


def momentum(p, g, v, r, m):
    v = m * v - r * g
    return p + v, g, v


def nesterov(p, g, v, r, m):
    v = m * v - r * g
    return p + m * v - r * g, g, v


def adagrad(p, g, a, r, e):
    a = a + g * g
    return p - r * g / np.sqrt(a + e), g, a


def rmsprop(p, g, a, r, rho, e):
    a = rho * a + (1 - rho) * g * g
    return p - r * g / np.sqrt(a + e), g, a


def adadelta(p, g, a, d, r, rho, e):
    a = rho * a + (1 - rho) * g * g
    s = g * np.sqrt(d + e) / np.sqrt(a + e)
    return p - r * s, g, a, rho * d + (1 - rho) * s * s


def adam(p, g, m, v, r, b1, b2, e):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    return p - r * m / (np.sqrt(v) + e), g, m, v


def adamax(p, g, m, u, r, b1, b2, e):
    m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, abs(g))
    return p - r * m / (u + e), g, m, u


def amsgrad(p, g, m, v, w, r, b1, b2, e):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    w = np.maximum(w, v)
    return p - r * m / (np.sqrt(w) + e), g, m, v, w


RULES = {
    sgd: (2, [0.1]), momentum: (3, [0.1, 0.9]), nesterov: (3, [0.1, 0.9]), adagrad: (3, [0.1, 1e-6]),
    rmsprop: (3, [0.01, 0.9, 1e-6]), adadelta: (4, [1.0, 0.95, 1e-6]), adam: (4, [0.02, 0.9, 0.999, 1e-8]),
    adamax: (4, [0.02, 0.9, 0.999, 1e-8]), amsgrad: (5, [0.02, 0.9, 0.999, 1e-8]),
}  # fmt: skip


def table(buffers, arrays):
    """Return the kernel's arguments for buffers[slot][tensor]: pointers, sizes, chunks' tensors and starts."""
    chunks = [(t, start) for t, array in enumerate(arrays[0]) for start in range(0, array.size, CHUNK)]
    return (
        np.array([[buffer.ptr for buffer in slot] for slot in buffers], "uint64"),
        np.array([array.size for array in arrays[0]], "int64"),
        np.array([tensor for tensor, _ in chunks], "int32"),
        np.array([start for _, start in chunks], "int64"),
        len(arrays[0]),
    )


def step(source, kernel, arrays, *extra):
    """Launch once per seed over buffers[slot][tensor]; return the buffers' contents of the last run."""
    for seed, align in RUNS:
        buffers = [[DeviceBuffer.of(array, align) for array in slot] for slot in arrays]
        arguments = table(buffers, arrays)
        build(source, seed, align).function(kernel)((len(arguments[2]),), (32,), (*arguments, *extra))
        for slot in buffers:
            for buffer in slot:
                buffer.check()
    return [[b.get(a.shape, a.dtype) for b, a in zip(*pair)] for pair in zip(buffers, arrays)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, dtype):
    slots, rates = RULES[rule]
    rng = np.random.default_rng(0)
    arrays = [
        [rng.random(shape).astype(dtype) - (0.5 if slot < 2 else 0) for shape in SHAPES]
        for slot in range(slots)
    ]
    source = kernels.source("updates.cu", {"TG_T": c_type(dtype), "TG_CHUNK": CHUNK})
    found = step(source, f"update_{rule.__name__}", arrays, np.array(rates, dtype))
    for tensor in range(len(SHAPES)):
        before = [slot[tensor].astype("float64") for slot in arrays]
        expected = rule(*before, *np.array(rates, dtype).astype("float64"))
        for slot, value in enumerate(expected):
            tolerance = 2e-5 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(found[slot][tensor], value, rtol=tolerance, atol=tolerance)


def test_a_generated_rule_runs_through_the_template():
    source = kernels.defines({"TG_CHUNK": CHUNK}) + kernels.render(
        "elementwise_many.cuh", name="decay", type="float", slots=2, written=1,
        rule="s[0] = s[0] * keep - rate * s[1];",
        parameters="float keep, float rate", fields="float keep, rate;", arguments="keep, rate",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    arrays = [[rng.standard_normal(shape).astype("float32") for shape in SHAPES] for _ in range(2)]
    found = step(source, "decay", arrays, np.float32(0.5), np.float32(0.25))
    for tensor, array in enumerate(found[0]):
        np.testing.assert_allclose(array, arrays[0][tensor] / 2 - arrays[1][tensor] / 4, rtol=1e-6, atol=1e-6)
