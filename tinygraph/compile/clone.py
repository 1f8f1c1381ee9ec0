"""``clone``: a copy of an expression with parts replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygraph.compile.updates import update_pairs
from tinygraph.errors import TypeMismatch
from tinygraph.graph.traversal import clone as clone_graph
from tinygraph.graph.variable import Variable


def clone(
    output: Any,
    replace: Mapping[Variable, Any] | list | tuple | None = None,
    strict: bool = True,
    share_inputs: bool = True,
    copy_inputs: bool | None = None,
) -> Any:
    """``output`` (an expression, or a list, tuple or dict of them) on new nodes, with variables replaced.

    Parameters
    ----------
    replace : pairs (variable, its replacement), none of which is applied to another's replacement
    strict : a replacement must be of its variable's type; otherwise one that the ops accept will do
    share_inputs : keep the leaves (``copy_inputs`` is its older name); otherwise they are copied too, shared variables'
        copies keeping the same value

    Raises
    ------
    TypeMismatch
    """
    pairs: dict[Variable, Variable] = {}
    for v, new in update_pairs(replace):
        if not isinstance(v, Variable):
            raise TypeMismatch(f"clone: only variables can be replaced, got {v!r}")
        pairs[v] = _replacement(v, new, strict)
    if copy_inputs is not None:
        share_inputs = copy_inputs
    given = [output] if isinstance(output, Variable) else list(output.values() if isinstance(output, dict) else output)
    found = clone_graph(given, memo=pairs, share_leaves=share_inputs)
    if isinstance(output, Variable):
        return found[0]
    if isinstance(output, dict):
        return dict(zip(output, found, strict=True))
    return tuple(found) if isinstance(output, tuple) else found


def _replacement(v: Variable, new: Any, strict: bool) -> Variable:
    if not strict and isinstance(new, Variable):
        return new
    try:
        return v.type.filter_variable(new)
    except TypeError:
        given = getattr(new, "type", type(new).__name__)
        raise TypeMismatch(f"clone: {v} of type {v.type} cannot be replaced by a value of type {given}") from None
