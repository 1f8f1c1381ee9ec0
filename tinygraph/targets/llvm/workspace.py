"""One call's memory, and the printed function that runs a program in it.

What a call does in Python is printed for each program: take the arguments, make the arrays for what is handed back,
pack the addresses of all these objects into the record that the machine reads, and start it. A program that is
native from end to end is one foreign call.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import struct
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.errors import IndexOutOfRange, OutOfBuffer, TypeMismatch
from tinygraph.program.instructions import Branch, Buffer, Host, Instruction, Loop, Ref, Routine
from tinygraph.targets.blas_threads import single_threaded_blas
from tinygraph.targets.llvm import machine as vm
from tinygraph.targets.llvm.checks import BAD_INDEX, BAD_WRITE
from tinygraph.targets.llvm.machine import address_of
from tinygraph.targets.numpy.views import strided
from tinygraph.targets.results import Results, is_big

if TYPE_CHECKING:
    from tinygraph.targets.llvm.executable import LlvmExecutable

#: programs with more scalar operations than this watch for Ctrl-C
_INTERRUPTIBLE_ABOVE = 3_000_000
#: programs with fewer keep Python's lock
_SHORT = 5_000


class NativeStep:
    """Instructions that the machine runs in one go, from ``first`` in the code."""

    def __init__(self, first: int):
        self.first = first


class CallPrinter:
    """Prints ``run(inputs, shareds, params, fresh) -> (outputs, updates)``; ``space`` is for all workspaces alike.

    ``given``: the buffers whose arrays each call brings, in the order in which their addresses are packed.
    """

    def __init__(self, x: LlvmExecutable):
        self.x, self.program = x, x.program
        self.given: list[Buffer] = []
        self.names: dict[Buffer, str] = {}
        self.space: dict[str, Any] = {"empty": np.empty, "result": Results().make}
        self.source = "def run(inputs, shareds, params, fresh):\n" + "".join(f"    {line}\n" for line in self._lines())
        self.code = compile(self.source, f"<call of {x.program.name}>", "exec")

    def _lines(self) -> list[str]:
        x, program = self.x, self.program
        lines = [*self._taken("inputs", program.inputs), *self._taken("shareds", program.shared)]
        lines += [*self._made(program.outputs, "output"), *self._made(program.updates, "update")]
        self.given = list(self.names)
        objects = [f"id({self.names[b]})" for b in self.given if b.dtype != "object"]
        lines.append(f"pack(record, {vm.OBJECTS * 8}, {', '.join(objects)})" if objects else "")
        lines.append("numbers(params_at, 0, *params)" if program.params else "")
        native = not x.apart and all(type(s) is NativeStep for s in x.steps)
        outputs, updates = self._results(program.outputs), self._results(program.updates)
        if native and "None" not in outputs + updates:
            return [line for line in [*lines, *self._guarded(self._native()), f"return {outputs}, {updates}"] if line]
        body = [*self._guarded(["start()", "program()"]), f"return collect({outputs}, {updates})"]
        lines += [f"hold({_list(self.names[b] for b in self.given)})",
                  "try:", *(f"    {line}" for line in body), "finally:", "    release()"]  # fmt: skip
        return [line for line in lines if line]

    def _taken(self, what: str, refs: Sequence[Ref]) -> list[str]:
        for r in refs:
            self.names[r.buffer] = f"x{len(self.names)}"
        return [f"{', '.join(self.names[r.buffer] for r in refs)}, = {what}"] if refs else []

    def _made(self, refs: Sequence[Ref], kind: str) -> list[str]:
        """Lines that make the arrays of results; one for each buffer, which a borrowed result may be a view of."""
        lines = []
        for k, r in enumerate(refs):
            if r.buffer.kind != kind or r.buffer in self.names or not r.whole:
                continue
            name = self.names[r.buffer] = f"x{len(self.names)}"
            self.space[f"d_{r.dtype}"] = np.dtype(r.dtype)
            maker = "empty("
            if self.x.checked:
                pass  # between guards of its own
            elif kind == "update":
                maker = f"fresh({k}, "
            elif is_big(r.shape, r.dtype):
                maker = f"result({k}, "
            lines.append(f"{name} = {maker}{r.shape}, d_{r.dtype})")
        return lines

    def _results(self, refs: Sequence[Ref]) -> str:
        """A list of the results; None for those that lie in the program's memory or are views."""
        own = [r.whole and r.buffer.kind in ("output", "update") for r in refs]
        return _list(self.names[r.buffer] if o else "None" for r, o in zip(refs, own, strict=True))

    def _native(self) -> list[str]:
        """The whole program in one foreign call."""
        if not self.x.steps:
            return []
        return ["at = native(record_at)", "if at != -1:", "    failed(at, inputs, shareds)"]

    def _guarded(self, lines: list[str]) -> list[str]:
        x = self.x
        guards = ["blas"] * x.uses_blas + ["guard"] * (x.work > _INTERRUPTIBLE_ABOVE)
        return [f"with {', '.join(guards)}:", *(f"    {line}" for line in lines)] if guards and lines else lines


