"""Slices before products and softmaxes, and parts joined to what they were parts of: less is computed or copied."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, dtype, is_float, ndim, same_value
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.passes.softmaxes import LogSoftmax, Softmax
from tinygraph.tensor.broadcast import Alloc, alloc_op
from tinygraph.tensor.dot import Dot, dot_op
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import VAR, Slice, Subtensor
from tinygraph.tensor.join import Join
from tinygraph.tensor.shape import Reshape


def _one_by_one(node: Apply) -> list[tuple[Any, list[Variable]]]:
    """The entries of an index, each with the inputs that it takes its bounds from."""
    bounds = iter(node.inputs[1:])
    return [
        (e, [next(bounds) for part in (e if isinstance(e, Slice) else (e,)) if part == VAR]) for e in node.op.idx_list
    ]


@rule(Subtensor, tags="specialise", numerics="rounding")
def subtensor_dot(node: Apply, context: Context) -> Any:
    """dot(x, y)[i] -> dot(x[i], y); dot(x, y)[:, j] -> dot(x, y[:, j]), for matrices, the product used once."""
    v = node.inputs[0]
    inner = applied(v, Dot)
    if inner is None or not is_float(v) or not context.once(v):
        return None
    x, y = inner.inputs
    if ndim(x) != 2 or ndim(y) != 2:
        return None
    rows, columns = [*_one_by_one(node), (Slice(), [])][:2]
    if rows[0] != Slice():
        x = Subtensor((rows[0],))(x, *rows[1])
    if columns[0] != Slice():
        y = Subtensor((Slice(), columns[0]))(y, *columns[1])
    return dot_op(x, y)


@rule(Subtensor, tags="specialise")
def subtensor_softmax(node: Apply, context: Context) -> Any:
    """softmax(x)[i] -> softmax(x[i]), and of logsoftmax, used once, the index before the axis that sums to 1."""
    inner = applied(node.inputs[0], Softmax, LogSoftmax)
    index = node.op.idx_list
    if inner is None or not context.once(node.inputs[0]) or inner.op.axis is None or inner.op.axis < len(index):
        return None
    gone = sum(not isinstance(e, Slice) for e in index)
    kind = Softmax if isinstance(inner.op, Softmax) else LogSoftmax
    return kind(inner.op.axis - gone)(node.op(inner.inputs[0], *node.inputs[1:]))


@rule(Reshape)
def reshape_elemwise(node: Apply, context: Context) -> Any:
    """reshape(f(reshape(x, s)), t) -> f(reshape(reshape(x, s), t)), f of one operand and used once: they may merge."""
    v = node.inputs[0]
    inner = applied(v, Elemwise)
    if inner is None or len(inner.inputs) != 1 or not context.once(v):
        return None
    first = inner.inputs[0]
    if applied(first, Reshape) is None or not context.once(first):
        return None
    return inner.op(node.op(first, *node.inputs[1:]))


# -- joins ------------------------------------------------------------------------------------------------------------


@rule(Join)
def join_of_slices(node: Apply) -> Any:
    """join(x[:k], x[k:]) -> x; join(x[:2], x[2:5], y) -> join(x[:5], y), along the axis that is sliced."""
    parts = list(node.inputs)
    for i in range(len(parts) - 1):
        met = _whole(parts[i], parts[i + 1], node.op.axis)
        if met is not None and dtype(met) == dtype(node.outputs[0]):
            rest = [*parts[:i], met, *parts[i + 2 :]]
            return rest[0] if len(rest) == 1 else node.op(*rest)
    return None


def _whole(a: Variable, b: Variable, axis: int) -> Any:
    """The one slice that two slices of a tensor make up, or None."""
    p, q = applied(a, Subtensor), applied(b, Subtensor)
    if p is None or q is None or p.inputs[0] is not q.inputs[0]:
        return None
    (start, cut), (again, stop) = _bounds(p, axis), _bounds(q, axis)
    if cut is None or again is None or not (cut is again or _equal(cut, again)):
        return None
    if start is None and stop is None:
        return p.inputs[0]
    known = [k for k in (start, cut, stop) if k is not None]
    if not all(isinstance(k, int) and k >= 0 for k in known) or sorted(known) != known:
        return None  # of x[a:k] and x[k:b] in general one may be empty and the other not what is left
    return Subtensor((*[Slice()] * axis, Slice(start, stop)))(p.inputs[0])


def _equal(a: Any, b: Any) -> bool:
    return same_value(a, b) if isinstance(a, Variable) and isinstance(b, Variable) else a is b or bool(a == b)


def _bounds(node: Apply, axis: int) -> tuple[Any, Any]:
    """First and last position of a plain slice along ``axis`` alone: ints, variables or None; of others twice None."""
    index = node.op.idx_list
    if len(index) != axis + 1 or any(e != Slice() for e in index[:-1]) or not isinstance(index[-1], Slice):
        return None, None
    if index[-1].step not in (None, 1):
        return None, None
    bounds = iter(node.inputs[1:])
    start, stop = (next(bounds) if part == VAR else part for part in index[-1][:2])
    return (None if start == 0 and isinstance(start, int) else start), stop


@rule(Join)
def join_of_alloc(node: Apply, context: Context) -> Any:
    """join(alloc(v, n, k), alloc(v, m, k)) -> alloc(v, n + m, k), for one scalar v, if the k are proven the same."""
    axis = node.op.axis
    for i, (a, b) in enumerate(zip(node.inputs, node.inputs[1:], strict=False)):
        p, q = applied(a, Alloc), applied(b, Alloc)
        if p is None or q is None or ndim(p.inputs[0]) or not same_value(p.inputs[0], q.inputs[0]):
            continue
        rest = [d for d in range(ndim(a)) if d != axis]
        if dtype(a) != dtype(b) or not same_sizes(*([context.shapes.of(v)[d] for d in rest] for v in (a, b))):
            continue
        sizes = list(p.inputs[1:])
        sizes[axis] = sizes[axis] + q.inputs[1 + axis]
        parts = [*node.inputs[:i], alloc_op(p.inputs[0], *sizes), *node.inputs[i + 2 :]]
        return parts[0] if len(parts) == 1 else node.op(*parts)
    return None
