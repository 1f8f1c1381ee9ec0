"""Functions that every target computes to the same bits: accuracy, and equality across targets."""

import importlib.util

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.random import exact
from tinygraph.tensor.shared_randomstreams import RandomStreams

needs_llvm = pytest.mark.skipif(importlib.util.find_spec("llvmlite") is None, reason="llvmlite is not installed")

BITS = {"float32": 24, "float64": 53}


def fractions(dtype):
    """Multiples of 2**-24 or 2**-53 in [0, 1), the ends among them."""
    whole = 2 ** BITS[dtype]
    k = np.random.default_rng(0).integers(0, whole, 20_000, dtype="uint64")
    k[:6] = [0, 1, whole - 1, whole // 2, whole // 4, 3 * (whole // 4)]
    return k.astype(dtype) / np.dtype(dtype).type(whole)


def computed(dtype, target):
    u = T.TensorType(dtype, (None,))("u")
    one = T.constant(1, dtype=dtype)
    inside = (T.constant(2, dtype=dtype) * u - one) * T.constant(0.95, dtype=dtype)
    outputs = [exact.log(one - u, dtype), *exact.cos_sin(u, dtype), exact.erfinv(inside, dtype)]
    return tg.function([u], outputs, mode=tg.Mode(target=target))(fractions(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy(dtype):
    log, cos, sin, erfinv = computed(dtype, "numpy")
    u = fractions(dtype).astype("longdouble")
    turn = 2 * np.arccos(np.longdouble(-1))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(log, np.log1p(-u), rtol=2.5 * eps)
    np.testing.assert_allclose(cos, np.cos(turn * u), rtol=0, atol=eps)
    np.testing.assert_allclose(sin, np.sin(turn * u), rtol=0, atol=eps)
    special = pytest.importorskip("scipy.special")
    x = ((2 * fractions(dtype) - 1) * np.dtype(dtype).type(0.95)).astype("float64")
    np.testing.assert_allclose(erfinv, special.erfinv(x), rtol=30 * eps, atol=eps)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_agree_to_the_bit(dtype):
    for a, b in zip(computed(dtype, "numpy"), computed(dtype, "llvm"), strict=True):
        np.testing.assert_array_equal(a, b)


@needs_llvm
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_samples_are_the_same_bits_on_every_target(dtype):
    def drawn(target):
        s = RandomStreams(3)
        outputs = [s.uniform((999,), low=1, high=3, dtype=dtype), s.normal((999,), avg=1.0, std=3.0, dtype=dtype),
                   s.truncated_normal((999,), dtype=dtype), s.exponential((999,), dtype=dtype)]  # fmt: skip
        return tg.function([], outputs, mode=tg.Mode(target=target))()

    for a, b in zip(drawn("numpy"), drawn("llvm"), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_uniform_numbers_stay_below_the_upper_end(dtype):
    s = RandomStreams(1)
    for low, high in ((0, 1), (1, 2), (-1, 1), (7, 8)):
        u = tg.function([], s.uniform((200_000,), low=low, high=high, dtype=dtype))()
        assert low <= u.min() and u.max() < high
