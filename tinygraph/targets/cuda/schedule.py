"""Which nests become one kernel, and of which form.

``points``: nests over the same parallel axes, a thread for each point, short reductions as loops in the thread
``reduce``: a long reduction and what is computed from its results
``rows``: several passes over each row (softmax, normalisation), a row of threads for each
``product``: a sum of products, and what is computed from its results where they are; ``scatter``: points that may
write one place
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from tinygraph.lower.fuse import aligned_depth
from tinygraph.lower.inline import remap
from tinygraph.program.expr import Access, Expr
from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest
from tinygraph.targets.cuda.epilogues import RUN, Epilogue, epilogue_of, printable
from tinygraph.targets.cuda.kernel import Tuning
from tinygraph.targets.cuda.points import points
from tinygraph.targets.cuda.products import Roles, as_gemm, is_product, roles
from tinygraph.targets.cuda.scatters import meets, without_repeats
from tinygraph.targets.cuda.writer import normal

#: reductions of at most so many elements are loops in one thread
SHORT = 32
#: nests of one kernel
_NESTS = 24
#: the largest expression that passes over rows compute again instead of storing it
_AGAIN = 40
#: sums so long, of results so few, are cut into shares, which leaves no place for an epilogue
_LONG, _FEW = 512, 1 << 18


@dataclass
class Run:
    """Nests that one launch (or a few that belong together) runs."""

    form: str
    nests: list[Nest]
    outer: int = 0  # of a "rows" run
    roles: Roles | None = None  # of a "product"
    unstored: set[Buffer] = field(default_factory=set)


def may_group(a: Nest, b: Nest) -> bool:
    """Scatters run alone, products with what reads their results place by place; all else may share a kernel."""
    if is_product(b) or any(x.out.dynamic is not None or _overlaps(x) for x in (a, b)):
        return False
    if not is_product(a):
        return True
    if _reduced(b) > SHORT or not _makes(a):
        return False
    return a.out.buffer not in b.reads() or epilogue_of(a, b) is not None


def _makes(c: Nest) -> bool:
    """Whether a product is one whose kernel is printed here, and each of its results the sum of one thread."""
    found = None if c.accumulate or not c.points else roles(c)
    return found is not None and not found.pairs and as_gemm(c, found, Tuning(1, 1)) is None


def _overlaps(nest: Nest) -> bool:
    return nest.accumulate and meets(without_repeats(nest))


def schedule(instructions: Sequence[Instruction], tuning: Tuning | None = None) -> dict[Instruction, list[Run]]:
    """The runs of every nest and group; what lives in registers alone stays private to its group."""
    tuning = tuning or Tuning(1, 1)
    found: dict[Instruction, list[Run]] = {}
    for i in instructions:
        if isinstance(i, Loop):
            found.update(schedule(i.body, tuning))
        elif isinstance(i, Branch):
            found.update(schedule(i.then, tuning))
            found.update(schedule(i.otherwise, tuning))
        elif isinstance(i, Group) and i.parts:
            found.update(schedule(i.parts, tuning))
            i.private = {b for p in i.parts for b in p.private}
        elif isinstance(i, Nest):
            found[i] = split([i])
        elif isinstance(i, Group):
            found[i] = split(i.nests, i.private, tuning)
            for r in found[i]:
                if r.form == "rows":
                    _recompute(i, r)
            _keep_in_registers(i, found[i])
    return found


def split(nests: Sequence[Nest], private: Collection[Buffer] = (), tuning: Tuning | None = None) -> list[Run]:
    """The nests of a group as runs, in order; ``private``: what nobody else reads."""
    nests = [without_repeats(n) for n in nests]
    if len(nests) > 1 and is_product(nests[0]) and (first := _first(nests[0])).form == "product":
        ending = _ending(nests, private, tuning or Tuning(1, 1))
        rest = [n for n in nests[1:] if n not in ending]
        return [replace(first, nests=[nests[0], *ending]), *(split(rest, private, tuning) if rest else [])]
    runs: list[Run] = []
    for nest in nests:
        if not (runs and _accepts(runs[-1], nest)):
            runs.append(_first(nest))
        else:
            runs[-1].nests.append(nest)
    outer = _row_depth(nests) if len(runs) > 1 and len(nests) <= _NESTS else 0
    return [Run("rows", list(nests), outer)] if outer else runs


def _ending(nests: Sequence[Nest], private: Collection[Buffer], tuning: Tuning) -> list[Nest]:
    """The nests after a product that its kernel can compute; none unless that spares memory its results."""
    c, taken = nests[0], list[Nest]()
    end: Epilogue | None = None
    for n in nests[1:]:
        if not printable(n) or _first(n).form != "points" or len(taken) >= _NESTS:
            break
        if c.out.buffer in n.reads():
            found = epilogue_of(c, n)
            if found is None or not _fits(c, found, tuning) or (end is not None and end != found):
                break
            end = end or found
        if end is None or _parallel(n) != end.parallel or not all(_same_points(x, n) for x in taken):
            break
        taken.append(n)
    read_here = all(n in taken for n in nests[1:] if c.out.buffer in n.reads())
    return taken if end is not None and c.out.buffer in private and read_here else []


def _fits(c: Nest, e: Epilogue, tuning: Tuning) -> bool:
    """Whether the windows are runs of a thread's rows, and the device is busy without cutting the sums."""
    found = roles(c)
    if found is None or not all(x.axis in found.m for x in e.windows) or RUN % e.window:
        return False
    if e.window > 1 and (c.dtype == "float16" or (c.dtype == "float32" and tuning.factors)):
        return False  # tensor cores lay rows out otherwise
    return _reduced(c) <= _LONG or points(c) >= _FEW


