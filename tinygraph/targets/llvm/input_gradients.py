"""Gradients of convolutions to their images, as sums for each element of the image instead of scattered products.

``dx[n, c, y s + k d] += sum over f of g[n, f, y] w[f, c, k]`` sends many products to one element. The elements whose
place leaves the same remainder by the stride meet the same taps: their gradient is itself a convolution, of the
results' gradient with every ``s``-th tap. Each remainder's is made by itself; the results are put where they belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod
from typing import NamedTuple

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, const, load
from tinygraph.program.instructions import Buffer, Instruction, Nest, Program, c_strides
from tinygraph.targets.llvm.replacing import replace_nests

#: scalar multiplications from which this pays; channels of a group, where every element meets every tap
_WORK, _CHANNELS = 20_000, 8


class Phase(NamedTuple):
    """Places ``stride j + remainder`` along one axis: ``number`` of them, which meet taps ``tap + stride m``.

    Place ``j`` meets with tap ``m`` the position ``j - shift - step m``.
    """

    remainder: int
    number: int
    tap: int
    taps: int
    shift: int


class Along(NamedTuple):
    """One axis of the image: ``positions`` at ``stride`` apart, taps at ``step`` apart, in ``unit`` elements."""

    positions: int
    size: int
    unit: int
    stride: int
    step: int

    @property
    def places(self) -> int:
        """Places from the first that a product reaches to the last."""
        return self.stride * (self.positions - 1) + self.step * (self.size - 1) + 1

    @property
    def phases(self) -> list[Phase]:
        found = []
        for r in range(min(self.stride, self.places)):
            tap = next(k for k in range(self.stride) if (self.step * k - r) % self.stride == 0)
            taps = len(range(tap, self.size, self.stride))
            shift = (self.step * tap - r) // self.stride
            found.append(Phase(r, (self.places - r - 1) // self.stride + 1, tap, taps, shift))
        return found

    @property
    def border(self) -> tuple[int, int]:
        """Zeros needed before and behind the positions."""
        before = max(p.shift + self.step * (p.taps - 1) for p in self.phases)
        behind = max(max(q.number for q in self.phases) - p.shift for p in self.phases) - self.positions
        return before, max(behind, 0)


def gather(program: Program) -> None:
    """Replace the contractions of ``program`` that scatter a convolution's products over its image."""
    replace_nests(program, _gathered)


