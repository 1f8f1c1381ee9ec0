"""Fusion: fewer passes over memory.

What is overwritten unread goes (``overwritten.py``), and what repeats earlier work (``repeats.py``). Expressions of
elementwise nests move into the nests that read them (``inline.py``). Then ``group`` lets nests that walk the same outer
loops walk them together, so that what passes
between them need not leave the cache (or the registers). All leave results as they are, rounding included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx

from tinygraph.lower.cost import bytes_moved, operations
from tinygraph.lower.in_place import write_in_place
from tinygraph.lower.inline import inline
from tinygraph.lower.order import arrange, gather_results, runs_python
from tinygraph.lower.overwritten import without_overwritten
from tinygraph.lower.repeats import without_repeats
from tinygraph.lower.timed import timed
from tinygraph.program.contraction import is_product
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest, Program

#: nests in one group
_GROUP_LIMIT = 48
#: scalar operations at one point of a group: more save no time, and compilers allocate registers in time that grows
#: with the square of a block of code
_GROUP_WORK = 4000


@timed("fuse")
def fuse(
    program: Program,
    may_group: Callable[[Nest, Nest], bool] | None = None,
    in_place: bool = True,
    gather: bool = False,
) -> None:
    """Fuse ``program.instructions`` in place, and put them into the order in which they run.

    ``may_group(a, b)``: whether the target wants ``b`` run with ``a``; ``in_place``: whether its kernels may write over
    what they read at the same point; ``gather``: whether it runs groups with ``parts``.
    """
    kept = {r.buffer for r in (*program.outputs, *program.updates)}
    if program.profile is not None:
        program.unfused_bytes = bytes_moved(program)
    program.instructions = without_overwritten(program.instructions)
    program.instructions = without_repeats(program.instructions, _Uses(program.instructions).writers, kept)
    program.instructions = _fuse_block(program.instructions, _Uses(program.instructions), kept, may_group)
    if in_place:
        write_in_place(program)
    arrange(program)
    if gather:
        gather_results(program)


def _fuse_block(block: list[Instruction], uses: _Uses, kept: set[Buffer], may_group: Any) -> list[Instruction]:
    for i in block:
        if isinstance(i, Loop):
            i.body = _fuse_block(i.body, uses, kept, may_group)
        elif isinstance(i, Branch):
            i.then = _fuse_block(i.then, uses, kept, may_group)
            i.otherwise = _fuse_block(i.otherwise, uses, kept, may_group)
    used = _used(block, uses, kept)
    inlined = inline(used, uses.readers, uses.writers, kept)
    uses.replace(used, inlined)  # what a nest that moved into several reads has as many readers now
    return group(inlined, uses, kept, may_group)


def _used(block: Sequence[Instruction], uses: _Uses, kept: set[Buffer]) -> list[Instruction]:
    """The block without nests whose results nobody reads: say, positions of maxima that only a gradient needs."""
    out: list[Instruction] = []
    for i in reversed(block):
        b = i.out.buffer if isinstance(i, Nest) else None
        if b is not None and b.kind == "temp" and b not in kept and not uses.readers.get(b):
            uses.writers[b] -= 1
            for read in set(i.reads()):
                uses.readers[read] -= 1
        else:
            out.append(i)
    return out[::-1]


class _Uses:
    """Who reads and writes each buffer, nested blocks included."""

    def __init__(self, instructions: Sequence[Instruction]):
        self.readers: dict[Buffer, int] = {}
        self.writers: dict[Buffer, int] = {}
        self._count(instructions)

    def replace(self, before: Sequence[Instruction], after: Sequence[Instruction]) -> None:
        """Nests of ``before`` gave way to those of ``after``."""
        old, new = ({id(i): i for i in block if isinstance(i, Nest)} for block in (before, after))
        for nests, step in ((old.keys() - new.keys(), -1), (new.keys() - old.keys(), 1)):
            for i in (old[k] if step < 0 else new[k] for k in nests):
                for b in set(i.reads()):
                    self.readers[b] = self.readers.get(b, 0) + step
                for b in set(i.writes()):
                    self.writers[b] = self.writers.get(b, 0) + step

    def _count(self, instructions: Sequence[Instruction]) -> None:
        for i in instructions:
            if isinstance(i, Loop):
                self._count(i.body)
                for r in (i.until, i.steps_taken, i.limit):
                    if r is not None:
                        self.readers[r.buffer] = self.readers.get(r.buffer, 0) + 2
            elif isinstance(i, Branch):
                self.readers[i.condition.buffer] = self.readers.get(i.condition.buffer, 0) + 1
                self._count(i.then)
                self._count(i.otherwise)
            else:
                for b in set(i.reads()):
                    self.readers[b] = self.readers.get(b, 0) + 1
                for b in set(i.writes()):
                    self.writers[b] = self.writers.get(b, 0) + 1


# -- grouping -----------------------------------------------------------------------------------------------------


class _Item:
    """A group being formed, or any other instruction."""

    __slots__ = ("deps", "instruction", "nests", "outer", "users", "work")

    def __init__(self, instruction: Instruction | None, nest: Nest | None):
        self.instruction = instruction
        self.nests = [] if nest is None else [nest]
        self.outer = 0 if nest is None else _parallel_depth(nest)
        self.work = 0 if nest is None else operations(nest.expr)
        self.deps: set[_Item] = set()
        self.users: set[_Item] = set()


def _parallel_depth(n: Nest) -> int:
    return len(n.kinds) - len(n.kinds.lstrip("p"))


def group(block: Sequence[Instruction], uses: _Uses, kept: set[Buffer], may_group: Any) -> list[Instruction]:
    """Nests that share their outer loops, gathered; a group never encloses a path that leaves it and comes back."""
    order: list[_Item | None] = []
    position: dict[_Item, int] = {}
    last_write: dict[Buffer, _Item] = {}
    readers: dict[Buffer, list[_Item]] = {}
    in_order = True  # so far no item needs one that stands after it
    python: _Item | None = None  # the last that Python runs: these keep their order
    for i in block:
        nest = i if isinstance(i, Nest) else None
        reads, writes = set(i.reads()), set(i.writes())
        deps = {last_write[b] for b in reads | writes if b in last_write}
        deps |= {r for b in writes for r in readers.get(b, ())}
        if runs_python(i) and python is not None:
            deps.add(python)
        item = None
        if nest is not None and may_group is not None:
            item = _join(nest, deps, position, in_order, may_group)
        if item is None:
            item = _Item(None if nest is not None else i, nest)
            position[item] = len(order)
            order.append(item)
        if runs_python(i):
            python = item
        for d in deps:
            if d is not item:
                item.deps.add(d)
                d.users.add(item)
                in_order = in_order and position[d] < position[item]
        for b in reads:
            readers.setdefault(b, []).append(item)
        for b in writes:
            last_write[b] = item
            readers[b] = [item] if b in reads else []
        if len(item.nests) > 1:
            earlier = sorted((d for d in deps if d.nests and d is not item), key=position.__getitem__)
            other = next((d for d in earlier if _may_absorb(d, item, may_group)), None)
            if other is not None:
                _absorb(other, item, last_write, readers)
                order[position.pop(item)] = None
                in_order = in_order and all(position[d] < position[other] for d in other.deps)
                in_order = in_order and all(position[other] < position[u] for u in other.users)
    return _emit([item for item in order if item is not None], position, uses, kept)


def _may_absorb(first: _Item, second: _Item, may_group: Any) -> bool:
    """Whether ``second``, which needs ``first``, may go into it: no path from one to the other leads elsewhere."""
    depth = first.outer
    if depth != second.outer or first.nests[0].extents[:depth] != second.nests[0].extents[:depth]:
        return False
    if len(first.nests) + len(second.nests) > _GROUP_LIMIT or first.work + second.work > _GROUP_WORK:
        return False
    if any(is_product(n) for n in first.nests):
        return False
    if not _can_sink(first, [d for d in second.deps if d is not first]) or not _can_sink(second, [*first.deps]):
        return False
    if not all(may_group(a, b) for a in first.nests for b in second.nests):
        return False
    return all(shared_depth(first, n) == depth for n in second.nests)


def _absorb(
    first: _Item, second: _Item, last_write: dict[Buffer, _Item], readers: dict[Buffer, list[_Item]]
) -> None:
    """Append the nests of ``second`` to ``first``, which takes its place everywhere."""
    for n in second.nests:
        for b in n.writes():
            if last_write[b] is second:
                last_write[b] = first
        for b in {*n.reads(), *n.writes()}:
            readers[b] = [first if r is second else r for r in readers.get(b, ())]
    first.nests += second.nests
    first.work += second.work
    for d in second.deps - {first}:
        d.users.discard(second)
        d.users.add(first)
        first.deps.add(d)
    for u in second.users:
        u.deps.discard(second)
        u.deps.add(first)
    first.users = (first.users | second.users) - {first, second}
    first.deps -= {first, second}


def _join(
    nest: Nest, deps: set[_Item], position: dict[_Item, int], in_order: bool, may_group: Any
) -> _Item | None:
    """The group that ``nest`` may join: that of its latest producer, if the two share outer loops."""
    candidates = sorted((d for d in deps if d.nests), key=lambda d: -position[d])
    work = operations(nest.expr)
    for g in candidates:
        if len(g.nests) >= _GROUP_LIMIT or g.work + work > _GROUP_WORK:
            continue
        others = [d for d in deps if d is not g]
        after = not in_order or any(position[d] > position[g] for d in others)
        if after and not _can_sink(g, others):
            continue
        depth = shared_depth(g, nest)
        if depth == 0 or not all(may_group(n, nest) for n in g.nests):
            continue
        g.nests.append(nest)
        g.outer, g.work = depth, g.work + work
        return g
    return None


def _can_sink(g: _Item, others: Sequence[_Item]) -> bool:
    """Whether none of ``others`` needs ``g``'s results: then they can all run before it."""
    seen: set[_Item] = set()
    stack = list(others)
    while stack:
        x = stack.pop()
        if x is g:
            return False
        if x not in seen:
            seen.add(x)
            if len(seen) > 64:
                return False
            stack.extend(x.deps)
    return True


