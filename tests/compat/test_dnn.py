"""cuDNN's operations under Theano's names: what programs that call them outright compute, on any target."""

import numpy as np
import pytest

import tinygraph
import tinygraph.compat.theano as theano
import tinygraph.tensor as T

rng = np.random.default_rng(0)
IMAGES, FILTERS = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(4, 3, 3, 3))


@pytest.fixture
def dnn():
    import tinygraph.compat.theano.parts.dnn as module

    assert not module.dnn_available() and module.version() == -1
    return module


def same(one, other):
    a, b = tinygraph.function([], [one, other])()
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["conv", "cross"])
def test_convolution(dnn, mode):
    x, w = T.constant(IMAGES), T.constant(FILTERS)
    wanted = T.nnet.conv2d(x, w, border_mode=(1, 2), subsample=(2, 1), filter_flip=mode == "conv")
    same(dnn.dnn_conv(x, w, (1, 2), (2, 1), conv_mode=mode, algo="small"), wanted)
    desc = dnn.GpuDnnConvDesc((1, 2), (2, 1), (1, 1), mode, precision="float32")(w.shape)
    older = dnn.GpuDnnConvDesc((1, 2), (2, 1), mode)(x.shape, w.shape)
    assert older.settings == desc.settings
    out = theano.gpuarray.basic_ops.GpuAllocEmpty("float64", None)(*wanted.shape)
    same(dnn.GpuDnnConv(algo="small")(x, w, out, desc), wanted)
    same(dnn.GpuDnnConv()(x, w, T.ones_like(wanted), desc, alpha=2.0, beta=0.5), 2 * wanted + 0.5)


def test_gradients_of_a_convolution(dnn):
    x, w = T.constant(IMAGES), T.constant(FILTERS)
    y = dnn.dnn_conv(x, w, border_mode=(1, 1), subsample=(2, 2))
    above = T.constant(rng.normal(size=y.eval().shape))
    by_x, by_w = T.grad(None, [x, w], known_grads={y: above})
    desc = dnn.GpuDnnConvDesc((1, 1), (2, 2))(w.shape)
    empty = theano.sandbox.cuda.basic_ops.gpu_alloc_empty
    same(dnn.GpuDnnConvGradI()(w, above, empty(*x.shape), desc), by_x)
    same(dnn.GpuDnnConvGradW()(x, above, empty(*w.shape), desc), by_w)
    same(dnn.dnn_gradinput(w, above, x.shape, (1, 1), (2, 2)), by_x)
    same(dnn.dnn_gradweight(x, above, FILTERS.shape, (1, 1), (2, 2)), by_w)


def test_convolution_in_three_dimensions(dnn):
    x, w = T.constant(rng.normal(size=(2, 3, 4, 5, 6))), T.constant(rng.normal(size=(2, 3, 2, 2, 2)))
    wanted = T.nnet.conv3d(x, w)
    same(dnn.dnn_conv3d(x, w), wanted)
    desc = dnn.GpuDnnConvDesc("valid", (1, 1, 1), (1, 1, 1))(w.shape)
    same(dnn.GpuDnnConv()(x, w, T.zeros_like(wanted), desc), wanted)
    above = T.ones_like(wanted)
    by_x, by_w = T.grad(wanted.sum(), [x, w])
    same(dnn.GpuDnnConvGradI()(w, above, x, desc), by_x)
    same(dnn.GpuDnnConvGradW()(x, above, w, desc), by_w)


@pytest.mark.parametrize("mode", ["max", "average_inc_pad", "average_exc_pad", "sum"])
def test_pooling(dnn, mode):
    x = T.constant(IMAGES)
    wanted = T.signal.pool.pool_2d(x, (3, 2), True, (2, 2), (1, 0), mode)
    same(dnn.dnn_pool(x, (3, 2), (2, 2), mode, (1, 0)), wanted)
    same(dnn.GpuDnnPool(mode)(x, (3, 2), (2, 2), (1, 0)), wanted)
    volumes = T.constant(rng.normal(size=(1, 2, 4, 4, 4)))
    same(dnn.dnn_pool(volumes, (2, 2, 2), mode=mode), T.signal.pool.pool_3d(volumes, (2, 2, 2), True, mode=mode))


def test_softmax(dnn):
    x = T.constant(IMAGES)
    e = np.exp(IMAGES)
    same(dnn.GpuDnnSoftmax("accurate", "channel")(x), T.constant(e / e.sum(1, keepdims=True)))
    same(dnn.GpuDnnSoftmax("bc01", "fast", "instance")(x), T.constant(e / e.sum((1, 2, 3), keepdims=True)))
    same(dnn.GpuDnnSoftmax("log", "channel")(x), T.constant(np.log(e / e.sum(1, keepdims=True))))


def test_batch_normalisation(dnn):
    x, ones = T.constant(IMAGES), T.ones((1, 3, 1, 1))
    out, mean, invstd = dnn.dnn_batch_normalization_train(x, ones, 2 * ones, "spatial", 1e-5)
    same(mean, x.mean((0, 2, 3), keepdims=True))
    same(out, (x - mean) * invstd + 2)
    fixed = dnn.dnn_batch_normalization_test(x, ones, ones, mean, ones, "spatial", 1e-5)
    same(fixed, (x - mean) / np.sqrt(1 + 1e-5) + 1)


def test_conversions_are_the_identity():
    basic = theano.gpuarray.basic_ops
    x = T.dmatrix("x")
    assert basic.gpu_contiguous(basic.as_gpuarray_variable(x, basic.infer_context_name(x))) is x
    assert basic.HostFromGpu()(basic.GpuFromHost(None)(x)) is x
    assert theano.sandbox.cuda.basic_ops.host_from_gpu(theano.sandbox.cuda.basic_ops.gpu_from_host(x)) is x
