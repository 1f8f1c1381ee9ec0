"""Activations, softmax and losses under Theano's module name."""

from tinygraph.tensor.nnet.activations import elu, relu, selu, sigmoid, softplus, softsign
from tinygraph.tensor.nnet.extra import (
    confusion_matrix,
    h_softmax,
    prepend_0_to_each_row,
    prepend_1_to_each_row,
    prepend_scalar_to_each_row,
)
from tinygraph.tensor.nnet.losses import *  # noqa: F403
from tinygraph.tensor.nnet.losses import __all__ as _losses
from tinygraph.tensor.nnet.softmax import (
    LogSoftmax,
    Softmax,
    logsoftmax,
    logsoftmax_op,
    softmax,
    softmax_graph,
    softmax_op,
)

__all__ = [  # noqa: PLE0604
    *_losses, "LogSoftmax", "Softmax", "confusion_matrix", "elu", "h_softmax", "logsoftmax", "logsoftmax_op",
    "prepend_0_to_each_row", "prepend_1_to_each_row", "prepend_scalar_to_each_row", "relu", "selu", "sigmoid",
    "softmax", "softmax_graph", "softmax_op", "softplus", "softsign",
]  # fmt: skip
