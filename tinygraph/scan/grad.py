"""Reverse mode of a loop: another loop, which runs the other way.

At each step the backward loop knows the cotangents of everything that the forward step made: those given from outside,
and those that later steps handed back to it. One application of reverse mode to the step's graph turns them into
cotangents of what the step read: elements of sequences (outputs of the backward loop), earlier values of states (its
states: read again ``k`` steps on, for a tap of ``k``), and non-sequences (its states too: running sums).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygraph.gradient.reverse import backpropagate
from tinygraph.graph.examples import no_examples
from tinygraph.graph.op import is_null
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import clone, inputs
from tinygraph.graph.variable import Variable
from tinygraph.scan.connections import inner_reach
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.pad import pad_rows
from tinygraph.scan.saved import Keeping
from tinygraph.scan.spec import ScanSpec, State
from tinygraph.tensor.basic import constant
from tinygraph.tensor.creation import zeros, zeros_like
from tinygraph.tensor.maths import maximum, minimum, switch
from tinygraph.tensor.shape import shape_i, shape_padleft, shape_tuple

if TYPE_CHECKING:
    from tinygraph.scan.op import Outer, Scan


def is_float(v: Variable) -> bool:
    return isinstance(v.type, TensorType) and v.type.dtype[0] == "f"


def scan_vjp(
    op: Scan, node_inputs: Sequence[Variable], grads: Sequence[Variable | None]
) -> list[Variable | None]:
    """Cotangents of a loop's outer inputs from those of its outputs (None: not part of the cost)."""
    with no_examples():
        return _Backward(op, list(node_inputs), list(grads)).run()


@dataclass
class _Loop:
    """The backward loop under construction: inner and outer sides of its parts."""

    seqs: list[tuple[Variable, Any]] = field(default_factory=list)  # (inner, outer)
    states: list[tuple[State, Any, Variable, Variable]] = field(
        default_factory=list
    )  # (form, init, reading, new)
    outs: list[Variable] = field(default_factory=list)
    nonseqs: list[tuple[Variable, Any]] = field(default_factory=list)


