"""Neural networks: activations, losses, convolution, normalisation. The names are Theano's where Theano has them."""

from tinygraph.tensor.nnet import (
    abstract_conv,
    bn,
    conv,
    conv3d2d,
    ctc,
    neighbours,
    nnet,
    sigm,
)
from tinygraph.tensor.nnet.abstract_conv import (
    causal_conv1d,
    conv1d,
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv2d_transpose,
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
    separable_conv2d,
)
from tinygraph.tensor.nnet.activations import (
    elu,
    hard_sigmoid,
    leaky_relu,
    maxout,
    relu,
    selu,
    sigmoid,
    softplus,
    softsign,
    swish,
    ultra_fast_sigmoid,
)
from tinygraph.tensor.nnet.bn import (
    batch_normalization,
    batch_normalization_test,
    batch_normalization_train,
)
from tinygraph.tensor.nnet.convolution import Conv, ConvGradInputs, ConvGradWeights
from tinygraph.tensor.nnet.extra import (
    confusion_matrix,
    h_softmax,
    prepend_0_to_each_row,
    prepend_1_to_each_row,
    prepend_scalar_to_each_row,
)
from tinygraph.tensor.nnet.losses import (
    binary_crossentropy,
    binary_crossentropy_from_logits,
    categorical_crossentropy,
    categorical_crossentropy_from_logits,
    crossentropy_categorical_1hot,
    crossentropy_softmax_1hot,
    crossentropy_softmax_1hot_with_bias,
    crossentropy_softmax_argmax_1hot_with_bias,
    crossentropy_softmax_max_and_argmax_1hot,
    crossentropy_softmax_max_and_argmax_1hot_with_bias,
    sigmoid_binary_crossentropy,
    softmax_crossentropy,
    softmax_with_bias,
)
from tinygraph.tensor.nnet.neighbours import images2neibs, neibs2images
from tinygraph.tensor.nnet.normalisation import (
    dropout,
    layer_norm,
    layer_normalization,
    local_response_normalisation,
    local_response_normalization,
)
from tinygraph.tensor.nnet.softmax import (
    LogSoftmax,
    Softmax,
    log_softmax,
    logsoftmax,
    softmax,
    softmax_graph,
    softmax_op,
)
from tinygraph.tensor.nnet.upsampling import bilinear_kernel_1D, bilinear_kernel_2D, bilinear_upsampling

__all__ = [name for name in dir() if not name.startswith("_")]
