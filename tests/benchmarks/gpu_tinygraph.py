"""The GPU's works in tinygraph: data and parameters lie on the device, results stay there unless they are one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygraph.tensor as T
from tests.benchmarks import shapes, tinygraph_steps
from tinygraph import Mode, Out, function, grad, shared

Step = Callable[[], Any]
CUDA = Mode(target="cuda")


def _random(*shape: int, seed: int = 0) -> Any:
    return shared(np.random.default_rng(seed).random(shape, dtype=np.float32))


def lenet(batch: int) -> Step:
    return tinygraph_steps.lenet("cuda", batch)


def network3(batch: int) -> Step:
    return tinygraph_steps.network3("cuda", batch)


def mlp(batch: int) -> Step:
    return tinygraph_steps.mlp("cuda", batch)


def rnn(size: shapes.Recurrent) -> Step:
    return tinygraph_steps.rnn("cuda", size)


def lstm(size: shapes.Recurrent) -> Step:
    return tinygraph_steps.lstm("cuda", size)


def elementwise(n: int) -> Step:
    x = _random(n)
    y = T.exp(-x * x) * T.sin(x) + T.log1p(x) * T.sqrt(x + 1)
    return function([], Out(y, borrow=True), mode=CUDA)


def softmax_cross_entropy(shape: tuple[int, int]) -> Step:
    x = _random(*shape)
    y = shared(np.random.default_rng(1).integers(0, shape[1], shape[0]).astype("int32"))
    loss = tinygraph_steps._nll(x, y)
    return function([], [Out(loss, borrow=True), Out(grad(loss, x), borrow=True)], mode=CUDA)


def _convolved(batch: int, channels: int, size: int, filters: int, kernel: int, stride: int, padding: int) -> Any:
    """Input, filters, and the convolution's result."""
    x, w = _random(batch, channels, size, size), _random(filters, channels, kernel, kernel, seed=1)
    y = T.nnet.conv2d(x, w, input_shape=(batch, channels, size, size), filter_shape=(filters, channels, kernel, kernel),
                      subsample=(stride, stride), border_mode=padding, filter_flip=False)  # fmt: skip
    return x, w, y, (size + 2 * padding - kernel) // stride + 1


def convolution(*sizes: int) -> Step:
    _, _, y, _ = _convolved(*sizes)
    return function([], Out(y, borrow=True), mode=CUDA)


def _gradient(wrt: int, *sizes: int) -> Step:
    x, w, y, out = _convolved(*sizes)
    given = _random(sizes[0], sizes[3], out, out, seed=2)
    (found,) = T.Lop(y, [(x, w)[wrt]], given)
    return function([], Out(found, borrow=True), mode=CUDA)


def convolution_to_input(*sizes: int) -> Step:
    return _gradient(0, *sizes)


def convolution_to_filters(*sizes: int) -> Step:
    return _gradient(1, *sizes)


def nothing() -> Step:
    """The smallest call: its time is overhead."""
    x = shared(np.float32(1))
    return function([], Out(x + 1, borrow=True), mode=CUDA)
