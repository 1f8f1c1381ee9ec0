"""Which nests run together on the numpy target, and in how large tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import loads, postorder
from tinygraph.program.instructions import Branch, Group, Instruction, Loop, Nest
from tinygraph.targets.numpy.contraction import plan
from tinygraph.targets.numpy.windows import spread_axes

#: groups that touch less memory than this run whole: a tile's calls would cost more than the cache misses
TILE_ABOVE = 256 * 1024
#: the same within a loop, whose steps come to the same memory again while it is still in some cache
TILE_ABOVE_IN_LOOPS = 4 * 1024 * 1024
#: memory that one tile may touch: half of a second-level cache
TILE_BYTES = 512 * 1024
#: the same where a tile holds copied windows: fewer, larger matrix products are worth more than the cache
WINDOW_BYTES = 2 * 1024 * 1024
#: bytes of a row that a tile of sums down the columns takes at least: shorter pieces waste the lines they lie in
COLUMN_BYTES = 8 * 1024


def may_group(a: Nest, b: Nest) -> bool:
    """Matrix products that BLAS runs well on their own stay alone; all else may share tiles.

    Two contractions never do: the copied windows of both would crowd a tile.
    """
    if is_blas(a) or is_blas(b):
        return False
    return not (is_contraction(a) and is_contraction(b))


def is_blas(n: Nest) -> bool:
    """A contraction that is one matrix product on memory as it lies."""
    if not is_contraction(n):
        return False
    found = plan(n)
    return found is None or (found.left.packed(n.extents) and found.right.packed(n.extents))


def decide_tiles(
    instructions: Sequence[Instruction], threads: int, above: int = TILE_ABOVE
) -> dict[Group, int]:
    """Rows of a tile for each group to be run in tiles. Groups run whole keep no private memory of their own."""
    tiles: dict[Group, int] = {}
    for i in instructions:
        if isinstance(i, Loop):
            tiles.update(decide_tiles(i.body, 1, TILE_ABOVE_IN_LOOPS))
        elif isinstance(i, Branch):
            tiles.update(decide_tiles(i.then, threads, above))
            tiles.update(decide_tiles(i.otherwise, threads, above))
        elif isinstance(i, Group) and i.parts:
            tiles.update(decide_tiles(i.parts, threads, above))
            i.private = {b for p in i.parts for b in p.private}
        elif isinstance(i, Group):
            rows = tile_rows(i, threads, above)
            if rows is None:
                i.private = set()
            else:
                tiles[i] = rows
    return tiles


def tile_rows(g: Group, threads: int, above: int = TILE_ABOVE) -> int | None:
    """Rows of a tile along the group's first shared loop, or None to run it whole."""
    if g.outer == 0 or any(n.out.dynamic is not None for n in g.nests):
        return None
    first = g.nests[0]
    n = first.extents[0]
    if n < 2 or any(is_blas(x) for x in g.nests):
        return None
    if len(g.nests) == 1 and is_contraction(first) and not _loops_over_first(first):
        return None
    row = max(1, sum(_row_bytes(x) for x in g.nests))
    if row * n <= above:
        return None
    windows = any(is_contraction(x) for x in g.nests)
    rows = max(1, (WINDOW_BYTES if windows else TILE_BYTES) // row, *map(_columns, g.nests))
    return min(rows, -(-n // threads)) if threads > 1 else (None if rows >= n else rows)


def _loops_over_first(n: Nest) -> bool:
    found = plan(n)
    return found is not None and bool(found.loop) and found.loop[0] == 0


def _columns(n: Nest) -> int:
    """Elements side by side that a sum down the columns of a matrix should take at a time; 1 for all else."""
    reads = [e.attr for e in loads(n.expr)]
    if n.combine is None or not any(abs(x.strides[0]) == 1 for x in reads):
        return 1
    return COLUMN_BYTES // max(x.buffer.itemsize for x in reads)


def _row_bytes(n: Nest) -> int:
    """Bytes that one step along the first axis reads and writes, copies of windows included."""
    total = 0
    for x in [*(e.attr for e in loads(n.expr)), n.out]:
        points = 1
        for e, s in list(zip(n.extents, x.strides, strict=True))[1:]:
            points *= e if s else 1
        if x.strides and x.strides[0]:
            total += points * x.buffer.itemsize
    if n.combine is None and not spread_axes(n):
        total += (len(postorder(n.expr)) > 3) * n.points // max(n.extents[0], 1) * np.dtype(n.dtype).itemsize
    return total
