"""What a program does on the device, step by step: launches, library calls, loops, and work handed to the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygraph.lower.host import PythonPrinter
from tinygraph.program.expr import Expr
from tinygraph.program.instructions import Branch, Buffer, Host, Instruction, Loop, Ref, Routine
from tinygraph.program.text import instruction_lines
from tinygraph.targets.cuda.device import Device
from tinygraph.targets.cuda.kernel import Kernel
from tinygraph.targets.cuda.products import Gemm
from tinygraph.targets.cuda.writer import CallIntegers, ErrorWords, HostNumber, Pointer, Scratch
from tinygraph.targets.numpy.printer import HostCall
from tinygraph.targets.numpy.views import strided

#: bytes of the three words in which a launch notes a bad index
ERROR_BYTES = 24
_NUMBERS = {"i64": np.int64, "int": np.int32, "pointer": int}


@dataclass
class Frame:
    """One call: addresses of buffers, host integers, and what lives on the host alone."""

    device: Device
    base: dict[Buffer, int]
    params: dict[str, int]
    scratch: int = 0
    error: int = 0
    integers: int = 0
    objects: dict[Buffer, Any] = field(default_factory=dict)

    def address(self, p: Pointer) -> int:
        at = self.base[p.buffer] + p.offset
        for name, k in p.params:
            at += self.params[name] * k
        return at

    def offset(self, r: Ref) -> int:
        """The first element of a view, counted in its buffer."""
        return r.offset + sum(self.params[name] * k for name, k in r.params)


class Step:
    """Something that a call runs. ``fixed``: it never waits for the device, so it can be part of a captured call."""

    fixed = True

    def run(self, f: Frame) -> None:
        raise NotImplementedError

    def lines(self) -> list[str]:
        """The step as text."""
        raise NotImplementedError

    def integers(self) -> set[str]:
        """Host integers that decide what the device is told to do."""
        return set()


class Launch(Step):
    """One kernel; ``function`` is filled in when it is compiled."""

    def __init__(self, kernel: Kernel, comment: Sequence[str], source: Any = None,
                 macros: dict[str, object] | None = None):  # fmt: skip
        self.kernel = kernel
        self.comment = list(comment)
        self.source = source  # where in the graph it comes from
        self.bounds: list[Any] = []  # sizes that indices are checked against, which know whose index it is
        self.macros = macros or {}
        self.function: Callable[..., None] | None = None
        #: which of the program's error words this launch writes, if it checks indices
        self.checks = any(isinstance(a, ErrorWords) for a in kernel.arguments)
        self.slot = 0
        self._arguments = [self._error if isinstance(a, ErrorWords) else _resolver(a) for a in kernel.arguments]

    def blamed(self, size: int) -> Any:
        """Where in the graph an index was checked against ``size``."""
        found = (getattr(b, "source", None) for b in self.bounds if b == size)
        return next((source for source in found if source is not None), self.source)

    def _error(self, f: Frame) -> int:
        return f.error + ERROR_BYTES * self.slot

    def run(self, f: Frame) -> None:
        args = [a(f) if callable(a) else a for a in self._arguments]
        self.function(self.kernel.grid, self.kernel.block, args)  # type: ignore[misc]

    def integers(self) -> set[str]:
        found = {a.name for a in self.kernel.arguments if isinstance(a, HostNumber)}
        return found | {name for a in self.kernel.arguments if isinstance(a, Pointer) for name, _ in a.params}

    def lines(self) -> list[str]:
        return [*self.comment, f"{self.kernel.name}<<<{self.kernel.grid}, {self.kernel.block}>>>"]


def _resolver(a: Any) -> Any:
    """An argument's value, or a function of the frame that gives it."""
    if isinstance(a, Pointer):
        if not a.params:
            buffer, offset = a.buffer, a.offset
            return lambda f: f.base[buffer] + offset
        return lambda f: f.address(a)
    if isinstance(a, HostNumber):
        return lambda f: np.int64(f.params[a.name])
    if isinstance(a, Scratch):
        return lambda f: f.scratch
    if isinstance(a, CallIntegers):
        return lambda f: f.integers
    kind, value = a
    return _NUMBERS[kind](value)


class Product(Step):
    """A matrix product by the device's library."""

    def __init__(self, gemm: Gemm, comment: Sequence[str]):
        self.gemm = gemm
        self.comment = list(comment)

    def run(self, f: Frame) -> None:
        g = self.gemm
        f.device.gemm(g, f.address(g.a), f.address(g.b), f.address(g.c))

    def integers(self) -> set[str]:
        return {name for x in (self.gemm.a, self.gemm.b, self.gemm.c) for name, _ in x.params}

    def lines(self) -> list[str]:
        return [*self.comment, self.gemm.text()]


# -- work on the host ---------------------------------------------------------------------------------------------


def fetch(f: Frame, r: Ref) -> Any:
    """A view's content as a host array."""
    if r.buffer in f.objects:
        return f.objects[r.buffer]
    start = f.offset(r)
    if r.contiguous:
        out = np.empty(r.shape, r.dtype)
        if out.nbytes:
            f.device.download(f.base[r.buffer] + start * r.buffer.itemsize, out)
        return out
    whole = np.empty(r.buffer.size, r.dtype)
    f.device.download(f.base[r.buffer], whole)
    return np.ascontiguousarray(strided(whole, start, r.shape, r.strides))


