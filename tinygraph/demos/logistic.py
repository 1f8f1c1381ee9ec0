"""Logistic regression on handwritten digits, by gradient descent on mini-batches.

A single layer: the class scores are linear in the pixels. It reads about 92.5 % of MNIST's digits.
Its weights, drawn as images, show what each class looks for.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, train_digits


class LogisticRegression:
    """Classes of ``input`` (n, n_in): probabilities softmax(input W + b), and the likeliest.

    W and b start at zero, unless given.
    """

    def __init__(self, input, n_in, n_out, W=None, b=None, name="output"):
        floatX = tinygraph.config.floatX
        if W is None:
            W = tinygraph.shared(np.zeros((n_in, n_out), dtype=floatX), name=f"{name}.W", borrow=True)
        if b is None:
            b = tinygraph.shared(np.zeros(n_out, dtype=floatX), name=f"{name}.b", borrow=True)
        self.W, self.b = W, b
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]

    def negative_log_likelihood(self, y):
        """Mean over the mini-batch of -log p(y | x). The compiler makes the naive formula safe from overflow."""
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        """The part of the mini-batch that is classified wrongly."""
        return T.mean(T.neq(self.y_pred, y))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo logistic``."""
    add_training_arguments(
        parser, "logistic", learning_rate=0.13, epochs="100", batch_size="600 with MNIST, else 50"
    )


def build(args, rng, x, y, data):
    """The model for images ``x`` and classes ``y``, and gradient descent on its cost."""
    layer = LogisticRegression(x, n_in=data.train.x.shape[1], n_out=data.classes)
    cost = layer.negative_log_likelihood(y)
    steps = updates.sgd(cost, layer.params, args.learning_rate)
    weights = lambda: layer.W.get_value().T.reshape(data.classes, *data.image_shape)  # noqa: E731
    return Model(cost, steps, layer.y_pred, layer.params, weights)


def run(args: argparse.Namespace) -> int:
    """Build the model, compile it, train it."""
    return train_digits(args, "logistic", functools.partial(build, args), (100, 100), (600, 50))
