"""Convolution as users write it: ``conv1d``, ``conv2d``, ``conv3d``, their gradients as operations, and what is made
of them. The ops are in ``convolution.py``.

``filter_flip=True`` (the default, as in Theano) is convolution in the mathematical sense: the filters are read
backwards, as a view. With False they are slid over the image as they are (cross-correlation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.join import make_vector
from tinygraph.tensor.nnet.convolution import Conv, ConvGradInputs, ConvGradWeights
from tinygraph.tensor.nnet.upsampling import bilinear_kernel_1D, bilinear_kernel_2D, bilinear_upsampling
from tinygraph.tensor.nnet.windows import Pad, per_axis
from tinygraph.tensor.shape import specify_shape


def conv2d(
    input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1), filter_flip: bool = True, image_shape: Any = None, filter_dilation: Any = (1, 1),
    num_groups: int = 1, unshared: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Convolution of a batch of images with a bank of filters.

    Shapes: (batch, channels, rows, columns) and (filters, channels / num_groups, rows, columns)
    -> (batch, filters, out rows, out columns). Dtype: the operands' upcast.

    Parameters
    ----------
    input_shape (old name image_shape), filter_shape : four sizes each, None where not known; checked now or at the call
    border_mode : "valid"; "full"; "half" (the size stays, for odd filters); an integer, or one for each dimension; or
        a pair (before, after) for each dimension: how many zeros surround the image
    subsample : steps between positions
    filter_flip : True: convolution; False: cross-correlation
    filter_dilation : steps between the points of a filter
    num_groups : the channels fall into this many groups, each with its share of the filters

    Raises TypeMismatch (ranks), ShapeMismatch (channels, sizes), InvalidValue (arguments).
    """
    return _conv("conv2d", 2, input, filters, input_shape, filter_shape, border_mode, subsample, filter_flip,
                 image_shape, filter_dilation, num_groups, unshared, kwargs)  # fmt: skip


def conv3d(
    input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1), num_groups: int = 1,
    image_shape: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """``conv2d`` with three spatial dimensions: (batch, channels, depth, rows, columns)."""
    return _conv("conv3d", 3, input, filters, input_shape, filter_shape, border_mode, subsample, filter_flip,
                 image_shape, filter_dilation, num_groups, False, kwargs)  # fmt: skip


def conv1d(
    input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = 1, filter_flip: bool = True, filter_dilation: Any = 1, num_groups: int = 1, **kwargs: Any,
) -> Any:  # fmt: skip
    """``conv2d`` with one spatial dimension: (batch, channels, length)."""
    return _conv("conv1d", 1, input, filters, input_shape, filter_shape, border_mode, subsample, filter_flip,
                 None, filter_dilation, num_groups, False, kwargs)  # fmt: skip


def causal_conv1d(
    input: Any, filters: Any, filter_shape: Any = None, input_shape: Any = None, subsample: Any = 1,
    filter_flip: bool = True, filter_dilation: Any = 1, num_groups: int = 1, unshared: bool = False,
) -> Any:  # fmt: skip
    """``conv1d`` in which no output sees a later input: all padding comes before the sequence.

    Shapes: (batch, channels, time), (filters, channels / num_groups, taps) -> (batch, filters, time / subsample).
    The number of taps must be known: from ``filter_shape`` or from the filters' type.
    """
    _refuse_unshared("causal_conv1d", unshared)
    w = as_tensor_variable(filters)
    taps = filter_shape[2] if filter_shape is not None and filter_shape[2] is not None else w.type.shape[2]
    if taps is None:
        raise InvalidValue("causal_conv1d: the number of taps is not known; pass filter_shape=(n, channels, taps)")
    (dilation,) = per_axis(filter_dilation, 1, "causal_conv1d: filter_dilation")
    pad = [((int(taps) - 1) * dilation, 0)]
    return conv1d(input, w, input_shape, filter_shape, pad, subsample, filter_flip, dilation, num_groups)


