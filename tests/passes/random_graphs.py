"""Random expression graphs: all families of ops that rules look at, several dtypes and ranks, shared subgraphs."""

import numpy as np

import tinygraph.tensor as T
from tinygraph.graph.tensortype import TensorType

UNARY = [
    T.neg, T.abs, T.exp, T.tanh, T.sigmoid, T.softplus, T.sqr, T.log1p, T.expm1, T.cos, T.sin, T.sgn, T.floor,
    lambda x: T.log(x * x + 1), lambda x: T.log(T.sigmoid(x)), lambda x: 1 / (1 + T.exp(-x)), lambda x: T.log(1 + T.exp(x)),
    lambda x: T.sqrt(x * x), lambda x: x**2, lambda x: x**3, lambda x: 1 - T.sigmoid(x), lambda x: T.exp(x) - 1,
    lambda x: T.log(T.exp(x)), lambda x: T.exp(T.log(x * x + 1)), lambda x: x / 4, lambda x: 2 * x, lambda x: x + 0,
    lambda x: -(2 * x), lambda x: x * 1, lambda x: T.cast(T.cast(x, "float64"), "float64"), lambda x: T.maximum(x, 0),
    lambda x: T.log(T.exp(x) + T.exp(-x)), lambda x: T.log(1 - T.sigmoid(x)), lambda x: 1 + x + 2, lambda x: x * 3 * 0.5,
    lambda x: x + x, lambda x: 3 * x - x,
]  # fmt: skip
BINARY = [
    T.add, T.sub, T.mul, T.maximum, T.minimum, lambda x, y: x / (1 + y * y), lambda x, y: T.switch(x > y, x, y),
    lambda x, y: x * T.sigmoid(y) / T.sigmoid(y), lambda x, y: x - (-y), lambda x, y: -x - y, lambda x, y: (x + 1) - (y - 2),
    lambda x, y: x * 2 - y * -3, lambda x, y: T.clip(x, -1, 1) * y, lambda x, y: -x * -y, lambda x, y: -(x - y),
    lambda x, y: T.log(T.exp(x) + T.exp(y)),
]  # fmt: skip
STRUCTURE = [
    lambda x: x.T, lambda x: x.T.T, lambda x: x[::-1], lambda x: x[:, ::-1][:, ::-1], lambda x: x.reshape(x.shape),
    lambda x: x.flatten().reshape(x.shape), lambda x: T.nnet.softmax(x) if hasattr(T, "nnet") else x,
    lambda x: T.exp(x) / T.exp(x).sum(axis=1, keepdims=True), lambda x: T.exp(x) / T.exp(x).sum(axis=0),
    lambda x: x - T.log(T.exp(x).sum(axis=1, keepdims=True)), lambda x: x - x.max(axis=1, keepdims=True),
    lambda x: x - x.mean(axis=0), lambda x: x + x.sum(axis=1, keepdims=True), lambda x: x * x.sum(),
    lambda x: T.zeros_like(x) + x, lambda x: T.ones_like(x) * x, lambda x: T.concatenate([x, x])[: x.shape[0]],
    lambda x: T.set_subtensor(x[0], 1.0), lambda x: T.inc_subtensor(T.zeros_like(x)[1:], x[1:]) + x,
    lambda x: T.dot(x, x.T).dot(x), lambda x: T.dot(2 * x, T.dot(x.T, x)), lambda x: (x.sum(axis=0) * 2).dimshuffle("x", 0) + x,
    lambda x: T.sqrt((x**2).sum(axis=1, keepdims=True)) + x, lambda x: x.dimshuffle(0, "x", 1).sum(axis=1),
    lambda x: T.log(T.exp(x).sum(axis=1)).dimshuffle(0, "x") + x, lambda x: x[T.arange(x.shape[0])],
    lambda x: T.maximum(x, 0).max(axis=0) + x, lambda x: (-x).sum(axis=0) - x, lambda x: x[1:-1].sum() + x,
]  # fmt: skip


class Builder:
    """Grows expressions of matrices of one shape from a stream of choices."""

    def __init__(self, seed, dtype="float64"):
        self.rng = np.random.RandomState(seed)
        self.x, self.y = (TensorType(dtype, (None, None))(n) for n in "xy")
        self.b = TensorType(dtype, (None,))("b")
        self.pool = [self.x, self.y, self.x + self.b]

    def choose(self, items):
        return items[self.rng.randint(len(items))]

    def grow(self, steps):
        """``steps`` more expressions, kept near 1 in size now and then so that values stay comparable."""
        for _ in range(steps):
            kind = self.rng.rand()
            if kind < 0.35:
                made = self.choose(UNARY)(self.choose(self.pool))
            elif kind < 0.7:
                made = self.choose(BINARY)(self.choose(self.pool), self.choose(self.pool))
            else:
                made = self.choose(STRUCTURE)(self.choose(self.pool))
                if made.type.ndim != 2:
                    continue
            if self.rng.rand() < 0.3:
                made = T.tanh(made)
            same_shape = made if made.owner is None or "T" not in str(made.owner.op) else made
            self.pool.append(same_shape)
        return self

    def values(self):
        """Square matrices, so that transposes may meet; different sizes would be refused as shape errors."""
        n = 3
        return [self.rng.uniform(-1.5, 1.5, s).astype(self.x.type.dtype) for s in ((n, n), (n, n), (n,))]

    def outputs(self):
        return [self.pool[-1], self.choose(self.pool).sum()]