def _first(nest: Nest) -> Run:
    """A run that starts with ``nest``."""
    found = roles(nest) if nest.points else None
    if found is not None and (found.m or found.n or found.batch or found.pairs):
        return Run("product", [nest], roles=found)
    if meets(nest):
        return Run("scatter", [nest])
    return Run("points" if _reduced(nest) <= SHORT else "reduce", [nest])


def _reduced(nest: Nest) -> int:
    size = 1
    for e, kind in zip(nest.extents, nest.kinds, strict=True):
        size *= e if kind == "r" else 1
    return size


def _parallel(nest: Nest) -> tuple[int, ...]:
    return nest.extents[: nest.kinds.count("p")]


def _accepts(run: Run, nest: Nest) -> bool:
    """Whether ``nest`` can join: same points, short, and apart from other points in all that it touches."""
    if run.form not in ("points", "reduce") or len(run.nests) >= _NESTS:
        return False
    if _first(nest).form != "points" or (run.form == "reduce" and "r" in nest.kinds):
        return False
    return all(_parallel(x) == _parallel(nest) and _same_points(x, nest) for x in run.nests)


def _same_points(first: Nest, second: Nest) -> bool:
    """Whether at equal points the two touch the same places of shared buffers, and at others different ones."""
    return _shared_depth(first, second, len(_parallel(second))) == len(_parallel(second))


def _shared_depth(first: Nest, second: Nest, depth: int) -> int:
    out = first.out.buffer
    for a in [*second.accesses(), second.out]:
        if a.buffer is out:
            depth = min(depth, aligned_depth(first.out, first, a, second, depth))
    for a in first.accesses():
        if a.buffer is second.out.buffer:
            depth = min(depth, aligned_depth(a, first, second.out, second, depth))
    return depth


