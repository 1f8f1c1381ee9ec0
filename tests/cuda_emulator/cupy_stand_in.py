"""What the cuda target uses of CuPy, on the emulator: so that ``CupyDevice`` itself runs without a GPU.

Streams are queues. Work is done late, in an order that the seed shuffles and that keeps only what CUDA promises: the
order within a stream, events, and the legacy default stream's waiting for blocking streams and theirs for it. Freed
memory, pinned memory too, is given out again at once, as by CuPy's pools. So work that relies on an order that nobody
asked for reads or writes the wrong values here. While a stream is captured, allocating and waiting fail.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import random
import threading
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .device import memory_view, multiply
from .emulator import DeviceBuffer, Emulator


class CUDARuntimeError(RuntimeError):
    """An error that CUDA would report."""


class OutOfMemoryError(MemoryError):
    """The pool has no room."""


class Work:
    """Something queued on a stream, which waits for other work."""

    def __init__(self, stream: Stream, run: Callable[[], object], waits: Iterable[Work]):
        self.stream, self.run, self.done = stream, run, False
        self.waits = [w for w in waits if not w.done]


class Stream:
    """A queue of work."""

    def __init__(self, engine: Engine, ptr: int, blocking: bool):
        self.engine, self.ptr, self.blocking = engine, ptr, blocking
        self.pending: deque[Work] = deque()
        self.last: Work | None = None
        self.recording: list[Callable[[], object]] | None = None

    def __enter__(self) -> Stream:
        self.engine.currents().append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self.engine.currents().pop()

    def synchronize(self) -> None:
        self.engine.may_wait()
        if self.last is not None:
            self.engine.finish(self.last)

    def wait_event(self, event: Event) -> None:
        self.engine.queue(self, lambda: None, [event.work] if event.work is not None else [])

    def begin_capture(self, mode: Any = None) -> None:
        assert self.recording is None
        self.recording = []
        self.engine.local.capturing = True

    def end_capture(self) -> Graph:
        found, self.recording = self.recording, None
        self.engine.local.capturing = False
        assert found is not None
        return Graph(self.engine, found)


class Event:
    def __init__(self, engine: Engine):
        self.engine = engine
        self.work: Work | None = None

    def record(self, stream: Stream | None = None) -> None:
        self.work = self.engine.queue(stream or self.engine.current(), lambda: None)

    def synchronize(self) -> None:
        self.engine.may_wait()
        if self.work is not None:
            self.engine.finish(self.work)


class Graph:
    def __init__(self, engine: Engine, steps: list[Callable[[], object]]):
        self.engine, self.steps = engine, steps
        self.last: Work | None = None

    def launch(self, stream: Stream | None = None) -> None:
        """Queue every step; launches of one graph follow each other."""
        self.engine.graph_launches += 1
        waits = [self.last] if self.last is not None else []
        for step in self.steps or [lambda: None]:
            self.last = self.engine.queue(stream or self.engine.current(), step, waits)


class Engine:
    """All streams and memory; ``seed`` decides what is done when."""

    def __init__(self, seed: int, capacity: int | None = None):
        self.random, self.emulator, self.capacity = random.Random(seed), Emulator(seed=seed, align=256), capacity
        self.lock, self.local = threading.RLock(), threading.local()
        self.null = Stream(self, 0, True)
        self.streams: dict[int, Stream] = {0: self.null}
        self.free: dict[tuple[int, int], list[DeviceBuffer]] = defaultdict(list)
        self.free_pinned: dict[int, list[DeviceBuffer]] = defaultdict(list)
        self.pinned: list[tuple[int, int]] = []
        self.blocks: list[DeviceBuffer] = []  # all of them, so that none is unmapped while it waits to be given out
        self.graph_launches = 0

    def new_stream(self, blocking: bool) -> Stream:
        ptr = 1000 + len(self.streams)
        self.streams[ptr] = Stream(self, ptr, blocking)
        return self.streams[ptr]

    def currents(self) -> list[Stream]:
        return self.local.__dict__.setdefault("streams", [])

    def current(self) -> Stream:
        return (self.currents() or [self.null])[-1]

    def may_wait(self) -> None:
        if getattr(self.local, "capturing", False):
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")

    def queue(self, stream: Stream, run: Callable[[], object], waits: Iterable[Work] = ()) -> Work | None:
        with self.lock:
            if stream.recording is not None:
                stream.recording.append(run)
                return None
            others = [s for s in self.streams.values() if s.blocking] if stream is self.null else [self.null]
            implied = [s.last for s in others if s.last is not None and s is not stream] if stream.blocking else []
            work = stream.last = Work(stream, run, [*waits, *implied])
            stream.pending.append(work)
            for _ in range(self.random.choice((0, 0, 1, 2))):
                waiting = [s for s in self.streams.values() if s.pending]
                if waiting:
                    self._step(self.random.choice(waiting))
            return work

    def _step(self, stream: Stream) -> None:
        """Do the next thing of a stream, or of one that it waits for."""
        while blocker := next((w for w in stream.pending[0].waits if not w.done), None):
            stream = blocker.stream
        work = stream.pending.popleft()
        work.done = True
        work.run()
        work.waits.clear()

    def finish(self, work: Work) -> None:
        with self.lock:
            while not work.done:
                self._step(work.stream)

    def finish_all(self) -> None:
        self.may_wait()
        for stream in list(self.streams.values()):
            if stream.last is not None:
                self.finish(stream.last)

    # -- memory -------------------------------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> Memory:
        self.may_wait()
        if self.capacity is not None and nbytes > self.capacity:
            raise OutOfMemoryError(f"Out of memory allocating {nbytes:,} bytes")
        size = -(-max(nbytes, 1) // 512) * 512
        with self.lock:
            block = self._block(self.free[self.current().ptr, size], size)
            return Memory(self, block, self.current().ptr, size)

    def _block(self, free: list[DeviceBuffer], size: int) -> DeviceBuffer:
        if not free:
            free.append(DeviceBuffer(size))
            self.blocks.append(free[-1])
        return free.pop()

    def allocate_pinned(self, nbytes: int) -> Any:
        self.may_wait()
        size = -(-nbytes // 512) * 512
        with self.lock:
            free = self.free_pinned[size]
            block = self._block(free, size)
            self.pinned.append((block.ptr, size))

        def gone(_: Any) -> None:
            free.append(block)

        return type("Pinned", (ctypes.c_char * size,), {"__del__": gone}).from_address(block.ptr)

    def copy(self, to: int, source: int, nbytes: int, kind: int, stream: int) -> None:
        if kind == 1 and not any(start <= source < start + size for start, size in self.pinned):
            data = ctypes.string_at(source, nbytes)  # pageable memory is read at once
            self.queue(self.streams[stream], lambda: ctypes.memmove(to, data, nbytes))
        else:
            self.queue(self.streams[stream], lambda: ctypes.memmove(to, source, nbytes))


class Memory:
    """A block of the pool; back in it as soon as nobody holds it."""

    def __init__(self, engine: Engine, block: DeviceBuffer, stream: int, size: int):
        self.engine, self.block, self.stream, self.size, self.ptr = engine, block, stream, size, block.ptr

    def __del__(self) -> None:
        self.engine.free[self.stream, self.size].append(self.block)


class UnownedMemory:
    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1):
        self.ptr, self.size, self.owner = ptr, size, owner


class MemoryPointer:
    def __init__(self, mem: Any, offset: int):
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, 0


class ndarray:  # noqa: N801  # CuPy's name
    engine: Engine

    def __init__(self, shape: Sequence[int], dtype: Any = float, memptr: Any = None, strides: Any = None):
        self.shape, self.dtype, self.base = tuple(shape), np.dtype(dtype), None
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.nbytes, self.ndim = self.size * self.dtype.itemsize, len(self.shape)
        self.data = memptr or MemoryPointer(self.engine.allocate(self.nbytes), 0)
        self.strides = strides if strides is not None else np.empty(self.shape, self.dtype).strides
        self.flags = types.SimpleNamespace(c_contiguous=memory_view(
            self.data.ptr, self.shape, [s // self.dtype.itemsize for s in self.strides], self.dtype).flags.c_contiguous)  # fmt: skip

    def host(self) -> np.ndarray:
        """The memory as it is now, whatever is still to be done."""
        return memory_view(self.data.ptr, self.shape, [s // self.dtype.itemsize for s in self.strides], self.dtype, self)

    def set(self, x: np.ndarray) -> None:
        if x.shape != self.shape or x.dtype != self.dtype:
            raise ValueError("Shape or dtype mismatch")
        data = x.copy()
        self.engine.queue(self.engine.current(), lambda: np.copyto(self.host(), data))

    def get(self) -> np.ndarray:
        out = np.empty(self.shape, self.dtype)
        self.engine.queue(self.engine.current(), lambda: np.copyto(out, self.host()))
        self.engine.current().synchronize()
        return out

    def __getitem__(self, key: Any) -> ndarray:
        """A view."""
        found = self.host()[key]
        start = found.__array_interface__["data"][0] - self.data.ptr
        view = type(self)(found.shape, self.dtype, MemoryPointer(self.data.mem, self.data.ptr - self.data.mem.ptr + start), found.strides)
        view.base = self
        return view

    def __setitem__(self, key: Any, value: Any) -> None:
        def assign() -> None:
            self.host()[key] = value.host() if isinstance(value, ndarray) else value

        self.engine.queue(self.engine.current(), assign)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False), "version": 3,
                "strides": None if self.flags.c_contiguous else self.strides}  # fmt: skip

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **options: Any) -> Any:
        self.engine.current().synchronize()
        return self.host().__dlpack__()

    def __int__(self) -> int:
        return int(self.get())

    __index__ = __int__


class Handle:
    """cuBLAS on one stream: a product passes through the workspace, whose other users would spoil it."""

    engine: Engine

    def __init__(self, major: int, stream: int, workspace: Any, address: int):
        self.stream, self.workspace, self.address = self.engine.streams[stream], workspace, address

    def gemm(self, g: Any, a: int, b: int, c: int) -> None:
        token = np.random.default_rng().integers(1, 2**62)

        def begin() -> None:
            memory_view(self.address, (1,), None, "int64")[0] = token

        def end() -> None:
            assert memory_view(self.address, (1,), None, "int64")[0] == token, "two products share one workspace"
            multiply(g, a, b, c)

        self.engine.queue(self.stream, begin)
        self.engine.queue(self.stream, end)


def _nvrtc(programs: dict[int, Any]) -> Any:
    """The module's functions; machine code is the source with its options."""

    def create(source: str, name: str, headers: Any, names: Any) -> int:
        programs[len(programs)] = [source, ()]
        return len(programs) - 1

    def compile_program(program: int, options: tuple[str, ...]) -> None:
        assert any(o.startswith("--gpu-architecture=sm_") for o in options)
        programs[program][1] = options

    def cubin(program: int) -> bytes:
        return repr(tuple(programs[program])).encode()

    return types.SimpleNamespace(createProgram=create, compileProgram=compile_program, getCUBIN=cubin,
                                 destroyProgram=lambda program: None, getProgramLog=lambda program: "",
                                 getSupportedArchs=lambda: (75, 80, 90), getVersion=lambda: (0, 0),
                                 NVRTCError=RuntimeError)  # fmt: skip


