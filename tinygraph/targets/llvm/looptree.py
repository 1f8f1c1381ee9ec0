"""How the nests of a group share loops: a tree of loops with statements at its leaves.

Nests that walk the same range next share that loop if each reads only what the same iteration (or an earlier loop)
has produced. Then one axis on each path becomes the vector axis: the innermost along which memory is contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinygraph.lower.cost import operations
from tinygraph.lower.fuse import aligned_depth
from tinygraph.program.contraction import is_product
from tinygraph.program.expr import Access, postorder
from tinygraph.program.instructions import Buffer, Nest

#: quality of an axis as the vector axis
GOOD, GATHERS, IMPOSSIBLE = 2, 1, 0
#: iterations of a loop that is printed without one, and copies of a statement that such loops make in all
UNROLL, _COPIES = 4, 64
#: scalar operations of an expression that leaves registers to spare
_LIGHT = 12


@dataclass(eq=False)
class Leaf:
    """Statements of nests that have no further axes."""

    nests: list[Nest]


@dataclass(eq=False)
class Loop:
    """One loop at ``depth``, shared by ``nests``."""

    depth: int
    nests: list[Nest]
    children: list[Loop | Leaf] = field(default_factory=list)
    vector: bool = False

    @property
    def extent(self) -> int:
        return self.nests[0].extents[self.depth]


def unrolled(node: Loop) -> bool:
    """Whether a loop is printed without one: it is short, and with the short ones inside it makes few copies.

    Six nested loops of four would be four thousand copies, which take LLVM minutes.
    """
    return node.extent <= UNROLL and node.extent * _copies(node.children) <= _COPIES


def _copies(nodes: Sequence[Loop | Leaf]) -> int:
    """How often the statement is printed that is printed most."""
    most = 1
    for node in nodes:
        if isinstance(node, Loop):
            inner = _copies(node.children)
            most = max(most, inner * (node.extent if not node.vector and unrolled(node) else 1))
    return most


def build(nests: Sequence[Nest], outer: int = 0, depth: int = 0) -> list[Loop | Leaf]:
    """The loops (and statements) of ``nests`` from ``depth`` on, in order; all share the first ``outer`` loops."""
    out: list[Loop | Leaf] = []
    for nest in nests:
        last = out[-1] if out else None
        if len(nest.extents) == depth:
            if isinstance(last, Leaf):
                last.nests.append(nest)
            else:
                out.append(Leaf([nest]))
        elif isinstance(last, Loop) and (depth < outer or all(_may_share(x, nest, depth) for x in last.nests)):
            last.nests.append(nest)
        else:
            out.append(Loop(depth, [nest]))
    for node in out:
        if isinstance(node, Loop):
            node.children = build(node.nests, outer, depth + 1)
    return out


def _may_share(first: Nest, second: Nest, depth: int) -> bool:
    if first.extents[depth] != second.extents[depth] or is_product(first) or is_product(second):
        return False  # products have schedules of their own
    for a, b, produced in _conflicts(first, second):
        if produced and first.kinds[depth] == "r":
            return False  # the result is complete only after the loop
        if aligned_depth(a, first, b, second, depth + 1) <= depth:
            return False
    return True


def _conflicts(first: Nest, second: Nest) -> list[tuple[Access, Access, bool]]:
    pairs = [(first.out, a, True) for a in second.accesses() if a.buffer is first.out.buffer]
    if second.out.buffer is first.out.buffer:
        pairs.append((first.out, second.out, True))
    pairs += [(a, second.out, False) for a in first.accesses() if a.buffer is second.out.buffer]
    return pairs


def choose_vector_axes(nodes: Sequence[Loop | Leaf], lanes: int, apart: set[Nest]) -> None:
    """Mark on each path at most one loop as the vector axis, none of the nests ``apart``."""
    for node in nodes:
        if isinstance(node, Loop):
            if any(n in apart for n in node.nests):
                if len(node.nests) > 1:
                    choose_vector_axes(node.children, lanes, apart)
            else:
                _choose(node, lanes)


def _choose(node: Loop, lanes: int) -> None:
    here = quality(node, lanes)
    loops = [c for c in node.children if isinstance(c, Loop)]
    deeper = min((_best(c, lanes) for c in loops), default=IMPOSSIBLE)
    if here > deeper or (here == deeper == GOOD and _short(loops, node, lanes)):
        node.vector = here > IMPOSSIBLE
        if node.vector:
            return
    for c in loops:
        _choose(c, lanes)


def _short(loops: Sequence[Loop], node: Loop, lanes: int) -> bool:
    """Whether the inner loops are too short for full vectors while this one is not."""
    return all(c.extent < lanes for c in loops) and node.extent >= lanes


def _best(node: Loop, lanes: int) -> int:
    inner = [_best(c, lanes) for c in node.children if isinstance(c, Loop)]
    return max(quality(node, lanes), min(inner, default=IMPOSSIBLE))


def quality(node: Loop, lanes: int) -> int:
    """How well the loop's axis serves as vector axis for all nests in it."""
    d = node.depth
    worst = GOOD
    for nest in node.nests:
        if nest.out.dynamic is not None and (nest.kinds[d] == "r" or _moves(nest.out, d)):
            return IMPOSSIBLE
        step = nest.out.strides[d]
        if nest.kinds[d] == "p" and step != 1:
            return IMPOSSIBLE
        if nest.accumulate and nest.combine is None and step != 1:
            return IMPOSSIBLE
        for a in nest.accesses():
            if a.strides[d] not in (0, 1, 2) or (a.dynamic is not None and _moves(a, d)):
                worst = GATHERS
    return GATHERS if worst == GOOD and node.extent < max(lanes // 4, 2) else worst


def _moves(a: Access, axis: int) -> bool:
    return a.dynamic is not None and axis in moving_axes(a.dynamic)


def moving_axes(e: object) -> set[int]:
    """The axes that an expression's value changes along."""
    found: set[int] = set()
    for x in postorder(e):  # type: ignore[arg-type]
        if x.op == "axis":
            found.add(x.attr)
        elif x.op == "load":
            found |= {k for k, s in enumerate(x.attr.strides) if s}
            if x.attr.dynamic is not None:
                found |= moving_axes(x.attr.dynamic)
    return found


def unstored(nodes: Sequence[Loop | Leaf], private: set[Buffer]) -> set[Buffer]:
    """Private buffers whose every reader stands in the writer's leaf and reads just what was written."""
    leaves: list[Leaf] = []
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            leaves.append(node)
        else:
            stack.extend(node.children)
    home = {n: leaf for leaf in leaves for n in leaf.nests}
    out = set()
    for buffer in private:
        writers = [n for n in home if n.out.buffer is buffer]
        if len(writers) != 1 or writers[0].combine is not None or writers[0].accumulate:
            continue
        w = writers[0]
        readers = [(n, a) for n in home for a in n.accesses() if a.buffer is buffer]
        if all(home[n] is home[w] and a == w.out for n, a in readers):
            out.add(buffer)
    return out


def has_vector_above(nodes: Sequence[Loop | Leaf], depth: int) -> bool:
    """Whether one of the loops before ``depth`` is the vector axis."""
    return any(
        isinstance(n, Loop) and n.depth < depth and (n.vector or has_vector_above(n.children, depth)) for n in nodes
    )


def shared_by(nodes: Sequence[Loop | Leaf], nests: set[Nest]) -> int:
    """How many loops around the nests are common to all of them, down to one that is a vector axis."""
    for node in nodes:
        if isinstance(node, Loop) and not node.vector and nests <= set(node.nests):
            return 1 + shared_by(node.children, nests)
    return 0


def columns(nodes: Sequence[Loop | Leaf], lanes: int, registers: int) -> int:
    """How many registers a vector should span: more than 1 where reductions run down columns of memory.

    A column of one register touches a line of each row and no more; wider ones read rows in runs.
    """
    loops = [x for node in nodes for x in _vector_loops(node)]
    reductions = [n for x in loops for n in x.nests if "r" in n.kinds[x.depth :]]
    if not reductions or any(x.nests[0].kinds[x.depth] == "r" for x in loops):
        return 1
    for nest in (n for x in loops for n in x.nests):
        plain = all(a.dynamic is None for a in (*nest.accesses(), nest.out))
        if not plain or operations(nest.expr) > _LIGHT:
            return 1
    held = len(reductions) + max(len(n.accesses()) for n in reductions)
    wide = 1
    while 2 * wide * held <= registers and all(8 * wide * lanes <= x.extent for x in loops):
        wide *= 2
    return wide


def _vector_loops(node: Loop | Leaf) -> list[Loop]:
    if isinstance(node, Leaf):
        return []
    return [node] if node.vector else [x for c in node.children for x in _vector_loops(c)]
