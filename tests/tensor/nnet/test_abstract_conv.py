"""Convolution as users write it: border modes, flips, stated shapes, transposes, old names."""

import numpy as np
import pytest
from scipy import signal

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.gradient import verify_grad
from tinygraph.tensor.nnet import abstract_conv, conv, conv3d2d
from tinygraph.tensor.nnet.convolution import Conv
from tinygraph.tensor.signal import conv as signal_conv

RNG = np.random.RandomState(7)
X = RNG.randn(2, 3, 7, 8)
W = RNG.randn(4, 3, 3, 2)


def run(build, *values):
    inputs = [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in values]
    return function(inputs, build(*inputs))(*values)


def scipy_conv(x, w, mode, flip=True):
    """Sums over channels of two-dimensional convolutions by SciPy."""
    one = signal.convolve2d if flip else signal.correlate2d
    return np.array([[sum(one(c, k, mode) for c, k in zip(im, f, strict=True)) for f in w] for im in x])


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("mode", ["valid", "full"])
def test_conv2d_is_scipys(mode, flip):
    out = run(lambda x, w: T.nnet.conv2d(x, w, border_mode=mode, filter_flip=flip), X, W)
    np.testing.assert_allclose(out, scipy_conv(X, W, mode, flip), atol=1e-10)


def test_half_keeps_the_size_for_odd_filters():
    w = RNG.randn(4, 3, 3, 5)
    out = run(lambda x, w: T.nnet.conv2d(x, w, border_mode="half"), X, w)
    np.testing.assert_allclose(out, scipy_conv(X, w, "same"), atol=1e-10)


@pytest.mark.parametrize(
    ("mode", "pads"),
    [(2, ((2, 2), (2, 2))), ((1, 2), ((1, 1), (2, 2))), (((1, 0), (2, 3)), ((1, 0), (2, 3))), ((1, (0, 2)), ((1, 1), (0, 2)))],
)  # fmt: skip
def test_explicit_borders_are_zeros(mode, pads):
    out = run(lambda x, w: T.nnet.conv2d(x, w, border_mode=mode, subsample=(2, 1)), X, W)
    padded = np.pad(X, [(0, 0), (0, 0), *pads])
    np.testing.assert_allclose(out, scipy_conv(padded, W, "valid")[:, :, ::2], atol=1e-10)


def test_dilated_filters_have_gaps():
    out = run(lambda x, w: T.nnet.conv2d(x, w, filter_dilation=(2, 3)), X, W)
    wide = np.zeros((4, 3, 5, 4))
    wide[:, :, ::2, ::3] = W
    np.testing.assert_allclose(out, scipy_conv(X, wide, "valid"), atol=1e-10)


def test_half_and_full_count_the_dilated_filter():
    wide = np.zeros((4, 3, 5, 4))
    wide[:, :, ::2, ::3] = W
    out = run(lambda x, w: T.nnet.conv2d(x, w, filter_dilation=(2, 3), border_mode="full"), X, W)
    np.testing.assert_allclose(out, scipy_conv(X, wide, "full"), atol=1e-10)


def test_groups_are_convolutions_side_by_side():
    x, w = RNG.randn(2, 4, 5, 6), RNG.randn(6, 2, 2, 3)
    out = run(lambda x, w: T.nnet.conv2d(x, w, num_groups=2), x, w)
    parts = [scipy_conv(x[:, :2], w[:3], "valid"), scipy_conv(x[:, 2:], w[3:], "valid")]
    np.testing.assert_allclose(out, np.concatenate(parts, axis=1), atol=1e-10)


def test_conv1d_and_conv3d_are_scipys():
    x, w = RNG.randn(2, 1, 9), RNG.randn(1, 1, 4)
    out = run(lambda x, w: T.nnet.conv1d(x, w, border_mode="full"), x, w)
    np.testing.assert_allclose(out[:, 0], [np.convolve(v, w[0, 0]) for v in x[:, 0]])
    x, w = RNG.randn(1, 2, 4, 5, 6), RNG.randn(3, 2, 2, 3, 2)
    out = run(lambda x, w: T.nnet.conv3d(x, w), x, w)
    expected = [sum(signal.convolve(c, k, "valid") for c, k in zip(x[0], f, strict=True)) for f in w]
    np.testing.assert_allclose(out[0], expected, atol=1e-10)


