"""The memory of a checked call: buffers apart, between guards that are looked at after each instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygraph.errors import OutOfBuffer
from tinygraph.lower.plan import aligned
from tinygraph.program.instructions import Buffer
from tinygraph.targets.llvm.machine import address_of
from tinygraph.targets.llvm.workspace import Workspace, described

#: bytes before and behind each buffer that nothing may write to, and what they hold
GUARD, PATTERN = 4096, 0xA5


class CheckedWorkspace(Workspace):
    """A workspace in which every buffer has memory of its own, which begins as bytes of 255 (floats: nan)."""

    def _layout(self) -> tuple[dict[Buffer, int], int]:
        offsets, at = {}, GUARD
        for b in self.x.plan.offsets:
            offsets[b] = at
            at += aligned(b.nbytes) + GUARD
        return offsets, at

    def _contexts(self, scratch: int) -> None:
        self.extents = np.zeros((len(self.table), 2), dtype=np.int64)
        for k, array in enumerate(self.arrays):
            if array is not None:
                self._set_extent(k, array)
        #: the buffers with guards: their blocks, and where in these they begin
        self.guarded: list[tuple[Buffer, np.ndarray, int]] = []
        super()._contexts(scratch)

    def _extents(self) -> int:
        return address_of(self.extents)

    def _set_extent(self, k: int, array: np.ndarray) -> None:
        self.extents[k] = byte_bounds(array) if array.size else (0, 0)

    def _names(self) -> dict[str, Any]:
        return {"empty": self._empty}

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array between guards."""
        nbytes = int(np.prod(shape)) * dtype.itemsize
        return np.ndarray(shape, dtype, np.full(nbytes + 2 * GUARD, PATTERN, dtype=np.uint8), GUARD)

    def _hold(self, arrays: Sequence[Any]) -> None:
        super()._hold(arrays)
        x = self.x
        self.guarded = [(b, self.block, address_of(self.arrays[x.table_index[b]]) - address_of(self.block))
                        for b in x.plan.offsets]  # fmt: skip
        self.block[...] = PATTERN
        for b in x.plan.offsets:
            self.arrays[x.table_index[b]].view(np.uint8)[...] = 255
        for b, array in zip(x.call_printer.given, arrays, strict=True):
            if isinstance(array, np.ndarray):  # what is none is refused when the call starts
                self._set_extent(x.table_index[b], array)
            if b.kind in ("output", "update"):
                self.guarded.append((b, array.base, GUARD))

    def _release(self) -> None:
        super()._release()
        self.guarded = []

    def _after(self, k: int) -> None:
        for b, block, at in self.guarded:
            end = at + b.nbytes
            if not ((block[at - GUARD : at] == PATTERN).all() and (block[end : end + GUARD] == PATTERN).all()):
                i = self.x.program.instructions[k]
                error: Any = OutOfBuffer(f"{i.label or type(i).__name__}: wrote next to {described(b)}")
                error._source = i.source
                raise error
