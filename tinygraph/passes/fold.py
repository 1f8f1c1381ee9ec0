"""Constant folding: what is computed from constants alone is computed now, by ``Op.evaluate``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.creation import ARange

#: results larger than this (and than their operands) are left to the run
_BYTES = 1 << 20


@rule("*", tags="canonicalise constant_folding")
def constant_folding(node: Apply, context: Context) -> Any:
    """op(constants) -> constant, if the op is pure and the result is not large."""
    if not node.inputs:
        return None
    for v in node.inputs:
        if not isinstance(v, Constant):
            return None
    if _kept(node) or not node.op.do_constant_folding(context.fgraph, node):
        return None
    try:
        values = node.op.evaluate(node, [v.data for v in node.inputs])  # type: ignore[attr-defined]
    except Exception:
        # The node may stand where it is never run (a branch not taken): an error here belongs to the call, which
        # raises it with the node and the user's line.
        return None
    if sum(np.asarray(v).nbytes for v in values) > max(_BYTES, sum(v.data.nbytes for v in node.inputs)):  # type: ignore
        return None
    return [o.type.make_constant(np.asarray(v)) for o, v in zip(node.outputs, values)]


def _kept(node: Apply) -> bool:
    """Work that is cheaper to do at the call, or whose structure other rules read."""
    if any(not isinstance(v.type, TensorType) for v in (*node.inputs, *node.outputs)):
        return True
    if isinstance(node.op, Alloc):
        return node.outputs[0].type.ndim > 0
    if isinstance(node.op, ARange):
        return any(d is None or d > 64 for d in node.outputs[0].type.shape)
    return False
