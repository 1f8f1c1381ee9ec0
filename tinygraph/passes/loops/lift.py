"""Lifting a step's node out of its loop: the same op once, on all steps together.

A value of the step is *fixed* (the same at every step, known outside) or *moving* (outside it has one more
dimension, in front, with a row for each step). A rule for each class of op builds the node on such operands; an op
without a rule stays in the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.advanced_index import AdvancedSubtensor
from tinygraph.tensor.broadcast import Alloc, SumTo, alloc_op, sum_to_op
from tinygraph.tensor.dot import BatchedDot, Dot, batched_dot_op, dot_op
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import Slice, Subtensor
from tinygraph.tensor.join import Join, MakeVector, join, make_vector
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.nnet.softmax import LogSoftmax, Softmax
from tinygraph.tensor.reduce import ArgReduce, Reduce
from tinygraph.tensor.shape import DimShuffle, Reshape, Shape, ShapeI, dimshuffle, reshape, shape, shape_i


@dataclass(frozen=True, eq=False)
class Lifted:
    """A step's value seen from outside the loop."""

    outer: Any
    moving: bool


class Steps:
    """What rules may ask of the loop: the number of steps, as a variable."""

    def __init__(self, n_steps: Variable):
        self.n_steps = n_steps


Rule = Callable[[Apply, list[Lifted], Steps], "list[Lifted] | None"]
_RULES: dict[type, Rule] = {}


def lifts(*classes: type) -> Callable[[Rule], Rule]:
    """Register a rule for nodes whose op is of one of ``classes``, at least one operand moving."""

    def register(rule: Rule) -> Rule:
        for cls in classes:
            _RULES[cls] = rule
        return rule

    return register


