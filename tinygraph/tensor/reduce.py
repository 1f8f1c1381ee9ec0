"""Reductions over axes: sum, product, extrema, their positions, and what is composed of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import Dim, Operand, is_int
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.shape import dimshuffle, normalise_axis

_NUMPY = {"add": np.sum, "mul": np.prod, "maximum": np.max, "minimum": np.min, "and": np.all, "or": np.any}
_NAMES = {"add": "sum", "mul": "prod", "maximum": "max", "minimum": "min", "and": "all", "or": "any"}


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """``axis`` (None, a number, or several) as sorted positions."""
    if axis is None:
        return tuple(range(ndim))
    if hasattr(axis, "data") and not isinstance(axis, np.ndarray):
        axis = axis.data.tolist()
    if isinstance(axis, np.ndarray):
        axis = axis.tolist()
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = sorted(normalise_axis(int(a), ndim) for a in axes)
    if len(set(found)) != len(found):
        raise InvalidValue(f"axis {axis} names a dimension twice")
    return tuple(found)


class Reduce(Op):
    """``combine`` over ``axes`` of a tensor, accumulated and returned in ``dtype``.

    Shapes: (...) -> the shape without ``axes``. Sums of no elements are the combiner's identity; max and min of none
    raise. Gradient of max and min: the first of equal elements takes it.
    """

    __props__ = ("combine", "axes", "dtype")

    def __init__(self, combine: str, axes: tuple[int, ...], dtype: str):
        self.combine = combine
        self.axes = axes
        self.dtype = dtype

    def __str__(self) -> str:
        return f"{_NAMES[self.combine].capitalize()}{{axis={list(self.axes)}}}"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        if self.combine in ("maximum", "minimum"):
            for a in self.axes:
                self.expect(not is_int(x.shape[a]) or x.shape[a] > 0, f"a size above 0 in dimension {a}", x,
                            error=InvalidValue)  # fmt: skip
        return [(self.dtype, [d for i, d in enumerate(x.shape) if i not in self.axes])]

    def host(self, x: Operand) -> list[Any] | None:
        if x.ndim != 1 or x.value is None or not self.axes or self.combine not in ("add", "mul"):
            return None
        from tinygraph.graph.dims import dim_prod

        if self.combine == "mul":
            return [dim_prod(x.value)]
        total: Dim = 0
        for v in x.value:
            total = total + v
        return [total]

    def forward(self, x: Any) -> Any:
        x = x.astype(bool) if self.combine in ("and", "or") and self.dtype == "bool" else x
        if self.combine in ("add", "mul"):
            return _NUMPY[self.combine](x, axis=self.axes, dtype=self.dtype)
        return _NUMPY[self.combine](x, axis=self.axes) if self.axes else x.astype(self.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import broadcast_like
        from tinygraph.tensor.maths import cast_to

        (x,), (out,), (g,) = inputs, outputs, grads
        if x.type.dtype[0] != "f":
            return [None]
        if self.dtype[0] != "f":
            return [zero_gradient(x)]
        g = cast_to(g, x.type.dtype)
        if self.combine == "add":
            return [broadcast_like(self.restore(g), x)]
        if self.combine == "mul":
            return [self.restore(g) * _product_of_others(x, self.axes)]
        return [self.restore(g) * self.first_extremum(x, out)]

    def restore(self, g: Any) -> Any:
        """``g`` with dimensions of size 1 where this op reduced."""
        ndim = g.type.ndim + len(self.axes)
        kept = iter(range(g.type.ndim))
        return dimshuffle(g, ["x" if i in self.axes else next(kept) for i in range(ndim)])

    def first_extremum(self, x: Any, out: Any) -> Any:
        """1 at the first position (row-major over the reduced axes) of the extremum, 0 elsewhere."""
        from tinygraph.tensor.creation import arange
        from tinygraph.tensor.maths import cast_to, eq
        from tinygraph.tensor.shape import shape_tuple

        where = ArgReduce("argmax" if self.combine == "maximum" else "argmin", self.axes)(x)
        sizes = shape_tuple(x)
        flat: Any = 0
        for a in self.axes:
            position = arange(sizes[a])
            flat = flat * sizes[a] + dimshuffle(position, ["x"] * a + [0] + ["x"] * (x.type.ndim - a - 1))
        return cast_to(eq(flat, self.restore(where)), x.type.dtype)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0])] if self.combine == "add" and self.dtype[0] == "f" else None

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        axes = b.axes(*x.shape)
        value = x[axes]
        if self.combine in ("and", "or") and self.dtype == "bool" and value.dtype != "bool":
            from tinygraph.program.expr import binary, const

            value = binary("ne", value, const(0, value.dtype))
        over = [a for i, a in enumerate(axes) if i in self.axes]
        into = [a for i, a in enumerate(axes) if i not in self.axes]
        return [b.reduce(self.combine, cast(value, self.dtype), over=over, into=into)]


class ArgReduce(Op):
    """Position of the first largest ("argmax") or smallest ("argmin") element, in row-major order over ``axes``."""

    __props__ = ("kind", "axes")

    def __init__(self, kind: str, axes: tuple[int, ...]):
        self.kind = kind
        self.axes = axes

    def __str__(self) -> str:
        return f"{self.kind.capitalize()}{{axis={list(self.axes)}}}"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        for a in self.axes:
            self.expect(not is_int(x.shape[a]) or x.shape[a] > 0, f"a size above 0 in dimension {a}", x,
                        error=InvalidValue)  # fmt: skip
        return [("int64", [d for i, d in enumerate(x.shape) if i not in self.axes])]

    def forward(self, x: Any) -> Any:
        kept = [i for i in range(x.ndim) if i not in self.axes]
        flat = x.transpose([*kept, *self.axes]).reshape([x.shape[i] for i in kept] + [-1])
        return (np.argmax if self.kind == "argmax" else np.argmin)(flat, axis=-1)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [zero_gradient(inputs[0])]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        axes = b.axes(*x.shape)
        over = [a for i, a in enumerate(axes) if i in self.axes]
        into = [a for i, a in enumerate(axes) if i not in self.axes]
        return [b.reduce(self.kind, x[axes], over=over, into=into)]


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For each element the product of the others in its reduction, right also where some are zero."""
    from tinygraph.tensor.maths import cast_to, eq, switch

    zero = eq(x, 0)
    count = sum(cast_to(zero, "int64"), axis=axes, keepdims=True)
    nonzero_product = prod(switch(zero, 1, x), axis=axes, keepdims=True)
    alone = switch(zero, nonzero_product, 0)
    usual = switch(zero, 0, nonzero_product / switch(zero, 1, x))
    return switch(eq(count, 0), usual, switch(eq(count, 1), alone, 0))


