"""Library routines that CuPy has too, as functions on device arrays.

Each takes CuPy's module, inputs, outputs to be filled, and the routine's attributes; its meaning is that of the NumPy
form in the tensor language.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Routine = Callable[[Any, Sequence[Any], Sequence[Any], dict[str, Any]], None]


def _sort(xp: Any, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]) -> None:
    outputs[0][...] = xp.sort(inputs[0], axis=attrs["axis"])


def _argsort(xp: Any, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]) -> None:
    outputs[0][...] = xp.argsort(inputs[0], axis=attrs["axis"], kind="stable")


def _accumulate(name: str) -> Routine:
    def run(xp: Any, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]) -> None:
        outputs[0][...] = getattr(xp, name)(inputs[0], axis=attrs["axis"], dtype=outputs[0].dtype)

    return run


def _linalg(name: str) -> Routine:
    """A function of one matrix, or a stack of them, with one result."""

    def run(xp: Any, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]) -> None:
        outputs[0][...] = getattr(xp.linalg, name)(*inputs)

    return run


def _slogdet(xp: Any, inputs: Sequence[Any], outputs: Sequence[Any], attrs: dict[str, Any]) -> None:
    for out, value in zip(outputs, xp.linalg.slogdet(inputs[0]), strict=True):
        out[...] = value


#: by the routine's name. What is missing here runs on the host; decompositions whose results may differ in sign, or
#: whose failures NumPy reports and CuPy does not, stay there on purpose.
ROUTINES: dict[str, Routine] = {
    "sort": _sort,
    "argsort": _argsort,
    "cumsum": _accumulate("cumsum"),
    "cumprod": _accumulate("cumprod"),
    "det": _linalg("det"),
    "slogdet": _slogdet,
}
