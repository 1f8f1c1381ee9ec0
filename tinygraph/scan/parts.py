"""A loop taken apart: what passes change, and how it is put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.origin import origin_scope
from tinygraph.graph.traversal import ancestors, clone
from tinygraph.graph.variable import Variable
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.op import Scan
from tinygraph.scan.spec import ScanSpec, State


@dataclass(eq=False)
class Given:
    """A sequence or invariant: its outer variable, and the inner one that stands for it (a row of it)."""

    outer: Variable
    inner: Variable


@dataclass(eq=False)
class StatePart:
    """A state: outer initial rows, inner readings by tap, inner new value.

    ``results``: the old node's histories that it stands for; ``windows``: those that held the newest rows only, and how
    many.
    """

    init: Variable
    taps: list[int]
    depth: int
    keep: int | None
    readings: list[Variable]
    new: Variable
    results: list[Variable] = field(default_factory=list)
    windows: list[tuple[Variable, int]] = field(default_factory=list)

    def all_results(self) -> list[Variable]:
        return self.results + [v for v, _ in self.windows]


@dataclass(eq=False)
class OutPart:
    """An output: its inner value, how many rows are kept, and the old node's outputs that it stands for."""

    value: Variable
    keep: int | None = None
    results: list[Variable] = field(default_factory=list)


@dataclass(eq=False)
class Parts:
    """A loop as lists that may be changed; ``build`` makes the new node and says what replaces what."""

    spec: ScanSpec
    n_steps: Variable
    limit: Variable | None
    seqs: list[Given]
    states: list[StatePart]
    outs: list[OutPart]
    nonseqs: list[Given]
    stop: Variable | None
    steps_results: list[Variable]
    origin: Any = None

    @staticmethod
    def of(node: Apply) -> Parts:
        """``node``, a loop, taken apart."""
        op: Scan = node.op  # type: ignore[assignment]
        outer, roles = op.outer(node.inputs), op.inner_roles()
        new, made, stop = op.split_outputs(op.inner.outputs)
        histories, rows, taken = op.split_outputs(node.outputs)
        states = [
            StatePart(init, list(s.taps), s.depth, s.keep, list(taps), value, [h])
            for s, init, taps, value, h in zip(
                op.spec.states, outer.inits, roles.taps, new, histories, strict=True
            )
        ]
        outs = [OutPart(v, keep, [r]) for v, keep, r in zip(made, op.spec.outs, rows, strict=True)]
        return Parts(
            op.spec, outer.n_steps, outer.limit,
            [Given(o, i) for o, i in zip(outer.seqs, roles.seqs, strict=True)], states, outs,
            [Given(o, i) for o, i in zip(outer.nonseqs, roles.nonseqs, strict=True)],
            stop, [taken] if taken is not None else [], node.origin,
        )  # fmt: skip

    # -- the inner graph ------------------------------------------------------------------------------------------

    def inner_outputs(self) -> list[Variable]:
        found = [s.new for s in self.states] + [o.value for o in self.outs]
        return found + ([self.stop] if self.stop is not None else [])

    def inner_inputs(self) -> list[Variable]:
        readings = [v for s in self.states for v in s.readings]
        return [g.inner for g in self.seqs] + readings + [g.inner for g in self.nonseqs]

    def set_outputs(self, outputs: Sequence[Variable]) -> None:
        """New inner outputs, in the order of ``inner_outputs``."""
        it = iter(outputs)
        for s in self.states:
            s.new = next(it)
        for o in self.outs:
            o.value = next(it)
        if self.stop is not None:
            self.stop = next(it)

    def substitute(self, replace: dict[Variable, Variable]) -> None:
        """Exchange inner variables (leaves or results of the step)."""
        if replace:
            self.set_outputs(clone(self.inner_outputs(), replace=dict(replace)))

    def used(self) -> set[Variable]:
        """Inner variables that the step's results depend on."""
        return set(ancestors(self.inner_outputs(), blockers=self.inner_inputs()))

    # -- changing -------------------------------------------------------------------------------------------------

    def drop_unused_inputs(self) -> None:
        """Leave out sequences, readings and invariants that the step does not use."""
        used = self.used()
        self.seqs = [g for g in self.seqs if g.inner in used]
        self.nonseqs = [g for g in self.nonseqs if g.inner in used]
        for s in self.states:
            pairs = [(k, v) for k, v in zip(s.taps, s.readings, strict=True) if v in used]
            s.taps, s.readings = [k for k, _ in pairs], [v for _, v in pairs]

    def add_seq(self, outer: Variable, inner: Variable | None = None) -> Variable:
        """A further sequence; the inner variable for its rows."""
        from tinygraph.graph.tensortype import TensorType

        if inner is None:
            inner = TensorType(outer.type.dtype, outer.type.shape[1:])(outer.name)  # type: ignore
        self.seqs.append(Given(outer, inner))
        return inner

    def add_nonseq(self, outer: Variable) -> Variable:
        inner = outer.type.make_variable(outer.name)
        self.nonseqs.append(Given(outer, inner))
        return inner

    # -- putting together -----------------------------------------------------------------------------------------

    def build(self) -> tuple[Apply, dict[Variable, Variable]]:
        """The new node, and the outputs of the old one with what replaces them."""
        spec = self.spec.with_(
            n_seqs=len(self.seqs), n_nonseqs=len(self.nonseqs), until=self.stop is not None,
            limited=self.limit is not None, outs=tuple(o.keep for o in self.outs),
            states=tuple(State(tuple(s.taps), s.keep, s.depth) for s in self.states),
        )  # fmt: skip
        op = Scan(spec, InnerGraph(self.inner_inputs(), self.inner_outputs()))
        inputs = [self.n_steps] + ([self.limit] if self.limit is not None else [])
        inputs += (
            [g.outer for g in self.seqs] + [s.init for s in self.states] + [g.outer for g in self.nonseqs]
        )
        with origin_scope(self.origin):
            node = op.make_node(*inputs)
        replace: dict[Variable, Variable] = {}
        parts: list[Any] = [*self.states, *self.outs]
        for part, new in zip(parts, node.outputs, strict=False):
            replace.update({old: new for old in part.results})
        for s, history in zip(self.states, node.outputs, strict=False):
            h: Any = history
            replace.update({old: h[:k] if spec.backwards else h[-k:] for old, k in s.windows})
        if self.stop is not None:
            replace.update({old: node.outputs[-1] for old in self.steps_results})
        return node, replace
