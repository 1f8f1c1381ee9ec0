"""Basic indexing: integers, slices, None and ``...``, read (Subtensor) and written (IncSubtensor).

A basic index is a view wherever its bounds are known on the host (constants, integer arguments, sizes). Integer
arrays, boolean masks and mixes are in ``tensor/advanced_index.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygraph.errors import IndexOutOfRange, InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import (
    UNKNOWN,
    Dim,
    Operand,
    UnknownDim,
    dim_max,
    dim_min,
    dim_select,
    may_differ,
)
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Constant, Variable
from tinygraph.program.expr import Expr, cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import broadcast_read
from tinygraph.tensor.shape import dimshuffle

#: beyond any dimension: larger bounds and steps of slices mean the same, and may not fit 64 bits
_FAR = 2**62
#: stands in an index list for a number that is an input of the node
VAR = "?"


class Slice(NamedTuple):
    """A slice whose parts are ints, None, or VAR."""

    start: Any = None
    stop: Any = None
    step: Any = None

    def __str__(self) -> str:
        parts = ["" if p is None else str(p) for p in self]
        return ":".join(parts[:2] if self.step is None else parts)


IndexList = tuple[Any, ...]  # of int, VAR or Slice, one for each leading dimension


def slice_bounds(start: Dim | None, stop: Dim | None, step: Dim | None, n: Dim) -> tuple[Dim, Dim, Dim]:
    """``(first, length, step)`` of Python's slice of a dimension of size ``n``, in any dimension arithmetic."""
    step = 1 if step is None else step
    if isinstance(step, UnknownDim):
        return UNKNOWN, UNKNOWN, UNKNOWN
    if not isinstance(step, int):
        up, down = _bounds(start, stop, step, n, True), _bounds(start, stop, step, n, False)
        positive = step > 0
        return dim_select(positive, up[0], down[0]), dim_select(positive, up[1], down[1]), step
    if step == 0:
        raise InvalidValue("slice step must not be 0")
    first, length = _bounds(start, stop, step, n, step > 0)
    return first, length, step


