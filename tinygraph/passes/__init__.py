"""Graph-to-graph passes: rules, whole-graph passes, and the pipeline that orders them. See docs/optimizations.md."""

from tinygraph.passes.pattern import constants, op, rewrite, variables
from tinygraph.passes.pipeline import PIPELINE, Stage, optimise, report_text
from tinygraph.passes.rewrite import (
    NUMERICS,
    PASSES,
    RULES,
    Context,
    GraphPass,
    Query,
    Report,
    Rule,
    graph_pass,
    query,
    rule,
    unregister,
)

__all__ = [
    "NUMERICS", "PASSES", "PIPELINE", "RULES", "Context", "GraphPass", "Query", "Report", "Rule", "Stage", "constants",
    "graph_pass", "op", "optimise", "query", "report_text", "rewrite", "rule", "unregister", "variables",
]  # fmt: skip
