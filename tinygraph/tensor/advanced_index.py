"""Advanced indexing: integer arrays and boolean masks, alone or mixed with slices, None, ``...`` and integers.

A key is taken apart in three steps. New axes become a DimShuffle and slices a Subtensor (both views); a mask becomes
the positions where it is true; what is left are integer arrays for some of the dimensions, which is what the two ops
here read (gather) and write (scatter).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import IndexOutOfRange, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, broadcast_shapes, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import broadcast_read
from tinygraph.tensor.index import Subtensor, check_fits
from tinygraph.tensor.keys import mark_indexed, split_index
from tinygraph.tensor.shape import dimshuffle, shape_i


class GatherIndex(Op):
    """What reading and writing share: integer arrays for the dimensions ``axes`` of a tensor.

    The arrays broadcast together; their joint dimensions stand in the result where the first of ``axes`` was if the
    axes are neighbours, else (or if ``front``) before all others: NumPy's rule.
    """

    axes: tuple[int, ...]
    front: bool

    def insertion(self) -> int:
        """Where the index arrays' dimensions stand in the result."""
        apart = self.axes[-1] - self.axes[0] != len(self.axes) - 1
        return 0 if apart or self.front else self.axes[0]

    def picked_shape(self, x: Operand, indices: Sequence[Operand]) -> list[Dim]:
        """Sizes of ``x[index]``."""
        for i in indices:
            self.expect(i.is_int and i.dtype != "bool", "integer arrays as indices", *indices)
        self.expect(
            self.axes[-1] < x.ndim, f"more than {self.axes[-1]} dimensions to index", x, error=IndexOutOfRange
        )
        try:
            joint = broadcast_shapes([i.shape for i in indices])
        except ShapeMismatch as error:
            shapes = ", ".join(str(i) for i in indices)
            raise ShapeMismatch(f"{self}: index arrays {shapes} do not broadcast: {error}") from None
        for axis, i in zip(self.axes, indices, strict=True):
            self._check_range(x, axis, i)
        rest = [d for k, d in enumerate(x.shape) if k not in self.axes]
        at = self.insertion()
        return [*rest[:at], *joint, *rest[at:]]

    @staticmethod
    def _check_range(x: Operand, axis: int, index: Operand) -> None:
        """IndexOutOfRange for an index that is known while the graph is built."""
        n, known = x.shape[axis], index.value
        for i in known if isinstance(known, tuple) else (known,):
            if isinstance(i, int) and isinstance(n, int) and not -n <= i < n:
                raise IndexOutOfRange(f"index {i} is out of range for dimension {axis} of size {n} ({x})")

    def forward_key(self, x: Any, indices: Sequence[Any]) -> tuple[Any, tuple]:
        """A view of ``x`` with the indexed dimensions where NumPy puts their result, and the key into it."""
        rest = [k for k in range(x.ndim) if k not in self.axes]
        at = self.insertion()
        seen = x.transpose([*rest[:at], *self.axes, *rest[at:]])
        return seen, (slice(None),) * at + tuple(np.asarray(i, dtype="int64") for i in indices)

    def addresses(self, b: Any, x: Any, indices: Sequence[Any], axes: Sequence[Any]) -> tuple:
        """The index of ``x`` at point ``axes`` of the result."""
        at, joint = self.insertion(), len(axes) - (x.ndim - len(self.axes))
        own = axes[at : at + joint]
        free = iter([*axes[:at], *axes[at + joint :]])
        numbers = iter(zip(self.axes, indices, strict=True))
        where: list[Any] = []
        for k in range(x.ndim):
            if k not in self.axes:
                where.append(next(free))
                continue
            _, index = next(numbers)
            value = cast(broadcast_read(index, own), "int64")
            known = value.op == "const"
            where.append(
                b.checked_index(value.attr, x.shape[k], k)
                if known
                else Expr("index", (value,), "int64", x.shape[k])
            )
        return tuple(where)


class AdvancedSubtensor(GatherIndex):
    """``x`` read at integer arrays: ``AdvancedSubtensor(axes)(x, *indices)``.

    Shapes: (...), integer arrays that broadcast -> NumPy's. Gradient: a scatter that adds (an index that occurs twice
    is added to twice).
    """

    __props__ = ("axes", "front")

    def __init__(self, axes: Sequence[int], front: bool = False):
        self.axes = tuple(axes)
        self.front = front

    def infer(self, x: Operand, *indices: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, self.picked_shape(x, indices))]

    def forward(self, x: Any, *indices: Any) -> Any:
        seen, key = self.forward_key(x, indices)
        return seen[key]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like

        x, *indices = inputs
        if x.type.dtype[0] != "f":
            return [None] * len(inputs)
        scatter = AdvancedIncSubtensor(self.axes, self.front)
        return [scatter(zeros_like(x), grads[0], *indices)] + [None] * len(indices)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], *inputs[1:])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, *indices = inputs
        axes = b.axes(*b.shape(node.outputs[0]))
        return [b.store(x[self.addresses(b, x, indices, axes)], into=axes)]


