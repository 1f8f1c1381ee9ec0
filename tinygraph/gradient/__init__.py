"""Differentiation of expression graphs."""

from tinygraph.gradient.reverse import Lop, grad

__all__ = ["Lop", "grad"]
