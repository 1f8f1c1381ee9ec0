"""The works in JAX, each jitted as one step with donated parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.benchmarks import shapes

Step = Callable[[], Any]


def _nll(z: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def _descent(loss: Callable[..., Any], params: Any, *data: Any, rate: float = 0.1) -> Step:
    @jax.jit
    def step(params: Any, *data: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, *data)
        return value, jax.tree.map(lambda p, g: p - rate * g, params, grads)

    state = [params]

    def run() -> float:
        value, state[0] = step(state[0], *data)
        return float(value)

    return run


def _conv_pool(x: Any, w: Any, b: Any) -> Any:
    y = lax.conv_general_dilated(x, w, (1, 1), "VALID")
    y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return y + b[None, :, None, None]


def _layer(*shape: int) -> tuple[Any, Any]:
    n_out = shape[0] if len(shape) == 4 else shape[-1]
    return jnp.asarray(shapes.weights(*shape)), jnp.zeros(n_out, jnp.float32)


def lenet(batch: int = shapes.LENET_BATCH) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.images(batch))

    def loss(params: Any, x: Any, y: Any) -> Any:
        (w0, b0), (w1, b1), (w2, b2), (w3, b3) = params
        h = jnp.tanh(_conv_pool(x.reshape(batch, 1, 28, 28), w0, b0))
        h = jnp.tanh(_conv_pool(h, w1, b1)).reshape(batch, -1)
        return _nll(jnp.tanh(h @ w2 + b2) @ w3 + b3, y)

    params = [_layer(20, 1, 5, 5), _layer(50, 20, 5, 5), _layer(800, 500), _layer(500, 10)]
    return {"jit": _descent(loss, params, x, y)}


def network3(batch: int = shapes.NETWORK3_BATCH) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.images(batch))

    def loss(params: Any, x: Any, y: Any) -> Any:
        (w0, b0), (w1, b1), (w2, b2) = params
        h = jax.nn.sigmoid(_conv_pool(x.reshape(batch, 1, 28, 28), w0, b0)).reshape(batch, -1)
        return _nll(jax.nn.sigmoid(h @ w1 + b1) @ w2 + b2, y)

    return {"jit": _descent(loss, [_layer(20, 1, 5, 5), _layer(2880, 100), _layer(100, 10)], x, y)}


def cnn(batch: int = shapes.CNN_BATCH) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.images(batch))
    params = [_layer(20, 1, 5, 5), _layer(50, 20, 5, 5), _layer(800, 500), _layer(500, 10)]

    def loss(params: Any, x: Any, y: Any) -> Any:
        h = x.reshape(batch, 1, 28, 28)
        for w, b in params[:2]:
            h = jax.nn.relu(lax.conv_general_dilated(h, w, (1, 1), "VALID") + b[None, :, None, None])
            h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        (w2, b2), (w3, b3) = params[2:]
        return _nll(jax.nn.relu(h.reshape(batch, -1) @ w2 + b2) @ w3 + b3, y)

    @jax.jit
    def step(params: Any, speeds: Any, x: Any, y: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, x, y)
        speeds = jax.tree.map(lambda v, g: 0.5 * v - 0.01 * g, speeds, grads)
        return value, jax.tree.map(lambda p, v: p + v, params, speeds), speeds

    state = [params, jax.tree.map(jnp.zeros_like, params)]

    def run() -> float:
        value, *state[:] = step(*state, x, y)
        return float(value)

    return {"jit": run}


def mlp(batch: int = shapes.MLP_BATCH) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.images(batch))
    params = [_layer(784, 625), _layer(625, 625), _layer(625, 10)]

    def loss(params: Any, key: Any, x: Any, y: Any) -> Any:
        for (w, b), p, k in zip(params, (0.2, 0.5, 0.5), jax.random.split(key, 3), strict=True):
            x = jnp.where(jax.random.bernoulli(k, 1 - p, x.shape), x / (1 - p), 0.0) @ w + b
            x = jax.nn.relu(x) if w.shape[1] != 10 else x
        return _nll(x, y)

    @jax.jit
    def step(params: Any, means: Any, key: Any, x: Any, y: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, key, x, y)
        means = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g * g, means, grads)
        params = jax.tree.map(lambda p, g, a: p - 0.001 * g / jnp.sqrt(a + 1e-6), params, grads, means)
        return value, params, means, jax.random.split(key)[0]

    state = [params, jax.tree.map(jnp.zeros_like, params), jax.random.key(0)]

    def run() -> float:
        value, *state[:] = step(*state, x, y)
        return float(value)

    return {"jit": run}


def rnn(size: shapes.Recurrent) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.text(size))
    v, n = size.vocabulary, size.hidden
    params = [_layer(v, n), _layer(n, n), _layer(n, v)]

    def loss(params: Any, x: Any, y: Any) -> Any:
        (w, b), (u, _), (wo, bo) = params

        def step(h: Any, e: Any) -> Any:
            h = jnp.tanh(e + h @ u)
            return h, h

        _, hidden = lax.scan(step, jnp.zeros((x.shape[1], n), jnp.float32), w[x] + b)
        return _nll(hidden.reshape(-1, n) @ wo + bo, y.reshape(-1))

    return {"jit": _descent(loss, params, x, y)}


growing_rnn = rnn


def lstm(size: shapes.Recurrent) -> dict[str, Step]:
    def step(state: Any, xs: Any, u: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(xs + h @ u, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return _gated(size, step, 4, 2)


def gru(size: shapes.Recurrent) -> dict[str, Step]:
    def step(state: Any, xs: Any, u: Any) -> Any:
        (h,) = state
        xr, xz, xn = jnp.split(xs, 3, axis=1)
        hr, hz, hn = jnp.split(h @ u, 3, axis=1)
        z = jax.nn.sigmoid(xz + hz)
        h = (1 - z) * jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn) + z * h
        return (h,), h

    return _gated(size, step, 3, 1)


def _gated(size: shapes.Recurrent, step: Any, gates: int, states: int) -> dict[str, Step]:
    x, y = (jnp.asarray(v) for v in shapes.text(size))
    v, n = size.vocabulary, size.hidden
    params = [jnp.asarray(shapes.weights(v, n)), _layer(n, gates * n), _layer(n, gates * n), _layer(n, v)]

    def loss(params: Any, x: Any, y: Any) -> Any:
        embedding, (w, b), (u, _), (wo, bo) = params
        start = (jnp.zeros((x.shape[1], n), jnp.float32),) * states
        _, hidden = lax.scan(lambda state, xs: step(state, xs, u), start, embedding[x] @ w + b)
        return _nll(hidden.reshape(-1, n) @ wo + bo, y.reshape(-1))

    return {"jit": _descent(loss, params, x, y)}


def elementwise(n: int = shapes.ELEMENTS) -> dict[str, Step]:
    x = jnp.asarray(np.random.default_rng(0).random(n, dtype=np.float32))
    f = jax.jit(lambda x: jnp.exp(-x * x) * jnp.sin(x) + jnp.log1p(x) * jnp.sqrt(x + 1))
    return {"jit": lambda: f(x).block_until_ready()}


def softmax_cross_entropy(shape: tuple[int, int] = shapes.SOFTMAX) -> dict[str, Step]:
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.standard_normal(shape, dtype=np.float32)), jnp.asarray(rng.integers(0, shape[1], shape[0]))
    f = jax.jit(jax.value_and_grad(_nll))
    return {"jit": lambda: f(x, y)[1].block_until_ready()}


def reduction(axis: int | None, shape: tuple[int, int] = shapes.REDUCED) -> dict[str, Step]:
    x = jnp.asarray(np.random.default_rng(0).random(shape, dtype=np.float32))
    f = jax.jit(lambda x: x.sum(axis))
    return {"jit": lambda: f(x).block_until_ready()}


def layer_norm(shape: tuple[int, int] = shapes.NORMALISED) -> dict[str, Step]:
    rng = np.random.default_rng(0)
    x, scale, shift, above = (
        jnp.asarray(rng.standard_normal(s, dtype=np.float32)) for s in (shape, shape[1], shape[1], shape)
    )

    def norm(x: Any, scale: Any, shift: Any) -> Any:
        centred = x - x.mean(1, keepdims=True)
        return centred / jnp.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * scale + shift

    @jax.jit
    def run(x: Any, scale: Any, shift: Any, above: Any) -> Any:
        out, pull = jax.vjp(norm, x, scale, shift)
        return out, *pull(above)

    return {"jit": lambda: jax.block_until_ready(run(x, scale, shift, above))}


def scalar_add() -> dict[str, Step]:
    f = jax.jit(lambda a, b: a + b)
    one, two = np.float32(1), np.float32(2)
    return {"jit": lambda: f(one, two).block_until_ready()}
