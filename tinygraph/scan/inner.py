"""The step of a loop as a graph: its signature, its shapes, and running it on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tinygraph.graph.dims import UNKNOWN, Operand
from tinygraph.graph.op import Apply, Op, static_operand
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable


class InnerGraph:
    """Inputs, outputs and the nodes between them. Never changed once made."""

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]):
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    @cached_property
    def nodes(self) -> list[Apply]:
        return toposort(self.outputs, blockers=self.inputs)

    @cached_property
    def signature(self) -> tuple:
        """Equal for graphs that apply equal ops in the same way, whatever their variables are called."""
        number: dict[Variable, Any] = {v: i for i, v in enumerate(self.inputs)}

        def key(v: Variable) -> Any:
            found = number.get(v)
            if found is None:
                found = number[v] = v.signature() if isinstance(v, Constant) else ("free", id(v))
            return found

        rows = []
        count = len(self.inputs)
        for node in self.nodes:
            rows.append((node.op, *(key(v) for v in node.inputs)))
            for out in node.outputs:
                number[out] = count
                count += 1
        return tuple(v.type for v in self.inputs), tuple(rows), tuple(key(v) for v in self.outputs)

    def free_leaves(self) -> list[Variable]:
        """Leaves that are neither inputs nor constants."""
        given = set(self.inputs)
        found: dict[Variable, None] = {}
        for v in [*self.outputs, *(i for node in self.nodes for i in node.inputs)]:
            if v.owner is None and v not in given and not isinstance(v, Constant):
                found[v] = None
        return list(found)

    # -- shapes ---------------------------------------------------------------------------------------------------

    def operands(
        self, inputs: Sequence[Operand], wanted: Sequence[Variable] | None = None
    ) -> dict[Variable, Operand]:
        """What is known of every variable (or of ``wanted`` and what they need) when the inputs are ``inputs``."""
        known = dict(zip(self.inputs, inputs, strict=True))
        nodes = self.nodes if wanted is None else toposort(wanted, blockers=self.inputs)
        for node in nodes:
            for out, operand in zip(node.outputs, _inferred(node, known), strict=True):
                known[out] = operand
        for v in wanted or ():
            if v not in known:
                known[v] = static_operand(v)
        return known

    # -- values ---------------------------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for arrays, by each op's NumPy meaning."""
        values: dict[Variable, Any] = dict(zip(self.inputs, inputs, strict=True))

        def value(v: Variable) -> Any:
            if v in values:
                return values[v]
            if isinstance(v, Constant):
                return v.data
            assert isinstance(v, SharedVariable), v
            return v.get_value(borrow=True)

        for node in self.nodes:
            for out, x in zip(
                node.outputs, node.op.evaluate(node, [value(v) for v in node.inputs]), strict=True
            ):
                values[out] = x
        return [value(v) for v in self.outputs]


def _inferred(node: Apply, known: dict[Variable, Operand]) -> list[Operand]:
    """Operands of a node's outputs."""
    if type(node.op).infer is Op.infer:
        return [static_operand(o) for o in node.outputs]
    operands = [known[v] if v in known else static_operand(v) for v in node.inputs]
    shapes = [tuple(s) for _, s in node.op.infer(*operands)]
    if node.op.data_dependent_shape:
        shapes = [(UNKNOWN,) * len(s) for s in shapes]
    values: Sequence[Any] = [None] * len(node.outputs)
    if all(o.type.dtype and o.type.dtype[0] in "iub" and o.type.ndim <= 1 for o in node.outputs):  # type: ignore
        values = node.op.host(*operands) or values
    return [
        Operand(o.type.dtype, shape, value, o) if isinstance(o.type, TensorType) else static_operand(o)
        for o, shape, value in zip(node.outputs, shapes, values, strict=True)
    ]
