"""``theano.compile.debugmode``."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.configuration import optimizer_named
from tinygraph.compile import watch
from tinygraph.compile.watch import DebugModeError

__all__ = ["DebugMode", "DebugModeError"]

#: what Theano's mode can be told beside the optimizer; each check that applies here is always made
_SETTINGS = frozenset(
    ["check_c_code", "check_isfinite", "check_preallocated_output", "check_py_code", "linker",
     "require_matching_strides", "stability_patience"]
)  # fmt: skip


class DebugMode(watch.DebugMode):
    """tinygraph's DebugMode, made by Theano's arguments; of these only ``optimizer`` has an effect."""

    def __init__(self, optimizer: Any = "fast_run", **settings: Any) -> None:
        unknown = sorted(set(settings) - _SETTINGS)
        if unknown:
            raise TypeError(f"DebugMode() got an unexpected keyword argument {unknown[0]!r}")
        super().__init__(optimizer_named(optimizer))
