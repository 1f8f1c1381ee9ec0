"""The ops of basic indexing: integers and slices, read (Subtensor) and written (IncSubtensor).

A basic index is a view wherever its bounds are known on the host (constants, integer arguments, sizes). Keys as users
write them are taken apart in ``tensor/keys.py``; integer arrays and masks are in ``tensor/advanced_index.py``.
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
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import broadcast_read

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
