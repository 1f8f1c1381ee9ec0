"""Random streams under the module name they have in Theano."""

from tinygraph.random.streams import MRG_RandomStreams

__all__ = ["MRG_RandomStreams"]
