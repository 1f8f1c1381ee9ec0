"""``theano.compile.monitormode``."""

from tinygraph.compile.watch import MonitorMode, detect_nan

__all__ = ["MonitorMode", "detect_nan"]
