"""Logistic regression on handwritten digits, by gradient descent on mini-batches.

A single layer: the class scores are linear in the pixels. It reads about 92.5 % of MNIST's digits.
Its weights, drawn as images, show what each class looks for.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.datasets import load_images
from tinygraph.demos.harness import Classifier, add_training_arguments, settings, train_classifier
from tinygraph.demos.harness.classifier import batch_size_for


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


def run(args: argparse.Namespace) -> int:
    """Build the model, compile it, train it."""
    with settings(args):
        data = load_images(args.data)
        batch_size = batch_size_for(data, args.batch_size, 600 if data.name == "MNIST" else 50)
        (train_x, train_y), (valid_x, _), (test_x, _) = (split.shared() for split in data.splits)

        index = T.lscalar("index")  # of a mini-batch
        batch = slice(index * batch_size, (index + 1) * batch_size)
        x = T.matrix("x")  # images, one to a row
        y = T.ivector("y")  # their classes

        layer = LogisticRegression(x, n_in=data.train.x.shape[1], n_out=data.classes)
        cost = layer.negative_log_likelihood(y)
        train = tinygraph.function(
            [index],
            cost,
            updates=updates.sgd(cost, layer.params, args.learning_rate),
            givens={x: train_x[batch], y: train_y[batch]},
        )
        model = Classifier(
            name="logistic",
            data=data,
            batch_size=batch_size,
            train=train,
            validate=tinygraph.function([index], layer.y_pred, givens={x: valid_x[batch]}),
            test=tinygraph.function([index], layer.y_pred, givens={x: test_x[batch]}),
            params=layer.params,
            filters=lambda: layer.W.get_value().T.reshape(data.classes, *data.image_shape),
        )
        return train_classifier(model, args, args.epochs or 100)
