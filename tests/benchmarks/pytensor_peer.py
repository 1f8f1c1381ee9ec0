"""Works in PyTensor, where it is installed, each in its modes: NUMBA, for which FAST_RUN stands, and CVM.

PyTensor needs Numba, and Numba its own version of llvmlite; tinygraph runs with that version too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pytensor.tensor.random.utils import RandomStream

from tests.benchmarks import pytensor_steps, shapes
from tests.benchmarks.pytensor_steps import MODES, PyTensor, Step


def _variants(work: tuple) -> dict[str, Step]:
    inputs, outputs, updates, arguments = work
    return {m: Step(PyTensor().compiled(inputs, outputs, updates=updates, mode=m), arguments) for m in MODES}


def scalar_add() -> dict[str, Step]:
    return _variants(pytensor_steps.scalar_add(PyTensor()))


def rnn(size: shapes.Recurrent) -> dict[str, Step]:
    return _variants(pytensor_steps.rnn(PyTensor(), size))


def mlp(batch: int = shapes.MLP_BATCH) -> dict[str, Step]:
    """The dropout network with RMSprop of ``tinygraph_steps``; its draws are those of NumPy's generator."""
    x = PyTensor()
    streams = RandomStream(1)
    data, y = x.T.fmatrix("data"), x.T.ivector("y")
    shape = ((784, 625), (625,), (625, 625), (625,), (625, 10), (10,))
    w0, b0, w1, b1, w2, b2 = parameters = [
        x.shared(shapes.weights(*s) if len(s) == 2 else np.zeros(s, "float32")) for s in shape
    ]

    def dropout(h: Any, p: float) -> Any:
        return h * x.T.cast(streams.binomial(1, 1 - p, size=h.shape), "float32") / np.float32(1 - p)

    h = x.T.maximum(x.T.dot(dropout(data, 0.2), w0) + b0, 0)
    h = x.T.maximum(x.T.dot(dropout(h, 0.5), w1) + b1, 0)
    p = x.softmax(x.T.dot(dropout(h, 0.5), w2) + b2)
    cost = -x.T.mean(x.T.log(p)[x.T.arange(y.shape[0]), y])
    updates = list(streams.updates())
    for v, g in zip(parameters, x.grad(cost, parameters), strict=True):
        a = x.shared(v.get_value() * 0)
        a_new = np.float32(0.9) * a + np.float32(0.1) * g**2
        updates += [(a, a_new), (v, v - np.float32(0.001) * g / x.T.sqrt(a_new + np.float32(1e-6)))]
    return _variants(([data, y], cost, updates, shapes.images(batch)))
