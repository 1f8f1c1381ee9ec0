"""Distributions drawn in Python, by NumPy's generator on a stream's state: rarely hot, hard to vectorise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.graph.dims import Dim, Operand, broadcast_shapes
from tinygraph.graph.op import Apply, Disconnected, Op
from tinygraph.random import philox
from tinygraph.tensor.basic import as_tensor_variable


def _multinomial(rng: np.random.Generator, shape: tuple[int, ...], n: Any, p: Any) -> Any:
    p = np.asarray(p, "float64")
    p = p / p.sum(axis=-1, keepdims=True)  # float32 probabilities rarely add up to 1 in double precision
    return rng.multinomial(np.asarray(n, "int64"), p, size=shape[:-1])


#: ``(generator, shape, *parameters) -> sample``
SAMPLERS: dict[str, Callable[..., Any]] = {
    "binomial": lambda rng, shape, n, p: rng.binomial(n, p, shape),
    "poisson": lambda rng, shape, lam: rng.poisson(lam, shape),
    "gamma": lambda rng, shape, k, scale: rng.gamma(k, scale, shape),
    "beta": lambda rng, shape, a, b: rng.beta(a, b, shape),
    "multinomial": _multinomial,
}


class HostDraw(Disconnected, Op):
    """``HostDraw(name, ndim, dtype)(state, *sizes, *params)``: the next state and a sample of shape ``sizes``.

    Parameters broadcast to the sizes. A multinomial sample has the length of ``p``'s last dimension besides.
    """

    __props__ = ("name", "ndim", "dtype")
    default_output = 1

    def __init__(self, name: str, ndim: int, dtype: str):
        if name not in SAMPLERS:
            raise ValueError(f"there is no sampler {name!r}; there are {', '.join(SAMPLERS)}")
        self.name, self.ndim, self.dtype = name, ndim, dtype

    def __str__(self) -> str:
        return f"HostDraw{{{self.name}}}"

    def make_node(self, state: Any, *rest: Any) -> Apply:
        return super().make_node(state, *(as_tensor_variable(x) for x in rest))

    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(range(1, 1 + self.ndim))

    def infer(self, state: Operand, *rest: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(state.dtype == "uint32" and state.ndim == 1, "a state: a uint32 vector of 4", state)
        sizes, params = [d.scalar() for d in rest[: self.ndim]], rest[self.ndim :]
        if self.name == "multinomial":
            n, p = params
            self.expect(p.ndim >= 1, "probabilities with at least one dimension", p)
            broadcast_shapes([sizes, n.shape, p.shape[:-1]])
            return [("uint32", (4,)), (self.dtype, [*sizes, p.shape[-1]])]
        broadcast_shapes([sizes, *(p.shape for p in params)])
        return [("uint32", (4,)), (self.dtype, sizes)]

    def forward(self, state: Any, *rest: Any) -> Any:
        shape = tuple(int(d) for d in rest[: self.ndim])
        params = rest[self.ndim :]
        if self.name == "multinomial":
            shape += params[1].shape[-1:]
        key0, key1, low, high = (int(x) for x in state)
        counter = high << 32 | low
        rng = np.random.Generator(np.random.Philox(key=[key1 << 32 | key0, 0], counter=[0, 0, counter, 0]))
        sample = np.asarray(SAMPLERS[self.name](rng, shape, *params)).astype(self.dtype)
        counter += max(philox.counters_for(sample.size), philox.LANES)
        return np.array([key0, key1, counter & philox.MASK, counter >> 32 & philox.MASK], "uint32"), sample
