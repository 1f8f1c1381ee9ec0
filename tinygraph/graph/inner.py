"""A graph inside an op: what ``OpFromGraph`` and lazy branches hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.graph.dims import Dim, Operand, UnknownDim
from tinygraph.graph.op import Apply, Op, static_operand
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Variable


class InnerGraph:
    """``outputs`` computed from ``inputs``, leaves that stand for a node's inputs, position by position."""

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]):
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.nodes: list[Apply] = toposort(self.outputs, blockers=self.inputs)

    @property
    def dynamic(self) -> bool:
        """Whether only the data (or the run) decide some shape inside, so that no program can be made of it."""
        return any(
            n.op.data_dependent_shape
            or type(n.op).infer is Op.infer
            or not all(isinstance(v.type, TensorType) for v in (*n.inputs, *n.outputs))
            for n in self.nodes
        )

    def infer(self, operands: Sequence[Operand]) -> list[tuple[str, Sequence[Dim]]]:
        """Dtypes and shapes of the outputs from those of the inputs, in any dimension arithmetic."""
        known: dict[Variable, Operand] = dict(zip(self.inputs, operands, strict=True))

        def operand(v: Variable) -> Operand:
            if v not in known:
                known[v] = static_operand(v)
            return known[v]

        for node in self.nodes:
            inputs = [operand(v) for v in node.inputs]
            if type(node.op).infer is Op.infer:
                continue
            shapes = node.op.infer(*inputs)
            values = node.op._host_values(inputs, node.outputs)
            for out, (dtype, shape), value in zip(node.outputs, shapes, values, strict=True):
                if not isinstance(out.type, TensorType):
                    continue
                known_dims = [k if isinstance(d, UnknownDim) and k is not None else d
                              for d, k in zip(shape, out.type.shape, strict=True)]  # fmt: skip
                known[out] = Operand(dtype, tuple(known_dims), value, out)
        return [(operand(v).dtype, operand(v).shape) for v in self.outputs]

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """The outputs' values, node by node in Python."""
        known: dict[Variable, Any] = dict(zip(self.inputs, values, strict=True))
        for node in self.nodes:
            inputs = [known[v] if v in known else v.data for v in node.inputs]  # type: ignore[attr-defined]
            known.update(zip(node.outputs, node.op.evaluate(node, inputs), strict=True))
        return [known[v] if v in known else v.data for v in self.outputs]  # type: ignore[attr-defined]

    def connected(self) -> list[list[bool]]:
        """``[input][output]``: whether a gradient can pass between them."""
        rows = []
        for start in self.inputs:
            reached = {start}
            for node in self.nodes:
                hit = [i for i, v in enumerate(node.inputs) if v in reached]
                if hit:
                    pattern = node.op.connection_pattern(node)
                    reached.update(o for k, o in enumerate(node.outputs) if any(pattern[i][k] for i in hit))
            rows.append([o in reached for o in self.outputs])
        return rows
