"""The regularised incomplete gamma functions, which need an unknown number of terms: library calls, not expressions.

Series and continued fraction of Abramowitz & Stegun 6.5.29 and 6.5.31, the latter by Lentz's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, broadcast_shapes
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor import formulas
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import float_dtype, upcast

_TERMS = 10_000


class GammaInc(Op):
    """P(a, x) ("lower") or Q(a, x) = 1 - P(a, x) ("upper"), for a > 0 and x >= 0; nan elsewhere.

    Shapes: any two that broadcast. Gradient: by x; that by a is not implemented.
    """

    __props__ = ("part",)

    def __init__(self, part: str):
        self.part = part

    def infer(self, a: Operand, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        try:
            shape = broadcast_shapes([a.shape, x.shape])
        except ShapeMismatch as error:
            raise ShapeMismatch(f"{self}: operands {a} and {x} do not broadcast: {error}") from None
        return [(float_dtype(upcast(a.dtype, x.dtype)), shape)]

    def forward(self, a: Any, x: Any) -> Any:
        dtype = float_dtype(upcast(a.dtype.name, x.dtype.name))
        a, x = np.broadcast_arrays(a.astype("float64"), x.astype("float64"))
        with np.errstate(all="ignore"):
            found = incomplete_gamma(a.ravel(), x.ravel(), self.part == "upper")
        return found.reshape(a.shape).astype(dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.graph.type import NullType
        from tinygraph.tensor.broadcast import sum_to
        from tinygraph.tensor.maths import exp
        from tinygraph.tensor.special import gammaln, xlogy0

        (a, x), (g,) = inputs, grads
        density = exp(xlogy0(a - 1, x) - x - gammaln(a))
        by_a = NullType(f"not implemented for {self} by its first argument")()
        return [
            by_a if a.type.dtype[0] == "f" else None,
            sum_to(g * density * (1 if self.part == "lower" else -1), x),
        ]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = node.outputs[0]
        return b.routine("gammainc", inputs, [(b.shape(out), out.type.dtype)], self._run, part=self.part)

    def _run(self, a: Any, x: Any, out: Any, part: str) -> None:
        np.copyto(out, self.forward(a, x))


def incomplete_gamma(a: np.ndarray, x: np.ndarray, upper: bool) -> np.ndarray:
    """P(a, x), or Q(a, x) if ``upper``, of float64 vectors."""
    out = np.full(a.shape, np.nan)
    valid = (a > 0) & (x >= 0)
    front = np.exp(a * np.log(np.where(x > 0, x, 1)) - x - formulas.lgamma(a))
    near = valid & (x < a + 1)
    p = np.where(x[near] > 0, front[near] * _series(a[near], x[near]), 0.0)
    out[near] = 1 - p if upper else p
    far = valid & ~near
    q = np.where(np.isinf(x[far]), 0.0, front[far] * _continued_fraction(a[far], np.minimum(x[far], 1e300)))
    out[far] = q if upper else 1 - q
    return out


def _series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    term = 1 / a
    total = term.copy()
    for n in range(1, _TERMS):
        term = term * (x / (a + n))
        total += term
        if not np.any(term > total * 1e-17):
            break
    return total


def _continued_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    b = x + 1 - a
    c = np.full(x.shape, 1e300)
    d = 1 / b
    total = d.copy()
    for n in range(1, _TERMS):
        weight = -n * (n - a)
        b = b + 2
        d = 1 / _not_zero(weight * d + b)
        c = _not_zero(b + weight / c)
        step = c * d
        going = np.abs(step - 1) > 2.3e-16
        if not np.any(going):
            break
        total = np.where(going, total * step, total)  # a settled value would only gather rounding errors
    return total


def _not_zero(v: np.ndarray) -> np.ndarray:
    return np.where(np.abs(v) < 1e-300, 1e-300, v)


def gammainc(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function P(a, x)."""
    return GammaInc("lower")(as_tensor_variable(a), as_tensor_variable(x))


def gammaincc(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), exact where it is small."""
    return GammaInc("upper")(as_tensor_variable(a), as_tensor_variable(x))


def chi2sf(x: Any, k: Any) -> Any:
    """The probability that a chi-squared variable with ``k`` degrees of freedom exceeds ``x``."""
    return gammaincc(as_tensor_variable(k) / 2.0, as_tensor_variable(x) / 2.0)
