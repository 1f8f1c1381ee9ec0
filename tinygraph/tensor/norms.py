"""Norms and log-sums: reductions that are composed of others."""

from __future__ import annotations

import math
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.reduce import float_input, reduced_axes
from tinygraph.tensor.reduce import max as max_over
from tinygraph.tensor.reduce import min as min_over
from tinygraph.tensor.reduce import sum as sum_over


def norm_p(x: Any, L: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The L-norm over ``axis`` (None: of all elements): ``sum(|x| ** L) ** (1 / L)``.

    ``L``: a positive number or scalar, 0 (the count of nonzero elements), or plus or minus infinity.
    """
    from tinygraph.tensor.maths import abs as abs_of
    from tinygraph.tensor.maths import cast_to, neq, pow, sqr, sqrt

    x = float_input(x)
    if not isinstance(L, (int, float)):
        L = as_tensor_variable(L)
        return pow(sum_over(pow(abs_of(x), L), axis=axis, keepdims=keepdims), 1 / L)
    if L == 0:
        return sum_over(cast_to(neq(x, 0), x.type.dtype), axis=axis, keepdims=keepdims)
    if math.isinf(L):
        return (max_over if L > 0 else min_over)(abs_of(x), axis=axis, keepdims=keepdims)
    if L == 1:
        return sum_over(abs_of(x), axis=axis, keepdims=keepdims)
    if L == 2:
        return sqrt(sum_over(sqr(x), axis=axis, keepdims=keepdims))
    return pow(sum_over(pow(abs_of(x), L), axis=axis, keepdims=keepdims), 1 / L)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over ``axis`` (None: all), without overflow; -inf where every element is -inf.

    The largest element is taken out before exponentials are: its own gradient cancels and is left out.
    """
    from tinygraph.tensor.maths import exp, isinf, log, switch

    x = float_input(x)
    axes = reduced_axes(axis, x.type.ndim)
    if any(x.type.shape[a] == 0 for a in axes):
        raise InvalidValue(f"logsumexp: {x} ({x.type}) has no elements along axis {axis}")
    top = stop_gradient(max_over(x, axis=axes, keepdims=True))
    top = switch(isinf(top), 0, top)
    total = log(sum_over(exp(x - top), axis=axes, keepdims=True)) + top
    if keepdims:
        return total
    from tinygraph.tensor.shape import dimshuffle

    return dimshuffle(total, [d for d in range(x.type.ndim) if d not in axes])


def stop_gradient(x: Any) -> Any:
    """``x`` itself, held constant in differentiation."""
    from tinygraph.tensor.maths import held_constant

    return held_constant(x)
