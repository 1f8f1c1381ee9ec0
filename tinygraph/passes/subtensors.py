"""Basic indexing cleaned up: reads of what was just put together, written or spread; slices of slices."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, dtype, is_zero, ndim
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.shapes import same_sizes
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import VAR, IncSubtensor, Slice, Subtensor
from tinygraph.tensor.join import Join, MakeVector
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle, Shape, ShapeI

FULL = Slice()


def with_constants(entries: tuple, numbers: list[Variable], context: Context) -> tuple[tuple, list[Variable]]:
    """An index with the numbers that are known written into it."""
    it, kept = iter(numbers), []

    def part(p: Any) -> Any:
        if p != VAR:
            return p
        v = next(it)
        value = context.shapes.value(v)
        if isinstance(value, int):
            return value
        kept.append(v)
        return VAR

    found = tuple(Slice(*map(part, e)) if isinstance(e, Slice) else part(e) for e in entries)
    return found, kept


def literal(node: Apply) -> tuple | None:
    """The index of a Subtensor if it holds no variables."""
    return node.op.idx_list if len(node.inputs) == 1 else None


@rule(Subtensor)
def subtensor_constant_index(node: Apply, context: Context) -> Any:
    """x[i] -> x[3], if the index i is a known number."""
    if len(node.inputs) == 1:
        return None
    entries, numbers = with_constants(node.op.idx_list, node.inputs[1:], context)
    return Subtensor(entries)(node.inputs[0], *numbers) if entries != node.op.idx_list else None


@rule(IncSubtensor)
def inc_subtensor_constant_index(node: Apply, context: Context) -> Any:
    """set_subtensor(x[i], y) -> set_subtensor(x[3], y), if the index i is a known number."""
    if len(node.inputs) == 2:
        return None
    entries, numbers = with_constants(node.op.idx_list, node.inputs[2:], context)
    if entries == node.op.idx_list:
        return None
    return IncSubtensor(entries, node.op.set_instead_of_inc)(*node.inputs[:2], *numbers)


@rule(Subtensor)
def subtensor_shape(node: Apply, context: Context) -> Any:
    """shape(x)[i] -> size i of x."""
    inner, index = applied(node.inputs[0], Shape), literal(node)
    if inner is None or not index or isinstance(index[0], Slice):
        return None
    n = ndim(inner.inputs[0])
    return ShapeI(index[0] % n)(inner.inputs[0]) if -n <= index[0] < n else None


@rule(Subtensor)
def subtensor_make_vector(node: Apply) -> Any:
    """make_vector(a, b, c)[1] -> b; make_vector(a, b, c)[1:] -> make_vector(b, c)."""
    inner, index = applied(node.inputs[0], MakeVector), literal(node)
    if inner is None or not index:
        return None
    parts = inner.inputs
    if isinstance(index[0], Slice):
        return inner.op(*parts[slice(*index[0])])
    if not -len(parts) <= index[0] < len(parts):
        return None
    return cast_to(parts[index[0]], inner.op.dtype)


@rule(Subtensor)
def subtensor_all(node: Apply, context: Context) -> Any:
    """x[0:n] -> x, if the slices are proven to take every element in order."""
    x, index = node.inputs[0], node.op.idx_list
    if any(not isinstance(e, Slice) or e.step not in (None, 1) for e in index):
        return None
    return x if context.shapes.same(x, node.outputs[0]) else None


@rule(Subtensor)
def subtensor_trailing(node: Apply) -> Any:
    """x[i, :] -> x[i]."""
    index = node.op.idx_list
    n = len(index)
    while n and index[n - 1] == FULL:
        n -= 1
    if n == len(index):
        return None
    return Subtensor(index[:n])(*node.inputs) if n else node.inputs[0]


@rule(Subtensor)
def subtensor_subtensor(node: Apply, context: Context) -> Any:
    """x[a:][b:] -> x[a+b:]; x[i][j] -> x[i, j], for written-out bounds of which no clipping depends on the size."""
    inner = applied(node.inputs[0], Subtensor)
    if inner is None or not context.once(node.inputs[0]):
        return None
    first, second = literal(inner), literal(node)
    if first is None or second is None:
        return None
    rest, merged = list(second), []
    for e in first:
        if not isinstance(e, Slice):
            merged.append(e)
        elif not rest:
            merged.append(e)
        else:
            joined = _compose(e, rest.pop(0))
            if joined is None:
                return None
            merged.append(joined)
    return Subtensor(tuple(merged + rest))(inner.inputs[0])


def _compose(a: Slice, b: Any) -> Any:
    """The entry that picks from a dimension what ``b`` picks from the result of ``a``; None if sizes decide."""
    if a == FULL:
        return b
    if b == FULL:
        return a
    start, stop, step = a.start or 0, a.stop, 1 if a.step is None else a.step
    if step < 1 or start < 0 or (stop is not None and stop < 0):
        return None
    if not isinstance(b, Slice):
        # an index beyond the slice's end must stay an error
        return start + b * step if b >= 0 and stop is None and start == 0 else None
    first, last, stride = b.start or 0, b.stop, 1 if b.step is None else b.step
    if stride < 1 or first < 0 or (last is not None and last < 0):
        return None
    ends = [start + last * step] if last is not None else []
    ends += [stop] if stop is not None else []
    return Slice(start + first * step, min(ends) if ends else None, step * stride if step * stride != 1 else None)


@rule(Subtensor)
def subtensor_reversed_twice(node: Apply, context: Context) -> Any:
    """x[::-1][::-1] -> x."""
    inner = applied(node.inputs[0], Subtensor)
    if inner is None or literal(inner) is None or inner.op.idx_list != node.op.idx_list:
        return None
    back = Slice(None, None, -1)
    return inner.inputs[0] if all(e in (back, FULL) for e in node.op.idx_list) else None


@rule(Subtensor)
def subtensor_of_set(node: Apply, context: Context) -> Any:
    """set_subtensor(x[i], y)[i] -> y, if y has the shape of x[i]."""
    inner = applied(node.inputs[0], IncSubtensor)
    if inner is None or inner.op.idx_list != node.op.idx_list:
        return None
    if any(a is not b for a, b in zip(inner.inputs[2:], node.inputs[1:])):
        return None
    x, y = inner.inputs[:2]
    if dtype(x) != dtype(y) or not context.shapes.same(y, node.outputs[0]):
        return None
    if inner.op.set_instead_of_inc:
        return y
    return y if is_zero(x) else None


@rule(Subtensor)
def subtensor_alloc(node: Apply, context: Context) -> Any:
    """alloc(v, n, m)[i:j] -> alloc(v, sizes of the slice), if v is a scalar; never reads past an end."""
    inner, index = applied(node.inputs[0], Alloc), node.op.idx_list
    if inner is None or ndim(inner.inputs[0]) or any(not isinstance(e, Slice) for e in index):
        return None
    sizes = [context.shapes.build(d) for d in context.shapes.of(node.outputs[0])]
    return None if any(s is None for s in sizes) else inner.op(inner.inputs[0], *sizes)


@rule(Subtensor)
def subtensor_dimshuffle(node: Apply, context: Context) -> Any:
    """dimshuffle(x, order)[i] -> dimshuffle(x[...], order without what i took), if x[...] is a plain index."""
    inner, index = applied(node.inputs[0], DimShuffle), literal(node)
    if inner is None or index is None or not context.once(node.inputs[0]):
        return None
    x, order = inner.inputs[0], inner.op.new_order
    entries: list[Any] = [FULL] * ndim(x)
    kept: list[Any] = []
    for d, e in zip(order, [*index, *([FULL] * (len(order) - len(index)))]):
        if d == "x":
            if e in (0, -1):
                continue
            if e != FULL:
                return None
            kept.append("x")
            continue
        entries[d] = e
        if isinstance(e, Slice):
            kept.append(d)
    taken = [d for d, e in enumerate(entries) if not isinstance(e, Slice)]
    picked = Subtensor(tuple(entries))(x) if any(e != FULL for e in entries) else x
    new = [d if d == "x" else d - sum(t < d for t in taken) for d in kept]
    return DimShuffle(ndim(picked), new)(picked)


@rule(Subtensor)
def subtensor_join(node: Apply, context: Context) -> Any:
    """join(0, a, b)[:n] -> a, if the slice is proven to be one of the parts."""
    inner = applied(node.inputs[0], Join)
    index = node.op.idx_list
    if inner is None or len(index) != inner.op.axis + 1 or any(e != FULL for e in index[:-1]):
        return None
    e = index[-1]
    if not isinstance(e, Slice) or e.step not in (None, 1):
        return None
    it = iter(node.inputs[1:])
    start, stop = ((next(it) if p == VAR else p) for p in (e.start, e.stop))
    first, last = (context.shapes.value(p) if isinstance(p, Variable) else p for p in (start, stop))
    at: Any = 0
    for x in inner.inputs:
        following = at + context.shapes.of(x)[inner.op.axis]
        if same_sizes((first or 0,), (at,)) and last is not None and same_sizes((last,), (following,)):
            return x if dtype(x) == dtype(node.outputs[0]) else None
        at = following
    begin = at - context.shapes.of(x)[inner.op.axis]
    if last is None and len(inner.inputs) > 1 and same_sizes((first or 0,), (begin,)):
        return x if dtype(x) == dtype(node.outputs[0]) else None
    return None


@rule(IncSubtensor)
def set_of_read(node: Apply) -> Any:
    """set_subtensor(x[i], x[i]) -> x."""
    x, y = node.inputs[:2]
    inner = applied(y, Subtensor)
    if not node.op.set_instead_of_inc or inner is None or inner.inputs[0] is not x:
        return None
    same = inner.op.idx_list == node.op.idx_list and inner.inputs[1:] == node.inputs[2:]
    return x if same else None


@rule(IncSubtensor)
def set_of_set(node: Apply, context: Context) -> Any:
    """set_subtensor(set_subtensor(x[i], a)[i], b) -> set_subtensor(x[i], b)."""
    inner = applied(node.inputs[0], IncSubtensor)
    if inner is None or not node.op.set_instead_of_inc or inner.op.idx_list != node.op.idx_list:
        return None
    if inner.inputs[2:] != node.inputs[2:] or not context.once(node.inputs[0]):
        return None
    return node.op(inner.inputs[0], *node.inputs[1:])


@rule(IncSubtensor)
def inc_of_zero(node: Apply) -> Any:
    """inc_subtensor(x[i], 0) -> x."""
    x, y = node.inputs[:2]
    return x if not node.op.set_instead_of_inc and is_zero(y) else None


@rule(IncSubtensor)
def inc_everything(node: Apply, context: Context) -> Any:
    """set_subtensor(x[0:n], y) -> y; inc_subtensor(x[0:n], y) -> x + y, if the slices take every element in order."""
    x, y = node.inputs[:2]
    if any(not isinstance(e, Slice) or e.step not in (None, 1) for e in node.op.idx_list) or dtype(x) != dtype(y):
        return None
    taken = Subtensor(node.op.idx_list)(x, *node.inputs[2:])
    if not context.shapes.same(x, taken) or not context.shapes.same(x, y):
        return None
    return y if node.op.set_instead_of_inc or is_zero(x) else x + y


@rule(IncSubtensor)
def set_reversed(node: Apply, context: Context) -> Any:
    """set_subtensor(x[::-1], y) -> y[::-1], if y has the shape of x: the gradient of a flipped filter."""
    x, y = node.inputs[:2]
    back = Slice(None, None, -1)
    if not node.op.set_instead_of_inc or any(e not in (back, FULL) for e in node.op.idx_list) or dtype(x) != dtype(y):
        return None
    return Subtensor(node.op.idx_list)(y) if context.shapes.same(x, y) else None


@rule(IncSubtensor)
def inc_zeros_to_set(node: Apply) -> Any:
    """inc_subtensor(zeros[i], y) -> set_subtensor(zeros[i], y): it need not read what it writes."""
    x, y = node.inputs[:2]
    if node.op.set_instead_of_inc or not is_zero(x):
        return None
    return IncSubtensor(node.op.idx_list, True)(x, cast_to(y, dtype(x)), *node.inputs[2:])


@rule("add")
def add_inc_of_zeros(node: Apply, context: Context) -> Any:
    """x + inc_subtensor(zeros[i], y) -> inc_subtensor(x[i], y), if x has the shape of the zeros."""
    for x, scattered in (node.inputs, node.inputs[::-1]):
        inner = applied(scattered, IncSubtensor)
        if inner is None or not is_zero(inner.inputs[0]) or not context.once(scattered):
            continue
        if dtype(x) != dtype(scattered) or not context.shapes.same(x, scattered):
            continue
        return IncSubtensor(inner.op.idx_list)(x, *inner.inputs[1:])
    return None


@rule(Subtensor, tags="specialise")
def subtensor_elemwise(node: Apply, context: Context) -> Any:
    """f(x, y)[i] -> f(x[i], y[i]), if f is elementwise, used once, and its operands are scalars or of its shape."""
    inner = applied(node.inputs[0], Elemwise)
    if inner is None or not context.once(node.inputs[0]):
        return None
    out = node.inputs[0]
    operands = []
    for v in inner.inputs:
        if ndim(v) == 0:
            operands.append(v)
        elif context.shapes.same(v, out):
            operands.append(node.op(v, *node.inputs[1:]))
        else:
            return None
    return inner.op(*operands)


@rule(Subtensor, tags="specialise")
def subtensor_reduce(node: Apply, context: Context) -> Any:
    """sum(x, axis)[i] -> sum(x[i], axis), if the sum is used once and the index stands before the summed axes."""
    inner = applied(node.inputs[0], Reduce)
    if inner is None or not context.once(node.inputs[0]) or not node.op.idx_list:
        return None
    if min(inner.op.axes, default=0) < len(node.op.idx_list):
        return None
    gone = sum(not isinstance(e, Slice) for e in node.op.idx_list)
    picked = node.op(inner.inputs[0], *node.inputs[1:])
    return Reduce(inner.op.combine, tuple(a - gone for a in inner.op.axes), inner.op.dtype)(picked)
