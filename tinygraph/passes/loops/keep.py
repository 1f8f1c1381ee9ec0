"""Keeping only the steps that are used: a history of which the end is read shrinks to a ring buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.fgraph import OUTPUT, FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.loops.common import loops
from tinygraph.passes.rewrite import Context, graph_pass
from tinygraph.scan.parts import Parts, StatePart
from tinygraph.tensor.index import Slice, Subtensor

#: keep at most this many rows in a ring: positions are worked out one by one
_MOST = 64


class Read(NamedTuple):
    """A node that reads the last ``rows`` rows; they exist if there are ``steps`` steps."""

    node: Apply
    rows: int
    steps: int


@graph_pass("loop_keep", "loop")
def keep(fgraph: FunctionGraph, context: Context) -> None:
    """scan(..)[-k] -> scan that keeps k rows, if nothing else of its result is read."""
    for node in loops(fgraph):
        parts = Parts.of(node)
        if parts.spec.backwards or parts.stop is not None or parts.limit is not None:
            # loops of gradients keep what they must from the start; of ``until`` only the run knows the last row
            continue
        shrunk: list[tuple[Any, list[Read]]] = []
        steps = int(np.asarray(parts.n_steps.data)) if isinstance(parts.n_steps, Constant) else None
        for part in [*parts.states, *parts.outs]:
            if part.keep is not None or len(part.results) != 1 or getattr(part, "windows", None):
                continue
            depth = part.depth if isinstance(part, StatePart) else 0
            reads = _reads(fgraph, part.results[0], depth, steps)
            if reads:
                part.keep = max(depth, *(r.rows for r in reads))
                shrunk.append((part, reads))
        if shrunk:
            _rebuild(fgraph, parts, shrunk)


def _rebuild(fgraph: FunctionGraph, parts: Parts, shrunk: list[tuple[Any, list[Read]]]) -> None:
    """The loop with fewer rows kept; what read from the end reads from the end of these."""
    needed = max(r.steps for _, reads in shrunk for r in reads)
    parts.spec = parts.spec.with_(at_least=max(parts.spec.at_least, needed))
    _, replace = parts.build()
    pairs = []
    for part, reads in shrunk:
        new = replace.pop(part.results[0])
        pairs += [(r.node.outputs[0], r.node.op(new, *r.node.inputs[1:])) for r in reads]
    fgraph.replace_all(
        [(old, new) for old, new in [*pairs, *replace.items()] if old in fgraph.clients], "loop_keep"
    )


def _reads(fgraph: FunctionGraph, history: Variable, depth: int, steps: int | None) -> list[Read] | None:
    """All reads of a history, if each is of its last rows; else None. ``h[depth:]`` are the rows that steps made."""
    found: list[Read] = []
    for user, i in fgraph.clients.get(history, ()):
        if user is OUTPUT or i != 0 or not isinstance(user.op, Subtensor):
            return None
        if depth and user.op.idx_list == (Slice(depth),):
            for inner, j in fgraph.clients.get(user.outputs[0], ()):
                read = None if inner is OUTPUT or j != 0 else _read(inner, 0, steps)
                if read is None:
                    return None
                found.append(read)
        else:
            read = _read(user, depth, None if steps is None else steps + depth)
            if read is None:
                return None
            found.append(read)
    return found


def _read(node: Apply, depth: int, rows: int | None) -> Read | None:
    """``[-k]``, or ``[-k:]`` where there are known to be so many rows: a slice of fewer would just be shorter."""
    entry = node.op.idx_list[0] if isinstance(node.op, Subtensor) and node.op.idx_list else None
    k = 0
    if isinstance(entry, int):
        k = -entry
    elif (
        isinstance(entry, Slice)
        and entry.stop is None
        and entry.step in (None, 1)
        and isinstance(entry.start, int)
    ):
        k = -entry.start if rows is not None and rows >= -entry.start else 0
    return Read(node, k, max(0, k - depth)) if 0 < k <= _MOST else None
