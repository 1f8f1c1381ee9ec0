"""Recognising a convolution and the nests that finish its results, for ``convolution.py`` to print in one go.

A convolution here is a contraction of samples' images with filters that all samples share: one operand (the image)
moves along the sample axis and the axes of positions, the other along the axis of filters, both along that of groups.
What follows in the group and reads only a result's own window, a max-pool and its argmax, or the same position, a bias
and an activation, is computed while the results are in registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, loads, postorder
from tinygraph.program.instructions import Buffer, Group, Nest

#: the largest window of a pool that is finished in registers
_WINDOW = 9
#: filters from which packing the image pays
_FILTERS = 4
_REDUCERS = ("maximum", "minimum", "argmax", "argmin", "add")


@dataclass(frozen=True)
class Axis:
    """Steps of the two operands and the result along one axis (an axis that is not there has extent 1)."""

    extent: int = 1
    image: int = 0
    weights: int = 0
    out: int = 0


@dataclass(frozen=True)
class Tail:
    """A nest that is finished with the convolution: ``window`` if it reduces over one."""

    nest: Nest
    window: bool


@dataclass
class Convolution:
    """A nest read as a convolution.

    Results are made for ``height`` by ``width`` positions of windows of ``window`` results each (1 by 1 without a
    pool). The image's elements that a channel's results need form a grid of ``grid`` offsets, in steps of ``units``.
    """

    nest: Nest
    image: Access
    weights: Access
    samples: Axis
    groups: Axis
    filters: Axis
    rows: Axis
    columns: Axis
    channels: Axis
    down: Axis
    across: Axis
    window: tuple[int, int] = (1, 1)
    tails: list[Tail] = field(default_factory=list)
    #: buffers of results that nothing reads from memory
    unstored: set[Buffer] = field(default_factory=set)

    @property
    def height(self) -> int:
        return self.rows.extent // self.window[0]

    @property
    def width(self) -> int:
        return self.columns.extent // self.window[1]

    @property
    def units(self) -> tuple[int, int]:
        vertical = gcd(self.rows.image if self.window[0] > 1 else 0, self.down.image)
        across = gcd(self.columns.image if self.window[1] > 1 else 0, self.across.image)
        return vertical or 1, across or 1

    @property
    def grid(self) -> tuple[int, int]:
        (v, h), (a, b) = self.units, self.window
        reach = (a - 1) * self.rows.image + (self.down.extent - 1) * self.down.image
        along = (b - 1) * self.columns.image + (self.across.extent - 1) * self.across.image
        return (reach // v if a * self.down.extent > 1 else 0) + 1, (
            along // h if b * self.across.extent > 1 else 0) + 1  # fmt: skip

    @property
    def offsets(self) -> int:
        """Offsets of all channels: vectors of the image that a vector of positions needs."""
        return self.channels.extent * self.grid[0] * self.grid[1]

    @property
    def taps(self) -> int:
        return self.down.extent * self.across.extent

    def count(self) -> int:
        """Nests of the group that are printed with the convolution, itself included."""
        return 1 + len(self.tails)


def recognise(group: Group) -> Convolution | None:
    """The group's first nest as a convolution with as many of the next ones as can be finished with it."""
    c = as_convolution(group.nests[0])
    if c is None or group.outer > 1 and len(group.nests) > 1:
        return None
    if any(n.kinds[:1] != "p" or n.extents[0] != c.nest.extents[0] for n in group.nests):
        return None
    first = c.nest.extents[0], c.nest.out.strides[0]
    if len(group.nests) > 1 and first[0] > 1 and first != (c.samples.extent, c.samples.out):
        return None  # the loop that is shared is not that of the samples
    pooled = _with_tails(c, group, _window_of(c, group.nests))
    if pooled is None or pooled.window == (1, 1):
        pooled = _with_tails(c, group, (1, 1))
    return pooled


