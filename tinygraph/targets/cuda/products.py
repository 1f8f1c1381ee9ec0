"""Sums of products: matrix products for cuBLAS, all others (convolutions and their gradients) by implicit gemm.

A contraction ``out[..] (+)= sum(a[..] * b[..])`` sorts its parallel axes by the operands that move along them: M (a
only), N (b only), or both (a batch). Where M, N and the summed axes each walk memory in one step it is a gemm. Every
other one is printed into ``kernels/contraction.cuh`` with the index arithmetic of its operands; its sizes are written
into the text (but for the outermost), as that arithmetic is done for each element of a tile.

The gradient of a convolution to its input adds up products at overlapping places, ``out[s*y + d*k] += a[y] * b[k]``. It
is turned round: place ``u`` takes the sum over ``k`` of ``a[(u - d*k) / s]`` where that is a whole number in range, so
that each place has one owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest
from tinygraph.targets.cuda.kernel import Kernel, Scratch, Tuning, flat_launch, printed
from tinygraph.targets.cuda.scalars import C_TYPES, accumulator
from tinygraph.targets.cuda.writer import Parameters, Pointer

#: batches of a kernel: the grid's third size, which the shares of a sum multiply
_MAX_BATCH = 65535
#: what cuBLAS takes as sizes and leading dimensions
_MAX_INT = 2**31 - 1
#: sizes of tiles (rows, columns) that ``kernels/tile.cuh`` makes
_TILES = tuple((m, n) for m in (128, 64, 32) for n in (128, 64, 32))
#: what moving a row or column of a tile costs, in products: its share of index arithmetic and of shared memory
_MOVED = 24
#: what beginning and ending a tile costs, in steps of its sum
_STARTED = 32


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
    tf32: bool = False

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
    if _size(nest, found.batch) > _MAX_BATCH and as_gemm(nest, found, Tuning(1, 1)) is None:
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
    batch, m, n, k = (_size(nest, part) for part in axes)
    sizes = {"a": (m, k), "b": (k, n), "c": (m, n)}
    for name, (rows, columns) in sizes.items():
        _, row, column = steps[name]
        if not _readable(row or 0, column or 0, rows, columns):
            return None
    leading = (abs(s or 0) for parts in steps.values() for s in parts[1:])
    if max(batch, m, n, k, *leading) > _MAX_INT:
        return None
    strides: dict[str, Any] = {name: tuple(parts) for name, parts in steps.items()}
    return Gemm(nest.dtype, batch, m, n, k, _pointer(a), _pointer(b), _pointer(c), strides["a"], strides["b"],
                strides["c"], nest.accumulate, tuning.allow_tf32)  # fmt: skip


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


def _size(nest: Nest, axes: Sequence[int]) -> int:
    return int(np.prod([nest.extents[k] for k in axes], dtype=np.int64))


def _pointer(a: Access) -> Pointer:
    size = a.buffer.itemsize
    return Pointer(a.buffer, a.offset * size, tuple((name, k * size) for name, k in a.params))


# -- as a kernel --------------------------------------------------------------------------------------------------


@dataclass
class Digit:
    """One digit of a flat index: its name and size, and its strides in the operands and the result."""

    name: str
    size: int
    left: int = 0
    right: int = 0
    out: int = 0


def _digits(nest: Nest, axes: Sequence[int], prefix: str) -> list[Digit]:
    """The axes as digits, neighbours merged where all three arrays allow it."""
    a, b = operands(nest)
    merged: list[Digit] = []
    for k in axes:
        d = Digit("", nest.extents[k], a.strides[k], b.strides[k], nest.out.strides[k])
        last = merged[-1] if merged else None
        if last is not None and all(
            x == y * d.size for x, y in ((last.left, d.left), (last.right, d.right), (last.out, d.out))
        ):
            d.size *= last.size
            merged[-1] = d
        else:
            merged.append(d)
    for position, d in enumerate(merged):
        d.name = f"{prefix}{position}"
    return merged


def _unflatten(flat: str, digits: Sequence[Digit]) -> list[str]:
    """Statements that set each digit from the flat index; the outermost size is not needed."""
    lines, rest = [], flat
    for position, d in reversed(list(enumerate(digits))):
        if position == 0:
            lines.append(f"const Index {d.name} = {rest};")
        else:
            lines += [f"const Index {d.name}q = quotient({rest}, {d.size});",
                      f"const Index {d.name} = {rest} - {d.name}q * {d.size};"]  # fmt: skip
            rest = f"{d.name}q"
    return lines


def _sum(digits: Sequence[Digit], which: str) -> str:
    """The offset of the digits in one of the arrays."""
    terms = [(d.name, getattr(d, which)) for d in digits if getattr(d, which)]
    return " + ".join(name if s == 1 else f"{name} * {s}" for name, s in terms) or "0"


def print_contraction(nest: Nest, found: Roles, tuning: Tuning) -> tuple[list[Kernel], dict[str, object]]:
    """The kernels of a contraction, and the macros they are compiled with."""
    pairs = [_Pair.of(nest, y, k, j) for j, (y, k) in enumerate(found.pairs)]
    m = _digits(nest, found.m, "i") + [x.place for x in pairs]
    n, k = _digits(nest, found.n, "j"), _digits(nest, found.k, "l") + [x.tap for x in pairs]
    z = _digits(nest, found.batch, "z")
    sizes = {name: int(np.prod([d.size for d in digits], dtype=np.int64)) for name, digits in
             (("m", m), ("n", n), ("k", k), ("z", z))}  # fmt: skip
    kind, value = C_TYPES[nest.dtype], accumulator(nest.dtype)
    place = f"x[{' + '.join(t for t in (_sum(m, 'out'), _sum(n, 'out')) if t != '0') or '0'}]"
    total = f"({value}){place} + value" if nest.accumulate else "value"
    values: dict[str, Any] = {
        "type": kind,
        "value": value,
        "left_row_fields": "".join(f"Index {x.place.name}; " for x in pairs),
        "left_column_fields": "".join(f"Index {x.tap.name}; " for x in pairs),
        "left_row": "\n".join([*_unflatten("m", m), _returned(_sum(m, "left"), [x.place.name for x in pairs])]),
        "left_column": "\n".join([*_unflatten("k", k), _returned(_sum(k, "left"), [x.shift() for x in pairs])]),
        "left_at": "\n".join([line for x in pairs for line in x.lines()] + [_element(pairs)]),
        "left_k_fastest": _k_fastest(k, m, "left"),
        "right_row": "\n".join([*_unflatten("m", n), _returned(_sum(n, "right"), [])]),
        "right_column": "\n".join([*_unflatten("k", k), _returned(_sum(k, "right"), [])]),
        "right_k_fastest": _k_fastest(k, n, "right"),
        "store": "\n".join([*_unflatten("m", m), *_unflatten("n", n), f"{place} = ({kind})({total});"]),
        **{f"{which}_shift": _batch_offset(z, which) for which in ("left", "right", "out")},
    }
    return _launches(nest, kind, sizes, values, tuning)


def _launches(nest: Nest, kind: str, sizes: dict[str, int], values: dict[str, Any], tuning: Tuning
              ) -> tuple[list[Kernel], dict[str, object]]:  # fmt: skip
    a, b = operands(nest)
    tile_m, tile_n, splits = tiling(sizes, nest.dtype, tuning)
    across, down = -(-sizes["m"] // tile_m), -(-sizes["n"] // tile_n)
    itemsize = max(nest.out.buffer.itemsize, 4)
    nbytes = splits * sizes["z"] * sizes["m"] * sizes["n"] * itemsize
    partial = Scratch(nbytes) if splits > 1 else ("pointer", 0)
    counts = [("i64", sizes["m"]), ("i64", sizes["n"])]
    first = [*counts, ("i64", sizes["k"]), ("int", splits), partial, _pointer(a), _pointer(b), _pointer(nest.out)]
    p = Parameters()
    grid = (across * down, 1, sizes["z"] * splits)
    main = printed("contraction", "contraction.cuh", p, first, grid, (256,), **values)
    main.arguments = first
    macros: dict[str, object] = {"TG_T": kind, "TILE_M": tile_m, "TILE_N": tile_n, "TG_INDEX": _index(nest, sizes)}
    if nest.dtype == "float16":
        macros["TG_MMA"] = "MMA_FP16"
    elif tuning.allow_tf32 and nest.dtype == "float32":
        macros["TG_MMA"] = "MMA_TF32"
    if splits == 1:
        return [main], macros
    flat, block = flat_launch(sizes["z"] * sizes["m"] * sizes["n"], tuning)
    last = printed("contraction", "contraction.cuh", p, first, flat, block, "_finish", **values)
    last.arguments = [("i64", sizes["z"]), *counts, ("int", splits), partial, _pointer(nest.out)]
    return [main, last], macros


def tiling(sizes: dict[str, int], dtype: str, tuning: Tuning) -> tuple[int, int, int]:
    """Rows and columns of a tile, and shares of the sum, with which a device is done first.

    Time is counted as rounds of all multiprocessors, times the work of one tile's share of the sum.
    """
    multiprocessors = max(tuning.blocks // 4, 1)
    largest = 64 if dtype == "float64" else 128
    most = max(1, min(sizes["k"] // 256, 64, _MAX_BATCH // max(sizes["z"], 1)))

    def time(choice: tuple[int, int, int]) -> float:
        rows, columns, splits = choice
        rounds = -(-_tiles(sizes, rows, columns) * splits // multiprocessors)
        return rounds * (rows * columns + _MOVED * (rows + columns)) * (sizes["k"] / splits + _STARTED)

    choices = []
    for rows, columns in _TILES:
        if max(rows, columns) <= largest:
            fitting = tuning.blocks // max(_tiles(sizes, rows, columns), 1)
            choices.append((rows, columns, max(1, min(fitting, most))))
    return min(choices, key=time)


def _tiles(sizes: dict[str, int], rows: int, columns: int) -> int:
    return -(-sizes["m"] // rows) * -(-sizes["n"] // columns) * sizes["z"]


def _index(nest: Nest, sizes: dict[str, int]) -> str:
    """The C type of indices: sizes of the product (with a tile to spare) and addresses in each array."""
    reach = max(sizes["m"], sizes["n"], sizes["k"]) + 256
    for a in (*operands(nest), nest.out):
        reach = max(reach, sum(abs(s) * e for s, e in zip(a.strides, nest.extents, strict=True)))
    return "int" if reach < 2**31 else "i64"


def _returned(base: str, more: Sequence[str]) -> str:
    return f"return {{{', '.join([base, *more])}}};"


def _element(pairs: Sequence[_Pair]) -> str:
    return f"return x[{' + '.join(['row.base', 'column.base', *(x.term() for x in pairs)])}];"


def _k_fastest(k: Sequence[Digit], rows: Sequence[Digit], which: str) -> str:
    """Whether neighbours along the sum lie side by side, and those along the rows do not."""
    near = bool(k) and getattr(k[-1], which) in (1, -1)
    return "true" if near and not (rows and getattr(rows[-1], which) == 1) else "false"


def _batch_offset(z: Sequence[Digit], which: str) -> str:
    """The offset of batch ``z`` as one expression."""
    terms, step = [], 1
    for position, d in reversed(list(enumerate(z))):
        digit = "z" if step == 1 else f"z / {step}"
        digit = digit if position == 0 else f"({digit}) % {d.size}"
        if getattr(d, which):
            terms.append(f"({digit}) * {getattr(d, which)}")
        step *= d.size
    return " + ".join(reversed(terms)) or "0"


@dataclass
class _Pair:
    """A dimension of the result in which axis y of ``a`` and axis k of ``b`` meet: place u = step_y*y + step_k*k."""

    place: Digit
    tap: Digit
    name: str
    step_y: int
    step_k: int
    count: int  # positions of y
    stride: int  # of y in a

    @classmethod
    def of(cls, nest: Nest, y: int, k: int, position: int) -> _Pair:
        a, b = operands(nest)
        sy, sk = nest.out.strides[y], nest.out.strides[k]
        unit = gcd(sy, sk)
        ny, nk = nest.extents[y], nest.extents[k]
        places = (sy * (ny - 1) + sk * (nk - 1)) // unit + 1
        place = Digit(f"u{position}", places, 0, 0, unit)
        tap = Digit(f"t{position}", nk, 0, b.strides[k], 0)
        return cls(place, tap, f"y{position}", sy // unit, sk // unit, ny, a.strides[y])

    def shift(self) -> str:
        return self.tap.name if self.step_k == 1 else f"{self.tap.name} * {self.step_k}"

    def lines(self) -> list[str]:
        y, difference = self.name, f"row.{self.place.name} - column.{self.tap.name}"
        if self.step_y == 1:
            return [f"const Index {y} = {difference};", f"if ({y} < 0 || {y} >= {self.count}) return 0;"]
        return [
            f"const Index {y}d = {difference}, {y} = {y}d / {self.step_y};",
            f"if ({y}d < 0 || {y}d % {self.step_y} || {y} >= {self.count}) return 0;",
        ]

    def term(self) -> str:
        return self.name if self.stride == 1 else f"{self.name} * {self.stride}"
