"""The ``size`` of a sample, in all the forms in which users write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph.op import static_value
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable


def sizes_of(size: Any, ndim: int | None = None, params: Sequence[Variable] = ()) -> tuple[Any, ...]:
    """``size`` as a tuple of numbers and integer scalars; by default the shape to which ``params`` broadcast.

    ``size`` may be None, a number, a list or tuple, or a symbolic vector (such as ``x.shape``), whose length must be
    known or given as ``ndim``.
    """
    if size is None:
        found = _broadcast_shape(params)
    elif isinstance(size, Variable) and size.type.ndim == 1:  # type: ignore[attr-defined]
        found = _elements(size, ndim)
    elif isinstance(size, np.ndarray):
        found = tuple(int(d) for d in size.reshape(-1))
    elif isinstance(size, (list, tuple)):
        found = tuple(_size(d) for d in size)
    else:
        found = (_size(size),)
    if ndim is not None and ndim != len(found):
        raise InvalidValue(f"the size {size} has {len(found)} dimensions, ndim is {ndim}")
    return found


def _size(d: Any) -> Any:
    if isinstance(d, (int, np.integer)) and not isinstance(d, bool):
        if d < 0:
            raise InvalidValue(f"a size cannot be negative, got {d}")
        return int(d)
    v = as_tensor_variable(d)
    if v.type.ndim or v.type.dtype[0] not in "iu":
        raise TypeMismatch(f"a size must be an integer or an integer scalar, got {d!r} of type {v.type}")
    return v


def _elements(size: Any, ndim: int | None) -> tuple[Any, ...]:
    value = static_value(size)
    length = len(value) if value is not None else size.type.shape[0] if size.type.shape[0] is not None else ndim
    if length is None:
        raise InvalidValue(f"the length of the size {size} is not known: pass ndim, the number of dimensions to draw")
    return tuple(size[i] for i in range(length))


def _broadcast_shape(params: Sequence[Variable]) -> tuple[Any, ...]:
    from tinygraph.tensor.maths import add
    from tinygraph.tensor.shape import shape_tuple

    arrays = [p for p in params if p.type.ndim]  # type: ignore[attr-defined]
    return shape_tuple(arrays[0] if len(arrays) == 1 else add(*arrays)) if arrays else ()


def product(sizes: Sequence[Any]) -> Any:
    """The number of elements: an int where all sizes are known."""
    total: Any = 1
    for d in sizes:
        total = d if isinstance(total, int) and total == 1 else total * d
    return total
