"""Random draws of the llvm target: the same bits as on the numpy target, wherever the draw stands."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.tensor.shared_randomstreams import RandomStreams

pytest.importorskip("llvmlite")


def both(build, *values, calls=2):
    """The results of some calls in a row, by the numpy target and by the llvm target with one and with two threads."""
    found = []
    for target, threads in (("numpy", 1), ("llvm", 1), ("llvm", 2)):
        inputs = [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in values]
        outputs = build(RandomStreams(7), *inputs)
        with tg.config.change(threads=threads):
            f = tg.function(inputs, outputs, mode=tg.Mode(target=target))
            found.append([np.asarray(r) for _ in range(calls) for r in f(*values)])
    return found


def expect_same(build, *values, rtol=0.0):
    reference, *others = both(build, *values)
    for results in others:
        for a, b in zip(results, reference, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


SIZES = [(0,), (1,), (31,), (128,), (129,), (1000,), (70_001,), (128, 625), (3, 5, 77), (300, 2), (2, 4096)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("size", SIZES)
def test_uniform_draws_have_the_same_bits(size, dtype):
    expect_same(lambda streams: [streams.uniform(size=size, dtype=dtype)])


@pytest.mark.parametrize("size", [(257,), (40, 625), (1, 7)])
def test_other_draws(size):
    expect_same(lambda streams: [streams.binomial(size=size, p=0.3), streams.random_integers(size=size, low=2, high=9)])
    expect_same(lambda streams: [streams.normal(size=size, dtype="float32")], rtol=1e-5)


# rows whose length is no multiple of a chunk, with a bias that keeps the two axes apart, and a transposed result
@pytest.mark.parametrize("shape", [(5, 3), (17, 128), (128, 625), (9, 1003)])
def test_dropout_in_the_nest_that_uses_it(shape):
    rng = np.random.default_rng(0)
    x, bias = rng.normal(size=shape).astype("float32"), rng.normal(size=shape[1]).astype("float32")

    def build(streams, x, bias):
        h = T.maximum(x + bias, 0) * streams.binomial(size=x.shape, p=0.5, dtype="float32") * 2
        return [h, (x.T * streams.uniform(size=x.T.shape, dtype="float32")).T, T.exp(x) * streams.uniform(size=x.shape)]

    expect_same(build, x, bias, rtol=1e-6)


def test_two_streams_in_one_nest():
    x = np.ones((33, 100), "float32")
    expect_same(lambda streams, x: [x * streams.uniform(size=x.shape) + streams.uniform(size=x.shape)], x)


def test_a_draw_under_a_reduction():
    x = np.random.default_rng(0).normal(size=(50, 625)).astype("float32")
    expect_same(lambda s, x: [(x * s.uniform(size=x.shape)).sum(1), (x * s.uniform(size=x.shape)).max(0)], x, rtol=1e-4)


def test_a_draw_read_through_a_slice():
    expect_same(lambda s: [s.uniform(size=(40, 70), dtype="float32")[3:30:2, 5:], s.uniform(size=(640,))[::-1]])


def test_dropout_needs_no_pass_over_memory_of_its_own():
    x = T.fmatrix("x")
    h = x * RandomStreams(1).binomial(size=x.shape, p=0.5, dtype="float32")
    f = tg.function([x], h, mode=tg.Mode(target="llvm"))
    value = np.ones((200, 625), "float32")
    f(value)
    assert set(np.unique(f(value))) == {0.0, 1.0}
    assert f.source().count("define void") <= 2  # the product with the mask, and the stream's next state
