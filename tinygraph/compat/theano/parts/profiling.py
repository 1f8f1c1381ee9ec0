"""``theano.compile.profiling``."""

from tinygraph.compile.profiling import Profile as ProfileStats

__all__ = ["ProfileStats"]
