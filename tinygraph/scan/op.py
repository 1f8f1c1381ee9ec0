"""The loop as an op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygraph.errors import ShapeMismatch, TypeMismatch
from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import Dim, Operand, UnknownDim
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.spec import ScanSpec

T = TypeVar("T")


class Outer(NamedTuple):
    """The outer inputs of a loop by role."""

    n_steps: Any
    limit: Any
    seqs: list[Any]
    inits: list[Any]
    nonseqs: list[Any]


class Inner(NamedTuple):
    """The inner inputs of a loop by role; ``taps[i]`` are the readings of state ``i``."""

    seqs: list[Any]
    taps: list[list[Any]]
    nonseqs: list[Any]


class Scan(Op):
    """A loop. ``spec`` says what its sequences, states and outputs are, ``inner`` is one step of it.

    Inputs: number of steps (an integer scalar), a bound known only while running (if ``spec.limited``), sequences,
    initial values of each state (``depth`` rows), invariants.
    Outputs: the history of each state (``depth + n_steps`` rows, or the newest ``keep`` of them), the rows of each
    output, and with ``spec.until`` the number of steps taken; rows after those are not defined.
    Raises ShapeMismatch where a sequence is too short or a new value is not of its state's shape.
    """

    __props__ = ("spec", "signature")
    #: the gradient asks which outputs take part in the cost at all
    accepts_missing_grads = True

    def __init__(self, spec: ScanSpec, inner: InnerGraph):
        self.spec = spec
        self.inner = inner
        assert len(inner.inputs) == spec.n_inner_inputs, (len(inner.inputs), spec)
        assert len(inner.outputs) == len(spec.states) + len(spec.outs) + spec.until
        free = inner.free_leaves()
        assert not free, f"{spec.label}: the step uses {free}, which it is not given"
        self._hash: int | None = None

    @property
    def inputs(self) -> list[Variable]:
        """The leaves of the inner graph: what a step is given."""
        return list(self.inner.inputs)

    @property
    def outputs(self) -> list[Variable]:
        """What the inner graph computes."""
        return list(self.inner.outputs)

    @property
    def signature(self) -> tuple:
        return self.inner.signature

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((type(self), self.spec, self.signature))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Scan) and hash(self) == hash(other)
            and self.spec == other.spec and self.signature == other.signature
        )  # fmt: skip

    def __str__(self) -> str:
        return f"Scan{{{self.spec.name}}}" if self.spec.name else "Scan"

    __repr__ = __str__

    # -- roles ----------------------------------------------------------------------------------------------------

    def outer(self, inputs: Sequence[T]) -> Outer:
        """A node's inputs (or anything given in their order) by role."""
        spec, at = self.spec, 2 if self.spec.limited else 1
        seqs = at + spec.n_seqs
        inits = seqs + len(spec.states)
        limit = inputs[1] if spec.limited else None
        return Outer(inputs[0], limit, list(inputs[at:seqs]), list(inputs[seqs:inits]), list(inputs[inits:]))

    def inner_roles(self, inputs: Sequence[T] | None = None) -> Inner:
        """The inner inputs (or anything given in their order) by role."""
        given: Sequence[Any] = self.inner.inputs if inputs is None else inputs
        taps, at = [], self.spec.n_seqs
        for s in self.spec.states:
            taps.append(list(given[at : at + len(s.taps)]))
            at += len(s.taps)
        return Inner(list(given[: self.spec.n_seqs]), taps, list(given[at:]))

    def split_outputs(self, outputs: Sequence[T]) -> tuple[list[T], list[T], T | None]:
        """Outputs of a node (or of the inner graph) as states, outputs, and steps taken (or condition)."""
        n, m = len(self.spec.states), len(self.spec.outs)
        return list(outputs[:n]), list(outputs[n : n + m]), outputs[n + m] if self.spec.until else None

    # -- types ----------------------------------------------------------------------------------------------------

    def make_node(self, *inputs: Any) -> Apply:
        variables = [as_variable(v) for v in inputs]
        spec = self.spec
        expected = 1 + spec.limited + spec.n_seqs + len(spec.states) + spec.n_nonseqs
        if len(variables) != expected:
            raise TypeMismatch(f"{spec.label}: {expected} inputs expected, got {len(variables)}")
        outer, inner = self.outer(variables), self.inner_roles()
        for v in (outer.n_steps, outer.limit):
            if v is not None and (v.type.ndim or v.type.dtype[0] not in "iu"):
                raise TypeMismatch(
                    f"{spec.label}: the number of steps must be an integer scalar, got {v} of type {v.type}"
                )
        for kind, pairs in (
            ("sequence", zip(outer.seqs, inner.seqs, strict=True)),
            (
                "initial value",
                [(o, i) for o, taps in zip(outer.inits, inner.taps, strict=True) for i in taps],
            ),
        ):
            for o, i in pairs:
                self._check(kind, o, i, TensorType(i.type.dtype, (None, *i.type.shape)))
        for o, i in zip(outer.nonseqs, inner.nonseqs, strict=True):
            self._check("non-sequence", o, i, i.type)
        return Apply(self, variables, [t() for t in self._output_types(outer)])

    def _check(self, kind: str, outer: Variable, inner: Variable, wanted: Any) -> None:
        fits = wanted.fits(outer.type) if isinstance(wanted, TensorType) else wanted == outer.type
        if not fits:
            raise TypeMismatch(
                f"{self.spec.label}: the {kind} {outer} of type {outer.type} must be of type {wanted}"
            )

    def _output_types(self, outer: Outer) -> list[TensorType]:
        states, outs, _ = self.split_outputs(self.inner.outputs)
        n = int(outer.n_steps.data) if isinstance(outer.n_steps, Constant) else None
        types = []
        for s, init, new in zip(self.spec.states, outer.inits, states, strict=True):
            rows = s.keep if s.keep is not None else None if n is None else n + s.depth
            item = [
                a if a is not None else b for a, b in zip(new.type.shape, init.type.shape[1:], strict=True)
            ]
            types.append(TensorType(new.type.dtype, (rows, *item)))
        for keep, out in zip(self.spec.outs, outs, strict=True):
            types.append(TensorType(out.type.dtype, (n if keep is None else keep, *out.type.shape)))
        return types + [TensorType("int64", ())] * self.spec.until

    # -- shapes ---------------------------------------------------------------------------------------------------

    #: the number of steps, and integers on which the sizes of the step's values may depend
    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        spec = self.spec
        first = 1 + spec.limited + spec.n_seqs + len(spec.states)
        integers = [
            first + k
            for k, v in enumerate(self.inner_roles().nonseqs)
            if isinstance(v.type, TensorType) and v.type.ndim <= 1 and v.type.dtype[0] in "iu"
        ]
        return (0, *integers)

    def infer(self, *inputs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        outer = self.outer(inputs)
        steps = outer.n_steps.scalar()
        self.check_lengths(steps, [x.shape[0] for x in outer.seqs], [x.shape[0] for x in outer.inits],
                           [x.var for x in (*outer.seqs, *outer.inits)])  # fmt: skip
        found: list[tuple[str, Sequence[Dim]]] = []
        for s, init in zip(self.spec.states, outer.inits, strict=True):
            rows = steps + s.depth if s.keep is None else s.keep
            found.append((init.dtype, (rows, *init.shape[1:])))
        for keep, out in zip(self.spec.outs, self.out_operands(outer), strict=True):
            found.append((out.dtype, (steps if keep is None else keep, *out.shape)))
        return found + [("int64", ())] * self.spec.until

    def out_operands(self, outer: Outer) -> list[Operand]:
        """What is known of one row of each output."""
        _, outs, _ = self.split_outputs(self.inner.outputs)
        if all(None not in o.type.shape for o in outs):  # type: ignore[attr-defined]
            return [Operand(o.type.dtype, o.type.shape, None, o) for o in outs]  # type: ignore
        known = self.inner.operands(self.inner_operands(outer), outs)
        found = []
        for o in outs:
            shape = tuple(  # what the shape rules leave open the type may know
                k if isinstance(d, UnknownDim) and k is not None else d
                for d, k in zip(known[o].shape, o.type.shape, strict=True)  # type: ignore[attr-defined]
            )
            found.append(Operand(known[o].dtype, shape, None, o))
        return found

    def inner_operands(self, outer: Outer) -> list[Operand]:
        """The inner inputs as shape rules see them."""
        roles = self.inner_roles()
        found = [
            Operand(o.dtype, tuple(o.shape[1:]), None, i) for o, i in zip(outer.seqs, roles.seqs, strict=True)
        ]
        for o, taps in zip(outer.inits, roles.taps, strict=True):
            found += [Operand(o.dtype, tuple(o.shape[1:]), None, i) for i in taps]
        return found + [
            Operand(o.dtype, o.shape, o.value, i) for o, i in zip(outer.nonseqs, roles.nonseqs, strict=True)
        ]

    def extra_sizes(self, *inputs: Operand) -> Sequence[Dim]:
        """The number of steps."""
        return (inputs[0].scalar(),)

    def check_lengths(
        self, steps: Dim, seqs: Sequence[Dim], inits: Sequence[Dim], names: Sequence[Any]
    ) -> None:
        """ShapeMismatch unless there is a row for each step, where that is known; ``names`` of sequences and states."""
        if not isinstance(steps, int):
            return
        label = self.spec.label
        if steps < 0:
            raise ShapeMismatch(
                f"{label}: the number of steps is {steps}; a loop cannot run a negative number of steps. To run over "
                "sequences from their end give go_backwards=True and a positive n_steps"
            )
        if steps < self.spec.at_least:
            raise ShapeMismatch(
                f"{label}: {steps} steps, but {self.spec.at_least} of the last results are asked for (such as "
                "result[-1]); a loop without steps has none"
            )
        for k, n in enumerate(seqs):
            if isinstance(n, int) and n < steps:
                raise ShapeMismatch(too_short(label, f"sequence {k} ({names[k]})", n, steps))
        for k, (s, n) in enumerate(zip(self.spec.states, inits, strict=True)):
            if isinstance(n, int) and n != s.depth:
                name = names[len(seqs) + k]
                raise ShapeMismatch(f"{label}: state {k} needs {s.depth} initial values, got {n} ({name})")

    def do_constant_folding(self, fgraph: Any, node: Apply) -> bool:
        """Loops run when the function does: how long they take is the user's affair."""
        return False

    # -- meaning --------------------------------------------------------------------------------------------------

    def forward(self, *inputs: Any) -> Any:
        """The loop in plain Python: what every target is tested against."""
        spec, outer = self.spec, self.outer(inputs)
        n = int(outer.n_steps)
        bound = n if outer.limit is None else min(n, int(outer.limit))
        histories: list[dict[int, Any]] = []
        for s, init in zip(spec.states, outer.inits, strict=True):
            first = bound if spec.backwards else 0
            histories.append({first + j: init[j] for j in range(s.depth)})
        rows: list[dict[int, Any]] = [{} for _ in spec.outs]
        taken = 0
        for t in range(bound - 1, -1, -1) if spec.backwards else range(bound):
            args = [seq[t] for seq in outer.seqs]
            for s, h in zip(spec.states, histories, strict=True):
                args += [h[t + k] if spec.backwards else h[t + s.depth - k] for k in s.taps]
            new, made, stop = self.split_outputs(self.inner.run([*args, *outer.nonseqs]))
            for k, (s, h, value) in enumerate(zip(spec.states, histories, new, strict=True)):
                self.check_state_shape(k, np.shape(outer.inits[k])[1:], np.shape(value))
                h[t if spec.backwards else t + s.depth] = value
            for r, value in zip(rows, made, strict=True):
                r[t] = value
            taken += 1
            if spec.until and bool(stop):
                break
        return self._collect(outer, histories, rows, n, taken)

    def _collect(self, outer: Outer, histories: list[dict], rows: list[dict], n: int, taken: int) -> tuple:
        spec = self.spec
        found = []
        for s, h, init in zip(spec.states, histories, outer.inits, strict=True):
            full = np.zeros((n + s.depth, *init.shape[1:]), init.dtype)
            for i, value in h.items():
                full[i] = value
            used = taken + s.depth
            if s.keep is None:
                found.append(full)
            else:
                found.append(full[: s.keep] if spec.backwards else full[used - s.keep : used])
        for keep, r, operand in zip(spec.outs, rows, self._row_shapes(outer, rows), strict=True):
            dtype, shape = operand
            full = np.zeros((n, *shape), dtype)
            for t, value in r.items():
                full[t] = value
            found.append(
                full if keep is None else full[:keep] if spec.backwards else full[taken - keep : taken]
            )
        return (*found, np.asarray(taken, "int64")) if spec.until else tuple(found)

    def _row_shapes(self, outer: Outer, rows: list[dict]) -> list[tuple[str, tuple[int, ...]]]:
        """Dtype and shape of a row of each output, also if no step was taken."""
        if all(rows):
            return [(str(v.dtype), v.shape) for r in rows for v in [np.asarray(next(iter(r.values())))]]
        seqs, inits, nonseqs = (
            [_operand_of(x) for x in xs] for xs in (outer.seqs, outer.inits, outer.nonseqs)
        )
        found = self.out_operands(Outer(None, None, seqs, inits, nonseqs))
        return [(o.dtype, tuple(d if isinstance(d, int) else 0 for d in o.shape)) for o in found]

    def check_state_shape(self, k: int, have: Sequence[Any], new: Sequence[Any]) -> None:
        """ShapeMismatch unless a new value of state ``k`` is of its initial value's shape."""
        if tuple(have) != tuple(new):
            raise ShapeMismatch(
                f"{self.spec.label}: output {k} is of shape {tuple(new)} after a step, but its initial value is "
                f"of shape "
                f"{tuple(have)}; they must agree: give outputs_info an initial value of shape {tuple(new)} (for "
                f"instance "
                "T.zeros(...) or T.alloc(initial, ...)), or reduce what the step returns"
            )

    # -- gradients ------------------------------------------------------------------------------------------------

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        from tinygraph.scan.connections import connection_pattern

        return connection_pattern(self)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.scan.grad import scan_vjp

        return scan_vjp(self, inputs, grads)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.scan.rop import scan_jvp

        return scan_jvp(self, inputs, tangents)

    # -- lowering -------------------------------------------------------------------------------------------------

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        from tinygraph.scan.lower import lower_scan

        return lower_scan(self, b, node, inputs)


def _operand_of(x: Any) -> Operand:
    """What shape rules see of a value."""
    if not isinstance(x, (np.ndarray, np.generic)):
        return Operand("object", (), None, None)
    value: Any = None
    if x.dtype.kind in "iu" and x.ndim <= 1 and x.size <= 64:
        value = int(x) if x.ndim == 0 else tuple(int(d) for d in x.tolist())
    return Operand(str(x.dtype), x.shape, value, None)


def too_short(label: str, what: str, rows: int, steps: int) -> str:
    """The message for a sequence with fewer elements than there are steps."""
    return (
        f"{label}: {what} has {rows} elements for {steps} steps; make it longer, or leave n_steps out to run as far as "
        "the shortest sequence goes"
    )
