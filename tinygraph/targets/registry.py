"""The targets by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from tinygraph.config import available_cpus
from tinygraph.errors import InvalidValue, TargetUnavailable
from tinygraph.graph.collector import without_collector
from tinygraph.lower.timed import timed

_TARGETS: dict[str, Callable[[], Any]] = {}


def register_target(name: str, load: Callable[[], Any]) -> None:
    """``load()`` imports the target and returns its object, with ``compile(program, options)``."""
    _TARGETS[name] = load


def target(name: str) -> Any:
    """The target called ``name``; its library is imported now."""
    if name not in _TARGETS:
        raise InvalidValue(f"unknown target {name!r}; there are {', '.join(sorted(_TARGETS))}")
    return _TARGETS[name]()


def default_target(options: Any = None) -> str:
    """The target for the device that ``options`` name."""
    return "cuda" if getattr(options, "device", "cpu").startswith("cuda") else best_target()


@cache
def best_target() -> str:
    """What functions on the CPU are printed for unless told otherwise: "llvm" where llvmlite is installed."""
    return "llvm" if importlib.util.find_spec("llvmlite") is not None else "numpy"


class NumpyTarget:
    """Programs as Python functions over NumPy calls; always there."""

    name = "numpy"

    @without_collector
    @timed("print code")
    def compile(self, program: Any, options: Any = None) -> Any:
        from tinygraph.targets.numpy.executable import NumpyExecutable

        return NumpyExecutable(program, getattr(options, "threads", 0) or available_cpus())


class LlvmTarget:
    """Programs as native code through LLVM; needs the extra ``jit`` (llvmlite)."""

    name = "llvm"

    @without_collector
    @timed("print code")
    def compile(self, program: Any, options: Any = None) -> Any:
        try:
            import llvmlite  # noqa: F401
        except ImportError as error:
            raise TargetUnavailable("the llvm target needs llvmlite: pip install tinygraph[jit]") from error
        from tinygraph.targets.llvm.executable import LlvmExecutable

        threads = getattr(options, "threads", 0) or available_cpus()
        return LlvmExecutable(program, threads, checked=getattr(options, "bounds_check", False))


class CudaTarget:
    """Programs as CUDA C kernels on a GPU, through CuPy."""

    name = "cuda"

    def device(self, options: Any = None) -> Any:
        """The device that ``options`` name. Raises DeviceUnavailable, saying what is missing."""
        from tinygraph.targets.cuda.device import device

        return device(getattr(options, "device", "cuda"))

    @without_collector
    @timed("print code")
    def compile(self, program: Any, options: Any = None) -> Any:
        from tinygraph.targets.cuda.executable import CudaExecutable

        return CudaExecutable(program, self.device(options), options)


register_target("numpy", NumpyTarget)
register_target("cuda", CudaTarget)
register_target("llvm", LlvmTarget)
