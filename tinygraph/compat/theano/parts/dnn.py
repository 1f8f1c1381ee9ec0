"""``theano.sandbox.cuda.dnn`` and ``theano.gpuarray.dnn``: names of cuDNN's operations, which run on every target here.

cuDNN itself is never used, and the probe says so. A descriptor keeps its settings until there are operands;
``algo``, ``workmem``, ``precision`` and hints choose among cuDNN's algorithms and are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.nnet import abstract_conv, bn
from tinygraph.tensor.nnet.softmax import logsoftmax, softmax
from tinygraph.tensor.signal import pool


def dnn_available(context_name: object = None) -> bool:
    """False: programs take the other branch, which runs on every target."""
    return False


dnn_present = dnn_available
dnn_available.msg = "tinygraph does not use cuDNN"  # type: ignore[attr-defined]


def version(raises: bool = True) -> int:
    """cuDNN's version: -1, as in Theano without it."""
    return -1


def _flip(conv_mode: str) -> bool:
    return conv_mode == "conv"  # the other is "cross", a correlation


def dnn_conv(
    img: Any, kerns: Any, border_mode: Any = "valid", subsample: Any = (1, 1), dilation: Any = (1, 1),
    conv_mode: str = "conv", *hints: Any, num_groups: int = 1, **algorithm: Any,
) -> Any:  # fmt: skip
    """``T.nnet.conv2d``."""
    return abstract_conv.conv2d(img, kerns, border_mode=border_mode, subsample=subsample, filter_flip=_flip(conv_mode),
                                filter_dilation=dilation, num_groups=num_groups)  # fmt: skip


def dnn_conv3d(
    img: Any, kerns: Any, border_mode: Any = "valid", subsample: Any = (1, 1, 1), dilation: Any = (1, 1, 1),
    conv_mode: str = "conv", *hints: Any, num_groups: int = 1, **algorithm: Any,
) -> Any:  # fmt: skip
    """``T.nnet.conv3d``."""
    return abstract_conv.conv3d(img, kerns, border_mode=border_mode, subsample=subsample, filter_flip=_flip(conv_mode),
                                filter_dilation=dilation, num_groups=num_groups)  # fmt: skip


def dnn_gradweight(
    img: Any, topgrad: Any, kerns_shp: Any, border_mode: Any = "valid", subsample: Any = (1, 1), dilation: Any = (1, 1),
    conv_mode: str = "conv", *hints: Any, num_groups: int = 1, **algorithm: Any,
) -> Any:  # fmt: skip
    """``conv2d_grad_wrt_weights`` or ``conv3d_grad_wrt_weights``; ``kerns_shp`` may be a symbolic vector."""
    ndim = as_tensor_variable(topgrad).ndim
    gradient = abstract_conv.conv3d_grad_wrt_weights if ndim == 5 else abstract_conv.conv2d_grad_wrt_weights
    return gradient(img, topgrad, _sizes(kerns_shp, ndim), None, border_mode, subsample, _flip(conv_mode), dilation,
                    num_groups)  # fmt: skip


def dnn_gradinput(
    kerns: Any, topgrad: Any, img_shp: Any, border_mode: Any = "valid", subsample: Any = (1, 1), dilation: Any = (1, 1),
    conv_mode: str = "conv", *hints: Any, num_groups: int = 1, **algorithm: Any,
) -> Any:  # fmt: skip
    """``conv2d_grad_wrt_inputs`` or ``conv3d_grad_wrt_inputs``; ``img_shp`` may be a symbolic vector."""
    ndim = as_tensor_variable(topgrad).ndim
    gradient = abstract_conv.conv3d_grad_wrt_inputs if ndim == 5 else abstract_conv.conv2d_grad_wrt_inputs
    return gradient(topgrad, kerns, _sizes(img_shp, ndim), None, border_mode, subsample, _flip(conv_mode), dilation,
                    num_groups)  # fmt: skip


def dnn_pool(img: Any, ws: Any, stride: Any = None, mode: str = "max", pad: Any = None) -> Any:
    """``pool_2d`` or ``pool_3d``, by the rank of ``img``; border values that fill no window are dropped."""
    x = as_tensor_variable(img)
    rank = x.ndim - 2
    pool_nd = pool.pool_3d if rank == 3 else pool.pool_2d
    return pool_nd(x, ws=ws, ignore_border=True, stride=stride, pad=pad or (0,) * rank, mode=mode)


