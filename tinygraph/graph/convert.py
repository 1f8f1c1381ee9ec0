"""Turning Python values into variables. The tensor language registers what it can convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.graph.variable import Variable

_converter: list[Callable[..., Variable]] = []


def register_converter(convert: Callable[..., Variable]) -> None:
    """``convert(value)`` makes a variable of an array, number, list ...; the latest registered wins."""
    _converter.append(convert)


def as_variable(value: Any) -> Variable:
    """``value`` itself if it is a Variable, else a constant made of it."""
    if isinstance(value, Variable):
        return value
    return _converter[-1](value)
