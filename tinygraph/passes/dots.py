"""Matrix products: factors taken out, transpositions absorbed, products with zero and with one-hot rows."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, const, dtype, equals, is_float, is_zero, made_by, ndim
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.tensor.advanced_index import AdvancedIncSubtensor, AdvancedSubtensor
from tinygraph.tensor.creation import ARange
from tinygraph.tensor.dot import Dot, dot_op
from tinygraph.tensor.maths import mul, neg, true_div
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle

TRANSPOSED = (1, 0)


def transposed(v: Variable) -> Any:
    """The matrix of which ``v`` is the transposition, or None."""
    node = applied(v, DimShuffle)
    return node.inputs[0] if node is not None and node.op.new_order == TRANSPOSED else None


@rule(DimShuffle)
def transpose_of_dot(node: Apply, context: Context) -> Any:
    """dot(x, y).T -> dot(y.T, x.T), if the product is used once: transpositions are free inside a gemm."""
    inner = applied(node.inputs[0], Dot)
    if inner is None or node.op.new_order != TRANSPOSED or not context.once(node.inputs[0]):
        return None
    x, y = inner.inputs
    if ndim(x) != 2 or ndim(y) != 2:
        return None
    turn = DimShuffle(2, TRANSPOSED)
    return dot_op(turn(y), turn(x))


@rule(Dot, numerics="rounding")
def dot_of_multiple(node: Apply, context: Context) -> Any:
    """dot(a * x, y) -> a * dot(x, y); dot(-x, y) -> -dot(x, y), for scalars a: they become gemm's alpha."""
    out = node.outputs[0]
    if not is_float(out):
        return None
    for i, v in enumerate(node.inputs):
        inner = made_by(v, "mul", "div", "neg")
        if inner is None or dtype(v) != dtype(out) or not context.once(v):
            continue
        name = inner.op.scalar_op.name
        if name == "neg":
            return neg(_with(node, i, inner.inputs[0]))
        pairs = [tuple(inner.inputs)] if name == "div" else [tuple(inner.inputs), tuple(inner.inputs[::-1])]
        for x, a in pairs:
            if dtype(x) == dtype(v) and ndim(x) == ndim(v) and _one_element(a) and context.shapes.same(x, v):
                scalar = DimShuffle(ndim(a), [])(a) if ndim(a) else a
                product = _with(node, i, x)
                return fitted(true_div(product, scalar) if name == "div" else mul(scalar, product), out, context)
    return None


def _with(node: Apply, i: int, x: Variable) -> Any:
    return dot_op(*[x if j == i else v for j, v in enumerate(node.inputs)])


def _one_element(v: Variable) -> bool:
    return all(d == 1 for d in v.type.shape)  # type: ignore[attr-defined]


@rule(Dot, numerics="fast_math")
def dot_of_zeros(node: Apply, context: Context) -> Any:
    """dot(0, x) -> 0: hides nan and infinity in x."""
    out = node.outputs[0]
    if not any(is_zero(v) for v in node.inputs):
        return None
    return fitted(const(0, out), out, context, spread=True)


@rule(Dot)
def dot_of_integer_zeros(node: Apply, context: Context) -> Any:
    """dot(0, x) -> 0, for integers."""
    out = node.outputs[0]
    if is_float(out) or not any(is_zero(v) for v in node.inputs):
        return None
    return fitted(const(0, out), out, context, spread=True)


@rule("add", "sub", tags="specialise", numerics="fast_math")
def sum_of_dots(node: Apply, context: Context) -> Any:
    """dot(x, y) + dot(x, z) -> dot(x, y + z), both used once: one gemm instead of two; y + z may overflow."""
    a, b = (applied(v, Dot) for v in node.inputs)
    if a is None or b is None or a is b or not all(context.once(v) for v in node.inputs):
        return None
    if not is_float(node.outputs[0]) or any(ndim(v) != 2 for v in (*a.inputs, *b.inputs)):
        return None
    if dtype(node.inputs[0]) != dtype(node.inputs[1]) or not context.shapes.same(*node.inputs):
        return None
    (x, y), (u, v) = a.inputs, b.inputs
    if x is u and context.shapes.same(y, v):
        return dot_op(x, node.op(y, v))
    if y is v and context.shapes.same(x, u):
        return dot_op(node.op(x, u), y)
    return None


