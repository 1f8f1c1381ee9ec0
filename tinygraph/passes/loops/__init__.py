"""Passes on loops, run in the order of ``ORDER`` by the one pass ``loops``; each can be left out by its name.

The step is put in normal form; loops over one range are merged, so that a loop and the loops of its gradient share
their work; what need not be in the loop leaves it; last the memory for results shrinks to what is read.
"""

from __future__ import annotations

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes.loops import histories, keep, merge, outside, tidy
from tinygraph.passes.loops.common import loops as loops_of
from tinygraph.passes.rewrite import Context, graph_pass

ORDER = (
    tidy.step, tidy.tidy, merge.merge, tidy.step,
    outside.after,  # first what is summed up or handed out: a product summed over steps is one product, not one a step
    outside.before,
    outside.after,  # what only hands on what now comes from before
    tidy.tidy, merge.merge, keep.keep, tidy.specialise,
)  # fmt: skip


@graph_pass("loops", "loops")
def run(fgraph: FunctionGraph, context: Context) -> None:
    """Every pass on loops that the mode chooses."""
    query = context.memo.get("query")
    for p in ORDER:
        if not loops_of(fgraph):
            return
        if query is None or query.chooses(p):
            p(fgraph, context)


__all__ = ["ORDER", "histories", "keep", "merge", "outside", "run", "tidy"]