class AdvancedIncSubtensor(GatherIndex):
    """``x`` with ``y`` added to (or put in place of) ``x`` at integer arrays.

    Shapes: (...), anything that broadcasts to ``x[index]``, integer arrays -> the shape of ``x``. Of an index that
    occurs twice, adding adds both values (with ``ignore_duplicates`` the last only), setting keeps the last.
    Gradient by ``y``: the cotangent at the index, also for values that a later duplicate replaced (as in Theano).
    """

    __props__ = ("axes", "front", "set_instead_of_inc", "ignore_duplicates")

    def __init__(self, axes: Sequence[int], front: bool = False, set_instead_of_inc: bool = False,
                 ignore_duplicates: bool = False):  # fmt: skip
        self.axes = tuple(axes)
        self.front = front
        self.set_instead_of_inc = set_instead_of_inc
        self.ignore_duplicates = ignore_duplicates and not set_instead_of_inc

    def infer(self, x: Operand, y: Operand, *indices: Operand) -> list[tuple[str, Sequence[Dim]]]:
        check_fits(self, y, self.picked_shape(x, indices))
        return [(x.dtype, x.shape)]

    def forward(self, x: Any, y: Any, *indices: Any) -> Any:
        out = x.copy()
        seen, key = self.forward_key(out, indices)
        y = y.astype(x.dtype)
        if self.set_instead_of_inc:
            seen[key] = y
        elif self.ignore_duplicates:
            seen[key] += y
        else:
            np.add.at(seen, key, y)
        return out

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [True]] + [[False]] * (len(node.inputs) - 2)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import sum_to

        (x, y, *indices), (g,) = inputs, grads
        if x.type.dtype[0] != "f":
            return [None] * len(inputs)
        dx = g
        if self.set_instead_of_inc:
            zero = as_tensor_variable(np.zeros((), g.type.dtype))
            dx = AdvancedIncSubtensor(self.axes, self.front, True)(g, zero, *indices)
        dy = (
            sum_to(AdvancedSubtensor(self.axes, self.front)(g, *indices), y)
            if y.type.dtype[0] == "f"
            else None
        )
        return [dx, dy] + [None] * len(indices)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.creation import zeros_like

        dx, dy = tangents[0], tangents[1]
        if dx is None and dy is None:
            return [None]
        dx = zeros_like(inputs[0]) if dx is None else dx
        dy = zeros_like(inputs[1], dtype=inputs[0].type.dtype) if dy is None else dy
        return [self(dx, dy, *inputs[2:])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, y, *indices = inputs
        out = b.copy(x) if self.ignore_duplicates else b.writable(x, node, 0)
        axes = b.axes(*self.call_shape(b, node))
        value = cast(broadcast_read(y, axes), out.dtype)
        where = self.addresses(b, x, indices, axes)
        if self.ignore_duplicates:
            value = x[where] + value  # of what x held before
        adding = not (self.set_instead_of_inc or self.ignore_duplicates)
        b.store_to(out.at(where), value, axes=axes, combine="add" if adding else None, accumulate=True)
        return [out]

    def call_shape(self, b: Any, node: Apply) -> list[int]:
        """Sizes of ``x[index]`` at this call."""
        x, _, *indices = node.inputs
        operands = [Operand(v.type.dtype, b.shape(v), None, v) for v in (x, *indices)]  # type: ignore[arg-type]
        return self.picked_shape(operands[0], operands[1:])


class MaskPositions(Op):
    """Where a mask is true, as one index vector for each of its dimensions, in row-major order.

    ``MaskPositions(n)(mask, *sizes)``: the n sizes of the indexed dimensions follow, which the mask's must equal.
    """

    __props__ = ("ndim",)
    data_dependent_shape = True

    def __init__(self, ndim: int):
        self.ndim = ndim

    def infer(self, mask: Operand, *sizes: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(
            mask.dtype == "bool" and mask.ndim == self.ndim, f"a boolean mask of {self.ndim} dimensions", mask
        )
        for axis, (have, size) in enumerate(zip(mask.shape, sizes, strict=False)):
            if may_differ(have, size.scalar()):
                raise IndexOutOfRange(
                    f"a boolean mask must have the sizes of what it indexes: its dimension {axis} is {have}, "
                    f"that of the indexed tensor {size.scalar()}"
                )
        return [("int64", (UNKNOWN,))] * self.ndim

    def forward(self, mask: Any, *sizes: Any) -> Any:
        if sizes and mask.shape != tuple(int(s) for s in sizes):
            raise IndexOutOfRange(
                f"a boolean mask must have the sizes of what it indexes: it has {mask.shape}, "
                f"the indexed dimensions {tuple(int(s) for s in sizes)}"
            )
        return tuple(np.asarray(p, dtype="int64") for p in np.nonzero(mask))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * len(node.outputs) for _ in node.inputs]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [None] * len(inputs)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None] * len(outputs)


def mask_positions(mask: Any, sizes: Sequence[Any] = ()) -> list[Any]:
    """Index vectors of the true elements of ``mask``."""
    return MaskPositions(mask.type.ndim)(mask, *sizes, return_list=True)


