"""Nests that compute what an earlier one has computed: they go, and their readers read the earlier result.

Passes on the graph merge equal nodes. Here the parts of different ops meet: softmax and its logarithm, say, both take
the rows' maxima and the sums of exponentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.lower.renaming import rename
from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import Branch, Buffer, Instruction, Loop, Nest


def without_repeats(block: list[Instruction], writers: dict[Buffer, int], kept: set[Buffer]) -> list[Instruction]:
    """The block, and those inside it, each computing nothing twice. ``writers``: how many write a buffer, anywhere."""
    finder = _Finder(writers, kept)
    out = finder.block(block)
    if finder.moved:
        rename(out, finder.moved)
    return out


class _Finder:
    def __init__(self, writers: dict[Buffer, int], kept: set[Buffer]):
        self.writers = writers
        self.kept = kept
        #: results that are gone, and what holds their values
        self.moved: dict[Buffer, Buffer] = {}

    def block(self, block: Sequence[Instruction]) -> list[Instruction]:
        seen: dict[Any, Buffer] = {}
        version: dict[Buffer, int] = {}  # how often a buffer has been written so far
        read: set[Buffer] = set()
        out: list[Instruction] = []
        for i in block:
            if isinstance(i, Nest) and self._repeats(i, seen, version, read):
                continue
            out.append(i)
            if isinstance(i, Loop):
                i.body = self.block(i.body)
            elif isinstance(i, Branch):
                i.then, i.otherwise = self.block(i.then), self.block(i.otherwise)
            read.update(i.reads())
            for b in i.writes():
                version[b] = version.get(b, 0) + 1
        return out

    def _repeats(self, n: Nest, seen: dict[Any, Buffer], version: dict[Buffer, int], read: set[Buffer]) -> bool:
        """Whether an earlier nest has computed this; if so its result stands for this one's from now on."""
        b = n.out.buffer
        if n.accumulate or n.out.dynamic is not None or self.writers.get(b) != 1:
            return False
        key = (n.extents, n.kinds, n.combine, b.dtype, b.size, n.out[1:4], self._expression(n.expr, version))
        first = seen.setdefault(key, b)
        if first is b or b.kind != "temp" or b in self.kept or b in read:
            return False
        self.moved[b] = first
        return True

    def _expression(self, e: Expr, version: dict[Buffer, int]) -> tuple:
        """The expression as a key: equal for expressions that have the same value here."""
        number: dict[int, int] = {}
        parts: list[tuple] = []
        for x in postorder(e):
            number[id(x)] = len(parts)
            attr = self._access(x.attr, version) if x.op == "load" else repr(x.attr)
            parts.append((x.op, x.dtype, tuple([number[id(a)] for a in x.args]), attr))
        return tuple(parts)

    def _access(self, a: Access, version: dict[Buffer, int]) -> tuple:
        b = self.moved.get(a.buffer, a.buffer)
        dynamic = None if a.dynamic is None else self._expression(a.dynamic, version)
        return b.id, version.get(b, 0), a.offset, a.strides, a.params, dynamic