def lift(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    """The node's outputs outside the loop, or None if it must stay in it."""
    if not node.op.pure or not all(isinstance(v.type, TensorType) for v in (*node.inputs, *node.outputs)):
        return None
    if not any(a.moving for a in args):
        return [Lifted(o, False) for o in node.op.make_node(*(a.outer for a in args)).outputs]
    rule = _RULES.get(type(node.op))
    return None if rule is None else rule(node, args, steps)


def _ndim(v: Any) -> int:
    return v.type.ndim


def _one(out: Any) -> list[Lifted]:
    return [Lifted(out, True)]


def spread(a: Lifted, ndim: int) -> Any:
    """A moving operand with its inner dimensions aligned at the end of ``ndim``; fixed ones align by themselves."""
    missing = ndim + 1 - _ndim(a.outer)
    if not a.moving or missing == 0:
        return a.outer
    return dimshuffle(a.outer, [0, *["x"] * missing, *range(1, _ndim(a.outer))])


@lifts(Elemwise)
def _elemwise(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    if _blows_up(node, args):
        return None
    n = _ndim(node.outputs[0])
    return _one(node.op(*(spread(a, n) for a in args)))


def _blows_up(node: Apply, args: Sequence[Lifted]) -> bool:
    """Whether the result has more elements than any moving operand: stacked for all steps it might be huge."""
    want = node.outputs[0].type.shape  # type: ignore[attr-defined]

    def covers(v: Variable) -> bool:
        have = v.type.shape  # type: ignore[attr-defined]
        return len(have) == len(want) and not any(h == 1 and w != 1 for h, w in zip(have, want, strict=True))

    return not any(a.moving and covers(v) for v, a in zip(node.inputs, args, strict=True))


@lifts(DimShuffle)
def _dimshuffle(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    return _one(dimshuffle(args[0].outer, [0, *(d if d == "x" else d + 1 for d in node.op.new_order)]))


@lifts(Reduce)
def _reduce(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    op = node.op
    return _one(Reduce(op.combine, tuple(a + 1 for a in op.axes), op.dtype)(args[0].outer))


@lifts(ArgReduce)
def _arg_reduce(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    return _one(ArgReduce(node.op.kind, tuple(a + 1 for a in node.op.axes))(args[0].outer))


@lifts(Softmax, LogSoftmax)
def _along_axis(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    cls: Any = type(node.op)
    return _one(cls(node.op.axis + 1)(args[0].outer))


@lifts(Shape)
def _shape(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    return [Lifted(shape(args[0].outer)[1:], False)]


@lifts(ShapeI)
def _shape_i(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    return [Lifted(shape_i(args[0].outer, node.op.axis + 1), False)]


@lifts(Reshape)
def _reshape(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    x, sizes = args
    if sizes.moving:
        return None
    full = join(0, make_vector([steps.n_steps]), cast_to(sizes.outer, "int64"))
    return _one(reshape(x.outer, full, ndim=node.op.ndim + 1))


@lifts(Alloc)
def _alloc(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    value, *dims = args
    if any(d.moving for d in dims) or _blows_up(node, args):
        return None
    return _one(alloc_op(spread(value, len(dims)), steps.n_steps, *(d.outer for d in dims)))


@lifts(SumTo)
def _sum_to(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    x, sizes = args
    if sizes.moving or _ndim(node.inputs[0]) != _ndim(node.outputs[0]):
        return None
    full = join(0, make_vector([steps.n_steps]), cast_to(sizes.outer, "int64"))
    return _one(sum_to_op(x.outer, full))


@lifts(Join)
def _join(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    parts = []
    for v, a in zip(node.inputs, args, strict=True):
        dims = [shape_i(a.outer, i) for i in range(_ndim(v))]
        parts.append(a.outer if a.moving else alloc_op(a.outer, steps.n_steps, *dims))
    return _one(Join(node.op.axis + 1)(*parts))


@lifts(Subtensor)
def _subtensor(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    x, *numbers = args
    if not any(n.moving for n in numbers):
        return _one(Subtensor((Slice(), *node.op.idx_list))(x.outer, *(n.outer for n in numbers)))
    if x.moving or len(node.op.idx_list) != 1 or isinstance(node.op.idx_list[0], Slice):
        return None
    return _one(AdvancedSubtensor((0,))(x.outer, numbers[0].outer))  # table[i], a row for each step


@lifts(AdvancedSubtensor)
def _advanced_subtensor(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted] | None:
    """Rows of a fixed table; other mixtures stay."""
    x, *indices = args
    op = node.op
    if x.moving or op.axes[0] != 0 or op.insertion() != 0:
        return None
    joint = max(_ndim(v) for v in node.inputs[1:])
    return _one(AdvancedSubtensor(op.axes, op.front)(x.outer, *(spread(i, joint) for i in indices)))


@lifts(Dot)
def _dot(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    a, b = args
    m, n = _ndim(node.inputs[0]), _ndim(node.inputs[1])
    if not b.moving:
        return _one(_rows_by_matrix(a.outer, b.outer, m))
    if not a.moving:
        if n == 1:
            return _one(dot_op(b.outer, dimshuffle(a.outer, (1, 0)) if m == 2 else a.outer))
        lead = dimshuffle(a.outer, ("x", 0, 1) if m == 2 else ("x", "x", 0))
        product = batched_dot_op(lead, b.outer)
        return _one(product if m == 2 else dimshuffle(product, (0, 2)))
    left = a.outer if m == 2 else dimshuffle(a.outer, (0, "x", 1))
    right = b.outer if n == 2 else dimshuffle(b.outer, (0, 1, "x"))
    product = batched_dot_op(left, right)
    keep = [0] + ([1] if m == 2 else []) + ([2] if n == 2 else [])
    return _one(dimshuffle(product, keep))


def _rows_by_matrix(x: Any, w: Any, m: int) -> Any:
    """``x[t] @ w`` for all t as one product."""
    if m == 1:
        return dot_op(x, w)
    steps, rows = shape_i(x, 0), shape_i(x, 1)
    flat = reshape(x, (steps * rows, shape_i(x, 2)), ndim=2)
    out = dot_op(flat, w)
    sizes = (steps, rows) if _ndim(w) == 1 else (steps, rows, shape_i(w, 1))
    return reshape(out, sizes, ndim=len(sizes))


@lifts(BatchedDot)
def _batched_dot(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    n = _ndim(node.outputs[0])
    return _one(batched_dot_op(*(spread(a, n) for a in args)))


@lifts(MakeVector)
def _make_vector(node: Apply, args: list[Lifted], steps: Steps) -> list[Lifted]:
    columns = [dimshuffle(a.outer, (0, "x") if a.moving else ("x", "x")) for a in args]
    rows = [c if a.moving else alloc_op(c, steps.n_steps, 1) for a, c in zip(args, columns, strict=True)]
    return _one(cast_to(join(1, *rows), node.op.dtype))


def fixed(v: Constant) -> Lifted:
    return Lifted(v, False)
