"""``xlogx`` and ``xlogy0`` under Theano's module name."""

from tinygraph.tensor.special import xlogx, xlogy0

__all__ = ["xlogx", "xlogy0"]
