"""Inlining: the expression of an elementwise nest moves into the nests that read its result.

With one reader that is free. With several, or one that reads at several places, it is computed more often and saves the
memory traffic of the result: ``cost.duplication_pays`` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tinygraph.lower.cost import duplication_pays, operands, operations
from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, Expr, axis_index, postorder
from tinygraph.program.instructions import Buffer, Instruction, Nest

#: an expression is not let grow beyond this many nodes: registers, and compile time
_EXPRESSION_LIMIT = 200


def inline(
    block: Sequence[Instruction], readers: Mapping[Buffer, int], writers: Mapping[Buffer, int], kept: set[Buffer]
) -> list[Instruction]:
    """The block with producers moved into their readers. ``readers``, ``writers``: how many there are anywhere."""
    last_write = {b: position for position, i in enumerate(block) for b in i.writes()}
    nests_reading: dict[Buffer, list[Nest]] = {}
    for i in block:
        if isinstance(i, Nest):
            for b in set(i.reads()):
                nests_reading.setdefault(b, []).append(i)
    makers: dict[Buffer, Nest] = {}
    joined = _Joined(nests_reading)
    for position, i in enumerate(block):
        if not isinstance(i, Nest):
            continue
        joined.take(i, makers)
        b = i.out.buffer
        if (
            i.combine is None
            and not i.accumulate
            and i.out.dynamic is None
            and not i.out.params
            and b.kind == "temp"
            and b not in kept
            and readers.get(b) == len(nests_reading.get(b, ())) > 0
            and writers.get(b) == 1
            and not any(last_write.get(r, -1) > position for r in i.reads())
        ):
            makers[b] = i
    joined.settle()
    return [joined.expand(i) if isinstance(i, Nest) else i for i in block if i not in joined.moved]


class _Joined:
    """Which producers each nest absorbs, and how the producers' axes lie in the nest's."""

    def __init__(self, nests_reading: Mapping[Buffer, Sequence[Nest]]) -> None:
        self.nests_reading = nests_reading
        self.moved: set[Instruction] = set()
        self.children: dict[Nest, dict[Buffer, tuple[Nest, dict[Access, list[int]]]]] = {}
        self.weight: dict[Nest, int] = {}
        #: scalar operations of each nest, and what it reads, with all that it absorbs
        self.operations: dict[Nest, int] = {}
        self.operands: dict[Nest, set[Buffer]] = {}
        self.absorbed_by: dict[Nest, set[Nest]] = {}

    def take(self, nest: Nest, makers: dict[Buffer, Nest]) -> None:
        """Let ``nest`` absorb those of its producers that it can."""
        weight, work, read_here = nest.expr.weight, operations(nest.expr), operands(nest.expr)
        plain = {x.attr for x in postorder(nest.expr) if x.op == "load"} if weight < 10_000 else set()
        everywhere = [a for a in nest.accesses()]
        for buffer in {a.buffer: None for a in everywhere}:
            producer = makers.get(buffer)
            if producer is None:
                continue
            reads = {a for a in everywhere if a.buffer is buffer}
            total = weight + len(reads) * self.weight[producer]
            if not reads <= plain or total > _EXPRESSION_LIMIT:
                continue
            if is_contraction(nest) and producer.expr.op != "load":
                continue
            maps = {a: axis_map(producer, nest, a) for a in reads}
            if any(m is None for m in maps.values()) or not self._pays(producer, nest, reads):
                continue
            self.children.setdefault(nest, {})[buffer] = (producer, maps)  # type: ignore[assignment]
            self.absorbed_by.setdefault(producer, set()).add(nest)
            weight = total
            work += len(reads) * self.operations[producer]
            read_here |= self.operands[producer]
        self.weight[nest], self.operations[nest], self.operands[nest] = weight, work, read_here

    def _pays(self, producer: Nest, nest: Nest, reads: set[Access]) -> bool:
        """Whether to compute the producer at every place that reads it, rather than once to be stored."""
        buffer = producer.out.buffer
        nests = self.nests_reading[buffer]
        if len(nests) == 1 and len(reads) == 1:
            return True
        places = sum(len({a for a in n.accesses() if a.buffer is buffer}) for n in nests)
        fresh = self.operands[producer] - operands(nest.expr)
        return duplication_pays(self.operations[producer], fresh, buffer.itemsize, places, len(nests))

    def settle(self) -> None:
        """Producers that every reader has taken move; of the others nothing does."""
        for producer, takers in self.absorbed_by.items():
            if takers == set(self.nests_reading[producer.out.buffer]):
                self.moved.add(producer)
            else:
                for nest in takers:
                    del self.children[nest][producer.out.buffer]

    def expand(self, nest: Nest) -> Nest:
        """The nest with all that it absorbed in its expression."""
        children = self.children.get(nest)
        if not children:
            return nest
        n = len(nest.extents)
        e = self._expression(nest, list(range(n)), n)
        labels = [f"{c.label} ({c.role})" if c.label and c.role else c.label for c, _ in children.values()]
        return replace(nest, expr=e, label=" + ".join([*labels, nest.label]), made_of=tuple(self._origins(nest)))

    def _origins(self, nest: Nest) -> list[Nest]:
        """The nest and all that it absorbed, what they absorbed included, each once."""
        found: dict[Nest, None] = {}
        stack = [nest]
        while stack:
            n = stack.pop()
            if n not in found:
                found[n] = None
                stack.extend(producer for producer, _ in self.children.get(n, {}).values())
        return list(found)

    def _expression(self, nest: Nest, axes: list[int], n: int) -> Expr:
        """The nest's expression over the ``n`` axes of another: its axis ``j`` is ``axes[j]`` there (-1: size 1)."""
        children = self.children.get(nest, {})
        moved: dict[Access, Expr] = {}

        def read(a: Access) -> Expr | None:
            if a.buffer not in children:
                return None
            if a not in moved:
                producer, maps = children[a.buffer]
                moved[a] = self._expression(producer, [axes[k] if k >= 0 else -1 for k in maps[a]], n)
            return moved[a]

        return remap(nest.expr, axes, n, read)


