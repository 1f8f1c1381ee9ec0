"""Nests over small windows: pooling, the places of maxima, and values spread over windows.

NumPy's inner loops run along the innermost axis, so a window of 2x2 points at each of a million places would run them
two elements at a time. Here the window is unrolled: a few calls on strided views, each over all places.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygraph.program.expr import Access, Expr, const, loads, postorder
from tinygraph.program.instructions import Nest

if TYPE_CHECKING:
    from tinygraph.targets.numpy.nests import NestPrinter

#: windows of at most this many points are unrolled
WINDOW = 25


# -- reading windows ----------------------------------------------------------------------------------------------


def is_window(nest: Nest) -> bool:
    """A small window around each of many places, read straight from memory: pooling."""
    n = nest.kinds.count("p")
    points = _prod(nest.extents[n:])
    if nest.expr.op != "load" or nest.accumulate or points > WINDOW or points * 4 > nest.points:
        return False
    access = nest.expr.attr
    return access.dynamic is None and any(s != 1 for s in access.strides[n:])


def pieces(p: NestPrinter, nest: Nest) -> list[str]:
    """A view over all places for each point of the window, in row-major order."""
    n = nest.kinds.count("p")
    access = nest.expr.attr
    offsets = [0]
    for e, s in zip(nest.extents[n:], access.strides[n:], strict=True):
        offsets = [o + i * s for o in offsets for i in range(e)]
    return [
        p.view(Access(access.buffer, access.offset + o, access.strides[:n], access.params), nest.extents[:n])
        for o in offsets
    ]


def print_window(p: NestPrinter, nest: Nest, out: str, ufunc: str) -> None:
    """``out`` = the pieces combined."""
    views, add = pieces(p, nest), p.code.body.add
    if len(views) == 1:
        add(f"copyto({out}, {views[0]}, 'unsafe')")
        return
    add(f"{ufunc}({views[0]}, {views[1]}, out={out})")
    for v in views[2:]:
        add(f"{ufunc}({out}, {v}, out={out})")


def print_place(p: NestPrinter, nest: Nest, out: str) -> None:
    """``out`` = the place of the first largest ("argmax") or smallest point in each window.

    The pieces are copied first: the comparisons then run on contiguous memory, which more than pays. A place only ever
    grows as later points win, so that ``max(place, k * won)`` stores it without a masked copy.
    """
    views, add = pieces(p, nest), p.code.body.add
    won_by, best_of = ("greater", "maximum") if nest.combine == "argmax" else ("less", "minimum")
    dtype, n = nest.expr.dtype, nest.kinds.count("p")
    shape, extents = p.shape(nest)[:n], nest.extents[:n] or (1,)
    handles = [(p.scratch(d, shape, extents), d) for d in (dtype, dtype, "bool", nest.dtype, nest.dtype)]
    best, point, won, place, step = (name for (_, name), _ in handles)
    add(f"copyto({best}, {views[0]})")
    add(f"{place}.fill(0)")
    for k, v in enumerate(views[1:], 1):
        add(f"copyto({point}, {v})")
        add(f"{won_by}({point}, {best}, {won})")
        add(f"multiply({won if nest.dtype != 'uint8' else f'{won}.view(uint8)'}, {nest.dtype}({k}), {step})")
        add(f"maximum({place}, {step}, out={place})")
        if k < len(views) - 1:
            add(f"{best_of}({point}, {best}, out={best})")
    add(f"copyto({out}, {place})")
    for (handle, _), d in handles:
        p.code.give(handle, d, shape)


# -- writing windows ----------------------------------------------------------------------------------------------


def spread_axes(nest: Nest) -> list[int]:
    """Innermost small axes along which no memory is read: values spread over a window, to be unrolled."""
    if "r" in nest.kinds or nest.out.dynamic is not None:
        return []
    found = [x.attr for x in loads(nest.expr)]
    if not found:
        return []
    axes: list[int] = []
    points = 1
    for k in reversed(range(1, len(nest.extents))):
        e = nest.extents[k]
        if points * e > WINDOW or any(a.strides[k] for a in found):
            break
        axes.insert(0, k)
        points *= e
    return axes if 1 < points and points * 16 <= nest.points else []


def unrolled(p: NestPrinter, nest: Nest, axes: Sequence[int]) -> list[Nest]:
    """A nest for each point of the window ``axes``, which then have size 1. What does not depend on the point is
    computed once, before."""
    steady = _steady(p, nest, axes)
    out: list[Nest] = []
    extents = tuple(1 if k in axes else e for k, e in enumerate(nest.extents))
    for point in itertools.product(*(range(nest.extents[k]) for k in axes)):
        at = dict(zip(axes, point, strict=True))
        shift = sum(nest.out.strides[k] * i for k, i in at.items())
        target = nest.out._replace(offset=nest.out.offset + shift)
        out.append(Nest(extents, nest.kinds, _at(nest.expr, at, steady), target, nest.combine, nest.accumulate,
                        origin=nest.origin, label=nest.label))  # fmt: skip
    return out


def _steady(p: NestPrinter, nest: Nest, axes: Sequence[int]) -> dict[int, Expr]:
    """The largest parts of the expression that are the same all over the window, computed; by identity."""
    order = postorder(nest.expr)
    moves: dict[int, bool] = {}
    for x in order:
        moves[id(x)] = x.op == "axis" and x.attr in axes or any(moves[id(a)] for a in x.args)
    found: dict[int, Expr] = {}
    for x in [nest.expr, *(a for y in order if moves[id(y)] for a in y.args)]:
        if not moves[id(x)] and x.args and id(x) not in found:
            name = p.evaluate(x, nest)
            found[id(x)] = Expr("named", (), x.dtype, (name, p.moving(x, len(nest.extents))))
    return found


def _at(e: Expr, at: dict[int, int], steady: dict[int, Expr]) -> Expr:
    """``e`` at one point of the window."""
    memo: dict[int, Expr] = {}
    for x in postorder(e):
        if id(x) in steady:
            memo[id(x)] = steady[id(x)]
        elif x.op == "axis" and x.attr in at:
            memo[id(x)] = const(at[x.attr], "int64")
        elif x.args:
            args = tuple(memo[id(a)] for a in x.args)
            memo[id(x)] = _folded(Expr(x.op, args, x.dtype, x.attr))
        else:
            memo[id(x)] = x
    return memo[id(e)]


def _folded(x: Expr) -> Expr:
    """Integer arithmetic on constants (the window's place), done now."""
    if not all(a.op == "const" for a in x.args):
        return x
    values = [a.attr for a in x.args]
    if x.op == "cast":
        return const(values[0], x.dtype)
    if x.op in ("add", "mul") and x.dtype[0] in "iu":
        return const(values[0] + values[1] if x.op == "add" else values[0] * values[1], x.dtype)
    return x


def _prod(values: Sequence[int]) -> int:
    out = 1
    for v in values:
        out *= v
    return out


__all__ = ["is_window", "print_place", "print_window", "spread_axes", "unrolled"]
