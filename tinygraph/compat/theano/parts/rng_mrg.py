"""``theano.sandbox.rng_mrg``."""

from tinygraph.random.streams import MRG_RandomStreams

CURAND_RandomStreams = MRG_RandomStreams

__all__ = ["CURAND_RandomStreams", "MRG_RandomStreams"]