def _bounds(start: Any, stop: Any, step: Dim, n: Dim, forward: bool) -> tuple[Dim, Dim]:
    low, high = (0, n) if forward else (-1, n - 1)

    def clip(bound: Any, default: Dim) -> Dim:
        if bound is None:
            return default
        if isinstance(bound, UnknownDim):
            return UNKNOWN
        if isinstance(bound, int):
            return dim_max(bound + n, low) if bound < 0 else low if bound == 0 and forward else dim_min(bound, high)
        return dim_select(bound < 0, dim_max(bound + n, low), dim_min(bound, high))

    first = clip(start, low if forward else high)
    last = clip(stop, high if forward else low)
    span = last - first if forward else first - last
    size = step if forward else -step
    if isinstance(size, int) and size == 1:
        return first, dim_max(span, 0)
    return first, dim_max((span + (size - 1)) // size, 0)


class BasicIndex:
    """What reading and writing share: an index list, and its numbers among a node's inputs."""

    idx_list: IndexList

    def numbers(self, values: Sequence[Any]) -> Iterator[Any]:
        """The index list with each VAR replaced by the next of ``values``."""
        it = iter(values)
        for entry in self.idx_list:
            if isinstance(entry, Slice):
                yield Slice(*(next(it) if p == VAR else p for p in entry))
            else:
                yield next(it) if entry == VAR else entry

    def numpy_key(self, values: Sequence[Any]) -> tuple:
        as_int = [int(v) for v in values]
        return tuple(slice(*e) if isinstance(e, Slice) else e for e in self.numbers(as_int))

    def result_shape(self, x: Operand, numbers: Sequence[Operand]) -> list[Dim]:
        """Sizes of ``x[index]``; IndexOutOfRange for an integer known to lie outside."""
        for v in numbers:
            if v.ndim or not v.is_int:
                raise TypeMismatch(f"an index must be an integer scalar, got {v}")
        entries = list(self.numbers([v.scalar() for v in numbers]))
        if len(entries) > x.ndim:
            raise IndexOutOfRange(f"{len(entries)} indices for {x.ndim} dimensions ({x})")
        shape: list[Dim] = []
        for axis, (entry, n) in enumerate(zip(entries, x.shape, strict=False)):
            if isinstance(entry, Slice):
                shape.append(slice_bounds(entry.start, entry.stop, entry.step, n)[1])
            elif isinstance(entry, int) and isinstance(n, int) and not -n <= entry < n:
                raise IndexOutOfRange(f"index {entry} is out of range for dimension {axis} of size {n} ({x})")
        return shape + list(x.shape[len(entries) :])

    def slice_sizes(self, x: Operand, numbers: Sequence[Operand]) -> list[Dim]:
        """Length and step of each slice, in order."""
        out: list[Dim] = []
        for entry, n in zip(self.numbers([v.scalar() for v in numbers]), x.shape, strict=False):
            if isinstance(entry, Slice):
                _, length, step = slice_bounds(entry.start, entry.stop, entry.step, n)
                out += [length, step]
        return out

    def view(self, b: Any, x: Any, node: Apply, number_vars: Sequence[Variable]) -> Any:
        """``x[index]`` as a view, or None if an integer is known only on the device."""
        hosts = [b.host(v) for v in number_vars]
        if any(h is None for h in hosts):
            return None
        sizes = iter(b.sizes(node))
        shape, strides, shift = [], [], []
        entries = list(self.numbers(hosts))
        for axis, entry in enumerate(entries):
            n, stride = x.shape[axis], x.ref.strides[axis]
            if isinstance(entry, Slice):
                length, step = next(sizes), next(sizes)
                first = slice_bounds(entry.start, entry.stop, entry.step, n)[0]
                shift.append((first if length else 0, stride))
                shape.append(length)
                strides.append(stride * step)
            else:
                shift.append((b.checked_index(entry, n, axis), stride))
        rest = len(entries)
        return b.view(x, [*shape, *x.shape[rest:]], [*strides, *x.ref.strides[rest:]], shift)

    def addresses(self, b: Any, x: Any, node: Apply, axes: Sequence[Any], number_vars: Sequence[Variable],
                  number_arrays: Sequence[Any]) -> tuple:  # fmt: skip
        """The index of ``x`` at point ``axes`` of the result, where some integers lie on the device."""
        entries = self.numbers(list(zip(number_vars, number_arrays, strict=True)))
        free, sizes = iter(axes), iter(b.sizes(node))
        at: list[Any] = []
        for axis, entry in enumerate(entries):
            n = x.shape[axis]
            if isinstance(entry, Slice):
                bounds = [b.host(p[0]) if isinstance(p, tuple) else p for p in entry]
                first = slice_bounds(bounds[0], bounds[1], bounds[2], n)[0]
                _, step = next(sizes), next(sizes)
                at.append(next(free) * step + first)
            elif isinstance(entry, tuple):
                at.append(Expr("index", (cast(entry[1][()], "int64"),), "int64", n))
            else:
                at.append(entry + n if entry < 0 else entry)
        return tuple(at) + tuple(free)


class Subtensor(BasicIndex, Op):
    """``x[index]`` for integers and slices. Shapes: (...), scalars -> NumPy's. Gradient: zeros but for the slice."""

    __props__ = ("idx_list",)
    view_map = {0: [0]}

    def __init__(self, idx_list: IndexList):
        self.idx_list = tuple(idx_list)

    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        return _slice_inputs(self.idx_list)

    def __str__(self) -> str:
        return f"Subtensor{{{', '.join(map(str, self.idx_list))}}}"

    def infer(self, x: Operand, *numbers: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, self.result_shape(x, numbers))]

    def extra_sizes(self, x: Operand, *numbers: Operand) -> Sequence[Dim]:  # type: ignore[override]
        return self.slice_sizes(x, numbers)

    def host(self, x: Operand, *numbers: Operand) -> list[Any] | None:
        if x.value is None or x.ndim != 1 or not self.idx_list:
            return None
        (entry,) = self.numbers([v.scalar() for v in numbers])
        if isinstance(entry, Slice):
            known = all(p is None or isinstance(p, int) for p in entry)
            return [tuple(x.value[slice(*entry)])] if known else None
        return [x.value[entry]] if isinstance(entry, int) else None

    def forward(self, x: Any, *numbers: Any) -> Any:
        return x[self.numpy_key(numbers)]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like

        x, numbers = inputs[0], inputs[1:]
        if x.type.dtype[0] != "f":
            return [None] * len(inputs)
        op = IncSubtensor(self.idx_list)
        return [op(zeros_like(x), grads[0], *numbers)] + [None] * len(numbers)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], *inputs[1:])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, numbers = inputs[0], inputs[1:]
        seen = self.view(b, x, node, node.inputs[1:])
        if seen is not None:
            return [seen]
        axes = b.axes(*b.shape(node.outputs[0]))
        return [b.store(x[self.addresses(b, x, node, axes, node.inputs[1:], numbers)], into=axes)]