def _conv(
    name: str, rank: int, input: Any, filters: Any, input_shape: Any, filter_shape: Any, border_mode: Any,
    subsample: Any, filter_flip: bool, image_shape: Any, dilation: Any, groups: int, unshared: bool, extra: dict,
) -> Any:  # fmt: skip
    _check_extra(name, extra)
    _refuse_unshared(name, unshared)
    if image_shape is not None:
        if input_shape is not None:
            raise InvalidValue(f"{name}: input_shape and its old name image_shape are both given; keep input_shape")
        input_shape = image_shape
    input_sizes = _sizes(name, "input_shape", input_shape, rank + 2)
    filter_sizes = _sizes(name, "filter_shape", filter_shape, rank + 2)
    groups = _groups(name, groups)
    _check_channels(name, input_sizes, filter_sizes, groups)
    x = _stated(name, "input_shape", as_tensor_variable(input), input_sizes)
    w = _stated(name, "filter_shape", as_tensor_variable(filters), filter_sizes)
    op = Conv(*_windows(name, rank, subsample, border_mode, dilation), groups)
    return op(x, flipped(w, rank) if filter_flip else w)


def flipped(w: Any, rank: int) -> Any:
    """``w`` with its last ``rank`` dimensions read backwards."""
    if w.type.ndim != rank + 2 or all(d == 1 for d in w.type.shape[2:]):
        return w
    return w[(slice(None), slice(None), *[slice(None, None, -1)] * rank)]


def _windows(name: str, rank: int, subsample: Any, border_mode: Any, dilation: Any) -> tuple[Any, Any, Any]:
    """Strides, pads and dilation as the ops take them."""
    return (
        per_axis(subsample, rank, f"{name}: subsample"),
        border_pads(name, border_mode, rank),
        per_axis(dilation, rank, f"{name}: filter_dilation"),
    )


def border_pads(name: str, border_mode: Any, rank: int) -> tuple[Pad, ...]:
    """``border_mode`` as one pad for each axis."""
    if border_mode == "valid":
        return ((0, 0),) * rank
    if isinstance(border_mode, str):
        if border_mode not in ("full", "half"):
            raise InvalidValue(
                f"{name}: border_mode must be 'valid', 'full', 'half', an integer, integers for each dimension, or"
                f" (before, after) pairs; got {border_mode!r}"
            )
        return (str(border_mode),) * rank
    if isinstance(border_mode, (tuple, list)):
        if len(border_mode) != rank:
            raise InvalidValue(f"{name}: border_mode needs {rank} entries, got {border_mode!r}")
        return tuple(_pair(name, entry) for entry in border_mode)
    return (_pair(name, border_mode),) * rank


def _pair(name: str, entry: Any) -> tuple[int, int]:
    if isinstance(entry, (tuple, list)):
        before, after = per_axis(entry, 2, f"{name}: a pair of border_mode", least=0)
    else:
        before, after = per_axis(entry, 1, f"{name}: border_mode", least=0) * 2
    return before, after


# -- the gradients as operations of their own ---------------------------------------------------------------------


def _grad_inputs(
    name: str, rank: int, output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any, border_mode: Any,
    subsample: Any, filter_flip: bool, dilation: Any, groups: int, unshared: bool = False,
) -> Any:  # fmt: skip
    _refuse_unshared(name, unshared)
    w = as_tensor_variable(filters)
    w = _stated(name, "filter_shape", w, _sizes(name, "filter_shape", filter_shape, rank + 2))
    sizes = _spatial(name, "input_shape", input_shape, rank)
    op = ConvGradInputs(*_windows(name, rank, subsample, border_mode, dilation), _groups(name, groups))
    return op(flipped(w, rank) if filter_flip else w, output_grad, make_vector(sizes))


def _grad_weights(
    name: str, rank: int, input: Any, output_grad: Any, filter_shape: Any, input_shape: Any, border_mode: Any,
    subsample: Any, filter_flip: bool, dilation: Any, groups: int, unshared: bool = False,
) -> Any:  # fmt: skip
    _refuse_unshared(name, unshared)
    x = as_tensor_variable(input)
    x = _stated(name, "input_shape", x, _sizes(name, "input_shape", input_shape, rank + 2))
    sizes = _spatial(name, "filter_shape", filter_shape, rank)
    op = ConvGradWeights(*_windows(name, rank, subsample, border_mode, dilation), _groups(name, groups))
    dw = op(x, output_grad, make_vector(sizes))
    return flipped(dw, rank) if filter_flip else dw


