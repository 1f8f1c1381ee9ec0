"""A small convolutional network on channels-last images, with Adagrad or RMSprop and clipped gradients.

The network that tutorials write by hand in NumPy: 5 and 4 filters of 3x3 without biases, relu, max-pooling, 50 hidden
units; images are (n, height, width, channels), filters (filters, height, width, channels). --optimizer chooses the
rule, Duchi et al., "Adaptive subgradient methods" (2011), or Tieleman and Hinton's RMSprop (2012).
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, parameter, train_digits
from tinygraph.tensor.signal import pool

CLIP = 10.0


def conv_nhwc(x, w):
    """Correlation of channels-last images with filters; no border."""
    out = T.nnet.conv2d(x.dimshuffle(0, 3, 1, 2), w.dimshuffle(0, 3, 1, 2), filter_flip=False)
    return out.dimshuffle(0, 2, 3, 1)


def max_pool_nhwc(x, size=(2, 2)):
    """The largest of each window of channels-last images."""
    return pool.pool_2d(x.dimshuffle(0, 3, 1, 2), ws=size, ignore_border=True).dimshuffle(0, 2, 3, 1)


def probabilities(x, params):
    """Those of each class, (n, classes), for images ``x``, (n, height, width, channels)."""
    filter1, filter2, w3, w4 = params
    out = max_pool_nhwc(T.nnet.relu(conv_nhwc(x, filter1)))
    out = max_pool_nhwc(T.nnet.relu(conv_nhwc(out, filter2)))
    return T.nnet.softmax(T.dot(T.nnet.relu(T.dot(out.flatten(2), w3)), w4))


def cross_entropy(p_y, y):
    """Its mean over the batch, kept finite by 1e-5 as those programs do."""
    return -T.mean(T.log(p_y + 1e-5)[T.arange(y.shape[0]), y])


def build(rng, x, y, data, rule):
    """The network for images ``x``, (n, pixels), and classes ``y``; ``rule`` makes updates of gradients."""
    n = data.image_shape[0]
    side = ((n - 2) // 2 - 2) // 2
    shapes = {
        "filter1": (5, 3, 3, 1),
        "filter2": (4, 3, 3, 5),
        "w3": (side * side * 4, 50),
        "w4": (50, data.classes),
    }
    params = [parameter(rng.normal(0, 0.1, shape), name) for name, shape in shapes.items()]
    p_y = probabilities(x.reshape((-1, n, n, 1)), params)
    cost = cross_entropy(p_y, y)
    grads = updates.clip_by_value(T.grad(cost, params), CLIP)
    return Model(
        cost, rule(grads, params), T.argmax(p_y, axis=1), params, lambda: params[0].get_value()[..., 0]
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo numpy-cnn``."""
    add_training_arguments(
        parser, "numpy-cnn", learning_rate=0.01, epochs="5 with MNIST, else 30", batch_size="64 or 32"
    )
    parser.add_argument(
        "--optimizer", choices=("adagrad", "rmsprop"), default="adagrad", help="(default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Train it."""
    rate = np.float64(args.learning_rate)
    if args.optimizer == "adagrad":
        rule = lambda grads, params: updates.adagrad(grads, params, rate)  # noqa: E731
    else:
        rule = lambda grads, params: updates.rmsprop(grads, params, rate / 10)  # noqa: E731
    return train_digits(
        args, "numpy-cnn", lambda rng, x, y, data: build(rng, x, y, data, rule), (5, 30), (64, 32)
    )
