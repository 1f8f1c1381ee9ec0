"""Shared variables under Theano's module name."""

from tinygraph.graph.shared import SharedVariable
from tinygraph.tensor.shared import shared
from tinygraph.tensor.variable import TensorSharedVariable

__all__ = ["SharedVariable", "TensorSharedVariable", "shared"]
