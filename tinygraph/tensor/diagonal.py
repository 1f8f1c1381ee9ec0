"""Diagonals: reading them (a view), writing them, and what is made of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, dim_max, dim_min, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import broadcast_read
from tinygraph.tensor.shape import dimshuffle, normalise_axis, shape_i


def diagonal_length(rows: Dim, columns: Dim, offset: int) -> Dim:
    """Number of elements on a diagonal of an (rows, columns) matrix."""
    if offset >= 0:
        return dim_max(dim_min(rows, columns - offset), 0)
    return dim_max(dim_min(rows + offset, columns), 0)


class ExtractDiag(Op):
    """Diagonal ``offset`` of each matrix in the last two dimensions. Shapes: (..., m, n) -> (..., k). A view."""

    __props__ = ("offset",)
    view_map = {0: [0]}

    def __init__(self, offset: int = 0):
        self.offset = int(offset)

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(x.ndim >= 2, "at least 2 dimensions", x)
        return [(x.dtype, [*x.shape[:-2], diagonal_length(x.shape[-2], x.shape[-1], self.offset)])]

    def forward(self, x: Any) -> Any:
        return np.diagonal(x, self.offset, -2, -1)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like

        (x,) = inputs
        return [SetDiagonal(self.offset)(zeros_like(x), grads[0]) if x.type.dtype[0] == "f" else None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        *lead, row, column = x.ref.strides
        shape = b.shape(node.outputs[0])
        shift = [(max(-self.offset, 0), row), (max(self.offset, 0), column)] if shape[-1] else []
        return [b.view(x, shape, [*lead, row + column], shift)]


class SetDiagonal(Op):
    """``x`` with ``values`` in place of diagonal ``offset`` of each matrix in its last two dimensions.

    Shapes: (..., m, n), anything that broadcasts to (..., k) -> (..., m, n).
    """

    __props__ = ("offset",)

    def __init__(self, offset: int = 0):
        self.offset = int(offset)

    def infer(self, x: Operand, values: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(
            x.ndim >= 2 and values.ndim < x.ndim,
            "a tensor of at least 2 dimensions and its diagonal",
            x,
            values,
        )
        part = [*x.shape[:-2], diagonal_length(x.shape[-2], x.shape[-1], self.offset)]
        for have, want in zip(reversed(values.shape), reversed(part), strict=False):
            if have != 1 and may_differ(have, want):
                self.expect(
                    False,
                    f"values that broadcast to the diagonal's {tuple(part)}",
                    x,
                    values,
                    error=ShapeMismatch,
                )
        return [(x.dtype, x.shape)]

    def forward(self, x: Any, values: Any) -> Any:
        out = x.copy()
        i = np.arange(diagonal_length(x.shape[-2], x.shape[-1], self.offset))
        out[..., i + max(-self.offset, 0), i + max(self.offset, 0)] = values
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import sum_to

        (x, values), (g,) = inputs, grads
        if x.type.dtype[0] != "f":
            return [None, None]
        dx = self(g, as_tensor_variable(np.zeros((), g.type.dtype)))
        return [dx, sum_to(ExtractDiag(self.offset)(g), values) if values.type.dtype[0] == "f" else None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.creation import zeros_like

        dx, dv = (zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True))
        return [self(dx, dv)]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, values = inputs
        out = b.writable(x, node, 0)
        axes = b.axes(*x.shape[:-2], diagonal_length(x.shape[-2], x.shape[-1], self.offset))
        where = (*axes[:-1], axes[-1] + max(-self.offset, 0), axes[-1] + max(self.offset, 0))
        b.store_to(out.at(where), cast(broadcast_read(values, axes), out.dtype), axes=axes, accumulate=True)
        return [out]


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonal ``offset`` of the matrices in dimensions ``axis1`` and ``axis2``; it becomes the last dimension."""
    x = as_tensor_variable(x)
    if x.type.ndim < 2:
        raise InvalidValue(f"diagonal: at least 2 dimensions are needed, got {x} of type {x.type}")
    first, second = normalise_axis(axis1, x.type.ndim), normalise_axis(axis2, x.type.ndim)
    if first == second:
        raise InvalidValue(f"diagonal: axis1 and axis2 are both {axis1}")
    rest = [d for d in range(x.type.ndim) if d not in (first, second)]
    return ExtractDiag(offset)(dimshuffle(x, [*rest, first, second]))


def diag(v: Any, k: int = 0) -> Any:
    """Diagonal ``k`` of a matrix, or the square matrix with the vector ``v`` on its diagonal ``k``."""
    v = as_tensor_variable(v)
    if v.type.ndim == 1:
        return alloc_diag(v, k)
    if v.type.ndim == 2:
        return diagonal(v, k)
    raise InvalidValue(f"diag: a vector or a matrix is needed, got {v} of type {v.type}")


def alloc_diag(v: Any, offset: int = 0) -> Any:
    """Square matrices with vectors in the last dimension of ``v`` on a diagonal: (..., n) -> (..., n+|k|, n+|k|)."""
    from tinygraph.tensor.creation import zeros
    from tinygraph.tensor.shape import shape_tuple

    v = as_tensor_variable(v)
    n = shape_tuple(v)[-1] + abs(int(offset))
    return SetDiagonal(offset)(zeros((*shape_tuple(v)[:-1], n, n), dtype=v.type.dtype), v)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of a diagonal: (..., n, n) -> (...)."""
    return diagonal(x, offset, axis1, axis2).sum(axis=-1)


def fill_diagonal(a: Any, val: Any) -> Any:
    """``a`` with the scalar ``val`` on its main diagonal. More than two dimensions must be of one size."""
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.keys import set_subtensor

    a = as_tensor_variable(a)
    val = _scalar_for(a, val, "fill_diagonal")
    if a.type.ndim == 2:
        return SetDiagonal(0)(a, val)
    if a.type.ndim < 2:
        raise InvalidValue(f"fill_diagonal: at least 2 dimensions are needed, got {a} of type {a.type}")
    if len({d for d in a.type.shape if d is not None}) > 1:
        raise ShapeMismatch(f"fill_diagonal: all dimensions must be of one size, got {a} of type {a.type}")
    return set_subtensor(a[(arange(shape_i(a, 0)),) * a.type.ndim], val)


def fill_diagonal_offset(a: Any, val: Any, offset: Any) -> Any:
    """A matrix ``a`` with the scalar ``val`` on its diagonal ``offset`` (a number or an integer scalar)."""
    from tinygraph.graph.variable import Constant
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.maths import eq, switch

    a = as_tensor_variable(a)
    if a.type.ndim != 2:
        raise InvalidValue(f"fill_diagonal_offset: a matrix is needed, got {a} of type {a.type}")
    val, offset = _scalar_for(a, val, "fill_diagonal_offset"), as_tensor_variable(offset)
    if isinstance(offset, Constant):
        return SetDiagonal(int(offset.data))(a, val)
    rows, columns = dimshuffle(arange(shape_i(a, 0)), (0, "x")), dimshuffle(arange(shape_i(a, 1)), ("x", 0))
    return switch(eq(rows + offset, columns), val, a)


def _scalar_for(a: Any, val: Any, what: str) -> Any:
    from tinygraph.tensor.maths import cast_to

    val = as_tensor_variable(val)
    if val.type.ndim:
        raise InvalidValue(f"{what}: the value must be a scalar, got {val} of type {val.type}")
    return cast_to(val, a.type.dtype)
