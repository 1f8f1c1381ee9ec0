"""Loops whose rows do not depend on each other: each thread takes some rows through all the steps, with no barrier.

The rows of a scan over a batch are its sequences. That they are independent is read off the program: every
instruction of the body runs over the rows first, and whatever the loop writes is only read and written at the row's
own place, ``S`` elements for each of the ``R`` rows (in every history, at every step). What it only reads may be
shared as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Buffer, Group, Instruction, Loop, Nest
from tinygraph.targets.llvm.packing import Packed


def shared_rows(loop: Loop) -> int:
    """Into how many independent rows the loop's work falls; 1 if it does not."""
    found: list[_Kernel] = []
    for k in _kernels(loop):
        if k is None:
            return 1
        found.append(k)
    rows = gcd(*[k.extent for k in found])
    written = {b for k in found for b in k.written}
    sizes: dict[Buffer, int] = {}
    return rows if rows > 1 and all(k.keeps_to_rows(rows, written, sizes) for k in found) else 1


def extent(i: Instruction) -> int | None:
    """Iterations that a kernel's rows are counted in: those of its first loop. None if they depend on each other."""
    if isinstance(i, Packed):
        return i.matrices.rows
    nests = [i] if isinstance(i, Nest) else i.nests if isinstance(i, Group) else []
    if not nests or (isinstance(i, Group) and i.outer < 1):
        return None
    if any(n.kinds[:1] != "p" or n.out.dynamic is not None or is_contraction(n) for n in nests):
        return None
    return nests[0].extents[0]


class _Kernel:
    """One instruction of the loop's body."""

    def __init__(self, i: Instruction, extent: int):
        self.extent = extent
        self.private: set[Buffer] = i.private if isinstance(i, Group) else set()
        self.nests: Sequence[Nest] = [i] if isinstance(i, Nest) else i.nests if isinstance(i, Group) else [i.nest]  # type: ignore[attr-defined]
        #: axes that make up the extent
        self.axes = i.matrices.row_axes if isinstance(i, Packed) else (0,)
        self.written = {n.out.buffer for n in self.nests} - self.private

    def keeps_to_rows(self, rows: int, written: set[Buffer], sizes: dict[Buffer, int]) -> bool:
        """Whether its accesses to what the loop writes stay in the row; ``sizes``: a row's elements in each buffer."""
        for n in self.nests:
            for a in (*n.accesses(), n.out):
                if a.buffer in written and a.buffer not in self.private:
                    size = _row_size(a, n, self.axes, rows, self.extent // rows)
                    if size is None or sizes.setdefault(a.buffer, size) != size:
                        return False
        return True


def _row_size(a: Access, n: Nest, axes: Sequence[int], rows: int, unit: int) -> int | None:
    """How many elements of its buffer belong to one row, if the access keeps to the row's own."""
    if a.dynamic is not None or any(s < 0 for s in a.strides):
        return None
    moving = [k for k in axes if n.extents[k] > 1]
    step = a.strides[moving[-1]]
    size = step * unit
    reach = step * (unit - 1)
    reach += sum(s * (e - 1) for k, (s, e) in enumerate(zip(a.strides, n.extents, strict=True)) if k not in axes)
    if size == 0 or a.offset % (rows * size) + reach >= size:
        return None
    return size if all(coef % (rows * size) == 0 for _, coef in a.params) else None


def _kernels(loop: Loop) -> Iterator[_Kernel | None]:
    """What the loop runs, inner loops included; None for what cannot be shared."""
    if loop.until is not None or loop.steps_taken is not None:
        yield None
        return
    for i in loop.body:
        if isinstance(i, Loop):
            yield from _kernels(i)
        else:
            n = extent(i)
            yield None if n is None else _Kernel(i, n)
