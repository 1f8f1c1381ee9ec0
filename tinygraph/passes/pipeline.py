"""The order of passes. Placeholder order until the pass families are in place: merge only."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.fgraph import FunctionGraph


def optimise(fgraph: FunctionGraph, mode: Any, options: Any) -> None:
    """Run the mode's passes on ``fgraph``."""
