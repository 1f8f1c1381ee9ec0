"""The NumPy form of each intrinsic of ``program.expr``: a function with an ``out`` argument.

Most are ufuncs. The rest are written here over caller-supplied output memory, from formulas that neither overflow nor
lose digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.tensor import formulas

#: intrinsics that are one ufunc
UFUNCS: dict[str, str] = {
    "neg": "negative", "abs": "absolute", "sign": "sign", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil",
    "trunc": "trunc", "rint": "rint", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2",
    "log10": "log10", "log1p": "log1p", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "not": "logical_not", "invert": "invert", "isnan": "isnan",
    "isinf": "isinf", "add": "add", "sub": "subtract", "mul": "multiply", "div": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "minimum": "minimum", "maximum": "maximum",
    "atan2": "arctan2", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "shl": "left_shift",
    "shr": "right_shift",
}  # fmt: skip

#: ufuncs that reduce, by combiner
REDUCERS: dict[str, str] = {
    "add": "add", "mul": "multiply", "minimum": "minimum", "maximum": "maximum", "and": "logical_and",
    "or": "logical_or", "xor": "logical_xor",
}  # fmt: skip


def sigmoid(x: Any, out: Any) -> Any:
    """1 / (1 + exp(-x)) for x >= 0 and exp(x) / (1 + exp(x)) below: no overflow, one exponential."""
    positive = np.greater_equal(x, 0)
    np.abs(x, out)
    np.negative(out, out)
    np.exp(out, out)
    total = np.add(out, 1)
    np.maximum(out, positive, out=out)
    np.divide(out, total, out)
    return out


def softplus(x: Any, out: Any) -> Any:
    """log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|))."""
    t = np.asarray(np.abs(x))
    np.negative(t, out=t)
    np.exp(t, out=t)
    np.log1p(t, out=t)
    np.add(np.maximum(x, 0), t, out=out)
    return out


_BITS = {4: np.dtype("int32"), 8: np.dtype("int64")}


def select(cond: Any, a: Any, b: Any, out: Any) -> Any:
    """``a`` where ``cond``, else ``b``; ``out`` may be ``a`` or ``b``.

    NumPy's masked copies take 5 to 10 ns an element; integer arithmetic on the bits of numbers runs in vector
    registers and is exact, for infinities and nan too.
    """
    bits: Any = _BITS.get(out.itemsize)
    if bits is None or out.size < 64 or not isinstance(cond, np.ndarray):
        return _select_by_copy(cond, a, b, out)
    mask = cond.astype(bits)
    target = out.view(bits)
    if isinstance(b, (int, float)) and b == 0 and np.copysign(1.0, b) > 0:
        np.multiply(mask, _as_bits(a, out.dtype, bits), out=target)
        return out
    np.negative(mask, out=mask)  # all bits where true
    x, y = _as_bits(a, out.dtype, bits), _as_bits(b, out.dtype, bits)
    changed = np.bitwise_xor(x, y)
    np.bitwise_xor(y, np.bitwise_and(changed, mask), out=target)
    return out


def _as_bits(x: Any, dtype: Any, bits: Any) -> Any:
    """The bits of an array or number as integers."""
    return np.asarray(x, dtype).view(bits)


def _select_by_copy(cond: Any, a: Any, b: Any, out: Any) -> Any:
    if out is a:
        np.copyto(out, b, where=~np.asarray(cond))
    elif out is b:
        np.copyto(out, a, where=cond)
    else:
        np.copyto(out, b)
        np.copyto(out, a, where=cond)
    return out


def wrap_index(i: Any, n: int, out: Any) -> Any:
    """Indices counted from the front of a dimension of size ``n``; IndexOutOfRange names the first bad one."""
    from tinygraph.errors import IndexOutOfRange

    i = np.asarray(i)
    if i.size and (i.min() < -n or i.max() >= n):
        bad = i[(i < -n) | (i >= n)].reshape(-1)[0]
        raise IndexOutOfRange(f"index {bad} is out of range for a dimension of size {n}")
    np.copyto(out, np.where(i < 0, i + n, i))
    return out


#: intrinsics that are functions of this module (or registered by others)
FUNCTIONS: dict[str, Callable[..., Any]] = {"sigmoid": sigmoid, "softplus": softplus, "select": select}


def _special(formula: Callable[[Any], Any]) -> Callable[..., Any]:
    """A special function of ``tensor.formulas`` with an ``out`` argument."""

    def run(x: Any, out: Any) -> Any:
        np.copyto(out, formula(np.asarray(x)))
        return out

    return run


for _name in ("erf", "erfc", "erfcx", "erfinv", "erfcinv", "lgamma", "gamma", "digamma"):
    FUNCTIONS[_name] = _special(getattr(formulas, _name))
FUNCTIONS["trigamma"] = _special(lambda x: formulas.polygamma(1, x))


def register(name: str, function: Callable[..., Any]) -> None:
    """Add the NumPy form ``function(*args, out)`` of an intrinsic."""
    FUNCTIONS[name] = function
