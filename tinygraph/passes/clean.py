"""Identity removal: casts, transpositions, reshapes and spreads that change nothing, and chains of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.gradient.modifiers import GradientModifier
from tinygraph.graph.dims import dim_prod
from tinygraph.graph.op import Apply
from tinygraph.passes.facts import applied, dtype, is_float, made_by, ndim, number
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.tensor.broadcast import Alloc, SumTo, alloc_op
from tinygraph.tensor.join import Join
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle, Reshape, SpecifyShape

_INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@rule("identity", "held_constant", GradientModifier)
def identity_removed(node: Apply) -> Any:
    """identity(x) -> x; held_constant(x), grad_clip(x) ... -> x, as gradients are taken before rewriting."""
    return node.inputs[0]


@rule("cast")
def cast_same(node: Apply) -> Any:
    """cast(x, t) -> x, if x is of dtype t."""
    (x,) = node.inputs
    return x if dtype(x) == dtype(node.outputs[0]) else None


@rule("cast")
def cast_cast(node: Apply) -> Any:
    """cast(cast(x, a), b) -> cast(x, b), if every value of x's dtype is one of a (a -> b may lose what it likes)."""
    inner = made_by(node.inputs[0], "cast")
    if inner is None:
        return None
    x, between, last = inner.inputs[0], dtype(node.inputs[0]), dtype(node.outputs[0])
    if not np.can_cast(dtype(x), between, "safe") or between == "bool":
        return None
    if last not in _INTEGERS or dtype(x) in _INTEGERS or dtype(x) == between:
        return cast_to(x, last)
    return None  # float to integer: out of range the intermediate type may decide the result


@rule("round_away", "rint", "floor", "ceil", "trunc")
def rounding_of_rounded(node: Apply) -> Any:
    """round(r(x)) -> r(x), r any rounding, or a cast of integers."""
    (x,) = node.inputs
    inner = made_by(x, "floor", "ceil", "trunc", "rint", "round_away", "cast")
    if inner is None or dtype(x) != dtype(node.outputs[0]):
        return None
    return x if inner.op.scalar_op.name != "cast" or dtype(inner.inputs[0]) in _INTEGERS else None


@rule(DimShuffle)
def dimshuffle_identity(node: Apply) -> Any:
    """dimshuffle(x, (0, 1, ...)) -> x, if each dimension stays, or is of size 1 and another such takes its place."""
    order = node.op.new_order
    if len(order) != node.op.input_ndim:
        return None
    fixed = all(d == i or (d == "x" and i in node.op.dropped) for i, d in enumerate(order))
    return node.inputs[0] if fixed else None


@rule(DimShuffle)
def dimshuffle_dimshuffle(node: Apply) -> Any:
    """dimshuffle(dimshuffle(x, a), b) -> dimshuffle(x, a after b), if no dropped dimension was put in by a."""
    inner = applied(node.inputs[0], DimShuffle)
    if inner is None:
        return None
    a = inner.op.new_order
    order = [d if d == "x" else a[d] for d in node.op.new_order]
    x = inner.inputs[0]
    return x if order == list(range(inner.op.input_ndim)) else DimShuffle(inner.op.input_ndim, order)(x)


@rule(Reshape)
def reshape_same(node: Apply, context: Context) -> Any:
    """reshape(x, s) -> x, if the sizes are proven to be those of x."""
    x, out = node.inputs[0], node.outputs[0]
    return x if ndim(x) == ndim(out) and context.shapes.same(x, out) else None


@rule(Reshape)
def reshape_reshape(node: Apply, context: Context) -> Any:
    """reshape(reshape(x, s), t) -> reshape(x, t), if s is proven to hold as many elements as x.

    Else the first reshape is also a check, which must be able to fail.
    """
    inner = applied(node.inputs[0], Reshape)
    if inner is None:
        return None
    x, sizes = inner.inputs[0], context.shapes.of(inner.outputs[0])
    if not same_sizes((dim_prod(context.shapes.of(x)),), (dim_prod(sizes),)):
        return None
    return node.op(x, node.inputs[1])


@rule(Reshape)
def reshape_adds_ones(node: Apply, context: Context) -> Any:
    """reshape(x, s) -> dimshuffle(x, ...), if s is the shape of x with ones put in or left out."""
    x, out = node.inputs[0], node.outputs[0]
    if ndim(x) == ndim(out):
        return None
    have, want = context.shapes.of(x), context.shapes.of(out)
    kept = [i for i, d in enumerate(have) if not _one(d)]
    order, it = [], iter(kept)
    for d in want:
        if _one(d):
            order.append("x")
            continue
        i = next(it, None)
        if i is None or not same_sizes((have[i],), (d,)):
            return None
        order.append(i)  # type: ignore[arg-type]
    return DimShuffle(ndim(x), order)(x) if next(it, None) is None else None


