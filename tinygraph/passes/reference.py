"""Evaluating a graph node by node through ``Op.evaluate``: the meaning that passes and targets are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import MissingInputError
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable


def evaluate(
    outputs: Sequence[Variable], givens: Mapping[Variable, Any], values: dict[Variable, Any] | None = None
) -> list[Any]:
    """The values of ``outputs`` with the leaves in ``givens``; shared variables and constants bring their own.

    ``values`` collects the value of every variable on the way, and those it holds already are taken from it.
    Raises MissingInputError for a leaf without a value.
    """
    known: dict[Variable, Any] = {} if values is None else values
    for v, value in givens.items():
        if v not in known:
            known[v] = v.type.filter(value, allow_downcast=True)
    with np.errstate(all="ignore"):
        for node in toposort(outputs, blockers=known):
            if all(o in known for o in node.outputs):
                continue
            results = node.op.evaluate(node, [leaf_value(v, known) for v in node.inputs])
            known.update(zip(node.outputs, results))
    return [leaf_value(v, known) for v in outputs]


def leaf_value(v: Variable, known: Mapping[Variable, Any]) -> Any:
    """The value of ``v`` if it is known or brings its own."""
    if v in known:
        return known[v]
    if isinstance(v, Constant):
        return v.data
    container = getattr(v, "container", None)
    if container is not None:
        return container.value
    raise MissingInputError(f"no value is given for {v} of type {v.type}")
