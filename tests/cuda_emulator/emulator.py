"""The emulator's interface, shaped like CuPy's: compile a source, take a function, launch it.

>>> module = Emulator(seed=1).compile(source)                       # doctest: +SKIP
>>> module.function("add")((4,), (64,), (x, y, np.int64(x.size)))   # doctest: +SKIP

Arguments are NumPy arrays (copied to a guarded buffer and, unless the parameter is a pointer to const, back),
:class:`DeviceBuffer` objects (memory that stays), NumPy scalars of the parameter's exact size, or Python numbers.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .build import EmulatorError, compiler, module_library, runtime_library

MAX_BLOCK, MAX_SHARED = 1024, 227 << 10
_MAX_ARGUMENTS = 4096  # before CUDA 12.1
_GRID_LIMITS = (2**31 - 1, 65535, 65535)
_launch_lock = threading.Lock()


class _TgBuffer(ctypes.Structure):
    _fields_ = [
        ("map", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("mapped", ctypes.c_size_t),
        ("size", ctypes.c_size_t),
    ]


@lru_cache(maxsize=1)
def _runtime() -> ctypes.CDLL:
    library = ctypes.CDLL(str(runtime_library()), mode=ctypes.RTLD_GLOBAL)
    library.tg_error.restype = ctypes.c_char_p
    library.tg_launch.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_ulonglong]
    library.tg_allocate.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(_TgBuffer)]
    return library


def missing_reason() -> str | None:
    """Why the emulator cannot run here, or None when it can."""
    return None if compiler() else "no C++ compiler (g++) to build the CUDA emulator with"


class DeviceBuffer:
    """Guarded memory at a fixed address; its bytes start as nan.

    ``align`` is the alignment the address is sure to have: 256 as from a GPU's allocator, an item's size to have the
    end of the buffer touch a protected page, so that reading one element too many faults.
    """

    def __init__(self, nbytes: int, align: int = 256) -> None:
        self._buffer = _TgBuffer()
        if _runtime().tg_allocate(nbytes, align, ctypes.byref(self._buffer)):
            raise MemoryError(f"no memory for a guarded buffer of {nbytes} bytes")
        self.nbytes = nbytes
        self.ptr: int = self._buffer.data

    @classmethod
    def of(cls, array: np.ndarray, align: int | None = None) -> DeviceBuffer:
        """Return a new buffer that holds the array's elements in row-major order."""
        buffer = cls(array.nbytes, array.itemsize if align is None else align)
        buffer.put(array)
        return buffer

    def put(self, array: np.ndarray) -> None:
        """Copy a whole array in, in row-major order."""
        data = np.ascontiguousarray(array)
        if data.nbytes > self.nbytes:
            raise EmulatorError(f"{data.nbytes} bytes do not fit a buffer of {self.nbytes}")
        ctypes.memmove(self.ptr, data.ctypes.data, data.nbytes)

    def get(self, shape: Sequence[int] | int, dtype: Any) -> np.ndarray:
        """Return a copy of the buffer's beginning as an array."""
        out = np.empty(shape, dtype)
        if out.nbytes > self.nbytes:
            raise EmulatorError(f"{out.nbytes} bytes wanted of a buffer of {self.nbytes}")
        ctypes.memmove(out.ctypes.data, self.ptr, out.nbytes)
        return out

    def check(self, what: str = "buffer") -> None:
        """Raise EmulatorError if a byte just outside the buffer was written."""
        if self._buffer.map and not _runtime().tg_canary_intact(ctypes.byref(self._buffer)):
            raise EmulatorError(f"{what}: bytes just outside its {self.nbytes} were written")

    def free(self) -> None:
        """Give the memory back; every later access faults."""
        if self._buffer.map:
            _runtime().tg_free(ctypes.byref(self._buffer))

    def __del__(self) -> None:
        try:
            self.free()
        except (AttributeError, TypeError):  # the interpreter is shutting down
            pass


