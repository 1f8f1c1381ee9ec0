"""``scan``: from a step function to a loop in the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygraph.errors import InvalidUpdate, InvalidValue, MissingInputError, TypeMismatch
from tinygraph.graph.examples import no_examples, share_example
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import clone, toposort
from tinygraph.graph.variable import Constant, Variable, next_serial
from tinygraph.scan import arguments
from tinygraph.scan.arguments import Output
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.op import Scan
from tinygraph.scan.ordered_updates import OrderedUpdates
from tinygraph.scan.pending import mark_update, newest, pending_updates
from tinygraph.scan.returned import Returned, read_returned
from tinygraph.scan.spec import ScanSpec, State
from tinygraph.tensor.basic import constant


def scan(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: bool | None = None,
    strict: bool = False,
    return_list: bool = False,
    recompute: bool = False,
) -> tuple[Any, OrderedUpdates]:
    """Run ``fn`` step after step over the first dimension of ``sequences``; return ``(outputs, updates)``.

    ``fn`` is called once, on symbolic arguments in this order: for each sequence its taps as listed, for each output
    that is fed back its taps as listed, then ``non_sequences``. It returns outputs (a variable or a list), or
    updates of shared variables (a dict or pairs), or both, and last perhaps ``until(condition)``. It may use any
    other variable.

    Parameters
    ----------
    sequences : tensors, or ``dict(input=x, taps=[-1, 0, 2])``: step t reads ``x[t + tap]``, counted so that the lowest
        tap of the first step reads ``x[0]``
    outputs_info : for each output None (not fed back), its initial value, or ``dict(initial=x, taps=[-2, -1])``, where
        ``x`` stacks as many values as the taps reach back; ``return_steps=k`` returns the last k steps only
    non_sequences : what is the same at every step
    n_steps : number of steps, by default as many as the shortest sequence allows. Zero steps give outputs of zero rows.
        A negative number -n runs n steps in the other direction (as ``go_backwards`` does).
    truncate_gradient : how many steps back gradients go (truncated backpropagation through time), -1 for all
    go_backwards : read sequences from their end
    strict : every shared variable that ``fn`` uses must be listed among the sequences or non-sequences
    return_list : return a list of outputs even if there is only one
    recompute : the gradient computes each step again from the states before it, instead of keeping what it needs
    mode, profile, allow_gc : accepted; the loop is compiled as part of the function that uses it

    Returns
    -------
    outputs : each with one row for each step; a list if there are several, None if there are none
    updates : new values after the last step of the shared variables that the step updates; pass them to ``function``
        (which applies them too if they are forgotten)

    Raises
    ------
    TypeMismatch, InvalidValue, ShapeMismatch, MissingInputError, InvalidUpdate: naming the loop, and what to change

    Example
    -------
    >>> import tinygraph, tinygraph.tensor as T
    >>> x = T.vector("x")
    >>> total, updates = tinygraph.scan(lambda element, so_far: so_far + element, sequences=x, outputs_info=[0.0])
    >>> tinygraph.function([x], total, updates=updates)([1, 2, 3]).tolist()
    [1.0, 3.0, 6.0]
    """
    label = f"scan {name!r}" if name else "scan"
    _check_options(label, fn, truncate_gradient)
    loop = _Builder(
        label,
        name or "",
        arguments.sequences_of(sequences, label),
        arguments.outputs_of(outputs_info, label),
        arguments.non_sequences_of(non_sequences, label),
    )
    steps, turned = arguments.steps_of(n_steps, label)
    loop.set_length(steps, bool(go_backwards) != turned)
    loop.call(fn, strict)
    outputs = loop.build(truncate_gradient, recompute)
    if not return_list:
        outputs = outputs[0] if len(outputs) == 1 else outputs or None  # type: ignore[assignment]
    return outputs, loop.updates


def _check_options(label: str, fn: Any, truncate: Any) -> None:
    if not callable(fn):
        raise TypeMismatch(f"{label}: the first argument must be a step function, got {fn!r}")
    if isinstance(truncate, bool) or not isinstance(truncate, int) or truncate < -1:
        raise InvalidValue(f"{label}: truncate_gradient must be -1 or a number of steps, got {truncate!r}")


@dataclass
class _StateArgs:
    """A state while the loop is built: outer initial rows, inner readings, the step's new value."""

    init: Variable
    taps: tuple[int, ...]
    readings: list[Variable]
    new: Variable | None = None


