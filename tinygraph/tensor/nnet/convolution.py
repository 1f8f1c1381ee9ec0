"""Convolution: one op for 1 to 3 spatial dimensions, and its two transposes.

All three are the same sum of products ``out[n,f,y] x[n,c,y*s+k*d] w[f,c,k]`` over what is not asked for, so each is the
gradient of the others and derivatives of any order stay within the three (V. Dumoulin, F. Visin, "A guide to
convolution arithmetic for deep learning", 2016, for the sizes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import Dim, Operand, is_int, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import upcast
from tinygraph.tensor.join import make_vector
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.nnet.windows import Pad, pad_sizes, positions
from tinygraph.tensor.shape import shape_tuple


class _Sliding(Op):
    """What the three ops share: how the filter moves, and the sizes that follow.

    strides, dilation : one integer for each spatial axis
    pads : for each spatial axis ``(before, after)`` zeros, or "half" or "full" of the (dilated) filter
    groups : channels are split into this many groups, each seen by its own share of the filters
    """

    __props__ = ("strides", "pads", "dilation", "groups")

    def __init__(self, strides: Sequence[int], pads: Sequence[Pad], dilation: Sequence[int], groups: int = 1):
        self.strides = tuple(strides)
        self.pads = tuple(p if isinstance(p, str) else (p[0], p[1]) for p in pads)
        self.dilation = tuple(dilation)
        self.groups = groups
        self.rank = len(self.strides)
        if not 1 <= self.rank <= 3 or len(self.pads) != self.rank or len(self.dilation) != self.rank:
            raise InvalidValue(f"{type(self).__name__}: strides, pads and dilation must each have 1, 2 or 3 entries")
        if groups < 1:
            raise InvalidValue(f"{type(self).__name__}: the number of groups must be at least 1, got {groups}")

    def __str__(self) -> str:
        more = [f"strides={list(self.strides)}"] if set(self.strides) != {1} else []
        more += [f"pads={list(self.pads)}"] if set(self.pads) != {(0, 0)} else []
        more += [f"dilation={list(self.dilation)}"] if set(self.dilation) != {1} else []
        more += [f"groups={self.groups}"] if self.groups != 1 else []
        return f"{type(self).__name__}{{{', '.join(more)}}}" if more else type(self).__name__

    __repr__ = __str__

    def sibling(self, cls: type[_Sliding]) -> _Sliding:
        """Another of the three ops with the same windows."""
        return cls(self.strides, self.pads, self.dilation, self.groups)

    def make_node(self, a: Any, b: Any, *sizes: Any) -> Apply:
        a, b = as_tensor_variable(a), as_tensor_variable(b)
        dtype = upcast(a.type.dtype, b.type.dtype)
        if dtype == "bool":
            raise TypeMismatch(f"{self}: expected numbers, got {a} of type {a.type} and {b} of type {b.type}")
        return super().make_node(cast_to(a, dtype), cast_to(b, dtype), *sizes)

    # -- sizes ----------------------------------------------------------------------------------------------------

    def check_ranks(self, *operands: Operand) -> None:
        for x in operands[:2]:
            self.expect(x.ndim == self.rank + 2, f"tensors of {self.rank + 2} dimensions", *operands[:2])

    def out_sizes(self, spatial: Sequence[Dim], kernel: Sequence[Dim]) -> list[Dim]:
        return [
            positions(n, k, s, p, d)
            for n, k, s, p, d in zip(spatial, kernel, self.strides, self.pads, self.dilation, strict=True)
        ]

    def check_sizes(
        self, spatial: Sequence[Dim], kernel: Sequence[Dim], out: Sequence[Dim], *operands: Operand
    ) -> None:
        """ShapeMismatch where the known spatial sizes of input, filter and output do not belong together."""
        for i, (found, wanted) in enumerate(zip(out, self.out_sizes(spatial, kernel), strict=True)):
            if is_int(wanted) and wanted < 1:
                before, after = pad_sizes(self.pads[i], kernel[i], self.dilation[i])
                self.expect(
                    False,
                    f"a filter that fits the image, but in spatial dimension {i} a filter of {kernel[i]}"
                    f" (dilation {self.dilation[i]}) exceeds {spatial[i]} + {before + after} of padding",
                    *operands, error=ShapeMismatch,
                )  # fmt: skip
            if may_differ(found, wanted):
                self.expect(False, f"{wanted} positions in spatial dimension {i} of the output", *operands,
                            error=ShapeMismatch)  # fmt: skip

    def check_channels(self, channels: Dim, per_group: Dim, filters: Dim, *operands: Operand) -> None:
        """ShapeMismatch unless the channels are ``groups`` times the filters' and the filters divide into groups."""
        g = self.groups
        if is_int(channels) and is_int(per_group) and channels != per_group * g:
            times = f" in each of {g} groups" if g > 1 else ""
            self.expect(False, f"filters for the {channels} channels of the input, not for {per_group}{times}",
                        *operands, error=ShapeMismatch)  # fmt: skip
        self.expect(not is_int(filters) or filters % g == 0, f"a number of filters that divides by {g} groups",
                    *operands, error=ShapeMismatch)  # fmt: skip

    # -- derivatives ----------------------------------------------------------------------------------------------

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [True], [False]][: len(node.inputs)]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        """Linear in each operand: the sum of the op with one operand's tangent in its place."""
        (a, b, *sizes), (da, db) = inputs, tangents[:2]
        parts = [self(da, b, *sizes)] if da is not None else []
        parts += [self(a, db, *sizes)] if db is not None else []
        return [parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None]

    # -- loop nests -----------------------------------------------------------------------------------------------

    def grouped(self, b: Any, x: Any, axis: int) -> Any:
        """``x`` with dimension ``axis`` split into (groups, its share)."""
        shape = (*x.shape[:axis], self.groups, x.shape[axis] // self.groups, *x.shape[axis + 1 :])
        stride = x.ref.strides[axis]
        strides = (*x.ref.strides[:axis], stride * shape[axis + 1], stride, *x.ref.strides[axis + 1 :])
        return b.view(x, shape, strides)

    def resolved_pads(self, kernel: Sequence[int]) -> list[tuple[int, int]]:
        return [pad_sizes(p, k, d) for p, k, d in zip(self.pads, kernel, self.dilation, strict=True)]

    def padded(self, b: Any, x: Any, kernel: Sequence[int]) -> Any:
        """``x`` inside a border of zeros (x itself where there is none)."""
        pads = self.resolved_pads(kernel)
        if not any(before or after for before, after in pads):
            return x
        spatial = [n + before + after for n, (before, after) in zip(x.shape[2:], pads, strict=True)]
        out = b.zeros((*x.shape[:2], *spatial), x.dtype)
        axes = b.axes(*x.shape)
        at = [axis + before for axis, (before, _) in zip(axes[2:], pads, strict=True)]
        b.store_to(out.at((*axes[:2], *at)), x[axes], axes=axes, accumulate=True)
        return out

    def at(self, out_axes: Sequence[Any], kernel_axes: Sequence[Any]) -> list[Any]:
        """Where in the padded image the filter's points ``kernel_axes`` lie at position ``out_axes``."""
        return [
            y * s + k * d for y, k, s, d in zip(out_axes, kernel_axes, self.strides, self.dilation, strict=True)
        ]


class Conv(_Sliding):
    """Cross-correlation: ``out[n,f,y] = sum over c, k of x[n,c,y*s+k*d-pad] * w[f,c,k]``, x being 0 outside.

    Shapes: (n, c, ...) and (f, c / groups, ...) -> (n, f, ...), with 1 to 3 spatial dimensions.
    Dtype: the operands' upcast. Raises ShapeMismatch if channels, groups or sizes do not fit.
    """

    def infer(self, x: Operand, w: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        self.check_ranks(x, w)
        self.check_channels(x.shape[1], w.shape[1], w.shape[0], x, w)
        out = self.out_sizes(x.shape[2:], w.shape[2:])
        self.check_sizes(x.shape[2:], w.shape[2:], out, x, w)
        return [(x.dtype, [x.shape[0], w.shape[0], *out])]

    def forward(self, x: Any, w: Any) -> Any:
        kernel = w.shape[2:]
        out = np.zeros((x.shape[0], w.shape[0], *self.out_sizes(x.shape[2:], kernel)), x.dtype)
        padded = _pad(x, self.resolved_pads(kernel))
        for xs, ws, fs in _group_slices(self.groups, x.shape[1], w.shape[0]):
            for k in np.ndindex(*kernel):
                part = padded[:, xs][_points(self, k, out.shape[2:])]
                out[:, fs] += np.einsum("nc...,fc->nf...", part, w[ws][(..., *k)])
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x, w), (g,) = inputs, grads
        return [
            self.sibling(ConvGradInputs)(w, g, spatial_shape(x)),
            self.sibling(ConvGradWeights)(x, g, spatial_shape(w)),
        ]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, w = inputs
        kernel = w.shape[2:]
        out = b.shape(node.outputs[0])
        x, w = self.grouped(b, self.padded(b, x, kernel), 1), self.grouped(b, w, 0)
        n, g, f, *y = b.axes(out[0], self.groups, w.shape[1], *out[2:])
        c, *k = b.axes(x.shape[2], *kernel)
        product = x[(n, g, c, *self.at(y, k))] * w[(g, f, c, *k)]
        return [b.reshape(b.reduce("add", product, over=(c, *k), into=(n, g, f, *y)), out)]


class ConvGradWeights(_Sliding):
    """The filters' gradient of ``Conv``: ``dw[f,c,k] = sum over n, y of g[n,f,y] * x[n,c,y*s+k*d-pad]``.

    Inputs: the image (n, c, ...), the output's gradient (n, f, ...), and the filters' spatial sizes, an integer vector.
    """

    shape_inputs = (2,)

    def infer(self, x: Operand, g: Operand, kernel: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        self.check_ranks(x, g)
        sizes = _sizes(self, kernel)
        self.expect(not may_differ(x.shape[0], g.shape[0]), "one batch size", x, g, error=ShapeMismatch)
        channels = x.shape[1]
        self.expect(not is_int(channels) or channels % self.groups == 0,
                    f"channels that divide by {self.groups} groups", x, g, error=ShapeMismatch)  # fmt: skip
        self.check_channels(channels, channels // self.groups, g.shape[1], x, g)
        self.check_sizes(x.shape[2:], sizes, g.shape[2:], x, g)
        return [(x.dtype, [g.shape[1], channels // self.groups, *sizes])]

    def forward(self, x: Any, g: Any, kernel: Any) -> Any:
        kernel = tuple(int(k) for k in kernel)
        out = np.zeros((g.shape[1], x.shape[1] // self.groups, *kernel), x.dtype)
        padded = _pad(x, self.resolved_pads(kernel))
        summed = [0, *range(2, x.ndim)]
        for xs, ws, fs in _group_slices(self.groups, x.shape[1], g.shape[1]):
            for k in np.ndindex(*kernel):
                part = padded[:, xs][_points(self, k, g.shape[2:])]
                out[(ws, slice(None), *k)] = np.tensordot(g[:, fs], part, (summed, summed))
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x, g, _), (dw,) = inputs, grads
        return [self.sibling(ConvGradInputs)(dw, g, spatial_shape(x)), self.sibling(Conv)(x, dw), None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x, grad = inputs[:2]
        out = b.shape(node.outputs[0])
        kernel = out[2:]
        x, grad = self.grouped(b, self.padded(b, x, kernel), 1), self.grouped(b, grad, 1)
        g, f, c, *k = b.axes(self.groups, grad.shape[2], x.shape[2], *kernel)
        n, *y = b.axes(x.shape[0], *grad.shape[3:])
        product = grad[(n, g, f, *y)] * x[(n, g, c, *self.at(y, k))]
        return [b.reshape(b.reduce("add", product, over=(n, *y), into=(g, f, c, *k)), out)]


class ConvGradInputs(_Sliding):
    """The image's gradient of ``Conv``: ``dx[n,c,y*s+k*d-pad] += sum over f of g[n,f,y] * w[f,c,k]``.

    Inputs: the filters (f, c / groups, ...), the output's gradient (n, f, ...), and the image's spatial sizes, an
    integer vector. As an operation of its own it is the transposed convolution.
    """

    shape_inputs = (2,)

    def infer(self, w: Operand, g: Operand, spatial: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        self.check_ranks(w, g)
        sizes = _sizes(self, spatial)
        self.expect(not may_differ(w.shape[0], g.shape[1]), "as many filters as channels of the output gradient",
                    w, g, error=ShapeMismatch)  # fmt: skip
        self.check_channels(w.shape[1] * self.groups, w.shape[1], w.shape[0], w, g)
        self.check_sizes(sizes, w.shape[2:], g.shape[2:], w, g)
        return [(w.dtype, [g.shape[0], w.shape[1] * self.groups, *sizes])]

    def forward(self, w: Any, g: Any, spatial: Any) -> Any:
        spatial = tuple(int(n) for n in spatial)
        channels = w.shape[1] * self.groups
        pads = self.resolved_pads(w.shape[2:])
        sizes = [n + p + q for n, (p, q) in zip(spatial, pads, strict=True)]
        padded = np.zeros((g.shape[0], channels, *sizes), w.dtype)
        for xs, ws, fs in _group_slices(self.groups, channels, w.shape[0]):
            for k in np.ndindex(*w.shape[2:]):
                part = padded[:, xs][_points(self, k, g.shape[2:])]
                part += np.einsum("nf...,fc->nc...", g[:, fs], w[ws][(..., *k)])
        return padded[(..., *(slice(p, p + n) for n, (p, _) in zip(spatial, pads, strict=True)))].copy()

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (w, g, _), (dx,) = inputs, grads
        return [self.sibling(ConvGradWeights)(dx, g, spatial_shape(w)), self.sibling(Conv)(dx, w), None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        w, grad = inputs[:2]
        out = b.shape(node.outputs[0])
        pads = self.resolved_pads(w.shape[2:])
        padded = b.zeros((*out[:2], *(n + p + q for n, (p, q) in zip(out[2:], pads, strict=True))), w.dtype)
        dx, grad = self.grouped(b, padded, 1), self.grouped(b, grad, 1)
        w = self.grouped(b, w, 0)
        n, g, c, *k = b.axes(out[0], self.groups, w.shape[2], *w.shape[3:])
        f, *y = b.axes(w.shape[1], *grad.shape[3:])
        product = grad[(n, g, f, *y)] * w[(g, f, c, *k)]
        b.store_to(dx.at((n, g, c, *self.at(y, k))), product, axes=(n, g, c, *k, *y), over=(f,), combine="add",
                   accumulate=True)  # fmt: skip
        if padded.shape == out:
            return [padded]
        start = [(p, s) for (p, _), s in zip(pads, padded.ref.strides[2:], strict=True)]
        return [b.view(padded, out, padded.ref.strides, start)]


def spatial_shape(x: Variable) -> Any:
    """The sizes of ``x`` after batch and channels, as an integer vector."""
    return make_vector(shape_tuple(x)[2:])


def _sizes(op: _Sliding, vector: Operand) -> Sequence[Dim]:
    op.expect(vector.ndim == 1 and vector.is_int, "a vector of integer sizes", vector)
    op.expect(not may_differ(vector.shape[0], op.rank), f"{op.rank} sizes", vector)
    return vector.values(op.rank)


def _pad(x: np.ndarray, pads: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.pad(x, [(0, 0), (0, 0), *pads])


def _points(op: _Sliding, k: tuple[int, ...], out: Sequence[int]) -> tuple:
    """Index of the padded image's points that filter point ``k`` meets."""
    slices = [
        slice(i * d, i * d + (m - 1) * s + 1, s) for i, d, s, m in zip(k, op.dilation, op.strides, out, strict=True)
    ]
    return (..., *slices)


def _group_slices(groups: int, channels: int, filters: int) -> list[tuple[slice, slice, slice]]:
    """Channels, filters (of the weights) and filters (of the output) of each group."""
    c, f = channels // groups, filters // groups
    return [(slice(i * c, (i + 1) * c), slice(i * f, (i + 1) * f), slice(i * f, (i + 1) * f)) for i in range(groups)]
