"""Gradients of strided convolutions to their filters, of images whose columns are sorted by the stride.

``dw[f, c, k] = sum over n, y of g[n, f, y] x[n, c, y s + k d]`` reads every ``s``-th element of a row. The taps that
leave the same remainder by the stride read the same elements: these are copied side by side, so that vectors of
neighbours can be read, and the gradients of those taps are summed from the copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, load
from tinygraph.program.instructions import Buffer, Instruction, Nest, Program, c_strides
from tinygraph.targets.llvm.replacing import replace_nests

#: scalar multiplications, and positions in a row, from which this pays
_WORK, _POSITIONS = 20_000, 16


def sort_columns(program: Program) -> None:
    """Replace the contractions of ``program`` that read every few elements of an image's rows."""
    replace_nests(program, _sorted)


def _sorted(program: Program, n: Nest) -> list[Instruction] | None:
    """Axes of ``n``: group, filter, channel, taps; summed over samples and positions."""
    if n.kinds != "ppppprrr" or n.accumulate or not is_contraction(n) or n.points < _WORK or n.out.dynamic is not None:
        return None
    a, b = (x.attr for x in n.expr.args)
    g, x = (a, b) if not any(a.strides[2:5]) else (b, a)
    if any(g.strides[2:5]) or x.strides[1] or x.params or min(x.strides) < 0 or n.extents[7] < _POSITIONS:
        return None
    s, d = x.strides[7], x.strides[4] if n.extents[4] > 1 else 1
    if s < 2 or gcd(s, d) > 1 or g.strides[7] != 1:
        return None
    return list(_instructions(program, n, g, x))


def _instructions(program: Program, n: Nest, g: Access, x: Access) -> Iterator[Instruction]:
    groups, filters, channels, taps_down, taps_across, samples, rows, columns = n.extents
    s, d = x.strides[7], x.strides[4] if taps_across > 1 else 1
    unit = gcd(x.strides[6] if rows > 1 else 0, x.strides[3] if taps_down > 1 else 0) or 1
    down, apart = (x.strides[6] // unit if rows > 1 else 0), (x.strides[3] // unit if taps_down > 1 else 0)
    height = down * (rows - 1) + apart * (taps_down - 1) + 1
    for first in range(min(s, taps_across)):
        remainder, count = d * first % s, len(range(first, taps_across, s))
        shift = d * first // s
        width = columns + shift + d * (count - 1)
        shape = (samples, groups, channels, height, width)
        # one element more than is filled: so the copy is not taken for something to read from where it came from
        copy, strides = _buffer(program, n.dtype, prod(shape) + 1), c_strides(shape)
        source = Access(x.buffer, x.offset + remainder, (x.strides[5], x.strides[0], x.strides[2], unit, s))
        yield Nest(shape, "ppppp", load(source, n.dtype), Access(copy, 0, strides), accumulate=True)
        extents = (groups, filters, channels, taps_down, count, samples, rows, columns)
        image = Access(copy, shift, (strides[1], 0, strides[2], apart * width, d, strides[0], down * width, 1))
        out = n.out.strides
        target = n.out._replace(offset=n.out.offset + first * out[4], strides=(*out[:4], s * out[4], *out[5:]))
        yield Nest(extents, n.kinds, load(g, n.dtype) * load(image, n.dtype), target, combine="add")


def _buffer(program: Program, dtype: str, size: int) -> Buffer:
    made = Buffer(len(program.buffers), dtype, size, "temp")
    program.buffers.append(made)
    return made