def described(b: Buffer) -> str:
    """A buffer in words, for errors."""
    return f"{b.kind} buffer {b.name or b.id} ({b.size} {b.dtype})"


def _accessing(i: Any, what: str, buffer: Buffer | None) -> Any:
    """The nest of a group that reads or writes a buffer, as far as it can be told, or one that has a line."""
    nests = [n for n in getattr(i, "nests", ()) if n.source is not None]
    those = [n for n in nests if buffer in (n.writes() if what == "write" else n.reads())]
    return next(iter([*those, *nests]), i)


def _list(names: Any) -> str:
    return f"[{', '.join(names)}]"


class Workspace:
    """One call's memory: the arena, the table of buffers, the code with its contexts. ``run`` is the printed call."""

    def __init__(self, x: LlvmExecutable):
        self.x = x
        offsets, peak = self._layout()
        self.block = np.empty(peak + x.threads * x.scratch + 128, dtype=np.uint8)
        start = -address_of(self.block) % 64
        base = address_of(self.block) + start
        n = len(x.program.buffers)
        self.table = np.zeros(n + 1, dtype=np.int64)
        self.arrays: list[Any] = [None] * n
        for buf, offset in offsets.items():
            k = x.table_index[buf]
            self.table[k] = base + offset
            self.arrays[k] = np.ndarray((buf.size,), buf.dtype, self.block, start + offset)
        for buf in x.program.constants:
            k = x.table_index[buf]
            self.arrays[k] = buf.data.reshape(-1)
            self.table[k] = address_of(self.arrays[k])
        self.params = np.zeros(len(x.param_index) + 1, dtype=np.int64)
        self.error = np.zeros(5, dtype=np.int64)
        self.code = np.array(x.code, dtype=np.int64)
        self.kept: list[np.ndarray] = []
        #: whose kernel reads the table of numbers at an address
        self.reader_of: dict[int, Instruction] = {}
        self._contexts(base + peak)
        self._print()

    def _layout(self) -> tuple[dict[Buffer, int], int]:
        """Where the temporaries lie in the block, and how much they take."""
        return self.x.plan.offsets, self.x.plan.peak

    def _contexts(self, scratch: int) -> None:
        x = self.x
        for positions, slots, i in x.contexts:
            numbers = np.array([self._number(s) for s in slots] or [0], dtype=np.int64)
            context = np.array(
                [address_of(self.table), address_of(self.params), address_of(numbers), scratch, x.scratch,
                 address_of(self.error), self._extents()], dtype=np.int64,
            )  # fmt: skip
            self.kept += [numbers, context]
            self.reader_of[address_of(numbers)] = i
            self.code[list(positions)] = address_of(context)

    def _extents(self) -> int:
        """Where the buffers' extents are, which checked kernels read."""
        return 0

    def _number(self, s: Any) -> int:
        if not isinstance(s, tuple):
            return int(s)
        kind, what = s
        if kind == "buffer":
            return self.x.table_index[what]
        if kind in ("bound", "private"):
            return self.x.bound_number(what)
        return self.x.param_index[what] if what is not None else len(self.x.param_index)  # the last stays 0

    def _print(self) -> None:
        """The record that the machine reads, and ``run``."""
        x, call, machine = self.x, self.x.call_printer, self.x.machine
        self.given = [x.table_index[b] for b in call.given]
        slots = [x.table_index[b] for b in call.given if b.dtype != "object"]
        self.slots = np.array(slots or [0], dtype=np.int64)
        self.record = np.zeros(vm.OBJECTS + len(slots), dtype=np.int64)
        self.code_at = address_of(self.code)
        stop = machine.pool.interrupt_address
        self.rest = address_of(self.params), address_of(self.table), address_of(self.error), stop
        first = x.steps[0].first if x.steps and type(x.steps[0]) is NativeStep else 0
        self.record[: vm.OBJECTS] = (
            self.code_at, first, *self.rest, len(slots), address_of(self.slots), id(np.ndarray),
        )  # fmt: skip
        self.record_at = ctypes.c_void_p(address_of(self.record))
        native = machine.call_briefly if x.work < _SHORT and not x.uses_blas else machine.call
        space: dict[str, Any] = {
            **call.space, **self._names(), "record": self.record, "record_at": self.record_at, "params_at": self.params,
            "pack": struct.Struct(f"={len(slots)}q").pack_into, "native": native, "failed": self._not_run,
            "numbers": struct.Struct(f"={len(x.program.params)}q").pack_into, "blas": single_threaded_blas,
            "guard": machine.pool.interruptible(), "hold": self._hold, "release": self._release,
            "start": self._start, "program": self._program, "collect": self._collect,
        }  # fmt: skip
        exec(call.code, space)
        self.run: Callable[..., tuple] = space["run"]

    def _names(self) -> dict[str, Any]:
        """What else the printed call uses, or uses instead."""
        return {}

    # -- what a printed call uses if it is not native from end to end ---------------------------------------------

    def _hold(self, arrays: Sequence[Any]) -> None:
        for k, array in zip(self.given, arrays, strict=True):
            self.arrays[k] = array

    def _release(self) -> None:
        """Who holds an argument or a result is the caller's business."""
        for k in self.given:
            self.arrays[k] = None

    def _start(self) -> None:
        """Put the addresses of the call's arrays into the table."""
        if self.x.machine.bind(self.record_at) != -1:
            self._not_arrays([self.arrays[k] for k in self.given])

    def _program(self) -> None:
        """The whole program; instruction by instruction where they are timed."""
        if not self.x.apart:
            self._steps(self.x.steps)
            return
        record = self.x.record
        for k, steps in enumerate(self.x.steps):
            begin = time.perf_counter()
            self._steps(steps)
            if record is not None:
                record(k, begin, time.perf_counter(), self._kernels_of(k))
            self._after(k)

    def _kernels_of(self, k: int) -> list[tuple[Instruction, float, int]]:
        """The kernels of loop ``k``: each with how often it ran and for how many ticks, which begin at 0 again."""
        found = []
        for at, i, rows in self.x.timed.get(k, ()):
            found.append((i, (int(self.code[at + vm.RUNS]) - 1) / rows, int(self.code[at + vm.TICKS])))
            self.code[at + vm.RUNS], self.code[at + vm.TICKS] = 1, 0
        return found

    def _after(self, k: int) -> None:
        """Called after instruction ``k`` where each is a step of its own."""

    def _collect(self, outputs: list[Any], updates: list[Any]) -> tuple[list[Any], list[Any]]:
        """Results that lie in the program's memory, or that the run made."""
        program = self.x.program
        seen: set[Any] = set()
        for refs, values in ((program.outputs, outputs), (program.updates, updates)):
            for k, r in enumerate(refs):
                if values[k] is None:
                    values[k] = self.view(r)
                    if r.buffer.kind == "dynamic" and r.buffer in seen:
                        values[k] = copy.deepcopy(values[k])
                    seen.add(r.buffer)
        return outputs, updates

    def _steps(self, steps: Sequence[Any]) -> None:
        for step in steps:
            if type(step) is NativeStep:
                at = self.x.machine.run(self.code_at, step.first, *self.rest)
                if at >= 0:
                    self._failed(at)
            else:
                self._python(step)

    # -- errors ---------------------------------------------------------------------------------------------------

    def _not_run(self, at: int, inputs: Sequence[Any], shareds: Sequence[Any]) -> None:
        if at == vm.NOT_ARRAYS:
            self._not_arrays([*inputs, *shareds])
        self._failed(at)

    def _not_arrays(self, values: Sequence[Any]) -> None:
        x = next(v for v in values if type(v) is not np.ndarray)
        raise TypeMismatch(f"expected a NumPy array where arguments are trusted, got {type(x).__name__}")

    def _failed(self, at: int) -> None:
        """The machine stopped at an instruction: a bad index, or Ctrl-C."""
        if not self.error[0]:
            raise KeyboardInterrupt
        kind, bad, size, check, table = (int(v) for v in self.error)
        self.error[:] = 0
        i, bound = self.x.origin_of.get(at), self.x.bounds[check] if check >= 0 else None
        error: Any = IndexOutOfRange(f"index {bad} is out of range for a dimension of size {size}")
        if kind != BAD_INDEX:
            what = "write" if kind == BAD_WRITE else "read"
            i = _accessing(self.reader_of.get(table, i), what, bound)
            where = "scratch memory" if bound is None else described(bound)
            error = OutOfBuffer(
                f"{getattr(i, 'label', '')}: a {what} {bad} bytes from the start of {where} of {size} bytes"
            )
        error._source = getattr(bound, "source", None) or getattr(i, "source", None)
        raise error

    # -- what needs Python ----------------------------------------------------------------------------------------

    def view(self, r: Ref) -> Any:
        """A Ref as a NumPy array."""
        array = self.arrays[self.x.table_index[r.buffer]]
        if r.buffer.kind == "dynamic" or r.dtype == "object":
            return array
        offset = r.offset + sum(k * int(self.params[self.x.param_index[name]]) for name, k in r.params)
        if array.shape == r.shape and offset == 0 and r.contiguous and array.flags.c_contiguous:
            return array
        return strided(array, offset, r.shape, r.strides)

    def _python(self, step: Any) -> None:
        i = step[0]
        try:
            self._run_python(step, i)
        except Exception as error:
            with contextlib.suppress(AttributeError):
                if getattr(error, "_source", None) is None:
                    error._source = i.source  # type: ignore[attr-defined]
            raise

    def _run_python(self, step: Any, i: Instruction) -> None:
        if isinstance(i, Routine):
            i.run(*[self.view(r) for r in i.inputs], *[self.view(r) for r in i.outputs], **i.attrs)
        elif isinstance(i, Host):
            for r, value in zip(i.outputs, step[1](*[self.view(r) for r in i.inputs]), strict=True):
                if r.buffer.kind == "dynamic":
                    self.arrays[self.x.table_index[r.buffer]] = value
                else:
                    np.copyto(self.view(r), value)
        elif isinstance(i, Branch):
            self._steps(step[1] if self.view(i.condition) else step[2])
        elif isinstance(i, Loop):
            self._python_loop(i, step[1], step[2])
        else:
            raise NotImplementedError(type(i).__name__)

    def _python_loop(self, i: Loop, body: Sequence[Any], setter: Callable[[int], dict[str, int]]) -> None:
        index, params = self.x.param_index, self.params
        n = i.steps if i.limit is None else min(i.steps, int(self.view(i.limit)))
        taken = 0
        for t in range(n - 1, -1, -1) if i.backwards else range(n):
            params[index[i.counter]] = t
            for name, value in setter(t).items():
                params[index[name]] = value
            self._steps(body)
            taken += 1
            if i.until is not None and self.view(i.until):
                break
        if i.steps_taken is not None:
            self.view(i.steps_taken)[...] = taken
