"""``theano.gof.utils``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinygraph.errors import TinygraphError
from tinygraph.graph.variable import Scratchpad as scratchpad  # noqa: N813


class MethodNotDefined(TinygraphError, NotImplementedError):  # noqa: N818 - Theano's name
    """A method that an op does not have."""


class TestValueError(TinygraphError):
    """A variable has no test value."""


class undef:  # noqa: N801 - Theano's name
    """Stands for no value."""


def hashtype(self: Any) -> int:
    """A hash of the class of ``self``."""
    t = type(self)
    return hash(t.__name__) ^ hash(t.__module__)


def uniq(seq: Iterable[Any]) -> list[Any]:
    """The elements of ``seq``, each once, in order."""
    return [*dict.fromkeys(seq)]


def difference(seq1: Iterable[Any], seq2: Iterable[Any]) -> list[Any]:
    """The elements of ``seq1`` that are not in ``seq2``."""
    other = list(seq2)
    return [x for x in seq1 if x not in other]


def flatten(a: Any) -> list[Any]:
    """Nested lists, tuples and sets as one list."""
    if isinstance(a, (tuple, list, set)):
        return [leaf for item in a for leaf in flatten(item)]
    return [a]


def memoize(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, which remembers its results."""
    cache: dict[Any, Any] = {}

    def remembering(*args: Any) -> Any:
        if args not in cache:
            cache[args] = f(*args)
        return cache[args]

    return remembering


def give_variables_names(variables: Iterable[Any]) -> list[str]:
    """Names for ``variables``, different from each other, in order; unnamed ones are given theirs."""
    taken: set[str] = set()
    names = []
    for k, v in enumerate(variables):
        name = v.name or f"T{k}"
        while name in taken:
            name += "_"
        taken.add(name)
        v.name = v.name or name
        names.append(name)
    return names


def get_variable_trace_string(v: Any) -> str:
    """Where the user built ``v``."""
    return v.origin.text() if getattr(v, "origin", None) is not None else ""


__all__ = [
    "MethodNotDefined", "TestValueError", "difference", "flatten", "get_variable_trace_string", "give_variables_names",
    "hashtype", "memoize", "scratchpad", "undef", "uniq",
]  # fmt: skip
