"""Vector loops that draw random numbers: each block of four Philox words is computed once and all of it used.

A block's words belong to elements that lie a quarter of a chunk apart (layout: ``tinygraph.random.philox``). So the
loop runs over chunks: for each vector of blocks its body is printed four times, once for each word, at the places where
that word's elements are. Ranges that begin or end within a chunk go through its body under a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from tinygraph.program.expr import Expr, postorder
from tinygraph.targets.llvm import philox
from tinygraph.targets.llvm.looptree import Loop
from tinygraph.targets.llvm.scalars import I64, splat
from tinygraph.targets.numpy.random_words import Run, affine

#: expressions heavier than this are printed once for each word, with a mask, rather than for full and partial vectors
HEAVY = 60
#: elements of a chunk, and those that share a word's number
_CHUNK, _RUN = 128, 32


class Draw(NamedTuple):
    """A ``philox`` node: its element is ``step * (place + counter) + rest`` along the vector axis."""

    node: Expr
    rest: int


class Draws:
    """What a kernel's printer does in a vector loop whose expressions draw."""

    b: Any
    lanes: int
    share: int
    mask: ir.Value | None
    axes: dict[int, ir.Value]
    values: dict[int, ir.Value]
    value: Any
    _loop: Any
    _iteration: Any

    def _drawn(self, node: Loop) -> tuple[Run, int, list[Draw]] | None:
        """Where the loop's draws begin, in steps, the step, and each draw; None if they do not fit chunks."""
        found: list[tuple[Expr, Run]] = []
        for nest in node.nests:
            if nest.kinds[node.depth] != "p" or any(
                a.dynamic is not None or a.strides[node.depth] not in (0, 1) for a in (*nest.accesses(), nest.out)
            ):
                return None
            for x in postorder(nest.expr):
                if x.op == "philox":
                    run = affine(x.args[3], len(nest.extents))
                    if run is None or not _fixed(x, node.depth):
                        return None
                    found.append((x, run))
        if not found:
            return None
        step = found[0][1].strides[node.depth]
        if step < 1 or _RUN % step or _RUN // step % self.lanes:
            return None
        start = found[0][1].start // step
        outer = found[0][1].strides[: node.depth]
        for _, run in found:
            same = run.strides[: node.depth] == outer and run.start // step == start
            if not same or run.strides[node.depth] != step or any(run.strides[node.depth + 1 :]):
                return None
        if any(s % step for s in outer):
            return None
        place = Run(start, tuple(s // step for s in outer))
        return place, step, [Draw(x, run.start % step) for x, run in found]

    def _drawing_loop(
        self, node: Loop, first: ir.Value, last: ir.Value, drawn: tuple[Run, int, list[Draw]]
    ) -> None:
        """The loop from ``first`` to ``last``, in chunks of the draws."""
        b, (place, step, draws) = self.b, drawn
        begins: ir.Value = ir.Constant(I64, place.start)
        for k, s in enumerate(place.strides):
            if s:
                begins = b.add(begins, b.mul(self.axes[k], ir.Constant(I64, s)))
        chunk, run = _CHUNK // step, _RUN // step
        if node.depth == 0:
            self.share = chunk
        streams = [self._streams(d) for d in draws]
        span = b.sub(last, first)

        def vectors(c: ir.Value, at: ir.Value) -> None:
            """One vector of blocks, ``at`` within the chunk that begins at place ``c``: its four words in turn."""
            words = [self._blocks(d, s, c, at, step) for d, s in zip(draws, streams, strict=True)]
            here = b.add(b.sub(c, begins), at)
            whole = b.and_(
                b.icmp_signed(">=", here, first),
                b.icmp_signed("<=", b.add(here, ir.Constant(I64, chunk - run + self.lanes)), last),
            )
            if sum(n.expr.weight for n in node.nests) > HEAVY:
                each(words, here, span)
                return
            with b.if_else(whole) as (inside, across):
                with inside:
                    each(words, here, None)
                with across:
                    each(words, here, span)

        def each(words: list[list[ir.Value]], here: ir.Value, limit: ir.Value | None) -> None:
            for w in range(4):
                i = b.add(here, ir.Constant(I64, w * run))
                for d, four in zip(draws, words, strict=True):
                    self.values[id(d.node)] = four[w]
                self.mask = None if limit is None else self._between(b.sub(i, first), limit)
                self._iteration(node, i)
            self.mask = None
            for d in draws:
                del self.values[id(d.node)]

        aligned = b.and_(b.add(begins, first), ir.Constant(I64, -chunk))
        end = b.add(begins, last)
        part: Callable[[ir.Value], None] = lambda c: self._loop(  # noqa: E731
            ir.Constant(I64, 0), ir.Constant(I64, run), self.lanes, lambda at: vectors(c, at)
        )
        with b.if_then(b.icmp_signed("<", first, last)):
            self._loop(aligned, end, chunk, part)

    def _streams(self, d: Draw) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Key and counter of a draw, the same in every lane."""
        key0, key1, counter = (splat(self.b, self.value(a), self.lanes) for a in d.node.args[:3])
        wide = ir.VectorType(I64, self.lanes)
        return key0, key1, counter if counter.type == wide else self.b.zext(counter, wide)

    def _blocks(self, d: Draw, stream: tuple[ir.Value, ...], c: ir.Value, at: ir.Value, step: int) -> list[ir.Value]:
        """The words of the blocks for ``lanes`` neighbours, ``at`` within the chunk that begins at place ``c``."""
        b, (key0, key1, counter) = self.b, stream
        number = b.sdiv(b.mul(c, ir.Constant(I64, step)), ir.Constant(I64, _CHUNK // _RUN))
        number = b.add(number, b.mul(at, ir.Constant(I64, step)))
        lanes = ir.Constant(ir.VectorType(I64, self.lanes), [d.rest + step * k for k in range(self.lanes)])
        return philox.block(b, key0, key1, b.add(counter, b.add(splat(b, number, self.lanes), lanes)), self.lanes)

    def _between(self, i: ir.Value, limit: ir.Value) -> ir.Value:
        """Which lanes of ``i, i + 1, ...`` lie in ``0 .. limit``."""
        b, lanes = self.b, self.lanes
        steps = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        return b.icmp_unsigned("<", b.add(splat(b, i, lanes), steps), splat(b, limit, lanes))


def _fixed(x: Expr, depth: int) -> bool:
    """Whether key and counter of a draw stay along an axis."""
    for a in x.args[:3]:
        for y in postorder(a):
            if y.op == "axis" or y.op == "load" and (any(y.attr.strides[depth:]) or y.attr.dynamic is not None):
                return False
    return True


def places(e: Expr) -> set[int]:
    """Nodes that serve only to number the elements of draws."""
    order = postorder(e)
    used: set[int] = {id(e)}
    for x in reversed(order):
        if id(x) in used:
            used.update(id(a) for a in (x.args[:3] if x.op == "philox" else x.args))
    return {id(x) for x in order} - used

