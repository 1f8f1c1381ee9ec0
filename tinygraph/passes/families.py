"""Imports every module that registers rules or passes; the order is the order in which rules are tried on a node."""

from tinygraph.passes import (
    clean,
    dots,
    fold,
    lifts,
    logic,
    loops,
    matrices,
    merge,
    pools,
    powers,
    products,
    scatters,
    shape_rules,
    spreads,
    stabilise,
    subtensors,
    sums,
    tails,
)

__all__ = [
    "clean", "dots", "fold", "lifts", "logic", "loops", "matrices", "merge", "pools", "powers", "products", "scatters",
    "shape_rules", "spreads", "stabilise", "subtensors", "sums", "tails",
]  # fmt: skip
