"""Training graphs as users write them: inputs, outputs (cost and new parameters), and values for the inputs."""

import numpy as np

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.tensor.nnet import conv2d, relu, softmax
from tinygraph.tensor.signal.pool import pool_2d

RNG = np.random.RandomState(7)
RATE = np.float32(0.1)


def weights(*shape):
    return tg.shared((RNG.uniform(-1, 1, shape) / np.sqrt(shape[0])).astype("float32"))


def steps(cost, parameters, rate=RATE):
    """The cost, and each parameter after a step of gradient descent."""
    gradients = T.grad(cost, parameters)
    return [cost, *[p - rate * g for p, g in zip(parameters, gradients, strict=True)]]


def negative_log_likelihood(p, y):
    return -T.mean(T.log(p)[T.arange(y.shape[0]), y])


def lenet(batch=6):
    """Two convolutions with pooling and tanh, a hidden layer, softmax regression."""
    x, y = T.matrix("x", dtype="float32"), T.ivector("y")
    w0, b0, w1, b1 = weights(4, 1, 5, 5), weights(4), weights(6, 4, 5, 5), weights(6)
    w2, b2, w3, b3 = weights(96, 20), weights(20), weights(20, 10), weights(10)
    h = x.reshape((batch, 1, 28, 28))
    for w, b in ((w0, b0), (w1, b1)):
        h = T.tanh(pool_2d(conv2d(h, w), (2, 2), ignore_border=True) + b.dimshuffle("x", 0, "x", "x"))
    h = T.tanh(T.dot(h.flatten(2), w2) + b2)
    cost = negative_log_likelihood(softmax(T.dot(h, w3) + b3), y)
    values = [RNG.rand(batch, 784).astype("float32"), RNG.randint(0, 10, batch).astype("int32")]
    return [x, y], steps(cost, [w3, b3, w2, b2, w1, b1, w0, b0]), values


def perceptron(batch=5):
    """Two relu layers with weight decay."""
    x, y = T.matrix("x", dtype="float32"), T.ivector("y")
    ps = [weights(12, 9), weights(9), weights(9, 8), weights(8), weights(8, 3), weights(3)]
    h = relu(T.dot(x, ps[0]) + ps[1])
    h = relu(T.dot(h, ps[2]) + ps[3])
    p = softmax(T.dot(h, ps[4]) + ps[5])
    cost = negative_log_likelihood(p, y) + np.float32(1e-3) * sum((w**2).sum() for w in ps[::2])
    values = [RNG.rand(batch, 12).astype("float32"), RNG.randint(0, 3, batch).astype("int32")]
    return [x, y], [*steps(cost, ps), T.mean(T.neq(T.argmax(p, axis=1), y))], values


def unrolled_rnn(length=6, batch=3):
    """A recurrent network written out step by step."""
    x, y = T.tensor3("x", dtype="float32"), T.imatrix("y")
    wx, wh, wy, b = weights(5, 7), weights(7, 7), weights(7, 5), weights(7)
    h, cost = T.zeros((batch, 7), dtype="float32"), 0
    for t in range(length):
        h = T.tanh(T.dot(x[t], wx) + T.dot(h, wh) + b)
        cost = cost + negative_log_likelihood(softmax(T.dot(h, wy)), y[t])
    values = [RNG.rand(length, batch, 5).astype("float32"), RNG.randint(0, 5, (length, batch)).astype("int32")]
    return [x, y], steps(cost, [wx, wh, wy, b]), values


def logistic_regression(batch=4):
    """The binary classifier of the first tutorial, its cross-entropy written out."""
    x, y = T.matrix("x"), T.vector("y")
    w, b = tg.shared(RNG.randn(6)), tg.shared(np.float64(0.0))
    p = 1 / (1 + T.exp(-T.dot(x, w) - b))
    cost = (-y * T.log(p) - (1 - y) * T.log(1 - p)).mean() + 0.01 * (w**2).sum()
    values = [RNG.randn(batch, 6), RNG.randint(0, 2, batch).astype("float64")]
    return [x, y], [p > 0.5, *steps(cost, [w, b], 0.1)], values


NETWORKS = {f.__name__: f for f in (lenet, perceptron, unrolled_rnn, logistic_regression)}
