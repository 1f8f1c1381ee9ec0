"""The emulator as a device of the ``cuda`` target: what CuPy and cuBLAS do, done with guarded memory and NumPy."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.targets.cuda.cublas import call_of
from tinygraph.targets.cuda.routines import ROUTINES

from .emulator import DeviceBuffer, Emulator


class EmulatedArray:
    """A C-contiguous array in guarded memory."""

    def __init__(self, buffer: DeviceBuffer, shape: Sequence[int], dtype: Any, device: EmulatedDevice) -> None:
        self.buffer, self.shape, self.dtype, self.device = buffer, tuple(shape), np.dtype(dtype), device
        self.ptr = buffer.ptr

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def flags(self) -> Any:
        return np.empty(self.shape, self.dtype).flags

    def host(self) -> np.ndarray:
        """The memory itself, seen by NumPy."""
        return memory_view(self.ptr, self.shape, None, self.dtype, self)

    def get(self) -> np.ndarray:
        return self.host().copy()

    def __dlpack__(self, **options: Any) -> Any:
        return self.host().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __int__(self) -> int:
        return int(self.host())

    __index__ = __int__

    def __deepcopy__(self, memo: Any) -> EmulatedArray:
        new = EmulatedArray(DeviceBuffer(max(self.nbytes, 1)), self.shape, self.dtype, self.device)
        new.buffer.put(self.host())
        return new

    def __getitem__(self, key: Any) -> Any:
        return self.host()[key]


class _Holder:
    def __init__(self, interface: dict[str, Any], owner: Any) -> None:
        self.__array_interface__, self.owner = interface, owner


def memory_view(address: int, shape: Sequence[int], strides: Any, dtype: Any, owner: Any = None) -> np.ndarray:
    """NumPy's view of memory; ``strides`` in elements."""
    dtype = np.dtype(dtype)
    if 0 in shape:
        return np.empty(shape, dtype)
    step = None if strides is None else tuple(s * dtype.itemsize for s in strides)
    interface = {"data": (address, False), "shape": tuple(shape), "strides": step, "typestr": dtype.str, "version": 3}
    return np.asarray(_Holder(interface, owner))


def rounded(x: np.ndarray, factors: str) -> np.ndarray:
    """float32 factors as tensor cores take them: to nearest, with the bits that "tf32" or "bf16" keep."""
    lost = {"": 0, "tf32": 13, "bf16": 16}[factors]
    if not lost:
        return x
    bits = x.view("uint32")
    half = (1 << lost - 1) - (1 if factors == "bf16" else 0) + ((bits >> lost & 1) if factors == "bf16" else 0)
    return ((bits + np.asarray(half, "uint32")) & np.uint32(0xFFFFFFFF << lost & 0xFFFFFFFF)).view("float32")


def multiply(product: Any, a: int, b: int, c: int) -> None:
    """A ``products.Gemm`` on three addresses, as cuBLAS is asked for it."""
    x = call_of(product)
    first, second = (b, a) if x.swapped else (a, b)

    def stored(address: int, transposed: bool, rows: int, columns: int, ld: int, step: int) -> np.ndarray:
        """A stack of matrices stored by columns, as cuBLAS reads it."""
        assert ld >= max(1, columns if transposed else rows), "cuBLAS refuses this leading dimension"
        strides = (step, ld, 1) if transposed else (step, 1, ld)
        return memory_view(address, (product.batch, rows, columns), strides, product.dtype)

    out = stored(c, False, x.m, x.n, x.ld_out, x.step_out)
    if out.size:
        left = stored(first, x.transpose_first, x.m, x.k, x.ld_first, x.step_first)
        right = stored(second, x.transpose_second, x.k, x.n, x.ld_second, x.step_second)
        wide = "float32" if product.dtype == "float16" else product.dtype
        value = np.matmul(*(rounded(x.astype(wide), product.factors) for x in (left, right)))
        out[...] = out + value if product.accumulate else value


