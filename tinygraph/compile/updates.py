"""Collecting updates: what the caller gives, and shared variables' default updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygraph.errors import InvalidUpdate, TypeMismatch
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.traversal import clone, toposort
from tinygraph.graph.traversal import inputs as graph_leaves
from tinygraph.graph.variable import Variable


def update_pairs(updates: Any) -> list[tuple[Any, Any]]:
    """``updates`` (dict, or pairs) as a list of pairs."""
    if updates is None:
        return []
    if isinstance(updates, Mapping):
        return list(updates.items())
    pairs = []
    for item in updates:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise InvalidUpdate(f"an update must be a pair (shared variable, expression), got {item!r}")
        pairs.append((item[0], item[1]))
    return pairs


def checked_updates(updates: Any) -> dict[SharedVariable, Variable]:
    """Updates by variable, each expression of its variable's type."""
    found: dict[SharedVariable, Variable] = {}
    for variable, expression in update_pairs(updates):
        if not isinstance(variable, SharedVariable):
            raise InvalidUpdate(
                f"only shared variables can be updated, got {variable!r}"
                + (f" of type {variable.type}" if isinstance(variable, Variable) else "")
                + "; make it with shared(value)"
            )
        if variable in found:
            raise InvalidUpdate(f"two updates for the shared variable {variable}: {found[variable]} and {expression}")
        found[variable] = fitting(variable, expression)
    return found


def fitting(variable: SharedVariable, expression: Any) -> Variable:
    """``expression`` as a new value for ``variable``; InvalidUpdate where the types cannot agree."""
    try:
        return variable.type.filter_variable(expression)
    except TypeError as error:
        given = expression.type if isinstance(expression, Variable) else type(expression).__name__
        have, want = getattr(given, "dtype", None), variable.type.dtype
        hint = (
            f"; cast it: T.cast(new_value, {want!r}) (an int or float64 in the expression may have widened it)"
            if have != want and have is not None
            else ""
        )
        where = f"\n  built at {expression.origin.text()}" if getattr(expression, "origin", None) else ""
        raise InvalidUpdate(
            f"the update of shared variable {variable} must be of its type {variable.type}, got {given}{hint}{where}"
        ) from error


def with_default_updates(
    updates: dict[SharedVariable, Variable],
    results: Sequence[Variable],
    replace: dict[Variable, Variable],
    no_default_updates: Any,
    inputs: Sequence[Variable] = (),
) -> tuple[dict[SharedVariable, Variable], list[Variable]]:
    """All updates of a function, and its expressions: ``results``, then one for each update, with ``replace`` done.

    Added are the default updates of shared variables on which any of these expressions depends once the replacements
    are made, and updates made inside loops; not those of variables that only lead to ``inputs``, which the caller
    supplies. ``no_default_updates``: True for none, or the variables that keep their value.
    """
    found = dict(updates)
    memo = dict(replace)  # one for all, so that a node is copied once
    exprs = _replaced([*results, *found.values()], memo)
    if no_default_updates is True:
        return found, exprs
    frozen = _frozen(no_default_updates)
    while True:
        more = _made_by_loops(exprs, found, frozen)
        exprs += more.values()
        found.update(more)
        defaults = {
            v: fitting(v, v.default_update)
            for v in graph_leaves(exprs, inputs)
            if isinstance(v, SharedVariable)
            and getattr(v, "default_update", None) is not None
            and v not in found
            and v not in frozen
        }
        if not more and not defaults:
            return found, exprs
        exprs += _replaced([*defaults.values()], memo)
        found.update(defaults)


def _replaced(exprs: list[Variable], memo: dict[Variable, Variable]) -> list[Variable]:
    return clone(exprs, memo=memo) if memo else exprs


def _frozen(given: Any) -> set[Variable]:
    if isinstance(given, Variable):
        return {given}
    frozen = set(given or ())
    for v in frozen:
        if not isinstance(v, SharedVariable):
            raise TypeMismatch(f"no_default_updates must be True, False or a list of shared variables, got {v!r}")
    return frozen


def _made_by_loops(
    roots: Iterable[Variable], given: Mapping[SharedVariable, Variable], frozen: set[Variable]
) -> dict[SharedVariable, Variable]:
    """Updates made inside loops that the caller did not pass on."""
    from tinygraph.scan.pending import pending_updates  # late: most functions have no loop

    made = pending_updates(toposort(roots))
    return {v: fitting(v, new) for v, new in made.items() if v not in given and v not in frozen}
