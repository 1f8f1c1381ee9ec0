"""Pooling as ops: what windows share, and the maximum of each with its place, and its transpose. Sums: averaging.py.

Windows may leave the image where it is padded, and at its end when borders count. There a maximum sees minus infinity
and a sum sees 0. Of equal maxima the first in row-major order counts, on all targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, dim_max, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, binary, const, select
from tinygraph.program.reduction import identity
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.join import make_vector
from tinygraph.tensor.shape import shape_tuple


def pooled_size(n: Dim, ws: int, stride: int, pad: int, ignore_border: bool) -> Dim:
    """How many windows an axis of ``n`` points gives (Theano's rule, which counts no window that starts outside)."""
    n = n if pad == 0 else n + 2 * pad
    if ignore_border:
        return n // stride if ws == stride else dim_max((n - ws) // stride + 1, 0)
    if stride >= ws:
        return (n - 1) // stride + 1
    return dim_max((n - 1 - ws + stride) // stride, 0) + 1


class Windowed(Op):
    """What the pooling ops share: windows over the last dimensions of a tensor.

    ws, stride, pad : one integer for each pooled dimension; ``ignore_border``: only windows that fit count
    """

    __props__ = ("ws", "stride", "pad", "ignore_border")

    def __init__(self, ws: Sequence[int], stride: Sequence[int], pad: Sequence[int], ignore_border: bool):
        self.ws, self.stride, self.pad = tuple(ws), tuple(stride), tuple(pad)
        self.ignore_border = bool(ignore_border)
        self.rank = len(self.ws)
        if any(self.pad) and not self.ignore_border:
            raise InvalidValue("pooling: padding needs ignore_border=True")
        if any(p >= w for p, w in zip(self.pad, self.ws, strict=True)):
            raise InvalidValue(f"pooling: padding {self.pad} must be smaller than the window {self.ws}")

    def __str__(self) -> str:
        more = f", stride={list(self.stride)}" if self.stride != self.ws else ""
        more += f", pad={list(self.pad)}" if any(self.pad) else ""
        return f"{type(self).__name__}{{{list(self.ws)}{more}{'' if self.ignore_border else ', borders'}}}"

    __repr__ = __str__

    def sibling(self, cls: type[Windowed]) -> Windowed:
        return cls(self.ws, self.stride, self.pad, self.ignore_border)

    @property
    def offset_dtype(self) -> str:
        """Dtype of a place in the window."""
        return "uint8" if int(np.prod(self.ws)) <= 256 else "int32"

    # -- sizes ----------------------------------------------------------------------------------------------------

    def out_sizes(self, spatial: Sequence[Dim]) -> list[Dim]:
        return [
            pooled_size(n, w, s, p, self.ignore_border)
            for n, w, s, p in zip(spatial, self.ws, self.stride, self.pad, strict=True)
        ]

    def pooled_shape(self, x: Operand) -> list[Dim]:
        self.expect(x.ndim >= self.rank, f"a tensor of at least {self.rank} dimensions", x)
        self.expect(x.dtype != "bool", "numbers", x)
        return [*x.shape[: x.ndim - self.rank], *self.out_sizes(x.shape[x.ndim - self.rank :])]

    def check_pooled(self, pooled: Operand, spatial: Sequence[Dim]) -> None:
        for have, want in zip(pooled.shape[pooled.ndim - self.rank :], self.out_sizes(spatial), strict=True):
            if may_differ(have, want):
                self.expect(False, f"the result of pooling {tuple(spatial)}", pooled, error=ShapeMismatch)

    def full_shape(self, pooled: Operand, vector: Operand) -> list[Dim]:
        """Shape of the image, given its pooled form and its spatial sizes as a vector."""
        self.expect(vector.ndim == 1 and vector.is_int, "a vector of integer sizes", vector)
        sizes = vector.values(self.rank)
        self.check_pooled(pooled, sizes)
        return [*pooled.shape[: pooled.ndim - self.rank], *sizes]

    def covered(self, out: Sequence[int]) -> list[int]:
        """Points from the first to the last that a window touches, of each padded axis."""
        return [max((m - 1) * s + w, 0) for m, s, w in zip(out, self.stride, self.ws, strict=True)]

    @property
    def overlapping(self) -> bool:
        return any(s < w for s, w in zip(self.stride, self.ws, strict=True))

    # -- loop nests -----------------------------------------------------------------------------------------------

    def padded(self, b: Any, x: Any, out: Sequence[int], fill: Any) -> Any:
        """``x`` within ``fill`` where windows reach outside of it."""
        spatial = x.shape[x.ndim - self.rank :]
        need = [max(c, p + n) for c, p, n in zip(self.covered(out), self.pad, spatial, strict=True)]
        if tuple(need) == tuple(spatial):
            return x
        lead = x.shape[: x.ndim - self.rank]
        padded = b.empty((*lead, *need), x.dtype)
        b.fill(padded, fill)
        axes = b.axes(*x.shape)
        at = [a + p for a, p in zip(axes[len(lead) :], self.pad, strict=True)]
        b.store_to(padded.at((*axes[: len(lead)], *at)), x[axes], axes=axes, accumulate=True)
        return padded

    def axes(self, b: Any, pooled: Sequence[int]) -> tuple[list[Any], list[Any], list[Any]]:
        """Axes of the pooled array, of the window, and where in the padded image they meet."""
        out, window = b.axes(*pooled), b.axes(*self.ws)
        lead = len(pooled) - self.rank
        meet = [y * s + k for y, s, k in zip(out[lead:], self.stride, window, strict=True)]
        return list(out), list(window), [*out[:lead], *meet]

    def place(self, window: Sequence[Any]) -> Expr:
        """The loop's place in the window, in row-major order."""
        dtype = self.offset_dtype
        flat = window[0].value(dtype)
        for axis, size in zip(window[1:], self.ws[1:], strict=True):
            flat = flat * size + axis.value(dtype)
        return flat

    def spread(self, b: Any, shape: Sequence[int], pooled: Sequence[int], dtype: str, value: Any) -> Any:
        """An array of ``shape``: at each point the sum, over the windows that hold it, of ``value(out, window)``."""
        lead = len(shape) - self.rank
        need = [
            max(c, p + n)
            for c, p, n in zip(self.covered(pooled[lead:]), self.pad, shape[lead:], strict=True)
        ]
        exact = not self.overlapping and self.stride == self.ws and list(need) == self.covered(pooled[lead:])
        padded = b.empty((*shape[:lead], *need), dtype)
        if not exact:
            b.fill(padded, 0)
        out, window, meet = self.axes(b, pooled)
        target = padded.at(tuple(meet))
        if self.overlapping:
            b.store_to(target, value(out, window), axes=(*out, *window), combine="add", accumulate=True)
        else:
            b.store_to(target, value(out, window), axes=(*out, *window), accumulate=not exact)
        if tuple(need) == tuple(shape[lead:]):
            return padded
        strides = padded.ref.strides
        return b.view(padded, shape, strides, [(p, s) for p, s in zip(self.pad, strides[lead:], strict=True)])

    # -- NumPy ----------------------------------------------------------------------------------------------------

    def windows(self, x: np.ndarray, fill: Any) -> np.ndarray:
        """All windows of ``x``: (..., pooled sizes, window sizes), writable views of the padded array."""
        lead = x.ndim - self.rank
        out = self.out_sizes(x.shape[lead:])
        need = [max(c - p - n, 0) for c, p, n in zip(self.covered(out), self.pad, x.shape[lead:], strict=True)]
        border = [(0, 0)] * lead + list(zip(self.pad, need, strict=True))
        padded = np.pad(x, border, constant_values=fill)
        step = padded.strides[lead:]
        return np.lib.stride_tricks.as_strided(
            padded,
            (*x.shape[:lead], *out, *self.ws),
            (*padded.strides[:lead], *(st * s for st, s in zip(step, self.stride, strict=True)), *step),
        )

    def unpooled(self, shape: Sequence[int], values: np.ndarray) -> np.ndarray:
        """The transpose of ``windows``: values (..., pooled sizes, window sizes) added up in an array of ``shape``."""
        lead = len(shape) - self.rank
        out = values.shape[lead : lead + self.rank]
        need = [max(c, 2 * p + n) for c, p, n in zip(self.covered(out), self.pad, shape[lead:], strict=True)]
        total = np.zeros((*shape[:lead], *need), values.dtype)
        for k in np.ndindex(*self.ws):
            at = [slice(i, i + (m - 1) * s + 1 if m else i, s) for i, m, s in zip(k, out, self.stride, strict=True)]
            total[(..., *at)] += values[(..., *k)]
        return total[(..., *(slice(p, p + n) for p, n in zip(self.pad, shape[lead:], strict=True)))].copy()

    def flat_windows(self, x: np.ndarray, fill: Any) -> np.ndarray:
        windows = self.windows(x, fill)
        return windows.reshape(*windows.shape[: x.ndim], -1)


class MaxPool(Windowed):
    """The maximum of each window, and its place in the window (row-major, the first of equals).

    Shapes: (..., spatial) -> (..., pooled), twice. Dtypes: that of the input; uint8, or int32 for windows above 256.
    """

    default_output = 0

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        shape = self.pooled_shape(x)
        return [(x.dtype, shape), (self.offset_dtype, shape)]

    def forward(self, x: Any) -> Any:
        flat = self.flat_windows(x, identity("maximum", x.dtype.name))
        if flat.size == 0:
            return np.zeros(flat.shape[:-1], x.dtype), np.zeros(flat.shape[:-1], self.offset_dtype)
        return flat.max(axis=-1), flat.argmax(axis=-1).astype(self.offset_dtype)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,) = inputs
        if x.type.dtype[0] != "f":
            return [zero_gradient(x)]
        return [self.sibling(MaxPoolGrad)(outputs[1], grads[0], spatial_sizes(x, self.rank))]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self.sibling(MaxPoolPick)(outputs[1], tangents[0]), None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        pooled = b.shape(node.outputs[0])
        x = self.padded(b, x, pooled[x.ndim - self.rank :], identity("maximum", x.dtype))
        out, window, meet = self.axes(b, pooled)
        value = x[tuple(meet)]
        largest = b.reduce("maximum", value, over=window, into=out)
        place = b.empty(pooled, self.offset_dtype)
        b.store_to(place.at(tuple(out)), value, axes=out, over=window, combine="argmax")
        return [largest, place]


class MaxPoolGrad(Windowed):
    """A cotangent for each window, put where the window's maximum was.

    Inputs: places (..., pooled), cotangents (..., pooled), the image's spatial sizes -> (..., spatial).
    """

    shape_inputs = (2,)

    def infer(self, place: Operand, g: Operand, sizes: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        return [(g.dtype, self.full_shape(g, sizes))]

    def forward(self, place: Any, g: Any, sizes: Any) -> Any:
        lead = g.ndim - self.rank
        points = int(np.prod(self.ws))
        values = np.where(place[..., None] == np.arange(points), g[..., None], 0).astype(g.dtype)
        return self.unpooled((*g.shape[:lead], *(int(n) for n in sizes)), values.reshape(*g.shape, *self.ws))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [None, self.sibling(MaxPoolPick)(inputs[0], grads[0]), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[1] is None else self(inputs[0], tangents[1], inputs[2])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        place, g = inputs[:2]

        def value(out: Sequence[Any], window: Sequence[Any]) -> Expr:
            here = binary("eq", place[tuple(out)], self.place(window))
            return select(here, g[tuple(out)], const(0, g.dtype))

        return [self.spread(b, b.shape(node.outputs[0]), g.shape, g.dtype, value)]


class MaxPoolPick(Windowed):
    """The element of each window at a given place: the transpose of ``MaxPoolGrad``, and the tangent of ``MaxPool``.

    Inputs: places (..., pooled), image (..., spatial) -> (..., pooled).
    """

    def infer(self, place: Operand, x: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        self.check_pooled(place, x.shape[x.ndim - self.rank :])
        return [(x.dtype, place.shape)]

    def forward(self, place: Any, x: Any) -> Any:
        flat = self.flat_windows(x, 0)
        return np.take_along_axis(flat, place[..., None].astype("int64"), axis=-1)[..., 0]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [True]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        place, x = inputs
        return [None, self.sibling(MaxPoolGrad)(place, grads[0], spatial_sizes(x, self.rank))]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[1] is None else self(inputs[0], tangents[1])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        place, x = inputs
        pooled = b.shape(node.outputs[0])
        x = self.padded(b, x, pooled[x.ndim - self.rank :], 0)
        out, window, meet = self.axes(b, pooled)
        here = binary("eq", place[tuple(out)], self.place(window))
        value = select(here, x[tuple(meet)], const(0, x.dtype))
        return [b.reduce("add", value, over=window, into=out)]


def spatial_sizes(x: Variable, rank: int) -> Any:
    """The last ``rank`` sizes of ``x`` as an integer vector."""
    return make_vector(shape_tuple(x)[x.type.ndim - rank :])  # type: ignore[attr-defined]


__all__ = ["MaxPool", "MaxPoolGrad", "MaxPoolPick", "Windowed", "pooled_size", "spatial_sizes"]
