"""Index keys as users write them, read (``getitem``) and written (``set_subtensor``, ``inc_subtensor``).

A key of integers, slices, None and ``...`` becomes a Subtensor and a DimShuffle; one with integer arrays or masks goes
to ``tensor/advanced_index.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import IndexOutOfRange, InvalidValue, TypeMismatch
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.index import VAR, IncSubtensor, IndexList, Slice, Subtensor
from tinygraph.tensor.shape import dimshuffle

#: beyond any dimension: larger bounds and steps of slices mean the same, and may not fit 64 bits
_FAR = 2**62


def _number(value: Any) -> Any:
    """One part of an index: an int, None, or a scalar variable."""
    if value is None or (isinstance(value, (int, np.integer)) and not isinstance(value, bool)):
        return None if value is None else int(value)
    if isinstance(value, Constant) and value.type.ndim == 0:  # type: ignore[attr-defined]
        return int(value.data) if value.type.dtype[0] in "iu" else _reject(value)  # type: ignore[index]
    try:
        v = as_tensor_variable(value)
    except TypeMismatch:
        return _reject(value)
    return v if v.type.dtype[0] in "iub" and v.type.ndim == 0 else _reject(value)


def _reject(value: Any) -> Any:
    raise TypeMismatch(
        f"an index must be an integer, slice, None, '...', integer array or boolean mask, got {value!r}"
        + (f" of type {value.type}" if isinstance(value, Variable) else "")
    )


def split_index(entries: Sequence[Any]) -> tuple[IndexList, list[Variable]]:
    """Integers and slices as an index list, and the scalar variables it refers to."""
    numbers: list[Variable] = []

    def part(p: Any) -> Any:
        p = _number(p)
        if isinstance(p, Variable):
            numbers.append(p)
            return VAR
        return p

    def bound(p: Any) -> Any:
        p = part(p)
        return max(-_FAR, min(p, _FAR)) if isinstance(p, int) else p

    found = tuple(
        Slice(bound(e.start), bound(e.stop), bound(e.step)) if isinstance(e, slice) else part(e) for e in entries
    )
    return found, numbers


def is_advanced(entry: Any) -> bool:
    """Whether an index entry is an array or a mask."""
    if isinstance(entry, (bool, np.bool_)):
        return True
    if isinstance(entry, Variable):
        return entry.type.ndim > 0 or entry.type.dtype == "bool"  # type: ignore[attr-defined]
    return isinstance(entry, (list, np.ndarray)) and not (isinstance(entry, np.ndarray) and entry.ndim == 0)


def expand_key(x: Variable, key: Any) -> list[Any]:
    """An index key as a list, with ``...`` replaced by the slices it stands for (left where it stands for none)."""
    split = isinstance(key, tuple) or (isinstance(key, list) and any(isinstance(e, slice) for e in key))
    entries = list(key) if split else [key]  # a list that holds a slice can be no array: it is the entries
    ndim = x.type.ndim  # type: ignore[attr-defined]
    used = 0
    for e in entries:
        if e is Ellipsis or e is None:
            continue
        dtype = e.type.dtype if isinstance(e, Variable) else np.asarray(e).dtype if is_advanced(e) else None
        mask = is_advanced(e) and np.dtype(dtype) == bool
        used += (e.type.ndim if isinstance(e, Variable) else np.asarray(e).ndim) if mask else 1  # type: ignore
    if sum(e is Ellipsis for e in entries) > 1:
        raise InvalidValue("an index may hold one '...' only")
    if used > ndim:
        raise IndexOutOfRange(f"{used} indices for {ndim} dimensions of {x} ({x.type})")
    if any(e is Ellipsis for e in entries) and ndim > used:
        at = next(i for i, e in enumerate(entries) if e is Ellipsis)
        entries[at : at + 1] = [slice(None)] * (ndim - used)
    return entries


def getitem(x: Any, key: Any) -> Any:
    """``x[key]`` with all of NumPy's indexing."""
    x = as_tensor_variable(x)
    entries = expand_key(x, key)
    if any(is_advanced(e) for e in entries):
        from tinygraph.tensor.advanced_index import advanced_getitem

        return advanced_getitem(x, entries)
    basic = [e for e in entries if e is not None and e is not Ellipsis]
    while basic and isinstance(basic[-1], slice) and basic[-1] == slice(None):
        basic.pop()
    y = x
    if any(not (isinstance(e, slice) and e == slice(None)) for e in basic) or None not in entries:
        idx_list, numbers = split_index(basic)
        y = Subtensor(idx_list)(x, *numbers)
    return mark_indexed(_insert_new_axes(y, entries), x)


