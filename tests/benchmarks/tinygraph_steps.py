"""The works in tinygraph: each function makes a callable without arguments that runs one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tests.benchmarks import shapes
from tinygraph import Mode, function, grad, shared
from tinygraph.tensor.shared_randomstreams import RandomStreams
from tinygraph.tensor.signal import downsample
from tinygraph.updates import momentum

Step = Callable[[], Any]

tinygraph.config.floatX = "float32"


def _shared(value: np.ndarray) -> Any:
    return shared(value.astype("float32"))


def _conv_pool(x: Any, maps: int, filters: int) -> tuple[Any, list[Any]]:
    w, b = _shared(shapes.weights(filters, maps, 5, 5)), _shared(np.zeros(filters))
    pooled = downsample.max_pool_2d(T.nnet.conv2d(x, w), ds=(2, 2), ignore_border=True)
    return pooled + b.dimshuffle("x", 0, "x", "x"), [w, b]


def _dense(x: Any, n_in: int, n_out: int) -> tuple[Any, list[Any]]:
    w, b = _shared(shapes.weights(n_in, n_out)), _shared(np.zeros(n_out))
    return T.dot(x, w) + b, [w, b]


def _nll(z: Any, y: Any) -> Any:
    return -T.mean(T.log(T.nnet.softmax(z))[T.arange(y.shape[0]), y])


def lenet(target: str, batch: int = shapes.LENET_BATCH) -> Step:
    """The LeNet tutorial's training step on a slice of a shared data set."""
    images, labels = shapes.images(batch * 2)
    data_x, data_y = shared(images), shared(labels)
    i, x, y = T.lscalar("i"), T.fmatrix("x"), T.ivector("y")
    h, p0 = _conv_pool(x.reshape((batch, 1, 28, 28)), 1, 20)
    h, p1 = _conv_pool(T.tanh(h), 20, 50)
    h, p2 = _dense(T.tanh(h).flatten(2), 800, 500)
    z, p3 = _dense(T.tanh(h), 500, 10)
    step = _train(target, [i], _nll(z, y), p0 + p1 + p2 + p3, 0.1,
                  {x: data_x[i * batch : (i + 1) * batch], y: data_y[i * batch : (i + 1) * batch]})  # fmt: skip
    return lambda: step(0)


def network3(target: str, batch: int = shapes.NETWORK3_BATCH) -> Step:
    """The book's network: one convolution, 100 hidden units, all sigmoid."""
    images, labels = shapes.images(batch * 2)
    data_x, data_y = shared(images), shared(labels)
    i, x, y = T.lscalar("i"), T.fmatrix("x"), T.ivector("y")
    h, p0 = _conv_pool(x.reshape((batch, 1, 28, 28)), 1, 20)
    h, p1 = _dense(T.nnet.sigmoid(h).reshape((batch, 2880)), 2880, 100)
    z, p2 = _dense(T.nnet.sigmoid(h), 100, 10)
    step = _train(target, [i], _nll(z, y), p0 + p1 + p2, 0.1,
                  {x: data_x[i * batch : (i + 1) * batch], y: data_y[i * batch : (i + 1) * batch]})  # fmt: skip
    return lambda: step(0)


def cnn(target: str, batch: int = shapes.CNN_BATCH) -> Step:
    """PyTorch's MNIST example: two convolutions with relu, then a pool; gradient descent with momentum 0.5."""
    x, y = T.fmatrix("x"), T.ivector("y")
    h, params = x.reshape((-1, 1, 28, 28)), []
    for maps, filters in ((1, 20), (20, 50)):
        w, b = _shared(shapes.weights(filters, maps, 5, 5)), _shared(np.zeros(filters))
        h = T.nnet.relu(T.nnet.conv2d(h, w, filter_flip=False) + b.dimshuffle("x", 0, "x", "x"))
        h = downsample.max_pool_2d(h, ds=(2, 2), ignore_border=True)
        params += [w, b]
    h, p2 = _dense(h.flatten(2), 800, 500)
    z, p3 = _dense(T.nnet.relu(h), 500, 10)
    params += p2 + p3
    rules = momentum(_nll(z, y), params, learning_rate=0.01, momentum=0.5)
    f = function([x, y], _nll(z, y), updates=rules, mode=Mode(target=target))
    images, labels = shapes.images(batch)
    return lambda: f(images, labels)


def mlp(target: str, batch: int = shapes.MLP_BATCH) -> Step:
    """784-625-625-10 with relu, dropout (0.2 of the input, 0.5 of the hidden units) and RMSprop."""
    streams = RandomStreams(1)
    x, y = T.fmatrix("x"), T.ivector("y")

    def dropout(h: Any, p: float) -> Any:
        return h * streams.binomial(size=h.shape, p=1 - p, dtype="float32") / np.float32(1 - p)

    h, p0 = _dense(dropout(x, 0.2), 784, 625)
    h, p1 = _dense(dropout(T.maximum(h, 0), 0.5), 625, 625)
    z, p2 = _dense(dropout(T.maximum(h, 0), 0.5), 625, 10)
    params = p0 + p1 + p2
    updates = []
    for p, g in zip(params, grad(_nll(z, y), params), strict=True):
        a = shared(p.get_value() * 0)
        a_new = 0.9 * a + 0.1 * g**2
        updates += [(a, a_new), (p, p - 0.001 * g / T.sqrt(a_new + 1e-6))]
    f = function([x, y], _nll(z, y), updates=updates, mode=Mode(target=target))
    images, labels = shapes.images(batch)
    return lambda: f(images, labels)


