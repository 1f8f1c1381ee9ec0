"""What has to hold before times mean anything: agreement with the CPU, equal bits of two runs, and of draws."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tests.benchmarks import shapes
from tinygraph import Mode, function, grad
from tinygraph.config import config
from tinygraph.demos.lenet import LeNet
from tinygraph.tensor.shared_randomstreams import RandomStreams

#: the largest difference of two float32 training runs on the GPU and the CPU, relative to the largest element
BOUND = 1e-4


def checks(small: bool) -> dict[str, str]:
    """Each check's outcome by name. Raises: AssertionError where one fails.

    ``small``: sizes for the emulator.
    """
    return {
        "agreement with the CPU, LeNet": agreement(2 if small else 500, 2 if small else 5),
        "two deterministic runs, LeNet": determinism(2 if small else 500, 2 if small else 5),
        "draws": draws(200 if small else 100_000),
    }


def _trained(target: str, batch: int, steps: int) -> list[np.ndarray]:
    """The costs and the parameters of a few steps of LeNet from the same start."""
    images, labels = shapes.images(batch)
    with config.change(floatX="float32"):
        x, y = T.matrix("x"), T.ivector("y")
        network = LeNet(np.random.RandomState(0), x)
        cost = network.cost(y)
        changes = [(p, p - 0.1 * g) for p, g in zip(network.params, grad(cost, network.params), strict=True)]
        step = function([x, y], cost, updates=changes, mode=Mode(target=target))
        costs = [np.asarray(step(images, labels)) for _ in range(steps)]
    return [*costs, *(p.get_value() for p in network.params)]


def agreement(batch: int, steps: int) -> str:
    """The largest relative difference between the GPU's and NumPy's costs and parameters."""
    worst = 0.0
    for found, expected in zip(_trained("cuda", batch, steps), _trained("numpy", batch, steps), strict=True):
        assert np.isfinite(found).all() and np.abs(expected).max() > 0
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    assert worst <= BOUND, f"GPU and CPU differ by {worst:.1e} of the largest element; the bound is {BOUND:.0e}"
    return f"within {worst:.1e} of the largest element (bound {BOUND:.0e})"


def determinism(batch: int, steps: int) -> str:
    """Two runs with ``deterministic`` from the same start."""
    with config.change(deterministic=True):
        first, second = (_trained("cuda", batch, steps) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)), "two runs differ"
    return "the same bits"


def draws(n: int) -> str:
    """Draws of every kind on the GPU and on the CPU."""
    found, expected = (_drawn(target, n) for target in ("cuda", "numpy"))
    for name, value in found.items():
        assert np.array_equal(value, expected[name]), f"{name} draws differ from the CPU's"
    return f"the CPU's bits ({', '.join(found)})"


def _drawn(target: str, n: int) -> dict[str, Any]:
    streams = RandomStreams(5)
    kinds = {
        "uniform": streams.uniform((n,), dtype="float32"),
        "normal": streams.normal((n,), dtype="float32"),
        "binomial": streams.binomial((n,), p=0.3),
        "integers": streams.random_integers((n,), 0, 9),
        "categorical": streams.multinomial((max(n // 10, 1),), pvals=[0.2, 0.5, 0.3]),
    }
    f = tinygraph.function([], list(kinds.values()), mode=Mode(target=target))
    f()  # the second call's draws, so that the state has moved on
    return dict(zip(kinds, f(), strict=True))
