"""Convolution of plain images: ``conv2d`` of matrices or stacks of them, without channels."""

from __future__ import annotations

from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.nnet.abstract_conv import conv2d as nnet_conv2d
from tinygraph.tensor.shape import dimshuffle


def conv2d(input: Any, filters: Any, image_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
           subsample: Any = (1, 1), **kargs: Any) -> Any:  # fmt: skip
    """Convolve each of a stack of images with each of a stack of filters.

    Shapes: (rows, columns) or (images, rows, columns), and the same for filters -> (images, filters, rows, columns)
    without the dimensions that neither operand has. Raises InvalidValue for other ranks.
    """
    x, w = as_tensor_variable(input), as_tensor_variable(filters)
    if x.type.ndim not in (2, 3) or w.type.ndim not in (2, 3):
        raise InvalidValue(f"signal.conv2d: expected matrices or 3-d tensors, got {x.type} and {w.type}")
    images = dimshuffle(x, ("x", "x", 0, 1) if x.type.ndim == 2 else (0, "x", 1, 2))
    kernels = dimshuffle(w, ("x", "x", 0, 1) if w.type.ndim == 2 else (0, "x", 1, 2))
    out = nnet_conv2d(images, kernels, input_shape=_with_channel(image_shape), filter_shape=_with_channel(filter_shape),
                      border_mode=border_mode, subsample=subsample, **kargs)  # fmt: skip
    if x.type.ndim == 3 and w.type.ndim == 3:
        return out
    if x.type.ndim == 2 and w.type.ndim == 2:
        return dimshuffle(out, (2, 3))
    return dimshuffle(out, (0, 2, 3)) if x.type.ndim == 3 else dimshuffle(out, (1, 2, 3))


def _with_channel(shape: Any) -> Any:
    """A shape of 2 or 3 sizes as one of 4, with a single channel."""
    if shape is None:
        return None
    shape = tuple(shape)
    return (1, 1, *shape) if len(shape) == 2 else (shape[0], 1, *shape[1:])
