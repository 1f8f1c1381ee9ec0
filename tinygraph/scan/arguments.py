"""What ``scan`` is called with, in one form: sequences with taps, outputs with initial values and taps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable, constant


@dataclass
class Sequence:
    """``input`` read at ``taps`` around each step, in this order of the step's arguments."""

    input: Any
    taps: tuple[int, ...] = (0,)


@dataclass
class Output:
    """What one result of a step is fed back as: nothing (``initial`` None), or its values at ``taps`` (negative)."""

    initial: Any = None
    taps: tuple[int, ...] = ()
    return_steps: int | None = None

    @property
    def depth(self) -> int:
        return -min(self.taps)

    @property
    def stacked(self) -> bool:
        """Whether ``initial`` holds several values, one row for each step back."""
        return self.taps != (-1,)


def as_list(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def sequences_of(given: Any, label: str) -> list[Sequence]:
    """Each of ``sequences``, plain or ``dict(input=, taps=)``."""
    return [_sequence(x, k, label) for k, x in enumerate(as_list(given))]


def _sequence(given: Any, k: int, label: str) -> Sequence:
    taps: tuple[int, ...] = (0,)
    if isinstance(given, Mapping):
        _check_keys(given, ("input", "taps"), f"{label}: sequence {k}")
        if given.get("input") is None:
            raise InvalidValue(f"{label}: sequence {k} is a dictionary without 'input'")
        if given.get("taps") is not None:
            taps = _taps(given["taps"], f"{label}: sequence {k}")
            if not taps:
                raise InvalidValue(
                    f"{label}: sequence {k} has an empty list of taps; leave 'taps' out to read the element itself"
                )
        given = given["input"]
    v = _variable(given, f"{label}: sequence {k}")
    if v.type.ndim == 0:
        raise TypeMismatch(
            f"{label}: sequence {k} ({v}) has no dimension to run over (type {v.type}); values that are the "
            "same at every step belong into non_sequences"
        )
    return Sequence(v, taps)


def outputs_of(given: Any, label: str) -> list[Output] | None:
    """Each of ``outputs_info``, or None where it was not given."""
    if given is None:
        return None
    return [_output(x, k, label) for k, x in enumerate(as_list(given))]


def _output(given: Any, k: int, label: str) -> Output:
    what = f"{label}: outputs_info[{k}]"
    if given is None:
        return Output()
    taps: Any = (-1,)
    return_steps = None
    if isinstance(given, Mapping):
        _check_keys(given, ("initial", "taps", "return_steps", "inplace"), what)
        return_steps = given.get("return_steps")
        if "taps" in given:
            taps = None if given["taps"] is None else _taps(given["taps"], what)
        given = given.get("initial")
        if not taps:
            return Output(return_steps=return_steps)
        if given is None:
            if taps == (-1,):
                return Output(return_steps=return_steps)
            raise InvalidValue(
                f"{what} has taps {list(taps)} but no 'initial' values to read before the first step"
            )
        if any(t >= 0 for t in taps):
            raise InvalidValue(
                f"{what} has taps {list(taps)}: an output can only be read at earlier steps, so its taps must "
                f"be negative"
            )
    if isinstance(given, (int, float)) and not isinstance(given, bool):  # no dtype of its own
        given = constant(given, dtype="int64" if isinstance(given, int) else config.floatX)
    initial = _variable(given, what)
    if taps != (-1,) and initial.type.ndim == 0:
        raise TypeMismatch(
            f"{what} has taps {list(taps)}, so 'initial' must hold {-min(taps)} values, stacked along a first "
            f"dimension; got {initial} of type {initial.type}"
        )
    return Output(initial, taps, return_steps)


def _check_keys(given: Mapping, known: tuple[str, ...], what: str) -> None:
    unknown = [key for key in given if key not in known]
    if unknown:
        raise InvalidValue(
            f"{what} has an unknown entry {unknown[0]!r}; there are {', '.join(map(repr, known[:3]))}"
        )


def _taps(given: Any, what: str) -> tuple[int, ...]:
    taps = given if isinstance(given, (list, tuple, np.ndarray)) else [given]
    for t in taps:
        if isinstance(t, bool) or not isinstance(t, (int, np.integer)):
            raise InvalidValue(f"{what}: taps must be integers, got {t!r}")
    found = tuple(int(t) for t in taps)
    if len(set(found)) != len(found):
        raise InvalidValue(f"{what}: the taps {list(found)} name one step twice")
    return found


def _variable(given: Any, what: str) -> Variable:
    try:
        v = given if isinstance(given, Variable) else as_tensor_variable(given)
    except (TypeError, ValueError) as error:
        raise TypeMismatch(
            f"{what}: expected a tensor, an array or a number, got {given!r} ({error})"
        ) from None
    if not isinstance(v.type, TensorType):
        raise TypeMismatch(f"{what}: expected a tensor, got {v} of type {v.type}")
    return v


def non_sequences_of(given: Any, label: str) -> list[Any]:
    """``non_sequences`` as variables."""
    found = []
    for k, x in enumerate(as_list(given)):
        found.append(x if isinstance(x, Variable) else _variable(x, f"{label}: non_sequences[{k}]"))
    return found


def steps_of(given: Any, label: str) -> tuple[Any, bool]:
    """``n_steps`` as an int, an integer variable or None, and whether a negative number turns the direction round."""
    if given is None or (isinstance(given, (float, np.floating)) and not np.isfinite(given)):
        return None, False
    if isinstance(given, Variable):
        data = getattr(given, "data", None)
        if data is None:
            if not isinstance(given.type, TensorType) or given.type.ndim or given.type.dtype[0] not in "iu":
                raise TypeMismatch(f"{label}: n_steps must be an integer, got {given} of type {given.type}")
            return given, False
        given = data
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given[()]
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        raise TypeMismatch(f"{label}: n_steps must be an integer, got {given!r} ({type(given).__name__})")
    return abs(int(given)), bool(given < 0)
