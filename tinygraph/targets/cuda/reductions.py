"""Long reductions: a row of threads, or a column, for each result, with elementwise nests as an epilogue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.kernel import Kernel, Scratch, Tuning, flat_launch, printed
from tinygraph.targets.cuda.points import finish, ordered_axes, points, print_nest, start, total_type
from tinygraph.targets.cuda.scalars import FUNCTORS, accumulator, combined
from tinygraph.targets.cuda.writer import Access, Axes, Parameters, Statements, index_type

#: a reduction is shared out over several blocks only where each gets at least so many elements
_SHARE = 4096


def print_reduce(nests: Sequence[Nest], unstored: set[Buffer], tuning: Tuning) -> list[Kernel]:
    """The kernel, or the two kernels, of a reduction ``nests[0]`` and what is computed from each of its results."""
    nest = nests[0]
    n = nest.kinds.count("p")
    p = Parameters(index_type(nests), {x.out.buffer for x in nests}, tuning.integers)
    kept = Axes(ordered_axes(nests, n), nests, "k")
    over = Axes(range(n, len(nest.extents)), [nest], "r")
    element = _element(nest, p, kept, over)
    epilogue = _epilogue(nests, p, kept, unstored)
    kind = total_type(nest)
    kept_size, reduced = points(nest), over.size if nest.points else _reduced(nest)
    by_column = _neighbours_are_kept(nest, kept, over)
    block, per_block = _block(by_column, reduced, tuning)
    across = max(1, min(-(-kept_size // per_block), tuning.blocks * 16))
    splits = _splits(reduced, across, tuning)
    itemsize = 16 if kind.startswith("Found") else np.dtype(nest.expr.dtype).itemsize
    partial = Scratch(kept_size * splits * max(itemsize, 4)) if splits > 1 else ("pointer", 0)
    combine = f"{FUNCTORS[nest.combine or '']}(a, b)" if kind.startswith("Found") else combined(
        nest.combine or "", nest.expr.dtype, "a", "b")  # fmt: skip
    values = {"parameters": p.text, "definitions": "", "value_type": kind, "identity": start(nest), "combine": combine,
              "element": "\n".join(p.prologue + element), "finish": "\n".join(p.prologue + epilogue)}  # fmt: skip
    first = [("i64", kept_size), ("i64", reduced), partial]
    entry = "_columns" if by_column else "_rows"
    main = printed("reduce", "reduce.cuh", p, first, (across, splits), block, entry, **values)
    if splits == 1:
        return [main]
    grid, flat = flat_launch(kept_size, tuning)
    first = [("i64", kept_size), ("int", splits), partial]
    return [main, printed("reduce", "reduce.cuh", p, first, grid, flat, "_finish", **values)]


def _reduced(nest: Nest) -> int:
    """Elements that go into each result."""
    size = 1
    for e, kind in zip(nest.extents, nest.kinds, strict=True):
        size *= e if kind == "r" else 1
    return size


def _element(nest: Nest, p: Parameters, kept: Axes, over: Axes) -> list[str]:
    """Statements that set ``value`` from ``k`` and ``r``."""
    body = Statements(p, {**kept.names, **over.names}, None, "e")
    text = body.value(nest.expr, nest.extents)
    if nest.combine in ("argmax", "argmin"):
        text = f"Found<{accumulator(nest.expr.dtype)}>{{{text}, r}}"
    return [*kept.decode("k", p), *over.decode("r", p), *body.lines, f"value = {text};"]


def _epilogue(nests: Sequence[Nest], p: Parameters, kept: Axes, unstored: set[Buffer]) -> list[str]:
    """Statements that store the total ``value`` of result ``k`` and compute what follows from it."""
    nest = nests[0]
    registers: dict[Access, str] = {}
    body = Statements(p, kept.names, registers, "f")
    total = "value.index" if nest.combine in ("argmax", "argmin") else "value"
    lines = kept.decode("k", p) + finish(nest, p, body, total, "t0", nest.out.buffer not in unstored)
    for position, other in enumerate(nests[1:], 1):
        lines += print_nest(other, p, kept.names, registers, f"t{position}", other.out.buffer not in unstored)
    return lines


def _neighbours_are_kept(nest: Nest, kept: Axes, over: Axes) -> bool:
    """Whether the elements side by side in memory belong to different results."""
    last_kept = next((k for k, name in kept.names.items() if kept.live and name == kept.live[-1][0]), None)
    last_over = next((k for k, name in over.names.items() if over.live and name == over.live[-1][0]), None)
    if last_kept is None or last_over is None:
        return False
    near = [(abs(a.strides[last_kept]) or 1 << 40, abs(a.strides[last_over]) or 1 << 40) for a in nest.accesses()]
    return bool(near) and min(near)[0] < min(y for _, y in near)


def _block(by_column: bool, reduced: int, tuning: Tuning) -> tuple[tuple[int, int], int]:
    """The block, and how many results it makes."""
    if by_column:
        return (32, 8), 32
    width = 32
    while width < tuning.threads and width * 4 < reduced:
        width *= 2
    rows = max(1, tuning.threads // width)
    return (width, rows), rows


def _splits(reduced: int, across: int, tuning: Tuning) -> int:
    """Shares that each reduction is cut into so that the device is filled."""
    if across >= tuning.blocks:
        return 1
    return max(1, min(tuning.blocks * 2 // across, reduced // _SHARE, 64))