def rnn(target: str, size: shapes.Recurrent) -> Step:
    """A character model's step: scan over one-hot letters, gradients through all steps, plain descent."""
    v, n = size.vocabulary, size.hidden
    w, u, b = _shared(shapes.weights(v, n)), _shared(shapes.weights(n, n)), _shared(np.zeros(n))
    wo, bo = _shared(shapes.weights(n, v)), _shared(np.zeros(v))
    x, y = T.imatrix("x"), T.imatrix("y")

    def step(x_t: Any, h: Any) -> Any:
        return T.tanh(x_t + T.dot(h, u))

    start = T.zeros((x.shape[1], n), dtype="float32")
    hidden, _ = tinygraph.scan(step, sequences=[w[x] + b], outputs_info=[start])
    z = T.dot(hidden.reshape((-1, n)), wo) + bo
    f = _train(target, [x, y], _nll(z, y.flatten()), [w, u, b, wo, bo], 0.1)
    letters, following = shapes.text(size)
    return lambda: f(letters, following)


growing_rnn = rnn


def lstm(target: str, size: shapes.Recurrent) -> Step:
    """Embedding, LSTM, output layer; the step multiplies inputs and states by all gates' weights at once."""

    def step(x_t: Any, h: Any, c: Any, w: Any, u: Any, b: Any) -> Any:
        i, f, g, o = _parts(T.dot(x_t, w) + T.dot(h, u) + b, 4, size.hidden)
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return [T.nnet.sigmoid(o) * T.tanh(c), c]

    return _gated(target, size, step, 4, 2)


def gru(target: str, size: shapes.Recurrent) -> Step:
    """Embedding, GRU (the reset gate scales the state's product, as in cuDNN and PyTorch), output layer."""

    def step(x_t: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
        xr, xz, xn = _parts(T.dot(x_t, w) + b, 3, size.hidden)
        hr, hz, hn = _parts(T.dot(h, u), 3, size.hidden)
        r, z = T.nnet.sigmoid(xr + hr), T.nnet.sigmoid(xz + hz)
        return [(1 - z) * T.tanh(xn + r * hn) + z * h]

    return _gated(target, size, step, 3, 1)


def _parts(z: Any, count: int, n: int) -> list[Any]:
    return [z[:, k * n : (k + 1) * n] for k in range(count)]


def _gated(target: str, size: shapes.Recurrent, step: Any, gates: int, states: int) -> Step:
    v, n = size.vocabulary, size.hidden
    e, w, u = (_shared(shapes.weights(*s)) for s in ((v, n), (n, gates * n), (n, gates * n)))
    b, wo, bo = _shared(np.zeros(gates * n)), _shared(shapes.weights(n, v)), _shared(np.zeros(v))
    x, y = T.imatrix("x"), T.imatrix("y")
    start = T.zeros((x.shape[1], n), dtype="float32")
    found, _ = tinygraph.scan(step, sequences=[e[x]], outputs_info=[start] * states, non_sequences=[w, u, b])
    hidden = found[0] if states > 1 else found
    z = T.dot(hidden.reshape((-1, n)), wo) + bo
    f = _train(target, [x, y], _nll(z, y.flatten()), [e, w, u, b, wo, bo], 0.1)
    letters, following = shapes.text(size)
    return lambda: f(letters, following)


def elementwise(target: str, n: int = shapes.ELEMENTS) -> Step:
    x = T.fvector("x")
    f = function([x], T.exp(-x * x) * T.sin(x) + T.log1p(x) * T.sqrt(x + 1), mode=Mode(target=target))
    value = np.random.default_rng(0).random(n, dtype=np.float32)
    return lambda: f(value)


def softmax_cross_entropy(target: str, shape: tuple[int, int] = shapes.SOFTMAX) -> Step:
    x, y = T.fmatrix("x"), T.ivector("y")
    loss = _nll(x, y)
    f = function([x, y], [loss, grad(loss, x)], mode=Mode(target=target))
    rng = np.random.default_rng(0)
    value, labels = rng.standard_normal(shape, dtype=np.float32), rng.integers(0, shape[1], shape[0]).astype("int32")
    return lambda: f(value, labels)


def reduction(target: str, axis: int | None, shape: tuple[int, int] = shapes.REDUCED) -> Step:
    x = T.fmatrix("x")
    f = function([x], x.sum(axis), mode=Mode(target=target))
    value = np.random.default_rng(0).random(shape, dtype=np.float32)
    return lambda: f(value)


def layer_norm(target: str, shape: tuple[int, int] = shapes.NORMALISED) -> Step:
    """Rows brought to mean 0 and variance 1, scaled and shifted, with the gradients of all three."""
    x, scale, shift, above = T.fmatrix("x"), T.fvector("scale"), T.fvector("shift"), T.fmatrix("above")
    centred = x - x.mean(1, keepdims=True)
    out = centred / T.sqrt(T.sqr(centred).mean(1, keepdims=True) + np.float32(1e-5)) * scale + shift
    grads = grad(None, [x, scale, shift], known_grads={out: above})
    f = function([x, scale, shift, above], [out, *grads], mode=Mode(target=target))
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s, dtype=np.float32) for s in (shape, shape[1], shape[1], shape)]
    return lambda: f(*values)


def scalar_add(target: str) -> Step:
    a, b = T.dscalars("a", "b")
    f = function([a, b], a + b, mode=Mode(target=target))
    one, two = np.array(1.0), np.array(2.0)
    return lambda: f(one, two)


def _train(target: str, inputs: list[Any], cost: Any, params: list[Any], rate: float, givens: Any = None) -> Any:
    updates = [(p, p - np.float32(rate) * g) for p, g in zip(params, grad(cost, params), strict=True)]
    return function(inputs, cost, updates=updates, givens=givens, mode=Mode(target=target))
