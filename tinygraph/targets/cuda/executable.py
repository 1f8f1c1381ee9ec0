"""Running a printed program on a device: workspaces, arguments and results, and whole calls captured as CUDA graphs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import IndexOutOfRange
from tinygraph.lower.fuse import fuse
from tinygraph.lower.picked import resolve
from tinygraph.lower.plan import ALIGN, MemoryPlan, plan_memory
from tinygraph.program.instructions import Buffer, Program, Ref
from tinygraph.targets.cuda import modules
from tinygraph.targets.cuda.device import Device, OutOfDeviceMemory
from tinygraph.targets.cuda.fills import without_fills
from tinygraph.targets.cuda.kernel import Tuning
from tinygraph.targets.cuda.printer import ProgramPrinter
from tinygraph.targets.cuda.schedule import may_group
from tinygraph.targets.cuda.staging import stage
from tinygraph.targets.cuda.steps import ERROR_BYTES, Frame, blame, fetch
from tinygraph.targets.cuda.together import together
from tinygraph.targets.cuda.writer import CallIntegers

#: captured calls kept by a workspace, each for its own addresses and host integers
_GRAPHS = 64
#: workspaces kept when calls come from other streams
_SPARE = 8


class CudaExecutable:
    """A program compiled for a device. Calls from several threads each take a workspace of their own."""

    def __init__(self, program: Program, device: Device, options: Any = None):
        resolve(program)
        # results in place of temporaries would spare no traffic here, and take epilogues and packs away
        fuse(program, may_group, in_place=False)
        self.program = program
        self.device = device
        without_fills(program)
        stage(program)
        together(program)
        self.printer = ProgramPrinter(program, device, tuning_of(program, device, options))
        self.plan: MemoryPlan = plan_memory(program)
        self.steps = self.printer.steps
        modules.load(self.printer.launches(), device)
        borrowed = [*program.borrowed, *[False] * len(program.outputs)]
        #: each output, whether it stays on the device, and whether it is contiguous there
        self.results = [(r, b, r.contiguous) for r, b in zip(program.outputs, borrowed, strict=False)]
        self.fixed = all(s.fixed for s in self.steps)
        self.reads_integers = any(CallIntegers() in x.kernel.arguments for x in self.printer.launches())
        #: buffers whose addresses come with a call; all others stay where a workspace has them
        self.passed = [r.buffer for r in (*program.inputs, *program.shared, *program.updates)
                       if r.dtype != "object" and r.buffer.kind in ("input", "shared", "update")]  # fmt: skip
        #: host integers on which the launches' arguments themselves depend
        self.baked = [name for name in program.params if name in self.printer.baked()]
        self.checking = [x for x in self.printer.launches() if x.checks]
        for slot, x in enumerate(self.checking):
            x.slot = slot
        #: records ``(instruction, begin, end)``; a profiled call waits after each instruction and is never captured
        self.record = program.profile.register(program) if program.profile is not None else None
        self.call = self._run
        self._pool: list[Workspace] = []
        self._taking = threading.Lock()

    def source(self) -> str:
        """The CUDA C of the kernels, after the list of what is launched."""
        return self.printer.source()

    def failed_at(self, error: BaseException) -> Any:
        """Where in the graph a call failed, or None."""
        return error.__dict__.get("_tinygraph_source")

    def free(self) -> None:
        """Give the workspaces' memory back."""
        self._pool.clear()

    def _run(self, inputs: Any, shareds: Any, params: Any, fresh: Callable[..., Any]) -> tuple:
        """``(outputs, updates)``: host arrays unless borrowed, and device arrays; all of them fresh."""
        with self.device.active():
            try:
                w = self._workspace()
                try:
                    return w.run(inputs, shareds, params, fresh)
                finally:
                    self._pool.append(w)
            except OutOfDeviceMemory as error:
                wanted = largest_buffers(self.program, self.plan)
                raise OutOfDeviceMemory(f"{self.program.name}: {error}\n{wanted}") from error

    def _workspace(self) -> Workspace:
        """One whose last call was queued where this one will be, so that it is done with its memory; else a new one."""
        queue = self.device.queue()
        with self._taking:
            for k in reversed(range(len(self._pool))):
                if self._pool[k].queue == queue:
                    return self._pool.pop(k)
            if len(self._pool) >= _SPARE:  # of streams that are gone, perhaps
                self.device.wait_for_all()
                self._pool.clear()
        return Workspace(self, queue)


