"""The targets by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.config import available_cpus
from tinygraph.errors import InvalidValue, TargetUnavailable

_TARGETS: dict[str, Callable[[], Any]] = {}


def register_target(name: str, load: Callable[[], Any]) -> None:
    """``load()`` imports the target and returns its object, with ``compile(program, options)``."""
    _TARGETS[name] = load


def target(name: str) -> Any:
    """The target called ``name``; its library is imported now."""
    if name not in _TARGETS:
        raise InvalidValue(f"unknown target {name!r}; there are {', '.join(sorted(_TARGETS))}")
    return _TARGETS[name]()


class NumpyTarget:
    """Programs as Python functions over NumPy calls; always there."""

    name = "numpy"

    def compile(self, program: Any, options: Any = None) -> Any:
        from tinygraph.targets.numpy.executable import NumpyExecutable

        return NumpyExecutable(program, getattr(options, "threads", 0) or available_cpus())


class LlvmTarget:
    """Programs as native code through LLVM; needs the extra ``jit`` (llvmlite)."""

    name = "llvm"

    def compile(self, program: Any, options: Any = None) -> Any:
        try:
            import llvmlite  # noqa: F401
        except ImportError as error:
            raise TargetUnavailable("the llvm target needs llvmlite: pip install tinygraph[jit]") from error
        from tinygraph.targets.llvm.executable import LlvmExecutable

        return LlvmExecutable(program, getattr(options, "threads", 0) or available_cpus())


register_target("numpy", NumpyTarget)
register_target("llvm", LlvmTarget)
