"""Threads for native loops: a pool that generated code calls directly.

Native code calls (see :func:`declare_parallel_for`)

    int32 tinygraph_parallel_for(body, context, n, grain, threads, stop)

which runs ``body(context, begin, end, thread)`` over chunks ``[begin, end)`` of ``[0, n)`` and returns when all are
done. Chunks start at multiples of ``grain`` and are ``grain`` long but for the last, whatever the number of threads,
so partial results kept per chunk (``begin / grain``) give the same sum each time. ``thread`` is below ``threads``
(0, or more than that: the size of the pool) and differs between bodies running at the same time; the caller takes
part as thread 0.

``stop`` is null or points to an int32: once it is not zero no further chunk is begun and the call returns 1 instead
of 0. A body that runs for long reads it too. :meth:`Pool.interruptible` lets Ctrl-C set such a flag.

A loop inside a loop, and a loop that another Python thread starts meanwhile, run serially in their caller. Helpers
start when they are first needed, wait for the next loop busily for some 40 microseconds, then sleep. They are
native threads without Python state. After a fork the child starts its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from string import Template
from typing import Any

from llvmlite import ir

from tinygraph.config import available_cpus
from tinygraph.errors import InvalidValue
from tinygraph.targets.llvm.engine import Engine, Library, host_engine

__all__ = ["BODY", "MAX_THREADS", "PARALLEL_FOR", "Pool", "declare_interrupt", "declare_parallel_for", "get_pool"]

MAX_THREADS = 256  # the table of helpers in pool.ll
SPIN_SECONDS = 40e-6

I32, I64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
BODY = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, I64])  # context, begin, end, thread
PARALLEL_FOR = ir.FunctionType(I32, [POINTER, POINTER, I64, I64, I64, POINTER])

EXPORTS = (
    "tinygraph_parallel_for",
    "tinygraph_interrupt",
    "tinygraph_on_interrupt",
    "tinygraph_chain_interrupt",
    "tinygraph_pool_configure",
    "tinygraph_pool_helpers",
    "tinygraph_pool_forget_helpers",
    "tinygraph_pool_spin",
)


def declare_parallel_for(module: ir.Module) -> ir.Function:
    """``tinygraph_parallel_for`` in a module; link the module with :attr:`Pool.symbols`."""
    name = "tinygraph_parallel_for"
    return module.globals.get(name) or ir.Function(module, PARALLEL_FOR, name)


def declare_interrupt(module: ir.Module) -> ir.GlobalVariable:
    """The int32 flag that Ctrl-C raises, in a module: an argument for ``stop``, and to poll in long loops."""
    name = "tinygraph_interrupt"
    return module.globals.get(name) or ir.GlobalVariable(module, I32, name)


class Pool:
    """The threads of this process. Made once, by :func:`get_pool`."""

    def __init__(self, library: Library, threads: int) -> None:
        self._library = library
        void, i64, pointer = None, ctypes.c_int64, ctypes.c_void_p
        self._parallel_for = self._native("parallel_for", ctypes.c_int32, pointer, pointer, i64, i64, i64, pointer)
        self._configure = self._native("pool_configure", void, i64, i64, i64)
        self._helpers = self._native("pool_helpers", i64)
        self._forget_helpers = self._native("pool_forget_helpers", void)
        self._spin = self._native("pool_spin", void, i64)
        self._flag = ctypes.c_int32.from_address(library.address("tinygraph_interrupt"))
        self._interruptible = _Interruptible(library, self._flag)
        self._spins = self._pauses_in(SPIN_SECONDS)
        self.resize(threads)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_helpers)

    def _native(self, name: str, result: type | None, *arguments: type) -> Callable[..., Any]:
        return ctypes.CFUNCTYPE(result, *arguments)(self._library.address(f"tinygraph_{name}"))

    def _pauses_in(self, seconds: float) -> int:
        """How many pause instructions take that long: between 10 and 150 cycles each, as processors go."""
        pauses, best = 500, float("inf")
        for _ in range(5):
            begin = time.perf_counter()
            self._spin(pauses)
            best = min(best, time.perf_counter() - begin)
        return max(1, round(seconds / best * pauses))

    # ------------------------------------------------------------------ size

    @property
    def size(self) -> int:
        """How many threads a loop may use, its caller included."""
        return self._size

    def resize(self, threads: int) -> None:
        """Let loops that start from now on use this many threads; 0 means every CPU of the affinity mask."""
        threads = threads or min(available_cpus(), MAX_THREADS)
        if not 1 <= threads <= MAX_THREADS:
            raise InvalidValue(f"threads: expected 0 to {MAX_THREADS}, got {threads}")
        self._size = threads
        self._configure(threads, self._spins, getattr(signal, "SIG_SETMASK", 0))

    def at_least(self, threads: int) -> int:
        """Let loops that ask for so many threads have them; how many of these they can have."""
        threads = min(max(threads, 1), MAX_THREADS)
        if threads > self._size:
            self.resize(threads)
        return threads

    @property
    def helpers(self) -> int:
        """Native threads running, the callers not counted."""
        return self._helpers()

    # ------------------------------------------------------------------ use

    @property
    def symbols(self) -> Mapping[str, int]:
        """What generated code may refer to by name, for :class:`Engine`."""
        return {name: self._library.address(name) for name in EXPORTS[:2]}

    @property
    def interrupt_address(self) -> int:
        """The address of the flag that Ctrl-C raises inside :meth:`interruptible`."""
        return self._library.address("tinygraph_interrupt")

    def parallel_for(
        self, body: int, context: int | None, n: int, grain: int, threads: int = 0, stop: int | None = None
    ) -> bool:
        """Run a native body (an address) from Python, which is free for other threads meanwhile; True when stopped."""
        return bool(self._parallel_for(body, context, n, grain, threads, stop))

    def interruptible(self) -> AbstractContextManager[None]:
        """Within it Ctrl-C also raises the interrupt flag, so that native code that polls it returns early.

        Python's own handler has then been told as well, and raises KeyboardInterrupt as soon as Python runs again.
        If no exception comes (a handler of the user's did not raise one), the interrupted work may be started anew.
        Does nothing in threads other than the main one, in which Python handles signals, nor while SIGINT is ignored
        or left to the system. Costs about two microseconds.
        """
        return self._interruptible

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has come since the last :meth:`interruptible` was entered."""
        return self._interruptible.came or self._flag.value != 0


class _Interruptible:
    """Puts our signal handler before Python's while native code runs in the main thread."""

    def __init__(self, library: Library, flag: ctypes.c_int32) -> None:
        self._flag = flag
        self._handler = library.address("tinygraph_on_interrupt")
        self._chain = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("tinygraph_chain_interrupt"))
        self._get = ctypes.pythonapi.PyOS_getsig
        self._get.argtypes, self._get.restype = [ctypes.c_int], ctypes.c_void_p
        self._set = ctypes.pythonapi.PyOS_setsig
        self._set.argtypes, self._set.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
        self._depth = 0
        self._previous: int | None = None
        self.came = False

    def __enter__(self) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return
        self._depth += 1
        if self._depth > 1:
            return
        self._flag.value = 0
        self.came = False
        self._previous = self._get(signal.SIGINT)
        if self._is_real():
            self._chain(self._previous)  # before the handler that reads it
            self._set(signal.SIGINT, self._handler)

    def __exit__(self, *exception: object) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return
        self._depth -= 1
        if self._depth == 0:
            if self._is_real():
                self._set(signal.SIGINT, self._previous)
            # Short programs poll the flag too, without entering: it must not stop one that nobody interrupted.
            self.came, self._flag.value = self._flag.value != 0, 0

    def _is_real(self) -> bool:
        """Whether there is a handler to go before: 0 and 1 stand for the system's default and for ignoring."""
        return (self._previous or 0) > 1


