"""Gradients of a convolution under a max-pool, straight from the pooled gradient and the places of the maxima.

A max-pool hands each window's gradient to one of its points and leaves zeros at the others. The convolution's
gradients are sums over all points, so with windows of two by two three products in four are with a zero. Here the
program's contractions that read such a spread gradient are replaced by instructions that take the pooled gradient
and the places instead; the spread array is never made where nothing else reads it. (Of equal maxima the first in
row-major order has the place that ``MaxPool`` notes, so all targets agree.) The kernels are in ``pooled_kernels.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, Expr, const, load
from tinygraph.program.instructions import Buffer, Instruction, Nest, Program
from tinygraph.targets.llvm.pooled_geometry import Geometry, Lines, Pooled
from tinygraph.targets.llvm.pooled_kernels import inputs_text, scratch_size, weights_text

#: points of a window from which on leaving out zeros pays
_POINTS = 3
#: neighbouring numbers of an image row that one gradient meets: below, vectors stay empty; above, code grows long
_LEAST_RUN, _MOST_RUN = 4, 4096
#: a packed image's places are numbers of 32 bits
_MOST_NUMBERS = 2**31


@dataclass(frozen=True)
class Spread:
    """A nest that puts each window's gradient where its maximum was.

    ``place`` and ``grad`` are read at (sample, channel, window row, window column); the image's points lie ``row`` and
    ``column`` apart.
    """

    nest: Nest
    place: Access
    grad: Access
    row: int
    column: int

    @property
    def buffer(self) -> Buffer:
        return self.nest.out.buffer


@dataclass(eq=False, repr=False)
class PooledGradient(Instruction):
    """A convolution's gradient from pooled gradients: ``out`` from ``operand``, both with channels innermost.

    ``extent``: what the kernel's iterations count, filters (weights) or samples (inputs).
    """

    kind: str  # "weights" or "inputs"
    geometry: Geometry
    spread: Spread
    operand: Buffer
    out: Buffer
    samples: int

    def __repr__(self) -> str:
        return f"{self.out} = {self.kind} from {self.spread.grad.buffer} at {self.spread.place.buffer}, {self.operand}"

    def reads(self) -> list[Buffer]:
        return [self.spread.place.buffer, self.spread.grad.buffer, self.operand]

    def writes(self) -> list[Buffer]:
        return [self.out]

    @property
    def extent(self) -> int:
        g = self.geometry
        return g.groups * g.filters if self.kind == "weights" else self.samples

    @property
    def work(self) -> int:
        g = self.geometry
        return self.samples * g.groups * g.filters * prod(g.pool.windows) * prod(g.taps) * g.channels

    @property
    def role(self) -> str:
        return "from pooled gradients"

    def own_cost(self) -> tuple[int, int]:
        """A multiplication and an addition for each pooled gradient, tap and channel of the other operand."""
        pooled = prod(self.spread.nest.extents[:4])
        places = pooled * (self.spread.place.buffer.itemsize + self.spread.grad.buffer.itemsize)
        return 2 * self.work, places + self.operand.nbytes + self.out.nbytes

    @property
    def scratch(self) -> int:
        return scratch_size(self.geometry, self.kind)

    def text(self, checked: bool = False) -> str:
        printed = weights_text if self.kind == "weights" else inputs_text
        return printed(self.geometry, checked)

    def slots(self) -> list[Any]:
        buffers = [self.operand, self.spread.place.buffer, self.spread.grad.buffer, self.out]
        return [*(("buffer", b) for b in buffers), self.spread.place.offset, self.spread.grad.offset, self.samples]


def use_places(program: Program, bits: int) -> None:
    """Replace the contractions of ``program`` that read spread gradients where that pays."""
    spreads = [s for s in map(_as_spread, program.instructions) if s is not None]
    for s in spreads:
        writers = [i for i in program.instructions if s.buffer in i.writes()]
        if all(i is s.nest or _is_zeros(i) for i in writers):
            _use(program, s, bits)


def _use(program: Program, s: Spread, bits: int) -> None:
    replaced = False
    for i in list(program.instructions):
        if isinstance(i, Nest) and s.buffer in i.reads() and is_contraction(i):
            made = _weights(program, s, i, bits) or _inputs(program, s, i, bits)
            if made is not None:
                at = program.instructions.index(i)
                for m in made:
                    m.origin, m.label, m.source = i.origin, i.label, i.source
                program.instructions[at : at + 1] = made
                replaced = True
    kept = {r.buffer for r in (*program.outputs, *program.updates)}
    if replaced and s.buffer not in kept and not any(
        s.buffer in i.reads() for i in program.instructions if s.buffer not in i.writes()
    ):  # fmt: skip
        program.instructions = [i for i in program.instructions if s.buffer not in i.writes()]


# -- recognising -------------------------------------------------------------------------------------------------------


def _as_spread(n: Instruction) -> Spread | None:
    if not isinstance(n, Nest) or n.combine is not None or len(n.extents) != 6 or n.expr.op != "select":
        return None
    here, value, other = n.expr.args
    if n.dtype not in ("float32", "float64") or value.op != "load" or value.dtype != n.dtype:
        return None
    if other.op != "const" or other.attr != 0 or here.op != "eq" or here.args[0].op != "load":
        return None
    place, grad, out = here.args[0].attr, value.attr, n.out
    if any(a.dynamic is not None or a.params for a in (place, grad, out)):
        return None
    if any(a.strides[4:] != (0, 0) for a in (place, grad)) or place.buffer.dtype not in ("uint8", "int32"):
        return None
    row, column = out.strides[4:]
    if not _counts_points(here.args[1], n.extents[4:]) or min(row, column) < 1:
        return None
    if out.strides[2] % row or out.strides[3] % column or prod(n.extents[4:]) < _POINTS:
        return None
    return Spread(n, place, grad, row, column)


def _counts_points(e: Expr, window: Sequence[int]) -> bool:
    """Whether ``e`` is the number of the point of the window, the nest's last two axes, in row-major order."""

    def value(x: Expr, at: tuple[int, int]) -> int | None:
        args = [value(a, at) for a in x.args]
        if any(a is None for a in args):
            return None
        if x.op == "axis":
            return at[x.attr - 4] if x.attr >= 4 else None
        if x.op == "const":
            return int(x.attr)
        known: dict[str, Callable[..., int]] = {"cast": int, "add": int.__add__, "mul": int.__mul__}
        return known[x.op](*args) if x.op in known else None

    h, w = window
    return all(value(e, (i, j)) == i * w + j for i in range(h) for j in range(w))


