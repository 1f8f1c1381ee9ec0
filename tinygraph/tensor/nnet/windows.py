"""Sliding windows: the sizes that convolution and pooling share, in any dimension arithmetic.

A window of ``size`` points, ``dilation`` apart, moves by ``stride`` over an axis of ``n`` points that ``pad = (before,
after)`` extends on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import Dim

#: zeros before and after an axis, or their number in words: "half" of the window, or all but one point of it ("full")
Pad = tuple[int, int] | str


def extent(size: Dim, dilation: int) -> Dim:
    """Points from the first to the last of a dilated window."""
    return size if dilation == 1 else (size - 1) * dilation + 1


def pad_sizes(pad: Pad, size: Dim, dilation: int) -> tuple[Dim, Dim]:
    """How far ``pad`` extends an axis before and after."""
    if pad == "half":
        half = extent(size, dilation) // 2
        return half, half
    if pad == "full":
        rest = extent(size, dilation) - 1
        return rest, rest
    return pad[0], pad[1]  # type: ignore[return-value]


def positions(n: Dim, size: Dim, stride: int, pad: Pad, dilation: int) -> Dim:
    """Number of places at which the window lies wholly inside the padded axis (below 1 if it does not fit)."""
    before, after = pad_sizes(pad, size, dilation)
    room = n + before + after - extent(size, dilation)
    return (room if stride == 1 else room // stride) + 1


def per_axis(value: Any, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """``value`` (a number, or one for each axis) as ``rank`` integers of at least ``least``."""
    value = getattr(value, "data", value) if not isinstance(value, (int, tuple, list)) else value
    if hasattr(value, "tolist"):
        value = value.tolist()
    items = list(value) if isinstance(value, (tuple, list)) else [value] * rank
    items = [getattr(v, "data", v) for v in items]
    try:
        numbers = [int(v) for v in items]
        whole = all(n == v for n, v in zip(numbers, items, strict=True))
    except (TypeError, ValueError):
        raise InvalidValue(f"{what} must be integers known while the graph is built, got {value!r}") from None
    if len(numbers) != rank or not whole or any(n < least for n in numbers):
        raise InvalidValue(f"{what} must be {rank} integers of at least {least}, got {value!r}")
    return tuple(numbers)


def check_rank(rank: int, values: Sequence[Any], what: str) -> None:
    if len(values) != rank:
        raise InvalidValue(f"{what} needs {rank} entries, got {len(values)}")
