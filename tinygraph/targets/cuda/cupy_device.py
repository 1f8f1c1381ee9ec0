"""A real GPU through CuPy: memory from its pool, kernels from NVRTC, streams, and captured calls."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np

from tinygraph.targets.cuda.binaries import binary
from tinygraph.targets.cuda.cublas import WORKSPACE_BYTES, Handle
from tinygraph.targets.cuda.device import DeviceUnavailable, OutOfDeviceMemory
from tinygraph.targets.cuda.routines import ROUTINES

#: the address that stands for each thread's default stream
_PER_THREAD = 2
#: pieces of pinned memory that a thread keeps
_STAGED = 64
_HOST_TO_DEVICE, _DEVICE_TO_HOST, _DEVICE_TO_DEVICE = 1, 2, 3


def import_cupy(wanted: str) -> Any:
    """CuPy, once it is sure that it can be used.

    Raises: DeviceUnavailable, saying what is missing.
    """
    if importlib.util.find_spec("cupy") is None:
        raise DeviceUnavailable(
            f"device {wanted!r} needs CuPy, which is not installed: "
            'pip install "tinygraph[cuda12]" or "tinygraph[cuda13]", as the driver\'s CUDA version is'
        )
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # noqa: BLE001  # whatever fails in a driver is what has to be told
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DeviceUnavailable(
            f"device {wanted!r}: CuPy is installed but finds no GPU it can use ({reason}); "
            "check the driver with nvidia-smi"
        ) from error
    if count == 0:
        raise DeviceUnavailable(f"device {wanted!r}: there is no GPU in this machine")
    return cupy


class CupyDevice:
    """One GPU. Calls run on CuPy's current stream; see ``device.Device`` for the methods."""

    threads = 256

    def __init__(self, index: int = 0):
        self.name = f"cuda:{index}"
        self.cp = import_cupy(self.name)
        count = self.cp.cuda.runtime.getDeviceCount()
        if index >= count:
            raise DeviceUnavailable(f"device {self.name!r}: the GPUs of this machine are cuda:0 to cuda:{count - 1}")
        self.index = index
        properties = self.cp.cuda.runtime.getDeviceProperties(index)
        self.arch = f"sm_{properties['major']}{properties['minor']}"
        self.blocks = 4 * int(properties["multiProcessorCount"])
        self.gpu = properties["name"].decode() if isinstance(properties["name"], bytes) else str(properties["name"])
        self._process = os.getpid()
        self._local = threading.local()

    def active(self) -> AbstractContextManager[Any]:
        """The device as CuPy's current one.

        Raises: DeviceUnavailable in a forked child: CUDA does not survive a fork.
        """
        if os.getpid() != self._process:
            raise DeviceUnavailable(
                f"{self.name} was started before this process was forked, and CUDA cannot be used after a fork; "
                "start worker processes with multiprocessing's 'spawn' method, or use the device only in them"
            )
        return self.cp.cuda.Device(self.index)

    # -- arrays ---------------------------------------------------------------------------------------------------

    def empty(self, shape: Sequence[int], dtype: str) -> Any:
        with self.active():
            try:
                return self.cp.empty(tuple(shape), dtype)
            except self.cp.cuda.memory.OutOfMemoryError as error:
                nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
                raise OutOfDeviceMemory(f"{self.name} has no room for {nbytes} bytes: {error}") from error

    def is_array(self, x: Any) -> bool:
        return type(x) is self.cp.ndarray and x.data.device_id == self.index and x.flags.c_contiguous

    def adopt(self, x: Any) -> Any:
        with self.active():
            if isinstance(x, self.cp.ndarray):  # on another GPU, or a view that is not contiguous
                return self.cp.asarray(x, order="C")
            if hasattr(x, "__cuda_array_interface__"):
                return self.cp.ascontiguousarray(self.cp.asarray(x))
            if hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] in (2, 13):  # CUDA, managed memory
                return self.cp.ascontiguousarray(self.cp.from_dlpack(x))
        return None

    def reusable(self, x: Any) -> bool:
        return x.base is None and isinstance(x.data.mem, self.cp.cuda.memory.PooledMemory)

    def pointer(self, x: Any) -> int:
        return x.data.ptr

    def put(self, x: np.ndarray) -> Any:
        out = self.empty(x.shape, x.dtype.name)
        if x.nbytes:
            with self.active():
                out.set(np.ascontiguousarray(x).reshape(x.shape))
        return out

    def fetch(self, x: Any) -> np.ndarray:
        with self.active():
            return x.get()

    # -- copies ---------------------------------------------------------------------------------------------------

    def _stream(self) -> Any:
        return self.cp.cuda.get_current_stream()

    def upload(self, address: int, x: np.ndarray) -> None:
        """Through pinned memory, so that the caller's array is free again when this returns and the copy is fast."""
        staging, event = self._staging(address, x.nbytes)
        event.synchronize()  # the copy of the call before
        np.copyto(staging, x.reshape(-1).view(np.uint8))
        stream = self._stream()
        self.cp.cuda.runtime.memcpyAsync(address, staging.ctypes.data, x.nbytes, _HOST_TO_DEVICE, stream.ptr)
        event.record(stream)

    def _staging(self, address: int, nbytes: int) -> tuple[np.ndarray, Any]:
        """Pinned memory for what goes to one address, and the event after its last copy."""
        known: dict[tuple[int, int], tuple[np.ndarray, Any]] = self._local.__dict__.setdefault("staging", {})
        if (address, nbytes) not in known:
            if len(known) >= _STAGED:
                known.pop(next(iter(known)))[1].synchronize()  # its memory may be given out again at once
            memory = self.cp.cuda.alloc_pinned_memory(nbytes)
            event = self.cp.cuda.Event(disable_timing=True)
            known[address, nbytes] = (np.frombuffer(memory, np.uint8, nbytes), event)
        return known[address, nbytes]

    def download(self, address: int, out: np.ndarray) -> None:
        stream = self._stream()
        self.cp.cuda.runtime.memcpyAsync(out.ctypes.data, address, out.nbytes, _DEVICE_TO_HOST, stream.ptr)
        stream.synchronize()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self.cp.cuda.runtime.memcpyAsync(target, source, nbytes, _DEVICE_TO_DEVICE, self._stream().ptr)

    def clear(self, address: int, nbytes: int) -> None:
        self.cp.cuda.runtime.memsetAsync(address, 0, nbytes, self._stream().ptr)

    # -- work -----------------------------------------------------------------------------------------------------

    def compile(self, source: str, options: Sequence[str] = ()) -> Any:
        with self.active():
            return _Module(self.cp, binary(self.cp.cuda.nvrtc, source, self.arch, options))

    def gemm(self, product: Any, a: int, b: int, c: int) -> None:
        self._handle(self._stream()).gemm(product, a, b, c)

    def _handle(self, stream: Any) -> Handle:
        """This thread's cuBLAS for a stream."""
        handles: dict[int, Handle] = self._local.__dict__.setdefault("handles", {})
        if stream.ptr not in handles:
            workspace = self.empty((WORKSPACE_BYTES,), "uint8")
            major = self.cp.cuda.runtime.runtimeGetVersion() // 1000
            handles[stream.ptr] = Handle(major, stream.ptr, workspace, workspace.data.ptr)
        return handles[stream.ptr]

    def routine(self, name: str) -> Callable[..., None] | None:
        run = ROUTINES.get(name)
        if run is None:
            return None
        return lambda inputs, outputs, attrs: run(self.cp, inputs, outputs, attrs)

    def view(self, address: int, shape: Sequence[int], strides: Sequence[int], dtype: str, owner: Any) -> Any:
        kind = np.dtype(dtype)
        span = 1 + sum(s * (n - 1) for s, n in zip(strides, shape, strict=True) if n)
        memory = self.cp.cuda.UnownedMemory(address, max(span, 1) * kind.itemsize, owner, self.index)
        pointer = self.cp.cuda.MemoryPointer(memory, 0)
        return self.cp.ndarray(tuple(shape), kind, pointer, tuple(s * kind.itemsize for s in strides))

    def synchronize(self) -> None:
        self._stream().synchronize()

    def queue(self) -> object:
        """The current stream; the per-thread default stream is another one in each thread."""
        address = self._stream().ptr
        return (address, threading.get_ident()) if address == _PER_THREAD else address

    def wait_for_all(self) -> None:
        self.cp.cuda.Device(self.index).synchronize()

    # -- captured calls -------------------------------------------------------------------------------------------

    def capture(self, run: Callable[[], None]) -> Callable[[], None] | None:
        lane = self._local.__dict__.setdefault("lane", _Lane(self.cp))
        with lane.stream:
            self._handle(lane.stream)  # makes memory, which a capture must not
            lane.stream.begin_capture(self.cp.cuda.runtime.streamCaptureModeThreadLocal)
            try:
                run()
            except BaseException:
                with suppress(self.cp.cuda.runtime.CUDARuntimeError):  # it ends with an error of its own
                    lane.stream.end_capture()
                raise
            graph = lane.stream.end_capture()
        return lambda: lane.replay(graph, self._stream())


class _Lane:
    """A stream to capture on. Products captured there share one workspace, so their replays take turns."""

    def __init__(self, cp: Any):
        self.stream = cp.cuda.Stream(non_blocking=True)
        self.done = cp.cuda.Event(disable_timing=True)
        self.last: int | None = None
        self.lock = threading.Lock()

    def replay(self, graph: Any, stream: Any) -> None:
        with self.lock:
            if self.last is not None and self.last != stream.ptr:
                stream.wait_event(self.done)
            graph.launch(stream)
            self.done.record(stream)
            self.last = stream.ptr


class _Module:
    """Machine code loaded into the current device."""

    def __init__(self, cp: Any, code: bytes):
        self.module = cp.cuda.function.Module()
        self.module.load(code)

    def function(self, name: str) -> Callable[..., None]:
        kernel = self.module.get_function(name)

        def launch(grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared_mem: int = 0) -> None:
            kernel(tuple(grid), tuple(block), tuple(args), shared_mem=shared_mem)

        return launch
