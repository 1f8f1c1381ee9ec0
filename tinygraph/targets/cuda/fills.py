"""Sums of products that are added to zeros are stored instead.

before -> after::

    x[all] = 0;  x[i + k, j] += sum over f of g[i, f] * w[k, f]      ->      x[i + k, j] = ...

That is the gradient of a convolution to its input. As one thread sums up all that comes to a place
(``products.py``), a product that reaches every place of its buffer needs no zeros there to begin with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygraph.lower.overwritten import fills
from tinygraph.program.instructions import Branch, Buffer, Group, Instruction, Loop, Nest, Program
from tinygraph.targets.cuda.contractions import places
from tinygraph.targets.cuda.products import roles


def without_fills(program: Program) -> None:
    """Rewrite the program's products, those in loops and branches included."""
    program.instructions = _block(program.instructions)


def _block(block: Sequence[Instruction]) -> list[Instruction]:
    out: list[Instruction] = []
    #: products that would store, until something else touches their buffer
    waiting: dict[Buffer, tuple[Instruction, Any]] = {}
    for i in reversed(block):
        if isinstance(i, Loop):
            i.body = _block(i.body)
        elif isinstance(i, Branch):
            i.then, i.otherwise = _block(i.then), _block(i.otherwise)
        nest = alone(i)
        if nest is not None and nest.out.buffer in waiting and _zeros(nest):
            product, stored = waiting.pop(nest.out.buffer)
            out[out.index(product)] = stored
            continue
        for b in {*i.reads(), *i.writes()}:
            waiting.pop(b, None)
        if nest is not None and _reaches_all(nest):
            stored = replace(nest, accumulate=False)
            waiting[nest.out.buffer] = (i, replace(i, nests=[stored]) if isinstance(i, Group) else stored)
        out.append(i)
    return out[::-1]


def alone(i: Instruction) -> Nest | None:
    """The nest of an instruction that is one nest."""
    if isinstance(i, Group):
        return i.nests[0] if len(i.nests) == 1 and not i.parts else None
    return i if isinstance(i, Nest) else None


def _zeros(n: Nest) -> bool:
    zero = n.expr.op == "const" and not np.any(n.expr.attr)
    return zero and not n.accumulate and n.out.dynamic is None and not n.out.params and fills(n)


def _reaches_all(n: Nest) -> bool:
    found = roles(n) if n.accumulate and n.points else None
    return found is not None and places(n, found) == n.out.buffer.size