def _is_zeros(i: Instruction) -> bool:
    return isinstance(i, Nest) and i.combine is None and i.expr.op == "const" and i.expr.attr == 0


def _operands(s: Spread, n: Nest) -> tuple[Access, Access] | None:
    """The access to the spread gradient, and the other."""
    a, b = (x.attr for x in n.expr.args)
    if (a.buffer is s.buffer) == (b.buffer is s.buffer) or n.out.dynamic is not None or len(n.extents) != 8:
        return None
    return (a, b) if a.buffer is s.buffer else (b, a)


def _reads_spread(s: Spread, n: Nest, a: Access, axes: Sequence[int]) -> tuple[int, int] | None:
    """How far the contraction's first row and column lie within the spread image, if ``a`` walks along it.

    ``axes``: those of the samples, groups, filters of a group, rows and columns; the access stands still on others.
    """
    batch, channel = s.nest.out.strides[:2]
    filters = n.extents[axes[2]]
    expected = (batch, filters * channel, channel, s.row, s.column)
    if any(a.strides[k] for k in range(8) if k not in axes) or a.params:
        return None
    if any(n.extents[k] > 1 and a.strides[k] != e for k, e in zip(axes, expected, strict=True)):
        return None
    if (n.extents[axes[0]], n.extents[axes[1]] * filters) != s.nest.extents[:2] or a.offset < s.nest.out.offset:
        return None
    down, across = divmod(a.offset - s.nest.out.offset, s.row)
    return (down, across // s.column) if across % s.column == 0 else None


def _geometry(
    s: Spread, n: Nest, image: Access, first: tuple[int, int], axes: dict[str, int], bits: int
) -> tuple[Geometry, tuple[int, int]] | None:
    """The sizes of the problem, and the steps in memory between rows and columns of the image; None if unsuitable."""
    size = {name: n.extents[k] for name, k in axes.items()}
    step = {name: image.strides[k] for name, k in axes.items()}
    if any(size[a] > 1 and step[a] < 1 for a in "klyx"):
        return None
    units = [gcd(*(step[a] for a in pair if size[a] > 1)) or 1 for pair in ("ky", "lx")]
    steps = {a: step[a] // units[a in "lx"] if size[a] > 1 else 1 for a in "klyx"}
    grid = [steps[y] * (size[y] - 1) + steps[k] * (size[k] - 1) + 1 for k, y in ("ky", "lx")]
    lanes = bits // (32 if n.dtype == "float32" else 64)
    lines = Lines(size["l"], size["c"], steps["l"] * size["c"], lanes, n.dtype)
    if not _LEAST_RUN <= size["l"] * size["c"] <= _MOST_RUN:
        return None
    out = s.nest.out
    _, _, rows, columns, height, width = s.nest.extents
    pooled = Pooled(
        (rows, columns), (height, width), (out.strides[2] // s.row, out.strides[3] // s.column), first,
        s.place.strides[:4], s.grad.strides[:4], s.place.buffer.dtype,
    )  # fmt: skip
    g = Geometry(
        pooled, lines, n.dtype, bits, size["g"], size["f"], size["c"], (size["y"], size["x"]), (size["k"], size["l"]),
        (steps["y"], steps["x"]), (steps["k"], steps["l"]), (grid[0], grid[1]),
    )  # fmt: skip
    return (g, (units[0], units[1])) if g.sample < _MOST_NUMBERS else None


# -- replacing ---------------------------------------------------------------------------------------------------------


def _buffer(program: Program, dtype: str, size: int) -> Buffer:
    made = Buffer(len(program.buffers), dtype, size, "temp")
    program.buffers.append(made)
    return made


def _weights(program: Program, s: Spread, n: Nest, bits: int) -> list[Instruction] | None:
    """The weights' gradient: axes (group, filter, channel, tap, tap) summed over (sample, row, column)."""
    operands = _operands(s, n)
    if operands is None or n.kinds != "ppppprrr" or n.accumulate:
        return None
    spread, image = operands
    first = _reads_spread(s, n, spread, (5, 0, 1, 6, 7))
    axes = dict(zip("gfcklnyx", range(8), strict=True))
    found = _geometry(s, n, image, first, axes, bits) if first and not image.strides[1] else None
    if found is None:
        return None
    g, units = found
    samples = n.extents[5]
    packed = _buffer(program, n.dtype, samples * g.sample)
    rest = Nest((samples, g.sample - g.used), "pp", const(0, n.dtype), Access(packed, g.used, (g.sample, 1)))
    sums = _buffer(program, n.dtype, g.groups * g.filters * g.taps[0] * g.lines.length)
    pack = _image_nest(g, samples, Access(packed, 0, ()), image, (image.strides[5], image.strides[0], image.strides[2]),
                       units, inward=True)  # fmt: skip
    run = g.lines.pitch
    unpack = Nest(
        n.extents[:5], "ppppp",
        load(Access(sums, 0, (g.filters * g.taps[0] * g.lines.length, g.taps[0] * g.lines.length, 1, g.lines.length,
                              run)), n.dtype),
        n.out._replace(strides=n.out.strides[:5]),
    )  # fmt: skip
    return [pack, rest, PooledGradient("weights", g, s, packed, sums, samples), unpack]


def _inputs(program: Program, s: Spread, n: Nest, bits: int) -> list[Instruction] | None:
    """The image's gradient: axes (sample, group, channel, tap, tap, row, column), summed over filters, scattered."""
    operands = _operands(s, n)
    if operands is None or n.kinds != "pppppppr" or not n.accumulate:
        return None
    spread, weights = operands
    first = _reads_spread(s, n, spread, (0, 1, 7, 5, 6))
    fixed = weights.strides[0] or weights.strides[5] or weights.strides[6]
    axes = dict(zip("ngcklyxf", range(8), strict=True))
    found = _geometry(s, n, n.out, first, axes, bits) if first and not fixed else None
    if found is None:
        return None
    g, units = found
    samples = n.extents[0]
    packed = _buffer(program, n.dtype, g.groups * g.taps[0] * g.filters * g.lines.length)
    sums = _buffer(program, n.dtype, samples * g.sample)
    length, run = g.lines.length, g.lines.pitch
    clear = Nest((packed.size,), "p", const(0, n.dtype), Access(packed, 0, (1,)))
    w = weights.strides
    pack = Nest(
        (g.groups, g.taps[0], g.filters, g.taps[1], g.channels), "ppppp",
        load(weights._replace(strides=(w[1], w[3], w[7], w[4], w[2])), n.dtype),
        Access(packed, 0, (g.taps[0] * g.filters * length, g.filters * length, length, run, 1)), accumulate=True,
    )  # fmt: skip
    whole = _clears(program, n, samples * g.groups * g.channels * prod(g.grid))
    unpack = _image_nest(g, samples, Access(sums, 0, ()), n.out, n.out.strides[:3], units, inward=False)
    if whole is not None:
        program.instructions.remove(whole)
    else:
        unpack.combine, unpack.accumulate = "add", True
    return [clear, pack, PooledGradient("inputs", g, s, packed, sums, samples), unpack]


def _image_nest(
    g: Geometry, samples: int, packed: Access, image: Access, steps: Sequence[int], units: tuple[int, int],
    inward: bool,
) -> Nest:  # fmt: skip
    """A copy between an image, whose samples, groups and channels lie ``steps`` apart, and its packed form."""
    h, w = g.grid
    packed = packed._replace(strides=(g.sample, h * g.row, 1, g.row, g.channels))
    image = image._replace(strides=(*steps, *units))
    source, target = (image, packed) if inward else (packed, image)
    extents = (samples, g.groups, g.channels, h, w)
    return Nest(extents, "ppppp", load(source, g.dtype), target)


def _clears(program: Program, n: Nest, points: int) -> Instruction | None:
    """What sets ``n``'s result to 0 before, if ``n`` reaches all of that and nothing else writes it."""
    out = n.out.buffer
    writers = [i for i in program.instructions if out in i.writes() and i is not n]
    if len(writers) != 1 or not _is_zeros(writers[0]) or out.size != points:
        return None
    assert isinstance(writers[0], Nest)
    return writers[0] if writers[0].points == out.size else None


__all__ = ["PooledGradient", "Spread", "use_places"]