def store(f: Frame, r: Ref, value: Any) -> None:
    """Write a host array to a view."""
    start, size = f.offset(r), r.buffer.itemsize
    data = np.ascontiguousarray(np.broadcast_to(value, r.shape), dtype=r.dtype)
    if not data.nbytes:
        return
    if r.contiguous:
        f.device.upload(f.base[r.buffer] + start * size, data)
        return
    whole = np.empty(r.buffer.size, r.dtype)
    f.device.download(f.base[r.buffer], whole)
    strided(whole, start, r.shape, r.strides)[...] = data
    f.device.upload(f.base[r.buffer], whole)


@contextmanager
def blamed_on(i: Instruction) -> Iterator[None]:
    """Errors inside carry the instruction's place in the graph (see ``CudaExecutable.failed_at``)."""
    try:
        yield
    except Exception as error:
        blame(error, getattr(i, "source", None))
        raise


def blame(error: BaseException, source: Any) -> None:
    """Note on an error where in the graph it comes from."""
    error.__dict__.setdefault("_tinygraph_source", source)


class RoutineStep(Step):
    """A library routine: the device's own, or on the host with copies there and back."""

    fixed = False

    def __init__(self, i: Routine, native: Callable[..., None] | None):
        self.routine = i
        self.native = native

    def run(self, f: Frame) -> None:
        with blamed_on(self.routine):
            self._run(f)

    def _run(self, f: Frame) -> None:
        i = self.routine
        if self.native is not None:
            self.native([_view(f, r) for r in i.inputs], [_view(f, r) for r in i.outputs], i.attrs)
            return
        outputs = [np.empty(r.shape, r.dtype) for r in i.outputs]
        i.run(*(fetch(f, r) for r in i.inputs), *outputs, **i.attrs)
        for r, value in zip(i.outputs, outputs, strict=True):
            store(f, r, value)

    def lines(self) -> list[str]:
        where = "on the device" if self.native is not None else "on the host"
        return [*instruction_lines(self.routine), f"  {where}"]


def _view(f: Frame, r: Ref) -> Any:
    address = f.base[r.buffer] + f.offset(r) * r.buffer.itemsize
    return f.device.view(address, r.shape, r.strides, r.dtype, f)


class HostStep(Step):
    """A node run in Python on host arrays."""

    fixed = False

    def __init__(self, i: Host):
        self.host = i
        self.call = HostCall(i.node, [r.buffer.kind == "dynamic" for r in i.outputs])

    def run(self, f: Frame) -> None:
        with blamed_on(self.host):
            self._run(f)

    def _run(self, f: Frame) -> None:
        results = self.call(*(fetch(f, r) for r in self.host.inputs))
        for r, value in zip(self.host.outputs, results, strict=True):
            if r.buffer.kind == "dynamic":
                f.objects[r.buffer] = value
            else:
                if np.shape(value) != tuple(r.shape):
                    raise ValueError(f"{self.host.node.op}: announced shape {r.shape}, got {np.shape(value)}")
                store(f, r, value)

    def lines(self) -> list[str]:
        return instruction_lines(self.host)


# -- control ------------------------------------------------------------------------------------------------------


class LoopStep(Step):
    """A loop over steps that are launched one after another."""

    def __init__(self, loop: Loop, body: list[Step]):
        self.loop = loop
        self.body = body
        self.params = {name: _function_of(loop.counter, e) for name, e in loop.body_params.items()}
        self.fixed = loop.until is None and loop.limit is None and all(s.fixed for s in body)

    def run(self, f: Frame) -> None:
        loop = self.loop
        steps = loop.steps
        if loop.limit is not None:
            steps = min(steps, max(0, int(fetch(f, loop.limit))))
        taken = 0
        for t in range(steps - 1, -1, -1) if loop.backwards else range(steps):
            f.params[loop.counter] = t
            for name, value in self.params.items():
                f.params[name] = value(t)
            for s in self.body:
                s.run(f)
            taken += 1
            if loop.until is not None and bool(fetch(f, loop.until)):
                break
        if loop.steps_taken is not None:
            store(f, loop.steps_taken, np.int64(taken))

    def lines(self) -> list[str]:
        head = instruction_lines(self.loop)[0]
        return [head, *(f"  {line}" for s in self.body for line in s.lines())]


def _function_of(counter: str, e: Expr) -> Callable[[int], int]:
    """A Python function of the counter for a body parameter."""
    printer = PythonPrinter()
    result = printer.name(e)
    lines = "".join(f"    {line}\n" for line in printer.lines)
    space: dict[str, Any] = {}
    exec(f"def value({counter}):\n{lines}    return {result}\n", space)
    return space["value"]


class BranchStep(Step):
    """One of two lists of steps."""

    fixed = False

    def __init__(self, i: Branch, then: list[Step], otherwise: list[Step]):
        self.branch, self.then, self.otherwise = i, then, otherwise

    def run(self, f: Frame) -> None:
        for s in self.then if bool(fetch(f, self.branch.condition)) else self.otherwise:
            s.run(f)

    def lines(self) -> list[str]:
        head = instruction_lines(self.branch)[0]
        then = [f"  {line}" for s in self.then for line in s.lines()]
        return [head, *then, "else:", *(f"  {line}" for s in self.otherwise for line in s.lines())]