def shared_depth(g: _Item, nest: Nest) -> int:
    """How many outer loops ``nest`` can share with the group; 0 if none."""
    depth = min(g.outer, _parallel_depth(nest))
    for other in g.nests:
        same = 0
        while same < depth and other.extents[same] == nest.extents[same]:
            same += 1
        depth = same
        for a, b in _touching(other, nest):
            depth = min(depth, aligned_depth(a, other, b, nest, depth))
        if depth == 0:
            return 0
    return depth


def _touching(first: Nest, second: Nest) -> list[tuple[Access, Access]]:
    """Pairs of accesses to one buffer of which at least one writes."""
    pairs = []
    reads = second.accesses()
    for a in [*reads, second.out]:
        if a.buffer is first.out.buffer:
            pairs.append((first.out, a))
    for a in first.accesses():
        if a.buffer is second.out.buffer:
            pairs.append((a, second.out))
    return pairs


def aligned_depth(a: Access, na: Nest, b: Access, nb: Nest, depth: int) -> int:
    """Outer loops along which both accesses stay within the same, disjoint part of their buffer."""
    if a.dynamic is not None or b.dynamic is not None or a.params != b.params:
        return 0
    d = 0
    while d < depth and (a.strides[d] == b.strides[d]) and (a.strides[d] > 0 or na.extents[d] == 1):
        d += 1
    while d > 0:
        steps = [s for s, e in zip(a.strides[:d], na.extents[:d], strict=True) if e != 1]
        room = min(steps) if steps else None
        low_a, high_a = _inner_range(a, na, d)
        low_b, high_b = _inner_range(b, nb, d)
        span = max(high_a, high_b) - min(low_a, low_b)
        if room is None or span < room:
            if _nested(a.strides[:d], na.extents[:d]):
                return d
        d -= 1
    return 0


