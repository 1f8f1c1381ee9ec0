"""``theano.compile.debugmode``."""

from tinygraph.compile.watch import DebugMode, DebugModeError

__all__ = ["DebugMode", "DebugModeError"]
