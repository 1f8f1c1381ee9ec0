"""Bilinear upsampling of images, by transposed convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable, constant
from tinygraph.tensor.join import concatenate, make_vector
from tinygraph.tensor.nnet.convolution import ConvGradInputs
from tinygraph.tensor.nnet.windows import per_axis
from tinygraph.tensor.shape import dimshuffle, reshape, shape_tuple


def bilinear_kernel_1D(ratio: int, normalize: bool = True) -> Any:
    """A triangle of ``2 * ratio - 1`` points: 1, 2, ..., ratio, ..., 1, divided by ``ratio`` if ``normalize``."""
    (ratio,) = per_axis(ratio, 1, "bilinear_kernel_1D: ratio")
    rise = np.arange(1, ratio + 1, dtype="float64")
    kernel = np.concatenate([rise, rise[-2::-1]])
    return constant((kernel / ratio if normalize else kernel), dtype="floatX")


def bilinear_kernel_2D(ratio: int, normalize: bool = True) -> Any:
    """The product of two ``bilinear_kernel_1D``."""
    kernel = bilinear_kernel_1D(ratio, normalize)
    return dimshuffle(kernel, (0, "x")) * dimshuffle(kernel, ("x", 0))


def bilinear_upsampling(input: Any, ratio: Any = None, frac_ratio: Any = None, batch_size: Any = None,
                        num_input_channels: Any = None, use_1D_kernel: bool = True) -> Any:  # fmt: skip
    """Images ``ratio`` times as large, linearly interpolated; beyond the borders the image stays constant.

    Shapes: (batch, channels, rows, columns) -> (batch, channels, rows * ratio, columns * ratio).
    ``batch_size``, ``num_input_channels`` and ``use_1D_kernel`` change nothing. Raises InvalidValue for a ratio that is
    no integer of at least 1, and for ``frac_ratio``.
    """
    if frac_ratio is not None:
        raise InvalidValue("bilinear_upsampling: frac_ratio is not supported; use an integer ratio")
    (ratio,) = per_axis(ratio, 1, "bilinear_upsampling: ratio")
    x = as_tensor_variable(input)
    if x.type.ndim != 4:
        raise InvalidValue(f"bilinear_upsampling: expected a tensor of 4 dimensions, got {x} of type {x.type}")
    if ratio == 1:
        return x
    batch, channels, rows, columns = shape_tuple(x)
    images = reshape(x, (-1, 1, rows, columns), ndim=4)
    for axis in (2, 3):
        images = _stretched(images, axis, ratio)
    return reshape(images, (batch, channels, rows * ratio, columns * ratio), ndim=4)


def _stretched(x: Any, axis: int, ratio: int) -> Any:
    """``x``, one channel, interpolated along one dimension."""
    lead = (slice(None),) * axis
    wide = concatenate([x[(*lead, slice(None, 1))], x, x[(*lead, slice(-1, None))]], axis=axis)
    pad = 2 * ratio - (ratio - 1) // 2 - 1
    rise = np.arange(1, ratio + 1) / ratio
    kernel = np.concatenate([rise, rise[-2::-1]]).astype(x.type.dtype)
    sizes = list(shape_tuple(x)[2:])
    sizes[axis - 2] = sizes[axis - 2] * ratio
    along = axis - 2
    strides, pads = [1, 1], [(0, 0), (0, 0)]
    strides[along], pads[along] = ratio, (pad, pad)
    shape = (1, 1, -1, 1) if along == 0 else (1, 1, 1, -1)
    return ConvGradInputs(strides, pads, (1, 1))(kernel.reshape(shape), wide, make_vector(sizes))