def mark_indexed(y: Any, x: Any) -> Any:
    """``y``, remembered as an index of ``x``: set_subtensor and inc_subtensor give a tensor like ``x``."""
    y.__dict__["_indexed"] = x
    return y


def _insert_new_axes(y: Any, entries: Sequence[Any]) -> Any:
    if not any(e is None for e in entries):
        return y
    pattern: list[Any] = []
    axis = 0
    for e in entries:
        if e is None:
            pattern.append("x")
        elif isinstance(e, slice):
            pattern.append(axis)
            axis += 1
    pattern += list(range(axis, y.type.ndim))
    return dimshuffle(y, pattern)


def set_subtensor(x: Any, y: Any, inplace: bool = False, tolerate_inplace_aliasing: bool = False) -> Any:
    """A tensor like ``a`` with ``y`` in place of ``x``, where ``x`` is an expression ``a[index]``."""
    return inc_subtensor(x, y, set_instead_of_inc=True)


def inc_subtensor(x: Any, y: Any, inplace: bool = False, tolerate_inplace_aliasing: bool = False,
                  set_instead_of_inc: bool = False, ignore_duplicates: bool = False) -> Any:  # fmt: skip
    """A tensor like ``a`` with ``y`` added at ``x``, where ``x`` is an expression ``a[index]``.

    With integer arrays an index that occurs twice is added to twice (unless ``ignore_duplicates``). As in NumPy's
    assignments ``y`` may be wider than ``x`` (float64 into float32) but not of a higher kind (floats into integers).
    """
    y = as_tensor_variable(y)
    if not isinstance(x, Variable) or x.owner is None:
        raise TypeMismatch(f"set_subtensor and inc_subtensor need an indexed tensor such as a[1:3], got {x}")
    source = x.owner.inputs[0]
    dtype = source.type.dtype  # type: ignore[attr-defined]
    if not np.can_cast(y.type.dtype, dtype, "same_kind"):
        raise TypeMismatch(
            f"cannot put values of {y.type.dtype} into a tensor of {dtype}; cast them first: T.cast(y, {dtype!r})"
        )
    if np.result_type(y.type.dtype, dtype) != np.dtype(dtype):
        from tinygraph.tensor.maths import cast_to

        y = cast_to(y, dtype)
    origin = x.__dict__.get("_indexed")
    return _inc_through(x, y, origin if origin is not None else source, set_instead_of_inc, ignore_duplicates)


def _inc_through(x: Any, y: Any, origin: Any, set_instead_of_inc: bool, ignore_duplicates: bool) -> Any:
    """Write ``y`` at ``x`` and give a tensor like ``origin``, from which ``x`` was read in one or more steps."""
    from tinygraph.tensor.advanced_index import AdvancedSubtensor, inc_advanced
    from tinygraph.tensor.broadcast import broadcast_like
    from tinygraph.tensor.shape import DimShuffle, Reshape, reshape, shape

    if x is origin:
        return y
    op, source = x.owner.op, x.owner.inputs[0]
    if isinstance(op, Subtensor):
        written = IncSubtensor(op.idx_list, set_instead_of_inc)(source, y, *x.owner.inputs[1:])
    elif isinstance(op, AdvancedSubtensor):
        written = inc_advanced(x, y, set_instead_of_inc, ignore_duplicates)
    elif isinstance(op, DimShuffle):
        back: list[Any] = ["x"] * op.input_ndim
        for position, d in enumerate(op.new_order):
            if d != "x":
                back[d] = position
        written = dimshuffle(_written(x, y, set_instead_of_inc, broadcast_like), back)
    elif isinstance(op, Reshape):
        written = reshape(_written(x, y, set_instead_of_inc, broadcast_like), shape(source), ndim=source.type.ndim)
    else:
        raise TypeMismatch(f"set_subtensor and inc_subtensor need an indexed tensor such as a[1:3], got {x}")
    return _inc_through(source, written, origin, True, ignore_duplicates)


def _written(x: Any, y: Any, set_instead_of_inc: bool, broadcast_like: Any) -> Any:
    """The whole of ``x`` after writing ``y`` over, or adding it to, all of it."""
    return broadcast_like(y, x) if set_instead_of_inc else x + y
