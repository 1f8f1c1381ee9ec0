"""Running sums and products along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.reduce import sum_dtype
from tinygraph.tensor.shape import flatten, normalise_axis


class Cumulative(Op):
    """Running "add" or "mul" along ``axis``. Shapes: (...) -> (...). Integers add up in 64 bits, as in NumPy."""

    __props__ = ("combine", "axis")

    def __init__(self, combine: str, axis: int):
        self.combine = combine
        self.axis = axis

    def __str__(self) -> str:
        return f"{'CumSum' if self.combine == 'add' else 'CumProd'}{{axis={self.axis}}}"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim, f"more than {self.axis} dimensions", x)
        return [(sum_dtype(x.dtype), x.shape)]

    def forward(self, x: Any) -> Any:
        return self._ufunc.accumulate(x, axis=self.axis, dtype=sum_dtype(x.dtype.name))

    @property
    def _ufunc(self) -> Any:
        return np.add if self.combine == "add" else np.multiply

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,), (out,), (g,) = inputs, outputs, grads
        if x.type.dtype[0] != "f":
            return [None]
        if self.combine == "add":
            return [self._reversed(self(self._reversed(g)))]
        # s[i] = g[i] + x[i+1] s[i+1] and dx[i] = out[i-1] s[i]: no division, so zeros in x do no harm
        s = self._reversed(Recurrence(self.axis)(self._reversed(g), self._shift(self._reversed(x), 0)))
        return [self._shift(out, 1) * s]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0])] if self.combine == "add" and outputs[0].type.dtype[0] == "f" else None

    def _reversed(self, x: Any) -> Any:
        return x[(slice(None),) * self.axis + (slice(None, None, -1),)]

    def _shift(self, x: Any, first: int) -> Any:
        """``x`` moved on by one place, with ``first`` in front."""
        return shifted(x, self.axis, first)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = node.outputs[0]
        name = "cumsum" if self.combine == "add" else "cumprod"
        return b.routine(
            name, inputs, [(b.shape(out), out.type.dtype)], _accumulate, combine=self.combine, axis=self.axis
        )


def _accumulate(x: Any, out: Any, combine: str, axis: int) -> None:
    ufunc = np.add if combine == "add" else np.multiply
    ufunc.accumulate(x, axis=axis, dtype=out.dtype, out=out)


class Recurrence(Op):
    """``s[i] = a[i] + b[i] * s[i - 1]`` along ``axis``, with ``s[-1] = 0``. Shapes: (...), (...) -> (...).

    The gradient is a recurrence in the other direction.
    """

    __props__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(
            a.dtype == b.dtype and a.is_float and a.ndim == b.ndim > self.axis,
            "two tensors of one float type",
            a,
            b,
        )
        for m, n in zip(a.shape, b.shape, strict=True):
            self.expect(not may_differ(m, n), "equal shapes", a, b, error=ShapeMismatch)
        return [(a.dtype, a.shape)]

    def forward(self, a: Any, b: Any) -> Any:
        out = np.empty(a.shape, a.dtype)
        recurrence(a, b, out, self.axis)
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (_, b), (out,), (g,) = inputs, outputs, grads
        back = (slice(None),) * self.axis + (slice(None, None, -1),)
        da = self(g[back], shifted(b[back], self.axis, 0))[back]
        return [da, da * shifted(out, self.axis, 0)]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = node.outputs[0]
        return b.routine("recurrence", inputs, [(b.shape(out), out.type.dtype)], recurrence, axis=self.axis)


def recurrence(a: Any, b: Any, out: Any, axis: int) -> None:
    """``Recurrence`` on arrays."""
    a, b, s = (np.moveaxis(v, axis, 0) for v in (a, b, out))
    for i in range(len(a)):
        s[i] = a[i] if i == 0 else a[i] + b[i] * s[i - 1]


def shifted(x: Any, axis: int, first: int) -> Any:
    """``x`` moved on by one place along ``axis``; ``first`` (0 or 1) comes in, the last element falls off."""
    from tinygraph.tensor.creation import full_like
    from tinygraph.tensor.keys import set_subtensor

    lead = (slice(None),) * axis
    start = full_like(x, first)
    return set_subtensor(start[(*lead, slice(1, None))], x[(*lead, slice(None, -1))])


def _cumulative(combine: str, x: Any, axis: int | None) -> Any:
    x = as_tensor_variable(x)
    if axis is None:
        x, axis = flatten(x), 0
    return Cumulative(combine, normalise_axis(axis, x.type.ndim))(x)


def cumsum(x: Any, axis: int | None = None) -> Any:
    """Running sums along ``axis`` (None: of the flattened tensor), as ``numpy.cumsum``."""
    return _cumulative("add", x, axis)


def cumprod(x: Any, axis: int | None = None) -> Any:
    """Running products along ``axis`` (None: of the flattened tensor), as ``numpy.cumprod``."""
    return _cumulative("mul", x, axis)
