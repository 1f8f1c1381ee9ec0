"""Shapes: reading them, and changing how an array is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import Dim, Operand, dim_prod, is_int
from tinygraph.graph.op import Apply, Disconnected, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable, constant
from tinygraph.tensor.join import make_vector


class Shape(Disconnected, Op):
    """The sizes of a tensor, an int64 vector."""

    __props__ = ()

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [("int64", (x.ndim,))]

    def host(self, x: Operand) -> list[Any]:
        return [tuple(x.shape)]

    def forward(self, x: Any) -> Any:
        return np.array(np.shape(x), dtype="int64")


class ShapeI(Disconnected, Op):
    """One size of a tensor, an int64 scalar."""

    __props__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim, f"a tensor of more than {self.axis} dimensions", x)
        return [("int64", ())]

    def host(self, x: Operand) -> list[Any]:
        return [x.shape[self.axis]]

    def forward(self, x: Any) -> Any:
        return np.array(x.shape[self.axis], dtype="int64")


class DimShuffle(Op):
    """Permute, drop and insert dimensions. ``new_order`` names input dimensions, 'x' inserts one of size 1.

    Dimensions left out must be of size 1. Runs as a view.
    """

    __props__ = ("input_ndim", "new_order")
    view_map = {0: [0]}

    def __init__(self, input_ndim: int, new_order: Sequence[Any]):
        self.input_ndim = input_ndim
        self.new_order = tuple(d if d == "x" else int(d) for d in new_order)
        kept = [d for d in self.new_order if d != "x"]
        if len(set(kept)) != len(kept) or any(not 0 <= d < input_ndim for d in kept):
            raise InvalidValue(f"dimshuffle: {self.new_order} is no reordering of {input_ndim} dimensions")
        self.kept = tuple(kept)
        self.dropped = tuple(d for d in range(input_ndim) if d not in kept)

    def __str__(self) -> str:
        return f"DimShuffle{{{','.join(map(str, self.new_order))}}}"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(x.ndim == self.input_ndim, f"{self.input_ndim} dimensions", x)
        for d in self.dropped:
            self.expect(
                not is_int(x.shape[d]) or x.shape[d] == 1, f"size 1 in dimension {d}, which is dropped", x,
                error=ShapeMismatch,
            )  # fmt: skip
        return [(x.dtype, [1 if d == "x" else x.shape[d] for d in self.new_order])]

    def host(self, x: Operand) -> list[Any] | None:
        if x.value is None:
            return None
        if self.new_order == ("x",):
            return [(x.value,)]
        if self.new_order == () and self.input_ndim == 1:
            return [x.value[0]]
        return [x.value] if self.new_order in ((), (0,)) else None

    def forward(self, x: Any) -> Any:
        y = x.transpose(self.kept + self.dropped).reshape([x.shape[d] for d in self.kept])
        return y[tuple(None if d == "x" else slice(None) for d in self.new_order)]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        back: list[Any] = ["x"] * self.input_ndim
        for position, d in enumerate(self.new_order):
            if d != "x":
                back[d] = position
        return [DimShuffle(len(self.new_order), back)(grads[0])]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        shape = [1 if d == "x" else x.shape[d] for d in self.new_order]
        strides = [0 if d == "x" else x.ref.strides[d] for d in self.new_order]
        return [b.view(x, shape, strides)]


class Reshape(Op):
    """``x`` in another shape of the same size; one size may be -1. Shapes: (...), vector of n sizes -> n sizes."""

    __props__ = ("ndim",)
    view_map = {0: [0]}
    shape_inputs = (1,)

    def __init__(self, ndim: int):
        self.ndim = ndim

    def infer(self, x: Operand, shape: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(shape.ndim == 1 and shape.is_int, "a vector of integer sizes", x, shape)
        n = shape.shape[0]
        self.expect(not is_int(n) or n == self.ndim, f"{self.ndim} sizes", x, shape)
        dims = list(shape.values(self.ndim))
        minus = [i for i, d in enumerate(dims) if is_int(d) and d < 0]
        if len(minus) > 1 or any(dims[i] != -1 for i in minus):
            raise InvalidValue(f"reshape: sizes must not be negative, except for one -1; got {tuple(dims)}")
        total = dim_prod(x.shape)
        known = all(map(is_int, x.shape))
        if minus:
            rest = dim_prod([d for i, d in enumerate(dims) if i != minus[0]])
            if known and is_int(rest) and (rest == 0 or total % rest):
                self.expect(False, f"a size that divides by {rest}, to reshape to {tuple(dims)}", x,
                            error=ShapeMismatch)  # fmt: skip
            dims[minus[0]] = total // rest
        elif known and all(map(is_int, dims)) and dim_prod(dims) != total:
            self.expect(False, f"{dim_prod(dims)} elements, to reshape to {tuple(dims)}", x, error=ShapeMismatch)
        return [(x.dtype, dims)]

    def host(self, x: Operand, shape: Operand) -> list[Any] | None:
        if self.ndim == 1 and x.ndim == 1:
            return [x.value]
        if self.ndim == 1 and x.ndim == 0 and x.value is not None:
            return [(x.value,)]
        return [x.value[0]] if self.ndim == 0 and x.ndim == 1 and x.value else None

    def forward(self, x: Any, shape: Any) -> Any:
        return x.reshape(tuple(int(d) for d in shape))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [reshape(grads[0], shape(inputs[0]), ndim=inputs[0].type.ndim), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0], inputs[1])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return [b.reshape(inputs[0], b.shape(node.outputs[0]))]


class SpecifyShape(Op):
    """``x`` itself, with the statement, checked at each call, that it has the given sizes (None: any)."""

    __props__ = ("sizes",)
    view_map = {0: [0]}

    def __init__(self, sizes: Sequence[int | None]):
        self.sizes = tuple(sizes)

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(x.ndim == len(self.sizes), f"{len(self.sizes)} dimensions", x)
        for i, (have, want) in enumerate(zip(x.shape, self.sizes, strict=True)):
            if want is not None and is_int(have):
                self.expect(have == want, f"size {want} in dimension {i}", x, error=ShapeMismatch)
        return [(x.dtype, [have if want is None else want for have, want in zip(x.shape, self.sizes, strict=True)])]

    def host(self, x: Operand) -> list[Any]:
        return [x.value]

    def forward(self, x: Any) -> Any:
        for i, (have, want) in enumerate(zip(x.shape, self.sizes, strict=True)):
            if want is not None and have != want:
                raise ShapeMismatch(f"expected size {want} in dimension {i}, got shape {x.shape}")
        return x

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [grads[0]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return [inputs[0]]


_shape = Shape()


def shape(x: Any) -> Any:
    """The sizes of ``x`` as an int64 vector; a constant where all are known."""
    x = as_tensor_variable(x)
    if None not in x.type.shape:
        return constant(np.array(x.type.shape, dtype="int64"))
    return _shape(x)


def shape_i(x: Any, axis: int) -> Any:
    """Size ``axis`` of ``x``: an int64 scalar, a constant where known."""
    x = as_tensor_variable(x)
    axis = normalise_axis(axis, x.type.ndim)
    size = x.type.shape[axis]
    return ShapeI(axis)(x) if size is None else constant(np.int64(size))


def shape_tuple(x: Any) -> tuple[Any, ...]:
    """The sizes of ``x``: Python ints where known, scalars elsewhere."""
    x = as_tensor_variable(x)
    return tuple(shape_i(x, i) if d is None else d for i, d in enumerate(x.type.shape))


def size(x: Any) -> Any:
    """The number of elements of ``x``, an int64 scalar."""
    from tinygraph.tensor.maths import mul

    dims = [as_tensor_variable(np.int64(d) if isinstance(d, int) else d) for d in shape_tuple(x)]
    out = constant(np.int64(1)) if not dims else dims[0]
    for d in dims[1:]:
        out = mul(out, d)
    return out


def normalise_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """``axis`` counted from the front; IndexError-like InvalidValue if out of range."""
    if not -ndim <= axis < max(ndim, 0) or isinstance(axis, bool):
        raise InvalidValue(f"{what} {axis} is out of range for {ndim} dimensions")
    return int(axis) % ndim if ndim else 0


def dimshuffle(x: Any, pattern: Sequence[Any]) -> Any:
    """Permute, drop or insert ('x') dimensions of ``x``."""
    x = as_tensor_variable(x)
    order = [d if d == "x" else normalise_axis(int(d), x.type.ndim, "dimension") for d in pattern]
    if order == list(range(x.type.ndim)):
        return x
    return DimShuffle(x.type.ndim, order)(x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Dimensions in the order ``axes``, by default reversed."""
    x = as_tensor_variable(x)
    order = range(x.type.ndim)[::-1] if axes is None else axes
    if len(order) != x.type.ndim:
        raise InvalidValue(f"transpose: {len(order)} axes for {x.type.ndim} dimensions")
    return dimshuffle(x, list(order))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    x = as_tensor_variable(x)
    order = list(range(x.type.ndim))
    a, b = normalise_axis(axis1, x.type.ndim), normalise_axis(axis2, x.type.ndim)
    order[a], order[b] = order[b], order[a]
    return dimshuffle(x, order)


