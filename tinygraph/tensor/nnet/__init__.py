"""Neural networks: activations, losses, convolution, normalisation."""

from tinygraph.tensor.maths import sigmoid, softplus
from tinygraph.tensor.nnet import abstract_conv, conv
from tinygraph.tensor.nnet.abstract_conv import conv2d, conv3d
from tinygraph.tensor.nnet.activations import relu
from tinygraph.tensor.nnet.softmax import LogSoftmax, Softmax, logsoftmax, softmax
