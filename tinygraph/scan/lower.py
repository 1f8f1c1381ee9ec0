"""Loops as instructions: the step's instructions work on the buffers around the loop.

What a step reads and writes of sequences, histories and outputs are views whose offset moves with the counter. A
history of which only the newest rows are wanted is a ring: row ``i`` lies in slot ``i % size``. The array into which
the step computes a result is exchanged for its place in the history or output, so that nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.lower.builder import Array, Builder
from tinygraph.lower.lowering import GraphLowering, Leaf
from tinygraph.program.expr import binary, cast, const, param
from tinygraph.program.instructions import Host, Loop, Ref, c_strides
from tinygraph.scan.relocate import relocate

if TYPE_CHECKING:
    from tinygraph.scan.op import Outer, Scan


@dataclass
class Store:
    """Where the rows of a history or output lie: all of them in order, or the newest in a ring of ``slots``."""

    array: Array  # (slots, ...)
    rows: int  # rows in all, kept or not
    ring: bool

    @property
    def slots(self) -> int:
        return self.array.shape[0]

    @property
    def stride(self) -> int:
        return self.array.ref.strides[0]

    def row(self, b: Builder, counter: str, shift: int) -> Ref:
        """Row ``counter + shift``, seen from the step."""
        ref = self.array.ref
        shape, strides = ref.shape[1:], c_strides(ref.shape[1:])
        if not self.ring:
            return Ref(ref.buffer, shape, strides, shift * self.stride, ((counter, self.stride),))
        if self.slots == 1:
            return Ref(ref.buffer, shape, strides)
        place = binary("mod", param(counter) + const(shift, "int64"), const(self.slots, "int64"))
        return Ref(ref.buffer, shape, strides, 0, ((b.param(place), self.stride),))

    def at(self, i: Any) -> Any:
        """The slot of row ``i``: an int, or an expression known only while running."""
        if not self.ring:
            return i
        return i % self.slots if isinstance(i, int) else binary("mod", i, const(self.slots, "int64"))


def lower_scan(op: Scan, b: Builder, node: Apply, inputs: Sequence[Array]) -> Sequence[Array | None]:
    """Emit the loop; arrays of its outputs."""
    spec = op.spec
    (steps,) = b.sizes(node)[:1]
    outer, names = op.outer(inputs), op.outer(node.inputs)
    op.check_lengths(steps, [x.shape[0] for x in outer.seqs], [x.shape[0] for x in outer.inits],
                     [*names.seqs, *names.inits])  # fmt: skip
    limit = None if outer.limit is None else b.contiguous(outer.limit)
    for x in (*outer.seqs, *outer.inits, *outer.nonseqs):
        if x.value is None:
            _ = x.ref  # computed before the loop, not inside it
    bound = _bound(steps, limit)
    histories = [
        _history(b, s, init, steps, spec.backwards) for s, init in zip(spec.states, outer.inits, strict=True)
    ]
    for s, h, init in zip(spec.states, histories, outer.inits, strict=True):
        _copy_rows(b, h, init, bound if spec.backwards else 0, s.depth)
    body, counter = b.inner()
    body.pinned |= {
        x.ref.buffer for x in (*outer.seqs, *outer.nonseqs, *(h.array for h in histories)) if x.value is None
    }
    results = _lower_step(op, b, body, node, outer, histories, counter)
    _, _, stop = op.split_outputs(results)
    outs = _outputs(op, b, steps, results, limit)
    targets = [h.row(body, counter, 0 if spec.backwards else s.depth)
               for s, h in zip(spec.states, histories, strict=True)]  # fmt: skip
    targets += [o.row(body, counter, 0) for o in outs]
    _place(body, results, targets)
    taken = b.empty((), "int64") if spec.until else None
    until = None if stop is None else body.contiguous(stop).ref
    loop = Loop(steps, counter, body.instructions, body.body_params, until, None if taken is None else taken.ref,
                None if limit is None else limit.ref, spec.backwards)  # fmt: skip
    b.emit(loop)
    end = bound if taken is None else cast(taken[()], "int64")
    found: list[Array | None] = [
        _kept(b, h, s.keep, 0 if spec.backwards else _plus(end, s.depth - (s.keep or 0)))
        for s, h in zip(spec.states, histories, strict=True)
    ]
    found += [_kept(b, o, keep, 0 if spec.backwards else _plus(end, -(keep or 0)))
              for o, keep in zip(outs, spec.outs, strict=True)]  # fmt: skip
    return found + ([taken] if taken is not None else [])


def _bound(steps: int, limit: Array | None) -> Any:
    """The number of steps, unless ``until`` ends the loop earlier."""
    if limit is None:
        return steps
    return binary("minimum", const(steps, "int64"), cast(limit[()], "int64"))


def _plus(end: Any, k: int) -> Any:
    return end + k if isinstance(end, int) else binary("add", end, const(k, "int64"))


def _history(b: Builder, state: Any, init: Array, steps: int, backwards: bool) -> Store:
    rows = steps + state.depth
    ring = state.keep is not None and state.ring < rows
    array = b.empty((state.ring if ring else rows, *init.shape[1:]), init.dtype)
    return Store(array, rows, ring)


def _outputs(op: Scan, b: Builder, steps: int, results: list[Array], limit: Array | None) -> list[Store]:
    """Memory for the outputs; outputs that are one array inside (a value and a view of it) share it."""
    found: list[Store] = []
    shared: dict[Any, Store] = {}
    for keep, x in zip(op.spec.outs, results[len(op.spec.states) :], strict=False):
        key = None if x.value is not None else (keep, x.dtype, *_place_key(x.ref))
        store = shared.get(key) if key is not None else None
        if store is None:
            ring = keep is not None and keep < steps
            store = Store(b.empty((keep if ring else steps, *x.shape), x.dtype), steps, ring)  # type: ignore[list-item]
            if limit is not None and keep is None:
                b.fill(store.array, 0)  # steps that are not taken leave zeros
            if key is not None:
                shared[key] = store
        found.append(store)
    return found


def _place_key(r: Ref) -> tuple:
    return r.buffer, r.shape, r.strides, r.offset, r.params


def _place(body: Builder, results: list[Array], targets: list[Ref]) -> None:
    """Let each result be computed at its target, once where several have one target."""
    pairs = {_place_key(target): (x, target) for x, target in zip(results, targets, strict=False)}
    relocate(body, [x for x, _ in pairs.values()], [target for _, target in pairs.values()])


def _copy_rows(b: Builder, store: Store, source: Array, first: Any, count: int) -> None:
    """Rows ``first .. first + count - 1`` of ``store`` from ``source``."""
    if isinstance(first, int) and store.at(first) + count <= store.slots:
        axes = b.axes(count, *source.shape[1:])
        target = store.array.at((axes[0] + store.at(first), *axes[1:]))
        b.store_to(target, source[axes], axes=axes)
        return
    for j in range(count):
        axes = b.axes(*source.shape[1:])
        target = store.array.at((store.at(_plus(first, j)), *axes))
        b.store_to(target, source[(j, *axes)], axes=axes, accumulate=not isinstance(first, int))


def _kept(b: Builder, store: Store, keep: int | None, first: Any) -> Array:
    """The rows that the loop returns, from ``first`` on."""
    if keep is None:
        return store.array
    shape = (keep, *store.array.shape[1:])
    if isinstance(first, int) and store.at(first) + keep <= store.slots:
        return b.view(store.array, shape, store.array.ref.strides, [(store.at(first), store.stride)])
    out = b.empty(shape, store.array.dtype)
    for j in range(keep):
        axes = b.axes(*shape[1:])
        value = store.array[(store.at(_plus(first, j)), *axes)]
        b.store_to(out.at((j, *axes)), value, axes=axes)
    return out


def _lower_step(op: Scan, b: Builder, body: Builder, node: Apply, outer: Outer, histories: list[Store],
                counter: str) -> list[Array]:  # fmt: skip
    """The step's instructions, into ``body``; the arrays of its results."""
    spec, roles = op.spec, op.inner_roles()
    leaves: dict[Any, Leaf] = {}
    for v, x in zip(roles.seqs, outer.seqs, strict=True):
        leaves[v] = _row_leaf(body, x, counter)
    for s, h, taps in zip(spec.states, histories, roles.taps, strict=True):
        for k, v in zip(s.taps, taps, strict=True):
            ref = h.row(body, counter, k if spec.backwards else s.depth - k)
            leaves[v] = Leaf(Array(ref.shape, h.array.dtype, ref))
    for v, x, given in zip(roles.nonseqs, outer.nonseqs, op.outer(node.inputs).nonseqs, strict=True):
        known = x.value if x.value is not None and x.value.size <= 64 else None
        leaves[v] = Leaf(x, known=known)
        if known is None:
            leaves[v].host = b.hosts.get(given)
    lowering = GraphLowering(body, op.inner.nodes, op.inner.outputs, leaves)
    results = lowering.run()
    rows = [h.array.shape[1:] for h in histories]
    rows += [b.shape(v)[1:] for v in node.outputs[len(rows) : len(rows) + len(spec.outs)]]
    for k, (v, row) in enumerate(zip(op.inner.outputs, rows, strict=False)):
        if v in lowering.dynamic:
            results[k] = _of_shape(FixedRow(op, k, row), body, v, results[k])
        elif k < len(histories):
            op.check_state_shape(k, row, results[k].shape)
    return results


