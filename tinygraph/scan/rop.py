"""Forward mode of a loop: the loop again, with the tangents of everything that it reads and makes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygraph.graph.variable import Variable
from tinygraph.scan.connections import inner_reach
from tinygraph.scan.grad import is_float
from tinygraph.scan.inner import InnerGraph
from tinygraph.tensor.creation import zeros_like

if TYPE_CHECKING:
    from tinygraph.scan.op import Scan


def scan_jvp(
    op: Scan, inputs: Sequence[Variable], tangents: Sequence[Variable | None]
) -> list[Variable | None]:
    """Tangents of a loop's outputs from those of its inputs (None: none)."""
    from tinygraph.gradient.forward import Rop
    from tinygraph.scan.op import Scan

    spec, outer, given, roles = op.spec, op.outer(list(inputs)), op.outer(list(tangents)), op.inner_roles()
    states, outs, stop = op.split_outputs(op.inner.outputs)
    moved = _states_with_tangents(op, given)
    seqs = {v: v.type() for v, t in zip(roles.seqs, given.seqs, strict=True) if t is not None and is_float(v)}
    nonseqs = {
        v: v.type()
        for v, t in zip(roles.nonseqs, given.nonseqs, strict=True)
        if t is not None and is_float(v)
    }
    readings = {v: v.type() for k in moved for v in roles.taps[k]}
    wrt = {**seqs, **readings, **nonseqs}
    if not wrt:
        return [None] * (len(spec.states) + len(spec.outs) + spec.until)
    made = Rop(
        [*states, *outs],
        list(wrt),
        list(wrt.values()),
        disconnected_outputs="ignore",
        return_disconnected="none",
    )
    new_states = [made[k] if made[k] is not None else zeros_like(states[k]) for k in moved]
    with_tangent = [k for k, t in enumerate(made[len(states) :]) if t is not None]
    new_outs = [made[len(states) + k] for k in with_tangent]

    full = spec.with_(
        n_seqs=spec.n_seqs + len(seqs), states=(*spec.states, *(spec.states[k] for k in moved)),
        outs=(*spec.outs, *(spec.outs[k] for k in with_tangent)), n_nonseqs=spec.n_nonseqs + len(nonseqs),
    )  # fmt: skip
    inner = InnerGraph(
        [*roles.seqs, *seqs.values(), *(v for taps in roles.taps for v in taps), *readings.values(), *roles.nonseqs,
         *nonseqs.values()],
        [*states, *new_states, *outs, *new_outs, *([stop] if stop is not None else [])],
    )  # fmt: skip
    starts = [given.inits[k] if given.inits[k] is not None else zeros_like(outer.inits[k]) for k in moved]
    node = Scan(full, inner).make_node(
        outer.n_steps, *([outer.limit] if spec.limited else []),
        *outer.seqs, *(t for v, t in zip(roles.seqs, given.seqs, strict=True) if v in seqs),
        *outer.inits, *starts,
        *outer.nonseqs, *(t for v, t in zip(roles.nonseqs, given.nonseqs, strict=True) if v in nonseqs),
    )  # fmt: skip
    return _collect(op, node, moved, with_tangent)


def _states_with_tangents(op: Scan, given: Any) -> list[int]:
    """States that vary with what is varied."""
    spec, reach = op.spec, inner_reach(op)
    states = op.split_outputs(op.inner.outputs)[0]
    varied = {i for i, t in enumerate(given.seqs) if t is not None}
    varied |= {spec.n_seqs + spec.n_taps + i for i, t in enumerate(given.nonseqs) if t is not None}
    moved: set[int] = set()
    start = {k for k, t in enumerate(given.inits) if t is not None}
    while True:
        more = start | {k for k in range(len(states)) if reach[k] & varied}
        more = {k for k in more if is_float(states[k])} - moved
        if not more:
            return sorted(moved)
        moved |= more
        at = spec.n_seqs
        for k, s in enumerate(spec.states):
            if k in moved:
                varied |= set(range(at, at + len(s.taps)))
            at += len(s.taps)


def _collect(op: Scan, node: Any, moved: list[int], with_tangent: list[int]) -> list[Variable | None]:
    histories, outs, _ = node.op.split_outputs(node.outputs)
    n, m = len(op.spec.states), len(op.spec.outs)
    found: list[Variable | None] = [None] * (n + m + op.spec.until)
    for k, h in zip(moved, histories[n:], strict=True):
        found[k] = h
    for k, o in zip(with_tangent, outs[m:], strict=True):
        found[n + k] = o
    return found
