"""What a function keeps between calls, and results that are chosen from a call's, asked for in Theano's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygraph.graph.shared import Container

if TYPE_CHECKING:
    from tinygraph.compile.compiled import CompiledFunction


class Containers:
    """The containers of a function's default values and shared variables, by variable or name."""

    def __init__(self, f: CompiledFunction):
        self._f = f

    def __getitem__(self, item: Any) -> Container:
        return self._f._state(item).container

    def __contains__(self, item: Any) -> bool:
        return item in self._f


def subset(results: Any, wanted: Sequence[Any] | None) -> Any:
    """Of a call's results, in a list or dict, those with the indices or keys ``wanted``; all for None."""
    if wanted is None:
        return results
    if isinstance(results, dict):
        return {key: results[key] for key in wanted}
    results = results if isinstance(results, list) else [results]
    return [results[i] for i in wanted]
