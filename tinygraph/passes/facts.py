"""Small questions that rules ask: which op made this, is it a constant, can it be negative, how is it aligned."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import constant
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.shape import DimShuffle

#: elementwise functions that are above 0 by mathematics, wherever their value is a number
POSITIVE_OPS = {"exp", "exp2", "sigmoid", "cosh"}
NONNEGATIVE_OPS = POSITIVE_OPS | {"sqr", "abs", "sqrt", "softplus"}


def scalar_name(v: Variable) -> str | None:
    """The name of the elementwise function that made ``v``."""
    node = v.owner
    return node.op.scalar_op.name if node is not None and isinstance(node.op, Elemwise) else None


def made_by(v: Variable, *names: str) -> Apply | None:
    """The node that made ``v`` if it applies one of these elementwise functions."""
    node = v.owner
    if node is not None and isinstance(node.op, Elemwise) and node.op.scalar_op.name in names:
        return node
    return None


def applied(v: Variable, *classes: type) -> Apply | None:
    """The node that made ``v`` if its op is of one of these classes."""
    node = v.owner
    return node if node is not None and isinstance(node.op, classes) else None


def is_float(v: Variable) -> bool:
    return v.type.dtype is not None and v.type.dtype[0] == "f"


def is_tensor(v: Variable) -> bool:
    return isinstance(v.type, TensorType)


def ndim(v: Variable) -> int:
    return v.type.ndim  # type: ignore[attr-defined]


def dtype(v: Variable) -> str:
    return v.type.dtype  # type: ignore[return-value]


def number(v: Variable) -> Any:
    """The one value (a NumPy scalar) that a constant has throughout, also if spread by Alloc; else None."""
    while v.owner is not None:
        if scalar_name(v) == "cast":
            inner = number(v.owner.inputs[0])
            return None if inner is None else np.asarray(inner).astype(dtype(v))[()]
        if not isinstance(v.owner.op, (Alloc, DimShuffle)):
            return None
        v = v.owner.inputs[0]
    if not isinstance(v, Constant) or not isinstance(v.data, np.ndarray) or not v.data.size:
        return None
    cached = v.__dict__.get("_number", v)
    if cached is v:
        first = v.data.flat[0]
        same = v.data.size == 1 or bool((v.data == first).all())
        cached = v.__dict__["_number"] = first if same else None
    return cached


def equals(v: Variable, value: float) -> bool:
    """Whether ``v`` is a constant that is ``value`` throughout."""
    found = number(v)
    return found is not None and bool(found == value)


def is_zero(v: Variable) -> bool:
    """Whether ``v`` is a constant zero throughout, perhaps spread or cast; looked at once for each constant."""
    return equals(v, 0)


def scalar_constant(v: Variable) -> Any:
    """Like ``number``, only for constants of one element: they never widen what they meet, their rank aside."""
    return number(v) if is_tensor(v) and all(d == 1 for d in v.type.shape) else None  # type: ignore[attr-defined]


def const(value: Any, like: Variable) -> Any:
    """A scalar constant of the dtype of ``like``."""
    return constant(np.asarray(value, dtype=dtype(like)))


def is_positive(v: Variable) -> bool:
    """Whether ``v`` is above 0 by mathematics (it may underflow): softmax, sigmoid, exp, and what is spread of them."""
    from tinygraph.passes.softmaxes import is_softmax

    while applied(v, DimShuffle, Alloc):
        v = v.owner.inputs[0]  # type: ignore[union-attr]
    value = number(v)
    if value is not None:
        return bool(value > 0)
    return scalar_name(v) in POSITIVE_OPS or is_softmax(v)


def is_nonnegative(v: Variable) -> bool:
    """Whether ``v`` is at least 0 or nan."""
    value = number(v)
    if value is not None:
        return bool(value >= 0)
    node = made_by(v, "mul", "sqr")
    if node is not None and len(node.inputs) == 2 and node.inputs[0] is node.inputs[1]:
        return True
    return scalar_name(v) in NONNEGATIVE_OPS or is_positive(v)


def same_value(a: Variable, b: Variable) -> bool:
    """Whether two variables are one: the same, or equal constants."""
    return a is b or (isinstance(a, Constant) and isinstance(b, Constant) and a.equals(b))