class EmulatedDevice:
    """A GPU with few, small thread blocks: each thread is a fiber.

    ``seed`` orders the fibers; ``capacity``, in bytes, makes larger allocations fail; ``captures``: whether calls are
    replayed as a CUDA graph would be, with the addresses and arguments that they were captured with.
    """

    arch = "sm_80"

    def __init__(self, seed: int = 0, name: str = "cuda:0", capacity: int | None = None, captures: bool = False) -> None:
        self.name, self.blocks, self.threads = name, 3, 64
        self.capacity, self.captures = capacity, captures
        self.emulator = Emulator(seed=seed, align=256)
        self.sources: list[str] = []
        self.recording: list[Callable[[], None]] | None = None
        self.replays = 0

    def active(self) -> Any:
        return contextlib.nullcontext()

    def empty(self, shape: Sequence[int], dtype: str) -> EmulatedArray:
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if self.capacity is not None and nbytes > self.capacity:
            from tinygraph.targets.cuda.device import OutOfDeviceMemory

            raise OutOfDeviceMemory(f"{self.name} has no room for {nbytes} bytes")
        return EmulatedArray(DeviceBuffer(max(nbytes, 1)), shape, dtype, self)

    def is_array(self, x: Any) -> bool:
        return type(x) is EmulatedArray and x.device is self

    def adopt(self, x: Any) -> Any:
        return None

    def reusable(self, x: EmulatedArray) -> bool:
        return True

    def pointer(self, x: EmulatedArray) -> int:
        return x.ptr

    def put(self, x: np.ndarray) -> EmulatedArray:
        new = self.empty(x.shape, x.dtype.name)
        new.buffer.put(x)
        return new

    def fetch(self, x: EmulatedArray) -> np.ndarray:
        return x.get()

    def _do(self, action: Callable[[], None]) -> None:
        """Run now, or note for a replay: a graph being captured runs nothing."""
        if self.recording is not None:
            self.recording.append(action)
        else:
            action()

    def upload(self, address: int, x: np.ndarray) -> None:
        assert self.recording is None, "host memory was read while a graph was captured"
        assert x.flags.c_contiguous
        ctypes.memmove(address, x.ctypes.data, x.nbytes)

    def download(self, address: int, out: np.ndarray) -> None:
        assert self.recording is None, "the host waited while a graph was captured"
        ctypes.memmove(out.ctypes.data, address, out.nbytes)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._do(lambda: ctypes.memmove(target, source, nbytes))

    def clear(self, address: int, nbytes: int) -> None:
        self._do(lambda: ctypes.memset(address, 0, nbytes))

    def compile(self, source: str, options: Sequence[str] = ()) -> Any:
        self.sources.append(source)
        folder = os.environ.get("TINYGRAPH_DUMP_SOURCES")
        if folder:
            with open(os.path.join(folder, f"{len(os.listdir(folder))}.cu"), "w", encoding="utf-8") as file:
                file.write(source)
        return _Module(self, self.emulator.compile(source, [o for o in options if not o.startswith("--")]))

    def gemm(self, product: Any, a: int, b: int, c: int) -> None:
        self._do(lambda: multiply(product, a, b, c))

    def routine(self, name: str) -> Callable[..., None] | None:
        """CuPy's routines by NumPy, whose functions have the same names and meaning."""
        run = ROUTINES.get(name)
        return None if run is None else lambda inputs, outputs, attrs: run(np, inputs, outputs, attrs)

    def view(self, address: int, shape: Sequence[int], strides: Sequence[int], dtype: str, owner: Any) -> Any:
        return memory_view(address, shape, strides, dtype, owner)

    def synchronize(self) -> None:
        assert self.recording is None, "the host waited while a graph was captured"

    def queue(self) -> object:
        return 0

    wait_for_all = synchronize

    def capture(self, run: Callable[[], None]) -> Callable[[], None] | None:
        if not self.captures:
            return None
        self.recording = actions = []
        try:
            run()
        finally:
            self.recording = None

        def replay() -> None:
            self.replays += 1
            for action in actions:
                action()

        return replay


class _Module:
    """A compiled source whose kernels take part in captures."""

    def __init__(self, device: EmulatedDevice, module: Any) -> None:
        self.device, self.module = device, module

    def function(self, name: str) -> Callable[..., None]:
        kernel = self.module.function(name)

        def launch(grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared_mem: int = 0) -> None:
            kept = tuple(args)
            self.device._do(lambda: kernel(grid, block, kept, shared_mem))

        return launch
