"""Gather and scatter by integer arrays: reads of what was just written, zeros, and factors taken inside."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, dtype, is_float, is_zero, made_by
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.advanced_index import AdvancedIncSubtensor, AdvancedSubtensor
from tinygraph.tensor.index import IncSubtensor, Subtensor
from tinygraph.tensor.maths import cast_to, mul


def zero_scatter(v: Variable) -> Apply | None:
    """The node that made ``v`` by putting values into zeros."""
    node = applied(v, IncSubtensor, AdvancedIncSubtensor)
    return node if node is not None and is_zero(node.inputs[0]) else None


def reader_of(node: Apply) -> Any:
    """The op that reads what a scatter node writes."""
    op = node.op
    if isinstance(op, IncSubtensor):
        return Subtensor(op.idx_list)
    return AdvancedSubtensor(op.axes, op.front)


def read_like(node: Apply, x: Variable) -> Any:
    """``x`` read at the places where the scatter ``node`` writes."""
    return reader_of(node)(x, *node.inputs[2:])


def scattered_meets(term: Variable, top: Variable) -> bool:
    """Whether ``term`` scatters values with a denominator that is ``top`` read at the same places."""
    from tinygraph.passes.facts import is_positive
    from tinygraph.passes.products import full

    node = zero_scatter(term)
    if node is None or not is_positive(top):
        return False
    reader = reader_of(node)
    if made_by(node.inputs[1], "div", "mul", "neg", "reciprocal") is None:
        return False
    for f in full(node.inputs[1]).beneath():
        source = f.v.owner
        if source is not None and source.op == reader and source.inputs == [top, *node.inputs[2:]]:
            return True
    return False


@rule("mul", tags="stabilise", numerics="improves")
def scatter_times_positive(node: Apply, context: Context) -> Any:
    """scatter(0, v / p[i], i) * p -> scatter(0, v, i), for p positive: the gradient of log(p[i]) meets p.

    Where nothing is written 0 * p is 0, p being a number by mathematics.
    """
    out = node.outputs[0]
    if not is_float(out):
        return None
    for a, p in (node.inputs, node.inputs[::-1]):
        scatter = zero_scatter(a)
        if scatter is None or not context.shapes.same(a, out) or not context.shapes.same(p, out):
            continue
        if scattered_meets(a, p):
            value = mul(scatter.inputs[1], read_like(scatter, p))
            return scatter.op(scatter.inputs[0], cast_to(value, dtype(out)), *scatter.inputs[2:])
    return None


@rule(AdvancedSubtensor)
def gather_of_set(node: Apply, context: Context) -> Any:
    """set_subtensor(x[i], y)[i] -> y, for one index array of arange (no position twice), if y has that shape."""
    inner = applied(node.inputs[0], AdvancedIncSubtensor)
    if inner is None or not inner.op.set_instead_of_inc or reader_of(inner) != node.op:
        return None
    if inner.inputs[2:] != node.inputs[1:] or not any(_distinct(i) for i in inner.inputs[2:]):
        return None
    y = inner.inputs[1]
    return y if dtype(y) == dtype(node.outputs[0]) and context.shapes.same(y, node.outputs[0]) else None


@rule(AdvancedSubtensor)
def gather_everything(node: Apply, context: Context) -> Any:
    """x[arange(n)] -> x, if n is proven to be the size of that dimension."""
    from tinygraph.passes.facts import equals
    from tinygraph.passes.shapes import same_sizes
    from tinygraph.tensor.creation import ARange

    x, *indices = node.inputs
    positions = applied(indices[0], ARange)
    if len(indices) != 1 or positions is None:
        return None
    start, stop, step = positions.inputs
    (axis,), size = node.op.axes, context.shapes.value(stop)
    if not equals(start, 0) or not equals(step, 1) or size is None:
        return None
    whole = same_sizes((size,), (context.shapes.of(x)[axis],)) and context.shapes.same(x, node.outputs[0])
    return x if whole else None


def _distinct(index: Variable) -> bool:
    """Whether an index array is known to name no position twice."""
    from tinygraph.tensor.creation import ARange

    return applied(index, ARange) is not None


@rule(AdvancedIncSubtensor)
def scatter_nothing(node: Apply) -> Any:
    """inc_subtensor(x[i], 0) -> x, i integer arrays."""
    return node.inputs[0] if not node.op.set_instead_of_inc and is_zero(node.inputs[1]) else None


@rule("add")
def add_scatter_of_zeros(node: Apply, context: Context) -> Any:
    """x + inc_subtensor(zeros[i], y) -> inc_subtensor(x[i], y), i integer arrays, if x has the shape of the zeros."""
    for x, scattered in (node.inputs, node.inputs[::-1]):
        inner = applied(scattered, AdvancedIncSubtensor)
        if inner is None or not is_zero(inner.inputs[0]) or not context.once(scattered):
            continue
        if inner.op.set_instead_of_inc or inner.op.ignore_duplicates:
            continue
        if dtype(x) == dtype(scattered) and context.shapes.same(x, scattered):
            return inner.op(x, *inner.inputs[1:])
    return None
