"""Running a printed program: workspaces, and the functions that the printed source calls."""

from __future__ import annotations

import linecache
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.lower.fuse import fuse
from tinygraph.lower.plan import MemoryPlan, plan_memory
from tinygraph.program.contraction import is_contraction
from tinygraph.program.instructions import Program
from tinygraph.targets.blas_threads import single_threaded_blas
from tinygraph.targets.numpy import intrinsics, random_words
from tinygraph.targets.numpy.code import ALIGN
from tinygraph.targets.numpy.loops import rows
from tinygraph.targets.numpy.parallel import parallel, split_matmul
from tinygraph.targets.numpy.printer import ProgramPrinter
from tinygraph.targets.numpy.tiling import decide_tiles, may_group
from tinygraph.targets.numpy.views import strided
from tinygraph.targets.results import Results


def flat(x: np.ndarray) -> np.ndarray:
    """``x`` as a vector on the same memory."""
    return x.reshape(-1)


def scatter_add(x: np.ndarray, where: np.ndarray, values: np.ndarray) -> None:
    """``x[where] += values``, repeated indices adding up."""
    np.add.at(x, where, values)


def namespace() -> dict[str, Any]:
    """What the printed source may name."""
    names: dict[str, Any] = {
        "strided": strided, "flat": flat, "scatter_add": scatter_add, "wrap_index": intrinsics.wrap_index,
        "empty": np.empty, "copyto": np.copyto, "matmul": np.matmul, "einsum": np.einsum, "take": np.take,
        "argmax": np.argmax, "argmin": np.argmin, "parallel": parallel, "rows": rows,
        "broadcast_to": np.broadcast_to, "arange": np.arange,
    }  # fmt: skip
    names.update(random_words.NAMES)
    for name in {*intrinsics.UFUNCS.values(), *intrinsics.REDUCERS.values()}:
        names[name] = getattr(np, name)
    for name, function in intrinsics.FUNCTIONS.items():
        names[f"{name}_"] = function
    for dtype in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
                  "float32", "float64"):  # fmt: skip
        names[dtype] = np.dtype(dtype).type
    return names


_NAMESPACE: dict[str, Any] = {}
_counter = 0


def _ticker(record: Callable[[int, float, float], None]) -> Callable[[int, float], float]:
    """``tick(k, begin)``: instruction ``k`` has run since ``begin``; returns the time now."""

    def tick(k: int, begin: float) -> float:
        record(k, begin, time.perf_counter())
        return time.perf_counter()

    return tick


class NumpyExecutable:
    """A program compiled for NumPy. Calls from several threads each take a workspace of their own."""

    def __init__(self, program: Program, threads: int = 1):
        global _counter
        fuse(program, may_group, gather=True)
        self.program = program
        self.threads = threads
        tiles = decide_tiles(program.instructions, threads)
        self.plan: MemoryPlan = plan_memory(program)
        printer = ProgramPrinter(program, tiles)
        self.text = printer.source()
        self.scratch_bytes = printer.code.scratch_size
        if not _NAMESPACE:
            _NAMESPACE.update(namespace())
        space = dict(_NAMESPACE)
        space.update(printer.code.constants, result=Results().make)
        self._own_threads = threads > 1 and any(
            is_contraction(n) for g in tiles for n in g.nests
        )  # tiles that call BLAS: then all products are shared out here, and BLAS keeps to one thread
        if self._own_threads:
            space["matmul"] = split_matmul(threads)
        if program.profile is not None:
            space.update(now=time.perf_counter, tick=_ticker(program.profile.register(program)))
        _counter += 1
        filename = self._filename = f"<tinygraph {program.name} {_counter}>"
        self._printer = printer
        linecache.cache[filename] = (len(self.text), None, self.text.splitlines(True), filename)
        exec(compile(self.text, filename, "exec"), space)
        self._bind: Callable[..., tuple] = space["bind"]
        self._run: Callable[..., tuple] = space["run"]
        self._needs_memory = bool(printer.code.bound)
        self._pool: list[tuple] = []

    def source(self) -> str:
        return self.text

    def _workspace(self) -> tuple:
        """Planned memory, and the views on it."""
        block = np.empty(self.plan.peak + self.threads * self.scratch_bytes + ALIGN, dtype=np.uint8)
        start = -block.ctypes.data % ALIGN
        memory: dict[int, np.ndarray] = {}
        for buf, offset in self.plan.offsets.items():
            memory[buf.id] = np.ndarray((buf.size,), buf.dtype, block, start + offset)
        for buf in self.program.constants:
            memory[buf.id] = buf.data.reshape(-1)
        base = start + self.plan.peak

        def scratch(thread: int, offset: int, shape: Sequence[int], dtype: str) -> np.ndarray:
            return np.ndarray(shape, dtype, block, base + thread * self.scratch_bytes + offset)

        return self._bind(memory, scratch, range(self.threads))

    @property
    def call(self) -> Callable[..., tuple]:
        """``call(inputs, shareds, params, fresh) -> (outputs, updates)``, all of them fresh arrays."""
        return self._run_in_workspace if self._needs_memory else self._run_quietly

    def _run_quietly(self, inputs: Any, shareds: Any, params: Any, fresh: Callable[..., Any]) -> tuple:
        """Without a workspace. 0/0 and the like give nan and inf as they do in compiled code, without warnings."""
        with np.errstate(all="ignore"):
            return self._run((), inputs, shareds, params, fresh)

    def _run_in_workspace(self, inputs: Any, shareds: Any, params: Any, fresh: Callable[..., Any]) -> tuple:
        pool = self._pool
        try:
            w = pool.pop()
        except IndexError:
            w = self._workspace()
        try:
            with np.errstate(all="ignore"):
                if self._own_threads:
                    with single_threaded_blas:
                        return self._run(w, inputs, shareds, params, fresh)
                return self._run(w, inputs, shareds, params, fresh)
        finally:
            pool.append(w)

    def failed_at(self, error: BaseException) -> Any:
        """Where in the graph a call failed: the ``Source`` of the printed line that raised, or None."""
        lineno, tb = 0, error.__traceback__
        while tb is not None:
            if tb.tb_frame.f_code.co_filename == self._filename:
                lineno = tb.tb_lineno
            tb = tb.tb_next
        if not lineno:
            return None
        bound = self._printer.code.bounds.get(self.text.splitlines()[lineno - 1].strip())
        if bound is not None:
            return getattr(bound, "source", None)
        instruction = self._printer.instruction_by_line(self.text)[lineno - 1]
        return None if instruction is None else instruction.source

    def free(self) -> None:
        """Give the workspaces' memory back."""
        self._pool.clear()
