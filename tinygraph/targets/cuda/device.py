"""What the ``cuda`` target asks of a GPU: memory, copies, compiled kernels, matrix products, captured calls.

One implementation runs on real GPUs through CuPy (``cupy_device.py``). Any other object with these methods can take its
place under a device's name by ``install``: that is how the whole target is tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np

from tinygraph.errors import TinygraphError


class DeviceUnavailable(TinygraphError, RuntimeError):
    """The device that was asked for cannot be used here; the message says what is missing."""


class OutOfDeviceMemory(TinygraphError, MemoryError):
    """The device has no room; the message lists the largest buffers that were wanted."""


class Device(Protocol):
    """Memory and kernels of one GPU. Arrays are C-contiguous objects with ``shape``, ``dtype`` and ``nbytes``.

    ``name``: "cuda:0" and the like; ``blocks``: thread blocks that fill it; ``threads``: of a block without needs of
    its own; ``arch``: such as "sm_90".
    """

    name: str
    blocks: int
    threads: int
    arch: str

    def active(self) -> AbstractContextManager[Any]:
        """Everything below runs inside: the device as the thread's current one."""
        ...

    def empty(self, shape: Sequence[int], dtype: str) -> Any:
        """A new array, not filled. Raises OutOfDeviceMemory."""

    def is_array(self, x: Any) -> bool:
        """Whether ``x`` is an array on this device."""
        ...

    def adopt(self, x: Any) -> Any:
        """``x``, an array that speaks DLPack or the CUDA array interface, as one of ours without a copy; else None."""

    def reusable(self, x: Any) -> bool:
        """Whether an array that nobody holds may be written again: its memory is not somebody else's."""
        ...

    def pointer(self, x: Any) -> int:
        """The address of an array."""
        ...

    def put(self, x: np.ndarray) -> Any:
        """A new array with the content of ``x``."""

    def fetch(self, x: Any) -> np.ndarray:
        """The content of an array as a new NumPy array."""
        ...

    def upload(self, address: int, x: np.ndarray) -> None:
        """Copy a C-contiguous NumPy array to memory of ours."""

    def download(self, address: int, out: np.ndarray) -> None:
        """Copy memory of ours into a C-contiguous NumPy array; waits for all work before."""

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy inside the device."""

    def clear(self, address: int, nbytes: int) -> None:
        """Fill with zero bytes."""

    def compile(self, source: str, options: Sequence[str] = ()) -> Any:
        """An object whose ``function(name)`` gives kernels ``f(grid, block, args, shared_mem)``."""

    def gemm(self, product: Any, a: int, b: int, c: int) -> None:
        """Run a ``products.Gemm`` on three addresses."""

    def routine(self, name: str) -> Callable[..., None] | None:
        """The device's own form of a library routine, ``run(inputs, outputs, attrs)`` on arrays, if it has one."""

    def view(self, address: int, shape: Sequence[int], strides: Sequence[int], dtype: str, owner: Any) -> Any:
        """Memory of ours as an array for ``routine``; ``strides`` in elements."""

    def synchronize(self) -> None:
        """Wait for all that was queued."""

    def queue(self) -> object:
        """What work goes to now: work on equal queues is done in the order in which it was given."""
        ...

    def wait_for_all(self) -> None:
        """Wait for all that was queued, on whatever queue."""

    def capture(self, run: Callable[[], None]) -> Callable[[], None] | None:
        """``run``'s launches recorded once; what comes back replays them. None where that cannot be done."""


_INSTALLED: dict[str, Device] = {}


def install(name: str, device: Device) -> None:
    """Use ``device`` wherever the device ``name`` ("cuda", "cuda:1") is asked for."""
    _INSTALLED[canonical(name)] = device


@contextmanager
def installed(name: str, device: Device) -> Iterator[Device]:
    """``install`` for the length of a ``with`` block."""
    key = canonical(name)
    before = _INSTALLED.get(key)
    _INSTALLED[key] = device
    try:
        yield device
    finally:
        if before is None:
            del _INSTALLED[key]
        else:
            _INSTALLED[key] = before


def canonical(name: str) -> str:
    """``"cuda"`` is ``"cuda:0"``."""
    return "cuda:0" if name in ("cuda", "cpu", "") else name


def started() -> list[Device]:
    """The devices in use."""
    return list(_INSTALLED.values())


def usable() -> list[Device]:
    """Every GPU of this machine that can be used; none where CuPy or a driver is missing."""
    from tinygraph.targets.cuda.cupy_device import import_cupy

    try:
        count = int(import_cupy("cuda").cuda.runtime.getDeviceCount())
    except DeviceUnavailable:
        count = 0
    names = dict.fromkeys([*_INSTALLED, *(f"cuda:{k}" for k in range(count))])
    return [device(name) for name in names]


def device(name: str) -> Device:
    """The device called ``name``, started on its first use.

    Raises: DeviceUnavailable, saying what is missing.
    """
    key = canonical(name)
    found = _INSTALLED.get(key)
    if found is None:
        from tinygraph.targets.cuda.cupy_device import CupyDevice

        found = _INSTALLED[key] = CupyDevice(int(key.partition(":")[2]))
    return found
