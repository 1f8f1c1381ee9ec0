"""The MNIST example of PyTorch: normalised input, two convolutions, log-softmax, momentum, a saved model.

20 and 50 filters of 5x5 with relu and max-pooling, 500 hidden units, negative log-likelihood of log-softmax, gradient
descent with momentum 0.5. The model is saved as .safetensors, misread digits as a picture.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.arguments import probability
from tinygraph.demos.harness import add_training_arguments
from tinygraph.demos.harness.digits import Model, parameter, train_digits
from tinygraph.tensor.signal import pool

MEAN, STD = 0.1307, 0.3081  # of MNIST's pixels


def layer(rng, shape, fan_in, name):
    """Weights and biases, uniform within one over the root of the fan-in."""
    bound = 1 / np.sqrt(fan_in)
    n_out = shape[0] if len(shape) == 4 else shape[1]
    return [parameter(rng.uniform(-bound, bound, shape), f"{name}.weight"),
            parameter(rng.uniform(-bound, bound, n_out), f"{name}.bias")]  # fmt: skip


def build(rng, x, y, data, args):
    """The network for images ``x``, (n, pixels), and classes ``y``."""
    n = data.image_shape[0]
    side = ((n - 4) // 2 - 4) // 2
    conv1, conv2 = layer(rng, (20, 1, 5, 5), 25, "conv1"), layer(rng, (50, 20, 5, 5), 500, "conv2")
    fc1 = layer(rng, (50 * side * side, 500), 50 * side * side, "fc1")
    fc2 = layer(rng, (500, data.classes), 500, "fc2")
    mean, std = (np.asarray(v, dtype=x.dtype) for v in (MEAN, STD))
    out = ((x - mean) / std).reshape((-1, 1, n, n))
    for w, b in (conv1, conv2):
        out = T.nnet.relu(T.nnet.conv2d(out, w, filter_flip=False) + b.dimshuffle("x", 0, "x", "x"))
        out = pool.pool_2d(out, ws=(2, 2), ignore_border=True)
    hidden = T.nnet.relu(T.dot(out.flatten(2), fc1[0]) + fc1[1])
    log_p = T.nnet.logsoftmax(T.dot(hidden, fc2[0]) + fc2[1])
    cost = -T.mean(log_p[T.arange(y.shape[0]), y])
    params = [*conv1, *conv2, *fc1, *fc2]
    steps = updates.momentum(cost, params, args.learning_rate, args.momentum)
    return Model(cost, steps, T.argmax(log_p, axis=1), params, lambda: conv1[0].get_value()[:, 0])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo pytorch-mnist``."""
    add_training_arguments(
        parser, "pytorch-mnist", learning_rate=0.01, epochs="10 with MNIST, else 30", batch_size="64 or 32"
    )
    parser.add_argument("--momentum", type=probability, default=0.5, help="(default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train it."""
    return train_digits(args, "pytorch-mnist", lambda rng, x, y, data: build(rng, x, y, data, args), (10, 30), (64, 32))
