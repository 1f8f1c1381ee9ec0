"""``theano.scan_module`` and what is below it."""

from tinygraph.compat.theano.parts.graph import equal_computations
from tinygraph.compile.clone import clone
from tinygraph.scan import OrderedUpdates, foldl, foldr, map, reduce, scan, scan_checkpoints, until  # noqa: A004
from tinygraph.scan.op import Scan

__all__ = [
    "OrderedUpdates", "Scan", "clone", "equal_computations", "foldl", "foldr", "map", "reduce", "scan",
    "scan_checkpoints", "until",
]  # fmt: skip
