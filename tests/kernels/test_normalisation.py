"""Layer and batch normalisation and their gradients against float64 formulas and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import needs_emulator, out, run

pytestmark = needs_emulator
EPSILON = 1e-5


def layer(x, gamma, beta):
    x = x.astype("float64")
    mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (
        (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta,
        mean.ravel(),
        1 / np.sqrt(variance.ravel() + EPSILON),
    )


def batch(x, gamma, beta):
    """The same per channel: (batch, channels, plane) as rows of channels."""
    rows = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
    y, mean, rstd = layer(rows, 1.0, 0.0)
    y = y.reshape(x.shape[1], x.shape[0], x.shape[2]).transpose(1, 0, 2)
    return y * gamma[:, None] + beta[:, None], mean, rstd


def gradient(f, x, direction_of_output, step=1e-5):
    """Central differences of <f(x), direction> at each element of x."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.astype("float64").copy()
            moved[index] += sign * step
            ends.append((f(moved) * direction_of_output).sum())
        slopes[index] = (ends[0] - ends[1]) / (2 * step)
    return slopes


@pytest.mark.parametrize("block", [(32, 4), (64, 1)])
@pytest.mark.parametrize("rows, size", [(5, 7), (3, 130), (1, 1), (0, 4)])
def test_layer_normalisation(rows, size, block):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((rows, size)) + 100).astype("float32")
    gamma, beta = rng.standard_normal((2, size)).astype("float32")
    args = (x, gamma, beta, out(x.shape), out(rows), out(rows), np.int64(rows), np.int64(size), EPSILON)
    y, mean, rstd = run("layer_norm.cu", "layer_norm", 2, block, args)
    expected, expected_mean, expected_rstd = layer(x, gamma, beta)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-6)
    np.testing.assert_allclose(rstd, expected_rstd, rtol=1e-4)


def test_layer_normalisation_gradients():
    rng = np.random.default_rng(1)
    rows, size = 5, 37
    x, dy = rng.standard_normal((2, rows, size)).astype("float32")
    gamma = rng.standard_normal(size).astype("float32")
    _, mean, rstd = layer(x, gamma, 0)
    mean, rstd, sizes = mean.astype("float32"), rstd.astype("float32"), (np.int64(rows), np.int64(size))
    (dx,) = run(
        "layer_norm.cu", "layer_norm_grad", 2, (32, 2), (x, gamma, mean, rstd, dy, out(x.shape), *sizes)
    )
    np.testing.assert_allclose(dx, gradient(lambda v: layer(v, gamma, 0)[0], x, dy), rtol=1e-3, atol=1e-4)
    args = (x, mean, rstd, dy, out(size), out(size), *sizes)
    dgamma, dbeta = run("layer_norm.cu", "layer_norm_grad_parameters", 1, (32, 8), args)
    np.testing.assert_allclose(dbeta, dy.sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dgamma, (dy * layer(x, 1, 0)[0]).sum(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 1, 1), (3, 5, 70)])
def test_batch_normalisation(shape, affine):
    rng = np.random.default_rng(2)
    x = (rng.standard_normal(shape) * 2 + 10).astype("float32")
    gamma, beta = rng.standard_normal((2, shape[1])).astype("float32")
    sizes = tuple(map(np.int64, shape))
    args = (x, out(shape[1]), out(shape[1]), *sizes, EPSILON)
    mean, rstd = run("batch_norm.cu", "batch_norm_moments", 2, 64, args)
    given = (gamma, beta) if affine else (None, None)
    (y,) = run("batch_norm.cu", "batch_norm_apply", 2, 64, (x, mean, rstd, *given, out(shape), *sizes))
    expected = batch(x, gamma if affine else np.ones(shape[1]), beta if affine else np.zeros(shape[1]))
    np.testing.assert_allclose(mean, expected[1], rtol=1e-5)
    np.testing.assert_allclose(rstd, expected[2], rtol=1e-4)
    np.testing.assert_allclose(y, expected[0], rtol=1e-3, atol=1e-4)


def test_batch_normalisation_gradients():
    rng = np.random.default_rng(3)
    shape = (3, 4, 5)
    x, dy = rng.standard_normal((2, *shape)).astype("float32")
    gamma = rng.standard_normal(shape[1]).astype("float32")
    beta = np.zeros(shape[1])
    _, mean, rstd = batch(x, gamma, beta)
    mean, rstd, sizes = mean.astype("float32"), rstd.astype("float32"), tuple(map(np.int64, shape))
    args = (x, dy, mean, rstd, out(shape[1]), out(shape[1]), *sizes)
    dgamma, dbeta = run("batch_norm.cu", "batch_norm_sums", 3, 32, args)
    np.testing.assert_allclose(dbeta, dy.sum((0, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dgamma, (dy * batch(x, np.ones(4), beta)[0]).sum((0, 2)), rtol=1e-4, atol=1e-4)
    args = (x, dy, mean, rstd, gamma, dgamma, dbeta, out(shape), *sizes)
    (dx,) = run("batch_norm.cu", "batch_norm_grad", 2, 64, args)
    np.testing.assert_allclose(dx, gradient(lambda v: batch(v, gamma, beta)[0], x, dy), rtol=1e-3, atol=1e-4)