def test_causal_outputs_see_no_later_input():
    x, w = RNG.randn(2, 3, 9), RNG.randn(4, 3, 3)

    def build(x, w):
        return T.nnet.causal_conv1d(x, w, filter_shape=(4, 3, 3), filter_dilation=2)

    out = run(build, x, w)
    assert out.shape == (2, 4, 9)
    later = x.copy()
    later[:, :, 5:] += 1
    np.testing.assert_array_equal(run(build, later, w)[:, :, :5], out[:, :, :5])
    first = sum((x[0, c, :1] * w[0, c, 0]).sum() for c in range(3))
    np.testing.assert_allclose(out[0, 0, 0], first)


def test_gradients_pass_through_flips_and_borders():
    def build(x, w):
        return T.nnet.conv2d(x, w, border_mode="half", subsample=(2, 1), filter_dilation=(1, 2))

    verify_grad(build, [X[:, :, :5, :5], W], n_tests=1)


class TestTransposes:
    def test_grad_wrt_inputs_is_the_gradient(self):
        for options in ({}, {"border_mode": (1, 2)}, {"subsample": (2, 3)}, {"filter_flip": False}, {"border_mode": "half"}):

            def both(x, w, options=options):
                out = T.nnet.conv2d(x, w, **options)
                direct = T.nnet.conv2d_grad_wrt_inputs(out, w, x.shape, **options)
                weights = T.nnet.conv2d_grad_wrt_weights(x, out, w.shape, **options)
                return [direct, weights, *grad(T.sum(T.sqr(out)) * 0.5, [x, w])]

            dx, dw, expected_dx, expected_dw = run(both, X, W)
            np.testing.assert_allclose(dx, expected_dx, atol=1e-10)
            np.testing.assert_allclose(dw, expected_dw, atol=1e-10)

    def test_stated_sizes_may_be_numbers(self):
        g = RNG.randn(2, 4, 5, 7)
        dx = run(lambda g, w: T.nnet.conv2d_grad_wrt_inputs(g, w, (None, None, 7, 8)), g, W)
        assert dx.shape == X.shape

    def test_three_dimensions(self):
        x, w = RNG.randn(2, 2, 4, 5, 3), RNG.randn(3, 2, 2, 2, 2)

        def both(x, w):
            out = T.nnet.conv3d(x, w, subsample=(1, 2, 1))
            more = {"subsample": (1, 2, 1)}
            return [
                T.nnet.conv3d_grad_wrt_inputs(out, w, x.shape, **more),
                T.nnet.conv3d_grad_wrt_weights(x, out, w.shape, **more),
                *grad(T.sum(T.sqr(out)) * 0.5, [x, w]),
            ]

        dx, dw, expected_dx, expected_dw = run(both, x, w)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-10)
        np.testing.assert_allclose(dw, expected_dw, atol=1e-10)

    def test_transposed_convolution_spreads_each_point(self):
        x, w = RNG.randn(2, 4, 3, 4), RNG.randn(4, 3, 2, 3)
        out = run(
            lambda x, w: T.nnet.conv2d_transpose(x, w, (None, 3, 6, 13), input_dilation=(2, 3), filter_flip=False), x, w
        )
        expected = np.zeros((2, 3, 6, 13))
        for n, k, i, j in np.ndindex(*x.shape):
            expected[n, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3] += x[n, k, i, j] * w[k]
        np.testing.assert_allclose(out, expected, atol=1e-10)

    def test_transposed_convolution_has_gradients(self):
        x, w = RNG.randn(2, 4, 3, 4), RNG.randn(4, 3, 2, 3)
        verify_grad(lambda x, w: T.nnet.conv2d_transpose(x, w, (None, 3, 6, 13), input_dilation=(2, 3)), [x, w], n_tests=1)

    def test_the_abstract_names(self):
        def build(x, w):
            out = abstract_conv.AbstractConv2d(border_mode=(1, 1))(x, w)
            dx = abstract_conv.AbstractConv2d_gradInputs(border_mode=(1, 1))(w, out, x.shape[-2:])
            dw = abstract_conv.AbstractConv2d_gradWeights(border_mode=(1, 1))(x, out, w.shape[-2:])
            return [out, dx, dw, *grad(T.sum(T.sqr(out)) * 0.5, [x, w])]

        out, dx, dw, expected_dx, expected_dw = run(build, X, W)
        np.testing.assert_allclose(out, scipy_conv(np.pad(X, [(0, 0)] * 2 + [(1, 1)] * 2), W, "valid"), atol=1e-10)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-10)
        np.testing.assert_allclose(dw, expected_dw, atol=1e-10)

    def test_the_abstract_names_in_three_dimensions(self):
        x, w = RNG.randn(1, 2, 4, 3, 5), RNG.randn(2, 2, 2, 2, 2)

        def build(x, w):
            out = abstract_conv.AbstractConv3d()(x, w)
            return [
                abstract_conv.AbstractConv3d_gradInputs()(w, out, x.shape[2:]),
                abstract_conv.AbstractConv3d_gradWeights()(x, out, w.shape[2:]),
                *grad(T.sum(T.sqr(out)) * 0.5, [x, w]),
            ]

        dx, dw, expected_dx, expected_dw = run(build, x, w)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-10)
        np.testing.assert_allclose(dw, expected_dw, atol=1e-10)


