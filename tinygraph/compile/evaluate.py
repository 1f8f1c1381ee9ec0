"""``variable.eval(...)``: compile once for each set of inputs, then call."""

from __future__ import annotations

from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.graph.traversal import ancestors
from tinygraph.graph.variable import Variable


def evaluate(variable: Variable, inputs_to_values: dict[Any, Any]) -> Any:
    """The value of ``variable`` with its inputs (variables, or their names) given."""
    from tinygraph.compile.function import function

    given: dict[Variable, Any] = {}
    for key, value in inputs_to_values.items():
        if isinstance(key, str):
            matches = [v for v in ancestors([variable]) if v.name == key]
            if len(matches) != 1:
                raise InvalidValue(f"eval: {len(matches)} variables are named {key!r}")
            key = matches[0]
        given[key] = value
    cache: dict[Any, Any] = variable.__dict__.setdefault("_eval_cache", {})
    key = tuple(given)
    if key not in cache:
        cache[key] = function(list(key), variable, on_unused_input="ignore")
    return cache[key](*given.values())