def moveaxis(x: Any, source: int, destination: int) -> Any:
    x = as_tensor_variable(x)
    order = [d for d in range(x.type.ndim) if d != normalise_axis(source, x.type.ndim)]
    order.insert(normalise_axis(destination, x.type.ndim), normalise_axis(source, x.type.ndim))
    return dimshuffle(x, order)


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    x = as_tensor_variable(x)
    order = list(range(x.type.ndim))
    axis = normalise_axis(axis, x.type.ndim)
    start = start + x.type.ndim if start < 0 else start
    order.remove(axis)
    order.insert(start - 1 if axis < start else start, axis)
    return dimshuffle(x, order)


def reshape(x: Any, newshape: Any, ndim: int | None = None) -> Any:
    """``x`` with sizes ``newshape`` (numbers, scalars, or an integer vector); one of them may be -1."""
    x = as_tensor_variable(x)
    if isinstance(newshape, (int, np.integer)) or (
        isinstance(newshape, Variable) and newshape.type.ndim == 0  # type: ignore[attr-defined]
    ):
        newshape = (newshape,)
    if isinstance(newshape, (tuple, list)):
        for d in newshape:
            if isinstance(d, float) and not d.is_integer():
                raise TypeMismatch(f"reshape: sizes must be integers, got {tuple(newshape)}")
        newshape = tuple(int(d) if isinstance(d, (float, np.floating)) else d for d in newshape)
        vector = make_vector(newshape)
    else:
        vector = as_tensor_variable(newshape)
    n = vector.type.shape[0] if vector.type.ndim == 1 else None
    if n is None:
        n = ndim
    if n is None:
        raise InvalidValue("reshape: the number of sizes is not known while the graph is built; pass ndim=")
    return Reshape(n)(x, vector)


