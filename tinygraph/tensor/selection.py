"""Choosing elements: by a condition, by a choice among tensors, by positions along an axis; one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.tensor.advanced_index import mask_positions
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.shape import dimshuffle, flatten, normalise_axis, shape_i, shape_tuple


def _as_mask(x: Any) -> Any:
    from tinygraph.tensor.maths import neq

    x = as_tensor_variable(x)
    return x if x.type.dtype == "bool" else neq(x, 0)


def nonzero(a: Any, return_matrix: bool = False) -> Any:
    """Positions of the elements that are not zero, in row-major order: a tuple with one index vector per dimension.

    ``return_matrix``: as one matrix instead, a row for each dimension.
    """
    a = as_tensor_variable(a)
    if a.type.ndim == 0:
        raise InvalidValue("nonzero: the tensor needs at least one dimension")
    found = mask_positions(_as_mask(a))
    if return_matrix:
        from tinygraph.tensor.join import stack

        return stack(found)
    return tuple(found)


def flatnonzero(a: Any) -> Any:
    """Positions of the elements of the flattened tensor that are not zero."""
    a = as_tensor_variable(a)
    return nonzero(dimshuffle(a, ("x",)) if a.type.ndim == 0 else flatten(a))[0]


def nonzero_values(a: Any) -> Any:
    """The elements that are not zero, as a vector in row-major order."""
    a = as_tensor_variable(a)
    return flatten(a)[flatnonzero(a)]


def compress(condition: Any, x: Any, axis: int | None = None) -> Any:
    """Slices of ``x`` along ``axis`` (None: of the flattened tensor) where the vector ``condition`` is true."""
    x, condition = as_tensor_variable(x), _as_mask(condition)
    if condition.type.ndim != 1:
        raise InvalidValue(
            f"compress: the condition must be a vector, got {condition} of type {condition.type}"
        )
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalise_axis(axis, x.type.ndim)
    return x[(slice(None),) * axis + (flatnonzero(condition),)]


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """``choices[a[i]][i]`` at every point i of the broadcast of ``a`` and the choices, as ``numpy.choose``.

    ``choices``: a list of tensors, or one whose first dimension counts them. ``mode``: 'raise', 'wrap' or 'clip'.
    """
    from tinygraph.tensor.broadcast import broadcast_like
    from tinygraph.tensor.creation import arange, zeros_like
    from tinygraph.tensor.join import stack
    from tinygraph.tensor.maths import add, clip, mod

    if out is not None:
        raise TypeError("choose: out= is not supported; the result is a new tensor")
    a = as_tensor_variable(a)
    if a.type.dtype[0] not in "iub":
        raise TypeMismatch(f"choose: the chooser must be of an integer dtype, got {a} of type {a.type}")
    if isinstance(choices, (list, tuple)):
        tensors = [as_tensor_variable(c) for c in choices]
        shape_of: Any = zeros_like(a, dtype="int8")
        for t in tensors:
            shape_of = add(shape_of, zeros_like(t, dtype="int8"))
        table = stack([broadcast_like(t, shape_of) for t in tensors])
    else:
        table = as_tensor_variable(choices)
        shape_of = add(zeros_like(a, dtype="int8"), zeros_like(table[0], dtype="int8"))
        lead = shape_of.type.ndim - (table.type.ndim - 1)
        table = dimshuffle(table, [0] + ["x"] * lead + list(range(1, table.type.ndim)))
        table = _broadcast_after_first(table, shape_of)
    n = shape_i(table, 0)
    which = broadcast_like(a.astype("int64") if a.type.dtype == "bool" else a, shape_of)
    if mode == "wrap":
        which = mod(which, n)
    elif mode == "clip":
        which = clip(which, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"choose: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    rank = shape_of.type.ndim
    grid = [
        dimshuffle(arange(shape_i(shape_of, d)), ["x"] * d + [0] + ["x"] * (rank - d - 1))
        for d in range(rank)
    ]
    return table[(which, *grid)]


def _broadcast_after_first(table: Any, like: Any) -> Any:
    from tinygraph.tensor.broadcast import alloc_op

    return alloc_op(table, shape_i(table, 0), *shape_tuple(like))


def axis_grid(indices: Any, axis: int) -> tuple[Any, ...]:
    """A key that reads, along ``axis``, at ``indices``, and in every other dimension at the point's own position."""
    from tinygraph.tensor.creation import arange

    rank = indices.type.ndim
    return tuple(
        indices
        if d == axis
        else dimshuffle(arange(shape_i(indices, d)), ["x"] * d + [0] + ["x"] * (rank - d - 1))
        for d in range(rank)
    )


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """``x`` read along ``axis`` at ``indices``, an integer tensor of the same rank, as ``numpy.take_along_axis``."""
    x, indices = as_tensor_variable(x), as_tensor_variable(indices)
    if axis is None:
        x, axis = flatten(x), 0
    if indices.type.ndim != x.type.ndim:
        raise InvalidValue(f"take_along_axis: indices must have {x.type.ndim} dimensions, got {indices.type}")
    return x[axis_grid(indices, normalise_axis(axis, x.type.ndim))]


