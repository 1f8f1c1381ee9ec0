"""Graphs as text, one line for each node: ``%0 = add(x, y) : float64[?, ?]``. The same graph gives the same text.

Nodes are numbered in topological order; inputs, shared variables and named leaves go by their names (made unique where
two share one); small constants are written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.elemwise import Elemwise

#: constants of at most this many elements are written out
_WRITTEN = 8


def ssa(graph: FunctionGraph | Sequence[Variable] | Variable) -> str:
    """The text of a graph, or of the expressions given."""
    if isinstance(graph, Variable):
        graph = [graph]
    if isinstance(graph, FunctionGraph):
        outputs, inputs = graph.outputs, graph.inputs
    else:
        outputs, inputs = list(graph), []
    printer = _Printer(inputs)
    lines = [printer.line(node) for node in toposort(outputs)]
    return "\n".join([*lines, f"return {', '.join(printer.name(v) for v in outputs)}"])


def type_text(t: Any) -> str:
    """``float32[?, 10]``; a scalar is ``float32[]``."""
    if not isinstance(t, TensorType):
        return str(t)
    return f"{t.dtype}[{', '.join('?' if d is None else str(d) for d in t.shape)}]"


def op_text(op: Any) -> str:
    """The op without the wrapping that all elementwise ops share."""
    if isinstance(op, Elemwise):
        row = op.scalar_op
        return f"{row.name}{{{', '.join(map(str, row.attrs))}}}" if row.attrs else row.name
    return str(op)


class _Printer:
    def __init__(self, inputs: Sequence[Variable]):
        self._names: dict[Variable, str] = {}
        self._taken: set[str] = set()
        self._count = 0
        for v in inputs:
            self.name(v)

    def _unique(self, base: str) -> str:
        name, k = base, 1
        while name in self._taken:
            k += 1
            name = f"{base}_{k}"
        self._taken.add(name)
        return name

    def name(self, v: Variable) -> str:
        """What ``v`` is called."""
        found = self._names.get(v)
        if found is None:
            if isinstance(v, Constant) and v.name is None:
                return constant_text(v)
            if v.owner is None:
                found = self._unique(v.name or f"in{len(self._taken)}")
            else:
                found = f"%{self._count}"
                self._count += 1
            self._names[v] = found
        return found

    def line(self, node: Apply) -> str:
        arguments = ", ".join(self.name(v) for v in node.inputs)
        results = ", ".join(self.name(v) for v in node.outputs)
        types = ", ".join(type_text(v.type) for v in node.outputs)
        return f"{results} = {op_text(node.op)}({arguments}) : {types}"


def constant_text(v: Constant) -> str:
    """A small constant's value, a large one's type; one value throughout as ``2.0[3, 4]``."""
    data = v.data
    if not isinstance(data, np.ndarray):
        return str(data)[:40]
    if data.ndim == 0:
        return str(data.item())
    if data.size > _WRITTEN and (data == data.flat[0]).all():
        return f"{data.flat[0].item()}{list(data.shape)}"
    if data.size > _WRITTEN:
        return f"constant<{type_text(v.type)}>"
    return str(data.tolist())