def axis_map(producer: Nest, consumer: Nest, read: Access) -> list[int] | None:
    """For each axis of the producer the consumer's axis that walks the same elements; None if there is none.

    The two must visit the same number of points, unless the producer's value is the same at all of its own.
    """
    w = producer.out
    if producer.expr.op == "const" and read.dynamic is None:
        return [-1] * len(producer.extents)
    if read.dynamic is not None or read.params != w.params or read.offset != w.offset:
        return None
    if producer.points != consumer.points:
        return None
    free = {k: s for k, (s, e) in enumerate(zip(read.strides, consumer.extents, strict=True)) if s != 0 and e != 1}
    out: list[int] = []
    for s, e in zip(w.strides, producer.extents, strict=True):
        if e == 1:
            out.append(-1)
            continue
        match = next((k for k, t in free.items() if t == s and consumer.extents[k] == e), None)
        if match is None:
            return None
        del free[match]
        out.append(match)
    return None if free else out


def remap(e: Expr, axes: Sequence[int], n: int, read: Callable[[Access], Expr | None] | None = None) -> Expr:
    """``e`` over other axes: axis ``j`` becomes ``axes[j]`` of ``n`` (-1: an axis of size 1, always 0).

    ``read(access)`` may give an expression (over the new axes) to stand for a load.
    """
    identity = len(axes) == n and all(j == k for j, k in enumerate(axes))

    def access(a: Access) -> Access:
        strides = [0] * n
        for j, s in enumerate(a.strides):
            if axes[j] >= 0:
                strides[axes[j]] += s
        dynamic = None if a.dynamic is None else remap(a.dynamic, axes, n)
        return Access(a.buffer, a.offset, tuple(strides), a.params, dynamic)

    memo: dict[int, Expr] = {}
    for x in postorder(e):
        if x.op == "load":
            new = read(x.attr) if read is not None else None
            memo[id(x)] = new if new is not None else x if identity else Expr("load", (), x.dtype, access(x.attr))
        elif x.op == "axis":
            k = axes[x.attr]
            memo[id(x)] = axis_index(k) if k >= 0 else Expr("const", (), "int64", 0)
        else:
            args = tuple([memo[id(a)] for a in x.args])
            same = all([p is q for p, q in zip(args, x.args, strict=True)])
            memo[id(x)] = x if same else Expr(x.op, args, x.dtype, x.attr)
    return memo[id(e)]
