"""Schedules for contractions: which axis runs along a vector's lanes, and which results are kept in registers at once.

A contraction is a sum of products of two operands (convolutions, their gradients, odd products). Its results are made
in tiles of ``len(a) * len(b)`` accumulators: for each point of the reduction one vector of the first operand for each
``a``, one number (or vector) of the second for each ``b``, and a fused multiplication and addition for each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest

#: points of a reduction that are summed before the sum is added to the result, where lanes are parts of one sum
_BLOCK = 2048
#: stands for the length of the axis that threads share
_LONG = 1 << 20
#: scalar multiplications below which a contraction is not worth a schedule of its own
_SMALL = 512


@dataclass(frozen=True)
class Schedule:
    """``lanes = rows * width``: a vector holds ``rows`` neighbours along ``row_axis``, ``width`` along ``vector_axis``.

    ``parallel``: whether the lanes are different results (else parts of one sum). ``tile``: how many neighbours along
    an axis are in registers at once (vectors, for the vector and row axes). ``first`` and ``second``: the operands;
    in a parallel schedule the lanes run along the first.
    """

    first: Access
    second: Access
    vector_axis: int
    row_axis: int
    width: int
    rows: int
    parallel: bool
    first_tile: tuple[tuple[int, int], ...]
    second_tile: tuple[tuple[int, int], ...]
    block_axis: int = -1
    block: int = 0

    @property
    def lanes(self) -> int:
        return self.width * self.rows

    @property
    def tile(self) -> dict[int, int]:
        return dict(self.first_tile + self.second_tile)


def schedule(nest: Nest, depth: int, bits: int) -> Schedule | None:
    """A schedule for the axes from ``depth`` on; None if the contraction has no axis that suits a vector."""
    if not is_contraction(nest) or nest.out.dynamic is not None:
        return None
    if any(min(a.strides, default=0) < 0 for a in (nest.out,)) or nest.points < _SMALL:
        return None
    inner = range(depth, len(nest.extents))
    work = 1
    for k in inner:
        work *= nest.extents[k]
    if work < _SMALL or nest.kinds[:depth].count("r"):
        return None
    best: tuple[float, Schedule] | None = None
    x, y = (a.attr for a in nest.expr.args)
    for first, second in ((x, y), (y, x)):
        for v in inner:
            for s in _along(nest, depth, first, second, v, bits):
                cost = _cost(nest, s)
                if best is None or cost < best[0]:
                    best = cost, s
    return best[1] if best is not None else None


def _along(nest: Nest, depth: int, first: Access, second: Access, v: int, bits: int) -> Iterator[Schedule]:
    extent = nest.extents[v]
    most = bits // (8 * 4 if nest.dtype == "float32" else 8 * 8)
    if extent < 4 or first.strides[v] != 1:
        return
    parallel = nest.kinds[v] == "p"
    if parallel and (nest.out.strides[v] != 1 or second.strides[v] != 0):
        return
    if not parallel and second.strides[v] != 1:
        return
    registers = 32 if bits == 512 else 16
    for width, rows, row_axis in _shapes(nest, depth, first, second, v, most, parallel):
        tiles = _tiles(nest, depth, first, second, v, row_axis, width, rows, parallel, registers)
        if tiles is None:
            continue
        s = Schedule(first, second, v, row_axis, width, rows, parallel, *tiles)
        yield s if parallel else _blocked(nest, s)


def _shapes(
    nest: Nest, depth: int, first: Access, second: Access, v: int, most: int, parallel: bool
) -> Iterator[tuple[int, int, int]]:
    extent = nest.extents[v]
    width = most
    while width >= 4:
        yield width, 1, -1
        if extent == width and width < most:
            for u in range(depth, len(nest.extents)):
                rows = most // width
                if u == v or nest.kinds[u] != nest.kinds[v] or nest.extents[u] % rows or not first.strides[u]:
                    continue
                if (second.strides[u] != 0) == parallel:
                    continue
                yield width, rows, u
        if extent >= width:
            return
        width //= 2


def _tiles(
    nest: Nest, depth: int, first: Access, second: Access, v: int, u: int, width: int, rows: int, parallel: bool,
    registers: int,
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] | None:  # fmt: skip
    """How many vectors of each operand: the pair that needs the fewest loads for each multiplication."""
    count = {k: nest.extents[k] for k in range(depth, len(nest.extents)) if nest.kinds[k] == "p"}
    if parallel:
        count[v] = -(-nest.extents[v] // width)
        if u >= 0:
            count[u] = nest.extents[u] // rows
    firsts = [k for k in count if first.strides[k] and not second.strides[k] and count[k] > 1]
    seconds = [k for k in count if second.strides[k] and not first.strides[k] and count[k] > 1]
    if parallel and v in firsts:  # a row's vectors belong together: a partial one has a mask
        firsts = [v, *[k for k in reversed(firsts) if k != v]]
    # how long the axis is that threads share, samples mostly, is not to decide on the code
    shared = depth if depth == 0 and depth not in (v, u) else -1
    count = {k: _LONG if k == shared else n for k, n in count.items()}
    best = None
    for a in _choices(firsts, count, v if parallel else -1):
        for b in _choices(seconds, count, -1):
            m, n = _number(a), _number(b)
            held = m * n + (min(m, n) + 1 if parallel else m + 1)
            if held > registers - 1:
                continue
            if not _distinct(nest, {**dict(a), **dict(b)}, v if parallel else -1, u, width, rows):
                continue
            waste = 1.0
            for k, t in (*a, *b):
                waste *= -(-count[k] // t) * t / count[k] if k != shared else 1.0
            loads = (m * rows + n) / (m * n) if parallel else (m + n) * rows / (m * n)
            latency = max(1.0, 8 / (m * n))
            far = sum(len(nest.extents) - k for k, _ in (*a, *b))  # inner axes are nearer in memory
            cost = waste * (latency + 0.5 * loads) + 0.01 * far
            if best is None or cost < best[0]:
                best = cost, (tuple(a), tuple(b))
    return None if best is None else best[1]


def _choices(axes: Sequence[int], count: dict[int, int], whole: int) -> Iterator[list[tuple[int, int]]]:
    """Tiles over up to two of the axes; the axis ``whole`` is taken in full if it is not long."""
    yield []
    for k in axes:
        for t in _sizes(count[k]):
            yield [(k, t)]
            for other in axes:
                if axes.index(other) > axes.index(k) and t <= 8:
                    for s in _sizes(count[other]):
                        if t * s <= 24:
                            yield [(k, t), (other, s)]


def _sizes(n: int) -> list[int]:
    return [t for t in range(2, min(n, 14) + 1) if n % t == 0 or t in (4, 6, 8) and n > 3 * t]


def _number(tile: Sequence[tuple[int, int]]) -> int:
    n = 1
    for _, t in tile:
        n *= t
    return n


def _distinct(nest: Nest, tile: dict[int, int], v: int, u: int, width: int, rows: int) -> bool:
    """Whether a tile's results are different elements."""
    spans = []
    for k in {*tile, *([v] if v >= 0 else []), *([u] if u >= 0 and v >= 0 else [])}:
        n = tile.get(k, 1) * (width if k == v else rows if k == u else 1)
        if n > 1:
            spans.append((nest.out.strides[k], min(n, nest.extents[k])))
    reach = 0
    for s, n in sorted(spans):
        if s <= reach:
            return False
        reach += s * (n - 1)
    return True


