"""Which arrays a nest reads and writes, as NumPy views with one axis for each axis of the nest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.program.expr import Access


def strided(x: np.ndarray, offset: int, shape: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """``x``'s memory seen with ``shape`` and ``strides`` (in elements), starting ``offset`` elements from its first."""
    size = x.itemsize
    step = tuple(s * size for s in strides)
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, offset * size, step)
    base = np.lib.stride_tricks.as_strided(x, shape, step, writeable=x.flags.writeable)
    if offset:
        address = x.__array_interface__["data"][0] + offset * size
        holder = _Memory(address, shape, step, x)
        return np.asarray(holder)
    return base


class _Memory:
    """Raw memory that keeps its owner alive."""

    def __init__(self, address: int, shape: Sequence[int], strides: Sequence[int], owner: np.ndarray):
        self.owner = owner
        self.__array_interface__ = {
            "data": (address, not owner.flags.writeable),
            "shape": tuple(shape),
            "strides": tuple(strides),
            "typestr": owner.dtype.str,
            "version": 3,
        }


def collapsed(extents: Sequence[int], strides: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of a view in which axes that an access does not move along have size 1."""
    shape = tuple(1 if s == 0 else e for e, s in zip(extents, strides, strict=True))
    return shape, tuple(strides)


def offset_text(access: Access) -> str:
    """The access's start as Python text."""
    terms = [str(access.offset)] if access.offset or not access.params else []
    terms += [name if k == 1 else f"{name} * {k}" for name, k in access.params]
    return " + ".join(terms)


def is_whole(access: Access, shape: Sequence[int]) -> bool:
    """Whether the view is the buffer itself in C order."""
    if access.offset or access.params or access.dynamic is not None:
        return False
    expected = 1
    for d, s in zip(reversed(shape), reversed(access.strides), strict=True):
        if d != 1 and s != expected:
            return False
        expected *= d
    return expected == access.buffer.size


def merge_axes(extents: Sequence[int], strides: Sequence[Any]) -> Any:
    """Strides of the axes merged into one of their joint size, or None where memory does not allow it."""
    live = [(e, s) for e, s in zip(extents, strides, strict=True) if e != 1]
    if not live:
        return 0
    for (_, outer), (e, inner) in zip(live, live[1:], strict=False):
        if outer != inner * e:
            return None
    return live[-1][1]