def dnn_batch_normalization_train(
    inputs: Any, gamma: Any, beta: Any, mode: Any = "per-activation", epsilon: Any = 1e-4, *running: Any, **more: Any
) -> tuple[Any, ...]:
    """``T.nnet.bn.batch_normalization_train``."""
    return bn.batch_normalization_train(inputs, gamma, beta, mode, epsilon, *running, **more)


def dnn_batch_normalization_test(
    inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, mode: Any = "per-activation", epsilon: Any = 1e-4
) -> Any:
    """``T.nnet.bn.batch_normalization_test``."""
    return bn.batch_normalization_test(inputs, gamma, beta, mean, var, mode, epsilon)


class GpuDnnConvDesc:
    """Settings of a convolution. Calling it with the shape of the filters, as Theano asks for, gives it back."""

    def __init__(
        self, border_mode: Any, subsample: Any = (1, 1), dilation: Any = (1, 1), conv_mode: Any = "conv",
        *precision: Any, num_groups: int = 1, **algorithm: Any,
    ):  # fmt: skip
        if isinstance(dilation, str):  # Theano before 0.9: the mode came third
            dilation, conv_mode = (1,) * len(subsample), dilation
        self.settings = {"border_mode": border_mode, "subsample": subsample, "dilation": dilation,
                         "conv_mode": conv_mode, "num_groups": num_groups}  # fmt: skip

    def __call__(self, *shapes: Any) -> GpuDnnConvDesc:
        return self


class _ConvOp:
    """Of two tensors and a descriptor, into ``out``: ``alpha`` times the result plus ``beta`` times ``out``."""

    def __init__(self, *algorithm: Any, **more: Any):
        pass

    def _result(self, a: Any, b: Any, out: Any, settings: dict[str, Any]) -> Any:
        raise NotImplementedError

    def __call__(self, a: Any, b: Any, out: Any, desc: GpuDnnConvDesc, alpha: Any = 1.0, beta: Any = 0.0) -> Any:
        result = self._result(a, b, out, desc.settings)
        if not (isinstance(alpha, int | float) and alpha == 1):
            result = alpha * result
        return result if isinstance(beta, int | float) and beta == 0 else result + beta * out


class GpuDnnConv(_ConvOp):
    """``GpuDnnConv()(img, kerns, out, desc)``: a convolution."""

    def _result(self, a: Any, b: Any, out: Any, settings: dict[str, Any]) -> Any:
        return (dnn_conv3d if as_tensor_variable(a).ndim == 5 else dnn_conv)(a, b, **settings)


class GpuDnnConvGradW(_ConvOp):
    """``GpuDnnConvGradW()(img, topgrad, out, desc)``: the gradient by filters of the shape of ``out``."""

    def _result(self, a: Any, b: Any, out: Any, settings: dict[str, Any]) -> Any:
        return dnn_gradweight(a, b, out.shape, **settings)


class GpuDnnConvGradI(_ConvOp):
    """``GpuDnnConvGradI()(kerns, topgrad, out, desc)``: the gradient by images of the shape of ``out``."""

    def _result(self, a: Any, b: Any, out: Any, settings: dict[str, Any]) -> Any:
        return dnn_gradinput(a, b, out.shape, **settings)


class GpuDnnPool:
    """``GpuDnnPool(mode)(img, ws, stride, pad)``."""

    def __init__(self, mode: str = "max"):
        self.mode = mode

    def __call__(self, img: Any, ws: Any, stride: Any = None, pad: Any = None) -> Any:
        return dnn_pool(img, ws, stride, self.mode, pad)


class GpuDnnSoftmax:
    """``GpuDnnSoftmax(algo, mode)(x)``: over axis 1 ("channel") or over all but the first ("instance").

    ``algo`` is "accurate", "fast", or "log". Theano before 0.9 gave the layout, "bc01", as a first argument.
    """

    def __init__(self, *arguments: str):
        *_, self.algo, self.mode = arguments

    def __call__(self, x: Any) -> Any:
        x, function = as_tensor_variable(x), logsoftmax if self.algo == "log" else softmax
        if self.mode == "channel":
            return function(x, axis=1)
        return function(x.flatten(2), axis=1).reshape(x.shape, ndim=x.ndim)


def _sizes(shape: Any, ndim: int) -> Sequence[Any]:
    """A shape as a tuple, also where it is a symbolic vector."""
    return tuple(shape) if isinstance(shape, tuple | list) else tuple(shape[k] for k in range(ndim))
