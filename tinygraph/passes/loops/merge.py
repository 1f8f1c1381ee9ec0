"""Loops over the same range that do not depend on each other become one loop."""

from __future__ import annotations

from typing import Any

import networkx as nx

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.loops.common import loops
from tinygraph.passes.loops.tidy import tidied
from tinygraph.passes.rewrite import Context, graph_pass
from tinygraph.scan.op import Scan
from tinygraph.scan.parts import Parts


@graph_pass("loop_merge", "loop")
def merge(fgraph: FunctionGraph, context: Context) -> None:
    """scan(f, x); scan(g, y) -> scan((f, g), (x, y)), for equal n_steps and direction, and no path between the two."""
    while True:
        pair = _mergeable(fgraph)
        if pair is None:
            return
        parts = joined(*pair)
        tidied(parts, lambda v: bool(fgraph.clients.get(v)))
        _, replace = parts.build()
        fgraph.replace_all(
            [(old, new) for old, new in replace.items() if old in fgraph.clients], "loop_merge"
        )


def _mergeable(fgraph: FunctionGraph) -> tuple[Apply, Apply] | None:
    groups: dict[Any, list[Apply]] = {}
    for node in loops(fgraph):
        groups.setdefault(_range(node), []).append(node)
    for group in groups.values():
        for i, a in enumerate(group):
            for b in group[i + 1 :]:
                if not nx.has_path(fgraph.graph, a, b) and not nx.has_path(fgraph.graph, b, a):
                    return a, b
    return None


def _range(node: Apply) -> Any:
    """A key that is equal for loops that take the same steps in the same direction."""
    op: Scan = node.op  # type: ignore[assignment]
    outer = op.outer(node.inputs)
    ends: Any = None
    if op.spec.until:  # it ends when its own step says so: only a loop with the very same step ends with it
        inner = op.inner
        ends = (inner.inputs, inner.outputs[-1], tuple(map(_key, node.inputs)))
    return _key(outer.n_steps), _key(outer.limit), op.spec.backwards, op.spec.truncate, ends


def _key(v: Variable | None) -> Any:
    return v.signature() if isinstance(v, Constant) else v


def joined(a: Apply, b: Apply) -> Parts:
    """One loop with the parts of both. Inner variables that both use are told apart."""
    first, second = Parts.of(a), Parts.of(b)
    _rename(second)
    first.seqs += second.seqs
    first.states += second.states
    first.outs += second.outs
    first.nonseqs += second.nonseqs
    first.steps_results += second.steps_results
    at_least = max(first.spec.at_least, second.spec.at_least)
    first.spec = first.spec.with_(
        at_least=at_least,
        name=first.spec.name or second.spec.name,
        recompute=first.spec.recompute and second.spec.recompute,
    )
    return first


def _rename(parts: Parts) -> None:
    """Fresh inner inputs, so that two loops made of one step do not share them."""
    fresh = {v: v.type.make_variable(v.name) for v in parts.inner_inputs()}
    parts.substitute(dict(fresh))
    for g in [*parts.seqs, *parts.nonseqs]:
        g.inner = fresh[g.inner]
    for s in parts.states:
        s.readings = [fresh[v] for v in s.readings]