def to_one_hot(y: Any, nb_class: Any, dtype: Any = None) -> Any:
    """A row for each class number in the vector ``y``: one at its position, zeros elsewhere. (n,) -> (n, nb_class).

    ``dtype``: of the result, by default floatX. A class number out of range raises at the call.
    """
    from tinygraph.config import config
    from tinygraph.tensor.creation import arange, zeros
    from tinygraph.tensor.keys import set_subtensor

    y = as_tensor_variable(y)
    if y.type.ndim != 1 or y.type.dtype[0] not in "iu":
        raise TypeMismatch(f"to_one_hot: a vector of class numbers is needed, got {y} of type {y.type}")
    n = shape_i(y, 0)
    return set_subtensor(zeros((n, nb_class), dtype=dtype or config.floatX)[arange(n), y], np.int8(1))


def ravel_multi_index(multi_index: Sequence[Any], dims: Any, mode: str = "raise", order: str = "C") -> Any:
    """Positions in the flattened array of shape ``dims`` of the points with the given coordinates.

    ``mode``: what to do with a coordinate out of range: 'raise' at the call, 'wrap' around, or 'clip' to the ends.
    """
    from tinygraph.tensor.maths import cast_to, clip, mod

    sizes, coordinates = _dims(dims), [as_tensor_variable(c) for c in multi_index]
    if len(sizes) != len(coordinates):
        raise InvalidValue(f"ravel_multi_index: {len(coordinates)} coordinates for {len(sizes)} dimensions")
    pairs = list(zip(coordinates, sizes, strict=True))
    if order not in ("C", "F"):
        raise InvalidValue(f"ravel_multi_index: order must be 'C' or 'F', got {order!r}")
    flat: Any = None
    for c, n in pairs if order == "C" else reversed(pairs):
        c = cast_to(c, "int64")
        if mode == "wrap":
            c = mod(c, n)
        elif mode == "clip":
            c = clip(c, 0, n - 1)
        elif mode == "raise":
            c = _checked_coordinate(c, n)
        else:
            raise ValueError(f"ravel_multi_index: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
        flat = c if flat is None else flat * n + c
    return flat


def _checked_coordinate(c: Any, n: Any) -> Any:
    """``c`` itself, read from 0 .. n-1, so that a coordinate out of range raises."""
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.maths import lt, switch

    return arange(n)[switch(lt(c, 0), n, c)]  # a negative number would count from the end


def unravel_index(indices: Any, dims: Any, order: str = "C") -> tuple[Any, ...]:
    """Coordinates of positions in the flattened array of shape ``dims``: one tensor for each dimension."""
    from tinygraph.tensor.maths import cast_to, int_div, mod

    if order not in ("C", "F"):
        raise InvalidValue(f"unravel_index: order must be 'C' or 'F', got {order!r}")
    sizes = _dims(dims)
    total: Any = 1
    for n in sizes:
        total = n * total
    rest = _checked_coordinate(cast_to(indices, "int64"), total)
    found: list[Any] = []
    for n in reversed(sizes) if order == "C" else sizes:
        found.append(mod(rest, n))
        rest = int_div(rest, n)
    return tuple(reversed(found)) if order == "C" else tuple(found)


def _dims(dims: Any) -> list[Any]:
    if isinstance(dims, (tuple, list, np.ndarray)):
        return [int(d) if isinstance(d, np.integer) else d for d in dims]
    vector = as_tensor_variable(dims)
    if vector.type.ndim == 0:
        return [vector]
    if vector.type.shape[0] is None:
        raise InvalidValue(
            "the number of dimensions is not known while the graph is built; pass a list of sizes"
        )
    return [vector[i] for i in range(vector.type.shape[0])]
