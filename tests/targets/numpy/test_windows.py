"""Convolution and pooling as the numpy target prints them: tiles, threads, and sizes that do not divide."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import config, function, grad
from tinygraph.tensor.nnet.convolution import Conv, ConvGradInputs, ConvGradWeights
from tinygraph.tensor.signal.pool import pool_2d
from tinygraph.tensor.signal.windowed import MaxPool, MaxPoolGrad

RNG = np.random.RandomState(23)


def compiled(op, x, w):
    a, b = T.tensor4(dtype=x.dtype.name), T.tensor4(dtype=w.dtype.name)
    out = op(a, b)
    return function([a, b], [out, *grad(T.sum(T.sqr(out)) * 0.5, [a, b])])


def oracle(op, x, w):
    y = op.forward(x, w)
    dx = op.sibling(ConvGradInputs).forward(w, y, np.array(x.shape[2:]))
    return [y, dx, op.sibling(ConvGradWeights).forward(x, y, np.array(w.shape[2:]))]


#: image, filters, strides, pads, dilation, groups: rows short and long, gaps, overlaps, groups
CASES = {
    "short rows, many channels": ((37, 8, 12, 13), (6, 8, 5, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "short rows, strides": ((41, 6, 15, 14), (5, 6, 4, 4), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    "short rows, padding and dilation": ((29, 5, 11, 10), (4, 5, 3, 3), (1, 1), ((2, 1), (0, 2)), (2, 1), 1),
    "long rows, one channel": ((33, 1, 30, 30), (7, 1, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "groups": ((35, 8, 13, 12), (6, 4, 4, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
}


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", CASES, ids=lambda n: n.replace(" ", "-"))
def test_convolutions_in_tiles(name, threads):
    image, filters, *windows = CASES[name]
    x, w = RNG.randn(*image), RNG.randn(*filters)
    op = Conv(*windows)
    with config.change(threads=threads):
        f = compiled(op, x, w)
        found = f(x, w)
        for have, want in zip(found, oracle(op, x, w), strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
        for have, again in zip(found, f(x, w), strict=True):
            np.testing.assert_array_equal(have, again)  # the order of sums does not depend on the threads' timing


def test_a_tile_cut_short_reads_no_leftovers():
    """Scratch memory may hold nan from before: the unused part of a last tile must not spread it."""
    image, filters, *windows = CASES["short rows, many channels"]
    x, w = RNG.randn(*image), RNG.randn(*filters)
    op = Conv(*windows)
    f = compiled(op, x, w)
    f(np.full_like(x, np.nan), w)
    with np.errstate(all="raise"):
        found = f(x, w)
    for have, want in zip(found, oracle(op, x, w), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())


@pytest.mark.parametrize("threads", [1, 2])
def test_convolution_pooling_and_their_gradients_in_one_group(threads):
    x, w = RNG.randn(45, 3, 14, 15), RNG.randn(5, 3, 3, 4)
    a, b = T.dtensor4(), T.dtensor4()
    hidden = T.tanh(pool_2d(T.nnet.conv2d(a, b, filter_flip=False), (2, 3), ignore_border=True))
    with config.change(threads=threads):
        f = function([a, b], [hidden, *grad(T.sum(T.sqr(hidden)), [a, b])])
        y, dx, dw = f(x, w)
    conv = Conv((1, 1), ((0, 0), (0, 0)), (1, 1))
    pool = MaxPool((2, 3), (2, 3), (0, 0), True)
    c = conv.forward(x, w)
    largest, place = pool.forward(c)
    h = np.tanh(largest)
    g = pool.sibling(MaxPoolGrad).forward(place, 2 * h * (1 - h * h), np.array(c.shape[2:]))
    np.testing.assert_allclose(y, h, atol=1e-12)
    np.testing.assert_allclose(dx, conv.sibling(ConvGradInputs).forward(w, g, np.array(x.shape[2:])), atol=1e-10)
    np.testing.assert_allclose(dw, conv.sibling(ConvGradWeights).forward(x, g, np.array(w.shape[2:])), atol=1e-10)


def test_pooling_is_printed_without_fancy_indexing():
    x = T.ftensor4()
    f = function([x], grad(pool_2d(x, (2, 2), ignore_border=True).sum(), x))
    f(RNG.rand(50, 4, 20, 20).astype("float32"))
    source = f.source()
    assert "argmax" not in source and "scatter_add" not in source
    assert source.count("select_") == 4  # one for each point of the window


def test_what_is_steady_over_a_window_is_computed_once():
    x, g = T.dtensor4(), T.dtensor4()
    out = pool_2d(x, (2, 2), ignore_border=True)
    slope = grad(None, x, known_grads={out: T.exp(g)})
    f = function([x, g], slope)
    image, weights = RNG.rand(20, 3, 8, 8), RNG.rand(20, 3, 4, 4)
    found = f(image, weights)
    assert f.source().count("exp(") == 1
    np.testing.assert_allclose(found.reshape(20, 3, 4, 2, 4, 2).sum((3, 5)), np.exp(weights))


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_dtypes_without_blas_make_no_array_of_all_products(dtype):
    x, w = RNG.randint(-3, 4, (3, 4, 7, 6)).astype(dtype), RNG.randint(-3, 4, (5, 4, 3, 2)).astype(dtype)
    op = Conv((1, 1), ((0, 0), (0, 0)), (1, 1))
    a, b = T.tensor4(dtype=dtype), T.tensor4(dtype=dtype)
    f = function([a, b], op(a, b))
    np.testing.assert_array_equal(f(x, w), op.forward(x.astype("float64"), w.astype("float64")))
    assert "einsum" in f.source()


@pytest.mark.parametrize("shape", [(18, 7, 9), (3, 6, 7, 16)])
def test_axes_of_which_one_alone_is_a_small_window(shape):
    """The axis before the unrolled one is small too, but not with it: the values vary along it."""
    from tinygraph.tensor.shared_randomstreams import RandomStreams

    mask = RandomStreams(3).binomial(shape, p=0.5, dtype="float32")
    flat = RandomStreams(3).binomial((int(np.prod(shape)),), p=0.5, dtype="float32")
    np.testing.assert_array_equal(function([], mask)().ravel(), function([], flat)())


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("filters", [1, 2])
def test_convolutions_to_one_filter_whose_samples_are_rows_of_a_product(samples, filters):
    conv, pool = Conv((2, 1), ("half", "half"), (1, 1), 1), MaxPool((2, 3), (2, 3), (0, 0), True)
    x, w = RNG.standard_normal((samples, 20, 19, 5)), RNG.standard_normal((filters, 20, 4, 1))
    a, b = T.dtensor4(), T.dtensor4()
    got = function([a, b], pool_2d(conv(a, b), (2, 3), ignore_border=True))(x, w)
    np.testing.assert_allclose(got, pool.forward(conv.forward(x, w))[0], rtol=1e-12, atol=1e-12)
