"""Softmax and log-softmax in all the ways they are written."""

from __future__ import annotations

from tinygraph.graph.variable import Variable


def is_softmax(v: Variable) -> bool:
    """Whether ``v`` is the result of a softmax op."""
    node = v.owner
    return node is not None and type(node.op).__name__ == "Softmax"