def test_separable_convolution_is_two_convolutions():
    deep, point = RNG.randn(6, 1, 3, 2), RNG.randn(4, 6, 1, 1)
    out = run(lambda x, d, p: T.nnet.separable_conv2d(x, d, p, num_channels=3), X, deep, point)
    middle = np.concatenate([scipy_conv(X[:, c : c + 1], deep[2 * c : 2 * c + 2], "valid") for c in range(3)], axis=1)
    np.testing.assert_allclose(out, np.einsum("nchw,fc->nfhw", middle, point[:, :, 0, 0]), atol=1e-10)


@pytest.mark.parametrize("mode", ["valid", "full", "half", 1, ((0, 1), 2)])
def test_output_shapes_are_foretold(mode):
    expected = run(lambda x, w: T.nnet.conv2d(x, w, border_mode=mode, subsample=(2, 1)), X, W).shape
    assert abstract_conv.get_conv_output_shape(X.shape, W.shape, mode, (2, 1)) == expected
    unknown = abstract_conv.get_conv_output_shape((None, 3, None, 8), W.shape, mode, (2, 1))
    assert unknown == (None, 4, None, expected[3])


class TestOldNames:
    def test_conv_conv2d_takes_the_image_shape_first(self):
        x, w = T.dtensor4(), T.dtensor4()
        out = conv.conv2d(x, w, (2, 3, 7, 8), (4, 3, 3, 2))
        np.testing.assert_allclose(function([x, w], out)(X, W), scipy_conv(X, W, "valid"), atol=1e-10)
        assert out.type.shape == (2, 4, 5, 7)
        same = conv.conv2d(input=x, filters=w, filter_shape=(4, 3, 3, 2), image_shape=(2, 3, 7, 8), unroll_batch=2)
        assert same.type.shape == (2, 4, 5, 7)

    def test_image_shape_is_input_shape(self):
        x, w = T.dtensor4(), T.dtensor4()
        assert T.nnet.conv2d(x, w, image_shape=(2, 3, 7, 8), filter_shape=(4, 3, 3, 2)).type.shape == (2, 4, 5, 7)

    @pytest.mark.parametrize("ranks", [(2, 2), (3, 2), (2, 3), (3, 3)])
    def test_signal_convolution_has_no_channels(self, ranks):
        x, w = RNG.randn(*(5, 6, 7)[3 - ranks[0] :]), RNG.randn(*(4, 2, 3)[3 - ranks[1] :])
        out = run(signal_conv.conv2d, x, w)
        images, filters = x.reshape(-1, *x.shape[-2:]), w.reshape(-1, *w.shape[-2:])
        expected = np.array([[signal.convolve2d(i, f, "valid") for f in filters] for i in images])
        lead = ([5] if ranks[0] == 3 else []) + ([4] if ranks[1] == 3 else [])
        np.testing.assert_allclose(out, expected.reshape(*lead, *expected.shape[2:]), atol=1e-10)

    def test_films_have_time_before_channels(self):
        x, w = RNG.randn(2, 5, 3, 4, 6), RNG.randn(2, 2, 3, 2, 3)
        out = run(conv3d2d.conv3d, x, w)
        expected = run(T.nnet.conv3d, x.swapaxes(1, 2).copy(), w.swapaxes(1, 2).copy()).swapaxes(1, 2)
        np.testing.assert_allclose(out, expected, atol=1e-10)


