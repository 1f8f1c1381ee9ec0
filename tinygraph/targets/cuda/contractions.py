"""Contractions as kernels: each printed into ``kernels/contraction.cuh``, with an epilogue where one follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.epilogues import Epilogue, body, epilogue_of
from tinygraph.targets.cuda.kernel import Kernel, Scratch, Tuning, flat_launch, printed
from tinygraph.targets.cuda.products import MAX_BATCH, Roles, operands, pointer_to, size_of
from tinygraph.targets.cuda.scalars import C_TYPES, accumulator
from tinygraph.targets.cuda.writer import Parameters, index_type

#: sizes of tiles (rows, columns) that ``kernels/tile.cuh`` makes
_TILES = tuple((m, n) for m in (128, 64, 32) for n in (128, 64, 32))
#: what moving a row or column of a tile costs, in products: its share of index arithmetic and of shared memory
_MOVED = 24
#: what beginning and ending a tile costs, in steps of its sum
_STARTED = 32


@dataclass
class Digit:
    """One digit of a flat index: its name and size, and its strides in the operands and the result."""

    name: str
    size: int
    left: int = 0
    right: int = 0
    out: int = 0


def _axis(nest: Nest, k: int) -> Digit:
    a, b = operands(nest)
    return Digit("", nest.extents[k], a.strides[k], b.strides[k], nest.out.strides[k])


def _digits(nest: Nest, axes: Sequence[int], prefix: str) -> list[Digit]:
    return _merged([_axis(nest, k) for k in axes], prefix)


def _merged(digits: Sequence[Digit], prefix: str) -> list[Digit]:
    """The digits under names, neighbours merged where all three arrays allow it."""
    merged: list[Digit] = []
    for d in digits:
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


def print_contraction(nest: Nest, found: Roles, tuning: Tuning, readers: Sequence[Nest] = (),
                      unstored: Collection[Buffer] = ()) -> tuple[list[Kernel], dict[str, object]]:  # fmt: skip
    """The kernels of a contraction, and the macros they are compiled with; ``readers``: its epilogue."""
    pairs = [_Pair.of(nest, y, k, j) for j, (y, k) in enumerate(found.pairs)]
    end = epilogue_of(nest, readers[0]) if readers else None
    rows = [_axis(nest, k) for k in found.m] if end is None else _windowed(nest, found.m, end)
    m = _merged(rows, "i") + [x.place for x in pairs]
    n, k = _digits(nest, found.n, "j"), _digits(nest, found.k, "l") + [x.tap for x in pairs]
    z = _digits(nest, found.batch, "z")
    sizes = {name: prod(d.size for d in digits) for name, digits in (("m", m), ("n", n), ("k", k), ("z", z))}
    p = Parameters(_index(nest, sizes, readers), {x.out.buffer for x in readers}, tuning.integers)
    values: dict[str, Any] = {
        "type": C_TYPES[nest.dtype],
        "value": accumulator(nest.dtype),
        "left_row_fields": "".join(f"Index {x.place.name}; " for x in pairs),
        "left_column_fields": "".join(f"Index {x.tap.name}; " for x in pairs),
        "left_row": "\n".join([*_unflatten("m", m), _returned(_sum(m, "left"), [x.place.name for x in pairs])]),
        "left_column": "\n".join([*_unflatten("k", k), _returned(_sum(k, "left"), [x.shift() for x in pairs])]),
        "left_at": "\n".join([line for x in pairs for line in x.lines()] + [_element(pairs)]),
        "left_k_fastest": _k_fastest(k, m, "left"),
        "right_row": "\n".join([*_unflatten("m", n), _returned(_sum(n, "right"), [])]),
        "right_column": "\n".join([*_unflatten("k", k), _returned(_sum(k, "right"), [])]),
        "right_k_fastest": _k_fastest(k, n, "right"),
        "store": _stored(nest, m, n) if end is None else _ending(nest, found, end, readers, set(unstored), p),
        **{f"{which}_shift": _batch_offset(z, which) for which in ("left", "right", "out")},
        **_passed(p),
    }
    return _launches(nest, end, sizes, values, p, tuning)


def _windowed(nest: Nest, axes: Sequence[int], end: Epilogue) -> list[Digit]:
    """Digits of the rows: places first, the windows' inside last."""
    of = {x.axis: x for x in end.met}
    places = []
    for k in axes:
        d, x = _axis(nest, k), of[k]
        d.size = end.parallel[x.place] if x.place >= 0 else 1
        d.left, d.right, d.out = d.left * x.window, d.right * x.window, d.out * x.window
        places.append(d)
    inside = [_axis(nest, x.axis) for x in end.windows]
    for d, x in zip(inside, end.windows, strict=True):
        d.size = x.window
    return [d for d in (*places, *inside) if d.size != 1]


def _stored(nest: Nest, m: Sequence[Digit], n: Sequence[Digit]) -> str:
    """The statements that store one sum."""
    kind, value = C_TYPES[nest.dtype], accumulator(nest.dtype)
    place = f"x[{' + '.join(t for t in (_sum(m, 'out'), _sum(n, 'out')) if t != '0') or '0'}]"
    total = f"({value}){place} + *value" if nest.accumulate else "*value"
    return "\n".join([*_unflatten("m", m), *_unflatten("n", n), f"{place} = ({kind})({total});"])