def _row_depth(nests: Sequence[Nest]) -> int:
    """The number of outer axes that make the rows of a group; 0 where rows do not suit it."""
    if any(_first(n).form in ("product", "scatter") for n in nests) or not any("r" in n.kinds for n in nests):
        return 0
    depth = min(n.kinds.count("p") for n in nests)
    for position, nest in enumerate(nests):
        for other in nests[:position]:
            same = 0
            while same < depth and other.extents[same] == nest.extents[same]:
                same += 1
            depth = _shared_depth(other, nest, same)
    while depth and not all(set(n.kinds[depth:]) in ({"p"}, {"r"}, set()) for n in nests):
        depth -= 1
    if depth == 0:
        return 0
    count = 1
    for e in nests[0].extents[:depth]:
        count *= e
    longest = max(n.points for n in nests) // max(count, 1)
    return depth if 4 <= longest <= 1 << 16 and (count >= 32 or longest <= 4096) else 0


def _recompute(group: Group, run: Run) -> None:
    """Let passes over rows compute again what an earlier pass would store for them: memory is slower.

    ``e = exp(x - m)``, ``s = sum(e)``, ``y = e / s``  ->  ``s = sum(exp(x - m))``, ``y = exp(x - m) / s``.
    """
    for position, nest in enumerate(run.nests):
        b = nest.out.buffer
        inner = any(e != 1 for e in nest.extents[run.outer :])
        if b not in group.private or not inner or not _plain(nest) or nest.expr.weight > _AGAIN:
            continue
        place = normal(nest.out, nest.extents)
        readers = [n for n in run.nests if any(a.buffer is b for a in n.accesses())]
        same = all(n.extents == nest.extents and normal(a, n.extents) == place and not _in_address(n, b)
                   for n in readers for a in n.accesses() if a.buffer is b)  # fmt: skip
        inputs = set(nest.reads())
        steady = not any(n.out.buffer in inputs or n.out.buffer is b for n in run.nests[position + 1 :])
        if not readers or not same or not steady:
            continue
        axes = list(range(len(nest.extents)))

        def read(a: Access, b: Buffer = b, e: Expr = nest.expr) -> Expr | None:
            return e if a.buffer is b else None

        for n in readers:
            run.nests[run.nests.index(n)] = replace(n, expr=remap(n.expr, axes, len(axes), read))
        run.nests.remove(nest)
        group.private.discard(b)
        return _recompute(group, run)


def _plain(nest: Nest) -> bool:
    return nest.combine is None and not nest.accumulate and nest.out.dynamic is None


def _keep_in_registers(group: Group, runs: Sequence[Run]) -> None:
    """Private buffers that one run writes and reads at the same points need no memory; the others are planned."""
    kept: set[Buffer] = set()
    for b in group.private:
        touching = [r for r in runs if any(_uses(n, b) for n in r.nests)]
        if len(touching) == 1 and _register_only(touching[0], b):
            kept.add(b)
            touching[0].unstored.add(b)
    group.private = kept


def _uses(n: Nest, b: Buffer) -> bool:
    return n.out.buffer is b or any(a.buffer is b for a in n.accesses())


def _register_only(run: Run, b: Buffer) -> bool:
    """Whether every read of ``b`` in the run finds the one value that was stored at the same point."""
    if run.form == "product" and len(run.nests) > 1 and b is run.nests[0].out.buffer:
        return True
    if run.form not in ("points", "reduce", "rows") and len(run.nests) < 2:
        return False
    writers = [n for n in run.nests if n.out.buffer is b]
    if len(writers) != 1 or writers[0].accumulate:
        return False
    writer = writers[0]
    if run.form == "rows" and any(
        e != 1 and kind == "p" for e, kind in zip(writer.extents[run.outer :], writer.kinds[run.outer :], strict=True)
    ):
        return False
    place = normal(writer.out, writer.extents)
    return all(
        normal(a, n.extents) == place and a.dynamic is None for n in run.nests for a in n.accesses() if a.buffer is b
    ) and not any(_in_address(n, b) for n in run.nests)


def _in_address(n: Nest, b: Buffer) -> bool:
    """Whether ``b`` is read to find an address."""
    from tinygraph.program.expr import loads, postorder

    direct = {id(x) for x in postorder(n.expr) if x.op == "load"}
    return any(x.attr.buffer is b and id(x) not in direct for x in loads(n.expr))


__all__ = ["Run", "may_group", "points", "schedule", "split"]