class Kernel:
    """One kernel of a module; call it with grid, block, arguments and bytes of dynamic shared memory."""

    def __init__(self, name: str, library: ctypes.CDLL, seed: int, align: int | None) -> None:
        self.name, self._library, self._seed, self._align = name, library, seed, align
        codes = (ctypes.c_int * 256)()
        count = library[f"tg_signature_{name}"](codes)
        # (size in bytes, 'p'ointer 'f'loat 'i'nteger or 's'truct, pointer to const)
        self.parameters = [(code >> 16, chr(code & 0xFF), bool(code >> 8 & 1)) for code in codes[:count]]
        self._call = ctypes.cast(library[f"tg_call_{name}"], ctypes.c_void_p)

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared_mem: int = 0,
        seed: int | None = None,
    ) -> None:
        """Launch and wait.

        Raises: EmulatorError for a bad launch, and for whatever the kernel does wrong (see the README).
        """
        sizes = (*_extent(self.name, "grid", grid), *_extent(self.name, "block", block), shared_mem)
        if np.prod(sizes[3:6]) > MAX_BLOCK or not 0 <= shared_mem <= MAX_SHARED:
            what = f"block {sizes[3:6]} with {shared_mem} bytes of shared memory"
            raise EmulatorError(f"{self.name}: {what} cannot be launched")
        if any(size > limit for size, limit in zip(sizes, _GRID_LIMITS, strict=False)):
            raise EmulatorError(f"{self.name}: grid {sizes[:3]} exceeds {_GRID_LIMITS}")
        if sum(-(-size // 8) * 8 for size, _, _ in self.parameters) > _MAX_ARGUMENTS:
            raise EmulatorError(f"{self.name}: more than {_MAX_ARGUMENTS} bytes of arguments")
        if len(args) != len(self.parameters):
            raise EmulatorError(f"{self.name}: expected {len(self.parameters)} arguments, got {len(args)}")
        copies: dict[int, tuple[np.ndarray, DeviceBuffer, bool]] = {}
        packed = [self._pack(i, arg, copies) for i, arg in enumerate(args)]
        self._launch(packed, sizes, self._seed if seed is None else seed)
        self._finish(args, copies)

    def _pack(self, position: int, arg: Any, copies: dict[int, tuple[np.ndarray, DeviceBuffer, bool]]) -> Any:
        size, kind, constant = self.parameters[position]
        what = f"{self.name}: argument {position}"
        if kind == "p":
            if isinstance(arg, np.ndarray):
                if not arg.flags.c_contiguous:
                    raise EmulatorError(f"{what} is an array that is not contiguous")
                known = copies.get(id(arg))
                buffer = known[1] if known else DeviceBuffer.of(arg, self._align)
                copies[id(arg)] = (arg, buffer, constant and (known is None or known[2]))
                return ctypes.c_void_p(buffer.ptr)
            if isinstance(arg, DeviceBuffer):
                return ctypes.c_void_p(arg.ptr)
            if arg is None or isinstance(arg, int):
                return ctypes.c_void_p(arg or 0)
            raise EmulatorError(f"{what} is a pointer, got {type(arg).__name__}")
        return _scalar(what, size, kind, arg)

    def _launch(self, packed: list[Any], sizes: Sequence[int], seed: int) -> None:
        if 0 in sizes[:6]:
            raise EmulatorError(
                f"{self.name}: grid {sizes[:3]}, block {sizes[3:6]}: CUDA refuses a size of 0"
            )
        pointers = (ctypes.c_void_p * max(1, len(packed)))(*(ctypes.addressof(value) for value in packed))
        begin, end = self._library.tg_shared_begin(), self._library.tg_shared_end()
        numbers = (ctypes.c_longlong * 7)(*sizes)
        with _launch_lock:
            runtime = _runtime()
            if runtime.tg_launch(self._call, pointers, numbers, begin, end, seed):
                raise EmulatorError(f"{self.name}: {runtime.tg_error().decode(errors='replace')}")

    def _finish(self, args: Sequence[Any], copies: dict[int, tuple[np.ndarray, DeviceBuffer, bool]]) -> None:
        for arg in args:
            if isinstance(arg, DeviceBuffer):
                arg.check(f"{self.name}: a device buffer")
        for array, buffer, constant in copies.values():
            buffer.check(f"{self.name}: array of shape {array.shape}")
            if constant:
                if buffer.get(array.nbytes, np.uint8).tobytes() != array.tobytes():
                    raise EmulatorError(
                        f"{self.name}: array of shape {array.shape} is const, but was written"
                    )
            elif array.flags.writeable:
                array[...] = buffer.get(array.shape, array.dtype)
            buffer.free()


class Module:
    """A compiled source; ``function(name)`` gives one of its kernels."""

    def __init__(self, path: str, names: Sequence[str], seed: int, align: int | None) -> None:
        _runtime()  # its symbols must be there before the module that uses them
        self.names = list(names)
        self._library = ctypes.CDLL(path)
        self._library.tg_shared_begin.restype = self._library.tg_shared_end.restype = ctypes.c_void_p
        self._seed, self._align = seed, align

    def function(self, name: str) -> Kernel:
        """Return the kernel of that name.

        Raises: EmulatorError, listing the kernels there are.
        """
        if name not in self.names:
            raise EmulatorError(f"no kernel {name!r}; the source has {', '.join(self.names) or 'none'}")
        return Kernel(name, self._library, self._seed, self._align)


class Emulator:
    """Compiles sources; ``seed`` orders fibers and blocks, ``align`` is that of buffers made for array arguments.

    With ``align=None`` an array's buffer is aligned to its item size only and ends where a protected page begins.
    Raises: EmulatorError without a compiler.
    """

    def __init__(self, seed: int = 0, align: int | None = None) -> None:
        if reason := missing_reason():
            raise EmulatorError(reason)
        self.seed, self.align = seed, align

    def compile(self, source: str, options: Sequence[str] = ()) -> Module:
        """Build a CUDA C source, or take it from the cache on disk.

        Raises: EmulatorError with the compiler's messages.
        """
        path, names = module_library(source, options)
        return Module(str(path), names, self.seed, self.align)


def _extent(name: str, what: str, size: Sequence[int]) -> tuple[int, int, int]:
    values = tuple(int(value) for value in size) + (1, 1, 1)
    if not 1 <= len(size) <= 3 or min(values) < 0:
        raise EmulatorError(f"{name}: {what} {tuple(size)} is not one to three sizes")
    return values[0], values[1], values[2]


def _scalar(what: str, size: int, kind: str, arg: Any) -> Any:
    """Return a ctypes value of the parameter's size and kind; a NumPy scalar must have them already."""
    if isinstance(arg, np.generic) and (
        arg.dtype.itemsize != size or (arg.dtype.kind == "f") != (kind == "f")
    ):
        if kind != "s" or arg.dtype.itemsize != size:
            raise EmulatorError(f"{what} takes {size} bytes of kind {kind!r}, got {arg.dtype}")
    if kind == "s" or isinstance(arg, np.generic):
        data = np.asarray(arg).tobytes()
        if len(data) != size:
            raise EmulatorError(f"{what} takes {size} bytes, got {len(data)}")
        return (ctypes.c_char * size).from_buffer_copy(data)
    if kind == "f":
        return ctypes.c_double(arg) if size == 8 else ctypes.c_float(arg)
    if not isinstance(arg, (int, bool)):
        raise EmulatorError(f"{what} is an integer, got {type(arg).__name__}")
    return {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int32, 8: ctypes.c_int64}[size](arg)
