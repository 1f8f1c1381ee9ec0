"""Loops in the graph: ``scan`` and what is made of it."""

from tinygraph.scan.build import scan
from tinygraph.scan.checkpoints import scan_checkpoints
from tinygraph.scan.ordered_updates import OrderedUpdates
from tinygraph.scan.spec import until
from tinygraph.scan.views import foldl, foldr, map, reduce  # noqa: A004

__all__ = ["OrderedUpdates", "foldl", "foldr", "map", "reduce", "scan", "scan_checkpoints", "until"]
