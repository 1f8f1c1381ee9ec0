"""Three-dimensional convolution with time before the channels."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.nnet.abstract_conv import conv3d as nnet_conv3d
from tinygraph.tensor.shape import dimshuffle


def conv3d(signals: Any, filters: Any, signals_shape: Any = None, filters_shape: Any = None,
           border_mode: Any = "valid") -> Any:  # fmt: skip
    """Convolution of films. Shapes: (batch, time, channels, rows, columns), (filters, time, channels, rows, columns)
    -> (batch, out time, filters, out rows, out columns)."""

    def swap(shape: Any) -> Any:
        return None if shape is None else (shape[0], shape[2], shape[1], *shape[3:])

    x, w = (dimshuffle(as_tensor_variable(v), (0, 2, 1, 3, 4)) for v in (signals, filters))
    out = nnet_conv3d(x, w, input_shape=swap(signals_shape), filter_shape=swap(filters_shape), border_mode=border_mode)
    return dimshuffle(out, (0, 2, 1, 3, 4))