@rule(Reduce, tags="specialise", numerics="fast_math")
def sum_of_dot(node: Apply, context: Context) -> Any:
    """sum(dot(x, y), axis=0) -> dot(sum(x, axis=0), y), and for axis 1: gemv instead of gemm; the sum may overflow."""
    inner = applied(node.inputs[0], Dot)
    if inner is None or node.op.combine != "add" or not context.once(node.inputs[0]) or not is_float(node.inputs[0]):
        return None
    x, y = inner.inputs
    if ndim(x) != 2 or ndim(y) != 2 or dtype(x) != dtype(y) or node.op.dtype != dtype(x):
        return None
    rows, columns = Reduce("add", (0,), dtype(x)), Reduce("add", (1,), dtype(x))
    if node.op.axes == (0,):
        return dot_op(rows(x), y)
    if node.op.axes == (1,):
        return dot_op(x, columns(y))
    return dot_op(rows(x), columns(y)) if node.op.axes == (0, 1) else None


def one_hot_columns(v: Variable, context: Context) -> Any:
    """``(rows, i)`` if ``v`` is zeros with a one at ``[arange(n), i]`` in each of its n rows, else None."""
    node = applied(v, AdvancedIncSubtensor)
    if node is None or node.op.axes != (0, 1) or not node.op.set_instead_of_inc or ndim(v) != 2:
        return None
    zeros, value, rows, i = node.inputs
    positions = applied(rows, ARange)
    if positions is None or not is_zero(zeros) or not equals(value, 1) or ndim(i) != 1:
        return None
    count = context.shapes.of(rows)[0]
    whole = same_sizes((count,), (context.shapes.of(v)[0],)) and same_sizes((count,), (context.shapes.of(i)[0],))
    return (rows, i) if whole and equals(positions.inputs[0], 0) and equals(positions.inputs[2], 1) else None


@rule(Dot, tags="specialise", numerics="fast_math")
def one_hot_dot(node: Apply, context: Context) -> Any:
    """dot(one_hot(i), w) -> w[i]: nan and infinity in the rows not chosen, times 0, are no longer seen."""
    hot = one_hot_columns(node.inputs[0], context)
    if hot is None or ndim(node.inputs[1]) != 2:
        return None
    return fitted(AdvancedSubtensor((0,))(node.inputs[1], hot[1]), node.outputs[0], context)


@rule(Reduce, tags="specialise", numerics="fast_math")
def one_hot_sum(node: Apply, context: Context) -> Any:
    """sum(one_hot(i) * x, axis=1) -> x[arange(n), i]: nan and infinity elsewhere, times 0, are no longer seen."""
    product = made_by(node.inputs[0], "mul")
    if product is None or node.op.combine != "add" or node.op.axes != (1,):
        return None
    for v, x in (product.inputs, product.inputs[::-1]):
        hot = one_hot_columns(v, context)
        if hot is not None and ndim(x) == 2 and context.shapes.same(x, v):
            return fitted(AdvancedSubtensor((0, 1))(x, *hot), node.outputs[0], context)
    return None


@rule(Reduce, tags="specialise", numerics="rounding")
def sum_of_products(node: Apply, context: Context) -> Any:
    """sum(x * y) -> dot(x, y), for vectors of one shape, the product used once."""
    x = node.inputs[0]
    inner = made_by(x, "mul", "sqr")
    if inner is None or node.op.combine != "add" or ndim(x) != 1 or not is_float(x) or not context.once(x):
        return None
    a, b = inner.inputs if len(inner.inputs) == 2 else (inner.inputs[0], inner.inputs[0])
    if ndim(a) != 1 or ndim(b) != 1 or dtype(a) != dtype(b) or node.op.dtype != dtype(a):
        return None
    return dot_op(a, b) if context.shapes.same(a, b) else None