# ---------------------------------------------------------------------- making it

# By processor: an intrinsic, its parameters, its arguments. (aarch64 has `yield`, which most of them skip at once.)
_X86, _ARM = ("llvm.x86.sse2.pause", "()", "()"), ("llvm.aarch64.isb", "(i32)", "(i32 15)")
_PAUSES = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}

_lock = threading.Lock()
_pool: Pool | None = None


def get_pool(engine: Engine | None = None) -> Pool:
    """The pool of this process. The first call compiles it (through ``engine``, so perhaps from its cache)."""
    global _pool
    with _lock:
        if _pool is None:
            library = (engine or host_engine()).load(pool_source, EXPORTS, key=("pool", pool_source()))
            _keep_forever(library)
            _pool = Pool(library, threads=0)
        return _pool


def pool_source(machine: str | None = None, system: str | None = None) -> str:
    """pool.ll for a processor and an operating system."""
    instruction = _PAUSES.get((machine or platform.machine()).lower())
    declaration = f"declare void @{instruction[0]}{instruction[1]}" if instruction else ""
    call = f"call void @{instruction[0]}{instruction[2]}" if instruction else 'call void asm sideeffect "", ""()'
    template = Template(Path(__file__).with_name("pool.ll").read_text(encoding="utf-8"))
    text = template.substitute(DECLARE_PAUSE=declaration, CALL_PAUSE=call)
    return _without_threads(text) if (system or sys.platform) == "win32" else text


def _without_threads(text: str) -> str:
    """The same module where there are no POSIX threads: starting a helper fails, so every loop runs serially."""
    lines = []
    for line in text.splitlines():
        foreign = line.startswith("declare i32 @")
        lines.append(line.replace("declare", "define internal", 1) + " { ret i32 11 }" if foreign else line)
    return "\n".join(lines)


def _keep_forever(library: Library) -> None:
    """Helpers sleep inside this code until the process ends, later than Python lets go of its objects."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