def _one(d: Any) -> bool:
    return isinstance(d, int) and d == 1


@rule(Alloc)
def alloc_same(node: Apply, context: Context) -> Any:
    """alloc(x, n, m) -> x, if x is proven to have these sizes."""
    x, out = node.inputs[0], node.outputs[0]
    return x if ndim(x) == ndim(out) and context.shapes.same(x, out) else None


@rule(Alloc)
def alloc_alloc(node: Apply) -> Any:
    """alloc(alloc(x, k), n, m) -> alloc(x, n, m)."""
    inner = applied(node.inputs[0], Alloc)
    return None if inner is None else alloc_op(inner.inputs[0], *node.inputs[1:])


@rule(SumTo)
def sum_to_same(node: Apply, context: Context) -> Any:
    """sum_to(x, s) -> x, if x is proven to have shape s."""
    x, out = node.inputs[0], node.outputs[0]
    if ndim(x) == ndim(out):
        return x if context.shapes.same(x, out) else None
    return None


@rule(SumTo)
def sum_to_known(node: Apply, context: Context) -> Any:
    """sum_to(x, s) -> sum(x, axes), if for every dimension it is proven whether it is summed."""
    x, out = node.inputs[0], node.outputs[0]
    have, want = context.shapes.of(x), context.shapes.of(out)
    lead = len(have) - len(want)
    ones = [i for i, d in enumerate(want) if _one(d) and not _one(have[lead + i])]
    if not all(_one(d) or same_sizes((have[lead + i],), (d,)) for i, d in enumerate(want)):
        return None
    axes = (*range(lead), *(lead + i for i in ones))
    total = Reduce("add", axes, dtype(x))(x) if axes else x
    if not ones:
        return total
    kept = iter(range(ndim(total)))
    return DimShuffle(ndim(total), ["x" if i in ones else next(kept) for i in range(len(want))])(total)


@rule(SumTo)
def sum_to_sum_to(node: Apply, context: Context) -> Any:
    """sum_to(sum_to(x, s), t) -> sum_to(x, t)."""
    inner = applied(node.inputs[0], SumTo)
    return None if inner is None or not context.once(node.inputs[0]) else node.op(inner.inputs[0], node.inputs[1])


@rule(Reduce)
def reduce_nothing(node: Apply) -> Any:
    """sum(x, axis=()) -> x."""
    x, out = node.inputs[0], node.outputs[0]
    return x if not node.op.axes and dtype(x) == dtype(out) else None


@rule(Reduce)
def reduce_size_one(node: Apply, context: Context) -> Any:
    """sum(x, axis) -> x without that dimension, if its size is known to be 1 (also prod, max, min)."""
    x, out = node.inputs[0], node.outputs[0]
    if not node.op.axes or node.op.combine in ("and", "or"):
        return None
    if not all(_one(context.shapes.of(x)[a]) for a in node.op.axes):
        return None
    kept = [i for i in range(ndim(x)) if i not in node.op.axes]
    return cast_to(DimShuffle(ndim(x), kept)(x), dtype(out))


@rule(SpecifyShape)
def specify_shape_known(node: Apply) -> Any:
    """specify_shape(x, sizes) -> x, if x's type says so already."""
    x = node.inputs[0]
    return x if x.type == node.outputs[0].type else None


@rule(Join)
def join_of_one(node: Apply) -> Any:
    """join(x) -> x."""
    return node.inputs[0] if len(node.inputs) == 1 and dtype(node.inputs[0]) == dtype(node.outputs[0]) else None


@rule(Join)
def join_drops_empty(node: Apply) -> Any:
    """join(x, empty, y) -> join(x, y), if a part is known to have no elements along the axis."""
    axis = node.op.axis
    kept = [x for x in node.inputs if x.type.shape[axis] != 0]  # type: ignore[attr-defined]
    if len(kept) == len(node.inputs) or not kept or any(dtype(x) != dtype(node.outputs[0]) for x in kept):
        return None
    return node.op(*kept) if len(kept) > 1 else kept[0]


@rule("neg", "abs", "sign")
def unary_of_number(node: Apply) -> Any:
    """abs(abs(x)) -> abs(x); sign(sign(x)) -> sign(x); abs(-x) -> abs(x); abs(x) -> x for x of sqr, exp, sigmoid ...

    Integers wrap, so abs of a square is kept for them.
    """
    from tinygraph.passes.facts import is_nonnegative

    (x,), name = node.inputs, node.op.scalar_op.name
    if name == "abs":
        inner = made_by(x, "neg", "abs")
        if inner is not None and dtype(x) != "bool":
            return node.op(inner.inputs[0])
        if is_float(x) and number(x) is None and is_nonnegative(x):
            return x
    if name == "sign":
        return x if made_by(x, "sign") else None
    return None
