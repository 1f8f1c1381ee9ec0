"""Every exception that tinygraph raises on purpose.

Each class also derives from the built-in exception a NumPy user would expect, so ``except TypeError`` keeps working.
"""

from __future__ import annotations


class TinygraphError(Exception):
    """Base of all errors raised by tinygraph."""


class TypeMismatch(TinygraphError, TypeError):
    """A dtype, rank or kind of value does not fit."""


class ShapeMismatch(TinygraphError, ValueError):
    """Shapes that do not fit each other."""


class InvalidValue(TinygraphError, ValueError):
    """A value of the right type that cannot be used."""


class IndexOutOfRange(TinygraphError, IndexError):
    """An index outside the indexed dimension."""


class OutOfBuffer(TinygraphError, RuntimeError):
    """Compiled code reached outside of its memory: a fault of this library, found under ``bounds_check``."""


class MissingInputError(TinygraphError, ValueError):
    """A graph needs a variable that is neither an input, a shared variable nor a constant."""


class UnusedInputError(TinygraphError, ValueError):
    """A declared input of a function takes no part in what the function computes."""


class InvalidUpdate(TinygraphError, TypeError, ValueError):
    """An update that is not a (shared variable, expression) pair of matching types."""


class GradientError(TinygraphError, ValueError):
    """Base of errors raised while differentiating."""


class DisconnectedInputError(GradientError):
    """The cost does not depend on a variable it was to be differentiated by."""


class NullTypeGradError(GradientError, TypeError):
    """A gradient that is not defined or not implemented was needed."""


class InconsistencyError(TinygraphError):
    """A rewrite would make the graph wrong (cycle, wrong type, unknown variable)."""


class RewriteError(TinygraphError, RuntimeError):
    """Rewrites that never come to rest, or a rewrite that changed a result."""


class ConfigError(TinygraphError, ValueError):
    """An unknown option, or a value that an option does not take."""


class TargetUnavailable(TinygraphError, RuntimeError):
    """A target whose library or hardware is missing."""


class UnknownOption(ConfigError):
    """There is no switch of that name."""


class DataError(TinygraphError, ValueError):
    """A data file or checkpoint is missing, unreadable, damaged, or not what its name promises."""
