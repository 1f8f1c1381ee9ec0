"""Indexing ops under Theano's module name."""

from tinygraph.tensor.advanced_index import AdvancedIncSubtensor, AdvancedSubtensor, take
from tinygraph.tensor.index import IncSubtensor, Subtensor
from tinygraph.tensor.keys import inc_subtensor, set_subtensor

AdvancedSubtensor1 = AdvancedSubtensor  # Theano's op for one index vector; one op serves all here
AdvancedIncSubtensor1 = AdvancedIncSubtensor

__all__ = [
    "AdvancedIncSubtensor",
    "AdvancedIncSubtensor1",
    "AdvancedSubtensor",
    "AdvancedSubtensor1",
    "IncSubtensor",
    "Subtensor",
    "inc_subtensor",
    "set_subtensor",
    "take",
]