class _Backward:
    """One application of ``scan_vjp``."""

    def __init__(self, op: Scan, node_inputs: list[Variable], grads: list[Variable | None]):
        self.op, self.spec = op, op.spec
        self.inputs = node_inputs
        self.outer: Outer = op.outer(node_inputs)
        self.roles = op.inner_roles()
        histories, outs, _ = op.split_outputs(grads)
        self.g_histories = [
            self._all_rows(g, s.keep, s.depth) for s, g in zip(self.spec.states, histories, strict=True)
        ]
        self.g_outs = [self._all_rows(g, keep, 0) for keep, g in zip(self.spec.outs, outs, strict=True)]
        self.new_states, self.new_outs, _ = op.split_outputs(op.inner.outputs)
        self.loop = _Loop()

    def run(self) -> list[Variable | None]:
        active = self._active_states()
        cotangents = {k: self.new_states[k].type() for k in active}
        pulled = self._pull(cotangents)
        if pulled is None:
            return [None] * len(self.inputs)
        null = next((g for g in pulled.values() if is_null(g)), None)
        if null is not None:
            return [null if is_float(v) else None for v in self.inputs]
        self._forward_values(list(pulled.values()))
        handed = self._hand_back(active, cotangents, pulled)
        sums = self._sum_up(pulled)
        rows = [v for v in self.roles.seqs if v in pulled]
        self.loop.outs = [pulled[v] for v in rows]
        histories, outs = self._close(handed)
        return self._collect(dict(zip(rows, outs, strict=True)), histories, sums)

    def _all_rows(self, g: Any, keep: int | None, depth: int) -> Any:
        """A cotangent of the newest ``keep`` rows as one of all rows."""
        if g is None or keep is None:
            return g
        rows = self.outer.n_steps + depth
        if self.spec.backwards:
            return pad_rows(g, constant(0, dtype="int64"), rows)
        made = (
            self.outer.n_steps if self.outer.limit is None else minimum(self.outer.n_steps, self.outer.limit)
        )
        return pad_rows(g, made + (depth - keep), rows)

    # -- the backward step ----------------------------------------------------------------------------------------

    def _active_states(self) -> list[int]:
        """States whose values the cost depends on."""
        reach = inner_reach(self.op)
        n, at = len(self.spec.states), self.spec.n_seqs
        taps_of: list[range] = []
        for s in self.spec.states:
            taps_of.append(range(at, at + len(s.taps)))
            at += len(s.taps)
        wanted = [k for k, g in enumerate(self.g_histories) if g is not None and is_float(self.new_states[k])]
        positions: set[int] = set()
        for k, g in enumerate(self.g_outs):
            if g is not None and is_float(self.new_outs[k]):
                positions |= reach[n + k]
        active = set(wanted)
        while True:
            for k in active:
                positions |= reach[k]
            more = {
                k for k in range(n) if positions.intersection(taps_of[k]) and is_float(self.new_states[k])
            }
            if more <= active:
                return sorted(active)
            active |= more

    def _pull(self, cotangents: dict[int, Variable]) -> dict[Variable, Variable] | None:
        """Cotangents of the inner inputs, in terms of those of the inner outputs."""
        start: list[tuple[Variable, Variable]] = [(self.new_states[k], g) for k, g in cotangents.items()]
        for v, g in zip(self.new_outs, self.g_outs, strict=True):
            if g is not None and is_float(v):
                start.append((v, v.type()))
                self.loop.seqs.append((start[-1][1], g))
        if not start:
            return None
        wrt = [v for v in self.op.inner.inputs if is_float(v)]
        found = backpropagate(start, wrt, set())
        return {v: found[v] for v in wrt if found.get(v) is not None}  # type: ignore[misc]

    def _hand_back(
        self, active: list[int], cotangents: dict[int, Variable], pulled: dict[Variable, Variable]
    ) -> dict:
        """States for the cotangents of earlier values; what each cotangent variable stands for."""
        total: dict[Variable, Any] = {}
        self.handed: dict[int, list[tuple[int, int]]] = {k: [] for k in active}
        for k in active:
            s, init = self.spec.states[k], self.outer.inits[k]
            parts: list[Any] = []
            g = self.g_histories[k]
            if g is not None:
                inner = cotangents[k].type()
                self.loop.seqs.append((inner, self._values(g, s.depth)))
                parts.append(inner)
            for tap, v in zip(s.taps, self.roles.taps[k], strict=True):
                if v in pulled:
                    reading = v.type()
                    start = zeros((tap, *shape_tuple(init)[1:]), dtype=v.type.dtype)
                    self.handed[k].append((tap, len(self.loop.states)))
                    self.loop.states.append((State((tap,), tap, tap), start, reading, pulled[v]))
                    parts.append(reading)
            if not parts:
                total[cotangents[k]] = zeros_like(self.new_states[k])
            else:
                total[cotangents[k]] = parts[0]
                for p in parts[1:]:
                    total[cotangents[k]] = total[cotangents[k]] + p
        return total

    def _sum_up(self, pulled: dict[Variable, Variable]) -> dict[Variable, int]:
        """States that add up the cotangents of non-sequences; their positions."""
        at: dict[Variable, int] = {}
        for v, outer in zip(self.roles.nonseqs, self.outer.nonseqs, strict=True):
            if v in pulled:
                reading = v.type()
                at[v] = len(self.loop.states)
                start = shape_padleft(zeros_like(outer))
                self.loop.states.append((State((1,), 1, 1), start, reading, reading + pulled[v]))
        return at

    # -- what the backward step reads -----------------------------------------------------------------------------

    def _forward_values(self, results: list[Variable]) -> None:
        """Sequences and invariants from which the backward step gets the forward step's values."""
        keeping = Keeping(self.op)
        keeping.read_by(results)
        forward = self._twin(list(keeping.saved))
        histories, outs, taken = forward.op.split_outputs(forward.outputs)
        self.forward_taken = taken
        self._replaced: dict[Variable, Variable] = {}
        for v, outer in zip(self.roles.seqs, self.outer.seqs, strict=True):
            self.loop.seqs.append((v, outer))
        for s, h, taps in zip(self.spec.states, histories, self.roles.taps, strict=True):
            for tap, v in zip(s.taps, taps, strict=True):
                shift = tap if self.spec.backwards else s.depth - tap
                self.loop.seqs.append((v, h[shift:] if shift else h))
        made = list(
            zip(self.new_states, [self._values(h, s.depth) for h, s in zip(histories, self.spec.states)])
        )
        made += list(zip([*self.new_outs, *keeping.saved], outs, strict=True))
        for v, trace in made:
            if v.owner is not None and v not in self._replaced:
                self._replaced[v] = v.type()
                self.loop.seqs.append((self._replaced[v], trace))
        given = dict(zip(self.roles.nonseqs, self.outer.nonseqs, strict=True))
        self.loop.nonseqs += list(given.items())
        for v, outer in zip(
            keeping.invariant, clone(list(keeping.invariant), replace=dict(given)), strict=True
        ):
            self._replaced[v] = v.type()
            self.loop.nonseqs.append((self._replaced[v], outer))

    def _twin(self, saved: list[Variable]) -> Any:
        """The forward loop again, with everything that its gradient reads among its outputs."""
        from tinygraph.scan.op import Scan

        states = tuple(State(s.taps, None, s.depth) for s in self.spec.states)
        spec = self.spec.with_(states=states, outs=(None,) * (len(self.spec.outs) + len(saved)))
        new_states, new_outs, stop = self.op.split_outputs(self.op.inner.outputs)
        outputs = [*new_states, *new_outs, *saved, *([stop] if stop is not None else [])]
        return Scan(spec, InnerGraph(self.op.inner.inputs, outputs)).make_node(*self.inputs)

    def _values(self, history: Any, depth: int) -> Any:
        """The rows of a history that the steps made, in order of time (and perhaps more after them)."""
        return history if self.spec.backwards else history[depth:]

    @property
    def _first(self) -> Any:
        """The first step in time that gradients reach; None: all."""
        if self.spec.truncate == -1 or self.spec.backwards:
            return None
        end = self.forward_taken if self.spec.until else self.outer.n_steps
        return maximum(end - self.spec.truncate, 0)

    # -- the backward loop ----------------------------------------------------------------------------------------

    def _close(self, cotangents: dict[Variable, Any]) -> tuple[list[Any], list[Any]]:
        """Make the node, of the parts that are used; its histories and outputs."""
        from tinygraph.scan.op import Scan

        loop, first = self.loop, self._first
        results = [new for *_, new in loop.states] + loop.outs
        bodies = clone(clone(results, replace=dict(cotangents)), replace=dict(self._replaced))
        used = set(inputs(bodies, blockers=[v for v, _ in loop.seqs]))
        seqs = [(v, x) for v, x in loop.seqs if v in used]
        nonseqs = [(v, x) for v, x in loop.nonseqs if v in used]
        steps, limit = self._steps(first)
        spec = ScanSpec(
            len(seqs), tuple(s for s, *_ in loop.states), (None,) * len(loop.outs), len(nonseqs),
            limited=limit is not None, backwards=not self.spec.backwards, recompute=self.spec.recompute,
            name=f"gradient of {self.spec.name}" if self.spec.name else "",
        )  # fmt: skip
        inner = InnerGraph(
            [v for v, _ in seqs] + [r for _, _, r, _ in loop.states] + [v for v, _ in nonseqs], bodies
        )
        outer_seqs = [x if first is None else x[first:] for _, x in seqs]
        extra = [limit] if limit is not None else []
        node = Scan(spec, inner).make_node(steps, *extra, *outer_seqs, *(i for _, i, _, _ in loop.states),
                                           *(x for _, x in nonseqs))  # fmt: skip
        histories, outs, _ = node.op.split_outputs(node.outputs)  # type: ignore[attr-defined]
        return histories, outs

    def _steps(self, first: Any) -> tuple[Any, Any]:
        """How many steps the backward loop takes, and a bound that only the run knows."""
        limit = self.forward_taken if self.spec.until else self.outer.limit
        steps = self.outer.n_steps
        if self.spec.truncate == -1:
            return steps, limit
        if first is not None:
            return (limit if limit is not None else steps) - first, None
        return minimum(steps, self.spec.truncate), limit

    # -- results --------------------------------------------------------------------------------------------------

    def _collect(
        self, rows: dict[Variable, Any], histories: list[Any], sums: dict[Variable, int]
    ) -> list[Variable | None]:
        found: list[Any] = [None] * (1 + self.spec.limited)
        before = constant(0, dtype="int64") if self._first is None else self._first
        for v, outer in zip(self.roles.seqs, self.outer.seqs, strict=True):
            found.append(pad_rows(rows[v], before, shape_i(outer, 0)) if v in rows else None)
        for k in range(len(self.spec.states)):
            found.append(self._initial(k, histories))
        for v in self.roles.nonseqs:
            found.append(histories[sums[v]][0] if v in sums else None)
        return found

    def _initial(self, k: int, histories: list[Any]) -> Any:
        """The cotangent of a state's initial values: its own rows, and what the first steps handed back."""
        s, init, g = self.spec.states[k], self.outer.inits[k], self.g_histories[k]
        if not is_float(self.new_states[k]):
            return None
        total: Any = None
        if g is not None:
            total = g[-s.depth :] if self.spec.backwards else g[: s.depth]
            if self.spec.backwards and self.outer.limit is not None:
                first = minimum(self.outer.n_steps, self.outer.limit)
                total = g[first : first + s.depth]
        for tap, position in self.handed.get(k, ()):
            window = histories[position]
            if self.spec.truncate != -1:
                reached = self.outer.n_steps if not self.spec.until else self.forward_taken
                window = switch(reached <= self.spec.truncate, window, zeros_like(window))
            at = 0 if self.spec.backwards else s.depth - tap
            if tap != s.depth:
                window = pad_rows(window, constant(at, dtype="int64"), shape_i(init, 0))
            total = window if total is None else total + window
        return total
