"""Matrix products, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, broadcast_shapes, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import upcast
from tinygraph.tensor.shape import dimshuffle, swapaxes


class Dot(Op):
    """Matrix product ``a @ b`` of vectors and matrices.

    Shapes: (m, k), (k, n) -> (m, n); a vector stands for a row on the left and a column on the right, and its
    dimension is left out of the result. Dtype: the operands' upcast.
    Gradient: M. Giles, Oxford report NA-08/01 (2008), section 2.2.1.
    """

    __props__ = ()

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(a.ndim in (1, 2) and b.ndim in (1, 2), "vectors or matrices", a, b)
        self.expect(not may_differ(a.shape[-1], b.shape[0]), "equal inner sizes", a, b, error=ShapeMismatch)
        return [(upcast(a.dtype, b.dtype), [*a.shape[:-1], *b.shape[1:]])]

    def forward(self, a: Any, b: Any) -> Any:
        return np_dot(a, b)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.maths import cast_to

        (a, b), (g,) = inputs, grads
        if a.type.ndim == 1 and b.type.ndim == 1:
            da, db = g * b, g * a
        elif a.type.ndim == 1:
            da, db = dot_op(b, g), dimshuffle(a, (0, "x")) * dimshuffle(g, ("x", 0))
        elif b.type.ndim == 1:
            da, db = dimshuffle(g, (0, "x")) * dimshuffle(b, ("x", 0)), dot_op(g, a)
        else:
            da, db = dot_op(g, dimshuffle(b, (1, 0))), dot_op(dimshuffle(a, (1, 0)), g)
        return [cast_to(d, v.type.dtype) if v.type.dtype[0] == "f" else None for d, v in ((da, a), (db, b))]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return bilinear_jvp(self, inputs, tangents)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, y = inputs
        dtype = node.outputs[0].type.dtype
        (k,) = b.axes(x.shape[-1])
        rows, columns = b.axes(*x.shape[:-1]), b.axes(*y.shape[1:])
        product = cast(x[(*rows, k)], dtype) * cast(y[(k, *columns)], dtype)
        return [b.reduce("add", product, over=(k,), into=(*rows, *columns))]


class BatchedDot(Op):
    """Matrix products of stacks: (..., m, k), (..., k, n) -> (..., m, n), the leading dimensions broadcast."""

    __props__ = ()

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(a.ndim >= 2 and b.ndim >= 2, "stacks of matrices", a, b)
        self.expect(not may_differ(a.shape[-1], b.shape[-2]), "equal inner sizes", a, b, error=ShapeMismatch)
        try:
            lead = broadcast_shapes([a.shape[:-2], b.shape[:-2]])
        except ShapeMismatch:
            raise ShapeMismatch(f"{self}: the leading dimensions of {a} and {b} do not broadcast") from None
        return [(upcast(a.dtype, b.dtype), [*lead, a.shape[-2], b.shape[-1]])]

    def forward(self, a: Any, b: Any) -> Any:
        import numpy as np

        return np.matmul(a, b)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import sum_to

        (a, b), (g,) = inputs, grads
        da = sum_to(self(g, swapaxes(b, -1, -2)), a) if a.type.dtype[0] == "f" else None
        db = sum_to(self(swapaxes(a, -1, -2), g), b) if b.type.dtype[0] == "f" else None
        return [da, db]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return bilinear_jvp(self, inputs, tangents)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        from tinygraph.tensor.elemwise import broadcast_read

        x, y = inputs
        dtype = node.outputs[0].type.dtype
        out = b.shape(node.outputs[0])
        lead, (m, n), (k,) = b.axes(*out[:-2]), b.axes(*out[-2:]), b.axes(x.shape[-1])
        left, right = broadcast_read(x, (*lead, m, k)), broadcast_read(y, (*lead, k, n))
        return [b.reduce("add", cast(left, dtype) * cast(right, dtype), over=(k,), into=(*lead, m, n))]


def np_dot(a: Any, b: Any) -> Any:
    import numpy as np

    return np.dot(a, b)


def bilinear_jvp(op: Op, inputs: Sequence[Variable], tangents: Sequence[Variable | None]) -> list[Variable | None]:
    """Tangent of an op linear in each of two operands."""
    (a, b), (da, db) = inputs, tangents
    parts = ([op(da, b)] if da is not None else []) + ([op(a, db)] if db is not None else [])
    return [None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]]


dot_op = Dot()
batched_dot_op = BatchedDot()


def dot(a: Any, b: Any) -> Any:
    """Inner product over the last dimension of ``a`` and the last but one (or only) of ``b``; scalars multiply."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 0 or b.type.ndim == 0:
        return a * b
    if a.type.ndim > 2 or b.type.ndim > 2:
        from tinygraph.tensor.contract import tensordot

        return tensordot(a, b, axes=[[a.type.ndim - 1], [max(b.type.ndim - 2, 0)]])
    return dot_op(a, b)


def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` with NumPy's rules: stacks of matrices, whose leading dimensions broadcast."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 0 or b.type.ndim == 0:
        raise ShapeMismatch("matmul: scalars are not allowed; use *")
    if a.type.ndim <= 2 and b.type.ndim <= 2:
        return dot_op(a, b)
    if a.type.ndim == 1:
        return dimshuffle(matmul(dimshuffle(a, ("x", 0)), b), [*range(b.type.ndim - 2), b.type.ndim - 1])
    if b.type.ndim == 1:
        return dimshuffle(matmul(a, dimshuffle(b, (0, "x"))), list(range(a.type.ndim - 1)))
    return batched_dot_op(a, b)


def batched_dot(a: Any, b: Any) -> Any:
    """For each i along the first dimension, ``dot(a[i], b[i])``: (n, ...), (n, ...) -> (n, ...)."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    if a.type.ndim == 0 or b.type.ndim == 0:
        raise ShapeMismatch("batched_dot: both operands need a batch dimension")
    if a.type.ndim == 1 or b.type.ndim == 1:
        one, other = (a, b) if a.type.ndim == 1 else (b, a)
        return dimshuffle(one, [0] + ["x"] * (other.type.ndim - 1)) * other
    if a.type.ndim == 2 and b.type.ndim == 2:
        return (a * b).sum(axis=1)
    if a.type.ndim == 2:
        y = batched_dot_op(dimshuffle(a, (0, "x", 1)), b)
        return dimshuffle(y, [0, *range(2, y.type.ndim)])
    if b.type.ndim == 2:
        y = batched_dot_op(a, dimshuffle(b, (0, 1, "x")))
        return dimshuffle(y, list(range(y.type.ndim - 1)))
    if a.type.ndim > 3 or b.type.ndim > 3:
        from tinygraph.tensor.contract import batched_tensordot

        return batched_tensordot(a, b, [[a.type.ndim - 1], [b.type.ndim - 2]])
    return batched_dot_op(a, b)


def outer(a: Any, b: Any) -> Any:
    """Outer product of two vectors (other ranks are flattened): (m,), (n,) -> (m, n)."""
    a, b = as_tensor_variable(a).flatten(), as_tensor_variable(b).flatten()
    return dimshuffle(a, (0, "x")) * dimshuffle(b, ("x", 0))
