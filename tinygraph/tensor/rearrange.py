"""Copies of a tensor in another arrangement: repeat, tile, roll, flip, pad, diff.

All are composed of views, broadcasts and gathers, which brings their gradients and their symbolic shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, is_int
from tinygraph.graph.op import Disconnected, Op
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable, constant
from tinygraph.tensor.broadcast import alloc_op
from tinygraph.tensor.shape import dimshuffle, flatten, normalise_axis, reshape, shape_tuple


class RepeatPositions(Disconnected, Op):
    """``0`` counts[0] times, ``1`` counts[1] times ...: (n,) integers -> (sum of counts,) int64."""

    __props__ = ()
    data_dependent_shape = True

    def infer(self, counts: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(counts.ndim == 1 and counts.is_int, "a vector of integer counts", counts)
        known = counts.value is not None and all(map(is_int, counts.value))
        return [("int64", (sum(counts.value) if known else UNKNOWN,))]

    def forward(self, counts: Any) -> Any:
        if counts.size and counts.min() < 0:
            raise InvalidValue(f"repeat: counts must not be negative, got {counts.min()}")
        return np.repeat(np.arange(len(counts), dtype="int64"), counts)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element of ``x`` ``repeats`` times along ``axis`` (None: of the flattened tensor).

    ``repeats``: one count, or a vector with a count for each element along the axis.
    Shapes: (..., n, ...) -> (..., n * repeats, ...), or the sum of the counts.
    """
    x, count = as_tensor_variable(x), as_tensor_variable(repeats)
    if count.type.dtype[0] not in "iu":
        raise TypeMismatch(f"repeat: counts must be integers, got {count} of type {count.type}")
    if count.type.ndim > 1:
        raise InvalidValue(f"repeat: counts must be a scalar or a vector, got {count} of type {count.type}")
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalise_axis(axis, x.type.ndim)
    if count.type.ndim == 1:
        if count.type.shape[0] == 1:
            return repeat(x, count[0], axis)
        known, n = count.type.shape[0], x.type.shape[axis]
        if known is not None and n is not None and known != n:
            raise ShapeMismatch(
                f"repeat: {known} counts for the {n} elements of {x} ({x.type}) along axis {axis}"
            )
        positions = RepeatPositions()(count)
        return x[(slice(None),) * axis + (positions,)]
    sizes = list(shape_tuple(x))
    order: list[Any] = list(range(x.type.ndim))
    order.insert(axis + 1, "x")
    spread = alloc_op(dimshuffle(x, order), *sizes[: axis + 1], count, *sizes[axis + 1 :])
    sizes[axis] = _times(sizes[axis], repeats, count)
    return reshape(spread, sizes, ndim=x.type.ndim)


def _times(size: Any, number: Any, variable: Any) -> Any:
    """A size times a count: an int where both are, so that types keep known sizes."""
    if isinstance(variable, Constant):
        number = int(variable.data)
    return size * number if isinstance(number, (int, np.integer)) else variable * size


