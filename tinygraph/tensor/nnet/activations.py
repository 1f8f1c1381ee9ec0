"""Activation functions. Those of one argument keep shape and float dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.program.expr import call, const
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import float_dtype
from tinygraph.tensor.elemwise import elemwise
from tinygraph.tensor.maths import (
    abs,
    cast_to,
    clip,
    expm1,
    gt,
    maximum,
    minimum,
    mul,
    sigmoid,
    softplus,
    switch,
)
from tinygraph.tensor.nnet.numbers import number

_relu = elemwise(
    "relu", 1, lambda x: np.maximum(x, 0), "max(x, 0); derivative 0 at 0", vjp=lambda g, out, x: (mul(g, gt(x, 0)),),
    expr=lambda x: call("maximum", x, const(0, x.dtype)),
)  # fmt: skip


def _float(x: Any) -> Any:
    x = as_tensor_variable(x)
    return cast_to(x, float_dtype(x.type.dtype))


def relu(x: Any, alpha: Any = 0) -> Any:
    """``x`` where it is positive, else ``alpha * x`` (a number, or a tensor that broadcasts). Derivative at 0: alpha.

    ``alpha`` = 0.01, say, gives the leaky rectifier; a shared variable the parametric one (K. He and others, "Delving
    deep into rectifiers", 2015).
    """
    x = as_tensor_variable(x)
    if isinstance(alpha, (int, float)) and alpha == 0:
        return _relu(x)
    return switch(gt(x, 0), x, x * number(alpha, x))


def leaky_relu(x: Any, alpha: Any = 0.01) -> Any:
    """``relu`` with a slope for negative arguments."""
    return relu(x, alpha)


def elu(x: Any, alpha: Any = 1) -> Any:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)`` (D. Clevert and others, 2015)."""
    x = _float(x)
    # the minimum keeps the branch not taken finite: its derivative is multiplied by 0
    return switch(gt(x, 0), x, expm1(minimum(x, 0)) * number(alpha, x))


def selu(x: Any) -> Any:
    """The self-normalising ``elu`` (G. Klambauer and others, 2017, with its constants)."""
    x = _float(x)
    return elu(x, 1.6732632423543772) * number(1.0507009873554805, x)


def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    x = _float(x)
    return x / (abs(x) + 1)


def hard_sigmoid(x: Any) -> Any:
    """``0.2 x + 0.5`` within 0 .. 1."""
    x = _float(x)
    return clip(x * number(0.2, x) + 0.5, 0, 1)


def ultra_fast_sigmoid(x: Any) -> Any:
    """The sigmoid from three pieces of simple functions, within 0.07 of it, as Theano defines it.

    The derivative is that of the pieces (Theano gives that of the sigmoid).
    """
    half = _float(x) * 0.5
    size = abs(half)
    near = size * 1.5 / (size + 1)
    knee, slope, start, end = (number(v, half) for v in (1.7, 0.0458812946797165, 0.935409070603099, 0.99505475368673))
    middle = (size - knee) * slope + start
    z = switch(gt(knee, size), near, switch(gt(3, size), middle, end))
    return (switch(gt(0, half), -z, z) + 1) * 0.5


def swish(x: Any, beta: Any = 1) -> Any:
    """``x * sigmoid(beta * x)`` (P. Ramachandran and others, 2017)."""
    x = _float(x)
    return x * sigmoid(x * number(beta, x))


def maxout(x: Any, pieces: int) -> Any:
    """The maximum of each ``pieces`` neighbours along dimension 1 (I. Goodfellow and others, 2013)."""
    x = as_tensor_variable(x)
    out = x[:, 0::pieces]
    for i in range(1, pieces):
        out = maximum(out, x[:, i::pieces])
    return out


scalar_sigmoid = sigmoid
__all__ = [
    "elu", "hard_sigmoid", "leaky_relu", "maxout", "relu", "scalar_sigmoid", "selu", "sigmoid", "softplus", "softsign",
    "swish", "ultra_fast_sigmoid",
]  # fmt: skip