def conv2d_grad_wrt_inputs(
    output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
    unshared: bool = False,
) -> Any:  # fmt: skip
    """The gradient of ``conv2d`` by its images.

    Shapes: (batch, filters, rows, columns), filters as in ``conv2d`` -> ``input_shape``, whose last two sizes (numbers
    or integer scalars) must be given; other arguments as in ``conv2d``.
    """
    return _grad_inputs("conv2d_grad_wrt_inputs", 2, output_grad, filters, input_shape, filter_shape, border_mode,
                        subsample, filter_flip, filter_dilation, num_groups, unshared)  # fmt: skip


def conv3d_grad_wrt_inputs(
    output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1), num_groups: int = 1,
) -> Any:  # fmt: skip
    """``conv2d_grad_wrt_inputs`` with three spatial dimensions."""
    return _grad_inputs("conv3d_grad_wrt_inputs", 3, output_grad, filters, input_shape, filter_shape, border_mode,
                        subsample, filter_flip, filter_dilation, num_groups)  # fmt: skip


def conv2d_grad_wrt_weights(
    input: Any, output_grad: Any, filter_shape: Any, input_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
    unshared: bool = False,
) -> Any:  # fmt: skip
    """The gradient of ``conv2d`` by its filters.

    Shapes: (batch, channels, rows, columns), (batch, filters, out rows, out columns) -> ``filter_shape``, whose last
    two sizes (numbers or integer scalars) must be given; other arguments as in ``conv2d``.
    """
    return _grad_weights("conv2d_grad_wrt_weights", 2, input, output_grad, filter_shape, input_shape, border_mode,
                         subsample, filter_flip, filter_dilation, num_groups, unshared)  # fmt: skip


def conv3d_grad_wrt_weights(
    input: Any, output_grad: Any, filter_shape: Any, input_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1), num_groups: int = 1,
) -> Any:  # fmt: skip
    """``conv2d_grad_wrt_weights`` with three spatial dimensions."""
    return _grad_weights("conv3d_grad_wrt_weights", 3, input, output_grad, filter_shape, input_shape, border_mode,
                         subsample, filter_flip, filter_dilation, num_groups)  # fmt: skip


def conv2d_transpose(
    input: Any, filters: Any, output_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
    input_dilation: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
    unshared: bool = False,
) -> Any:  # fmt: skip
    """Transposed convolution ("deconvolution"): the operation whose gradient is ``conv2d``.

    Shapes: (batch, k, rows, columns) and filters (k, channels / num_groups, rows, columns) -> ``output_shape``, whose
    last two sizes must be given. ``input_dilation`` is the ``subsample`` of the convolution it transposes.
    """
    return _grad_inputs("conv2d_transpose", 2, input, filters, output_shape, filter_shape, border_mode, input_dilation,
                        filter_flip, filter_dilation, num_groups, unshared)  # fmt: skip


def separable_conv2d(
    input: Any, depthwise_filters: Any, pointwise_filters: Any, num_channels: int, input_shape: Any = None,
    depthwise_filter_shape: Any = None, pointwise_filter_shape: Any = None, border_mode: Any = "valid",
    subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1),
) -> Any:  # fmt: skip
    """Filters for each channel on its own, then 1x1 filters over all (F. Chollet, "Xception", 2017).

    Shapes: (batch, channels, rows, columns), depthwise (channels * m, 1, rows, columns), pointwise
    (filters, channels * m, 1, 1) -> (batch, filters, out rows, out columns).
    """
    pointwise = as_tensor_variable(pointwise_filters)
    sizes = _sizes("separable_conv2d", "pointwise_filter_shape", pointwise_filter_shape, 4) or pointwise.type.shape
    if any(d not in (None, 1) for d in sizes[2:]):
        raise InvalidValue(f"separable_conv2d: pointwise filters must be 1x1, got {tuple(sizes)}")
    deep = conv2d(input, depthwise_filters, input_shape, depthwise_filter_shape, border_mode, subsample, filter_flip,
                  filter_dilation=filter_dilation, num_groups=num_channels)  # fmt: skip
    return conv2d(deep, pointwise, filter_shape=pointwise_filter_shape, filter_flip=filter_flip)


