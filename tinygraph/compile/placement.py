"""Where values live: shared variables and arguments, moved between the host and a device as functions need them.

A shared variable's value goes to the device with the first call of a function that runs there, and stays. A function on
the CPU that reads it gets a copy for its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.shared import Container
from tinygraph.graph.tensortype import TensorType


class Placement:
    """A device as ``SharedVariable.get_value`` and ``set_value`` see it."""

    def __init__(self, device: Any):
        self.device = device

    def to_host(self, value: Any) -> np.ndarray:
        """A copy of the value, wherever it lies, as a NumPy array."""
        if isinstance(value, np.ndarray):  # the last update was made on the CPU
            return value.copy()
        return (self.device if self.device.is_array(value) else owner(value)).fetch(value)

    def to_device(self, value: Any, type: TensorType, borrow: bool) -> Any:
        """``value`` on the device; an array there already is copied unless ``borrow``. TypeError if it does not fit."""
        ours = as_device_array(self.device, value, type)
        if ours is None:
            return self.device.put(np.ascontiguousarray(type.filter(value)).reshape(np.shape(value)))
        return ours if borrow else copied(self.device, ours)


def as_device_array(device: Any, x: Any, type: TensorType) -> Any:
    """``x`` as a contiguous array on the device if it lies there; None if it lies elsewhere.

    Raises: TypeMismatch where dtype or shape are not those of ``type``.
    """
    if isinstance(x, (np.ndarray, np.generic, int, float, list, tuple)):
        return None
    if not device.is_array(x):
        x = device.adopt(x)
        if x is None:
            return None
    if x.dtype != type.numpy_dtype or len(x.shape) != type.ndim or not type.fits_shape(x.shape):
        raise TypeMismatch(f"expected {type}, got an array of {x.dtype} with shape {tuple(x.shape)} on {device.name}")
    return x


def copied(device: Any, x: Any) -> Any:
    """A new array on the device with the content of ``x``."""
    new = device.empty(x.shape, str(x.dtype))
    if new.nbytes:
        device.copy(device.pointer(new), device.pointer(x), new.nbytes)
    return new


def place(device: Any, c: Container) -> Any:
    """The container's value, moved to the device for good."""
    if not isinstance(c.type, TensorType):
        return c.value
    value = c.value if isinstance(c.value, np.ndarray) else owner(c.value).fetch(c.value)
    c.value, c.spare = device.put(value if value.flags.c_contiguous else value.copy()), None
    c.device = Placement(device)
    return c.value


def announce(device: Any, containers: Sequence[Container]) -> None:
    """A function on ``device`` will read or update these: from now on their values are asked for through a device."""
    for c in containers:
        if c.device is None and isinstance(c.type, TensorType):
            c.device = Placement(device)


def owner(value: Any) -> Any:
    """The device that an array lies on."""
    from tinygraph.targets.cuda.device import started

    return next(d for d in started() if d.is_array(value))


def on_host(c: Container) -> np.ndarray:
    """The container's value for one call on the CPU."""
    return c.device.to_host(c.value) if c.device is not None else c.value
