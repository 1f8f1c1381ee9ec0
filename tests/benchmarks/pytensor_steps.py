"""Works of which one text builds the graph for tinygraph and for PyTensor: both come from Theano's language.

``build(work, Tinygraph())`` and ``build(work, PyTensor())`` give a ``Step``: the compiled function and arguments for it.
As a peer in ``make bench`` this module offers ``mlp``, ``rnn`` and ``scalar_add`` in PyTensor's modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import shapes

#: PyTensor's compilers; FAST_RUN, the default, stands for NUMBA
MODES = ("NUMBA", "CVM")
#: rows of data in the two regressions, as in Theano's tutorial and its logistic_sgd
SAMPLES, BATCH, RATE = 400, 600, np.float32(0.1)


class Step(NamedTuple):
    """A compiled function and what to call it with."""

    function: Any
    arguments: tuple

    def __call__(self) -> Any:
        return self.function(*self.arguments)


class Tinygraph:
    """The names that works use, in tinygraph."""

    def __init__(self) -> None:
        import tinygraph
        import tinygraph.tensor as T

        tinygraph.config.floatX = "float32"
        self.T, self.scan, self.grad, self.shared, self.softmax = T, tinygraph.scan, tinygraph.grad, tinygraph.shared, T.nnet.softmax
        self.compiled = tinygraph.function


class PyTensor:
    """The names that works use, in PyTensor."""

    def __init__(self) -> None:
        import pytensor
        import pytensor.tensor as pt

        pytensor.config.floatX = "float32"
        self.T, self.grad, self.shared = pt, pytensor.grad, pytensor.shared
        self.compiled = pytensor.function

    def softmax(self, z: Any) -> Any:
        return self.T.special.softmax(z, axis=-1)

    def scan(self, step: Any, sequences: Any, outputs_info: Any) -> Any:
        import pytensor

        return pytensor.scan(step, sequences, outputs_info, return_updates=False), {}


def build(work: str, library: Any, **options: Any) -> Step:
    """The work compiled by a library; ``options`` go to its ``function``."""
    inputs, outputs, updates, arguments = WORKS[work](library)
    return Step(library.compiled(inputs, outputs, updates=updates, **options), arguments)


def _parameters(x: Any, *sizes: tuple[int, ...]) -> list[Any]:
    return [x.shared(shapes.weights(*s) if len(s) == 2 else np.zeros(s, "float32")) for s in sizes]


def _descent(x: Any, cost: Any, parameters: list[Any]) -> list[tuple[Any, Any]]:
    return [(p, p - RATE * g) for p, g in zip(parameters, x.grad(cost, parameters), strict=True)]


def _nll(x: Any, z: Any, y: Any) -> Any:
    return -x.T.mean(x.T.log(x.softmax(z))[x.T.arange(y.shape[0]), y])


def logistic_regression(x: Any) -> tuple:
    """The binary classifier of Theano's tutorial, with its cross-entropy written out."""
    data, y = x.T.fmatrix("data"), x.T.fvector("y")
    w, b = _parameters(x, (784,), ())
    p = 1 / (1 + x.T.exp(-x.T.dot(data, w) - b))
    cross = -y * x.T.log(p) - (1 - y) * x.T.log(1 - p)
    cost = cross.mean() + np.float32(0.01) * (w**2).sum()
    values, labels = shapes.images(SAMPLES)
    return [data, y], [p > 0.5, cross], _descent(x, cost, [w, b]), (values, (labels > 4).astype("float32"))


def softmax_regression(x: Any) -> tuple:
    """One dense layer and the negative log likelihood."""
    data, y = x.T.fmatrix("data"), x.T.ivector("y")
    w, b = _parameters(x, (784, 10), (10,))
    cost = _nll(x, x.T.dot(data, w) + b, y)
    return [data, y], cost, _descent(x, cost, [w, b]), shapes.images(BATCH)


def mlp(x: Any) -> tuple:
    """784-625-625-10 with tanh and plain descent."""
    data, y = x.T.fmatrix("data"), x.T.ivector("y")
    sizes = ((784, 625), (625,), (625, 625), (625,), (625, 10), (10,))
    w0, b0, w1, b1, w2, b2 = parameters = _parameters(x, *sizes)
    h = x.T.tanh(x.T.dot(data, w0) + b0)
    h = x.T.tanh(x.T.dot(h, w1) + b1)
    cost = _nll(x, x.T.dot(h, w2) + b2, y)
    return [data, y], cost, _descent(x, cost, parameters), shapes.images(shapes.MLP_BATCH)


def rnn(x: Any, size: shapes.Recurrent = shapes.RNN_LARGE) -> tuple:
    """A character model's step: scan over letters, gradients through all steps, plain descent."""
    v, n = size.vocabulary, size.hidden
    w, u, b, wo, bo = parameters = _parameters(x, (v, n), (n, n), (n,), (n, v), (v,))
    letters, following = x.T.imatrix("letters"), x.T.imatrix("following")
    start = x.T.zeros((letters.shape[1], n), dtype="float32")
    hidden, _ = x.scan(lambda x_t, h: x.T.tanh(x_t + x.T.dot(h, u)), sequences=[w[letters] + b], outputs_info=[start])
    cost = _nll(x, x.T.dot(hidden.reshape((-1, n)), wo) + bo, following.flatten())
    return [letters, following], cost, _descent(x, cost, parameters), shapes.text(size)


def scalar_add(x: Any) -> tuple:
    a, b = x.T.dscalar("a"), x.T.dscalar("b")
    return [a, b], a + b, [], (np.array(1.0), np.array(2.0))


WORKS: dict[str, Callable[..., tuple]] = {
    f.__name__: f for f in (logistic_regression, softmax_regression, mlp, rnn, scalar_add)
}
