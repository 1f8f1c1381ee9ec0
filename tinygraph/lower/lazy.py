"""What only one branch of an ``ifelse`` needs moves inside it, so that it is computed only if that branch is taken.

    y = f(x); z = ifelse(c, y, x)   ->   z = LazyIfElse(c, x), with f inside
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.inner import InnerGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.traversal import clone
from tinygraph.graph.variable import Constant, Variable
from tinygraph.lower.host import RuntimeSizes
from tinygraph.tensor.lazy import IfElse, LazyIfElse


def enclose(fgraph: FunctionGraph) -> None:
    """Make every ``IfElse`` lazy. Inner ones first, so that one moves as a whole into the branch that holds it."""
    lazy = [n for n in fgraph.toposort() if isinstance(n.op, IfElse)]
    if not lazy:
        return
    leaves = [v for v in fgraph.clients if v.owner is None and not isinstance(v, Constant)]
    # sizes that an argument's value decides are worked out before the program starts: such nodes stay outside
    decided = RuntimeSizes(fgraph.toposort(), leaves).sizes
    outside = {v.owner if isinstance(v, Variable) else v for v in decided}
    for node in lazy:
        if node in fgraph.graph:
            _enclose(fgraph, node, outside)


def _enclose(fgraph: FunctionGraph, node: Apply, outside: set[Apply | None]) -> None:
    n = node.op.n  # type: ignore[attr-defined]
    sides = [_only_for(fgraph, node, range(at, at + n), outside) for at in (1, 1 + n)]
    if not any(sides):
        return
    results = [node.inputs[1 : 1 + n], node.inputs[1 + n :]]
    reads: dict[Variable, None] = {}
    for inside, outputs in zip(sides, results, strict=True):
        for v in [*outputs, *(v for m in inside for v in m.inputs)]:
            if v.owner not in inside and not isinstance(v, Constant):
                reads[v] = None
    then, otherwise = (_inner(list(reads), outputs) for outputs in results)
    op = LazyIfElse(then, otherwise, node.op.name)  # type: ignore[attr-defined]
    new = Apply(op, [node.inputs[0], *reads], [Apply._bare(o) for o in node.outputs])
    new.origin = node.origin
    fgraph.replace_all(zip(node.outputs, new.outputs, strict=True), reason="lazy_branches")


def _only_for(
    fgraph: FunctionGraph, node: Apply, positions: Iterable[int], outside: set[Apply | None]
) -> dict[Apply, None]:
    """Nodes whose every use leads into ``node`` at ``positions`` and nowhere else."""
    allowed = set(positions)
    inside: dict[Apply, None] = {}
    queue = [node.inputs[i].owner for i in allowed]
    while queue:
        m = queue.pop()
        if m is None or m in inside or m in outside:
            continue
        uses = [u for o in m.outputs for u in fgraph.clients[o]]
        if all((u is node and i in allowed) or u in inside for u, i in uses):
            inside[m] = None
            queue += [v.owner for v in m.inputs]
    return inside


def _inner(reads: Sequence[Variable], outputs: Sequence[Variable]) -> InnerGraph:
    stand_ins: dict[Variable, Variable] = {}
    for v in reads:
        new = v.type.make_variable(v.name)
        if "_host" in v.__dict__:
            new.__dict__["_host"] = v.__dict__["_host"]
        stand_ins[v] = new
    return InnerGraph(list(stand_ins.values()), clone(list(outputs), memo=dict(stand_ins)))
