"""What is computed from the results of a contraction before they are stored: bias, activation, a pool, its places.

before -> after::

    t[n, f, y, x] = sum of x[..] * w[..]                    (in registers only)
    p[n, f, y, x] = max over i, j of t[n, f, 2y+i, 2x+j]    p, h and q are computed where the sums are,
    h[n, f, y, x] = tanh(p[n, f, y, x] + b[f])              t is never in memory
    q[n, f, y, x] = argmax over i, j of t[..]

A thread of ``kernels/tile.cuh`` owns runs of neighbouring rows. With the pool's windows as the innermost digits of the
row number, each run is a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tinygraph.program.expr import Access, loads, postorder
from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.points import position, print_nest
from tinygraph.targets.cuda.scalars import C_TYPES
from tinygraph.targets.cuda.writer import Axes, Parameters, expressions, normal

#: rows that a thread owns side by side
RUN = 4


@dataclass(frozen=True)
class Met:
    """A reader's axes that meet ``axis`` of a contraction, -1 for none: the window's ``place``, and ``inside`` it."""

    axis: int
    place: int
    inside: int
    window: int


@dataclass(frozen=True)
class Epilogue:
    """``met``: the contraction's axes. ``windows``: those with a window, in the order of the readers' reduction."""

    met: tuple[Met, ...]
    windows: tuple[Met, ...]
    parallel: tuple[int, ...]

    @property
    def window(self) -> int:
        """Elements of a window; 1 where readers take the results one by one."""
        return prod(x.window for x in self.windows)


def epilogue_of(c: Nest, reader: Nest) -> Epilogue | None:
    """How ``reader`` reads the results of the contraction ``c``: one by one, or in windows apart; None otherwise."""
    found: set[Epilogue | None] = {_met(c, reader, a) for a in reader.accesses() if a.buffer is c.out.buffer}
    return found.pop() if len(found) == 1 else None


def _met(c: Nest, reader: Nest, a: Access) -> Epilogue | None:
    if a.dynamic is not None or a.params != c.out.params or a.offset != c.out.offset or c.out.dynamic is not None:
        return None
    if not any(x.op == "load" and x.attr is a for x in loads(reader.expr)):
        return None
    free = {k for k, e in enumerate(reader.extents) if e != 1}
    met = []
    for axis, (stride, size, kind) in enumerate(zip(c.out.strides, c.extents, c.kinds, strict=True)):
        if kind == "r" or size == 1:
            continue
        inside = _find(free, reader, a, "r", stride)
        window = reader.extents[inside] if inside >= 0 else 1
        place = _find(free - {inside}, reader, a, "p", stride * window)
        if (reader.extents[place] if place >= 0 else 1) * window > size:
            return None
        free -= {place, inside}
        met.append(Met(axis, place, inside, window))
    windows = sorted((x for x in met if x.inside >= 0), key=lambda x: x.inside)
    parallel = reader.extents[: reader.kinds.count("p")]
    return None if free else Epilogue(tuple(met), tuple(windows), parallel)


def _find(free: set[int], reader: Nest, a: Access, kind: str, stride: int) -> int:
    return next((k for k in sorted(free) if reader.kinds[k] == kind and a.strides[k] == stride), -1)


def printable(nest: Nest) -> bool:
    """Whether a reader can be part of the contraction's kernel: a store at its own place, a short reduction at most."""
    if nest.out.dynamic is not None or (nest.accumulate and nest.combine is None):
        return False
    return not any(x.op == "philox" for e in expressions(nest) for x in postorder(e))


def body(c: Nest, e: Epilogue, readers: Sequence[Nest], unstored: set[Buffer], p: Parameters) -> list[str]:
    """Statements for one place, from ``value[..]``, the sums of its window; axis ``k`` of the readers is ``e<k>``."""
    kind = C_TYPES[c.dtype]
    names: dict[int, str | None] = {x.place: f"e{x.place}" for x in e.met if x.place >= 0}
    registers: dict[Access, str] = {}
    lines = []
    for number, nest in enumerate(readers):
        name = f"t{number}"
        for a in nest.accesses():
            if a.buffer is c.out.buffer:
                inner = Axes(range(len(e.parallel), len(nest.extents)), [nest], f"{name}_r").live
                at = position(nest, inner) if inner else "0"
                registers[normal(a, nest.extents)] = f"(({kind})value[{at}])"
        lines += print_nest(nest, p, names, registers, name, nest.out.buffer not in unstored)
    return lines
