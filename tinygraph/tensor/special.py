"""Special functions as rows of the elementwise table: error functions, the gamma family, Bessel functions, x log y.

``erf``, ``erfc``, ``erfinv`` and ``lgamma`` are intrinsics of every target; the others are printed from the formulas.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import numpy as np

from tinygraph.program.expr import Expr, call, const, select
from tinygraph.tensor import formulas
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import Elemwise, elemwise

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _exp(x: Any) -> Any:
    from tinygraph.tensor.maths import exp

    return exp(x)


# -- error functions ----------------------------------------------------------------------------------------------

erf = elemwise("erf", 1, formulas.erf, "error function", out="float",
               vjp=lambda g, out, x: (g * (_TWO_OVER_ROOT_PI * _exp(-x * x)),))  # fmt: skip
erfc = elemwise("erfc", 1, formulas.erfc, "1 - erf(x), exact in the tail", out="float",
                vjp=lambda g, out, x: (g * (-_TWO_OVER_ROOT_PI * _exp(-x * x)),))  # fmt: skip
erfcx = elemwise("erfcx", 1, formulas.erfcx, "exp(x * x) * erfc(x)", out="float", expr=formulas.erfcx,
                 vjp=lambda g, out, x: (g * (2 * x * out - _TWO_OVER_ROOT_PI),))  # fmt: skip
erfinv = elemwise("erfinv", 1, formulas.erfinv, "inverse of erf", out="float", domain=(-0.9, 0.9), integers=False,
                  vjp=lambda g, out, x: (g * (_exp(out * out) / _TWO_OVER_ROOT_PI),))  # fmt: skip
erfcinv = elemwise("erfcinv", 1, formulas.erfcinv, "inverse of erfc", out="float", expr=formulas.erfcinv,
                   domain=(0.1, 1.9), integers=False,
                   vjp=lambda g, out, x: (g * (_exp(out * out) / -_TWO_OVER_ROOT_PI),))  # fmt: skip

# -- the gamma family ---------------------------------------------------------------------------------------------

gammaln = elemwise("lgamma", 1, formulas.lgamma, "logarithm of |gamma(x)|", out="float",
                   vjp=lambda g, out, x: (g * psi(x),), domain=(0.2, 5.0))  # fmt: skip
gamma = elemwise("gamma", 1, formulas.gamma, "the gamma function", out="float", expr=formulas.gamma,
                 vjp=lambda g, out, x: (g * (out * psi(x)),), domain=(0.2, 5.0))  # fmt: skip
psi = elemwise("digamma", 1, formulas.digamma, "derivative of log gamma", out="float", expr=formulas.digamma,
               vjp=lambda g, out, x: (g * tri_gamma(x),), domain=(0.2, 5.0))  # fmt: skip
digamma, lgamma = psi, gammaln


@cache
def _polygamma(order: int) -> Elemwise:
    name = "trigamma" if order == 1 else f"polygamma{order}"
    formula = partial(formulas.polygamma, order)
    return elemwise(name, 1, formula, f"derivative number {order} of digamma", out="float", expr=formula,
                    vjp=lambda g, out, x: (g * _polygamma(order + 1)(x),), domain=(0.4, 5.0))  # fmt: skip


tri_gamma = _polygamma(1)


def polygamma(n: int, x: Any) -> Any:
    """Derivative number ``n`` (a number, 0 or more) of digamma at ``x`` > 0."""
    n = int(getattr(n, "data", n))
    if n < 0:
        raise ValueError(f"polygamma: the order must not be negative, got {n}")
    return psi(x) if n == 0 else _polygamma(n)(x)


# -- Bessel functions ---------------------------------------------------------------------------------------------

i0 = elemwise("i0", 1, partial(formulas.bessel_i, 0), "modified Bessel function, first kind, order 0", out="float",
              expr=partial(formulas.bessel_i, 0), vjp=lambda g, out, x: (g * i1(x),))  # fmt: skip
i1 = elemwise("i1", 1, partial(formulas.bessel_i, 1), "modified Bessel function, first kind, order 1", out="float",
              expr=partial(formulas.bessel_i, 1), domain=(0.5, 3.0),
              vjp=lambda g, out, x: (g * (i0(x) - _over(out, x, 0.5)),))  # fmt: skip
j0 = elemwise("j0", 1, partial(formulas.bessel_j, 0), "Bessel function of the first kind, order 0", out="float",
              expr=partial(formulas.bessel_j, 0), vjp=lambda g, out, x: (-g * j1(x),))  # fmt: skip
j1 = elemwise("j1", 1, partial(formulas.bessel_j, 1), "Bessel function of the first kind, order 1", out="float",
              expr=partial(formulas.bessel_j, 1), domain=(0.5, 3.0),
              vjp=lambda g, out, x: (g * (j0(x) - _over(out, x, 0.5)),))  # fmt: skip


def _over(y: Any, x: Any, at_zero: float) -> Any:
    """``y / x``, and its limit where x is 0."""
    from tinygraph.tensor.maths import eq, switch

    return switch(eq(x, 0), at_zero, y / switch(eq(x, 0), 1, x))


# -- x log y, and sums of exponentials ----------------------------------------------------------------------------


def _xlogy0(x: Any, y: Any) -> Any:
    if isinstance(x, Expr):
        return x * call("log", select(call("eq", x, const(0, x.dtype)), const(1, x.dtype), y))
    return x * np.log(np.where(x == 0, x.dtype.type(1), y))


def _log(x: Any) -> Any:
    from tinygraph.tensor.maths import log

    return log(x)


xlogx = elemwise("xlogx", 1, lambda x: _xlogy0(x, x), "x * log(x), 0 at 0", out="float", expr=lambda x: _xlogy0(x, x),
                 vjp=lambda g, out, x: (g * (1 + _log(x)),), domain=(0.1, 3.0))  # fmt: skip
xlogy0 = elemwise("xlogy0", 2, _xlogy0, "x * log(y), 0 where x is 0", out="float", expr=_xlogy0,
                  vjp=lambda g, out, x, y: (g * _log(y), g * x / y), domain=(0.1, 3.0))  # fmt: skip


def logaddexp(*xs: Any) -> Any:
    """``log(exp(a) + exp(b) + ...)`` elementwise, without overflow."""
    from tinygraph.tensor.maths import abs as abs_of
    from tinygraph.tensor.maths import eq, maximum, softplus, switch

    total = as_tensor_variable(xs[0])
    for x in xs[1:]:
        x = as_tensor_variable(x)
        apart = switch(eq(total, x), 0, abs_of(total - x))  # equal infinities are not apart
        total = maximum(total, x) + softplus(-apart)
    return total


#: what `tinygraph.tensor` shows; xlogx there is the module of that name, as in Theano
__all__ = [
    "digamma", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "gamma", "gammaln", "i0", "i1", "j0", "j1", "lgamma",
    "logaddexp", "polygamma", "psi", "tri_gamma",
]  # fmt: skip
