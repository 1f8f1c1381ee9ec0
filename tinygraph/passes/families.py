"""Imports every module that registers rules or passes; the order is the order in which rules are tried on a node."""

from tinygraph.passes import (
    clean,
    dots,
    fold,
    logic,
    loops,
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
)

__all__ = [
    "clean", "dots", "fold", "logic", "loops", "merge", "pools", "powers", "products", "scatters", "shape_rules",
    "spreads", "stabilise", "subtensors", "sums",
]  # fmt: skip
