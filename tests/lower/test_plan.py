"""The memory plan: live buffers never overlap, and the peak stays near the largest live set."""

import random
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

import tinygraph.tensor as T
from tests.passes.networks import NETWORKS
from tinygraph import Mode, function, grad, scan, shared
from tinygraph.lower.plan import aligned, plan_memory
from tinygraph.program.instructions import Buffer


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
    f = function([x], cost, updates=[(w, w - 0.1 * g) for w, g in zip(ws, grad(cost, ws), strict=True)], mode=Mode(target="numpy"))
    f(rng.standard_normal((50, 20)))
    return f


def test_live_buffers_do_not_overlap():
    check(plan_of(mlp()))


def test_peak_is_within_a_tenth_of_the_largest_live_set():
    plan = plan_of(mlp())
    assert plan.peak <= 1.1 * plan.lower_bound


@pytest.mark.parametrize("target", ["numpy", None])
@pytest.mark.parametrize("network", NETWORKS)
def test_peak_of_whole_training_steps(network, target):
    inputs, outputs, values = NETWORKS[network]()
    f = function(inputs, outputs, mode=Mode(target=target))
    f(*values)
    plan = plan_of(f)
    check(plan)
    assert f.memory() == {"peak": plan.peak, "lower_bound": plan.lower_bound}
    assert plan.peak <= 1.1 * plan.lower_bound


@pytest.mark.parametrize("target", ["numpy", None])
def test_peak_of_a_recurrent_network_trained_through_a_scan(target):
    x, w, u = T.tensor3("x"), shared(np.full((4, 8), 0.1)), shared(np.full((8, 8), 0.1))
    h, _ = scan(lambda x_t, h: T.tanh(T.dot(x_t, w) + T.dot(h, u)), sequences=[x], outputs_info=[T.zeros((3, 8))])
    cost = T.sqr(h).mean()
    step = [(p, p - 0.1 * g) for p, g in zip((w, u), grad(cost, [w, u]), strict=True)]
    f = function([x], cost, updates=step, mode=Mode(target=target))
    f(np.ones((20, 3, 4)))
    check(plan_of(f))
    assert f.memory()["peak"] <= 1.1 * f.memory()["lower_bound"]


def random_lives(seed):
    """Instructions that touch random buffers, sizes over six orders of magnitude or a few different ones."""
    rng = random.Random(seed)
    steps = rng.randint(3, 120)
    touched = [[] for _ in range(steps)]
    for number in range(rng.randint(2, 150)):
        size = int(2 ** rng.uniform(3, 20)) if seed % 2 else rng.choice([64, 640, 6400, 64000])
        first = rng.randrange(steps)
        last = min(steps - 1, first + int(rng.expovariate(1 / rng.choice([2, 5, 20]))))
        buffer = Buffer(number, "uint8", size, "temp")
        touched[first].append(buffer)
        touched[last].append(buffer)
    instructions = [SimpleNamespace(reads=lambda bs=bs: bs, writes=lambda: []) for bs in touched]
    return SimpleNamespace(instructions=instructions, outputs=[], updates=[])


@pytest.mark.parametrize("seed", range(0, 300, 3))
def test_peak_of_random_lives(seed):
    plan = plan_memory(random_lives(seed))
    check(plan)
    assert plan.peak <= 1.1 * plan.lower_bound


def test_the_same_program_always_gets_the_same_plan():
    program = random_lives(279)
    assert plan_memory(program) == plan_memory(program)


def test_a_program_without_temporaries_needs_no_memory():
    x = T.vector("x")
    f = function([x], x * 2, mode=Mode(target="numpy"))
    f(np.ones(3))
    plan = plan_memory(next(iter(f._programs.values())).program)
    assert (plan.peak, plan.lower_bound) == (0, 0)
