"""What the passes on loops share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable
from tinygraph.scan.op import Scan
from tinygraph.scan.pad import FirstRows
from tinygraph.scan.parts import Given, Parts
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.shape import ShapeI


def loops(fgraph: FunctionGraph) -> list[Apply]:
    """The loops of a graph, each after those it depends on."""
    return [n for n in fgraph.toposort() if isinstance(n.op, Scan)]


def replace_loop(fgraph: FunctionGraph, parts: Parts, reason: str) -> Apply:
    """Put the loop made of ``parts`` in place of the old one."""
    node, pairs = parts.build()
    fgraph.replace_all([(old, new) for old, new in pairs.items() if old in fgraph.clients], reason)
    return node


def rows_of(g: Given, parts: Parts) -> Any:
    """What the loop reads of a sequence: its first ``n_steps`` rows, all of them if it was counted by this sequence."""
    return cut(g.outer, parts.n_steps, parts.spec.label, f"a sequence ({g.outer})")


def cut(x: Any, n_steps: Variable, label: str = "scan", what: str = "a history") -> Any:
    """The first ``n_steps`` rows of ``x``, which must have them."""
    rows = x.type.shape[0]
    if isinstance(n_steps, Constant) and rows is not None:
        n = int(np.asarray(n_steps.data))
        if n <= rows:
            return x if rows == n else x[:n]
    if is_length(n_steps, x):
        return x
    return x[:n_steps] if _counts(n_steps, x) else FirstRows(label, what)(x, n_steps)


def is_length(n: Variable, x: Variable) -> bool:
    """Whether ``n`` is the number of rows of ``x`` by its making."""
    return (
        n.owner is not None
        and isinstance(n.owner.op, ShapeI)
        and n.owner.op.axis == 0
        and n.owner.inputs[0] is x
    )


def _counts(n: Variable, x: Variable) -> bool:
    """Whether ``n`` is the least of several lengths, that of ``x`` among them."""
    if is_length(n, x):
        return True
    node = n.owner
    least = node is not None and isinstance(node.op, Elemwise) and node.op.scalar_op.name == "minimum"
    return least and any(_counts(v, x) for v in node.inputs)  # type: ignore[union-attr]
