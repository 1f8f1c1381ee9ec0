"""Reductions down the columns of what a group makes or reads row by row are taken as the group goes over the rows.

before -> after, for a table of 4096 rows::

    group over 1:                                          group over 1:
        for i<4096, j<n: t[i, j] = ...                         for b<64, j<n: p[b, j] = 0
        ...                                                    for b<64, k<64, j<n: t[64*b + k, j] = ...
    group over 1:                                              for b<64, k<64, j<n: p[b, j] add= t[64*b + k, j]
        for j<n: s[j] = add over i<4096 of t[i, j]             ...
                                                           group over 1:
                                                               for j<n: s[j] = add over b<64 of p[b, j]

So the table is not read again, and where nothing else reads it, it is not written either: a row of it stays in the
nearest cache. Gradients of scales, shifts and biases are such sums. The blocks' lengths follow from the shapes alone,
so results are the same for every number of threads; blocks are short enough that each sum stays as good as one by
pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt, prod

from tinygraph.lower.fuse import aligned_depth
from tinygraph.lower.renaming import rename
from tinygraph.program.contraction import is_product
from tinygraph.program.expr import Access, Expr, axis_index, const, load, loads, postorder
from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest, Program, c_strides
from tinygraph.program.reduction import identity

#: rows of a block: at least so that there is something to gain, at most so that sums stay accurate
_LEAST, _MOST = 8, 128
#: blocks that there should be for threads to share, and numbers in a row
_BLOCKS, _ROW = 8, 256
#: bytes of memory traffic that must be saved: what the caches hold is cheap to read again
_SAVED = 8 << 20


def reduce_columns_with_rows(program: Program) -> None:
    """Move such reductions, in place, in the program and in its loops; after fusion, before the memory is planned."""
    _Mover(program).block(program.instructions)


def total(nest: Nest, partial: Buffer, results: Sequence[int], count: int) -> Nest:
    """``count`` partial results of a reduction, one after the other in ``partial``, as one, into the nest's result."""
    strides = tuple(s for s, kind in zip(nest.out.strides, nest.kinds, strict=True) if kind == "p")
    out = nest.out._replace(strides=(*strides, 0))
    parts = load(Access(partial, 0, (*c_strides(results), prod(results))), partial.dtype)
    return Nest((*results, count), "p" * len(results) + "r", parts, out, nest.combine, nest.accumulate,
                origin=nest.origin, source=nest.source, label=nest.label)  # fmt: skip


def results_of(nest: Nest) -> list[int]:
    """The sizes of a nest's parallel axes."""
    return [e for e, kind in zip(nest.extents, nest.kinds, strict=True) if kind == "p"]


@dataclass(eq=False)
class _Column:
    """A reduction that may move: where it stands, and its axis over the rows."""

    group: Group
    nest: Nest
    axis: int
    position: int  # in the row group, behind which nest it belongs


