"""Elements picked by index from a computed array, and arrays that are zero but for picked elements.

Cross-entropy picks one log-probability from each row, and its gradient adds to one element of each row of zeros.
Neither array need be in memory, which is what a softmax over a large vocabulary costs most::

    t[i, j] = f(x[i, j])                          ->
    s = add over i of t[i, label[i]]                   s = add over i of f(x[i, label[i]])

    z[i, j] = 0                                   ->
    z[i, label[i]] += v[i]                             z[i, j] = v[i] if j == label[i] else 0

The second form is elementwise, so that fusion takes it into its readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinygraph.lower.inline import axis_map, remap
from tinygraph.program.expr import Access, Expr, axis_index, binary, const, load, postorder, select
from tinygraph.program.instructions import Branch, Buffer, Instruction, Loop, Nest, Program, c_strides

#: an array is not computed where so small a share of it, or less, is picked
_SHARE = 4

Place = int | Expr


def resolve(program: Program) -> None:
    """Rewrite ``program.instructions`` (not those in loops)."""
    kept = {r.buffer for r in (*program.outputs, *program.updates)}
    program.instructions = _Block(program.instructions, kept).with_codes()
    program.instructions = _Block(program.instructions, kept).with_picks()


@dataclass
class _Uses:
    readers: list[Instruction]
    writers: list[Instruction]


class _Block:
    """Instructions with the uses of each buffer."""

    def __init__(self, block: Sequence[Instruction], kept: set[Buffer]):
        self.block = list(block)
        self.kept = kept
        self.uses: dict[Buffer, _Uses] = {}
        self.order = {i: position for position, i in enumerate(block)}
        for i in block:
            self._note(i, i)

    def _note(self, i: Instruction, outer: Instruction) -> None:
        if isinstance(i, Loop):
            for r in (i.until, i.limit, i.steps_taken):
                if r is not None:
                    self._of(r.buffer).readers.append(outer)
        if isinstance(i, Branch):
            self._of(i.condition.buffer).readers.append(outer)
        inner = i.body if isinstance(i, Loop) else [*i.then, *i.otherwise] if isinstance(i, Branch) else ()
        for x in inner:
            self._note(x, outer)
        for b in set(i.reads()):
            self._of(b).readers.append(outer)
        for b in set(i.writes()):
            self._of(b).writers.append(outer)

    def _of(self, b: Buffer) -> _Uses:
        return self.uses.setdefault(b, _Uses([], []))

    def maker(self, b: Buffer) -> Nest | None:
        """The elementwise nest that alone writes all of the temporary ``b``, from values that stay as they are."""
        uses = self._of(b)
        if len(uses.writers) != 1 or b.kind != "temp" or b in self.kept:
            return None
        (i,) = uses.writers
        if not isinstance(i, Nest) or not _whole(i):
            return None
        begin = self.order[i]
        stays = all(self.order[w] < begin for r in i.reads() for w in self._of(r).writers)
        return i if stays else None

    # -- zeros but for picked elements --------------------------------------------------------------------------------

    def with_codes(self) -> list[Instruction]:
        """The block with scatters into zeros as comparisons."""
        moved: dict[Instruction, Nest | None] = {}
        for i in self.block:
            if isinstance(i, Nest) and i.out.dynamic is not None:
                zeros = self._zeros(i)
                found = None if zeros is None else self._code(zeros, i)
                if zeros is not None and found is not None:
                    moved[zeros], moved[i] = None, found.nest
                    moved.update(self._totals(found, i))
        return [x for i in self.block if (x := moved.get(i, i)) is not None]

    def _zeros(self, scatter: Nest) -> Nest | None:
        """The nest that fills with zeros what ``scatter`` then writes to, if nothing else touches that before."""
        b = scatter.out.buffer
        uses = self._of(b)
        if len(uses.writers) != 2 or uses.writers[1] is not scatter or b.kind != "temp" or b in self.kept:
            return None
        zeros = uses.writers[0]
        begin = self.order[scatter]
        early = any(self.order[r] < begin for r in uses.readers)
        fills = isinstance(zeros, Nest) and _whole(zeros) and zeros.expr.op == "const" and not zeros.expr.attr
        return zeros if fills and not early else None  # type: ignore[return-value]

    def _totals(self, code: _Code, scatter: Nest) -> dict[Instruction, Nest | None]:
        """Sums along the rows of a code, which are its elements. One reader is left, to check the indices."""
        readers = [r for r in self._of(scatter.out.buffer).readers if r is not scatter]
        found: dict[Instruction, Nest | None] = {}
        for r in readers:
            total = code.total(r) if isinstance(r, Nest) else None
            if total is not None:
                found[r] = total
        return found if len(found) < len(readers) else {}

    def _code(self, zeros: Nest, scatter: Nest) -> _Code | None:
        """The two as one elementwise nest, where every row of zeros gets one element."""
        if "r" in scatter.kinds or scatter.combine not in (None, "add"):
            return None
        places = self._places(scatter, zeros, scatter.out)
        if places is None:
            return None
        picked = [k for k, x in enumerate(places) if isinstance(x, Expr)]
        back = {x: k for k, x in enumerate(places) if isinstance(x, int) and x >= 0}
        live = [j for j, e in enumerate(scatter.extents) if e != 1]
        whole = all(scatter.extents[j] == zeros.extents[k] for j, k in back.items())
        if len(picked) != 1 or set(live) != set(back) or not whole:
            return None
        (k,) = picked
        n, axes = len(zeros.extents), [back.get(j, -1) for j in range(len(scatter.extents))]
        added = self._constant(scatter.expr)
        where, value = remap(places[k], axes, n), remap(added, axes, n)  # type: ignore[arg-type]
        if any(x.op == "load" and x.attr.dynamic is not None for x in postorder(value)):
            return None
        chosen = select(binary("eq", axis_index(k), where), value, const(0, zeros.dtype))
        nest = replace(scatter, extents=zeros.extents, kinds=zeros.kinds, expr=chosen, out=zeros.out, combine=None,
                       accumulate=False)  # fmt: skip
        return _Code(nest, k, axes, added)

    def _constant(self, e: Expr) -> Expr:
        """The number that a load always finds, or the expression itself."""
        if e.op != "load" or e.attr.dynamic is not None:
            return e
        made, known = self.maker(e.attr.buffer), _known(e.attr.buffer)
        if known is not None and known.size and (known == known[0]).all():
            return const(known[0], e.dtype)
        return made.expr if made is not None and made.expr.op == "const" else e

    # -- picked elements ----------------------------------------------------------------------------------------------

    def with_picks(self) -> list[Instruction]:
        """The block with what is picked from computed arrays computed at that place alone."""
        for b in list(self.uses):
            made = self.maker(b)
            readers = self._of(b).readers
            if made is None or not readers or not all(isinstance(r, Nest) for r in readers):
                continue
            nests: list[Nest] = [r for r in readers if isinstance(r, Nest)]
            if sum(r.points for r in nests) * _SHARE > made.points:
                continue
            new = [self._picked(r, made) for r in nests]
            if any(x is None for x in new):
                continue
            for old, nest in zip(nests, new, strict=True):
                assert nest is not None
                self.block[self.order[old]] = nest
            self.block[self.order[made]] = None  # type: ignore[call-overload]
            return _Block([i for i in self.block if i is not None], self.kept).with_picks()
        return self.block

    def _picked(self, reader: Nest, made: Nest) -> Nest | None:
        """``reader`` with the expression of ``made`` in place of each element that it picks."""
        b = made.out.buffer
        direct = {x.attr for x in postorder(reader.expr) if x.op == "load" and x.attr.buffer is b}
        n = len(reader.extents)
        if {a for a in reader.accesses() if a.buffer is b} != direct:
            return None  # picks an index, too
        there: dict[Access, Expr] = {}
        for a in direct:
            places = self._places(reader, made, a)
            value = None if places is None else _at(made.expr, places, n)
            if value is None:
                return None
            there[a] = value
        return replace(reader, expr=remap(reader.expr, list(range(n)), n, there.get))

    def _places(self, nest: Nest, made: Nest, a: Access) -> list[Place] | None:
        """For each axis of ``made`` the axis of ``nest`` that runs along it in ``a``, or the index; -1 for size 1."""
        terms = _terms(a.dynamic)
        if terms is None or a.offset or a.params:
            return None
        places: list[Place] = []
        free = {s: j for j, s in enumerate(a.strides) if s and nest.extents[j] != 1}
        given = {s: e for e, s in terms}
        if len(free) + len(given) != sum(1 for j, s in enumerate(a.strides) if s and nest.extents[j] != 1) + len(terms):
            return None
        for stride, e in zip(c_strides(made.extents), made.extents, strict=True):
            if e == 1:
                places.append(-1)
            elif stride in given and stride not in free:
                index = given.pop(stride)
                axis = self._counted(index)
                places.append(index if axis is None or int(index.attr) != e else axis)
            elif stride in free and nest.extents[free[stride]] <= e:
                places.append(free.pop(stride))
            else:
                return None
        return None if free or given else places

    def _counted(self, index: Expr) -> int | None:
        """The axis that an index always equals: one read from 0, 1, 2 ..."""
        (x,) = index.args
        while x.op == "cast":
            (x,) = x.args
        if x.op != "load" or x.attr.dynamic is not None or x.attr.offset or x.attr.params:
            return None
        b = x.attr.buffer
        along = [j for j, s in enumerate(x.attr.strides) if s]
        if len(along) != 1 or x.attr.strides[along[0]] != 1 or b.size > int(index.attr):
            return None
        made, known = self.maker(b), _known(b)
        if known is not None:
            return along[0] if np.array_equal(known, np.arange(b.size)) else None
        return along[0] if made is not None and _counts(made.expr) else None


@dataclass
class _Code:
    """An elementwise nest that is zero but for ``value`` at one place along ``axis``.

    ``axes``: where the axes of its scatter, which are also those of ``value``, are in the nest.
    """

    nest: Nest
    axis: int
    axes: list[int]
    value: Expr

    def total(self, reader: Nest) -> Nest | None:
        """``reader`` as elementwise work, if it is the sum along ``axis``."""
        e = reader.expr
        if reader.combine != "add" or reader.accumulate or e.op != "load" or e.dtype != reader.dtype:
            return None
        there = axis_map(self.nest, reader, e.attr) if e.attr.buffer is self.nest.out.buffer else None
        summed = [j for j, (n, c) in enumerate(zip(reader.extents, reader.kinds, strict=True)) if c == "r" and n != 1]
        if there is None or summed != [there[self.axis]]:
            return None
        kept = [j for j, c in enumerate(reader.kinds) if c == "p"]
        axes = [kept.index(there[k]) if k >= 0 and there[k] in kept else -1 for k in self.axes]
        out = reader.out._replace(strides=tuple(reader.out.strides[j] for j in kept))
        return replace(reader, extents=tuple(reader.extents[j] for j in kept), kinds="p" * len(kept),
                       expr=remap(self.value, axes, len(kept)), out=out, combine=None)  # fmt: skip


def _known(b: Buffer) -> np.ndarray | None:
    """The elements of a constant."""
    return np.ravel(b.data) if b.kind == "const" and b.data is not None else None


def _whole(nest: Nest) -> bool:
    """Whether an elementwise nest writes every element of its buffer, in order."""
    out, e = nest.out, nest.extents
    plain = nest.combine is None and not nest.accumulate and out.dynamic is None and not out.params and not out.offset
    same = all(n == 1 or s == t for n, s, t in zip(e, out.strides, c_strides(e), strict=True))
    return plain and same and nest.points == out.buffer.size > 0


def _counts(e: Expr) -> bool:
    """Whether an expression over one axis is its number."""
    while e.op in ("cast", "add", "mul"):
        if e.op == "cast":
            (e,) = e.args
            continue
        neutral = 0 if e.op == "add" else 1
        rest = [a for a in e.args if not (a.op == "const" and a.attr == neutral)]
        if len(rest) != 1:
            return False
        (e,) = rest
    return e.op == "axis" and e.attr == 0


def _terms(e: Expr | None) -> list[tuple[Expr, int]] | None:
    """A dynamic address as indices with their strides."""
    if e is None:
        return None
    if e.op == "index":
        return [(e, 1)]
    if e.op == "mul" and e.args[0].op == "index" and e.args[1].op == "const":
        return [(e.args[0], int(e.args[1].attr))]
    if e.op == "add":
        a, b = _terms(e.args[0]), _terms(e.args[1])
        return None if a is None or b is None else a + b
    return None


def _at(e: Expr, places: Sequence[Place], n: int) -> Expr | None:
    """``e`` at the given places of its axes, over the ``n`` axes of another nest."""
    memo: dict[int, Expr] = {}
    for x in postorder(e):
        if x.op == "load":
            if x.attr.dynamic is not None:
                return None
            memo[id(x)] = load(_moved(x.attr, places, n), x.dtype)
        elif x.op == "axis":
            at = places[x.attr]
            memo[id(x)] = at if isinstance(at, Expr) else axis_index(at) if at >= 0 else const(0, "int64")
        else:
            memo[id(x)] = Expr(x.op, tuple([memo[id(a)] for a in x.args]), x.dtype, x.attr)
    return memo[id(e)]


def _moved(a: Access, places: Sequence[Place], n: int) -> Access:
    strides, dynamic = [0] * n, None
    for s, at in zip(a.strides, places, strict=True):
        if isinstance(at, int):
            if at >= 0:
                strides[at] += s
        elif s:
            term = at if s == 1 else binary("mul", at, const(s, "int64"))
            dynamic = term if dynamic is None else binary("add", dynamic, term)
    return a._replace(strides=tuple(strides), dynamic=dynamic)
