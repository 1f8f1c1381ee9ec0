"""Modes: which passes run, and for which target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tinygraph.config import config
from tinygraph.errors import InvalidValue

OPTIMIZERS = ("fast_run", "fast_compile", "none")
TARGETS = ("numpy", "llvm", "cuda")


@dataclass(frozen=True)
class Mode:
    """``optimizer``: "fast_run" (all passes), "fast_compile" (few), "none"; ``target``: "numpy", "llvm", "cuda" or "".

    ``including``/``excluding``/``requiring`` give modes with passes added or left out by tag or name.
    """

    optimizer: str = "fast_run"
    target: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    require: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InvalidValue(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        if self.target and self.target not in TARGETS:
            raise InvalidValue(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")

    def including(self, *tags: str) -> Mode:
        return replace(self, include=self.include + tags)

    def excluding(self, *tags: str) -> Mode:
        return replace(self, exclude=self.exclude + tags)

    def requiring(self, *tags: str) -> Mode:
        return replace(self, require=self.require + tags)


_NAMED = {
    "FAST_RUN": Mode("fast_run"),
    "FAST_COMPILE": Mode("fast_compile"),
    "NONE": Mode("none"),
    "Mode": Mode(),
}


def register_mode(name: str, mode: Any) -> None:
    """Make ``mode`` available as ``function(..., mode=name)``."""
    _NAMED[name] = mode


def get_mode(mode: Any = None) -> Any:
    """The mode that ``mode`` names: a Mode, a registered name, an optimizer's name, or None for the configured one."""
    if mode is None:
        mode = config.mode or "FAST_RUN"
    if isinstance(mode, str):
        found = _NAMED.get(mode) or _NAMED.get(mode.upper())
        if found is None:
            raise InvalidValue(f"unknown mode {mode!r}; there are {', '.join(sorted(_NAMED))}")
        return found
    if not isinstance(mode, Mode):
        raise InvalidValue(f"mode must be a Mode or a name, got {mode!r}")
    return mode


def get_default_mode() -> Any:
    return get_mode(None)