def as_convolution(nest: Nest) -> Convolution | None:
    """The nest read as a convolution without a tail; None if it is not one worth packing its image for."""
    if not is_contraction(nest) or nest.accumulate or nest.out.dynamic is not None or nest.kinds[0] != "p":
        return None
    if not nest.points:
        return None
    x, y = (a.attr for a in nest.expr.args)
    for image, weights in ((x, y), (y, x)):
        c = _read_as(nest, image, weights)
        if c is not None:
            return c
    return None


def _read_as(nest: Nest, image: Access, weights: Access) -> Convolution | None:
    axes = [Axis(e, image.strides[k], weights.strides[k], nest.out.strides[k]) for k, e in enumerate(nest.extents)]
    inner = [(a, nest.kinds[k]) for k, a in enumerate(axes) if a.extent > 1]
    filters = [a for a, kind in inner if kind == "p" and not a.image]
    groups = [a for a, kind in inner if kind == "p" and a.image and a.weights]
    places = [a for a, kind in inner if kind == "p" and a.image and not a.weights]
    sums = sorted((a for a, kind in inner if kind == "r"), key=lambda a: a.image)
    if len(filters) != 1 or len(groups) > 1 or not 1 <= len(sums) <= 3 or filters[0].extent < _FILTERS:
        return None
    if any(a.image < 0 or a.out <= 0 for a in (*places, *groups)) or any(a.image < 0 for a in sums):
        return None
    columns = next((a for a in places if a.out == 1), None)
    if columns is None:
        return None
    rows = next((a for a in places if a.out == columns.extent and a.image > columns.image), Axis())
    samples = [a for a in places if a not in (columns, rows)]
    if len(samples) > 1 or groups and groups[0].out != filters[0].out * filters[0].extent:
        return None
    if len(sums) == 1 and not any(_overlap(a, sums[0]) for a in (columns, rows)):
        return None  # a product of matrices
    found = []
    for channels, down, across in _roles(sums, [columns, rows]):
        c = Convolution(nest, image, weights, (samples or [Axis()])[0], (groups or [Axis()])[0], filters[0], rows,
                        columns, channels, down, across)  # fmt: skip
        if 1 < c.taps <= rows.extent * columns.extent and _dense(c):  # with more taps it is a gradient to filters
            found.append(c)
    return min(found, key=lambda c: c.offsets, default=None)


def _overlap(place: Axis, tap: Axis) -> bool:
    """Whether different positions read the same element, by different taps."""
    unit = gcd(place.image, tap.image)
    return unit > 0 and tap.image // unit < place.extent and place.image // unit < tap.extent


def _roles(sums: Sequence[Axis], places: Sequence[Axis]) -> Iterator[tuple[Axis, Axis, Axis]]:
    """The axes of a sum as channels, rows and columns of taps: channels lie behind all that a channel reads."""
    *taps, last = sums
    reach = sum((a.extent - 1) * a.image for a in (*taps, *places))
    channels = Axis()
    if len(sums) == 3 or last.image > reach:
        channels = last
    else:
        taps = [*taps, last]
    if len(taps) == 2:
        yield channels, taps[1], taps[0]
    elif len(taps) == 1:
        yield channels, Axis(), taps[0]
        yield channels, taps[0], Axis()


def _dense(c: Convolution) -> bool:
    """Whether most of the grid of offsets is used: strides and dilations without common divisor leave holes."""
    a, b = c.grid
    down = {i * c.rows.image + j * c.down.image for i in range(c.window[0]) for j in range(c.down.extent)}
    across = {i * c.columns.image + j * c.across.image for i in range(c.window[1]) for j in range(c.across.extent)}
    return 2 * len(down) * len(across) > a * b


# -- what follows ------------------------------------------------------------------------------------------------------


def _window_of(c: Convolution, nests: Sequence[Nest]) -> tuple[int, int]:
    """The pool's window, if a nest reduces the convolution's results over one."""
    for n in nests[1:]:
        if n.combine in _REDUCERS and n.kinds.endswith("rr") and n.kinds.count("r") == 2:
            h, w = n.extents[-2:]
            if 1 < h * w <= _WINDOW and c.rows.extent >= h and c.columns.extent >= w:
                return h, w
    return 1, 1