class FixedRow(Op):
    """Result ``k`` of a step, whose sizes only the data decide, for the place of shape ``row`` that the loop has."""

    def __init__(self, scan: Scan, k: int, row: Sequence[int]):
        self.scan, self.k, self.row = scan, k, tuple(row)

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, self.row)]

    def forward(self, x: Any) -> Any:
        if self.k < len(self.scan.spec.states):
            self.scan.check_state_shape(self.k, self.row, x.shape)
        elif x.shape != self.row:
            raise ShapeMismatch(
                f"{self.scan.spec.label}: output {self.k} is of shape {x.shape} after a step, where {self.row} was "
                "expected; it must be of one shape at all steps"
            )
        return x


def _of_shape(fixed: FixedRow, body: Builder, v: Variable, x: Array) -> Array:
    """An array made in Python while running, copied into one that instructions can address."""
    out = body.empty(fixed.row, x.dtype)
    body.emit(Host(fixed.make_node(v), [x.ref], [out.ref]))
    return out


def _row_leaf(body: Builder, x: Array, counter: str) -> Leaf:
    """One element of a sequence."""
    if x.value is not None and x.value.size == 1 and x.ndim == 1:
        return Leaf(Array((), x.dtype, value=x.value.reshape(()), thunk=lambda: _row(x, counter)))
    ref = _row(x, counter)
    return Leaf(Array(ref.shape, x.dtype, ref))


def _row(x: Array, counter: str) -> Ref:
    r = x.ref
    params = dict(r.params)
    params[counter] = params.get(counter, 0) + r.strides[0]
    return Ref(r.buffer, r.shape[1:], r.strides[1:], r.offset, tuple(params.items()))
