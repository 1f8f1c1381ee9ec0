"""What the passes on loops share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable
from tinygraph.scan.op import Scan
from tinygraph.scan.parts import Parts


def loops(fgraph: FunctionGraph) -> list[Apply]:
    """The loops of a graph, each after those it depends on."""
    return [n for n in fgraph.toposort() if isinstance(n.op, Scan)]


def replace_loop(fgraph: FunctionGraph, parts: Parts, reason: str) -> Apply:
    """Put the loop made of ``parts`` in place of the old one."""
    node, pairs = parts.build()
    fgraph.replace_all([(old, new) for old, new in pairs.items() if old in fgraph.clients], reason)
    return node


def cut(x: Any, n_steps: Variable) -> Any:
    """The first ``n_steps`` rows of ``x``; ``x`` itself if it is known to have no more."""
    rows = x.type.shape[0]
    if isinstance(n_steps, Constant):
        n = int(np.asarray(n_steps.data))
        return x if rows == n else x[:n]
    owner = n_steps.owner
    from tinygraph.tensor.shape import ShapeI

    if owner is not None and isinstance(owner.op, ShapeI) and owner.op.axis == 0 and owner.inputs[0] is x:
        return x
    return x[:n_steps]
