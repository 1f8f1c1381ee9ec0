"""Histories taken apart and put together: what gradients do with the rows of initial values."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.passes.rewrite import rule
from tinygraph.tensor.index import IncSubtensor, Slice, Subtensor


@rule(Subtensor, tags="canonicalise")
def subtensor_beside_set(node: Apply) -> Any:
    """inc_or_set_subtensor(x[k:], y)[:j] -> x[:j], and with the two exchanged, if j <= k and both are constant."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, IncSubtensor):
        return None
    read, written = _rows(node.op), _rows(inner.op)
    if read is None or written is None:
        return None
    (a, b), (c, d) = read, written
    apart = (b is not None and b <= c) or (d is not None and d <= a)
    return node.op(inner.inputs[0]) if apart else None


def _rows(op: Any) -> tuple[int, int | None] | None:
    """Constant bounds of the one slice, both counted from the front, the second perhaps open."""
    if len(op.idx_list) != 1 or not isinstance(op.idx_list[0], Slice):
        return None
    start, stop, step = op.idx_list[0]
    start = 0 if start is None else start
    bounds = [p for p in (start, stop) if p is not None]
    if step not in (None, 1) or any(not isinstance(p, int) or p < 0 for p in bounds):
        return None
    return start, stop