class _Settings:
    """A convolution with its settings fixed first and its operands given later (Theano's abstract ops)."""

    rank = 2

    def __init__(
        self, imshp: Any = None, kshp: Any = None, border_mode: Any = "valid", subsample: Any = None,
        filter_flip: bool = True, filter_dilation: Any = None, num_groups: int = 1, unshared: bool = False,
        convdim: Any = None,
    ):  # fmt: skip
        _refuse_unshared(type(self).__name__, unshared)
        self.imshp, self.kshp, self.border_mode = imshp, kshp, border_mode
        self.subsample = (1,) * self.rank if subsample is None else subsample
        self.filter_flip = filter_flip
        self.filter_dilation = (1,) * self.rank if filter_dilation is None else filter_dilation
        self.num_groups = num_groups

    @property
    def _moves(self) -> tuple[Any, Any, bool]:
        return self.border_mode, self.subsample, self.filter_flip


class AbstractConv2d(_Settings):
    """``AbstractConv2d(settings)(input, filters)``: see ``conv2d``."""

    def __call__(self, img: Any, kern: Any) -> Any:
        border, steps, flip = self._moves
        return _conv(type(self).__name__, self.rank, img, kern, self.imshp, self.kshp, border, steps, flip, None,
                     self.filter_dilation, self.num_groups, False, {})  # fmt: skip


class AbstractConv2d_gradInputs(_Settings):
    """``AbstractConv2d_gradInputs(settings)(filters, output_grad, spatial_shape)``: see ``conv2d_grad_wrt_inputs``."""

    def __call__(self, kern: Any, topgrad: Any, shape: Any, add_assert_shape: bool = True) -> Any:
        sizes = _last(shape, self.rank)
        border, steps, flip = self._moves
        return _grad_inputs(type(self).__name__, self.rank, topgrad, kern, (None, None, *sizes), self.kshp, border,
                            steps, flip, self.filter_dilation, self.num_groups)  # fmt: skip


class AbstractConv2d_gradWeights(_Settings):
    """``AbstractConv2d_gradWeights(settings)(input, output_grad, spatial_shape)``: see ``conv2d_grad_wrt_weights``."""

    def __call__(self, img: Any, topgrad: Any, shape: Any, add_assert_shape: bool = True) -> Any:
        sizes = _last(shape, self.rank)
        border, steps, flip = self._moves
        return _grad_weights(type(self).__name__, self.rank, img, topgrad, (None, None, *sizes), self.imshp, border,
                             steps, flip, self.filter_dilation, self.num_groups)  # fmt: skip


class AbstractConv3d(AbstractConv2d):
    """``AbstractConv2d`` with three spatial dimensions."""

    rank = 3


class AbstractConv3d_gradInputs(AbstractConv2d_gradInputs):
    """``AbstractConv2d_gradInputs`` with three spatial dimensions."""

    rank = 3


class AbstractConv3d_gradWeights(AbstractConv2d_gradWeights):
    """``AbstractConv2d_gradWeights`` with three spatial dimensions."""

    rank = 3


# -- sizes --------------------------------------------------------------------------------------------------------


