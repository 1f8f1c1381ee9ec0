"""Running sums: a state that every step adds something to, and nobody else reads, is a sum over all steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygraph.graph.op import Apply
from tinygraph.graph.traversal import ancestors
from tinygraph.graph.variable import Variable
from tinygraph.passes.loops.lift import Lifted, spread
from tinygraph.scan.parts import Parts, StatePart
from tinygraph.tensor.advanced_index import AdvancedIncSubtensor
from tinygraph.tensor.broadcast import Alloc, SumTo, alloc_op, is_zero, sum_to_op
from tinygraph.tensor.dot import Dot, dot_op
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import IncSubtensor, Slice, Subtensor
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.reduce import sum as sum_over
from tinygraph.tensor.shape import DimShuffle, Reshape, dimshuffle, reshape, shape_i, shape_tuple

if TYPE_CHECKING:
    from tinygraph.passes.loops.outside import After


def terms_of(s: StatePart) -> list[Variable] | None:
    """What each step adds to ``s``; None if the state is no running sum."""
    if s.taps != [1] or s.new.type.dtype[0] != "f":  # type: ignore[index]
        return None
    reading = s.readings[0]
    terms: list[Variable] = []
    stack, found = [s.new], False
    while stack:
        v = stack.pop()
        if v is reading:
            if found:
                return None
            found = True
        elif _is_add(v) and reading in set(ancestors([v])):
            stack.extend(reversed(v.owner.inputs))  # type: ignore[union-attr]
        else:
            terms.append(v)
    if not found or any(reading in set(ancestors([t])) for t in terms):
        return None
    return terms


def running_sums(parts: Parts) -> list[StatePart]:
    """States that only add something up, of which nothing but the end is wanted."""
    found = [s for s in parts.states if s.keep == 1 and terms_of(s) is not None]
    return [s for s in found if not _read_elsewhere(parts, s)]


def _read_elsewhere(parts: Parts, s: StatePart) -> bool:
    others = [t.new for t in parts.states if t is not s] + [o.value for o in parts.outs]
    return s.readings[0] in set(ancestors(others + ([parts.stop] if parts.stop is not None else [])))


def _is_add(v: Variable) -> bool:
    return v.owner is not None and isinstance(v.owner.op, Elemwise) and v.owner.op.scalar_op.name == "add"


class SumLifter:
    """Sums over all steps of what a step adds."""

    def __init__(self, plan: After):
        self.plan = plan

    def total(self, s: StatePart) -> Any:
        """The state's value after the loop, as one row; None if some term must stay in the loop."""
        terms = terms_of(s)
        assert terms is not None
        total: Any = None
        for t in terms:
            part = self.sum_of(t)
            if part is None:
                return None
            total = part if total is None else total + part
        want = s.new.type.ndim + 1  # type: ignore[attr-defined]
        total = dimshuffle(total, ["x"] * (want - total.type.ndim) + list(range(total.type.ndim)))
        return alloc_op(total, *shape_tuple(s.init)) if is_zero(s.init) else s.init + total

    def sum_of(self, v: Variable) -> Any:
        """The sum of a step's value over all steps, of its shape."""
        node = v.owner
        if node is not None and v not in self.plan.core:
            found = self._by_op(node)
            if found is not None:
                return found
        x = self.plan.value(v)
        if x is None:
            return None
        if not x.moving:
            from tinygraph.tensor.maths import cast_to

            return x.outer * cast_to(self.plan.steps.n_steps, v.type.dtype)
        return sum_over(x.outer, axis=0)

    def _by_op(self, node: Apply) -> Any:
        if _is_add(node.outputs[0]) and len({v.type.ndim for v in node.inputs}) == 1:  # type: ignore[attr-defined]
            parts = [self.sum_of(v) for v in node.inputs]
            return None if any(p is None for p in parts) else parts[0] + parts[1]
        if isinstance(node.op, Reduce) and node.op.combine == "add":
            x = self.plan.value(node.inputs[0])
            axes = (0, *(a + 1 for a in node.op.axes))
            return Reduce("add", axes, node.op.dtype)(x.outer) if x is not None and x.moving else None
        if isinstance(node.op, SumTo):
            sizes = self.plan.value(node.inputs[1])
            inner = node.inputs[0].owner
            if inner is not None and isinstance(inner.op, Reduce):
                part = self.sum_of(node.inputs[0])
                return None if part is None or sizes is None or sizes.moving else sum_to_op(part, sizes.outer)
            x = self.plan.value(node.inputs[0])
            if x is None or sizes is None or sizes.moving or not x.moving:
                return None
            return sum_to_op(x.outer, sizes.outer)
        if isinstance(node.op, Dot):
            return self._product(node)
        if isinstance(node.op, Elemwise) and node.op.scalar_op.name == "mul" and len(node.inputs) == 2:
            return self._outer_product(node)
        if isinstance(node.op, (DimShuffle, Alloc, Subtensor, Reshape)):
            return self._same_places(node)
        if isinstance(node.op, (IncSubtensor, AdvancedIncSubtensor)):
            return self._scatter(node)
        return None

    def _scatter(self, node: Apply) -> Any:
        """sum_t inc(0[i[t]], y[t]) -> inc(0[i], y): one array of zeros for all steps."""
        op, base = node.op, self.plan.value(node.inputs[0])
        if op.set_instead_of_inc or base is None or base.moving or not is_zero(base.outer):
            return None
        indices = [self.plan.value(v) for v in node.inputs[2:]]
        if any(i is None for i in indices):
            return None
        if not any(i.moving for i in indices):  # type: ignore[union-attr]
            y = self.sum_of(node.inputs[1])
            return None if y is None else op(base.outer, y, *(i.outer for i in indices))  # type: ignore[union-attr]
        y = self.plan.value(node.inputs[1])
        if y is None or not y.moving:
            return None
        rows, rank = node.inputs[1].type.ndim, node.inputs[0].type.ndim  # type: ignore[attr-defined]
        if isinstance(op, IncSubtensor):
            single = len(op.idx_list) == 1 and not isinstance(op.idx_list[0], Slice) and rows == rank - 1
            return AdvancedIncSubtensor((0,))(base.outer, y.outer, indices[0].outer) if single else None  # type: ignore
        joint = max(v.type.ndim for v in node.inputs[2:])  # type: ignore[attr-defined]
        if op.insertion() != 0 or rows != rank - len(op.axes) + joint or op.ignore_duplicates:
            return None
        return op(base.outer, y.outer, *(spread(i, joint) for i in indices))  # type: ignore[arg-type]

    def _same_places(self, node: Apply) -> Any:
        """sum_t f(a[t]) -> f(sum_t a[t]), f moving or repeating elements in the same way at every step."""
        others = [self.plan.value(v) for v in node.inputs[1:]]
        if any(x is None or x.moving for x in others):
            return None
        inner = self.sum_of(node.inputs[0])
        return None if inner is None else node.op(inner, *(x.outer for x in others))  # type: ignore[union-attr]

    def _product(self, node: Apply) -> Any:
        """sum_t a[t] @ b[t] -> one product over (t, k) together."""
        a, b = self.plan.value(node.inputs[0]), self.plan.value(node.inputs[1])
        if a is None or b is None:
            return None
        if not (a.moving and b.moving):
            left = self.sum_of(node.inputs[0]) if a.moving else a.outer
            right = self.sum_of(node.inputs[1]) if b.moving else b.outer
            return dot_op(left, right)
        if any(v.type.ndim != 2 for v in node.inputs):  # type: ignore[attr-defined]
            return None
        return dot_op(_wide(a), _tall(b))

    def _outer_product(self, node: Apply) -> Any:
        """sum_t a[t][:, None] * b[t][None, :] -> a.T @ b."""
        sides = {}
        for v in node.inputs:
            owner = v.owner
            if (
                owner is None
                or not isinstance(owner.op, DimShuffle)
                or owner.op.new_order not in ((0, "x"), ("x", 0))
            ):
                return None
            sides[owner.op.new_order] = owner.inputs[0]
        if len(sides) != 2:
            return None
        a, b = self.plan.value(sides[(0, "x")]), self.plan.value(sides[("x", 0)])
        if a is None or b is None or not (a.moving and b.moving) or a.outer.type.dtype != b.outer.type.dtype:
            return None
        return dot_op(dimshuffle(a.outer, (1, 0)), b.outer)


def _wide(a: Lifted) -> Any:
    """(T, m, k) as the matrix (m, T * k)."""
    x = a.outer
    rows, columns = shape_i(x, 1), shape_i(x, 0) * shape_i(x, 2)
    return reshape(dimshuffle(x, (1, 0, 2)), (rows, columns), ndim=2)


def _tall(b: Lifted) -> Any:
    """(T, k, n) as the matrix (T * k, n)."""
    x = b.outer
    return reshape(x, (shape_i(x, 0) * shape_i(x, 1), shape_i(x, 2)), ndim=2)
