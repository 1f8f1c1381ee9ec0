"""Names of ``theano.tensor.nnet`` that stand for parts of Theano's C implementation."""

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
from tinygraph.tensor.nnet.convolution import Conv
from tinygraph.tensor.nnet.softmax import Softmax

_CONV = "write T.nnet.conv2d or one of the AbstractConv ops; the target chooses how it is computed"
ConvOp = absent_class("ConvOp", _CONV)
CorrMM = absent_class("CorrMM", _CONV)
CorrMM_gradInputs = absent_class("CorrMM_gradInputs", _CONV)
CorrMM_gradWeights = absent_class("CorrMM_gradWeights", _CONV)
conv3D = absent_function("conv3D", "use T.nnet.conv3d")
sparse_block_dot = absent_function("sparse_block_dot", "gather the blocks with W[index] and use T.batched_dot")
SoftmaxGrad = absent_class("SoftmaxGrad", "T.grad composes it of elementwise ops")

__all__ = [
    "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d",
    "AbstractConv3d_gradInputs", "AbstractConv3d_gradWeights", "Conv", "ConvOp", "CorrMM", "CorrMM_gradInputs",
    "CorrMM_gradWeights", "Softmax", "SoftmaxGrad", "conv3D", "conv3d", "sparse_block_dot",
]  # fmt: skip