class IncSubtensor(BasicIndex, Op):
    """``x`` with ``y`` added to (or, with ``set_instead_of_inc``, put in place of) ``x[index]``.

    Shapes: (...), anything that broadcasts to the slice, scalars -> the shape of ``x``.
    """

    __props__ = ("idx_list", "set_instead_of_inc")

    def __init__(self, idx_list: IndexList, set_instead_of_inc: bool = False, inplace: bool = False):
        self.idx_list = tuple(idx_list)
        self.set_instead_of_inc = set_instead_of_inc

    def __str__(self) -> str:
        kind = "Set" if self.set_instead_of_inc else "Inc"
        return f"{kind}Subtensor{{{', '.join(map(str, self.idx_list))}}}"

    def infer(self, x: Operand, y: Operand, *numbers: Operand) -> list[tuple[str, Sequence[Dim]]]:
        part = self.result_shape(x, numbers)
        check_fits(self, y, part)
        return [(x.dtype, x.shape)]

    def forward(self, x: Any, y: Any, *numbers: Any) -> Any:
        out = x.copy()
        key = self.numpy_key(numbers)
        if self.set_instead_of_inc:
            out[key] = y
        else:
            out[key] += y.astype(x.dtype)
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import sum_to

        (x, y, *numbers), (g,) = inputs, grads
        if x.type.dtype[0] != "f":
            return [None] * len(inputs)
        dx = g
        if self.set_instead_of_inc:
            dx = IncSubtensor(self.idx_list, True)(g, as_tensor_variable(np.zeros((), g.type.dtype)), *numbers)
        dy = sum_to(Subtensor(self.idx_list)(g, *numbers), y) if y.type.dtype[0] == "f" else None
        return [dx, dy] + [None] * len(numbers)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [True]] + [[False]] * (len(node.inputs) - 2)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.creation import zeros_like

        dx, dy = tangents[0], tangents[1]
        if dx is None and dy is None:
            return [None]
        return [self(zeros_like(inputs[0]) if dx is None else dx, zeros_like(inputs[1]) if dy is None else dy,
                     *inputs[2:])]  # fmt: skip

    def extra_sizes(self, x: Operand, y: Operand, *numbers: Operand) -> Sequence[Dim]:  # type: ignore[override]
        return self.slice_sizes(x, numbers)

    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(i + 1 for i in _slice_inputs(self.idx_list))

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, y, *numbers = inputs
        out = b.writable(x, node, 0)
        seen = self.view(b, out, node, node.inputs[2:])
        if seen is not None:
            axes = b.axes(*seen.shape)
            target = seen.at(tuple(axes))
        else:
            axes = b.axes(*b.sizes(node)[::2], *x.shape[len(self.idx_list) :])
            target = out.at(self.addresses(b, out, node, axes, node.inputs[2:], numbers))
        value = cast(broadcast_read(y, axes), out.dtype)
        b.store_to(target, value, axes=axes, combine=None if self.set_instead_of_inc else "add", accumulate=True)
        return [out]


def check_fits(op: Op, y: Operand, part: Sequence[Dim]) -> None:
    """ShapeMismatch unless ``y`` may broadcast to ``part``."""
    op.expect(y.ndim <= len(part), f"a value of at most {len(part)} dimensions", y, error=ShapeMismatch)
    for have, want in zip(reversed(y.shape), reversed(list(part)), strict=False):
        if have != 1 and may_differ(have, want):
            op.expect(False, f"a value that broadcasts to {tuple(part)}", y, error=ShapeMismatch)


def _slice_inputs(idx_list: IndexList) -> tuple[int, ...]:
    """Positions among a node's inputs of the numbers inside slices: they decide sizes."""
    found, position = [], 1
    for entry in idx_list:
        for p in entry if isinstance(entry, Slice) else (entry,):
            if p == VAR:
                if isinstance(entry, Slice):
                    found.append(position)
                position += 1
    return tuple(found)


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
    entries = list(key) if isinstance(key, tuple) else [key]
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

    With integer arrays an index that occurs twice is added to twice (unless ``ignore_duplicates``).
    """
    y = as_tensor_variable(y)
    if not isinstance(x, Variable) or x.owner is None:
        raise TypeMismatch(f"set_subtensor and inc_subtensor need an indexed tensor such as a[1:3], got {x}")
    source = x.owner.inputs[0]
    if np.result_type(y.type.dtype, source.type.dtype) != np.dtype(source.type.dtype):  # type: ignore[attr-defined]
        raise TypeMismatch(
            f"cannot put values of {y.type.dtype} into a tensor of {source.type.dtype}; cast them first: "  # type: ignore
            f"T.cast(y, {source.type.dtype!r})"  # type: ignore[attr-defined]
        )
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