class Workspace:
    """Memory for one call at a time: temporaries as planned, arguments and results at fixed addresses, constants."""

    def __init__(self, executable: CudaExecutable, queue: object):
        self.e = executable
        self.queue = queue
        self.device = executable.device
        p = executable.program
        self.kept: list[Any] = []
        self.base: dict[Buffer, int] = {}
        self.graphs: OrderedDict[Any, Callable[[], None] | None] = OrderedDict()
        self._place(p)

    def _place(self, p: Program) -> None:
        e = self.e
        scratch = e.printer.scratch()
        self.arena = self._memory(e.plan.peak + ALIGN)
        for b, offset in e.plan.offsets.items():
            self.base[b] = self.arena + offset
        self.scratch = self._memory(scratch) if scratch else 0
        self.error = self._memory(self._error_bytes)
        self.device.clear(self.error, self._error_bytes)
        self.integers = self._memory(8 * max(len(p.params), 1))
        self.frame = Frame(self.device, self.base, {}, self.scratch, self.error, self.integers)
        for b in p.constants:
            array = self.device.put(np.ascontiguousarray(b.data).reshape(-1))
            self.kept.append(array)
            self.base[b] = self.device.pointer(array)
        for r in (*p.inputs, *p.outputs):
            if r.buffer.kind in ("input", "output") and r.dtype != "object":
                self.base[r.buffer] = self._memory(r.buffer.nbytes)
        #: each argument with its own place, taken unless the argument lies on the device already
        self.arguments = [(r, self.base.get(r.buffer, 0)) for r in p.inputs]

    @property
    def _error_bytes(self) -> int:
        return ERROR_BYTES * len(self.e.checking)

    def _memory(self, nbytes: int) -> int:
        block = self.device.empty((max(nbytes, 1),), "uint8")
        self.kept.append(block)
        return self.device.pointer(block)

    # -- one call -------------------------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Any], shareds: Sequence[Any], params: Sequence[int], fresh: Any) -> tuple:
        p, device, f = self.e.program, self.device, self.frame
        base = f.base
        f.objects = {}
        if p.params:
            f.params = dict(zip(p.params, params, strict=True))
            if self.e.reads_integers:
                device.upload(self.integers, np.array(params, "int64"))
        for (r, place), x in zip(self.arguments, inputs, strict=True):
            self._argument(f, r, place, x)
        for r, x in zip(p.shared, shareds, strict=True):
            if r.dtype == "object":
                f.objects[r.buffer] = x
            else:
                base[r.buffer] = device.pointer(x)
        updates = []
        for k, r in enumerate(p.updates):
            if r.buffer.kind == "update":
                updates.append(fresh(k, r.shape, r.dtype))
                base[r.buffer] = device.pointer(updates[-1])
            else:
                updates.append(None)
        self._execute(f)
        if self.e.checking:
            self._check()
        outputs = [self._result(f, *x) for x in self.e.results]
        for k, r in enumerate(p.updates):
            if updates[k] is None:  # its size came with the data, so it is on the host
                updates[k] = device.put(np.asarray(fetch(f, r)))
        f.objects = {}
        return tuple(outputs), tuple(updates)

    def _argument(self, f: Frame, r: Ref, place: int, x: Any) -> None:
        if r.dtype == "object":
            f.objects[r.buffer] = x
        elif self.device.is_array(x):
            f.base[r.buffer] = self.device.pointer(x)
        else:
            f.base[r.buffer] = place
            if x.nbytes:
                self.device.upload(place, x)

    def _execute(self, f: Frame) -> None:
        """Run the steps, or replay what was captured of them for the same addresses and integers.

        The first call with a key runs step by step, the second is captured: many keys are seen only once.
        """
        if self.e.record is not None:
            return self._timed(f)
        if not self.e.fixed:
            return self._steps(f)
        key = (*(f.base[b] for b in self.e.passed), *(f.params[name] for name in self.e.baked))
        if key not in self.graphs:
            self.graphs[key] = None
            if len(self.graphs) > _GRAPHS:
                self.graphs.popitem(last=False)
            return self._steps(f)
        replay = self.graphs[key]
        if replay is None:
            replay = self.device.capture(lambda: self._steps(f))
            if replay is None:  # the device captures nothing
                self.e.fixed = False
                return self._steps(f)
            self.graphs[key] = replay
        return replay()

    def _steps(self, f: Frame) -> None:
        for s in self.e.steps:
            s.run(f)

    def _timed(self, f: Frame) -> None:
        self.device.synchronize()
        for k, part in enumerate(self.e.printer.parts):
            begin = time.perf_counter()
            for s in part:
                s.run(f)
            self.device.synchronize()
            self.e.record(k, begin, time.perf_counter())  # type: ignore[misc]

    def _check(self) -> None:
        """Raise for the first index that was out of range; nothing of the call is kept then."""
        words = np.empty((len(self.e.checking), 3), "int64")
        self.device.download(self.error, words)
        for launch, (bad, index, size) in zip(self.e.checking, words.tolist(), strict=True):
            if bad:
                self.device.clear(self.error, self._error_bytes)
                error = IndexOutOfRange(f"index {index} is out of range for a dimension of size {size}")
                blame(error, launch.blamed(size))
                raise error

    def _result(self, f: Frame, r: Ref, borrowed: bool, contiguous: bool) -> Any:
        """An output: a host array, or a device array for a borrowed one."""
        if not borrowed or r.buffer in f.objects:
            return fetch(f, r)
        if not contiguous:
            return self.device.put(fetch(f, r))
        out = self.device.empty(r.shape, r.dtype)
        if out.nbytes:
            source = f.base[r.buffer] + f.offset(r) * r.buffer.itemsize
            self.device.copy(self.device.pointer(out), source, out.nbytes)
        return out


def tuning_of(program: Program, device: Device, options: Any) -> Tuning:
    """What the printer needs to know of the device and of the compilation's options."""
    factors = next((kind for kind in ("bf16", "tf32") if getattr(options, f"allow_{kind}", False)), "")
    return Tuning(device.blocks, device.threads, bool(getattr(options, "deterministic", False)), factors,
                  tuple(program.params))  # fmt: skip


def largest_buffers(p: Program, plan: MemoryPlan, count: int = 5) -> str:
    """The buffers that need most, one to a line, for the message of an allocation that failed."""
    lines = [f"the plan's temporaries take {plan.peak} bytes together; the largest buffers:"]
    for b in sorted(p.buffers, key=lambda b: -b.nbytes)[:count]:
        lines.append(f"  {b.nbytes} bytes  {b.kind} {b.name or repr(b)}  {b.dtype}[{b.size}]")
    return "\n".join(lines)
