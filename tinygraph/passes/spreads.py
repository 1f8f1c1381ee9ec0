"""Spread values (Alloc) and rearrangements (DimShuffle) moved to where they cost nothing; sums freed of factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, dtype, is_float, is_positive, made_by, ndim, number
from tinygraph.passes.fit import padded
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.passes.softmaxes import constant_along
from tinygraph.tensor.broadcast import Alloc, SumTo
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.join import Join
from tinygraph.tensor.maths import cast_to, mul, neg, true_div
from tinygraph.tensor.nnet.softmax import LogSoftmax, Softmax
from tinygraph.tensor.reduce import ArgReduce, Reduce
from tinygraph.tensor.shape import DimShuffle


@rule(Elemwise)
def elemwise_alloc(node: Apply, context: Context) -> Any:
    """f(alloc(v, n, m), y) -> f(v, y), if y is proven to have that shape: f broadcasts by itself."""
    out = node.outputs[0]
    found = None
    for i, a in enumerate(node.inputs):
        inner = applied(a, Alloc)
        if inner is None:
            continue
        small = inner.inputs[0]
        rest = [v for j, v in enumerate(node.inputs) if j != i]
        if not rest or ndim(out) > max(map(ndim, rest)):
            continue
        shape = context.shapes.join([*map(context.shapes.of, rest), context.shapes.of(small)])
        if same_sizes(shape, context.shapes.of(out)):
            found = [*node.inputs[:i], small, *node.inputs[i + 1 :]]
            break
    return None if found is None else node.op(*found)


@rule(Elemwise)
def unary_of_alloc(node: Apply, context: Context) -> Any:
    """f(alloc(v, n, m)) -> alloc(f(v), n, m): one value instead of many; also where all other operands are numbers."""
    spread = [v for v in node.inputs if applied(v, Alloc)]
    if not spread or any(ndim(v) for v in node.inputs if v not in spread):
        return None
    first = spread[0]
    if any(not context.shapes.same(v, first) for v in spread):
        return None
    small = [v.owner.inputs[0] if v in spread else v for v in node.inputs]  # type: ignore[union-attr]
    return first.owner.op(node.op(*small), *first.owner.inputs[1:])  # type: ignore[union-attr]


@rule(DimShuffle)
def dimshuffle_alloc(node: Apply, context: Context) -> Any:
    """dimshuffle(alloc(v, n), ('x', 0)) -> alloc(v, 1, n), for v of one element."""
    inner = applied(node.inputs[0], Alloc)
    if inner is None or node.op.dropped:
        return None
    v, sizes = inner.inputs[0], inner.inputs[1:]
    if all(d == 1 for d in v.type.shape):  # type: ignore[attr-defined]
        scalar = DimShuffle(ndim(v), [])(v) if ndim(v) else v
        return inner.op(scalar, *[1 if d == "x" else sizes[d] for d in node.op.new_order])
    return None


@rule(Alloc)
def alloc_of_dimshuffle(node: Apply, context: Context) -> Any:
    """alloc(dimshuffle(v, ('x', 'x')), n, m) -> alloc(v, n, m), for v a scalar."""
    v = node.inputs[0]
    inner = applied(v, DimShuffle)
    if inner is None or any(d != "x" for d in inner.op.new_order):
        return None
    source = inner.inputs[0]
    return node.op(DimShuffle(ndim(source), [])(source) if ndim(source) else source, *node.inputs[1:])


@rule(DimShuffle)
def dimshuffle_elemwise(node: Apply, context: Context) -> Any:
    """dimshuffle(f(x, y), order) -> f(dimshuffle(x, ...), dimshuffle(y, ...)), if f's result is used once.

    Views move to the leaves, where they meet others and where products and sums see through them.
    """
    v = node.inputs[0]
    inner = applied(v, Elemwise)
    n = ndim(v)
    if inner is None or not n or not context.once(v):
        return None
    moved = []
    for x in inner.inputs:
        if number(x) is not None and ndim(x) == 0 or not ndim(x) and len(inner.inputs) > 1:
            moved.append(x)
            continue
        full = padded(x, n)
        moved.append(DimShuffle(n, node.op.new_order)(full))
    made = inner.op(*moved)
    return made if ndim(made) == len(node.op.new_order) else padded(made, len(node.op.new_order))


# -- sums --------------------------------------------------------------------------------------------------------------


@rule(Reduce, numerics="rounding")
def sum_of_multiple(node: Apply, context: Context) -> Any:
    """sum(c * x) -> c * sum(x); sum(x / n) -> sum(x) / n; sum(-x) -> -sum(x), for numbers c and integers n."""
    (x,) = node.inputs
    inner = made_by(x, "neg")
    if inner is not None and node.op.combine == "add" and is_float(x) and dtype(x) == node.op.dtype and context.once(x):
        return neg(node.op(inner.inputs[0]))
    return _factor_out(node, context, _is_plain)


@rule(Reduce, tags="stabilise", numerics="improves")
def sum_of_positive_multiple(node: Apply, context: Context) -> Any:
    """sum(x / c) -> sum(x) / c; sum(c * x) -> c * sum(x), for c an exp, a sum of exp, a sigmoid or softmax.

    c must be the same along the summed axes. It is a positive number by mathematics; where it overflows the original
    is nan. In the gradient of naive softmax it then meets the exponential outside the sum.
    """
    return _factor_out(node, context, _is_positive_number)


def _factor_out(node: Apply, context: Context, allowed: Callable[[Variable], bool]) -> Any:
    """The sum of a product as the product of the sum with an ``allowed`` factor that is constant along the axes."""
    (x,), out = node.inputs, node.outputs[0]
    inner = made_by(x, "mul", "div")
    if node.op.combine != "add" or inner is None or not is_float(x) or dtype(x) != dtype(out) or not context.once(x):
        return None
    divides = inner.op.scalar_op.name == "div"
    a, b = inner.inputs
    for y, c in ((a, b),) if divides else ((a, b), (b, a)):
        if ndim(y) != ndim(x) or not allowed(c):
            continue
        factor = along_kept(c, ndim(x), node.op.axes)
        if factor is None or (applied(c, Alloc) and not context.shapes.same(y, x)):
            continue  # where c is of size 1 along the summed axes, y has their full size
        total = node.op(cast_to(y, dtype(x)))
        return true_div(total, factor) if divides else mul(factor, total)
    return None


def _is_plain(c: Variable) -> bool:
    """A finite number other than 0, or an integer."""
    value = number(c)
    if value is not None:
        return bool(np.isfinite(value)) and value != 0
    while applied(c, DimShuffle) or made_by(c, "cast"):
        c = c.owner.inputs[0]  # type: ignore[union-attr]
    return not is_float(c)


def _is_positive_number(c: Variable) -> bool:
    while applied(c, DimShuffle):
        c = c.owner.inputs[0]  # type: ignore[union-attr]
    total = applied(c, Reduce)
    return is_positive(c) or (total is not None and total.op.combine == "add" and is_positive(total.inputs[0]))


def along_kept(c: Variable, n: int, axes: tuple[int, ...]) -> Any:
    """``c``, which broadcasts to n dimensions, without the dimensions ``axes``, along which it must be constant."""
    if not all(constant_along(c, n, a) for a in axes):
        return None
    inner = applied(c, Alloc)
    if inner is not None:
        return along_kept(inner.inputs[0], n, axes)
    lead = n - ndim(c)
    if any(a >= lead and c.type.shape[a - lead] != 1 for a in axes):  # type: ignore[attr-defined]
        return None
    kept = [d for d in range(ndim(c)) if d + lead not in axes]
    return c if len(kept) == ndim(c) else DimShuffle(ndim(c), kept)(c)


@rule(Reduce, numerics="rounding")
def sum_of_alloc(node: Apply, context: Context) -> Any:
    """sum(alloc(v, n, m)) -> v * n * m, for a scalar v; max(alloc(v, ...)) is left, as it raises for none."""
    (x,), out = node.inputs, node.outputs[0]
    inner = applied(x, Alloc)
    if inner is None or node.op.combine != "add" or not is_float(x) or dtype(x) != dtype(out):
        return None
    v = inner.inputs[0]
    if any(d != 1 for d in v.type.shape):  # type: ignore[attr-defined]
        return None
    count: Any = None
    for a in node.op.axes:
        size = cast_to(inner.inputs[1 + a], dtype(x))
        count = size if count is None else mul(count, size)
    if count is None:
        return None
    scalar = DimShuffle(ndim(v), [])(v) if ndim(v) else v
    total = mul(scalar, count)
    kept = [inner.inputs[1 + i] for i in range(ndim(x)) if i not in node.op.axes]
    return inner.op(total, *kept) if kept else total


@rule(Reduce)
def reduce_dimshuffle(node: Apply, context: Context) -> Any:
    """sum(x.T, axis=0) -> sum(x, axis=1), and so for any rearrangement that only permutes or puts in dimensions."""
    inner = applied(node.inputs[0], DimShuffle)
    if inner is None or inner.op.dropped:
        return None
    order, axes = inner.op.new_order, node.op.axes
    kept = [d for i, d in enumerate(order) if i not in axes]
    over = tuple(sorted(order[a] for a in axes if order[a] != "x"))
    total = Reduce(node.op.combine, over, node.op.dtype)(inner.inputs[0])
    left = [d for d in range(inner.op.input_ndim) if d not in over]
    positions: list[Any] = ["x" if d == "x" else left.index(d) for d in kept]
    return total if positions == list(range(ndim(total))) else DimShuffle(ndim(total), positions)(total)


@rule(Reduce, numerics="rounding")
def reduce_reduce(node: Apply, context: Context) -> Any:
    """sum(sum(x, axis=1), axis=0) -> sum(x, axis=(0, 1)); also max, min, prod, all, any of their own kind."""
    inner = applied(node.inputs[0], Reduce)
    if inner is None or inner.op.combine != node.op.combine or not context.once(node.inputs[0]):
        return None
    x = inner.inputs[0]
    if inner.op.dtype != node.op.dtype or (node.op.combine not in ("and", "or") and dtype(x) != node.op.dtype):
        return None
    kept = [d for d in range(ndim(x)) if d not in inner.op.axes]
    axes = tuple(sorted({*inner.op.axes, *(kept[a] for a in node.op.axes)}))
    return Reduce(node.op.combine, axes, node.op.dtype)(x)


@rule(Reduce, numerics="rounding")
def sum_of_join(node: Apply, context: Context) -> Any:
    """sum(join(0, x, y), axis=0) -> sum(x, axis=0) + sum(y, axis=0), if the joined tensor is used once."""
    joined = node.inputs[0]
    inner = applied(joined, Join)
    if inner is None or node.op.combine != "add" or inner.op.axis not in node.op.axes or not context.once(joined):
        return None
    if len(inner.inputs) > 4 or any(dtype(v) != dtype(joined) for v in inner.inputs):
        return None
    total: Any = None
    for v in inner.inputs:
        part = node.op(v)
        total = part if total is None else total + part
    return total


@rule(ArgReduce, numerics="fast_math")
def argmax_of_softmax(node: Apply) -> Any:
    """argmax(softmax(x)) -> argmax(x), along the axis: differs for nan and for ties made by rounding."""
    inner = applied(node.inputs[0], Softmax, LogSoftmax)
    return node.op(inner.inputs[0]) if inner is not None and node.op.axes == (inner.op.axis,) else None


@rule(SumTo)
def sum_to_of_neg(node: Apply, context: Context) -> Any:
    """sum_to(-x, s) -> -sum_to(x, s)."""
    inner = made_by(node.inputs[0], "neg")
    if inner is None or not context.once(node.inputs[0]):
        return None
    return neg(node.op(inner.inputs[0], node.inputs[1]))