def _ending(nest: Nest, found: Roles, end: Epilogue, readers: Sequence[Nest], unstored: set[Buffer],
            p: Parameters) -> str:  # fmt: skip
    """The statements that compute the epilogue from the sums of one window."""
    lines = body(nest, end, readers, unstored, p)
    of = {x.axis: x.place for x in end.met}
    decoded = []
    for flat, axes in (("m" if end.window == 1 else f"quotient(m, {end.window})", found.m), ("n", found.n),
                       ("z", found.batch)):  # fmt: skip
        digits = [Digit(f"e{of[k]}", end.parallel[of[k]]) for k in axes if of[k] >= 0]
        if len(digits) > 1 and flat[0] == "q":
            decoded.append(f"const Index place = {flat};")
            flat = "place"
        decoded += _unflatten(flat, digits)
    return "\n".join([*p.prologue, *decoded, *lines])


def _passed(p: Parameters) -> dict[str, str]:
    """How the epilogue's parameters reach the store: through the kernel, into fields."""
    names = [d.split()[-1] for d in p.declared]
    return {"parameters": "".join(f", {d}" for d in p.declared), "store_fields": " ".join(f"{d};" for d in p.declared),
            "store_values": "".join(f", {name}" for name in names)}  # fmt: skip


def _launches(nest: Nest, end: Epilogue | None, sizes: dict[str, int], values: dict[str, Any], p: Parameters,
              tuning: Tuning) -> tuple[list[Kernel], dict[str, object]]:  # fmt: skip
    a, b = operands(nest)
    window = end.window if end is not None else 1
    tile_m, tile_n, splits = tiling(sizes, nest.dtype, tuning, None if end is None else window)
    blocks = -(-sizes["m"] // tile_m) * -(-sizes["n"] // tile_n)
    itemsize = max(nest.out.buffer.itemsize, 4)
    nbytes = splits * sizes["z"] * sizes["m"] * sizes["n"] * itemsize
    partial = Scratch(nbytes) if splits > 1 else ("pointer", 0)
    out = pointer_to(nest.out) if end is None else ("pointer", 0)
    counts = [("i64", sizes["m"]), ("i64", sizes["n"])]
    grid = (blocks, 1, sizes["z"] * splits)
    main = printed("contraction", "contraction.cuh", p, [], grid, (256,), **values)
    main.arguments = [*counts, ("i64", sizes["k"]), ("int", splits), partial, pointer_to(a), pointer_to(b), out,
                      *p.arguments]  # fmt: skip
    macros: dict[str, object] = {"TG_T": C_TYPES[nest.dtype], "TILE_M": tile_m, "TILE_N": tile_n,
                                 "TG_INDEX": p.index, "TG_MMA": multiplied(nest.dtype, tuning)}  # fmt: skip
    if window > 1:
        macros["TILE_WINDOW"] = window
    if splits == 1:
        return [main], macros
    flat, block = flat_launch(sizes["z"] * sizes["m"] * sizes["n"], tuning)
    last = printed("contraction", "contraction.cuh", p, [], flat, block, "_finish", **values)
    last.arguments = [("i64", sizes["z"]), *counts, ("int", splits), partial, out]
    return [main, last], macros


def multiplied(dtype: str, tuning: Tuning) -> str:
    """How products are made: the value of TG_MMA."""
    if dtype == "float16":
        return "MMA_FP16"
    return f"MMA_{tuning.factors.upper()}" if dtype == "float32" and tuning.factors else "MMA_NONE"


def tiling(sizes: dict[str, int], dtype: str, tuning: Tuning, window: int | None = None) -> tuple[int, int, int]:
    """Rows and columns of a tile, and shares of the sum, with which a device is done first.

    ``window``: results that an epilogue takes at a time; then a thread has as many rows, and the sum is not cut.
    Time is counted as rounds of all multiprocessors, times the work of one tile's share of the sum.
    """
    multiprocessors = max(tuning.blocks // 4, 1)
    largest = 64 if dtype == "float64" else 128
    most = max(1, min(sizes["k"] // 256, 64, MAX_BATCH // max(sizes["z"], 1))) if window is None else 1

    def time(choice: tuple[int, int, int]) -> float:
        rows, columns, splits = choice
        rounds = -(-_tiles(sizes, rows, columns) * splits // multiprocessors)
        return rounds * (rows * columns + _MOVED * (rows + columns)) * (sizes["k"] / splits + _STARTED)

    choices = []
    for rows, columns in _TILES:
        if max(rows, columns) <= largest and rows >= 16 * (window or 1):
            fitting = tuning.blocks // max(_tiles(sizes, rows, columns), 1)
            choices.append((rows, columns, max(1, min(fitting, most))))
    return min(choices, key=time)


def _tiles(sizes: dict[str, int], rows: int, columns: int) -> int:
    return -(-sizes["m"] // rows) * -(-sizes["n"] // columns) * sizes["z"]


def _index(nest: Nest, sizes: dict[str, int], readers: Sequence[Nest]) -> str:
    """The C type of indices: sizes of the product (with a tile to spare) and addresses in each array."""
    reach = max(sizes["m"], sizes["n"], sizes["k"]) + 256
    for a in (*operands(nest), nest.out):
        reach = max(reach, sum(abs(s) * e for s, e in zip(a.strides, nest.extents, strict=True)))
    return "int" if reach < 2**31 and (not readers or index_type(readers) == "int") else "i64"


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


def places(nest: Nest, found: Roles) -> int:
    """How many elements of the result the product makes."""
    pairs = [_Pair.of(nest, y, k, 0).place.size for y, k in found.pairs]
    return size_of(nest, [*found.batch, *found.m, *found.n]) * prod(pairs)
