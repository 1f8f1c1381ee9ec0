"""``function``: from expressions to something that can be called."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

from tinygraph.compile.builders import expand
from tinygraph.compile.compiled import CompiledFunction
from tinygraph.compile.io import In, Out
from tinygraph.compile.mode import get_mode
from tinygraph.compile.updates import checked_updates, fitting, update_pairs, with_default_updates
from tinygraph.config import config
from tinygraph.errors import MissingInputError, TypeMismatch, UnusedInputError
from tinygraph.graph.convert import as_variable
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.shared import Container, SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import ancestors, mentioned, toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.variable import TensorSharedVariable


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
    inputs : variables, or ``In`` declarations (default values, names, updates of inputs)
    outputs : an expression, a list or dict of them (or ``Out``), or None
    updates : pairs (shared variable, new value), applied together after all outputs are computed
    givens : pairs (variable, expression) to compute with instead of the variable
    mode : a Mode or its name
    accept_inplace, rebuild_strict : accepted for Theano's sake; nothing here needs them
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
    cells = [_cell(d) for d in declared]
    results, rebuild, borrowed = _outputs(outputs)
    pairs = checked_updates(updates)
    for d, cell in zip(declared, cells, strict=True):
        if d.update is not None and cell is not None:
            pairs[cell] = fitting(cell, d.update)
    variables = [d.variable for d in declared]
    pairs, exprs = with_default_updates(pairs, results, _givens(givens, declared), no_default_updates, variables)
    needed = set(ancestors(exprs, blockers=variables))
    _check_inputs(variables, needed, on_unused_input, exprs)
    fgraph = FunctionGraph(variables, exprs)
    expand(fgraph)
    return CompiledFunction(
        fgraph,
        declared,
        len(results),
        list(pairs),
        rebuild,
        borrowed,
        get_mode(mode),
        config.freeze(),
        name=name,
        profile=profile,
        cells=cells,
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
            found[variable] = variable.type.filter_variable(expression)
        except TypeError as error:
            given = getattr(expression, "type", type(expression).__name__)
            raise TypeMismatch(
                f"givens: {variable} of type {variable.type} cannot be replaced by a value of type {given}"
            ) from error
    return found


def _cell(d: In) -> SharedVariable | None:
    """Where an input's default value is kept: a shared variable that belongs to the function."""
    if d.value is None:
        return None
    container = d.value.container if isinstance(d.value, SharedVariable) else d.value
    kind = TensorSharedVariable if isinstance(d.variable.type, TensorType) else SharedVariable
    if isinstance(container, Container):
        if container.type != d.variable.type:
            raise TypeMismatch(f"In: {d.variable} of type {d.variable.type} cannot share a value of {container.type}")
        return kind(d.variable.type, None, d.name, container=container)
    try:
        value = d.variable.type.filter(d.value, strict=d.strict, allow_downcast=d.allow_downcast)
    except TypeError as error:
        raise TypeMismatch(f"In: bad default value for {d.variable}: {error}") from None
    return kind(d.variable.type, value if d.borrow or value is not d.value else copy.deepcopy(value), d.name)


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
    unused = [(i, v) for i, v in enumerate(variables) if v not in needed]
    if unused:
        derived = mentioned(exprs)  # the gradient of x * y by x takes y alone, but was derived from x as well
        unused = [(i, v) for i, v in unused if v not in derived]
    for i, v in unused:
        message = (
            f"input {i} ({v}) takes no part in the outputs or updates; leave it out, "
            "or pass on_unused_input='ignore' or 'warn'"
        )
        if how == "raise":
            raise UnusedInputError(message)
        warnings.warn(message, stacklevel=4)


def _missing(v: Variable, exprs: Sequence[Variable]) -> str:
    where = f"\n  made at {v.origin.text()}" if v.origin is not None else ""
    user = next((n for n in toposort(exprs) if v in n.inputs), None)
    use = f"\n  used by {user}" + (f" at {user.origin}" if user.origin is not None else "") if user is not None else ""
    return f"the variable {v} of type {v.type} is needed but is not an input, and has no value{where}{use}"
