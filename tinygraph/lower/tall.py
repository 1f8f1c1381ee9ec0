"""Reductions down the columns of a tall table go over it row by row, in blocks that threads share out.

before -> after, for a table of 4096 rows::

    group over 1:                                    group over 1:
        for j<n: s[j] = add over i<4096 of t[i, j]       for b<64, j<n: p[b, j] = 0
                                                         for b<64, k<16, j<n: p[b, j] add= add over m<4 of
                                                                                           t[64*b + 4*k + m, j]
                                                     group over 1:
                                                         for j<n: s[j] = add over b<64 of p[b, j]

Memory is read in the order in which it lies, a few rows at once, while the partial results stay in the nearest cache;
and a narrow table has as many blocks to share out as a wide one. Where a group walks the rows anyway, ``columns.py``
has moved the reduction there before.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from tinygraph.lower.columns import blocks_of, cleared, part, results_of, splits, total
from tinygraph.lower.cost import cost, operands, operations
from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, Expr, load, postorder
from tinygraph.program.instructions import Buffer, Group, Instruction, Nest, Program

#: bytes of memory traffic below which a cache holds the table
_LARGE = 2 << 20
#: results: fewer are made in parts by targets, and more do not stay in a near cache
_FEWEST, _MOST_BYTES = 8, 128 << 10
#: rows read at once; what a light reduction computes at a point at most, and how many arrays it reads
_ROWS, _LIGHT, _ARRAYS = 4, 4, 2


def reduce_tall_tables(program: Program) -> None:
    """Let such reductions go over rows, in place; after fusion. Loops stay as they are."""
    out: list[Instruction] = []
    for i in program.instructions:
        if isinstance(i, Group) and not i.parts:
            written: set[Buffer] = set()
            for k, n in enumerate(i.nests):
                if _is_tall(n) and not written.intersection(n.reads()):
                    made, i.nests[k] = _by_rows(n, program)
                    out += made
                written.update(n.writes())
        out.append(i)
    program.instructions = out


def _is_tall(n: Nest) -> bool:
    """Whether a nest is a light reduction over rows whose elements are neighbours, and there is much to read."""
    if n.combine is None or n.combine.startswith("arg") or n.out.dynamic is not None or is_contraction(n):
        return False
    axis = n.kinds.find("r")
    if n.kinds.count("r") != 1 or n.extents[axis] < _ROWS or cost(n)[1] < _LARGE or not splits(n, axis):
        return False
    results = prod(results_of(n))
    if results < _FEWEST or results * n.out.buffer.itemsize > _MOST_BYTES:
        return False
    if operations(n.expr) > _LIGHT or len(operands(n.expr)) > _ARRAYS:
        return False
    return all(_runs_through_rows(a, n, axis) for a in n.accesses())


def _runs_through_rows(a: Access, n: Nest, axis: int) -> bool:
    """Whether an access reads, if it moves along the axis, runs of neighbours that are a row of its table."""
    if a.dynamic is not None:
        return False
    inner = [(s, e) for k, (s, e) in enumerate(zip(a.strides, n.extents, strict=True)) if k != axis and e > 1]
    run = any(s == 1 for s, _ in inner)
    return a.strides[axis] == 0 or (run and a.strides[axis] > sum(abs(s) * (e - 1) for s, e in inner))


def _by_rows(n: Nest, program: Program) -> tuple[list[Group], Nest]:
    """Groups that make the partial results of blocks of rows, and the nest that makes the result of those."""
    axis = n.kinds.find("r")
    results = results_of(n)
    count, each = blocks_of(n.extents[axis], [])
    rest = n.extents[axis] - count * each
    places = count + (rest > 0)
    partial = Buffer(1 + max(b.id for b in program.buffers), n.expr.dtype, places * prod(results), "temp")
    program.buffers.append(partial)
    made = [(0, count, each, 0)] + [(count * each, 1, rest, count)] * (rest > 0)
    groups = [
        Group([cleared(n, partial, place, blocks), _together(part(n, axis, start, blocks, rows, partial, place))], 1,
              origin=n.origin, label=n.label)
        for start, blocks, rows, place in made
    ]  # fmt: skip
    return groups, total(n, partial, results, places)


def _together(n: Nest) -> Nest:
    """A part (blocks, rows of a block, results) with a few rows at once."""
    if n.extents[1] % _ROWS:
        return n

    def moved(a: Access) -> Access:
        s = a.strides
        return a._replace(strides=(s[0], s[1] * _ROWS, *s[2:], s[1]))

    memo: dict[int, Expr] = {}
    for x in postorder(n.expr):
        if x.op == "load":
            memo[id(x)] = load(moved(x.attr), x.dtype)
        else:
            memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
    extents = (n.extents[0], n.extents[1] // _ROWS, *n.extents[2:], _ROWS)
    return replace(n, extents=extents, kinds=n.kinds + "r", expr=memo[id(n.expr)], out=moved(n.out))