class TestErrors:
    x, w = T.dtensor4("x"), T.dtensor4("w")

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (dict(border_mode="same"), InvalidValue, "border_mode must be 'valid'"),
            (dict(border_mode=(1, 2, 3)), InvalidValue, "border_mode needs 2 entries"),
            (dict(border_mode=-1), InvalidValue, "at least 0"),
            (dict(subsample=(0, 1)), InvalidValue, "subsample must be 2 integers of at least 1"),
            (dict(filter_dilation=(1,)), InvalidValue, "filter_dilation must be 2 integers"),
            (dict(num_groups=0), InvalidValue, "num_groups must be 1 integers of at least 1"),
            (dict(unshared=True), InvalidValue, "unshared"),
            (dict(input_shape=(2, 3, 7)), InvalidValue, "input_shape must have 4 entries"),
            (dict(input_shape=(2, 3, 7, 2.5)), InvalidValue, "must hold integers or None"),
            (dict(input_shape=(2, 3, 7, 8), filter_shape=(4, 2, 3, 2)), ShapeMismatch, "has 3 channels, but filter_shape"),
            (dict(input_shape=(2, 3, 7, 8), image_shape=(2, 3, 7, 8)), InvalidValue, "both given"),
            (dict(input_shape=(2, 3, 2, 8), filter_shape=(4, 3, 3, 2)), ShapeMismatch, "exceeds 2"),
            (dict(stride=2), TypeError, "unexpected keyword argument 'stride'"),
        ],
    )  # fmt: skip
    def test_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            T.nnet.conv2d(self.x, self.w, **arguments)

    def test_a_stated_shape_that_the_type_contradicts(self):
        with pytest.raises(ShapeMismatch, match=r"conv2d: input_shape \(2, 3, 7, 9\) says 9 in dimension 3"):
            T.nnet.conv2d(X, self.w, input_shape=(2, 3, 7, 9))

    def test_a_stated_shape_that_the_call_contradicts(self):
        f = function([self.x, self.w], T.nnet.conv2d(self.x, self.w, input_shape=(None, 3, 7, 9)))
        with pytest.raises(ShapeMismatch, match="size 9 in dimension 3"):
            f(X, W)

    def test_sizes_that_a_transpose_needs(self):
        with pytest.raises(InvalidValue, match="the last 2 of them known"):
            T.nnet.conv2d_grad_wrt_inputs(self.x, self.w, (None, None, None, 8))

    def test_pointwise_filters_must_be_pointwise(self):
        with pytest.raises(InvalidValue, match="must be 1x1"):
            T.nnet.separable_conv2d(X, np.zeros((3, 1, 2, 2)), np.zeros((4, 3, 2, 1)), 3)

    def test_causal_convolution_must_know_its_taps(self):
        with pytest.raises(InvalidValue, match="number of taps is not known"):
            T.nnet.causal_conv1d(T.dtensor3(), T.dtensor3())

    def test_signal_convolution_of_other_ranks(self):
        with pytest.raises(InvalidValue, match="matrices or 3-d tensors"):
            signal_conv.conv2d(self.x, self.w)


def test_stated_shapes_may_be_symbolic_or_arrays():
    n = T.iscalar("n")
    x, w = T.dtensor4(), T.dtensor4()
    out = T.nnet.conv2d(x, w, input_shape=(n, 3, np.int64(7), T.constant(8)), filter_shape=np.array(W.shape))
    assert out.type.shape == (None, 4, 5, 7)
    assert isinstance(out.owner.op, Conv)