class _Mover:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.kept = {r.buffer for r in (*program.outputs, *program.updates)}

    def block(self, block: list[Instruction]) -> None:
        at = 0
        while at < len(block):
            i = block[at]
            if isinstance(i, Loop):
                self.block(i.body)
            elif isinstance(i, Branch):
                self.block(i.then)
                self.block(i.otherwise)
            elif isinstance(i, Group) and _walks_rows(i):
                columns = list(self._columns(block, at, i))
                if columns and self._pays(i, columns):
                    made = self._joined(i, columns)
                    block[at : at + 1] = made
                    at += len(made) - 1
            at += 1

    # -- what may move --------------------------------------------------------------------------------------------

    def _columns(self, block: Sequence[Instruction], at: int, rows: Group) -> Iterator[_Column]:
        """The reductions behind ``block[at]`` that read only what its rows make, or what has been there before."""
        changed: set[Buffer] = set()
        for i in block[at + 1 :]:
            if isinstance(i, Group) and not i.parts:
                for n in i.nests:
                    if not changed.intersection(n.reads()):
                        axis, position = _fit(n, rows)
                        if position >= 0:
                            yield _Column(i, n, axis, position)
                    changed.update(n.writes())
            else:
                changed.update(i.writes())

    def _pays(self, rows: Group, columns: Sequence[_Column]) -> bool:
        """Whether the bytes that need not be read again are many, and many more than those of the partial results."""
        seen: dict[Buffer, int] = {}
        spent = 0
        for c in columns:
            for a in c.nest.accesses():
                if a.buffer in {*rows.reads(), *rows.writes()}:
                    points = prod(e for e, s in zip(c.nest.extents, a.strides, strict=True) if s)
                    seen[a.buffer] = max(seen.get(a.buffer, 0), min(points, a.buffer.size) * a.buffer.itemsize)
            blocks = _blocks(rows)[0]
            spent += 2 * blocks * prod(results_of(c.nest)) * _itemsize(c.nest)
        return sum(seen.values()) >= max(_SAVED, 4 * spent)

    # -- moving ---------------------------------------------------------------------------------------------------

    def _joined(self, rows: Group, columns: Sequence[_Column]) -> list[Group]:
        """The row group, in blocks and with the reductions' parts; a second one for rows that fill no block."""
        extent = rows.nests[0].extents[0]
        count, each = _blocks(rows)
        rest = extent - count * each
        places = count + (rest > 0)
        partial: dict[_Column, Buffer] = {}
        for c in columns:
            size = places * prod(results_of(c.nest))
            partial[c] = self._buffer(c.nest.expr.dtype, size, "temp")
            c.group.nests[c.group.nests.index(c.nest)] = total(c.nest, partial[c], results_of(c.nest), places)
        private = self._private(rows)

        def made(start: int, count: int, each: int, place: int) -> Group:
            nests = [cleared(c.nest, partial[c], place, count) for c in columns]
            for k, n in enumerate(rows.nests):
                nests.append(_split(n, 0, start, count, each))
                here = [c for c in columns if c.position == k]
                nests += [part(c.nest, c.axis, start, count, each, partial[c], place) for c in here]
            return Group(nests, 1, private, origin=rows.origin, label=rows.label)

        if not rest:
            return [made(0, count, each, 0)]
        last = made(count * each, 1, rest, count)
        own = {b: self._buffer(b.dtype, b.size, b.kind) for b in private}
        rename([last], own)
        last.private = set(own.values())
        return [made(0, count, each, 0), last]

    def _private(self, rows: Group) -> set[Buffer]:
        """What only the group itself reads, now that reductions have moved into it."""
        elsewhere = set(self.kept)
        _touched(self.program.instructions, rows, elsewhere)
        made = {n.out.buffer for n in rows.nests}
        return rows.private | {b for b in made if b.kind == "temp" and b not in elsewhere}

    def _buffer(self, dtype: str, size: int, kind: str) -> Buffer:
        made = Buffer(1 + max(b.id for b in self.program.buffers), dtype, size, kind)
        self.program.buffers.append(made)
        return made


def _touched(block: Sequence[Instruction], without: Group, found: set[Buffer]) -> None:
    """Add what the instructions other than one read or write, those inside them included."""
    for i in block:
        if i is not without:
            found.update(i.reads())
            found.update(i.writes())
        if isinstance(i, Loop):
            found.update(r.buffer for r in (i.until, i.steps_taken, i.limit) if r is not None)
            _touched(i.body, without, found)
        elif isinstance(i, Branch):
            found.add(i.condition.buffer)
            _touched([*i.then, *i.otherwise], without, found)


def _itemsize(n: Nest) -> int:
    return Buffer(-1, n.expr.dtype, 1, "temp").itemsize


def _walks_rows(g: Group) -> bool:
    """Whether a group's first axis can be cut into blocks of rows."""
    if g.outer < 1 or g.parts or g.nests[0].extents[0] < _BLOCKS * _LEAST:
        return False
    for n in g.nests:
        if n.kinds[0] != "p" or n.out.dynamic is not None or n.accumulate or is_product(n):
            return False
        if n.out.strides[0] <= 0 or not splits(n, 0):
            return False
    return max(n.points for n in g.nests) >= _ROW * g.nests[0].extents[0]


def splits(n: Nest, axis: int) -> bool:
    """Whether nothing that a nest computes depends on an axis but through the places it reads."""
    every = [n.expr, *[x.attr.dynamic for x in loads(n.expr) if x.attr.dynamic is not None]]
    return not any(x.op == "philox" or (x.op == "axis" and x.attr == axis) for e in every for x in postorder(e))


def _blocks(rows: Group) -> tuple[int, int]:
    # loops inside over as many points as a block has rows would be taken for the rows'
    return blocks_of(rows.nests[0].extents[0], {e for n in rows.nests for e in n.extents[1:]})