def _gathered(program: Program, n: Nest) -> list[Instruction] | None:
    """Axes of ``n``: sample, group, channel, taps, positions, and the filters, which are summed over."""
    if n.kinds != "pppppppr" or not n.accumulate or not is_contraction(n) or n.points < _WORK:
        return None
    a, b = (x.attr for x in n.expr.args)
    g, w = (a, b) if not any(a.strides[2:5]) else (b, a)
    if any(g.strides[2:5]) or w.strides[0] or any(w.strides[5:7]) or n.out.params or g.params:
        return None
    if n.out.dynamic is not None or n.out.strides[7] or not _cleared(program, n):
        return None
    axes = []
    for tap, position in ((3, 5), (4, 6)):
        s, d = n.out.strides[position], n.out.strides[tap]
        if n.extents[position] > 1 and s <= 0 or n.extents[tap] > 1 and d <= 0:
            return None
        s, d = (s if n.extents[position] > 1 else d or 1), (d if n.extents[tap] > 1 else s or 1)
        unit = gcd(s, d)
        axes.append(Along(n.extents[position], n.extents[tap], unit, s // unit, d // unit))
    rows, columns = axes
    if rows.size * columns.size == 1 or any(p.taps == 0 for x in axes for p in x.phases):
        return None
    if columns.unit != 1 or rows.stride * columns.stride == 1 and n.extents[2] < _CHANNELS:
        return None
    return list(_instructions(program, n, g, w, rows, columns))


def _cleared(program: Program, n: Nest) -> bool:
    """Whether all of the result is set to 0 before, and nothing else writes it."""
    out = n.out.buffer
    writers = [i for i in program.instructions if out in i.writes() and i is not n]
    if len(writers) != 1 or not isinstance(writers[0], Nest) or out.kind != "temp":
        return False
    zeros = writers[0]
    return zeros.combine is None and zeros.expr.op == "const" and zeros.expr.attr == 0 and zeros.points == out.size


def _instructions(
    program: Program, n: Nest, g: Access, w: Access, rows: Along, columns: Along
) -> Iterator[Instruction]:
    samples, groups, channels = n.extents[:3]
    filters = n.extents[7]
    (top, below), (left, right) = rows.border, columns.border
    height, width = top + rows.positions + below, left + columns.positions + right
    shape = (samples, groups, filters, height, width)
    padded, strides = _buffer(program, n.dtype, prod(shape)), c_strides(shape)
    yield Nest((padded.size,), "p", const(0, n.dtype), Access(padded, 0, (1,)))
    inside = (samples, groups, filters, rows.positions, columns.positions)
    source = g._replace(strides=(g.strides[0], g.strides[1], g.strides[7], g.strides[5], g.strides[6]))
    yield Nest(inside, "ppppp", load(source, n.dtype), Access(padded, top * width + left, strides), accumulate=True)
    for y in rows.phases:
        place = n.out.offset + y.remainder * rows.unit
        down = rows.unit * rows.stride
        lead = (samples, groups, channels, y.number)
        if columns.stride == 1:
            (x,) = columns.phases
            target = Access(n.out.buffer, place, (*n.out.strides[:3], down, 1))
            yield _convolution(n, Access(padded, 0, strides), w, target, rows, y, columns, x, x.number)
            continue
        most = max(x.number for x in columns.phases)
        sizes = (*lead, most)
        parts = _buffer(program, n.dtype, prod(sizes) * columns.stride)
        for x in columns.phases:
            target = Access(parts, x.remainder * prod(sizes), c_strides(sizes))
            yield _convolution(n, Access(padded, 0, strides), w, target, rows, y, columns, x, most)
        out = (*n.out.strides[:3], down, columns.stride, 1)
        full = min(x.number for x in columns.phases)
        yield from _merged(parts, sizes, (*lead, full, columns.stride), 0, Access(n.out.buffer, place, out))
        rest = sum(x.number > full for x in columns.phases)
        if rest:
            last = Access(n.out.buffer, place + full * columns.stride, out)
            yield from _merged(parts, sizes, (*lead, 1, rest), full, last)


def _convolution(
    n: Nest, image: Access, w: Access, out: Access, rows: Along, y: Phase, columns: Along, x: Phase, width: int
) -> Nest:
    """Axes: sample, group, channel, places; summed over filters and the remainder's taps, the last first."""
    samples, groups, channels = n.extents[:3]
    s, pitch = image.strides, image.strides[3]
    start = (rows.border[0] - y.shift - rows.step * (y.taps - 1)) * pitch
    start += columns.border[0] - x.shift - columns.step * (x.taps - 1)
    number = w.offset + (y.tap + rows.stride * (y.taps - 1)) * w.strides[3]
    number += (x.tap + columns.stride * (x.taps - 1)) * w.strides[4]
    image = Access(image.buffer, start, (s[0], s[1], 0, pitch, 1, s[2], rows.step * pitch, columns.step))
    taps = (-rows.stride * w.strides[3], -columns.stride * w.strides[4])
    w = w._replace(offset=number, strides=(0, w.strides[1], w.strides[2], 0, 0, w.strides[7], *taps))
    extents = (samples, groups, channels, y.number, width, n.extents[7], y.taps, x.taps)
    product = load(image, n.dtype) * load(w, n.dtype)
    out = out._replace(strides=(*out.strides, 0, 0, 0))
    return Nest(extents, "ppppprrr", product, out, combine="add")


def _merged(
    parts: Buffer, sizes: Sequence[int], extents: Sequence[int], first: int, out: Access
) -> Iterator[Instruction]:
    """A row's places from the parts of all remainders, which lie behind each other in ``parts``."""
    source = Access(parts, first, (*c_strides(sizes), prod(sizes)))
    yield Nest(tuple(extents), "pppppp", load(source, parts.dtype), out, accumulate=True)


def _buffer(program: Program, dtype: str, size: int) -> Buffer:
    made = Buffer(len(program.buffers), dtype, size, "temp")
    program.buffers.append(made)
    return made
