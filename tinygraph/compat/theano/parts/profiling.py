"""``theano.compile.profiling``."""

from __future__ import annotations

from typing import Any

from tinygraph.compile.profiling import Profile

__all__ = ["Profile", "ProfileStats"]

#: what Theano's statistics can be told; times of instructions are always taken
_SETTINGS = frozenset(["atexit_print", "flag_time_thunks", "gpu_checks"])


class ProfileStats(Profile):
    """A profile that several functions add to: ``function(..., profile=ProfileStats())``."""

    def __init__(self, name: str = "function", **settings: Any) -> None:
        unknown = sorted(set(settings) - _SETTINGS)
        if unknown:
            raise TypeError(f"ProfileStats() got an unexpected keyword argument {unknown[0]!r}")
        super().__init__(name)