def _with_tails(c: Convolution, group: Group, window: tuple[int, int]) -> Convolution | None:
    """The convolution with the nests after it that windows of this size can finish; None if results would be lost."""
    c = Convolution(**{**vars(c), "window": window, "tails": [], "unstored": set()})
    if not c.height or not c.width or not _dense(c):
        return None
    levels = {c.nest.out.buffer: _layout(c, c.nest.out)}
    full = {c.nest.out.buffer}
    written = {n.out.buffer for n in group.nests}
    for n in group.nests[1:]:
        t = _tail(c, n, levels, full, written)
        if t is None:
            break
        c.tails.append(t)
        levels[n.out.buffer] = n.out
        if not t.window and window != (1, 1) and n.extents[-2:] == (c.rows.extent, c.columns.extent):
            full.add(n.out.buffer)
    finished = {c.nest, *(t.nest for t in c.tails)}
    for b in levels:
        if b in group.private and not any(b in n.reads() for n in group.nests if n not in finished):
            c.unstored.add(b)
    if window != (1, 1) and not full <= c.unstored:
        return None
    return c


def _layout(c: Convolution, out: Access) -> Access:
    """The access of a four-dimensional tail (sample, filter, row, column) to the convolution's result."""
    rows = c.rows.out or c.columns.extent
    return Access(out.buffer, out.offset, (c.samples.out, c.filters.out, rows, 1), out.params)


def _tail(
    c: Convolution, n: Nest, levels: dict[Buffer, Access], full: set[Buffer], written: set[Buffer]
) -> Tail | None:
    """The nest as one that a window of results finishes, or None."""
    pooled = n.combine is not None
    if n.out.dynamic is not None or n.accumulate or n.expr.dtype != c.nest.dtype and not pooled:
        return None
    if pooled and (n.combine not in _REDUCERS or c.window == (1, 1)):
        return None
    sizes = [c.samples.extent, c.groups.extent * c.filters.extent, c.height, c.width]
    at_full = not pooled and c.window != (1, 1) and n.extents[-2:] == (c.rows.extent, c.columns.extent)
    if at_full:
        sizes[2:] = [c.rows.extent, c.columns.extent]
    expected = (*sizes, *c.window) if pooled else tuple(sizes)
    if n.extents != expected or n.kinds != "pppp" + ("rr" if pooled else ""):
        return None
    if any(x.op in ("axis", "index", "philox", "param") or x.dtype != c.nest.dtype and x.op == "load"
           for x in postorder(n.expr)):  # fmt: skip
        return None
    if n.out.strides[3] != 1 and sizes[3] > 1 or n.out.strides[2] != sizes[3] and sizes[2] > 1:
        return None
    for x in loads(n.expr):
        a = x.attr
        if a.buffer in written and a.buffer not in levels:
            return None  # a result written over it: tiles that overlap would read it twice
        if a.dynamic is not None or not _reads(c, a, levels, full, pooled or at_full, pooled, sizes):
            return None
    return Tail(n, pooled)


def _reads(
    c: Convolution, a: Access, levels: dict[Buffer, Access], full: set[Buffer], window: bool, pooled: bool,
    sizes: Sequence[int],
) -> bool:  # fmt: skip
    """Whether an access can be had in registers: the group's own results at this position, or plain memory."""
    if a.buffer in levels:
        out = levels[a.buffer]
        strides = out.strides[:4]
        if c.window != (1, 1) and (a.buffer in full) != window:
            return False
        if pooled:
            h, w = c.window
            strides = (*strides[:2], strides[2] * h, strides[3] * w, strides[2], strides[3])
        same = all(s == t or e == 1 for s, t, e in zip(a.strides, strides, (*sizes, *c.window), strict=False))
        return same and a.offset == out.offset and a.params == out.params
    if c.window != (1, 1) and window:  # positions of a window lie apart
        return not any(a.strides[2:])
    return not any(a.strides[2:]) or (a.strides[3] == 1 and a.strides[2] == sizes[3]) or (
        sizes[2] == 1 and a.strides[3] == 1)  # fmt: skip
