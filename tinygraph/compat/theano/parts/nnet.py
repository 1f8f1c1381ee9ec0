"""Names of ``theano.tensor.nnet`` that stand for parts of Theano's C implementation."""

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class, absent_function
from tinygraph.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
    AbstractConv3d,
    AbstractConv3d_gradInputs,
    AbstractConv3d_gradWeights,
    conv3d,
)
from tinygraph.tensor.nnet.activations import sigmoid, softplus, ultra_fast_sigmoid
from tinygraph.tensor.nnet.convolution import Conv
from tinygraph.tensor.nnet.softmax import Softmax

_CONV = "write T.nnet.conv2d or one of the AbstractConv ops; the target chooses how it is computed"
ConvOp = absent_class("ConvOp", _CONV)
CorrMM = absent_class("CorrMM", _CONV)
CorrMM_gradInputs = absent_class("CorrMM_gradInputs", _CONV)
CorrMM_gradWeights = absent_class("CorrMM_gradWeights", _CONV)
conv3D = absent_function("conv3D", "use T.nnet.conv3d")
sparse_block_dot = absent_function("sparse_block_dot", "gather the blocks with W[index] and use T.batched_dot")
imported_scipy_signal = True
sigmoid_inplace, ultra_fast_sigmoid_inplace, scalar_softplus = sigmoid, ultra_fast_sigmoid, softplus


def Prepend_scalar_to_each_row() -> Any:  # noqa: N802 - Theano's name
    """``Prepend_scalar_to_each_row()(val, mat)``: the matrix ``mat`` with a first column of the number ``val``."""

    def prepend(val: Any, mat: Any) -> Any:
        import tinygraph.tensor as T

        val, mat = T.as_tensor_variable(val), T.as_tensor_variable(mat)
        return T.concatenate([T.alloc(T.cast(val, mat.dtype), mat.shape[0], 1), mat], axis=1)

    return prepend


def Prepend_scalar_constant_to_each_row(val: Any) -> Any:  # noqa: N802 - Theano's name
    """``Prepend_scalar_constant_to_each_row(val)(mat)``: the same for a number known before."""
    return lambda mat: Prepend_scalar_to_each_row()(val, mat)


SoftmaxGrad = absent_class("SoftmaxGrad", "T.grad composes it of elementwise ops")

__all__ = [
    "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d",
    "AbstractConv3d_gradInputs", "AbstractConv3d_gradWeights", "Conv", "ConvOp", "CorrMM", "CorrMM_gradInputs",
    "CorrMM_gradWeights", "Prepend_scalar_constant_to_each_row", "Prepend_scalar_to_each_row", "Softmax",
    "SoftmaxGrad", "conv3D", "conv3d", "imported_scipy_signal", "scalar_softplus", "sigmoid_inplace",
    "sparse_block_dot", "ultra_fast_sigmoid_inplace",
]  # fmt: skip
