"""Linear algebra: diagonals, inverses that are multiplied or solved with, determinants under a logarithm.

What would hide that a matrix is singular, which raises, or a product of 0 and infinity, is ``fast_math``.
"""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.dots import transposed
from tinygraph.passes.facts import applied, const, dtype, is_float, is_zero, made_by, ndim
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.tensor.diagonal import ExtractDiag, SetDiagonal
from tinygraph.tensor.dot import Dot
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import Slice, Subtensor
from tinygraph.tensor.maths import lt, mul, switch, true_div
from tinygraph.tensor.nlinalg import Det, MatrixInverse, SLogDet, Solve
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle, shape_i

_TURN = DimShuffle(2, (1, 0))


def diagonal_of(v: Variable) -> Any:
    """The vector that the square matrix ``v`` is zero but for, on its main diagonal; None if it is none such."""
    node = applied(v, SetDiagonal)
    if node is None or node.op.offset or ndim(v) != 2 or not is_zero(node.inputs[0]):
        return None
    return node.inputs[1] if ndim(node.inputs[1]) == 1 and dtype(node.inputs[1]) == dtype(v) else None


@rule(ExtractDiag)
def diag_of_diag(node: Apply, context: Context) -> Any:
    """diag(diag(v)) -> v, if v has the length of the diagonal."""
    inner = applied(node.inputs[0], SetDiagonal)
    if inner is None or inner.op.offset != node.op.offset or dtype(inner.inputs[1]) != dtype(node.outputs[0]):
        return None
    return inner.inputs[1] if context.shapes.same(inner.inputs[1], node.outputs[0]) else None


@rule(ExtractDiag)
def diag_of_transpose(node: Apply) -> Any:
    """diag(x.T) -> diag(x)."""
    x = transposed(node.inputs[0])
    return None if x is None else ExtractDiag(-node.op.offset)(x)


@rule(ExtractDiag, tags="specialise")
def diag_of_elemwise(node: Apply, context: Context) -> Any:
    """diag(f(x, y)) -> f(diag(x), diag(y)), if f is elementwise, used once, its operands scalars or of its shape."""
    v = node.inputs[0]
    inner = applied(v, Elemwise)
    if inner is None or ndim(v) != 2 or not context.once(v):
        return None
    if any(ndim(p) and not context.shapes.same(p, v) for p in inner.inputs):
        return None
    return inner.op(*[node.op(p) if ndim(p) else p for p in inner.inputs])


@rule(ExtractDiag, tags="specialise", numerics="rounding")
def diag_of_dot(node: Apply, context: Context) -> Any:
    """diag(dot(x, y)) -> sum(x * y.T, axis=1), the product used once; so for the trace of a product."""
    v = node.inputs[0]
    inner = applied(v, Dot)
    if inner is None or node.op.offset or not is_float(v) or not context.once(v):
        return None
    x, y = inner.inputs
    if ndim(x) != 2 or ndim(y) != 2 or not dtype(x) == dtype(y) == dtype(v):
        return None
    y = _TURN(y)
    rows, columns = context.shapes.of(v)
    if not same_sizes((rows,), (columns,)):
        first = Subtensor((Slice(None, "?"),))
        x, y = first(x, shape_i(y, 0)), first(y, shape_i(x, 0))
    return Reduce("add", (1,), dtype(v))(mul(x, y))


# -- inverses ---------------------------------------------------------------------------------------------------------


@rule(MatrixInverse, numerics="rounding")
def inverse_of_transpose(node: Apply, context: Context) -> Any:
    """inverse(x.T) -> inverse(x).T."""
    x = transposed(node.inputs[0])
    return None if x is None else _TURN(node.op(x))


@rule(MatrixInverse, numerics="fast_math")
def inverse_of_inverse(node: Apply) -> Any:
    """inverse(inverse(x)) -> x: hides that x is singular."""
    inner = applied(node.inputs[0], MatrixInverse)
    return None if inner is None else inner.inputs[0]


@rule(MatrixInverse, numerics="fast_math")
def inverse_of_diag(node: Apply, context: Context) -> Any:
    """inverse(diag(v)) -> diag(1 / v): hides that an element is 0."""
    v = diagonal_of(node.inputs[0])
    if v is None:
        return None
    zeros = node.inputs[0].owner.inputs[0]  # type: ignore[union-attr]
    return SetDiagonal()(zeros, true_div(const(1, v), v))


@rule(Dot, tags="specialise", numerics="rounding")
def product_with_inverse(node: Apply, context: Context) -> Any:
    """dot(inverse(x), y) -> solve(x, y); dot(y, inverse(x)) -> solve(x.T, y.T).T, the inverse used once."""
    p, q = node.inputs
    for v, other, left in ((p, q, True), (q, p, False)):
        inner = applied(v, MatrixInverse)
        if inner is None or ndim(v) != 2 or not context.once(v) or dtype(v) != dtype(other):
            continue
        x = inner.inputs[0]
        if left:
            return Solve()(x, other) if ndim(other) in (1, 2) else None
        if ndim(other) == 2:
            return _TURN(Solve()(_TURN(x), _TURN(other)))
        return Solve()(_TURN(x), other) if ndim(other) == 1 else None
    return None


# -- determinants -----------------------------------------------------------------------------------------------------


@rule("log", tags="stabilise", numerics="improves")
def log_of_determinant(node: Apply) -> Any:
    """log(abs(det(x))) -> slogdet(x)[1]; log(det(x)) -> the same, nan where the sign is -1: det overflows early."""
    v = node.inputs[0]
    size = made_by(v, "abs")
    inner = applied(size.inputs[0] if size is not None else v, Det)
    if inner is None or dtype(inner.outputs[0]) != dtype(node.outputs[0]):
        return None
    sign, logarithm = SLogDet()(inner.inputs[0])
    if size is not None:
        return logarithm
    return switch(lt(sign, const(0, sign)), const("nan", logarithm), logarithm)


@rule(Det, numerics="fast_math")
def det_of_inverse(node: Apply) -> Any:
    """det(inverse(x)) -> 1 / det(x): hides that x is singular."""
    inner = applied(node.inputs[0], MatrixInverse)
    return None if inner is None else true_div(const(1, node.outputs[0]), node.op(inner.inputs[0]))


@rule(Det, numerics="rounding")
def det_of_diag(node: Apply, context: Context) -> Any:
    """det(diag(v)) -> prod(v), if v has the length of the diagonal."""
    v = diagonal_of(node.inputs[0])
    if v is None or not same_sizes(context.shapes.of(v), context.shapes.of(node.inputs[0])[:1]):
        return None
    return Reduce("mul", (0,), dtype(v))(v)


@rule(Dot, tags="specialise", numerics="fast_math")
def dot_of_diag(node: Apply, context: Context) -> Any:
    """dot(diag(v), x) -> v[:, newaxis] * x; dot(x, diag(v)) -> x * v: hides 0 * nan and 0 * infinity."""
    p, q = node.inputs
    v = diagonal_of(p)
    if v is not None and ndim(q) in (1, 2):
        column = v if ndim(q) == 1 else DimShuffle(1, (0, "x"))(v)
        return fitted(mul(column, q), node.outputs[0], context)
    v = diagonal_of(q)
    return None if v is None or not ndim(p) else fitted(mul(p, v), node.outputs[0], context)
