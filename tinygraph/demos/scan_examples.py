"""Loops with ``scan``, from repeating a step to a recurrent network, each beside the same loop in Python.

The examples that introductions to Theano learn ``scan`` from: sequences, results that are fed back, constants of the
loop, ``taps`` and ``initial``, stopping early, random numbers, and the recurrent step of a language model.
``docs/scan.md`` explains them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.arguments import positive_int, seed
from tinygraph.tensor.shared_randomstreams import RandomStreams


def power(rng, n):
    """a vector to the n-th power: one result fed back, one non-sequence, n_steps"""
    base, k = T.dvector("base"), T.lscalar("k")
    results, updates = tinygraph.scan(
        lambda so_far, base: so_far * base, outputs_info=T.ones_like(base), non_sequences=base, n_steps=k
    )
    raise_to = tinygraph.function([base, k], results[-1], updates=updates)
    values, wanted = rng.uniform(0.5, 1.5, 3), np.ones(3)
    for _ in range(n):
        wanted = wanted * values
    return raise_to(values, n), wanted


def add(rng, n):
    """two vectors added element by element: two sequences, nothing fed back"""
    a, b = T.dvector("a"), T.dvector("b")
    sums, _ = tinygraph.scan(lambda x, y: x + y, sequences=[a, b])
    left, right = rng.normal(size=(2, n))
    return tinygraph.function([a, b], sums)(left, right), [x + y for x, y in zip(left, right, strict=True)]


def polynomial(rng, n):
    """a polynomial from its coefficients: two sequences and a non-sequence, map and sum"""
    coefficients, x = T.dvector("coefficients"), T.dscalar("x")
    terms, _ = tinygraph.scan(
        lambda c, k, x: c * x**k, sequences=[coefficients, T.arange(coefficients.shape[0])], non_sequences=x
    )
    values = rng.normal(size=n)
    found = tinygraph.function([coefficients, x], terms.sum())(values, 0.5)
    return found, sum(c * 0.5**k for k, c in enumerate(values))


def fibonacci(rng, n):
    """Fibonacci's numbers: outputs_info as a dictionary of initial and taps"""
    start = T.lvector("start")
    numbers, _ = tinygraph.scan(
        lambda before, last: before + last, outputs_info=[{"initial": start, "taps": [-2, -1]}], n_steps=n
    )
    wanted = [0, 1]
    for _ in range(n):
        wanted.append(wanted[-2] + wanted[-1])
    return tinygraph.function([start], numbers)(np.array([0, 1])), wanted[2:]


def moving_difference(rng, n):
    """a difference to two elements before: taps of a sequence"""
    x = T.dvector("x")
    changes, _ = tinygraph.scan(lambda now, before: now - before, sequences={"input": x, "taps": [0, -2]})
    values = rng.normal(size=n + 2)
    return tinygraph.function([x], changes)(values), [values[i] - values[i - 2] for i in range(2, n + 2)]


def doubling(rng, n):
    """doubling up to a limit: a condition that ends the loop"""
    limit = T.dscalar("limit")
    values, _ = tinygraph.scan(
        lambda last, limit: (last * 2, tinygraph.until(last * 2 > limit)),
        outputs_info=T.constant(1.0, dtype="float64"),
        non_sequences=limit,
        n_steps=1000,
    )
    wanted = [2.0]
    while wanted[-1] <= 10.0 * n:
        wanted.append(wanted[-1] * 2)
    return tinygraph.function([limit], values)(10.0 * n), wanted


def random_walk(rng, n):
    """a random walk, and the same once its stream is seeded anew: random numbers inside, their updates outside"""
    stream = RandomStreams(int(rng.randint(1000)))
    places, updates = tinygraph.scan(
        lambda place: place + stream.normal((), dtype="float64"),
        outputs_info=T.constant(0.0, dtype="float64"),
        n_steps=n,
    )
    walk = tinygraph.function([], places, updates=updates)
    first = walk()
    stream.seed(stream.default_instance_seed)
    return walk(), first


def recurrent(rng, n):
    """the recurrent net of a language model: a state fed back, an output that is not"""
    w_xh, w_hh, w_o = (rng.normal(0, 0.5, shape) for shape in ((5, 8), (8, 8), (8, 5)))
    x, state = T.dmatrix("x"), T.dvector("state")

    def step(from_input, previous, w_hh, w_o):
        hidden = T.tanh(T.dot(previous, w_hh) + from_input)
        return hidden, T.nnet.softmax(T.dot(hidden, w_o))

    (hidden, output), _ = tinygraph.scan(
        step,
        sequences=T.dot(x, w_xh),
        outputs_info=[state, None],
        non_sequences=[T.constant(w_hh), T.constant(w_o)],
    )
    values, h, wanted = rng.normal(size=(n, 5)), np.zeros(8), []
    for row in values:
        h = np.tanh(h @ w_hh + row @ w_xh)
        p = np.exp(h @ w_o)
        wanted.append(p / p.sum())
    found = tinygraph.function([x, state], output.reshape((x.shape[0], 5)))(values, np.zeros(8))
    return found, wanted


EXAMPLES: tuple[Callable, ...] = (
    power, add, polynomial, fibonacci, moving_difference, doubling, random_walk, recurrent,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo scan-examples``."""
    parser.add_argument(
        "--steps", type=positive_int, default=8, metavar="N", help="of each loop (default: %(default)s)"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="(default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Each example's result, and whether the loop in Python gives it too."""
    rng, wrong = np.random.RandomState(args.seed), 0
    for example in EXAMPLES:
        found, wanted = (np.asarray(value, dtype="float64") for value in example(rng, args.steps))
        same = found.shape == wanted.shape and np.allclose(found, wanted)
        wrong += not same
        print(
            f"{example.__doc__}\n    {np.array2string(found, precision=3, threshold=12, edgeitems=2, prefix='    ')}"
        )
        print(f"    the loop in Python {'agrees' if same else f'gives {wanted}'}")
    print(f"{len(EXAMPLES) - wrong} of {len(EXAMPLES)} loops agree with Python's")
    return int(wrong > 0)
