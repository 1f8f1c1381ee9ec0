"""Broadcasting as ops: spreading a value over a shape, and its transpose, summing back to an operand's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import broadcast_read


class Alloc(Op):
    """``value`` spread over ``shape``: Alloc()(value, *shape).

    Shapes: (...) and scalars d0 .. dn -> (d0, ..., dn). Gradient: the sum over what was spread.
    """

    __props__ = ()

    def make_node(self, value: Any, *shape: Any) -> Apply:
        dims = [as_tensor_variable(d) for d in shape]
        for d in dims:
            if d.type.ndim or d.type.dtype[0] not in "iub":
                raise TypeError(f"alloc: sizes must be integer scalars, got {d} of type {d.type}")
        return super().make_node(value, *dims)

    def infer(self, value: Operand, *shape: Operand) -> list[tuple[str, Sequence[Dim]]]:
        dims = [d.scalar() for d in shape]
        self.expect(value.ndim <= len(dims), f"a value of at most {len(dims)} dimensions", value)
        for have, want in zip(reversed(value.shape), reversed(dims), strict=False):
            if isinstance(have, int) and isinstance(want, int) and have not in (1, want):
                self.expect(False, f"a value that broadcasts to {tuple(dims)}", value, error=ShapeMismatch)
        for d in dims:
            self.expect(not isinstance(d, int) or d >= 0, f"sizes that are not negative, not {d}", value,
                        error=ShapeMismatch)  # fmt: skip
        return [(value.dtype, dims)]

    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(range(1, 64))

    def host(self, value: Operand, *shape: Operand) -> list[Any] | None:
        if len(shape) == 1 and isinstance(shape[0].value, int) and shape[0].value <= 64 and value.ndim == 0:
            return None if value.value is None else [(value.value,) * shape[0].value]
        return None

    def forward(self, value: Any, *shape: Any) -> Any:
        return np.broadcast_to(value, tuple(int(d) for d in shape)).copy()

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [sum_to(grads[0], inputs[0]) if inputs[0].type.dtype[0] == "f" else None] + [None] * (len(inputs) - 1)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        shape = b.shape(node.outputs[0])
        if inputs[0].shape == tuple(shape):
            return [inputs[0]]
        axes = b.axes(*shape)
        return [b.store(broadcast_read(inputs[0], axes), into=axes)]


class SumTo(Op):
    """``x`` summed over the dimensions in which ``shape`` is smaller: the transpose of broadcasting.

    Shapes: (...), vector of n sizes -> those n sizes. Which dimensions are summed is decided by a call's sizes.
    """

    __props__ = ()
    shape_inputs = (1,)

    def infer(self, x: Operand, shape: Operand) -> list[tuple[str, Sequence[Dim]]]:
        n = shape.shape[0]
        self.expect(isinstance(n, int) and n <= x.ndim, "a shape vector of known length, at most x.ndim", x, shape)
        dims = shape.values(n)
        for have, want in zip(x.shape[x.ndim - n :], dims, strict=True):
            if isinstance(have, int) and isinstance(want, int) and want not in (1, have):
                self.expect(False, f"an array that sums to {tuple(dims)}", x, error=ShapeMismatch)
        return [(x.dtype, dims)]

    def forward(self, x: Any, shape: Any) -> Any:
        target = tuple(int(d) for d in shape)
        lead = x.ndim - len(target)
        axes = tuple(range(lead)) + tuple(
            lead + i for i, d in enumerate(target) if d == 1 and x.shape[lead + i] != 1
        )
        return x.sum(axis=axes, keepdims=True, dtype=x.dtype).reshape(target) if axes else x

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [broadcast_like(grads[0], inputs[0]), None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x = inputs[0]
        target = b.shape(node.outputs[0])
        lead = x.ndim - len(target)
        summed = [i < lead or (target[i - lead] == 1 and d != 1) for i, d in enumerate(x.shape)]
        if not any(summed):
            return [b.reshape(x, target)]
        axes = b.axes(*x.shape)
        kept = [a for a, s in zip(axes, summed, strict=True) if not s]
        over = [a for a, s in zip(axes, summed, strict=True) if s]
        return [b.reshape(b.reduce("add", x[axes], over=over, into=kept), target)]


alloc_op = Alloc()
sum_to_op = SumTo()


def sum_to(x: Any, like: Variable) -> Any:
    """``x`` summed to the shape of ``like``, an operand that was broadcast to ``x``'s shape."""
    from tinygraph.tensor.maths import cast_to
    from tinygraph.tensor.reduce import sum as sum_over
    from tinygraph.tensor.shape import shape

    x = cast_to(as_tensor_variable(x), like.type.dtype)
    have, want = x.type.shape, like.type.shape  # type: ignore[attr-defined]
    lead = len(have) - len(want)
    if lead < 0:
        return broadcast_like(x, like)
    if lead:
        x = sum_over(x, axis=tuple(range(lead)))
        have = have[lead:]
    if all(w != 1 and (h == 1 and w is not None) for h, w in zip(have, want, strict=True) if h != w) and have != want:
        return broadcast_like(x, like)
    ones = tuple(i for i, (h, w) in enumerate(zip(have, want, strict=True)) if w == 1 and h != 1)
    if ones:
        x = sum_over(x, axis=ones, keepdims=True)
        have = x.type.shape
    if all(w is not None and h == w for h, w in zip(have, want, strict=True)) or have == want == ():
        return x
    if all(w == 1 or (h is not None and h == w) for h, w in zip(have, want, strict=True)):
        return x
    return sum_to_op(x, shape(like))


def broadcast_to(x: Any, shape: Any) -> Any:
    """``x`` spread over ``shape`` (numbers or integer scalars), as ``numpy.broadcast_to``."""
    dims = list(shape) if isinstance(shape, (tuple, list)) else [shape[i] for i in range(len(shape))]
    return alloc_op(x, *dims)


def broadcast_like(x: Any, like: Variable) -> Any:
    """``x`` spread over the shape of ``like``."""
    from tinygraph.tensor.shape import shape_tuple

    x = as_tensor_variable(x)
    if x.type.shape == like.type.shape and None not in x.type.shape:  # type: ignore[attr-defined]
        return x
    return alloc_op(x, *shape_tuple(like))


def fill(like: Any, value: Any) -> Any:
    """``value`` with the shape of ``like`` and the dtype of ``value``'s upcast (Theano's ``fill``/``second``)."""
    return broadcast_like(as_tensor_variable(value), as_tensor_variable(like))


second = fill


def alloc(value: Any, *shape: Any) -> Any:
    """``value`` spread over the sizes ``shape``: ``alloc(0., n, 3)`` or ``alloc(0., (n, 3))``."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    elif len(shape) == 1 and isinstance(shape[0], Variable) and shape[0].type.ndim == 1:  # type: ignore
        shape = tuple(shape[0])  # type: ignore[arg-type]
    return alloc_op(value, *shape)



def is_zero(v: Variable) -> bool:
    """Whether ``v`` is known to be zero everywhere: a zero constant, or one spread by Alloc."""
    if v.owner is not None and isinstance(v.owner.op, Alloc):
        v = v.owner.inputs[0]
    return isinstance(v, Constant) and not np.any(v.data)
