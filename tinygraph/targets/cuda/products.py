"""Sums of products: matrix products for cuBLAS, all others (convolutions and their gradients) by implicit gemm.

A contraction ``out[..] (+)= sum(a[..] * b[..])`` sorts its parallel axes by the operands that move along them: M (a
only), N (b only), or both (a batch). Where M, N and the summed axes each walk memory in one step it is a gemm. Every
other one is printed (``contractions.py``) with the index arithmetic of its operands; its sizes are written into the
text (but for the outermost), as that arithmetic is done for each element of a tile.

The gradient of a convolution to its input adds up products at overlapping places, ``out[s*y + d*k] += a[y] * b[k]``. It
is turned round: place ``u`` takes the sum over ``k`` of ``a[(u - d*k) / s]`` where that is a whole number in range, so
that each place has one owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest
from tinygraph.targets.cuda.kernel import Tuning
from tinygraph.targets.cuda.writer import Pointer

#: batches of a kernel: the grid's third size, which the shares of a sum multiply
MAX_BATCH = 65535
#: what cuBLAS takes as sizes and leading dimensions
_MAX_INT = 2**31 - 1


def is_product(nest: Nest) -> bool:
    """Whether ``nest`` is a sum of products of floats, 16-bit ones included."""
    return is_contraction(nest, any_dtype=nest.dtype == "float16")


@dataclass(frozen=True)
class Gemm:
    """``c[b,m,n] (+)= sum over k of a[b,m,k] * b[b,k,n]``; strides in elements, in the order of these axes."""

    dtype: str
    batch: int
    m: int
    n: int
    k: int
    a: Pointer
    b: Pointer
    c: Pointer
    a_strides: tuple[int, int, int]
    b_strides: tuple[int, int, int]
    c_strides: tuple[int, int, int]
    accumulate: bool
    factors: str = ""  # "tf32" or "bf16": what float32 factors are rounded to

    def text(self) -> str:
        sign = "+=" if self.accumulate else "="
        m, n, k = self.m, self.n, self.k
        return f"gemm {self.dtype}: {self.batch} x ({m} x {n} {sign} {m} x {k} times {k} x {n})"


@dataclass
class Roles:
    """The axes of a contraction by role. ``pairs``: (axis of a, axis of b) that meet in one dimension of the result."""

    batch: list[int] = field(default_factory=list)
    m: list[int] = field(default_factory=list)
    n: list[int] = field(default_factory=list)
    k: list[int] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)


def operands(nest: Nest) -> tuple[Access, Access]:
    """The two factors' accesses."""
    a, b = nest.expr.args
    return a.attr, b.attr


def roles(nest: Nest) -> Roles | None:
    """How ``nest`` is a product; None if it is none, or one whose results overlap in a way that has no name here."""
    if not is_product(nest) or nest.out.dynamic is not None:
        return None
    a, b = operands(nest)
    found = Roles()
    for axis, (e, kind) in enumerate(zip(nest.extents, nest.kinds, strict=True)):
        if e == 1:
            continue
        if kind == "r":
            found.k.append(axis)
        elif a.strides[axis] and b.strides[axis]:
            found.batch.append(axis)
        else:
            (found.m if a.strides[axis] else found.n).append(axis)
    pairs = overlaps(nest)
    if pairs is None:
        return None
    for first, second in pairs:
        if second in found.m and first in found.n:
            first, second = second, first
        if first not in found.m or second not in found.n:
            return None
        found.m.remove(first)
        found.n.remove(second)
        found.pairs.append((first, second))
    if size_of(nest, found.batch) > MAX_BATCH and as_gemm(nest, found, Tuning(1, 1)) is None:
        return None
    return found


def overlaps(nest: Nest) -> list[tuple[int, int]] | None:
    """Pairs of parallel axes along which results overlap; None where more than two do, or one repeats a place."""
    live = [k for k, (e, c) in enumerate(zip(nest.extents, nest.kinds, strict=True)) if c == "p" and e != 1]
    groups: list[list[int]] = []
    reach = 0
    for k in sorted(live, key=lambda k: abs(nest.out.strides[k])):
        stride = abs(nest.out.strides[k])
        if stride == 0:
            return None
        if stride > reach:
            groups.append([k])
        elif not groups:
            return None
        else:
            groups[-1].append(k)
        reach += stride * (nest.extents[k] - 1)
    if any(len(g) > 2 for g in groups):
        return None
    pairs = [(g[0], g[1]) for g in groups if len(g) == 2]
    ok = all(nest.out.strides[x] > 0 and nest.out.strides[y] > 0 for x, y in pairs)
    return pairs if ok else None


# -- as a library call --------------------------------------------------------------------------------------------


def as_gemm(nest: Nest, found: Roles, tuning: Tuning) -> Gemm | None:
    """The matrix product that ``nest`` is, if its operands lie in memory as cuBLAS reads them."""
    if found.pairs:
        return None
    (a, b), c = operands(nest), nest.out
    axes = (found.batch, found.m, found.n, found.k)
    steps = {
        name: [_step(nest, x, part) for part in parts]
        for name, x, parts in (
            ("a", a, (axes[0], axes[1], axes[3])),
            ("b", b, (axes[0], axes[3], axes[2])),
            ("c", c, (axes[0], axes[1], axes[2])),
        )
    }
    if any(s is None for parts in steps.values() for s in parts):
        return None
    batch, m, n, k = (size_of(nest, part) for part in axes)
    sizes = {"a": (m, k), "b": (k, n), "c": (m, n)}
    for name, (rows, columns) in sizes.items():
        _, row, column = steps[name]
        if not _readable(row or 0, column or 0, rows, columns):
            return None
    leading = (abs(s or 0) for parts in steps.values() for s in parts[1:])
    if max(batch, m, n, k, *leading) > _MAX_INT:
        return None
    strides: dict[str, Any] = {name: tuple(parts) for name, parts in steps.items()}
    return Gemm(nest.dtype, batch, m, n, k, pointer_to(a), pointer_to(b), pointer_to(c), strides["a"], strides["b"],
                strides["c"], nest.accumulate, tuning.factors if nest.dtype == "float32" else "")  # fmt: skip


def _readable(row: int, column: int, rows: int, columns: int) -> bool:
    """Whether a matrix is stored by rows or by columns without overlap."""
    by_rows = (column == 1 or columns == 1) and (rows == 1 or row >= columns)
    by_columns = (row == 1 or rows == 1) and (columns == 1 or column >= rows)
    return by_rows or by_columns


def _step(nest: Nest, x: Access, axes: Sequence[int]) -> int | None:
    """The stride of the axes merged into one, or None where memory does not allow it; 0 for no axes."""
    for outer, inner in zip(axes, axes[1:], strict=False):
        if x.strides[outer] != x.strides[inner] * nest.extents[inner]:
            return None
    return x.strides[axes[-1]] if axes else 0


def size_of(nest: Nest, axes: Sequence[int]) -> int:
    return int(np.prod([nest.extents[k] for k in axes], dtype=np.int64))


def pointer_to(a: Access) -> Pointer:
    size = a.buffer.itemsize
    return Pointer(a.buffer, a.offset * size, tuple((name, k * size) for name, k in a.params))
