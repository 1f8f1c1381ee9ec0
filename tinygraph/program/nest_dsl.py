"""The language in which ops write loop nests: arrays indexed by loop axes.

    n, f, y, x = b.axes(N, F, H, W)
    c, i, j = b.axes(C, KH, KW)
    b.sum(image[n, c, y + i, x + j] * weight[f, c, i, j], over=(c, i, j), into=(n, f, y, x))

An index is affine in the axes (``2*y + i - 1``) or an integer expression read from memory (a gather).
"""

from __future__ import annotations

from typing import Any

from tinygraph.program.expr import Access, Expr, axis_index, binary, cast, const, load, rebuild
from tinygraph.program.instructions import Ref


class Axis:
    """One loop: ``size`` iterations."""

    __slots__ = ("size",)

    def __init__(self, size: int):
        self.size = size

    def _affine(self) -> Affine:
        return Affine(0, {self: 1})

    def __add__(self, other: Any) -> Any:
        return self._affine() + other

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._affine() - other

    def __rsub__(self, other: Any) -> Any:
        return -self._affine() + other

    def __mul__(self, k: Any) -> Any:
        return self._affine() * k

    __rmul__ = __mul__

    def __neg__(self) -> Affine:
        return -self._affine()

    def value(self, dtype: str = "int64") -> Expr:
        """The loop index itself, as a number in the computation."""
        return cast(Expr("loop", (), "int64", self), dtype)


class Affine:
    """``const + sum(coef * axis) + dynamic``."""

    __slots__ = ("const", "dynamic", "terms")

    def __init__(self, const: int, terms: dict[Axis, int], dynamic: Expr | None = None):
        self.const = const
        self.terms = terms
        self.dynamic = dynamic

    @staticmethod
    def of(x: Any) -> Affine:
        if isinstance(x, Affine):
            return x
        if isinstance(x, Axis):
            return x._affine()
        if isinstance(x, Expr):
            return Affine(0, {}, cast(x, "int64"))
        return Affine(int(x), {})

    def __add__(self, other: Any) -> Affine:
        o = Affine.of(other)
        terms = dict(self.terms)
        for axis, k in o.terms.items():
            terms[axis] = terms.get(axis, 0) + k
        return Affine(self.const + o.const, terms, _plus(self.dynamic, o.dynamic))

    __radd__ = __add__

    def __neg__(self) -> Affine:
        return self * -1

    def __sub__(self, other: Any) -> Affine:
        return self + (-Affine.of(other))

    def __rsub__(self, other: Any) -> Affine:
        return Affine.of(other) + (-self)

    def __mul__(self, k: int) -> Affine:
        dynamic = None if self.dynamic is None else _times(self.dynamic, k)
        return Affine(self.const * k, {a: c * k for a, c in self.terms.items()}, dynamic)

    __rmul__ = __mul__


def _plus(a: Expr | None, b: Expr | None) -> Expr | None:
    if a is None or b is None:
        return a if b is None else b
    return binary("add", a, b)


def _times(e: Expr, k: int) -> Expr:
    return e if k == 1 else binary("mul", e, const(k, "int64"))


class Pending:
    """An access whose axes are still Axis objects."""

    __slots__ = ("address", "ref")

    def __init__(self, ref: Ref, address: Affine):
        self.ref = ref
        self.address = address


def index(ref: Ref, indices: Any) -> Pending:
    """The address of ``ref[indices]``: one index for each dimension."""
    if not isinstance(indices, tuple):
        indices = (indices,)
    if len(indices) != ref.ndim:
        raise ValueError(f"{len(indices)} indices for an array of {ref.ndim} dimensions")
    address = Affine(ref.offset, {})
    for i, stride in zip(indices, ref.strides, strict=True):
        address = address + Affine.of(i) * stride
    return Pending(ref, address)


def resolve(e: Expr, positions: dict[Axis, int]) -> Expr:
    """``e`` with axes replaced by their positions in a nest."""

    def leaf(x: Expr) -> Expr:
        if x.op == "pending":
            return load(resolve_access(x.attr, positions), x.dtype)
        if x.op == "loop":
            return axis_index(positions[x.attr])
        return x

    return rebuild(e, leaf)


def resolve_access(p: Pending, positions: dict[Axis, int]) -> Access:
    strides = [0] * len(positions)
    for axis, k in p.address.terms.items():
        strides[positions[axis]] += k
    dynamic = None if p.address.dynamic is None else resolve(p.address.dynamic, positions)
    return Access(p.ref.buffer, p.address.const, tuple(strides), p.ref.params, dynamic)