@dataclass
class _Builder:
    """Collects the parts of one loop."""

    label: str
    name: str
    sequences: list[arguments.Sequence]
    outputs: list[Output] | None
    non_sequences: list[Variable]
    n_steps: Any = None
    seqs: list[tuple[Variable, Variable]] = field(default_factory=list)  # (outer, inner)
    states: list[_StateArgs] = field(default_factory=list)
    plain: list[Variable] = field(default_factory=list)  # inner outputs that are not fed back
    carried: list[SharedVariable] = field(default_factory=list)
    nonseqs: list[tuple[Variable, Variable]] = field(default_factory=list)
    condition: Variable | None = None
    updates: OrderedUpdates = field(default_factory=OrderedUpdates)

    # -- before the step ------------------------------------------------------------------------------------------

    def set_length(self, steps: Any, backwards: bool) -> None:
        """Slice the sequences, one for each tap, and decide the number of steps."""
        from tinygraph.tensor.shape import shape_i

        rows: list[Variable] = []
        lengths: list[Any] = []
        for s in self.sequences:
            pieces = _tap_slices(s)
            rows += [p[::-1] for p in pieces] if backwards else pieces  # type: ignore[index]
            lengths.append(pieces[0])
        if steps is None:
            if not lengths:
                raise InvalidValue(
                    f"{self.label}: how many steps? There is no sequence to count; give n_steps, or a sequence"
                )
            known = [p.type.shape[0] for p in lengths]
            if None not in known:
                steps = min(known)
            else:
                steps = _smallest([shape_i(p, 0) for p in lengths])
        elif isinstance(steps, int):
            self._check_known_lengths(steps, lengths)
        self.n_steps = constant(steps, dtype="int64") if isinstance(steps, int) else _int64(steps)
        for s in self.sequences:
            for t in s.taps:
                outer = rows[len(self.seqs)]
                inner = TensorType(outer.type.dtype, outer.type.shape[1:])(_tap_name(s.input, t))  # type: ignore
                share_example(inner, outer, lambda x: x[0])
                self.seqs.append((outer, inner))

    def _check_known_lengths(self, steps: int, pieces: Sequence[Variable]) -> None:
        for k, (s, p) in enumerate(zip(self.sequences, pieces, strict=True)):
            n = p.type.shape[0]  # type: ignore[attr-defined]
            if n is not None and n < steps:
                taps = f" with taps {list(s.taps)}" if s.taps != (0,) else ""
                raise InvalidValue(
                    f"{self.label}: sequence {k} ({s.input}){taps} is long enough for {n} steps, but n_steps is "
                    f"{steps}; "
                    "make it longer, or leave n_steps out to run as far as the shortest sequence goes"
                )

    def _state_of(self, k: int, info: Output) -> _StateArgs:
        """A state for output ``k``, with inner variables to read it by."""
        from tinygraph.tensor.shape import shape_padleft

        initial: Any = info.initial
        depth = info.depth
        if not info.stacked:
            rows, item = shape_padleft(initial), initial.type.shape
        else:
            known = initial.type.shape[0]
            if known is not None and known < depth:
                raise InvalidValue(
                    f"{self.label}: outputs_info[{k}] has taps {list(info.taps)}, so 'initial' must hold "
                    f"{depth} values; "
                    f"{initial} holds {known}"
                )
            rows, item = initial if known == depth else initial[:depth], initial.type.shape[1:]
        kind = TensorType(initial.type.dtype, item)
        readings = [kind(_tap_name(initial, t)) for t in info.taps]
        for v, t in zip(readings, info.taps, strict=True):
            share_example(v, rows, lambda x, row=depth + t: x[row])
        return _StateArgs(rows, tuple(-t for t in info.taps), readings)

    # -- the step -------------------------------------------------------------------------------------------------

    def call(self, fn: Callable[..., Any], strict: bool) -> None:
        """Call the step function, and sort what it gives."""
        infos = self.outputs or []
        states = {k: self._state_of(k, info) for k, info in enumerate(infos) if info.taps}
        started = next_serial()
        args = [v for _, v in self.seqs]
        args += [v for s in states.values() for v in s.readings]
        try:
            given = read_returned(fn(*args, *self.non_sequences), self.label)
        except TypeError as error:
            _explain_arguments(error, fn, args, self.non_sequences, self.label)
            raise
        outputs = self._matched(given.outputs)
        for k, out in enumerate(outputs):
            if k in states:
                states[k].new = self._as_state(k, out, states[k].readings[0])
            else:
                self.plain.append(out)
        self.states = list(states.values())
        self.condition = given.condition
        self._carry_updates(given, started)
        self._close(args, started, strict)

    def _matched(self, outputs: list[Variable]) -> list[Variable]:
        if not self.outputs:
            self.outputs = [Output() for _ in outputs]
        if len(outputs) != len(self.outputs):
            raise InvalidValue(
                f"{self.label}: the step function returns {len(outputs)} outputs, but outputs_info has "
                f"{len(self.outputs)} entries; give one for each output, None for those that are not fed back"
            )
        for k, v in enumerate(outputs):
            if not isinstance(v.type, TensorType):
                raise TypeMismatch(f"{self.label}: output {k} must be a tensor, got {v} of type {v.type}")
        return outputs

    def _as_state(self, k: int, new: Variable, reading: Variable) -> Variable:
        """The new value of output ``k``, of its initial value's type."""
        want, have = reading.type, new.type
        where = f"\n  built at {new.origin.text()}" if new.origin is not None else ""
        if have.dtype != want.dtype:
            raise TypeMismatch(
                f"{self.label}: output {k} has dtype {have.dtype} after a step, but its initial value has dtype "
                f"{want.dtype}; they must agree. Cast what the step returns: T.cast(output, {want.dtype!r}), or give "
                f"outputs_info[{k}] an initial value of dtype {have.dtype}{where}"
            )
        if not want.fits(have):
            raise TypeMismatch(
                f"{self.label}: output {k} has {_shape_text(have)} after a step, but its initial value has "
                f"{_shape_text(want)}; they must agree. Give outputs_info[{k}] an initial value of the output's "
                f"shape, or "
                f"use dict(initial=..., taps=[-2, -1]) if it stacks several steps{where}"
            )
        return new

    def _carry_updates(self, given: Returned, started: int) -> None:
        """Shared variables that the step updates become states."""
        found: dict[SharedVariable, Variable] = {}
        for variable, new in given.updates:
            if not isinstance(variable, SharedVariable):
                raise InvalidUpdate(
                    f"{self.label}: only shared variables can be updated by a step, got {variable!r}"
                )
            found[variable] = _fitting(variable, new, self.label)
        queue = [*given.outputs, *found.values()] + ([given.condition] if given.condition is not None else [])
        while queue:
            nodes, leaves = _built_since(queue, started)
            more = pending_updates(nodes)
            for v in leaves:
                default = getattr(v, "default_update", None)
                if default is not None and isinstance(v, SharedVariable) and v not in more:
                    more[v] = default
            queue = [new for v, new in more.items() if v not in found]
            for v, new in more.items():
                found.setdefault(v, _fitting(v, new, self.label))
        from tinygraph.tensor.shape import shape_padleft

        for v, new in found.items():
            if not isinstance(v.type, TensorType):
                raise InvalidUpdate(
                    f"{self.label}: the shared variable {v} is no tensor; a loop cannot carry it"
                )
            self.carried.append(v)
            self.states.append(_StateArgs(shape_padleft(v), (1,), [v.type(v.name)], new))

    # -- the inner graph ------------------------------------------------------------------------------------------

    def _roots(self) -> list[Variable]:
        roots: list[Any] = [s.new for s in self.states] + self.plain
        return roots + ([self.condition] if self.condition is not None else [])

    def _close(self, args: list[Variable], started: int, strict: bool) -> None:
        """Everything that does not change from step to step becomes an invariant, computed before the loop."""
        roots = self._roots()
        moving: set[Variable] = {*args, *self.carried}
        nodes = toposort(roots, blockers=moving)
        for node in nodes:
            impure = not node.op.pure and node.serial >= started
            if impure or any(v in moving for v in node.inputs):
                moving.update(node.outputs)
        fixed: dict[Variable, None] = {}
        for v in [*(i for n in nodes if n.outputs[0] in moving for i in n.inputs), *roots]:
            if v not in moving and not isinstance(v, Constant):
                fixed[v] = None
        if strict:
            self._check_listed(list(fixed))
        replace: dict[Variable, Variable] = {v: v.type.make_variable(v.name) for v in fixed}
        self.nonseqs = list(replace.items())
        for s, v in zip(self.states[len(self.states) - len(self.carried) :], self.carried, strict=True):
            replace[v] = s.readings[0]
        with no_examples():
            moved = clone(roots, replace=replace) if replace else roots
        for s, new in zip(self.states, moved, strict=False):
            s.new = new
        self.plain = moved[len(self.states) : len(self.states) + len(self.plain)]
        if self.condition is not None:
            self.condition = moved[-1]

    def _check_listed(self, fixed: list[Variable]) -> None:
        """Of a strict loop: what it takes from outside is computed from listed shared variables alone."""
        listed = {*self.non_sequences, *(s.input for s in self.sequences)}
        for v in [*fixed, *(i for n in toposort(fixed, blockers=listed) for i in n.inputs)]:
            if isinstance(v, SharedVariable) and v not in listed:
                raise MissingInputError(
                    f"{self.label}: with strict=True every shared variable that the step uses must be listed; add {v} "
                    f"(of type {v.type}) to non_sequences"
                )

    # -- the node -------------------------------------------------------------------------------------------------

    def build(self, truncate: int, recompute: bool = False) -> list[Variable]:
        """Make the node; the user's outputs in order."""
        states = tuple(State(s.taps, None, max(s.taps)) for s in self.states)
        spec = ScanSpec(
            len(self.seqs), states, (None,) * len(self.plain), len(self.nonseqs),
            until=self.condition is not None, truncate=truncate, recompute=recompute, name=self.name,
        )  # fmt: skip
        inner_inputs = [v for _, v in self.seqs] + [v for s in self.states for v in s.readings]
        inner = InnerGraph([*inner_inputs, *(v for _, v in self.nonseqs)], self._roots())
        node = Scan(spec, inner).make_node(
            self.n_steps,
            *(o for o, _ in self.seqs),
            *(s.init for s in self.states),
            *(o for o, _ in self.nonseqs),
        )
        histories, plain, taken = node.op.split_outputs(node.outputs)  # type: ignore[attr-defined]
        first = len(self.states) - len(self.carried)
        for v, h in zip(self.carried, histories[first:], strict=True):
            mark_update(h, v, self)
            self.updates[v] = newest(h)
        return self._user_outputs(histories, plain, taken)

    def _user_outputs(self, histories: list[Any], plain: list[Any], taken: Any) -> list[Variable]:
        outputs = []
        it, others = iter(zip(histories, self.states, strict=True)), iter(plain)
        for info in self.outputs or []:
            if info.taps:
                h, s = next(it)
                depth = max(s.taps)
                out = h[depth:] if taken is None else h[depth : taken + depth]
            else:
                out = next(others)
                out = out if taken is None else out[:taken]
            if info.return_steps:
                out = out[-1] if info.return_steps == 1 else out[-info.return_steps :]
            outputs.append(out)
        return outputs


