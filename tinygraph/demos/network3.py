"""The layers of network3, from one convolution to five voting networks.

After the program of M. Nielsen, "Neural Networks and Deep Learning" (2015), chapter 6: layers that are wired by
``set_inpt``, with a second path for dropout, and stochastic gradient descent over shared data. --rung chooses the
network: 1 one convolution, 2 two of them with relu, 3 the same on expanded data, 4 dropout, 5 five of those that vote.
The book reaches 98.78, 99.23, 99.37, 99.60 and 99.67 % after 60 epochs (40 with dropout).
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.arguments import file_to_write, positive_int, seed
from tinygraph.datasets import load_images
from tinygraph.demos.harness import settings
from tinygraph.demos.harness.arguments import TARGETS
from tinygraph.demos.harness.pictures import accuracy_curve, missing
from tinygraph.demos.harness.progress import Progress
from tinygraph.tensor import shared_randomstreams
from tinygraph.tensor.nnet import conv, relu, sigmoid, softmax
from tinygraph.tensor.signal import downsample

EPOCHS = {1: 60, 2: 60, 3: 60, 4: 40, 5: 40}


def _shared(rng, shape, scale, name):
    values = np.asarray(rng.normal(loc=0, scale=scale, size=shape), dtype=tinygraph.config.floatX)
    return tinygraph.shared(values, name=name, borrow=True)


def dropout_layer(rng, layer, p_dropout):
    """``layer`` with each element zeroed with probability ``p_dropout``."""
    srng = shared_randomstreams.RandomStreams(rng.randint(999999))
    mask = srng.binomial(n=1, p=1 - p_dropout, size=layer.shape)
    return layer * T.cast(mask, tinygraph.config.floatX)


class ConvPoolLayer:
    """Convolution, max-pooling, and an activation; no dropout."""

    def __init__(self, rng, filter_shape, image_shape, poolsize=(2, 2), activation_fn=sigmoid):
        self.filter_shape, self.image_shape, self.poolsize = filter_shape, image_shape, poolsize
        self.activation_fn = activation_fn
        n_out = filter_shape[0] * np.prod(filter_shape[2:]) / np.prod(poolsize)
        self.w = _shared(rng, filter_shape, np.sqrt(1.0 / n_out), "conv.w")
        self.b = _shared(rng, (filter_shape[0],), 1.0, "conv.b")
        self.params = [self.w, self.b]

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        self.inpt = inpt.reshape(self.image_shape)
        conv_out = conv.conv2d(
            input=self.inpt, filters=self.w, filter_shape=self.filter_shape, image_shape=self.image_shape
        )
        pooled_out = downsample.max_pool_2d(input=conv_out, ds=self.poolsize, ignore_border=True)
        self.output = self.activation_fn(pooled_out + self.b.dimshuffle("x", 0, "x", "x"))
        self.output_dropout = self.output


class FullyConnectedLayer:
    """All inputs to all units; in testing, weights are scaled down by what dropout keeps."""

    def __init__(self, rng, n_in, n_out, activation_fn=sigmoid, p_dropout=0.0):
        self.rng, self.n_in, self.activation_fn, self.p_dropout = rng, n_in, activation_fn, p_dropout
        self.w = _shared(rng, (n_in, n_out), np.sqrt(1.0 / n_out), "full.w")
        self.b = _shared(rng, (n_out,), 1.0, "full.b")
        self.params = [self.w, self.b]

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        self.inpt = inpt.reshape((mini_batch_size, self.n_in))
        self.output = self.activation_fn((1 - self.p_dropout) * T.dot(self.inpt, self.w) + self.b)
        inpt_dropout = inpt_dropout.reshape((mini_batch_size, self.n_in))
        self.inpt_dropout = dropout_layer(self.rng, inpt_dropout, self.p_dropout) if self.p_dropout else inpt_dropout
        self.output_dropout = self.activation_fn(T.dot(self.inpt_dropout, self.w) + self.b)


class SoftmaxLayer(FullyConnectedLayer):
    """The last layer: probabilities of classes, from weights that start at zero."""

    def __init__(self, rng, n_in, n_out, p_dropout=0.0):
        super().__init__(rng, n_in, n_out, softmax, p_dropout)
        for param in self.params:
            param.set_value(np.zeros_like(param.get_value()))

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        super().set_inpt(inpt, inpt_dropout, mini_batch_size)
        self.y_out = T.argmax(self.output, axis=1)

    def cost(self, net):
        "Return the log-likelihood cost."
        return -T.mean(T.log(self.output_dropout)[T.arange(net.y.shape[0]), net.y])

    def accuracy(self, y):
        "Return the accuracy for the mini-batch."
        return T.mean(T.eq(y, self.y_out))


class Network:
    """Layers, each fed by the one before."""

    def __init__(self, layers, mini_batch_size):
        self.layers, self.mini_batch_size = layers, mini_batch_size
        self.params = [param for layer in layers for param in layer.params]
        self.x, self.y = T.matrix("x"), T.ivector("y")
        layers[0].set_inpt(self.x, self.x, mini_batch_size)
        for before, layer in zip(layers, layers[1:], strict=False):
            layer.set_inpt(before.output, before.output_dropout, mini_batch_size)

    def compile(self, data, eta, lmbda):
        """Functions of a mini-batch's index: a step of training, and accuracy and classes of validation and test."""
        (train_x, train_y), validation, test = data
        size, i = self.mini_batch_size, T.lscalar("i")
        batch = slice(i * size, (i + 1) * size)
        batches = train_x.get_value(borrow=True).shape[0] // size
        l2_norm_squared = sum((layer.w**2).sum() for layer in self.layers)
        cost = self.layers[-1].cost(self) + 0.5 * lmbda * l2_norm_squared / batches
        grads = T.grad(cost, self.params)
        updates = [(param, param - eta * grad) for param, grad in zip(self.params, grads, strict=True)]
        given = {self.x: train_x[batch], self.y: train_y[batch]}
        self.train_mb = tinygraph.function([i], cost, updates=updates, givens=given)
        last = self.layers[-1]
        self.validate_mb, self.test_mb = (
            tinygraph.function([i], last.accuracy(self.y), givens={self.x: x[batch], self.y: y[batch]})
            for x, y in (validation, test)
        )
        self.predict_mb = tinygraph.function([i], last.y_out, givens={self.x: test[0][batch]})
        return batches


