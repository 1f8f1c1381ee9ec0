"""Activation functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.program.expr import call, const
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import elemwise
from tinygraph.tensor.maths import gt, mul, switch

_relu = elemwise(
    "relu", 1, lambda x: np.maximum(x, 0), "max(x, 0); derivative 0 at 0", vjp=lambda g, out, x: (mul(g, gt(x, 0)),),
    expr=lambda x: call("maximum", x, const(0, x.dtype)),
)  # fmt: skip


def relu(x: Any, alpha: Any = 0) -> Any:
    """``x`` where it is positive, else ``alpha * x`` (a number, or a tensor that broadcasts). Derivative at 0: alpha."""
    x = as_tensor_variable(x)
    if isinstance(alpha, (int, float)) and alpha == 0:
        return _relu(x)
    return switch(gt(x, 0), x, x * alpha)