def _reduce(x: Any, combine: str, axis: Any, dtype: str, keepdims: bool, acc_dtype: Any = None) -> Any:
    from tinygraph.tensor.maths import cast_to

    axes = reduced_axes(axis, x.type.ndim)
    op = Reduce(combine, axes, acc_dtype or dtype)
    out = cast_to(op(x), dtype)
    return op.restore(out) if keepdims else out


def sum_dtype(dtype: str) -> str:
    """Integers add up in 64 bits, floats in their own dtype (Theano's and NumPy's rule)."""
    if dtype in ("bool", "int8", "int16", "int32"):
        return "int64"
    return "uint64" if dtype in ("uint8", "uint16", "uint32") else dtype


def _named(dtype: Any) -> Any:
    from tinygraph.graph.tensortype import TensorType

    return None if dtype is None else TensorType(dtype).dtype


def sum(input: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
    """Sum over ``axis`` (None: all). ``acc_dtype``: dtype in which partial sums are kept."""
    x = as_tensor_variable(input)
    return _reduce(x, "add", axis, _named(dtype) or sum_dtype(x.type.dtype), keepdims, _named(acc_dtype))


def prod(input: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None,
         no_zeros_in_input: bool = False) -> Any:  # fmt: skip
    """Product over ``axis`` (None: all)."""
    x = as_tensor_variable(input)
    return _reduce(x, "mul", axis, _named(dtype) or sum_dtype(x.type.dtype), keepdims, _named(acc_dtype))


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over ``axis`` (None: all); nan if there is one."""
    x = as_tensor_variable(x)
    return _reduce(x, "maximum", axis, x.type.dtype, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over ``axis`` (None: all); nan if there is one."""
    x = as_tensor_variable(x)
    return _reduce(x, "minimum", axis, x.type.dtype, keepdims)


amax, amin = max, min


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every element over ``axis`` is true."""
    return _reduce(as_tensor_variable(x), "and", axis, "bool", keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element over ``axis`` is true."""
    return _reduce(as_tensor_variable(x), "or", axis, "bool", keepdims)


def _arg(kind: str, x: Any, axis: Any, keepdims: bool) -> Any:
    x = as_tensor_variable(x)
    axes = reduced_axes(axis, x.type.ndim)
    out = ArgReduce(kind, axes)(x)
    return Reduce("maximum", axes, "int64").restore(out) if keepdims else out


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Position of the largest element over ``axis`` (None: in the flattened tensor); of equals the first."""
    return _arg("argmax", x, axis, keepdims)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Position of the smallest element over ``axis`` (None: in the flattened tensor); of equals the first."""
    return _arg("argmin", x, axis, keepdims)


def max_and_argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return [max(x, axis, keepdims), argmax(x, axis, keepdims)]


def mean(input: Any, axis: Any = None, dtype: Any = None, op: bool = False, keepdims: bool = False,
         acc_dtype: Any = None) -> Any:  # fmt: skip
    """Arithmetic mean over ``axis`` (None: all). Integers average in float64."""
    from tinygraph.tensor.maths import cast_to, mul
    from tinygraph.tensor.shape import shape_tuple

    x = as_tensor_variable(input)
    wanted = _named(dtype) or ("float64" if x.type.dtype[0] != "f" else x.type.dtype)
    sizes = shape_tuple(x)
    axes = reduced_axes(axis, x.type.ndim)
    total = sum(x, axis=axes, dtype=wanted, keepdims=keepdims, acc_dtype=acc_dtype)
    count: Any = as_tensor_variable(np.int64(1))
    for a in axes:
        count = mul(count, as_tensor_variable(np.int64(sizes[a]) if isinstance(sizes[a], int) else sizes[a]))
    return total / cast_to(count, wanted)


def float_input(x: Any) -> Any:
    from tinygraph.tensor.maths import cast_to

    x = as_tensor_variable(x)
    if x.type.dtype[0] == "f":
        return x
    return cast_to(x, "float64" if x.type.dtype in ("int64", "int32") else config.floatX)


def var(input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Any:
    """Variance over ``axis``: mean square distance from the mean (two passes), over ``n - ddof``."""
    from tinygraph.tensor.maths import cast_to, sqr

    x = float_input(input)
    axes = reduced_axes(axis, x.type.ndim)
    centred = x - mean(x, axis=axes, keepdims=True)
    if ddof == 0:
        return mean(sqr(centred), axis=axes, keepdims=keepdims)
    count: Any = 1
    for a in axes:
        count = x.shape[a] * count
    return sum(sqr(centred), axis=axes, keepdims=keepdims) / cast_to(count - ddof, x.type.dtype)


def std(input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Any:
    """Standard deviation over ``axis``: the square root of ``var``."""
    from tinygraph.tensor.maths import sqrt

    return sqrt(var(input, axis=axis, ddof=ddof, keepdims=keepdims))


def ptp(x: Any, axis: Any = None) -> Any:
    """Peak to peak: largest less smallest."""
    return max(x, axis=axis) - min(x, axis=axis)
