"""Random streams under the module name they have in Theano."""

from tinygraph.random.streams import RandomStateSharedVariable, RandomStreams

__all__ = ["RandomStateSharedVariable", "RandomStreams"]
