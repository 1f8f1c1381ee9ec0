"""Memory for big results, used again when nobody holds them any more.

A fresh array of many megabytes costs a page fault for each of its pages, which can take longer than computing it. The
arrays handed out here are views of blocks that are kept; a view (and a view of that) holds its block, so the number of
references to the block tells whether a caller still has the result.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

#: bytes from which a result is kept; below, the allocator does the same
BIG = 1 << 20
#: blocks kept for a result: one that the caller holds while the next call fills the other
_BLOCKS = 2


def _alone() -> int:
    """What the reference count of a local array is when nothing else holds it."""
    block = np.empty(0)
    return sys.getrefcount(block)


_ALONE = _alone()


class Results:
    """The blocks of one program's results. Threads may share it: a block is taken out of the list to be looked at."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[Any]] = {}

    def make(self, k: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array for result ``k``, with any values in it; shape and dtype are the same in every call."""
        blocks = self._blocks.setdefault(k, [])
        for _ in range(len(blocks)):
            try:
                block = blocks.pop(0)
            except IndexError:  # other threads look at the others
                break
            result = block.view() if sys.getrefcount(block) == _ALONE else None
            blocks.append(block)
            if result is not None:
                return result
        block = np.empty(shape, dtype)
        blocks.append(block)
        del blocks[:-_BLOCKS]
        return block.view()


def is_big(shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether memory for such a result is kept."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize >= BIG