def advanced_getitem(x: Any, entries: Sequence[Any]) -> Any:
    """``x[entries]`` where some entries are integer arrays or masks.

    ``entries``: one for each dimension of ``x`` (trailing ones may be missing; a mask stands for as many as it has),
    None for new axes, and perhaps an ``...`` that stands for no dimension.
    """
    y, plain = _without_new_axes(x, [_as_entry(e) for e in entries])
    y, plain = _without_slices(y, plain)
    axes: list[int] = []
    indices: list[Any] = []
    parted = False
    axis = 0
    for e in plain:
        if e is Ellipsis:
            parted = parted or bool(axes)
            ellipsis_at = len(axes)
        elif isinstance(e, slice):
            axis += 1
        elif e.type.dtype == "bool":
            sizes = [shape_i(y, axis + k) for k in range(e.type.ndim)]
            indices += mask_positions(e, sizes)
            axes += range(axis, axis + e.type.ndim)
            axis += e.type.ndim
        else:
            indices.append(e)
            axes.append(axis)
            axis += 1
    front = parted and ellipsis_at < len(
        axes
    )  # '...' between index arrays keeps them apart, even if it is empty
    return mark_indexed(AdvancedSubtensor(axes, front)(y, *indices), x)


def _as_entry(e: Any) -> Any:
    """One part of a key: None, ``...``, a slice, or an index variable (integers or a mask)."""
    if e is None or e is Ellipsis or isinstance(e, slice):
        return e
    v = as_tensor_variable(e)
    if isinstance(e, list) and 0 in v.type.shape:  # of a list without elements NumPy makes integers here
        v = as_tensor_variable(np.zeros(v.type.shape, "int64"))
    if v.type.dtype[0] not in "iub":
        raise TypeMismatch(
            f"an index must be an integer, slice, None, '...', integer array or boolean mask, got {e} of type {v.type}"
        )
    return v


def _without_new_axes(x: Any, entries: Sequence[Any]) -> tuple[Any, list[Any]]:
    """``x`` with the new axes of the key put in, and the key with full slices in their place.

    A boolean scalar is an axis of its own, of size 1 or 0.
    """
    pattern: list[Any] = []
    plain: list[Any] = []
    axis = 0
    for e in entries:
        scalar_mask = isinstance(e, Variable) and e.type.ndim == 0 and e.type.dtype == "bool"  # type: ignore[attr-defined]
        if e is None or scalar_mask:
            pattern.append("x")
            plain.append(slice(None) if e is None else dimshuffle(e, ("x",)))
        elif e is Ellipsis:
            plain.append(e)
        else:
            width = e.type.ndim if isinstance(e, Variable) and e.type.dtype == "bool" else 1  # type: ignore[attr-defined]
            pattern += range(axis, axis + width)
            axis += width
            plain.append(e)
    return dimshuffle(x, [*pattern, *range(axis, x.type.ndim)]), plain


def _without_slices(x: Any, entries: Sequence[Any]) -> tuple[Any, list[Any]]:
    """``x`` cut by the slices of the key, and the key with full slices in their place."""
    basic: list[Any] = []
    plain: list[Any] = []
    for e in entries:
        if isinstance(e, Variable):
            basic += [slice(None)] * (e.type.ndim if e.type.dtype == "bool" else 1)  # type: ignore[attr-defined]
        elif isinstance(e, slice):
            basic.append(e)
        plain.append(slice(None) if isinstance(e, slice) else e)
    while basic and basic[-1] == slice(None):
        basic.pop()
    if not any(e != slice(None) for e in basic):
        return x, plain
    idx_list, numbers = split_index(basic)
    return Subtensor(idx_list)(x, *numbers), plain


def inc_advanced(x: Any, y: Any, set_instead_of_inc: bool, ignore_duplicates: bool) -> Any:
    """The tensor that ``x`` (the output of an AdvancedSubtensor) was read from, with ``y`` added or put there."""
    op, (source, *indices) = x.owner.op, x.owner.inputs
    return AdvancedIncSubtensor(op.axes, op.front, set_instead_of_inc, ignore_duplicates)(source, y, *indices)


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Elements of ``a`` at ``indices`` along ``axis`` (None: of the flattened tensor).

    ``mode``: what to do with an index out of range: 'raise', 'wrap' around, or 'clip' to the ends.
    """
    from tinygraph.tensor.maths import clip, mod
    from tinygraph.tensor.shape import flatten, normalise_axis

    a, indices = as_tensor_variable(a), as_tensor_variable(indices)
    if indices.type.dtype[0] not in "iu":
        raise TypeMismatch(f"take: indices must be integers, got {indices} of type {indices.type}")
    if axis is None:
        a, axis = flatten(a), 0
    axis = normalise_axis(axis, a.type.ndim)
    n = shape_i(a, axis)
    if mode == "wrap":
        indices = mod(indices, n)
    elif mode == "clip":
        indices = clip(indices, 0, n - 1)
    elif mode != "raise":
        raise ValueError(f"take: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    return a[(slice(None),) * axis + (indices,)]


__all__ = [
    "AdvancedIncSubtensor",
    "AdvancedSubtensor",
    "MaskPositions",
    "advanced_getitem",
    "inc_advanced",
    "mask_positions",
    "take",
]
