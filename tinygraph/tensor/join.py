"""Putting tensors together and taking them apart along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, may_differ, merge_dims
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import upcast


class MakeVector(Op):
    """Scalars side by side: n scalars -> (n,)."""

    __props__ = ("dtype",)

    def __init__(self, dtype: str):
        self.dtype = dtype

    def infer(self, *xs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(all(x.ndim == 0 for x in xs), "scalars", *xs)
        return [(self.dtype, (len(xs),))]

    def host(self, *xs: Operand) -> list[Any]:
        return [tuple(x.scalar() for x in xs)]

    def forward(self, *xs: Any) -> Any:
        return np.array(xs, dtype=self.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [grads[0][i] if x.type.dtype[0] == "f" else None for i, x in enumerate(inputs)]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = b.empty((len(inputs),), self.dtype)
        for i, x in enumerate(inputs):
            b.store_to(out[i], cast(x[()], self.dtype), axes=())
        return [out]


class Join(Op):
    """Tensors one after the other along dimension ``axis``; other sizes must agree."""

    __props__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, *xs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        ndim = xs[0].ndim
        self.expect(all(x.ndim == ndim for x in xs) and ndim > self.axis, "tensors of one rank", *xs)
        shape = list(xs[0].shape)
        for x in xs[1:]:
            for d in range(ndim):
                if d == self.axis:
                    shape[d] = shape[d] + x.shape[d]
                    continue
                self.expect(not may_differ(shape[d], x.shape[d]), f"equal sizes in dimension {d}", *xs,
                            error=ShapeMismatch)  # fmt: skip
                shape[d] = merge_dims(shape[d], x.shape[d])
        return [(upcast(*(x.dtype for x in xs)), shape)]

    def host(self, *xs: Operand) -> list[Any] | None:
        if xs[0].ndim != 1 or any(x.value is None for x in xs):
            return None
        return [tuple(v for x in xs for v in x.value)]

    def forward(self, *xs: Any) -> Any:
        return np.concatenate(xs, axis=self.axis)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.maths import cast_to
        from tinygraph.tensor.shape import shape_tuple

        out: list[Variable | None] = []
        start: Any = 0
        for x in inputs:
            stop = start + shape_tuple(x)[self.axis]
            key = (slice(None),) * self.axis + (slice(start, stop),)
            out.append(cast_to(grads[0][key], x.type.dtype) if x.type.dtype[0] == "f" else None)
            start = stop
        return out

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        dtype = node.outputs[0].type.dtype
        out = b.empty(b.shape(node.outputs[0]), dtype)
        start = 0
        for x in inputs:
            axes = b.axes(*x.shape)
            at = tuple(a + start if d == self.axis else a for d, a in enumerate(axes))
            b.store_to(out.at(at), cast(x[axes], dtype), axes=axes)
            start += x.shape[self.axis]
        return [out]


def make_vector(items: Sequence[Any]) -> Any:
    """An integer (or other) vector of scalars; a constant when all are numbers."""
    if all(isinstance(v, (int, np.integer)) for v in items):
        return as_tensor_variable(np.array([int(v) for v in items], dtype="int64"))
    scalars = [as_tensor_variable(np.int64(v) if isinstance(v, (int, np.integer)) else v) for v in items]
    return MakeVector(upcast(*(s.type.dtype for s in scalars)))(*scalars)


def join(axis: int, *tensors: Any) -> Any:
    """Tensors one after the other along ``axis`` (Theano's argument order; see also ``concatenate``)."""
    from tinygraph.tensor.shape import normalise_axis

    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ValueError("join: nothing to join")
    xs = [as_tensor_variable(t) for t in tensors]
    axis = int(getattr(axis, "data", axis))
    axis = normalise_axis(axis, max(xs[0].type.ndim, 1))
    if xs[0].type.ndim == 0:
        raise ShapeMismatch("join: cannot join scalars; use stack")
    return xs[0] if len(xs) == 1 else Join(axis)(*xs)


def concatenate(tensor_list: Sequence[Any], axis: int = 0) -> Any:
    """Tensors one after the other along ``axis``, as ``numpy.concatenate``."""
    if isinstance(tensor_list, Variable):
        raise TypeError("concatenate: expected a list or tuple of tensors, got one tensor")
    return join(axis, *tensor_list)


def stack(tensors: Sequence[Any], *more: Any, axis: int = 0) -> Any:
    """Tensors of one shape along a new dimension ``axis``."""
    from tinygraph.tensor.shape import shape_padaxis

    if isinstance(tensors, Variable) or more:
        if more and isinstance(more[0], int) and isinstance(tensors, (list, tuple)):
            axis, more = more[0], more[1:]
            items = list(tensors)
        else:
            items = [tensors, *more]
    else:
        items = list(tensors)
    if not items:
        raise ValueError("stack: nothing to stack")
    xs = [as_tensor_variable(t) for t in items]
    if all(x.type.ndim == 0 for x in xs):
        return make_vector(xs)
    return join(axis if axis >= 0 else axis + xs[0].type.ndim + 1, *[shape_padaxis(x, axis) for x in xs])


def stack_or_vector(items: Sequence[Any]) -> Any:
    """A nested list with variables in it, as a tensor."""
    return stack([as_tensor_variable(v) for v in items])


def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Any]:
    """``x`` cut along ``axis`` into pieces of the sizes ``splits_size`` (numbers, or an integer vector)."""
    from tinygraph.tensor.shape import normalise_axis

    x = as_tensor_variable(x)
    axis = normalise_axis(int(getattr(axis, "data", axis)), x.type.ndim)
    if isinstance(splits_size, (list, tuple)):
        sizes: list[Any] = list(splits_size)
    else:
        vector = as_tensor_variable(splits_size)
        n = vector.type.shape[0] if vector.type.shape[0] is not None else n_splits
        if n is None:
            raise ValueError("split: the number of pieces is not known; pass n_splits")
        sizes = [vector[i] for i in range(n)]
    if n_splits is not None and n_splits != len(sizes):
        raise ValueError(f"split: n_splits is {n_splits} but there are {len(sizes)} sizes")
    out, start = [], as_tensor_variable(np.int64(0))
    for s in sizes:
        stop = start + s
        out.append(x[(slice(None),) * axis + (slice(start, stop),)])
        start = stop
    return out