def _blocked(nest: Nest, s: Schedule) -> Schedule:
    """Long sums whose lanes are parts: cut along the first reduction axis, so that operands stay in the cache."""
    axes = [k for k, kind in enumerate(nest.kinds) if kind == "r" and k not in (s.vector_axis, s.row_axis)]
    if not axes:
        return s
    inner = 1
    for k, kind in enumerate(nest.kinds):
        if kind == "r" and k != axes[0]:
            inner *= nest.extents[k]
    block = max(1, _BLOCK // inner)
    return Schedule(s.first, s.second, s.vector_axis, s.row_axis, s.width, s.rows, s.parallel, s.first_tile,
                    s.second_tile, axes[0], block)  # fmt: skip


def _cost(nest: Nest, s: Schedule) -> float:
    """Rough time for each scalar multiplication."""
    m, n = _number(s.first_tile), _number(s.second_tile)
    filled = nest.extents[s.vector_axis] / (-(-nest.extents[s.vector_axis] // s.width) * s.width)
    loads = (m * s.rows + n) / (m * n) if s.parallel else (m + n) * s.rows / (m * n)
    inserts = 0.0
    if s.rows > 1:
        inserts = (s.rows - 1) / n + 0.05 * (len(nest.extents) - s.row_axis)
    latency = max(1.0, 8 / (m * n))
    cost = (latency + 0.5 * loads + 0.3 * inserts) / (s.lanes * filled)
    if not s.parallel:
        points = 1
        for k, kind in enumerate(nest.kinds):
            points *= nest.extents[k] if kind == "r" else 1
        cost += 4.0 / max(min(points, _BLOCK), 1)
    return cost
