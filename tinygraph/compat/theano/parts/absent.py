"""What Theano has and tinygraph has not: names that can be imported and probed for, and say what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygraph.errors import TinygraphError


class NotInTinygraph(TinygraphError, NotImplementedError):
    """Something that only makes sense on Theano's own C or GPU internals, or that is not there yet."""


def absent_class(name: str, instead: str) -> type:
    """A class that no object is an instance of: making or subclassing it raises NotInTinygraph with ``instead``."""
    message = f"theano's {name} has no counterpart in tinygraph: {instead}"

    class Meta(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
            raise NotInTinygraph(message)

    def __init_subclass__(cls: type, **kwargs: Any) -> NoReturn:
        raise NotInTinygraph(message)

    return Meta(name, (), {"__init_subclass__": classmethod(__init_subclass__), "__doc__": message})


def absent_function(name: str, instead: str) -> Any:
    """A function that raises NotInTinygraph with ``instead``."""

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotInTinygraph(f"theano's {name} has no counterpart in tinygraph: {instead}")

    missing.__name__ = name
    return missing
