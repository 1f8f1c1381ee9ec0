"""Arrays made from nothing: zeros, ones, ranges, identities, triangles, grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, dim_max
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable, constant
from tinygraph.tensor.broadcast import alloc_op, broadcast_like
from tinygraph.tensor.casting import upcast


def _sizes(shape: Any) -> tuple:
    if isinstance(shape, (tuple, list)):
        return tuple(shape)
    if isinstance(shape, Variable) and shape.type.ndim == 1:  # type: ignore[attr-defined]
        return tuple(shape)  # type: ignore[arg-type]
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        return tuple(int(d) for d in shape)
    return (shape,)


def full(shape: Any, value: Any, dtype: Any = None) -> Any:
    """An array of ``shape`` filled with ``value``."""
    from tinygraph.tensor.maths import cast_to

    value = as_tensor_variable(value)
    return alloc_op(value if dtype is None else cast_to(value, dtype), *_sizes(shape))


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros of ``shape``, of ``dtype`` (default floatX)."""
    return alloc_op(constant(0, dtype=dtype or config.floatX), *_sizes(shape))


def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones of ``shape``, of ``dtype`` (default floatX)."""
    return alloc_op(constant(1, dtype=dtype or config.floatX), *_sizes(shape))


def zeros_like(x: Any, dtype: Any = None, opt: bool = False) -> Any:
    """Zeros with the shape of ``x`` and its dtype, unless ``dtype`` is given."""
    x = as_tensor_variable(x)
    return broadcast_like(constant(0, dtype=dtype or x.type.dtype), x)


def ones_like(x: Any, dtype: Any = None, opt: bool = False) -> Any:
    """Ones with the shape of ``x`` and its dtype, unless ``dtype`` is given."""
    x = as_tensor_variable(x)
    return broadcast_like(constant(1, dtype=dtype or x.type.dtype), x)


def full_like(x: Any, value: Any, dtype: Any = None) -> Any:
    from tinygraph.tensor.maths import cast_to

    x = as_tensor_variable(x)
    return broadcast_like(cast_to(value, dtype or x.type.dtype), x)


class ARange(Op):
    """``start, start + step, ...`` up to ``stop``, which is left out. Shapes: three scalars -> (n,)."""

    __props__ = ("dtype",)
    shape_inputs = (0, 1, 2)

    def __init__(self, dtype: str):
        self.dtype = dtype

    def infer(self, start: Operand, stop: Operand, step: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(start.ndim == stop.ndim == step.ndim == 0, "three scalars", start, stop, step)
        a, b, s = start.scalar(), stop.scalar(), step.scalar()
        if not isinstance(s, int):
            return [(self.dtype, (UNKNOWN if a is UNKNOWN or b is UNKNOWN or s is UNKNOWN else _length(a, b, s),))]
        if s == 0:
            raise InvalidValue("arange: step must not be 0")
        return [(self.dtype, (_length(a, b, s),))]

    def host(self, start: Operand, stop: Operand, step: Operand) -> list[Any] | None:
        values = (start.value, stop.value, step.value)
        if all(isinstance(v, int) for v in values) and values[2] and len(range(*values)) <= 64:
            return [tuple(range(*values))]
        return None

    def forward(self, start: Any, stop: Any, step: Any) -> Any:
        return np.arange(start.item(), stop.item(), step.item(), dtype=self.dtype)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False]] * 3

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        from tinygraph.program.expr import cast

        start, _, step = inputs
        (i,) = b.axes(*b.shape(node.outputs[0]))
        compute = "int64" if self.dtype[0] in "iub" else self.dtype
        value = cast(start[()], compute) + i.value(compute) * cast(step[()], compute)
        return [b.store(cast(value, self.dtype), into=(i,))]


def _length(start: Dim, stop: Dim, step: Dim) -> Dim:
    """Number of elements of a range, in any dimension arithmetic; integers only."""
    if not isinstance(step, int):
        from tinygraph.graph.dims import dim_select

        up = dim_max((stop - start + step - 1) // step, 0)
        down = dim_max((start - stop - step - 1) // (-step), 0)
        return dim_select(step > 0, up, down)
    if step > 0:
        return dim_max((stop - start + (step - 1)) // step, 0)
    return dim_max((start - stop + (-step - 1)) // -step, 0)


class FloatARange(ARange):
    """A range with float bounds: only the run knows how long it is."""

    shape_inputs = ()
    data_dependent_shape = True

    def infer(self, start: Operand, stop: Operand, step: Operand) -> list[tuple[str, Sequence[Dim]]]:
        values = [getattr(o.var, "data", None) for o in (start, stop, step)]
        if all(v is not None for v in values):
            return [(self.dtype, (len(np.arange(*(float(v) for v in values))),))]
        return [(self.dtype, (UNKNOWN,))]

    def host(self, *inputs: Operand) -> list[Any] | None:
        return None


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """``numpy.arange`` on numbers or scalars. Integer bounds give int64 by default."""
    if stop is None:
        start, stop = 0, start
    parts = [as_tensor_variable(v) for v in (start, stop, step)]
    if dtype is None:
        dtype = upcast(*(p.type.dtype for p in parts))
        if dtype[0] in "iub":
            dtype = "int64"
        elif config.floatX == "float32" and not any(isinstance(v, Variable) for v in (start, stop, step)):
            dtype = "float32"
    integers = all(p.type.dtype[0] in "iub" for p in parts)
    return (ARange if integers else FloatARange)(str(np.dtype(dtype)))(*parts)


def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Any:
    """Ones on the ``k``-th diagonal of an (n, m) matrix of zeros."""
    from tinygraph.tensor.maths import cast_to, eq
    from tinygraph.tensor.shape import dimshuffle

    rows = dimshuffle(arange(n), (0, "x"))
    columns = dimshuffle(arange(n if m is None else m), ("x", 0))
    return cast_to(eq(rows + k, columns), dtype or config.floatX)


identity_like = lambda x: eye(x.shape[0], x.shape[1], k=0, dtype=x.dtype)  # noqa: E731


def tri(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Any:
    """Ones at and below the ``k``-th diagonal."""
    from tinygraph.tensor.maths import cast_to, ge
    from tinygraph.tensor.shape import dimshuffle

    rows = dimshuffle(arange(n), (0, "x"))
    columns = dimshuffle(arange(n if m is None else m), ("x", 0))
    return cast_to(ge(rows + k, columns), dtype or config.floatX)


def tril(x: Any, k: Any = 0) -> Any:
    """The lower triangle of a matrix (or of each of a stack of them), zeros elsewhere."""
    from tinygraph.tensor.maths import switch

    x = as_tensor_variable(x)
    return switch(tri(x.shape[x.ndim - 2], x.shape[x.ndim - 1], k=k, dtype="bool"), x, constant(0, dtype=x.type.dtype))


def triu(x: Any, k: Any = 0) -> Any:
    """The upper triangle of a matrix (or of each of a stack of them), zeros elsewhere."""
    from tinygraph.tensor.maths import switch

    x = as_tensor_variable(x)
    below = tri(x.shape[x.ndim - 2], x.shape[x.ndim - 1], k=k - 1, dtype="bool")
    return switch(below, constant(0, dtype=x.type.dtype), x)


def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop``."""
    from tinygraph.tensor.maths import cast_to, maximum

    dtype = dtype or config.floatX
    steps = as_tensor_variable(num) - (1 if endpoint else 0)
    points = cast_to(arange(num), dtype)
    width = cast_to(as_tensor_variable(stop), dtype) - cast_to(as_tensor_variable(start), dtype)
    return cast_to(start, dtype) + points * (width / cast_to(maximum(steps, 1), dtype))


def meshgrid(*vectors: Any, indexing: str = "xy") -> list[Any]:
    """Coordinate arrays of a grid, as ``numpy.meshgrid``."""
    from tinygraph.tensor.shape import dimshuffle

    if indexing not in ("xy", "ij"):
        raise InvalidValue(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    xs = [as_tensor_variable(v) for v in vectors]
    n = len(xs)
    position = list(range(n))
    if indexing == "xy" and n > 1:
        position[0], position[1] = 1, 0
    sizes = [None] * n
    for i, p in enumerate(position):
        sizes[p] = xs[i].shape[0]
    grids = []
    for i, p in enumerate(position):
        pattern = ["x"] * n
        pattern[p] = 0  # type: ignore[call-overload]
        grids.append(alloc_op(dimshuffle(xs[i], pattern), *sizes))
    return grids
