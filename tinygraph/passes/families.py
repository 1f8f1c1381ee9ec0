"""Imports every module that registers rules or passes; the order is the order in which rules are tried on a node."""

from tinygraph.passes import clean, fold, merge, shape_rules, subtensors

__all__ = ["clean", "fold", "merge", "shape_rules", "subtensors"]
