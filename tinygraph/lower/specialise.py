"""One program for one set of shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tinygraph.graph.collector import without_collector
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable
from tinygraph.lower.builder import Array, Builder
from tinygraph.lower.host import is_host_leaf
from tinygraph.lower.lowering import GraphLowering, Leaf
from tinygraph.program.expr import param
from tinygraph.program.instructions import Program, Ref, c_strides


class Layout(NamedTuple):
    """Shape of an argument, and its strides in elements (None: C order)."""

    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None


@without_collector
def specialise(
    name: str,
    nodes: Sequence[Apply],
    inputs: Sequence[Variable],
    shared: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[Variable],
    layouts: Sequence[Layout],
    runtime: Mapping[Variable | Apply, tuple[int, ...]],
    borrowed: Sequence[bool] = (),
) -> Program:
    """The program that computes ``outputs`` and ``updates`` from arrays laid out as ``layouts`` says.

    Every output and update is a buffer of its own, written by the program, except that a ``borrowed`` output may be
    a view of something else.
    """
    b = Builder()
    leaves: dict[Variable, Leaf] = {}
    args: list[Ref] = []
    for k, (v, layout) in enumerate(zip([*inputs, *shared], layouts, strict=True)):
        kind = "input" if k < len(inputs) else "shared"
        slot = k if k < len(inputs) else k - len(inputs)
        if not isinstance(v.type, TensorType):
            args.append(Ref(b.buffer(0, "object", kind, slot=slot, name=v.name or ""), (), ()))
            leaves[v] = Leaf(Array((), "object", args[-1]))
            continue
        array = b.empty(layout.shape, v.type.dtype, kind, slot=slot, name=v.name or "")
        strides = c_strides(layout.shape) if layout.strides is None else layout.strides
        ref = Ref(array.ref.buffer, layout.shape, strides)
        args.append(ref)
        leaves[v] = Leaf(Array(layout.shape, v.type.dtype, ref), host=param(f"in{k}") if is_host_leaf(v) else None)
    lowering = GraphLowering(b, nodes, [*outputs, *updates], leaves, runtime)
    results = lowering.run()
    b.node = None
    taken: set[Any] = set()
    out = [
        _result(b, r, "output", taken, i < len(borrowed) and borrowed[i]) for i, r in enumerate(results[: len(outputs)])
    ]
    new = [_result(b, r, "update", taken, False) for r in results[len(outputs) :]]
    for slot, ref in enumerate(out):
        if ref.buffer.kind == "output":
            ref.buffer.slot = slot
    for slot, ref in enumerate(new):
        if ref.buffer.kind == "update":
            ref.buffer.slot = slot
    return Program(
        name, args[: len(inputs)], args[len(inputs) :], b.constants, b.instructions, out, new, b.params, b.buffers,
        borrowed=tuple(borrowed),
    )  # fmt: skip


def _result(b: Builder, array: Array, kind: str, taken: set[Any], borrow: bool) -> Ref:
    """The array as a fresh buffer of ``kind``: its own if nothing else needs it as such, else a copy."""
    ref = array.ref
    if ref.buffer.kind == "dynamic" or borrow:
        return ref
    if ref.buffer.kind == "temp" and ref.whole and ref.buffer not in taken:
        ref.buffer.kind = kind
    else:
        ref = b.copy(array).ref
        ref.buffer.kind = kind
    taken.add(ref.buffer)
    return ref
