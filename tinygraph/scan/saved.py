"""What the gradient of a loop keeps of each forward step, and what it computes again.

The backward step reads intermediate results of the forward step. Reading a view or repeating cheap arithmetic costs
less than storing; everything else (products, transcendental functions, random draws) is stored, row by row, by a
loop that gives these values as further outputs. Merging makes one loop of it and the original.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinygraph.graph.dims import Operand
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.program.expr import Expr, param
from tinygraph.tensor.broadcast import Alloc, SumTo
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.index import Subtensor
from tinygraph.tensor.shape import DimShuffle, Reshape, Shape, ShapeI

if TYPE_CHECKING:
    from tinygraph.scan.inner import InnerGraph
    from tinygraph.scan.op import Scan

#: these read no values: what stands behind them is inferred, not computed
_SHAPES = (Shape, ShapeI)
_VIEWS = (DimShuffle, Reshape, Subtensor, Alloc, SumTo)
_CHEAP = frozenset(
    "add sub mul neg cast identity abs sign eq ne lt le gt ge maximum minimum switch sqr not invert".split()
)


class Keeping:
    """Sorts the forward values that a backward step reads.

    ``saved``: to be stored by the forward loop. ``invariant``: the same at every step. What is in neither, and no inner
    output, is computed again within the backward step.
    """

    def __init__(self, op: Scan):
        self.op = op
        self.saved: dict[Variable, None] = {}
        self.invariant: dict[Variable, None] = {}
        self._outputs = set(op.inner.outputs)
        self._inner = {o for node in op.inner.nodes for o in node.outputs}
        self._fixed = _invariants(op)
        self._sizes = sizes(op.inner.nodes, self._fixed | set(op.inner_roles().nonseqs))
        self._stackable = None if op.spec.recompute else stackable(op.inner)

    def read_by(self, results: Sequence[Variable]) -> None:
        """Sort the forward values at which the graph of ``results`` begins."""
        seen: set[Variable] = set()
        stack = list(results)
        while stack:
            v = stack.pop()
            if v in seen:
                continue
            seen.add(v)
            if v in self._inner:
                self._sort(v)
            elif v.owner is not None and not isinstance(v.owner.op, _SHAPES):
                stack.extend(v.owner.inputs)

    def _sort(self, v: Variable) -> None:
        stack = [v]
        while stack:
            v = stack.pop()
            if v not in self._inner or v in self._outputs or v in self.saved or v in self.invariant:
                continue
            if v in self._fixed:
                self.invariant[v] = None
            elif self._again(v):
                if not isinstance(v.owner.op, _SHAPES):  # type: ignore[union-attr]
                    stack.extend(v.owner.inputs)  # type: ignore[union-attr]
            else:
                self.saved[v] = None

    def _again(self, v: Variable) -> bool:
        """Whether to compute ``v`` again rather than store it."""
        if self._stackable is None or v not in self._stackable:
            return True
        op = v.owner.op  # type: ignore[union-attr]
        if v in self._sizes:  # stored, they would be data: what is shaped by them would be of any size
            return True
        if isinstance(op, _VIEWS):
            return True
        if isinstance(op, Elemwise) and op.scalar_op.name in _CHEAP:
            return all(self._at_hand(u) for u in v.owner.inputs)  # type: ignore[union-attr]
        return False

    def _at_hand(self, v: Variable) -> bool:
        """Whether ``v`` can be had without storing anything more."""
        while v in self._inner and v not in self._outputs and v not in self.saved and v not in self._fixed:
            node = v.owner
            assert node is not None
            if not isinstance(node.op, DimShuffle):
                return False
            v = node.inputs[0]
        return True


def _invariants(op: Scan) -> set[Variable]:
    """Inner variables that depend on non-sequences and constants only."""
    fixed = set(op.inner_roles().nonseqs)
    found: set[Variable] = set()
    for node in op.inner.nodes:
        if node.op.pure and all(v in fixed or isinstance(v, Constant) for v in node.inputs):
            fixed.update(node.outputs)
            found.update(node.outputs)
    return found


def sizes(nodes: Iterable[Apply], fixed: Container[Variable]) -> set[Variable]:
    """Results of a step's ``nodes`` that are sizes, or integers computed from sizes and ``fixed`` values alone."""
    found: set[Variable] = set()
    for node in nodes:
        known = all(v in found or v in fixed or isinstance(v, Constant) for v in node.inputs)
        whole = all(isinstance(v.type, TensorType) and v.type.dtype.startswith(("int", "uint")) for v in node.outputs)
        if isinstance(node.op, _SHAPES) or (known and whole and any(v in found for v in node.inputs)):
            found.update(node.outputs)
    return found


def stackable(inner: InnerGraph) -> set[Variable]:
    """Inner variables whose shape is the same at every step, as far as the shape rules can tell."""
    count = 0
    given = []
    for v in inner.inputs:
        if not isinstance(v.type, TensorType):
            given.append(Operand(str(v.type), (), None, v))
            continue
        dims: list[Any] = []
        for d in v.type.shape:
            dims.append(param(f"d{count}") if d is None else d)
            count += 1
        given.append(Operand(v.type.dtype, tuple(dims), None, v))
    known = inner.operands(given)
    return {
        v for v, operand in known.items()
        if isinstance(v.type, TensorType) and all(isinstance(d, (int, Expr)) for d in operand.shape)
    }  # fmt: skip