def blocks_of(rows: int, taken: Collection[int]) -> tuple[int, int]:
    """How many blocks of how many rows; a number of rows that divides them evenly, if one lies near, and not taken."""
    wanted = max(_LEAST, min(_MOST, 1 << (isqrt(rows).bit_length() - 1)))
    near = [r for r in range(wanted // 2, min(2 * wanted, _MOST) + 1) if rows % r == 0 and r not in taken]
    each = min(near, key=lambda r: abs(r - wanted), default=wanted)
    return rows // each, each


def _fit(n: Nest, rows: Group) -> tuple[int, int]:
    """The axis along which ``n`` reduces the rows, and the nest behind which it may run; -1, -1 if there is none."""
    if n.combine is None or n.combine.startswith("arg") or n.out.dynamic is not None or is_product(n):
        return -1, -1
    plain = [a for a in n.accesses() if a.dynamic is None]
    for axis, (kind, extent) in enumerate(zip(n.kinds, n.extents, strict=True)):
        if kind != "r" or extent != rows.nests[0].extents[0] or not splits(n, axis):
            continue
        turned = _split(n, axis, 0, 1, extent)  # the rows are axis 1 here, and there
        made, read = -1, -1
        for k, m in enumerate(rows.nests):
            there = _split(m, 0, 0, 1, extent)
            for a in n.accesses():
                if a.buffer is m.out.buffer:
                    if a not in plain or not _meet(there.out, there, _cut(a, axis, extent), turned):
                        return -1, -1
                    made = k
                elif read < 0 and any(a.buffer is x.buffer and a.strides[axis] == x.strides[0] for x in m.accesses()):
                    read = k
        if made >= 0 or read >= 0:
            return axis, made if made >= 0 else read
    return -1, -1


def _meet(a: Access, na: Nest, b: Access, nb: Nest) -> bool:
    return aligned_depth(a, na, b, nb, 2) == 2


def _cut(a: Access, axis: int, each: int, start: int = 0) -> Access:
    """An access with the axis in two, which come first: blocks of ``each`` points, and the points of one."""
    s = a.strides
    strides = (s[axis] * each, s[axis], *s[:axis], *s[axis + 1 :])
    dynamic = None if a.dynamic is None else _over(a.dynamic, axis, each, start)
    return Access(a.buffer, a.offset + s[axis] * start, strides, a.params, dynamic)


def _over(e: Expr, axis: int, each: int, start: int) -> Expr:
    """An expression over axes cut so; it does not name the axis that is cut."""
    memo: dict[int, Expr] = {}
    for x in postorder(e):
        if x.op == "load":
            memo[id(x)] = load(_cut(x.attr, axis, each, start), x.dtype)
        elif x.op == "axis":
            memo[id(x)] = axis_index(x.attr + 1 + (x.attr < axis))
        else:
            memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
    return memo[id(e)]


def _split(n: Nest, axis: int, start: int, count: int, each: int) -> Nest:
    """``count`` blocks of ``each`` points of an axis from ``start`` on; those two axes come first."""
    extents = (count, each, *n.extents[:axis], *n.extents[axis + 1 :])
    kinds = 2 * n.kinds[axis] + n.kinds[:axis] + n.kinds[axis + 1 :]
    return replace(n, extents=extents, kinds=kinds, expr=_over(n.expr, axis, each, start),
                   out=_cut(n.out, axis, each, start))  # fmt: skip


def part(n: Nest, axis: int, start: int, count: int, each: int, partial: Buffer, place: int) -> Nest:
    """A reduction of each of ``count`` blocks of ``each`` rows, taken up row by row in the block's partial result."""
    results = results_of(n)
    made = _split(n, axis, start, count, each)
    steps = iter(c_strides(results))
    strides = (prod(results), 0, *[next(steps) if kind == "p" else 0 for kind in made.kinds[2:]])
    out = Access(partial, place * prod(results), strides)
    return replace(made, kinds="pp" + made.kinds[2:], out=out, combine=n.combine, accumulate=True)


def cleared(n: Nest, partial: Buffer, place: int, count: int) -> Nest:
    """What partial results of ``count`` blocks are before the first row."""
    results = results_of(n)
    shape = (count, *results)
    start = const(identity(n.combine or "", partial.dtype), partial.dtype)
    return Nest(shape, "p" * len(shape), start, Access(partial, place * prod(results), c_strides(shape)),
                origin=n.origin, source=n.source, label=n.label)  # fmt: skip
