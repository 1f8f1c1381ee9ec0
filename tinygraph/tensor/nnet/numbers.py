"""Numbers beside tensors: the constants of a formula take the tensor's dtype and never widen it."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.basic import as_tensor_variable, constant


def number(value: Any, x: Any) -> Any:
    """``value`` for use beside ``x``: Python numbers get its float dtype, tensors stay as they are."""
    if isinstance(value, (int, float)) and x.type.dtype[0] == "f":
        return constant(value, dtype=x.type.dtype)
    return as_tensor_variable(value, like=x.type.dtype)