def get_conv_output_shape(
    image_shape: Sequence[Any], kernel_shape: Sequence[Any], border_mode: Any, subsample: Any,
    filter_dilation: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """The shape of a convolution's result; None stands for sizes that are not known."""
    from tinygraph.tensor.nnet.windows import positions

    rank = len(image_shape) - 2
    dilation = (1,) * rank if filter_dilation is None else filter_dilation
    strides, pads, steps = _windows("get_conv_output_shape", rank, subsample, border_mode, dilation)
    spatial = [
        None if n is None or k is None else positions(n, k, s, p, d)
        for n, k, s, p, d in zip(image_shape[2:], kernel_shape[2:], strides, pads, steps, strict=True)
    ]
    return (image_shape[0], kernel_shape[0], *spatial)


def _sizes(name: str, what: str, shape: Any, ndim: int) -> tuple[int | None, ...] | None:
    """A stated shape as ints and None; constants are read, symbolic sizes count as not known."""
    if shape is None:
        return None
    if len(shape) != ndim:
        raise InvalidValue(f"{name}: {what} must have {ndim} entries, got {tuple(shape)!r}")
    found: list[int | None] = []
    for d in shape:
        value = getattr(d, "data", d) if d is not None and hasattr(d, "type") else d
        if value is None or hasattr(value, "type") and not hasattr(value, "item"):
            found.append(None)
            continue
        try:
            found.append(per_axis(value, 1, what, least=0)[0])
        except InvalidValue:
            raise InvalidValue(f"{name}: {what} must hold integers or None, got {tuple(shape)!r}") from None
    return tuple(found)


def _check_channels(name: str, image: Any, kernel: Any, groups: int) -> None:
    if image is None or kernel is None or image[1] is None or kernel[1] is None:
        return
    if image[1] != kernel[1] * groups:
        times = f" * {groups} groups" if groups > 1 else ""
        raise ShapeMismatch(
            f"{name}: input_shape {image} has {image[1]} channels, but filter_shape {kernel} is for {kernel[1]}{times}"
        )


def _stated(name: str, what: str, x: Any, sizes: Any) -> Any:
    """``x`` with its stated sizes, compared with what is known now and checked again at each call."""
    if sizes is None or x.type.ndim != len(sizes):
        return x
    for i, (have, want) in enumerate(zip(x.type.shape, sizes, strict=True)):
        if have is not None and want is not None and have != want:
            raise ShapeMismatch(f"{name}: {what} {sizes} says {want} in dimension {i}, but {x} has type {x.type}")
    return specify_shape(x, sizes)


def _spatial(name: str, what: str, shape: Any, rank: int) -> list[Any]:
    """The last ``rank`` sizes of a shape, numbers or integer scalars."""
    if hasattr(shape, "type"):
        shape = [shape[i] for i in range(rank + 2)]
    if shape is None or len(shape) != rank + 2 or any(d is None for d in shape[2:]):
        raise InvalidValue(f"{name}: {what} must have {rank + 2} entries, the last {rank} of them known; got {shape!r}")
    return list(shape[2:])


def _last(shape: Any, rank: int) -> list[Any]:
    """The last ``rank`` entries of a shape: a sequence of numbers or scalars, or an integer vector."""
    if hasattr(shape, "type") and not hasattr(shape, "data"):
        n = shape.type.shape[0]
        if n is None:
            return [shape[i - rank] for i in range(rank)]
        return [shape[n - rank + i] for i in range(rank)]
    values = list(getattr(shape, "data", shape))
    return values[len(values) - rank :]


def _groups(name: str, groups: Any) -> int:
    return per_axis(groups, 1, f"{name}: num_groups")[0]


def _refuse_unshared(name: str, unshared: bool) -> None:
    if unshared:
        raise InvalidValue(f"{name}: unshared filters are not supported")


def _check_extra(name: str, extra: dict) -> None:
    """Arguments that only chose among Theano's implementations are ignored; others are a mistake."""
    known = {"imshp_logical", "kshp_logical", "kshp_logical_top_aligned", "version", "unroll_batch", "unroll_kern",
             "unroll_patch", "openmp", "verbose", "convdim", "nkern", "bsize", "implementation"}  # fmt: skip
    strange = sorted(set(extra) - known)
    if strange:
        raise TypeError(f"{name}() got an unexpected keyword argument {strange[0]!r}")


__all__ = [
    "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d",
    "AbstractConv3d_gradInputs", "AbstractConv3d_gradWeights", "bilinear_kernel_1D", "bilinear_kernel_2D",
    "bilinear_upsampling", "causal_conv1d", "conv1d", "conv2d", "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights",
    "conv2d_transpose", "conv3d", "conv3d_grad_wrt_inputs", "conv3d_grad_wrt_weights", "get_conv_output_shape",
    "separable_conv2d",
]  # fmt: skip
