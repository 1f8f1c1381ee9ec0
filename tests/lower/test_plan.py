"""The memory plan: live buffers never overlap, and the peak stays near the largest live set."""

from itertools import combinations

import numpy as np

import tinygraph.tensor as T
from tinygraph import function, grad, shared
from tinygraph.lower.plan import aligned, plan_memory


def plan_of(f):
    executable = next(iter(f._programs.values())).executable
    return executable.plan


def check(plan):
    for a, b in combinations(plan.offsets, 2):
        (a0, a1), (b0, b1) = plan.spans[a], plan.spans[b]
        if a0 <= b1 and b0 <= a1:
            x, y = plan.offsets[a], plan.offsets[b]
            assert x + a.nbytes <= y or y + b.nbytes <= x, (a, b)
    assert all(o % 64 == 0 for o in plan.offsets.values())
    assert plan.lower_bound <= plan.peak <= sum(aligned(max(b.nbytes, 1)) for b in plan.offsets)


def mlp():
    rng = np.random.default_rng(0)
    x = T.matrix("x")
    ws = [shared(rng.standard_normal((20, 20))) for _ in range(6)]
    h = x
    for w in ws:
        h = T.tanh(T.dot(h, w))
    cost = T.sqr(h).mean()
    f = function([x], cost, updates=[(w, w - 0.1 * g) for w, g in zip(ws, grad(cost, ws), strict=True)], mode="NUMPY")
    f(rng.standard_normal((50, 20)))
    return f


def test_live_buffers_do_not_overlap():
    from tinygraph.compile.mode import Mode, register_mode

    register_mode("NUMPY", Mode(target="numpy"))
    check(plan_of(mlp()))


def test_peak_is_within_a_tenth_of_the_largest_live_set():
    from tinygraph.compile.mode import Mode, register_mode

    register_mode("NUMPY", Mode(target="numpy"))
    plan = plan_of(mlp())
    assert plan.peak <= 1.1 * plan.lower_bound


def test_a_program_without_temporaries_needs_no_memory():
    from tinygraph.compile.mode import Mode

    x = T.vector("x")
    f = function([x], x * 2, mode=Mode(target="numpy"))
    f(np.ones(3))
    plan = plan_memory(next(iter(f._programs.values())).program)
    assert (plan.peak, plan.lower_bound) == (0, 0)
