"""Pooling against windows written out: sizes, borders, padding, ties, gradients."""

import itertools

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.gradient import verify_grad
from tinygraph.tensor.signal.averaging import SumPool, SumPoolGrad
from tinygraph.tensor.signal.downsample import max_pool_2d, max_pool_2d_same_size
from tinygraph.tensor.signal.pool import Pool, pool_2d, pool_3d
from tinygraph.tensor.signal.windowed import MaxPool, MaxPoolGrad, MaxPoolPick

RNG = np.random.RandomState(5)


def pooled(x, ws, stride, pad, ignore_border, mode):
    """The definition: each window on its own, cut to what it may see."""
    rank = len(ws)
    lead, spatial = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
    starts = []
    for n, w, s, p in zip(spatial, ws, stride, pad, strict=True):
        found = [a for a in range(0, n + 2 * p, s) if a + w <= n + 2 * p or not ignore_border]
        while not ignore_border and len(found) > 1 and s < w and found[-2] + w >= n:
            found.pop()  # a window that holds nothing new is not made
        starts.append(found)
    out = np.zeros((*lead, *map(len, starts)))
    for index in itertools.product(*(range(len(s)) for s in starts)):
        begin = [starts[i][k] - pad[i] for i, k in enumerate(index)]
        inside = tuple(slice(max(b, 0), min(b + w, n)) for b, w, n in zip(begin, ws, spatial, strict=True))
        part = x[(..., *inside)].reshape(*lead, -1)
        if mode == "max":
            value = part.max(-1)
        else:
            value = part.sum(-1)
            if mode == "average_exc_pad":
                value = value / part.shape[-1]
            elif mode == "average_inc_pad":
                value = value / np.prod(
                    [min(b + w, n + p) - b for b, w, n, p in zip(begin, ws, spatial, pad, strict=True)]
                )
        out[(..., *index)] = value
    return out


MODES = ["max", "sum", "average_inc_pad", "average_exc_pad"]
#: image, window, stride, pad, ignore_border
CASES = {
    "windows that fit": ((2, 3, 4, 6), (2, 3), (2, 3), (0, 0), True),
    "points left over": ((2, 3, 5, 7), (2, 2), (2, 2), (0, 0), True),
    "borders count": ((2, 3, 5, 7), (2, 2), (2, 2), (0, 0), False),
    "overlapping": ((2, 2, 7, 8), (3, 3), (2, 1), (0, 0), True),
    "overlapping, borders count": ((2, 2, 7, 8), (3, 4), (2, 3), (0, 0), False),
    "gaps between windows": ((1, 2, 9, 10), (2, 3), (3, 4), (0, 0), True),
    "gaps, borders count": ((1, 2, 9, 10), (2, 3), (3, 4), (0, 0), False),
    "padding": ((2, 2, 5, 6), (3, 2), (3, 2), (1, 1), True),
    "padding and overlap": ((2, 2, 6, 5), (3, 3), (1, 2), (2, 1), True),
    "one window": ((2, 2, 3, 4), (3, 4), (3, 4), (0, 0), True),
    "window larger than the image": ((1, 2, 2, 3), (4, 5), (4, 5), (0, 0), False),
    "a matrix": ((5, 6), (2, 2), (2, 2), (0, 0), True),
    "one image, one channel": ((1, 1, 5, 5), (1, 1), (1, 1), (0, 0), True),
    "three dimensions": ((2, 5, 4, 6), (2, 2, 3), (2, 1, 3), (0, 1, 1), True),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request):
    shape, *rest = CASES[request.param]
    return RNG.permutation(np.arange(np.prod(shape)) / 7.0 - 3).reshape(shape), rest


def pool(x, ws, stride, pad, ignore_border, mode):
    return Pool(ignore_border, mode, len(ws))(x, ws, stride, pad)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pooling_is_its_definition(case, mode, dtype):
    value, settings = case
    x = T.tensor(dtype, shape=(None,) * value.ndim)
    out = function([x], pool(x, *settings, mode))(value.astype(dtype))
    expected = pooled(value, *settings, mode)
    assert out.dtype == dtype
    assert out.shape == expected.shape
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
def test_sizes_are_those_of_out_shape(case, mode):
    value, (ws, stride, pad, ignore_border) = case
    expected = pooled(value, ws, stride, pad, ignore_border, mode).shape
    sizes = Pool.out_shape(value.shape, ws, ignore_border, stride, pad, ndim=len(ws))
    assert tuple(sizes) == expected
    x = T.tensor("float64", shape=(None,) * value.ndim)
    symbolic = Pool.out_shape([x.shape[i] for i in range(x.ndim)], ws, ignore_border, stride, pad, ndim=len(ws))
    assert tuple(int(n) for n in function([x], symbolic)(value)) == expected


