"""``function``: from expressions to something that can be called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.compile.compiled import CompiledFunction
from tinygraph.compile.io import In, Out
from tinygraph.compile.mode import get_mode
from tinygraph.compile.updates import checked_updates, update_pairs, with_default_updates
from tinygraph.config import config
from tinygraph.errors import MissingInputError, TypeMismatch, UnusedInputError
from tinygraph.graph.convert import as_variable
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.traversal import ancestors, clone
from tinygraph.graph.variable import Constant, Variable


def function(
    inputs: Any = (),
    outputs: Any = None,
    mode: Any = None,
    updates: Any = None,
    givens: Any = None,
    no_default_updates: Any = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: str | None = None,
) -> CompiledFunction:
    """Compile ``outputs`` and ``updates`` into a function of ``inputs``.

    Parameters
    ----------
    inputs : variables, or ``In`` declarations
    outputs : an expression, a list or dict of them (or ``Out``), or None
    updates : pairs (shared variable, new value), applied together after all outputs are computed
    givens : pairs (variable, expression) to compute with instead of the variable
    mode : a Mode or its name
    no_default_updates : True, or a list of shared variables that are not to follow their default update
    allow_input_downcast : True lets arguments lose precision, False refuses even Python floats for float32
    on_unused_input : 'raise', 'warn' or 'ignore'
    profile : True to collect times

    Raises
    ------
    MissingInputError, UnusedInputError, InvalidUpdate, TypeMismatch
    """
    if not isinstance(inputs, (list, tuple)):
        raise TypeMismatch(f"inputs must be a list of variables, got {inputs!r}; write function([x], ...)")
    declared = [_declare(x, allow_input_downcast) for x in inputs]
    _check_distinct(declared)
    results, rebuild, borrowed = _outputs(outputs)
    pairs = checked_updates(updates)
    own_state: dict[Variable, SharedVariable] = {}
    for d in declared:
        if d.update is not None:
            own_state[d.variable] = _stored_input(d)
    replace = {**_givens(givens, declared), **own_state}
    roots = [*results, *pairs.values(), *replace.values()]
    pairs = with_default_updates(pairs, [*results, *pairs.values(), *_replaced_roots(roots, replace)], no_default_updates)
    for d in declared:
        if d.update is not None:
            pairs[own_state[d.variable]] = as_variable(d.update)
    exprs = [*results, *pairs.values()]
    if replace:
        exprs = clone(exprs, replace=replace)
    arguments = [d for d in declared if d.variable not in own_state]
    variables = [d.variable for d in arguments]
    needed = set(ancestors(exprs, blockers=variables))
    _check_inputs(variables, needed, on_unused_input, exprs)
    fgraph = FunctionGraph(variables, exprs)
    return CompiledFunction(
        fgraph,
        arguments,
        len(results),
        list(pairs),
        rebuild,
        borrowed,
        get_mode(mode),
        config.freeze(),
        name=name,
        profile=profile,
        stored=own_state,
    )


def _declare(x: Any, allow_downcast: bool | None) -> In:
    if isinstance(x, In):
        if x.allow_downcast is None:
            x.allow_downcast = allow_downcast
        return x
    if isinstance(x, SharedVariable):
        raise TypeMismatch(
            f"the shared variable {x} cannot be an input: it is found by itself; to replace its value use givens"
        )
    if isinstance(x, (tuple, list)) and len(x) == 2 and isinstance(x[0], Variable):
        return In(x[0], value=x[1], allow_downcast=allow_downcast)
    if not isinstance(x, Variable):
        raise TypeMismatch(f"an input must be a symbolic variable or In(...), got {x!r} ({type(x).__name__})")
    return In(x, allow_downcast=allow_downcast)


def _check_distinct(declared: Sequence[In]) -> None:
    seen: set[Variable] = set()
    for d in declared:
        if d.variable in seen:
            raise UnusedInputError(f"the variable {d.variable} is listed twice among the inputs")
        seen.add(d.variable)


def _outputs(outputs: Any) -> tuple[list[Variable], Any, list[bool]]:
    """Output expressions in order, how to hand their values back, and which may be borrowed."""
    if outputs is None:
        return [], [], []
    if isinstance(outputs, dict):
        for key in outputs:
            if not isinstance(key, str):
                raise TypeMismatch(f"the keys of an outputs dictionary must be strings, got {key!r}")
        keys = list(outputs)
        found = [_output(outputs[k]) for k in keys]
        return [v for v, _ in found], keys, [b for _, b in found]
    if isinstance(outputs, (list, tuple)):
        found = [_output(o) for o in outputs]
        return [v for v, _ in found], list, [b for _, b in found]
    v, borrow = _output(outputs)
    return [v], None, [borrow]


def _output(o: Any) -> tuple[Variable, bool]:
    if isinstance(o, Out):
        return o.variable, o.borrow
    try:
        return as_variable(o), False
    except TypeError as error:
        raise TypeMismatch(f"an output must be an expression, got {o!r} ({type(o).__name__})") from error


def _givens(givens: Any, declared: Sequence[In]) -> dict[Variable, Variable]:
    found: dict[Variable, Variable] = {}
    for variable, expression in update_pairs(givens):
        if not isinstance(variable, Variable):
            raise TypeMismatch(f"givens replace variables, got {variable!r}")
        if variable in found:
            raise TypeMismatch(f"givens replace {variable} twice")
        if any(d.variable is variable for d in declared):
            raise TypeMismatch(f"{variable} is an input and cannot be replaced by givens too")
        try:
            expression = as_variable(expression)
            found[variable] = variable.type.filter_variable(expression)
        except TypeError as error:
            given = getattr(expression, "type", type(expression).__name__)
            raise TypeMismatch(
                f"givens: {variable} of type {variable.type} cannot be replaced by a value of type {given}"
            ) from error
    return found


def _replaced_roots(roots: Sequence[Variable], replace: dict[Variable, Variable]) -> list[Variable]:
    return [replace[v] for v in ancestors(roots) if v in replace]


def _stored_input(d: In) -> SharedVariable:
    """State behind an input with an update: a shared variable that belongs to the function."""
    from tinygraph.tensor.variable import TensorSharedVariable

    return TensorSharedVariable(d.variable.type, d.variable.type.filter(d.value), d.name)


def _check_inputs(
    variables: Sequence[Variable], needed: set[Variable], on_unused: str | None, exprs: Sequence[Variable]
) -> None:
    given = set(variables)
    for v in needed:
        if v.owner is None and v not in given and not isinstance(v, (Constant, SharedVariable)):
            raise MissingInputError(_missing(v, exprs))
    how = on_unused or config.on_unused_input
    if how not in ("raise", "warn", "ignore"):
        raise ValueError(f"on_unused_input must be 'raise', 'warn' or 'ignore', got {how!r}")
    if how == "ignore":
        return
    for i, v in enumerate(variables):
        if v not in needed:
            message = (
                f"input {i} ({v}) takes no part in the outputs or updates; leave it out, "
                "or pass on_unused_input='ignore' or 'warn'"
            )
            if how == "raise":
                raise UnusedInputError(message)
            import warnings

            warnings.warn(message, stacklevel=4)


def _missing(v: Variable, exprs: Sequence[Variable]) -> str:
    where = f"\n  made at {v.origin.text()}" if v.origin is not None else ""
    users = [n for e in exprs for n in ([e.owner] if e.owner is not None and v in e.owner.inputs else [])]
    use = f"\n  used by {users[0]}" if users else ""
    return f"the variable {v} of type {v.type} is needed but is not an input, and has no value{where}{use}"
