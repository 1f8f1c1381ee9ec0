"""Pooling as ops: the sum or mean of each window, and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, const
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.signal.windowed import Windowed, spatial_sizes


class _Averaging(Windowed):
    """Sums of windows, over the number of their points if ``count`` says which: "all" points, padding included (but
    not what lies past the padded image), or only those of the "image"; None leaves the sums as they are."""

    __props__ = ("ws", "stride", "pad", "ignore_border", "count")

    def __init__(self, ws: Sequence[int], stride: Sequence[int], pad: Sequence[int], ignore_border: bool,
                 count: str | None = None):  # fmt: skip
        super().__init__(ws, stride, pad, ignore_border)
        self.count = count

    def sibling(self, cls: Any) -> Any:
        return cls(self.ws, self.stride, self.pad, self.ignore_border, self.count)

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.count is None else text.replace("Sum", "Average", 1)

    __repr__ = __str__

    def counts(self, spatial: Sequence[int], out: Sequence[int]) -> list[np.ndarray]:
        """Points that count, by window position along each axis; a window's count is their product."""
        found = []
        for n, m, w, s, p in zip(spatial, out, self.ws, self.stride, self.pad, strict=True):
            first = np.arange(m) * s
            low, high = (p, p + n) if self.count == "image" else (0, 2 * p + n)
            inside = np.minimum(first + w, high) - np.maximum(first, low)
            found.append(np.ones(m, "int64") if self.count is None else np.maximum(inside, 1))
        return found

    def weights(self, b: Any, spatial: Sequence[int], out: Sequence[int], dtype: str) -> Any:
        """A function from the pooled array's spatial axes to the expression that divides by the count, or None."""
        counts = self.counts(spatial, out)
        if self.count is None or dtype[0] != "f":
            return None
        if all(c.size and (c == c[0]).all() for c in counts):
            scale = 1.0 / float(np.prod([int(c[0]) for c in counts]))
            return lambda axes: const(scale, dtype)
        arrays = [b.constant((1.0 / c).astype(dtype)) for c in counts]

        def weight(axes: Sequence[Any]) -> Expr:
            parts = [a[(y,)] for a, y in zip(arrays, axes, strict=True)]
            product = parts[0]
            for p in parts[1:]:
                product = product * p
            return product

        return weight

    def scale(self, spatial: Sequence[int], out: Sequence[int], dtype: Any) -> np.ndarray:
        total = np.ones(tuple(out), "float64")
        for i, c in enumerate(self.counts(spatial, out)):
            total = total / c.reshape([-1 if j == i else 1 for j in range(self.rank)])
        return total.astype(dtype)


class SumPool(_Averaging):
    """The sum (or mean, by ``count``) of each window. Shapes: (..., spatial) -> (..., pooled)."""

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        self.expect(self.count is None or x.is_float, "floats, to average", x)
        return [(x.dtype, self.pooled_shape(x))]

    def forward(self, x: Any) -> Any:
        sums = self.flat_windows(x, 0).sum(axis=-1, dtype=x.dtype)
        if self.count is None:
            return sums
        lead = x.ndim - self.rank
        return sums * self.scale(x.shape[lead:], sums.shape[lead:], x.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,) = inputs
        if x.type.dtype[0] != "f":
            return [zero_gradient(x)]
        return [self.sibling(SumPoolGrad)(grads[0], spatial_sizes(x, self.rank))]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        pooled = b.shape(node.outputs[0])
        lead = x.ndim - self.rank
        weight = self.weights(b, x.shape[lead:], pooled[lead:], x.dtype)
        x = self.padded(b, x, pooled[lead:], 0)
        out, window, meet = self.axes(b, pooled)
        sums = b.reduce("add", x[tuple(meet)], over=window, into=out)
        if weight is None:
            return [sums]
        axes = b.axes(*pooled)
        return [b.store(sums[axes] * weight(axes[lead:]), into=axes)]


class SumPoolGrad(_Averaging):
    """A cotangent for each window, added (over its count) to all of the window's points: the transpose of ``SumPool``.

    Inputs: cotangents (..., pooled), the image's spatial sizes -> (..., spatial).
    """

    shape_inputs = (1,)

    def infer(self, g: Operand, sizes: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        return [(g.dtype, self.full_shape(g, sizes))]

    def forward(self, g: Any, sizes: Any) -> Any:
        lead = g.ndim - self.rank
        spatial = tuple(int(n) for n in sizes)
        if self.count is not None:
            g = g * self.scale(spatial, g.shape[lead:], g.dtype)
        values = np.broadcast_to(g.reshape(*g.shape, *[1] * self.rank), (*g.shape, *self.ws))
        return self.unpooled((*g.shape[:lead], *spatial), values)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [self.sibling(SumPool)(grads[0]), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], inputs[1])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        g = inputs[0]
        shape = b.shape(node.outputs[0])
        lead = g.ndim - self.rank
        weight = self.weights(b, shape[lead:], g.shape[lead:], g.dtype)

        def value(out: Sequence[Any], window: Sequence[Any]) -> Expr:
            read = g[tuple(out)]
            return read if weight is None else read * weight(out[lead:])

        return [self.spread(b, shape, g.shape, g.dtype, value)]


__all__ = ["SumPool", "SumPoolGrad"]