@pytest.mark.parametrize("mode", MODES)
def test_gradients_agree_with_finite_differences(case, mode):
    value, settings = case
    verify_grad(lambda x: pool(x, *settings, mode), [value], n_tests=1, eps=1e-4)


@pytest.mark.parametrize("mode", ["max", "average_exc_pad"])
def test_second_derivatives_agree_with_finite_differences(case, mode):
    value, settings = case
    verify_grad(lambda x: grad(T.sum(T.sqr(pool(x, *settings, mode))), x), [value], n_tests=1, eps=1e-4)


def test_oracles_match_the_definition(case):
    value, (ws, stride, pad, ignore_border) = case
    op = MaxPool(ws, stride, pad, ignore_border)
    largest, place = op.forward(value)
    np.testing.assert_array_equal(largest, pooled(value, ws, stride, pad, ignore_border, "max"))
    np.testing.assert_array_equal(op.sibling(MaxPoolPick).forward(place, value), largest)
    g = RNG.randn(*largest.shape)
    spread = op.sibling(MaxPoolGrad).forward(place, g, np.array(value.shape[-len(ws) :]))
    np.testing.assert_allclose((spread * value).sum(), (g * largest).sum())  # the transpose of the pick
    for count in (None, "all", "image"):
        average = SumPool(ws, stride, pad, ignore_border, count)
        spread = average.sibling(SumPoolGrad).forward(g, np.array(value.shape[-len(ws) :]))
        np.testing.assert_allclose((spread * value).sum(), (g * average.forward(value)).sum())


def test_compiled_ops_match_their_oracles(case):
    value, (ws, stride, pad, ignore_border) = case
    op = MaxPool(ws, stride, pad, ignore_border)
    x = T.tensor("float64", shape=(None,) * value.ndim)
    largest, place = op(x, return_list=True)
    g = T.tensor("float64", shape=(None,) * value.ndim)
    sizes = np.array(value.shape[-len(ws) :])
    outputs = [largest, place, op.sibling(MaxPoolGrad)(place, g, sizes), op.sibling(MaxPoolPick)(place, x)]
    weights = RNG.randn(*op.forward(value)[0].shape)
    found = function([x, g], outputs)(value, weights)
    a, b = op.forward(value)
    expected = [a, b, op.sibling(MaxPoolGrad).forward(b, weights, sizes), op.sibling(MaxPoolPick).forward(b, value)]
    for have, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-12)
        assert have.dtype == want.dtype


def test_of_equal_maxima_the_first_takes_the_gradient():
    x = T.tensor4(dtype="float64")
    slope = function([x], grad(pool_2d(x, (2, 2), ignore_border=True).sum(), x))
    np.testing.assert_array_equal(slope(np.ones((1, 1, 2, 4)))[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])
    ties = np.array([[0.0, 3.0, 1.0, 2.0], [3.0, 3.0, 2.0, 2.0]]).reshape(1, 1, 2, 4)
    np.testing.assert_array_equal(slope(ties)[0, 0], [[0, 1, 0, 1], [0, 0, 0, 0]])


def test_overlapping_windows_with_one_maximum_add_up_there():
    x = T.tensor4(dtype="float64")
    slope = function([x], grad(pool_2d(x, (3, 3), stride=(1, 1), ignore_border=True).sum(), x))
    image = np.zeros((1, 1, 5, 5))
    image[0, 0, 2, 2] = 1
    expected = np.zeros((5, 5))
    expected[2, 2] = 9
    np.testing.assert_array_equal(slope(image)[0, 0], expected)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_large_batches_run_in_tiles_and_give_the_same(batch):
    value = RNG.rand(batch, 4, 25, 30).astype("float32")
    x = T.ftensor4()
    out = T.tanh(pool_2d(x, (2, 3), ignore_border=True))
    y, g = function([x], [out, grad(T.sum(T.sqr(out)), x)])(value)
    op = MaxPool((2, 3), (2, 3), (0, 0), True)
    largest, place = op.forward(value)
    expected = np.tanh(largest)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    slope = op.sibling(MaxPoolGrad).forward(place, 2 * expected * (1 - expected**2), np.array([25, 30]))
    np.testing.assert_allclose(g, slope, atol=1e-5)


def test_windows_of_more_than_256_points_know_their_place():
    value = RNG.rand(2, 20, 34)
    op = MaxPool((17, 17), (17, 17), (0, 0), True)
    x = T.dtensor3()
    largest, place = function([x], op(x, return_list=True))(value)
    assert place.dtype == "int32"
    np.testing.assert_array_equal(place, op.forward(value)[1])
    verify_grad(op, [RNG.permutation(np.arange(2 * 17 * 34.0)).reshape(2, 17, 34)], n_tests=1)


