"""Convolution under its old module name."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.nnet.abstract_conv import conv2d as _conv2d


def conv2d(input: Any, filters: Any, image_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
           subsample: Any = (1, 1), **kargs: Any) -> Any:  # fmt: skip
    """``nnet.conv2d`` with its old argument order: ``image_shape`` before ``filter_shape``."""
    return _conv2d(input, filters, input_shape=kargs.pop("input_shape", None) or image_shape, filter_shape=filter_shape,
                   border_mode=border_mode, subsample=subsample, **kargs)  # fmt: skip
