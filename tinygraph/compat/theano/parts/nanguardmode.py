"""``theano.compile.nanguardmode``."""

from tinygraph.compile.watch import NanGuardMode

__all__ = ["NanGuardMode"]
