"""LeNet, a convolutional network, on handwritten digits.

The network of the deep learning tutorials (LISA lab, University of Montreal), after Y. LeCun, L. Bottou, Y. Bengio,
P. Haffner, "Gradient-based learning applied to document recognition", 1998: two layers of convolution, max-pooling
and tanh with 20 and 50 filters of 5x5, a hidden layer of 500, logistic regression; plain gradient descent with
rate 0.1 and early stopping by patience.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, train_digits
from tinygraph.demos.logistic import LogisticRegression
from tinygraph.demos.mlp import HiddenLayer
from tinygraph.tensor.signal import pool

NKERNS = (20, 50)  # filters of the two convolutional layers
FILTER = 5
HIDDEN = 500


class LeNetConvPoolLayer:
    """Convolution, max-pooling, bias and tanh, in that order: the bias may come late, as it is the same everywhere.

    ``filter_shape`` is (filters, input maps, height, width), ``image_shape`` (batch size or None, input maps,
    height, width).
    """

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2), name="conv"):
        assert image_shape[1] == filter_shape[1]
        floatX = tinygraph.config.floatX
        fan_in = np.prod(filter_shape[1:])  # inputs to a unit
        fan_out = filter_shape[0] * np.prod(filter_shape[2:]) / np.prod(poolsize)  # units that a pixel feeds
        bound = np.sqrt(6.0 / (fan_in + fan_out))
        self.W = tinygraph.shared(
            np.asarray(rng.uniform(low=-bound, high=bound, size=filter_shape), dtype=floatX),
            name=f"{name}.W",
            borrow=True,
        )
        self.b = tinygraph.shared(np.zeros(filter_shape[0], dtype=floatX), name=f"{name}.b", borrow=True)

        conv_out = T.nnet.conv2d(input, self.W, filter_shape=filter_shape, input_shape=image_shape)
        pooled_out = pool.pool_2d(conv_out, ws=poolsize, ignore_border=True)
        self.output = T.tanh(pooled_out + self.b.dimshuffle("x", 0, "x", "x"))
        self.params = [self.W, self.b]


class LeNet:
    """The whole network on ``x``, flattened images (n, height * width)."""

    def __init__(self, rng, x, image_shape=(28, 28), classes=10):
        size0 = image_shape[0]
        size1 = (size0 - FILTER + 1) // 2  # after convolution and pooling: 28 -> 24 -> 12
        size2 = (size1 - FILTER + 1) // 2  # 12 -> 8 -> 4
        self.layer0 = LeNetConvPoolLayer(
            rng,
            input=x.reshape((-1, 1, size0, size0)),
            image_shape=(None, 1, size0, size0),
            filter_shape=(NKERNS[0], 1, FILTER, FILTER),
            name="layer0",
        )
        self.layer1 = LeNetConvPoolLayer(
            rng,
            input=self.layer0.output,
            image_shape=(None, NKERNS[0], size1, size1),
            filter_shape=(NKERNS[1], NKERNS[0], FILTER, FILTER),
            name="layer1",
        )
        self.layer2 = HiddenLayer(
            rng,
            input=self.layer1.output.flatten(2),
            n_in=NKERNS[1] * size2 * size2,
            n_out=HIDDEN,
            activation=T.tanh,
            name="layer2",
        )
        self.layer3 = LogisticRegression(self.layer2.output, n_in=HIDDEN, n_out=classes, name="layer3")
        self.params = self.layer3.params + self.layer2.params + self.layer1.params + self.layer0.params
        self.y_pred = self.layer3.y_pred

    def cost(self, y):
        """What training makes small: the negative log-likelihood of the classes ``y``."""
        return self.layer3.negative_log_likelihood(y)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo lenet``."""
    add_training_arguments(
        parser,
        "lenet",
        learning_rate=0.1,
        epochs="200 with MNIST, as in the tutorial, else 20; 10 give MNIST under 3 %% error",
        batch_size="500 with MNIST, else 20",
    )


def build(args, rng, x, y, data):
    """The network for images ``x`` and classes ``y``, and gradient descent on its cost."""
    network = LeNet(rng, x, data.image_shape, data.classes)
    cost = network.cost(y)
    grads = T.grad(cost, network.params)
    updates = [(param, param - args.learning_rate * grad) for param, grad in zip(network.params, grads, strict=True)]
    return Model(cost, updates, network.y_pred, network.params, lambda: network.layer0.W.get_value()[:, 0])


def run(args: argparse.Namespace) -> int:
    """Build the network, compile it, train it."""
    return train_digits(args, "lenet", functools.partial(build, args), (200, 20), (500, 20))
