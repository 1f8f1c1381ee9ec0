"""Merging equal work (hash-consing): same op, same inputs, computed once; equal constants held once."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.fgraph import OUTPUT, FunctionGraph
from tinygraph.graph.variable import Constant
from tinygraph.passes.rewrite import Context, graph_pass


@graph_pass("merge")
def merge(fgraph: FunctionGraph, context: Context) -> int:
    """Equal nodes -> the first of them. Exact; ops with effects are left."""
    return context.driver.run()


@graph_pass("merge_constants")
def merge_constants(fgraph: FunctionGraph, context: Context) -> None:
    """Equal constants -> the first of them."""
    first: dict[Any, Constant] = {}
    for v in [v for v in fgraph.clients if isinstance(v, Constant)]:
        key = (type(v), v.type, v.signature())
        kept = first.setdefault(key, v)
        if kept is not v and not _is_input(fgraph, v):
            fgraph.replace(v, kept, "merge")


def _is_input(fgraph: FunctionGraph, v: Constant) -> bool:
    return v in fgraph.inputs or any(user is OUTPUT for user, _ in fgraph.clients[v])