def _module_type(engine: Engine) -> type:
    class Module:
        def load(self, code: bytes) -> None:
            source, options = eval(code)  # noqa: S307  # what cubin() above made
            self.module = engine.emulator.compile(source, [o for o in options if not o.startswith("--")])

        def get_function(self, name: str) -> Callable[..., None]:
            kernel = self.module.function(name)

            def launch(grid: tuple, block: tuple, args: tuple, shared_mem: int = 0) -> None:
                assert isinstance(grid, tuple) and isinstance(block, tuple)
                kinds = [kind for _, kind, _ in kernel.parameters]
                kept = [np.int64(a) if type(a) is int and k != "p" else a for a, k in zip(args, kinds, strict=True)]
                engine.queue(engine.current(), lambda: kernel(grid, block, kept, shared_mem))

            return launch

    return Module


def stand_in(seed: int = 0, capacity: int | None = None) -> Any:
    """A module to be put in CuPy's place; ``module.engine`` is what does the work."""
    engine = Engine(seed, capacity)
    array = type("ndarray", (ndarray,), {"engine": engine})

    def empty(shape: Sequence[int], dtype: Any = float) -> ndarray:
        return array(shape, dtype)

    def asarray(x: Any, order: str | None = None) -> ndarray:
        if not isinstance(x, ndarray):
            given = x.__cuda_array_interface__
            memory = MemoryPointer(UnownedMemory(given["data"][0], 0, x), 0)
            x = array(given["shape"], np.dtype(given["typestr"]), memory, given.get("strides"))
        return x if order is None or x.flags.c_contiguous else ascontiguousarray(x)

    def ascontiguousarray(x: ndarray) -> ndarray:
        if x.flags.c_contiguous:
            return x
        new = empty(x.shape, x.dtype)
        new[...] = x
        return new

    def by_numpy(name: str) -> Callable[..., ndarray]:
        def run(x: ndarray, **options: Any) -> ndarray:
            like = getattr(np, name)(np.zeros(x.shape, x.dtype), **options)
            new = empty(like.shape, like.dtype)
            engine.queue(engine.current(), lambda: np.copyto(new.host(), getattr(np, name)(x.host(), **options)))
            return new

        return run

    def devices(index: int) -> Any:
        return _Device(engine)

    cupy: Any = types.ModuleType("cupy")
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.engine, cupy.ndarray, cupy.empty, cupy.asarray = engine, array, empty, asarray
    cupy.ascontiguousarray, cupy.from_dlpack = ascontiguousarray, lambda x: x.__dlpack__(stream=0)
    for name in ("sort", "argsort", "cumsum", "cumprod"):
        setattr(cupy, name, by_numpy(name))
    properties = {"major": 8, "minor": 0, "multiProcessorCount": 1, "name": b"an emulated GPU"}
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1, getDeviceProperties=lambda index: properties, runtimeGetVersion=lambda: 12090,
        memcpyAsync=engine.copy, streamCaptureModeThreadLocal=1, CUDARuntimeError=CUDARuntimeError,
        memsetAsync=lambda at, value, nbytes, stream: engine.queue(
            engine.streams[stream], lambda: ctypes.memset(at, value, nbytes)))  # fmt: skip
    cupy.cuda = types.SimpleNamespace(
        runtime=runtime, Device=devices, Event=lambda disable_timing=False: Event(engine), nvrtc=_nvrtc({}),
        Stream=lambda non_blocking=False: engine.new_stream(not non_blocking), get_current_stream=engine.current,
        alloc_pinned_memory=engine.allocate_pinned, UnownedMemory=UnownedMemory, MemoryPointer=MemoryPointer,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError, PooledMemory=Memory),
        function=types.SimpleNamespace(Module=_module_type(engine)))  # fmt: skip
    return cupy


class _Device:
    def __init__(self, engine: Engine):
        self.engine = engine

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def synchronize(self) -> None:
        self.engine.finish_all()