def _tap_slices(s: arguments.Sequence) -> list[Any]:
    """For each tap the sequence shifted by it, all of one length."""
    low, high = min(0, *s.taps), max(0, *s.taps)
    pieces = []
    for t in s.taps:
        start, end = t - low, t - high
        pieces.append(s.input if start == end == 0 else s.input[start : end or None])
    return pieces


def _tap_name(v: Variable, tap: int) -> str | None:
    if v.name is None:
        return None
    return f"{v.name}[t{f'{tap:+d}' if tap else ''}]"


def _int64(v: Any) -> Any:
    from tinygraph.tensor.maths import cast_to

    return v if v.type.dtype == "int64" else cast_to(v, "int64")


def _smallest(lengths: Sequence[Any]) -> Any:
    from tinygraph.tensor.maths import minimum

    out = lengths[0]
    for n in lengths[1:]:
        out = minimum(out, n)
    return out


def _shape_text(t: Any) -> str:
    return f"{t.ndim} dimension{'s' if t.ndim != 1 else ''} (type {t})"


def _fitting(variable: SharedVariable, new: Any, label: str) -> Variable:
    from tinygraph.tensor.basic import as_tensor_variable

    new = as_tensor_variable(new)
    try:
        return variable.type.filter_variable(new)
    except TypeError as error:
        raise InvalidUpdate(
            f"{label}: the step updates the shared variable {variable} of type {variable.type} by a value of type "
            f"{new.type}; they must agree"
        ) from error


def _built_since(roots: Sequence[Variable], started: int) -> tuple[list[Any], list[Variable]]:
    """Nodes behind ``roots`` that are younger than ``started``, and the variables at which they begin."""
    nodes: dict[Any, None] = {}
    leaves: dict[Variable, None] = {}
    stack = list(roots)
    seen: set[Variable] = set()
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if v.owner is None or v.owner.serial < started:
            leaves[v] = None
        else:
            nodes[v.owner] = None
            stack.extend(v.owner.inputs)
    return list(nodes), list(leaves)


def _explain_arguments(
    error: TypeError, fn: Any, args: Sequence[Variable], nonseqs: Sequence[Variable], label: str
) -> None:
    """Where a call failed for its number of arguments, say what scan passes."""
    if "argument" in str(error) and "positional" in str(error):
        names = ", ".join(str(v) for v in [*args, *nonseqs])
        error.add_note(
            f"  {label} calls its step function with {len(args) + len(nonseqs)} arguments: {names}"
        )