def layers_of(rung, rng, size, n, classes=10):
    """The layers of a rung, for images of ``n`` by ``n`` pixels."""
    a = (n - 4) // 2
    if rung == 1:
        return [ConvPoolLayer(rng, (20, 1, 5, 5), (size, 1, n, n)), FullyConnectedLayer(rng, 20 * a * a, 100),
                SoftmaxLayer(rng, 100, classes)]  # fmt: skip
    b = (a - 4) // 2
    convolutions = [ConvPoolLayer(rng, (20, 1, 5, 5), (size, 1, n, n), activation_fn=relu),
                    ConvPoolLayer(rng, (40, 20, 5, 5), (size, 20, a, a), activation_fn=relu)]  # fmt: skip
    if rung in (2, 3):
        return [*convolutions, FullyConnectedLayer(rng, 40 * b * b, 100, relu), SoftmaxLayer(rng, 100, classes)]
    return [*convolutions, FullyConnectedLayer(rng, 40 * b * b, 1000, relu, 0.5),
            FullyConnectedLayer(rng, 1000, 1000, relu, 0.5), SoftmaxLayer(rng, 1000, classes, 0.5)]  # fmt: skip


def expanded(x, y, shape, rng):
    """Every image, and that image moved by a pixel up, down, left and right, in random order."""
    images = x.reshape(-1, *shape)
    moved = [images]
    for axis, by in ((1, 1), (1, -1), (2, 1), (2, -1)):
        shifted = np.roll(images, by, axis)
        edge = [slice(None)] * 3
        edge[axis] = slice(0, 1) if by == 1 else slice(-1, None)
        shifted[tuple(edge)] = 0
        moved.append(shifted)
    order = rng.permutation(5 * len(images))
    return np.concatenate(moved).reshape(-1, x.shape[1])[order], np.tile(y, 5)[order]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo network3``."""
    parser.add_argument("--rung", type=int, choices=range(1, 6), default=1, help="(default: %(default)s)")
    parser.add_argument("--data", metavar="DIR", help="directory with MNIST's idx files")
    parser.add_argument("--epochs", type=positive_int, metavar="N", help="(default: the book's, 60 or 40)")
    parser.add_argument("--batch-size", type=positive_int, default=10, metavar="B", help="(default: %(default)s)")
    parser.add_argument("--networks", type=positive_int, default=5, help="that vote on rung 5 (default: 5)")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="(default: %(default)s)")
    parser.add_argument("--target", choices=TARGETS, help="what to compile for (default: the best there is)")
    parser.add_argument("--floatX", choices=("float32", "float64"), default="float32", help="(default: float32)")
    parser.add_argument("--json", type=file_to_write, metavar="FILE", help="write the results there as well")
    parser.add_argument("--picture", type=file_to_write, metavar="FILE.png", help="draw the accuracy over the epochs")


def run(args: argparse.Namespace) -> None:
    """Train the network of the rung (on rung 5 several), and report its accuracy."""
    with settings(args):
        data = load_images(args.data)
        rng = np.random.RandomState(args.seed)
        train = (data.train.x, data.train.y)
        if args.rung >= 3:
            train = expanded(*train, data.image_shape, rng)
        parts = [(tinygraph.shared(train[0], borrow=True), T.cast(tinygraph.shared(train[1]), "int32"))]
        parts += [split.shared() for split in (data.valid, data.test)]
        print(f"{data}; rung {args.rung}, {len(train[0]):,} training images, batch size {args.batch_size}")
        started, votes, curves = time.perf_counter(), [], []
        for _ in range(args.networks if args.rung == 5 else 1):
            layers = layers_of(args.rung, rng, args.batch_size, data.image_shape[0], data.classes)
            net = Network(layers, args.batch_size)
            eta, lmbda = (0.1, 0.0) if args.rung == 1 else (0.03, 0.0 if args.rung >= 4 else 0.1)
            accuracy, curve = SGD(net, parts, args.epochs or EPOCHS[args.rung], eta, lmbda, data)
            curves.append(curve)
            votes.append(np.concatenate([net.predict_mb(i) for i in range(len(data.test) // args.batch_size)]))
        if len(votes) > 1:
            counts = (np.stack(votes)[:, :, None] == np.arange(data.classes)).sum(0)
            accuracy = float((counts.argmax(1) == data.test.y[: len(votes[0])]).mean())
        seconds = time.perf_counter() - started
    if args.json is not None:
        result = {"rung": args.rung, "test_accuracy": accuracy, "seconds": seconds, "curves": curves}
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if args.picture is not None:
        print(missing() or f"drawn: {args.picture}")
        if not missing():
            accuracy_curve(curves).savefig(args.picture)
    print(f"test accuracy {accuracy:.2%} in {seconds:.1f} s")


def SGD(net, parts, epochs, eta, lmbda, data):  # noqa: N802 - the book's name
    """Train; the test accuracy where the validation accuracy was best, and the curve of both."""
    batches = net.compile(parts, eta, lmbda)
    sizes = [len(split) // net.mini_batch_size for split in (data.valid, data.test)]
    best, test_accuracy, curve = 0.0, 0.0, []
    with Progress(epochs * batches, 0) as progress:
        for epoch in range(epochs):
            for index in range(batches):
                progress.step(float(net.train_mb(index)))
            accuracy = float(np.mean([net.validate_mb(j) for j in range(sizes[0])]))
            if accuracy >= best:
                best = accuracy
                test_accuracy = float(np.mean([net.test_mb(j) for j in range(sizes[1])]))
            curve.append([epoch + 1, accuracy, test_accuracy])
            progress.say(f"epoch {epoch + 1}: validation {accuracy:.2%}, test at the best {test_accuracy:.2%}")
    return test_accuracy, curve
