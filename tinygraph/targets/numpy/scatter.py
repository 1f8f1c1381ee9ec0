"""Products whose results overlap in memory: the gradient of a convolution by its image.

``dx[n, c, y+i, x+j] += sum over f of w[f, c, i, j] * g[n, f, y, x]`` is a matrix product followed by additions of many
short rows. Here a tile's images are laid innermost, ``[c, y, x, n]``: the additions for one ``(i, j)`` then run over
``x`` and ``n`` at once, rows several times as long (measured for LeNet's second layer: 58 ms instead of 86).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest

if TYPE_CHECKING:
    from tinygraph.targets.numpy.contraction import Plan
    from tinygraph.targets.numpy.nests import NestPrinter


def can_interleave(p: NestPrinter, nest: Nest, found: Plan) -> bool:
    """Whether axis 0 is a batch of one operand, run in tiles, and the results of one image overlap."""
    from tinygraph.targets.numpy.nests import overlapping_axes

    if not nest.accumulate or p.tile is None or not 2 <= p.tile <= 64 or found.loop[:1] != [0]:
        return False
    if found.left.access.strides[0] or not found.right.access.strides[0]:
        return False
    strides = [nest.out.strides[k] for k in _results(nest, found)]
    if nest.out.params or min(strides, default=0) <= 0 or nest.out.strides[0] < _reach(nest, found):
        return False
    return bool(overlapping_axes(nest)) and len(_serial(nest, found)) > 0


def _results(nest: Nest, found: Plan) -> list[int]:
    """Axes of the product without the batch: loops, rows, columns."""
    return found.loop[1:] + found.rows + found.columns


def _reach(nest: Nest, found: Plan) -> int:
    """Elements of one image from the first written to the last."""
    return 1 + sum(nest.out.strides[k] * (nest.extents[k] - 1) for k in _results(nest, found))


def _serial(nest: Nest, found: Plan) -> list[int]:
    """Axes along which results overlap, to be added one point after the other."""
    from tinygraph.targets.numpy.nests import overlapping_axes

    axes = _results(nest, found)
    out = nest.out._replace(strides=tuple(nest.out.strides[k] for k in axes))
    one = Nest(tuple(nest.extents[k] for k in axes), "p" * len(axes), nest.expr, out, "add", True)
    return [axes[k] for k in overlapping_axes(one)]


def print_interleaved(p: NestPrinter, nest: Nest, found: Plan) -> None:
    """The product of one tile, its images innermost, added into the output."""
    from tinygraph.targets.numpy.contraction import Matrix, operand

    code, tile = p.code, p.tile
    assert tile is not None
    extent = lambda axes: [nest.extents[k] for k in axes]  # noqa: E731
    loop = found.loop[1:]
    left = operand(p, nest, Matrix(found.left.access, loop, found.rows, found.inner))
    order = loop + found.inner + found.columns
    images = code.take(nest.dtype, [*extent(order), tile])
    lead = extent(loop)
    inner, columns = _prod(extent(found.inner)), _prod(extent(found.columns)) * tile
    code.body.add(f"if hi - lo < {tile}: {images}.fill(0)")
    code.body.add(f"copyto({images}[..., :hi - lo], {_interleaved(p, nest, found.right.access, order)})")
    product = code.take(nest.dtype, [*lead, _prod(extent(found.rows)), columns])
    right = _bound(p, f"{images}.reshape({(*lead, inner, columns)})")
    code.body.add(f"matmul({left}, {right}, {product})")
    total = _add_up(p, nest, found, product)
    row = _reach(nest, found)
    out = p.view(Access(nest.out.buffer, nest.out.offset, (nest.out.strides[0], 1)), (nest.extents[0], row))
    code.body.add(f"add({out}, {total}[:, :hi - lo].T, {out})")


def _interleaved(p: NestPrinter, nest: Nest, access: Access, order: Sequence[int]) -> str:
    """The tile's images of an operand, the batch axis last."""
    view = p.code.view(
        access._replace(strides=(access.strides[0], *(access.strides[k] for k in order))),
        (nest.extents[0], *(nest.extents[k] if access.strides[k] else 1 for k in order)),
    )
    cut = ":hi - lo" if access.buffer in p.private else "lo:hi"
    return f"{view}[{cut}].transpose({(*range(1, len(order) + 1), 0)})"


def _add_up(p: NestPrinter, nest: Nest, found: Plan, product: str) -> str:
    """The product's entries added up in scratch memory of (elements of an image, images)."""
    code, tile = p.code, p.tile
    assert tile is not None
    axes, serial = _results(nest, found), _serial(nest, found)
    rest = [k for k in axes if k not in serial]
    total = code.take(nest.dtype, (_reach(nest, found), tile))
    flat = _bound(p, f"{total}.reshape(-1)")
    shape = (*(nest.extents[k] for k in rest), tile)
    strides = (*(nest.out.strides[k] * tile for k in rest), 1)
    full = _bound(p, f"{product}.reshape({(*(nest.extents[k] for k in axes), tile)})")
    offsets, keys = [], []
    for point in itertools.product(*(range(nest.extents[k]) for k in serial)):
        at = dict(zip(serial, point, strict=True))
        offsets.append(sum(nest.out.strides[k] * i for k, i in at.items()) * tile)
        keys.append(tuple(at.get(k) for k in axes))
    targets = _bound(p, f"[strided({flat}, o, {shape}, {strides}) for o in {offsets}]")
    chosen = _bound(p, f"[{full}[tuple(slice(None) if i is None else i for i in k)] for k in {keys}]")
    code.body.add(f"{total}.fill(0)")
    with code.body.block(f"for x, y in zip({targets}, {chosen}):"):
        code.body.add("add(x, y, x)")
    return total


def _bound(p: NestPrinter, text: str) -> str:
    """A name for a view of scratch memory, made once with the memory."""
    code = p.code
    name = code.fresh("x")
    lines, names = (code.bind, code.bound) if code.tile_bound is None else (code.tile_bind, code.tile_bound)
    lines.add(f"{name} = {text}")
    names.append(name)
    return name


def _prod(values: Sequence[int]) -> int:
    return int(np.prod(values, dtype=np.int64))
