"""softmax, log-softmax and cross-entropy against SciPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import c_type, needs_emulator, out, run
from scipy.special import log_softmax, logsumexp, softmax

pytestmark = needs_emulator

SHAPES = [(5, 7, 1), (3, 300, 1), (2, 9, 5), (1, 1, 1), (0, 4, 1), (9, 33, 1)]
BLOCKS = [(32, 4), (64, 1), (96, 2)]
PRECISION = {"float32": 3e-6, "float64": 1e-13, "float16": 2e-3}


def logits(shape, dtype="float32", scale=3.0):
    return (np.random.default_rng(5).standard_normal(shape) * scale).astype(dtype)


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_forward(shape, block, dtype):
    x, macros = logits(shape, dtype), {"TG_T": c_type(dtype)}
    for kernel, oracle in (("softmax", softmax), ("log_softmax", log_softmax)):
        (y,) = run("softmax.cu", kernel, 2, block, (x, out(shape, dtype), *map(np.int64, shape)), macros)
        np.testing.assert_allclose(
            y, oracle(x.astype("float64"), 1), rtol=PRECISION[dtype], atol=PRECISION[dtype]
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(shape):
    x, dy = logits(shape).astype("float64"), logits(shape)[..., ::-1].copy()
    p = softmax(x, 1)
    for kernel, y, expected in (
        ("softmax_grad", p, p * (dy - (p * dy).sum(1, keepdims=True))),
        ("log_softmax_grad", log_softmax(x, 1), dy - p * dy.sum(1, keepdims=True)),
    ):
        args = (y.astype("float32"), dy, out(shape), *map(np.int64, shape))
        (dx,) = run("softmax.cu", kernel, 2, (64, 2), args)
        np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=2e-5)


def test_extreme_logits():
    x = np.array(
        [[1e4, -1e4, 1e4], [-np.inf, 0, 1], [-3e38, 3e38, 0], [-np.inf] * 3, [np.inf, 0, 1], [np.nan, 0, 1]],
        "float32",
    )
    with np.errstate(all="ignore"):
        expected = np.exp(x - x.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
    (y,) = run("softmax.cu", "softmax", 3, (32, 2), (x, out(x.shape), 6, 3, 1))
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize("rows, classes", [(5, 10), (1, 1), (7, 200), (0, 10)])
def test_cross_entropy_and_its_gradient(rows, classes):
    rng = np.random.default_rng(1)
    x, labels = logits((rows, classes)), rng.integers(-classes, classes, rows)
    dloss, error = rng.standard_normal(rows).astype("float32"), np.zeros(1, "int32")
    args = (x, labels, out(rows), out(rows), np.int64(rows), np.int64(classes), error)
    loss, lse, error = run("cross_entropy.cu", "cross_entropy", 2, (32, 2), args)
    x64 = x.astype("float64")
    np.testing.assert_allclose(loss, -log_softmax(x64, 1)[np.arange(rows), labels], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lse, logsumexp(x64, 1) if rows else [], rtol=1e-6)
    assert not error.any()

    args = (x, labels, lse, dloss, out(x.shape), np.int64(rows), np.int64(classes))
    (dx,) = run("cross_entropy.cu", "cross_entropy_grad", 2, (32, 2), args)
    expected = (softmax(x64, 1) - np.eye(classes)[labels]) * dloss[:, None]
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows, classes", [(5, 10), (3, 130), (0, 4)])
def test_cross_entropy_with_dense_targets(rows, classes):
    rng = np.random.default_rng(2)
    x, p = logits((rows, classes)), rng.random((rows, classes)).astype("float32")
    dloss = rng.standard_normal(rows).astype("float32")
    sizes = (np.int64(rows), np.int64(classes))
    loss, lse = run(
        "cross_entropy.cu", "cross_entropy_dense", 2, (64, 2), (x, p, out(rows), out(rows), *sizes)
    )
    x64 = x.astype("float64")
    np.testing.assert_allclose(loss, -(p * log_softmax(x64, 1)).sum(1), rtol=1e-5, atol=1e-5)
    (dx,) = run(
        "cross_entropy.cu", "cross_entropy_dense_grad", 2, (64, 2), (x, p, lse, dloss, out(x.shape), *sizes)
    )
    expected = (softmax(x64, 1) * p.sum(1, keepdims=True) - p) * dloss[:, None]
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-5)


def test_losses_of_huge_logits_are_exact():
    x = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], "float32")
    args = (x, np.array([1, 2]), out(2), out(2), 2, 3, None)
    loss, _ = run("cross_entropy.cu", "cross_entropy", 1, (32, 1), args)
    np.testing.assert_allclose(loss, [2e4, np.log(2)], rtol=1e-6)


def test_a_label_out_of_range_is_reported_and_poisons_its_row_only():
    x, labels = logits((3, 4)), np.array([1, 4, -5])
    args = (x, labels, out(3), out(3), 3, 4, np.zeros(1, "int32"))
    loss, lse, error = run("cross_entropy.cu", "cross_entropy", 1, (32, 1), args)
    np.testing.assert_array_equal(np.isnan(loss), [False, True, True])
    assert error[0] == 1
    (dx,) = run(
        "cross_entropy.cu",
        "cross_entropy_grad",
        1,
        (32, 1),
        (x, labels, lse, np.ones(3, "float32"), out(x.shape), 3, 4),
    )
    np.testing.assert_array_equal(np.isnan(dx).all(1), [False, True, True])