def tile(x: Any, reps: Any, ndim: int | None = None) -> Any:
    """``x`` laid side by side ``reps`` times along each dimension, as ``numpy.tile``.

    ``reps``: a number, scalar, list or vector of counts; fewer counts than dimensions repeat the last dimensions, more
    add dimensions in front. ``ndim``: the number of dimensions of the result.
    """
    x = as_tensor_variable(x)
    if isinstance(reps, Variable) and reps.type.ndim == 1:  # type: ignore[attr-defined]
        known = reps.type.shape[0]  # type: ignore[attr-defined]
        if known is None:
            if ndim is None:
                raise InvalidValue(
                    "tile: the number of counts is not known while the graph is built; pass ndim="
                )
            known = ndim
        counts = [reps[i] for i in range(known)]  # type: ignore[index]
    else:
        counts = list(reps) if isinstance(reps, (list, tuple, np.ndarray)) and np.ndim(reps) else [reps]
    n = max(x.type.ndim, len(counts)) if ndim is None else ndim
    if n < max(x.type.ndim, len(counts)):
        raise InvalidValue(f"tile: ndim={n} is less than {max(x.type.ndim, len(counts))}")
    counts = [1] * (n - len(counts)) + counts
    x = dimshuffle(x, ["x"] * (n - x.type.ndim) + list(range(x.type.ndim)))
    sizes = shape_tuple(x)
    spread = alloc_op(
        dimshuffle(x, [p for d in range(n) for p in ("x", d)]),
        *[p for c, s in zip(counts, sizes, strict=True) for p in (c, s)],
    )
    return reshape(
        spread, [_times(s, c, as_tensor_variable(c)) for c, s in zip(counts, sizes, strict=True)], ndim=n
    )


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved by ``shift`` along ``axis``, those that fall off the end coming back at the start.

    ``axis`` None rolls the flattened tensor. ``shift`` and ``axis`` may be tuples, as in NumPy.
    """
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.maths import mod
    from tinygraph.tensor.shape import shape

    x = as_tensor_variable(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), shape(x), ndim=x.type.ndim)
    if isinstance(axis, (tuple, list)):
        shifts = shift if isinstance(shift, (tuple, list)) else [shift] * len(axis)
        for s, a in zip(shifts, axis, strict=True):
            x = roll(x, s, a)
        return x
    axis = normalise_axis(axis, x.type.ndim)
    n = shape_tuple(x)[axis]
    shift = as_tensor_variable(shift)
    if isinstance(shift, Constant) and isinstance(n, int):
        from tinygraph.tensor.join import join

        first = n - int(shift.data) % n if n else 0
        lead = (slice(None),) * axis
        return join(axis, x[(*lead, slice(first, None))], x[(*lead, slice(None, first))])
    return x[(slice(None),) * axis + (mod(arange(n) - shift, n),)]


def flip(x: Any, axis: Any = None) -> Any:
    """``x`` with the order of elements along ``axis`` (None: all dimensions) reversed; a view."""
    x = as_tensor_variable(x)
    axes = range(x.type.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    back = {normalise_axis(a, x.type.ndim) for a in axes}
    return x[tuple(slice(None, None, -1) if d in back else slice(None) for d in range(x.type.ndim))]


def fliplr(x: Any) -> Any:
    return flip(x, 1)


def flipud(x: Any) -> Any:
    return flip(x, 0)


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """The ``n``-th difference ``x[i + 1] - x[i]`` along ``axis``."""
    x = as_tensor_variable(x)
    axis = normalise_axis(axis, x.type.ndim)
    lead = (slice(None),) * axis
    for _ in range(n):
        x = x[(*lead, slice(1, None))] - x[(*lead, slice(None, -1))]
    return x


def _edge(p: Any, n: Any) -> Any:
    from tinygraph.tensor.maths import clip

    return clip(p, 0, n - 1)


def _wrap(p: Any, n: Any) -> Any:
    from tinygraph.tensor.maths import mod

    return mod(p, n)


def _symmetric(p: Any, n: Any) -> Any:
    from tinygraph.tensor.maths import minimum, mod

    p = mod(p, 2 * n)
    return minimum(p, 2 * n - 1 - p)


def _reflect(p: Any, n: Any) -> Any:
    from tinygraph.tensor.maths import maximum, minimum, mod

    period = maximum(as_tensor_variable(2 * n - 2), 1)
    p = mod(p, period)
    return minimum(p, 2 * n - 2 - p)


#: which element of the source stands at position p, counted from the first of its n elements
_SOURCES = {"edge": _edge, "wrap": _wrap, "symmetric": _symmetric, "reflect": _reflect}


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0, **kwargs: Any) -> Any:
    """``x`` with elements added before and after along each dimension, as ``numpy.pad``.

    ``pad_width``: a number, ``(before, after)``, or such a pair for each dimension (numbers or integer scalars).
    ``mode``: 'constant' (``constant_values``, likewise one, a pair, or pairs), 'edge', 'reflect', 'symmetric', 'wrap'.
    """
    x = as_tensor_variable(x)
    if mode == "constant":
        return _pad_constant(
            x, _pairs(pad_width, x.type.ndim, "pad_width"), _pairs(constant_values, x.type.ndim, "values")
        )
    if mode not in _SOURCES:
        raise InvalidValue(f"pad: mode must be 'constant', {', '.join(map(repr, _SOURCES))}, got {mode!r}")
    if kwargs:
        raise TypeError(f"pad: mode {mode!r} takes no {', '.join(kwargs)}")
    from tinygraph.tensor.creation import arange

    for axis, (before, after) in enumerate(_pairs(pad_width, x.type.ndim, "pad_width")):
        if _is_zero(before) and _is_zero(after):
            continue
        n = shape_tuple(x)[axis]
        at = arange(before + n + after) - before
        x = x[(slice(None),) * axis + (_SOURCES[mode](at, n),)]
    return x


def _pad_constant(x: Any, widths: Sequence[tuple], values: Sequence[tuple]) -> Any:
    from tinygraph.tensor.keys import set_subtensor
    from tinygraph.tensor.maths import cast_to

    same = all(isinstance(v, (int, float)) and v == values[0][0] for pair in values for v in pair)
    if same or not values:
        fill = constant(values[0][0] if values else 0, dtype=x.type.dtype)
        sizes = [before + n + after for (before, after), n in zip(widths, shape_tuple(x), strict=True)]
        inside = tuple(slice(b, b + n) for (b, _), n in zip(widths, shape_tuple(x), strict=True))
        return set_subtensor(alloc_op(fill, *sizes)[inside], x) if widths else x
    from tinygraph.tensor.join import join

    for axis, ((before, after), (low, high)) in enumerate(zip(widths, values, strict=True)):
        sizes = list(shape_tuple(x))
        ends = []
        for width, value in ((before, low), (after, high)):
            sizes[axis] = width
            ends.append(alloc_op(cast_to(value, x.type.dtype), *sizes))
        x = join(axis, ends[0], x, ends[1])
    return x


def _is_zero(n: Any) -> bool:
    return isinstance(n, int) and n == 0


def _pairs(value: Any, ndim: int, what: str) -> list[tuple[Any, Any]]:
    """NumPy's three ways to give a pair for each dimension."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (tuple, list)):
        return [(value, value)] * ndim
    if len(value) == 1 and isinstance(value[0], (tuple, list)):
        value = value[0]
    if not any(isinstance(v, (tuple, list)) for v in value):
        if len(value) == 1:
            return [(value[0], value[0])] * ndim
        if len(value) == 2:
            return [(value[0], value[1])] * ndim
    if len(value) != ndim or any(not isinstance(v, (tuple, list)) or len(v) not in (1, 2) for v in value):
        raise InvalidValue(
            f"pad: {what} must be one, a pair, or a pair for each of {ndim} dimensions, got {value}"
        )
    return [(v[0], v[-1]) for v in value]