def test_integers_pool():
    value = RNG.randint(-9, 9, (2, 5, 5))
    x = T.ltensor3()
    largest, total = function([x], [pool_2d(x, 2, ignore_border=False), pool_2d(x, 2, True, mode="sum")])(value)
    np.testing.assert_array_equal(largest, pooled(value, (2, 2), (2, 2), (0, 0), False, "max"))
    np.testing.assert_array_equal(total, pooled(value, (2, 2), (2, 2), (0, 0), True, "sum"))


def test_infinities_are_maxima_like_others():
    value = np.full((1, 1, 2, 4), -np.inf)
    value[0, 0, 1, 3] = np.inf
    x = T.dtensor4()
    out = function([x], pool_2d(x, (2, 2), ignore_border=True))(value)
    np.testing.assert_array_equal(out[0, 0], [[-np.inf, np.inf]])


def test_an_empty_batch():
    x = T.dtensor4()
    out = pool_2d(x, (2, 2), ignore_border=True)
    y, g = function([x], [out, grad(out.sum(), x)])(np.zeros((0, 3, 4, 4)))
    assert y.shape == (0, 3, 2, 2) and g.shape == (0, 3, 4, 4)


def test_old_names_mean_the_same():
    value = RNG.rand(2, 3, 5, 5)
    x = T.dtensor4()
    outputs = [
        pool_2d(x, ws=(2, 2), ignore_border=False, stride=(1, 2)),
        pool_2d(x, ds=(2, 2), ignore_border=False, st=(1, 2)),
        max_pool_2d(x, (2, 2), st=(1, 2)),
        pool_2d(x, (2, 2), ignore_border=True, pad=(1, 0)),
        pool_2d(x, (2, 2), ignore_border=True, padding=(1, 0)),
        max_pool_2d(x, (2, 2), ignore_border=True, padding=(1, 0)),
    ]
    a, b, c, d, e, f = function([x], outputs)(value)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c)
    np.testing.assert_array_equal(d, e)
    np.testing.assert_array_equal(d, f)


def test_keeping_the_maxima_in_place():
    value = RNG.permutation(np.arange(24.0) + 1).reshape(1, 4, 6)
    x = T.dtensor3()
    out = function([x], max_pool_2d_same_size(x, (2, 3)))(value)
    kept = out != 0
    np.testing.assert_array_equal(out[kept], value[kept])
    np.testing.assert_array_equal(kept.reshape(2, 2, 2, 3).sum((1, 3)), 1)
    np.testing.assert_array_equal(out.reshape(2, 2, 2, 3).max((1, 3)), value.reshape(2, 2, 2, 3).max((1, 3)))


def test_pool_3d_pools_the_last_three_dimensions():
    value = RNG.rand(2, 3, 4, 5, 6)
    x = T.dtensor5()
    out = function([x], pool_3d(x, (2, 2, 3), ignore_border=True, mode="average_exc_pad"))(value)
    np.testing.assert_allclose(out, pooled(value, (2, 2, 3), (2, 2, 3), (0, 0, 0), True, "average_exc_pad"))


class TestErrors:
    x = T.dtensor4("x")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(ws=(2, 2), mode="median"), "mode must be one of"),
            (dict(ws=(2, 2, 2)), "ws must be 2 integers"),
            (dict(ws=(0, 2)), "at least 1"),
            (dict(ws=(2, 1.5)), "ws must be 2 integers"),
            (dict(), "ws, the window size, is missing"),
            (dict(ws=(2, 2), ds=(2, 2)), "both given"),
            (dict(ws=(2, 2), stride=(1, 1), st=(1, 1)), "both given"),
            (dict(ws=(2, 2), pad=(1, 1), padding=(1, 1), ignore_border=True), "both given"),
            (dict(ws=(2, 2), pad=(1, 1), ignore_border=False), "needs ignore_border=True"),
            (dict(ws=(2, 2), pad=(2, 0), ignore_border=True), "must be smaller than the window"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(InvalidValue, match=message):
            pool_2d(self.x, **arguments)

    def test_ranks(self):
        with pytest.raises(InvalidValue, match="at least 2 dimensions"):
            pool_2d(T.dvector("v"), (2, 2))

    def test_windows_must_be_known(self):
        with pytest.raises(InvalidValue, match="known while the graph is built"):
            pool_2d(self.x, T.ivector("ws"))

    def test_averages_need_floats(self):
        with pytest.raises(TypeMismatch, match="floats, to average"):
            pool_2d(T.ltensor3(), (2, 2), mode="average_inc_pad")
