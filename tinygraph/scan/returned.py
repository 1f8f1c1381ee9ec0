"""What a step function returns: outputs, updates and a condition, in any of the forms that Theano takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.variable import Variable
from tinygraph.scan.spec import until
from tinygraph.tensor.basic import as_tensor_variable


class Returned(NamedTuple):
    """Outputs in order, updates as pairs, the condition that ends the loop or None."""

    outputs: list[Variable]
    updates: list[tuple[Any, Any]]
    condition: Variable | None


def _is_value(x: Any) -> bool:
    return isinstance(x, (Variable, int, float, np.ndarray, np.generic)) and not isinstance(x, until)


def _is_outputs(x: Any) -> bool:
    return _is_value(x) or (isinstance(x, (list, tuple)) and len(x) > 0 and all(_is_value(v) for v in x))


def _is_updates(x: Any) -> bool:
    if isinstance(x, Mapping):
        return True
    pairs = isinstance(x, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in x)
    return pairs and all(hasattr(p[0], "container") for p in x)


def read_returned(value: Any, label: str) -> Returned:
    """``outputs``, ``updates``, ``until`` out of what the step function gave; TypeMismatch for anything else."""
    if isinstance(value, until):
        return Returned([], [], value.condition)
    if value is None:
        raise TypeMismatch(
            f"{label}: the step function returned None; it must return its outputs (is a 'return' missing?)"
        )
    if _is_outputs(value):
        return Returned(_outputs(value), [], None)
    if _is_updates(value):
        return Returned([], _pairs(value), None)
    parts = list(value) if isinstance(value, (list, tuple)) else []
    if 2 <= len(parts) <= 3:
        outputs: list[Variable] = []
        updates: list[tuple[Any, Any]] = []
        condition = None
        kinds = ""
        for p in parts:
            if isinstance(p, until):
                condition, kinds = p.condition, kinds + "c"
            elif _is_updates(p):
                updates, kinds = [*updates, *_pairs(p)], kinds + "u"  # an empty list may stand for no outputs
            elif _is_outputs(p):
                outputs, kinds = _outputs(p), kinds + "o"
            else:
                kinds += "?"
        if kinds in ("ou", "uo", "uu", "oc", "uc", "ouc", "uoc"):
            return Returned(outputs, updates, condition)
    raise TypeMismatch(f"{label}: {_complaint(value)}")


def _complaint(value: Any) -> str:
    """What is wrong with a return value, and what would be right."""
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    nested = [x for x in items if isinstance(x, (list, tuple))]
    flat = [v for x in items for v in (x if isinstance(x, (list, tuple)) else [x])]
    if any(isinstance(v, until) for v in flat) and not isinstance(items[-1], until):
        hint = "until(condition) must come last, after the list of outputs: return [a, b], until(condition)"
    elif any(isinstance(v, until) for v in flat):
        hint = "several outputs before until(condition) go into a list of their own: return [a, b], until(condition)"
    elif nested:
        hint = "lists of outputs cannot be nested; return one flat list"
    else:
        hint = "every output must be a symbolic variable, an array or a number"
    kinds = ", ".join(type(v).__name__ for v in flat[:6])
    return (
        f"the step function must return outputs, updates, until(condition), or (outputs, updates, until(condition)); "
        f"it returned {type(value).__name__} of ({kinds}); {hint}"
    )


def _outputs(x: Any) -> list[Variable]:
    return [as_tensor_variable(v) for v in (x if isinstance(x, (list, tuple)) else [x])]


def _pairs(x: Any) -> list[tuple[Any, Any]]:
    return list(x.items()) if isinstance(x, Mapping) else [(p[0], p[1]) for p in x]
