"""A convolutional network with SAME padding, dropout, weight decay and Adam.

The network of many TensorFlow tutorials: 5x5 filters with SAME padding, relu, 2x2 max-pooling, twice; 512 hidden units
with dropout 0.5, L2 on the weights of the last two layers, Adam (D. Kingma and J. Ba, 2015).
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.arguments import nonnegative_float, positive_int, probability
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, parameter, train_digits
from tinygraph.demos.mlp import dropout
from tinygraph.random import RandomStreams
from tinygraph.tensor.signal import pool


def truncated_normal(rng, shape, scale=0.1):
    """Normal numbers, those beyond two standard deviations drawn again."""
    values = rng.normal(0, scale, shape)
    while (far := np.abs(values) > 2 * scale).any():
        values[far] = rng.normal(0, scale, far.sum())
    return values


def build(rng, x, y, data, args):
    """The network for images ``x``, (n, pixels), and classes ``y``."""
    n, k = data.image_shape[0], args.filters
    side = -(-n // 4)  # SAME pooling rounds up
    shapes = {"w1": (k, 1, 5, 5), "w2": (2 * k, k, 5, 5), "w3": (2 * k * side * side, 512), "w4": (512, data.classes)}
    weights = [parameter(truncated_normal(rng, shape), name) for name, shape in shapes.items()]
    biases = [parameter(np.zeros(size), f"b{i + 1}") for i, size in enumerate((k, 2 * k, 512, data.classes))]
    srng = RandomStreams(args.seed)
    images = x.reshape((-1, 1, n, n))

    def logits(train):
        out = images
        for w, b in zip(weights[:2], biases[:2], strict=True):
            conv = T.nnet.conv2d(out, w, border_mode="half", filter_flip=False)
            out = pool.pool_2d(T.nnet.relu(conv + b.dimshuffle("x", 0, "x", "x")), ws=(2, 2), ignore_border=False)
        hidden = T.nnet.relu(T.dot(out.flatten(2), weights[2]) + biases[2])
        if train:
            hidden = dropout(srng, hidden, args.drop)
        return T.dot(hidden, weights[3]) + biases[3]

    decay = args.l2 / 2 * sum(T.sum(w**2) for w in weights[2:])
    cost = T.nnet.categorical_crossentropy(T.nnet.softmax(logits(True)), y).mean() + T.cast(decay, x.dtype)
    params = weights + biases
    steps = updates.adam(cost, params, args.learning_rate)
    state = [v for v, _ in srng.state_updates]
    return Model(cost, steps, T.argmax(logits(False), axis=1), params, lambda: weights[0].get_value()[:, 0], state)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo tf-cnn``."""
    add_training_arguments(parser, "tf-cnn", learning_rate=1e-3, epochs="5 with MNIST, else 20", batch_size="100 or 32")
    parser.add_argument("--filters", type=positive_int, default=8, help="of the first layer (default: %(default)s)")
    parser.add_argument("--drop", type=probability, default=0.5, metavar="P", help="dropout (default: %(default)s)")
    parser.add_argument("--l2", type=nonnegative_float, default=1e-3, metavar="L", help="decay (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train it."""
    return train_digits(args, "tf-cnn", lambda rng, x, y, data: build(rng, x, y, data, args), (5, 20), (100, 32))
