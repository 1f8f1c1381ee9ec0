"""A multilayer perceptron on handwritten digits: two hidden relu layers, dropout, RMSprop.

After the "modern net" of the Theano tutorials of 2014: 784-625-625-10, pixels dropped with probability 0.2 and
hidden units with 0.5. It reads about 98.4 % of MNIST's digits.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.arguments import positive_int, probability
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, train_digits
from tinygraph.demos.logistic import LogisticRegression
from tinygraph.random import RandomStreams


class HiddenLayer:
    """``activation(input W + b)``, a fully connected layer; ``input`` is (n, n_in).

    W is drawn uniformly as X. Glorot and Y. Bengio advise for tanh ("Understanding the difficulty of training deep
    feedforward neural networks", 2010), unless given.
    """

    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh, name="hidden"):
        floatX = tinygraph.config.floatX
        if W is None:
            bound = np.sqrt(6.0 / (n_in + n_out))
            values = np.asarray(rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), dtype=floatX)
            W = tinygraph.shared(values, name=f"{name}.W", borrow=True)
        if b is None:
            b = tinygraph.shared(np.zeros(n_out, dtype=floatX), name=f"{name}.b", borrow=True)
        self.W, self.b = W, b
        linear = T.dot(input, W) + b
        self.output = linear if activation is None else activation(linear)
        self.params = [W, b]


class MLP:
    """Two hidden relu layers and a classifier. ``drop(values, layer)`` is applied to what enters each layer.

    With ``weights``, the params of another MLP, this one computes with those instead of drawing its own.
    """

    def __init__(self, rng, input, sizes, drop, weights=(None,) * 6):
        n_in, n_hidden, n_out = sizes
        W1, b1, W2, b2, W3, b3 = weights
        relu = T.nnet.relu
        self.hidden1 = HiddenLayer(rng, drop(input, 0), n_in, n_hidden, W1, b1, relu, name="hidden1")
        self.hidden2 = HiddenLayer(
            rng, drop(self.hidden1.output, 1), n_hidden, n_hidden, W2, b2, relu, name="hidden2"
        )
        self.classifier = LogisticRegression(drop(self.hidden2.output, 2), n_hidden, n_out, W3, b3)
        self.params = self.hidden1.params + self.hidden2.params + self.classifier.params


def dropout(srng, x, p):
    """``x`` with each element zeroed with probability ``p``, and the others scaled up to make up for it."""
    if p == 0:
        return x
    keep = srng.binomial(x.shape, p=1 - p, dtype=x.dtype)
    return x * keep / np.asarray(1 - p, dtype=x.dtype)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo mlp``."""
    add_training_arguments(
        parser,
        "mlp",
        learning_rate=0.001,
        epochs="30 with MNIST, else 100",
        batch_size="128 with MNIST, else 32",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--hidden", type=positive_int, default=625, metavar="H", help="(default: %(default)s)"
    )
    network.add_argument(
        "--drop-input",
        type=probability,
        default=0.2,
        metavar="P",
        help="dropout of pixels (default: %(default)s)",
    )
    network.add_argument(
        "--drop-hidden",
        type=probability,
        default=0.5,
        metavar="P",
        help="dropout of units (default: %(default)s)",
    )


def build(args, rng, x, y, data):
    """The network twice on the same weights, with dropout to train and without to predict."""
    srng = RandomStreams(args.seed)
    rates = (args.drop_input, args.drop_hidden, args.drop_hidden)
    sizes = (data.train.x.shape[1], args.hidden, data.classes)
    noisy = MLP(rng, x, sizes, drop=lambda values, layer: dropout(srng, values, rates[layer]))
    quiet = MLP(rng, x, sizes, drop=lambda values, layer: values, weights=noisy.params)
    cost = noisy.classifier.negative_log_likelihood(y)
    return Model(
        cost,
        updates.rmsprop(cost, noisy.params, args.learning_rate),
        quiet.classifier.y_pred,
        noisy.params,
        filters=lambda: noisy.hidden1.W.get_value().T[:36].reshape(-1, *data.image_shape),
        state=[v for v, _ in srng.state_updates],
    )


def run(args: argparse.Namespace) -> int:
    """Build the network, compile it, train it."""
    return train_digits(args, "mlp", functools.partial(build, args), (30, 100), (128, 32))