def _inner_range(a: Access, n: Nest, d: int) -> tuple[int, int]:
    low = high = a.offset
    for s, e in zip(a.strides[d:], n.extents[d:], strict=True):
        reach = s * (e - 1)
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high


def _nested(strides: Sequence[int], extents: Sequence[int]) -> bool:
    """Whether no two points of these loops reach the same element: each stride passes over all inner loops."""
    reach = 0
    live = sorted((s, e) for s, e in zip(strides, extents, strict=True) if e != 1)
    for s, e in live:
        if s <= reach:
            return False
        reach += s * (e - 1)
    return True


def _emit(order: list[_Item], position: dict[_Item, int], uses: _Uses, kept: set[Buffer]) -> list[Instruction]:
    """The items as instructions, in an order in which all dependencies run first."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(order)
    in_order = True
    for item in order:
        for d in item.deps:
            graph.add_edge(d, item)
            in_order = in_order and position[d] < position[item]
    if not in_order:
        order = list(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
    out: list[Instruction] = []
    for item in order:
        if not item.nests:
            out.append(item.instruction)  # type: ignore[arg-type]
        else:
            out.append(_as_group(item, uses, kept))
    return out


def _as_group(item: _Item, uses: _Uses, kept: set[Buffer]) -> Group:
    inside_reads: dict[Buffer, int] = {}
    for n in item.nests:
        for b in set(n.reads()):
            inside_reads[b] = inside_reads.get(b, 0) + 1
    inside_writes: dict[Buffer, int] = {}
    for n in item.nests:
        inside_writes[n.out.buffer] = inside_writes.get(n.out.buffer, 0) + 1
    private = set()
    if len(item.nests) > 1:
        for n in item.nests:
            b = n.out.buffer
            inside = uses.readers.get(b, 0) <= inside_reads.get(b, 0) and uses.writers.get(b, 0) <= inside_writes[b]
            if b.kind == "temp" and b not in kept and inside:
                private.add(b)
    most = max(reversed(item.nests), key=lambda n: n.points * n.expr.weight)  # what its time is spent on names it
    return Group(item.nests, item.outer, private, origin=most.origin, label=most.label)
