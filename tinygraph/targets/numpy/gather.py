"""Reads and writes at addresses found in memory: gathers and scatters, whole rows at a time where rows lie together.

``table[words]`` reads, for each word, a run of neighbouring elements. The address of each run, divided by its length,
is a row number of the buffer seen as a matrix, and NumPy moves rows many times faster than single elements.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygraph.program.expr import Access, Expr, binary, const
from tinygraph.program.instructions import Nest

#: shorter rows are not worth the arithmetic
_SHORTEST = 4


class Rows(NamedTuple):
    """How an access falls into rows: their length, the last ``axes`` axes that a row runs over, the row's number."""

    length: int
    axes: int
    number: Access


def rows_of(access: Access, nest: Nest, moving: tuple[bool, ...], uneven: bool, tiled: bool) -> Rows | None:
    """The rows that ``access`` reads or writes, or None where it goes element by element.

    ``moving``: along which axes its dynamic part varies.
    """
    if uneven or access.dynamic is None or access.params:
        return None
    length, first = 1, len(nest.extents)
    while first > (1 if tiled else 0):
        k = first - 1
        if moving[k] or (nest.extents[k] != 1 and access.strides[k] != length):
            break
        length *= nest.extents[k]
        first = k
    if length < _SHORTEST or access.buffer.size % length or access.offset % length:
        return None
    if any(s % length for s in access.strides[:first]):
        return None
    number = _divided(access.dynamic, length)
    if number is None:
        return None
    strides = tuple(s // length for s in access.strides[:first]) + (0,) * (len(nest.extents) - first)
    return Rows(length, len(nest.extents) - first, Access(access.buffer, access.offset // length, strides, (), number))


def _divided(e: Expr, n: int) -> Expr | None:
    """``e / n`` where that is known to be an integer: sums of multiples of n."""
    if e.op == "const":
        return None if e.attr % n else const(e.attr // n, e.dtype)
    if e.op == "add":
        left, right = (_divided(a, n) for a in e.args)
        return None if left is None or right is None else binary("add", left, right)
    if e.op == "mul" and e.args[1].op == "const" and e.args[1].attr % n == 0:
        k = e.args[1].attr // n
        return e.args[0] if k == 1 else binary("mul", e.args[0], const(k, e.dtype))
    return None


def take_rows(x: np.ndarray, length: int, number: np.ndarray, tail: tuple[int, ...]) -> np.ndarray:
    """Rows ``number`` of the vector ``x`` seen as rows of ``length``, each in the shape ``tail``."""
    lead = number.shape[: number.ndim - len(tail)]
    return np.take(x.reshape(-1, length), number.reshape(-1), 0).reshape(lead + tail)


def put_rows(x: np.ndarray, length: int, number: np.ndarray, values: np.ndarray) -> None:
    """Write ``values`` over rows ``number`` of ``x``; of rows that occur twice the last stays."""
    x.reshape(-1, length)[number.reshape(-1)] = values.reshape(-1, length)


def add_rows(x: np.ndarray, length: int, number: np.ndarray, values: np.ndarray) -> None:
    """Add ``values`` to rows ``number`` of ``x``; rows that occur twice are added to twice, in order."""
    rows, where, values = x.reshape(-1, length), number.reshape(-1), values.reshape(-1, length)
    if where.size < 2:
        rows[where] += values
        return
    order = np.argsort(where, kind="stable")
    where = where[order]
    first = np.flatnonzero(np.concatenate([[True], where[1:] != where[:-1]]))
    if first.size == where.size:
        rows[where] += values[order]
    else:
        rows[where[first]] += np.add.reduceat(values[order], first, axis=0)


def add_points(x: np.ndarray, where: np.ndarray, values: np.ndarray) -> None:
    """``x[where] += values`` for a vector, repeated indices adding up; contiguous vectors are NumPy's fast case."""
    np.add.at(x, np.ascontiguousarray(where).reshape(-1), np.ascontiguousarray(values, x.dtype).reshape(-1))


def print_gather(p: Any, access: Access, nest: Nest) -> str:
    """The elements of a gather, as text; one axis for each of the nest's."""
    found = _rows(p, access, nest)
    if found is None:
        return f"take({p._flat(access)}, {p.gather_address(access, nest)})"
    where = _bound(p, p.gather_address(found.number, nest))
    tail = nest.extents[len(nest.extents) - found.axes :]
    return f"{p.code.constant(take_rows)}({p._flat(access)}, {found.length}, {where}, {tail})"


def print_scatter(p: Any, nest: Nest, value: str) -> None:
    """Write ``value`` at the nest's dynamic address, or add it there."""
    full = p._tile_shape(nest)
    source = f"broadcast_to({value}, {full})"
    found = _rows(p, nest.out, nest) if nest.combine in (None, "add") and "r" not in nest.kinds else None
    if found is not None:
        function = p.code.constant(put_rows if nest.combine is None else add_rows)
        sizes = p._tile_shape(nest, as_list=True)
        lead = sizes[: len(sizes) - found.axes] + ["1"] * found.axes
        where = f"broadcast_to({p.gather_address(found.number, nest)}, ({', '.join(lead)},))"
        p.code.body.add(f"{function}({p._flat(nest.out)}, {found.length}, {where}, {source})")
        return
    where = f"broadcast_to({p.gather_address(nest.out, nest)}, {full})"
    base = p._flat(nest.out)
    if nest.combine is None and "r" not in nest.kinds:
        p.code.body.add(f"{base}[{where}] = {source}")
    elif nest.combine == "add":
        p.code.body.add(f"{p.code.constant(add_points)}({base}, {where}, {source})")
    else:
        from tinygraph.targets.numpy.intrinsics import UFUNCS

        p.code.body.add(f"{UFUNCS[nest.combine]}.at({base}, {where}, {source})")  # type: ignore[index]


def _rows(p: Any, access: Access, nest: Nest) -> Rows | None:
    assert access.dynamic is not None
    moving = p.moving(access.dynamic, len(nest.extents))
    return rows_of(access, nest, moving, access.buffer in p.code.uneven, p.tile is not None)


def _bound(p: Any, text: str) -> str:
    """A name for ``text``'s value, an array of one axis for each axis of the nest."""
    if text.isidentifier():
        return text
    name = p.code.fresh("n")
    p.code.body.add(f"{name} = {text}")
    return name
