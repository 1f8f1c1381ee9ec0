"""Collecting updates: what the caller gives, and shared variables' default updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinygraph.errors import InvalidUpdate
from tinygraph.graph.convert import as_variable
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.traversal import inputs as graph_leaves
from tinygraph.graph.traversal import toposort
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
        expression = as_variable(expression)
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
    updates: dict[SharedVariable, Variable], roots: Iterable[Variable], no_default_updates: Any
) -> dict[SharedVariable, Variable]:
    """``updates`` and the default updates of all shared variables that ``roots`` or any update depends on.

    ``no_default_updates``: True for none, or the variables that keep their value.
    """
    if no_default_updates is True:
        return updates
    frozen = set(no_default_updates or ())
    found = dict(updates)
    queue = [*roots, *updates.values()]
    seen: set[Variable] = set()
    for v, new in _made_by_loops(queue, found, frozen).items():
        found[v] = new
        queue.append(new)
    while queue:
        for v in graph_leaves(queue):
            if v in seen:
                continue
            seen.add(v)
            default = getattr(v, "default_update", None)
            if default is not None and v not in found and v not in frozen and isinstance(v, SharedVariable):
                found[v] = fitting(v, default)
        queue = [e for v, e in found.items() if v in seen and e not in seen]
        seen.update(queue)
    return found


def _made_by_loops(
    roots: Iterable[Variable], given: Mapping[SharedVariable, Variable], frozen: set[Variable]
) -> dict[SharedVariable, Variable]:
    """Updates made inside loops that the caller did not pass on."""
    from tinygraph.scan.pending import pending_updates  # late: most functions have no loop

    made = pending_updates(toposort(roots))
    return {v: fitting(v, new) for v, new in made.items() if v not in given and v not in frozen}
