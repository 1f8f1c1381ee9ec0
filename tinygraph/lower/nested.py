"""Lowering a graph inside an op as part of the program around it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tinygraph.graph.inner import InnerGraph
from tinygraph.graph.op import Apply
from tinygraph.lower.builder import Array, Builder
from tinygraph.lower.lowering import GraphLowering, Leaf
from tinygraph.program.instructions import Instruction


def lower_inner(b: Builder, inner: InnerGraph, node: Apply, arrays: Sequence[Array], first: int = 0) -> list[Array]:
    """Emit ``inner`` on ``arrays``, which are those of ``node.inputs[first:]``; the arrays of its outputs."""
    leaves = {}
    for v, outer, array in zip(inner.inputs, node.inputs[first:], arrays, strict=True):
        host = b.host(outer)
        leaves[v] = Leaf(array, host=host, known=array.value)
    saved = b.node
    found = GraphLowering(b, inner.nodes, inner.outputs, leaves).run()
    b.node = saved
    return found


@contextlib.contextmanager
def captured(b: Builder) -> Iterator[list[Instruction]]:
    """What is emitted inside goes into the list instead of the program."""
    outside, b.instructions = b.instructions, []
    try:
        yield b.instructions
    finally:
        b.instructions = outside
