"""Dimensions: one arithmetic for the three times at which an op's shape rule runs.

``Op.infer`` is written once. It runs while the graph is built (dimensions are ints or ``UNKNOWN``), when a call's
shapes are known (all ints), and symbolically, to derive a formula for a shape (ints, or scalar expressions of any class
that overloads arithmetic and provides ``dim_max``, ``dim_min``, ``dim_select`` methods).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import ShapeMismatch


class UnknownDim:
    """A size that is not known while the graph is built; any arithmetic with it is unknown too."""

    def _unknown(self, *_: Any) -> UnknownDim:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unknown
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __neg__ = __abs__ = _unknown
    __lt__ = __le__ = __gt__ = __ge__ = _unknown  # type: ignore[assignment]
    dim_max = dim_min = dim_select = dim_eq = _unknown

    def __repr__(self) -> str:
        return "?"


UNKNOWN = UnknownDim()
Dim = Any  # int | UnknownDim | symbolic expression


def is_int(d: Dim) -> bool:
    return isinstance(d, int)


def dim_max(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return b.dim_max(a) if isinstance(a, int) else a.dim_max(b)


def dim_min(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return b.dim_min(a) if isinstance(a, int) else a.dim_min(b)


def dim_select(cond: Any, a: Dim, b: Dim) -> Dim:
    """``a if cond else b``; ``cond`` may be a symbolic comparison."""
    if isinstance(cond, (bool, int)):
        return a if cond else b
    if a is b or (isinstance(a, int) and isinstance(b, int) and a == b):
        return a
    return cond.dim_select(a, b)


def dim_eq(a: Dim, b: Dim) -> Any:
    """``a == b`` as a bool, or a symbolic comparison."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a is b and not isinstance(a, UnknownDim):
        return True
    return b.dim_eq(a) if isinstance(a, int) else a.dim_eq(b)


def dim_prod(dims: Sequence[Dim]) -> Dim:
    out: Dim = 1
    for d in dims:
        out = d if isinstance(out, int) and out == 1 else out * d
    return out


def may_differ(a: Dim, b: Dim) -> bool:
    """True only if both sizes are known and differ."""
    return isinstance(a, int) and isinstance(b, int) and a != b


def merge_dims(a: Dim, b: Dim) -> Dim:
    """One size that two dimensions must share: the more certain of the two."""
    return a if isinstance(a, int) or isinstance(b, UnknownDim) else b


def broadcast_dim(a: Dim, b: Dim) -> Dim:
    """NumPy's rule for one dimension of two operands."""
    if isinstance(a, int):
        if isinstance(b, int):
            if a == b or b == 1:
                return a
            if a == 1:
                return b
            raise ShapeMismatch(f"sizes {a} and {b} do not broadcast")
        return b if a == 1 else a
    if isinstance(b, int):
        return a if b == 1 else b
    if a is b:
        return a
    return dim_select(dim_eq(a, 1), b, a)


def broadcast_shapes(shapes: Sequence[Sequence[Dim]]) -> tuple[Dim, ...]:
    """NumPy's broadcast of whole shapes, aligned at their last dimension."""
    ndim = max((len(s) for s in shapes), default=0)
    out: list[Dim] = [1] * ndim
    for s in shapes:
        lead = ndim - len(s)
        for i, d in enumerate(s):
            out[lead + i] = broadcast_dim(out[lead + i], d)
    return tuple(out)


class Operand:
    """What a shape rule sees of one input: dtype, shape, and, where known, the value of an integer input."""

    __slots__ = ("dtype", "shape", "value", "var")

    def __init__(self, dtype: str, shape: tuple[Dim, ...], value: Any, var: Any):
        self.dtype = dtype
        self.shape = shape
        #: an int-like Dim for a scalar, a sequence of Dims for a vector, None if not known
        self.value = value
        self.var = var

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith(("float", "complex"))

    @property
    def is_int(self) -> bool:
        return self.dtype.startswith(("int", "uint", "bool"))

    def values(self, count: int) -> Sequence[Dim]:
        """The elements of an integer vector input, UNKNOWN where not known."""
        if self.value is None:
            return (UNKNOWN,) * count
        return self.value

    def scalar(self) -> Dim:
        return UNKNOWN if self.value is None else self.value

    def __str__(self) -> str:
        dims = ", ".join(str(d) if isinstance(d, int) else "?" for d in self.shape)
        return f"{self.dtype}({dims})"