def flatten(x: Any, ndim: int = 1, outdim: int | None = None) -> Any:
    """``x`` with its trailing dimensions merged so that ``ndim`` dimensions remain."""
    x = as_tensor_variable(x)
    n = ndim if outdim is None else outdim
    if not 1 <= n <= max(x.type.ndim, 1):
        raise InvalidValue(f"flatten: ndim must be between 1 and {x.type.ndim}, got {n}")
    if n == x.type.ndim:
        return x
    return reshape(x, (*shape_tuple(x)[: n - 1], -1), ndim=n)


def shape_padleft(x: Any, n_ones: int = 1) -> Any:
    """``n_ones`` dimensions of size 1 in front."""
    x = as_tensor_variable(x)
    return dimshuffle(x, ["x"] * n_ones + list(range(x.type.ndim)))


def shape_padright(x: Any, n_ones: int = 1) -> Any:
    """``n_ones`` dimensions of size 1 at the end."""
    x = as_tensor_variable(x)
    return dimshuffle(x, list(range(x.type.ndim)) + ["x"] * n_ones)


def shape_padaxis(x: Any, axis: int) -> Any:
    """A dimension of size 1 at ``axis``."""
    x = as_tensor_variable(x)
    order: list[Any] = list(range(x.type.ndim))
    order.insert(normalise_axis(axis, x.type.ndim + 1), "x")
    return dimshuffle(x, order)


expand_dims = shape_padaxis


def squeeze(x: Any, axis: Any = None) -> Any:
    """Without the dimensions of size 1: all that are known to be, or those in ``axis`` (checked at the call)."""
    x = as_tensor_variable(x)
    if axis is None:
        drop = {i for i, d in enumerate(x.type.shape) if d == 1}
    else:
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
        drop = {normalise_axis(a, x.type.ndim) for a in axes}
    return dimshuffle(x, [d for d in range(x.type.ndim) if d not in drop])


def specify_shape(x: Any, sizes: Sequence[int | None]) -> Any:
    """State that ``x`` has these sizes (None: any); a call in which it has not raises ShapeMismatch."""
    x = as_tensor_variable(x)
    sizes = tuple(None if d is None else int(getattr(d, "data", d)) for d in sizes)
    if all(want is None or have == want for have, want in zip(x.type.shape, sizes, strict=True)):
        return x
    return SpecifyShape(sizes)(x)


def addbroadcast(x: Any, *axes: int) -> Any:
    """State that dimensions ``axes`` of ``x`` are of size 1; checked at the call."""
    x = as_tensor_variable(x)
    ones = {normalise_axis(a, x.type.ndim) for a in axes}
    return specify_shape(x, [1 if i in ones else None for i in range(x.type.ndim)])


def unbroadcast(x: Any, *axes: int) -> Any:
    """``x``; real sizes decide broadcasting here, so there is nothing to take back (Theano's flag)."""
    x = as_tensor_variable(x)
    for a in axes:
        normalise_axis(a, x.type.ndim)
    return x


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Any:
    """State which dimensions of ``x`` are of size 1; checked at the call."""
    x = as_tensor_variable(x)
    if len(broadcastable) != x.type.ndim:
        raise InvalidValue(f"patternbroadcast: {len(broadcastable)} flags for {x.type.ndim} dimensions")
    return specify_shape(x, [1 if flag else None for flag in broadcastable])
