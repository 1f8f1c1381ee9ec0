"""Convolution and its transposes, against loops written out, for every way the windows may move."""

import itertools

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import function, grad, shared
from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.gradient import verify_grad
from tinygraph.tensor.nnet.convolution import Conv, ConvGradInputs, ConvGradWeights

RNG = np.random.RandomState(3)


def correlated(x, w, strides, pads, dilation, groups=1):
    """The definition, one output at a time."""
    rank = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    kernel, share = w.shape[2:], w.shape[0] // groups
    sizes = [
        (n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, strides, dilation, strict=True)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    for n, f in itertools.product(range(x.shape[0]), range(w.shape[0])):
        first = f // share * w.shape[1]
        for at in np.ndindex(*sizes):
            for k in np.ndindex(*kernel):
                place = tuple(at[i] * strides[i] + k[i] * dilation[i] for i in range(rank))
                out[(n, f, *at)] += x[(n, slice(first, first + w.shape[1]), *place)] @ w[(f, slice(None), *k)]
    return out


#: image, filters, strides, pads, dilation, groups; sizes that expose swapped dimensions
CASES = {
    "plain": ((2, 3, 7, 9), (4, 3, 3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one image": ((1, 2, 5, 6), (3, 2, 2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one channel and filter": ((3, 1, 5, 5), (1, 1, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "the filter is the image": ((2, 3, 4, 5), (2, 3, 4, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "1x1 filters": ((2, 3, 4, 5), (4, 3, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "strides with points left over": ((2, 2, 8, 9), (3, 2, 3, 2), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    "strides beyond the filter": ((2, 2, 9, 9), (3, 2, 2, 2), (3, 4), ((0, 0), (0, 0)), (1, 1), 1),
    "uneven padding": ((2, 2, 5, 4), (3, 2, 3, 3), (1, 1), ((1, 2), (0, 3)), (1, 1), 1),
    "dilation": ((2, 2, 9, 8), (3, 2, 3, 2), (1, 1), ((0, 0), (0, 0)), (2, 3), 1),
    "groups": ((2, 4, 5, 6), (6, 2, 3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
    "a group for each channel": ((2, 3, 5, 6), (6, 1, 2, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 3),
    "everything": ((3, 4, 10, 9), (4, 2, 3, 2), (2, 1), ((2, 1), (1, 0)), (2, 3), 2),
    "one dimension": ((2, 3, 11), (4, 3, 4), (2,), ((1, 0),), (2,), 1),
    "three dimensions": ((2, 2, 5, 4, 6), (3, 2, 2, 3, 2), (1, 1, 2), ((1, 0), (0, 0), (1, 1)), (2, 1, 1), 1),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request):
    image, filters, *windows = CASES[request.param]
    x, w = RNG.randn(*image), RNG.randn(*filters)
    return x, w, windows


def variable(value, name=None):
    return T.tensor(value.dtype.name, shape=(None,) * value.ndim, name=name)


def evaluate(op, *values):
    inputs = [variable(v) for v in values]
    return function(inputs, op(*inputs))(*values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convolution_is_its_definition(case, dtype):
    x, w, windows = case
    expected = correlated(x, w, *windows)
    out = evaluate(Conv(*windows), x.astype(dtype), w.astype(dtype))
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, atol=1e-4 if dtype == "float32" else 1e-10)


def test_the_oracles_agree(case):
    x, w, windows = case
    op = Conv(*windows)
    expected = correlated(x, w, *windows)
    np.testing.assert_allclose(op.forward(x, w), expected, atol=1e-10)
    g = RNG.randn(*expected.shape)
    dx = op.sibling(ConvGradInputs).forward(w, g, np.array(x.shape[2:]))
    dw = op.sibling(ConvGradWeights).forward(x, g, np.array(w.shape[2:]))
    total = (expected * g).sum()  # linear in each operand: <conv(x, w), g> = <x, dx> = <w, dw>
    np.testing.assert_allclose((x * dx).sum(), total)
    np.testing.assert_allclose((w * dw).sum(), total)


def test_transposes_are_their_definition(case):
    x, w, windows = case
    op = Conv(*windows)
    g = RNG.randn(*op.forward(x, w).shape)
    sizes, kernel = np.array(x.shape[2:]), np.array(w.shape[2:])
    np.testing.assert_allclose(
        evaluate(lambda w, g: op.sibling(ConvGradInputs)(w, g, sizes), w, g),
        op.sibling(ConvGradInputs).forward(w, g, sizes), atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(
        evaluate(lambda x, g: op.sibling(ConvGradWeights)(x, g, kernel), x, g),
        op.sibling(ConvGradWeights).forward(x, g, kernel), atol=1e-10,
    )  # fmt: skip


def test_gradients_agree_with_finite_differences(case):
    x, w, windows = case
    verify_grad(Conv(*windows), [x, w], n_tests=1)


@pytest.mark.parametrize("name", ["plain", "strides with points left over", "everything"])
def test_second_derivatives_agree_with_finite_differences(name):
    image, filters, *windows = CASES[name]
    x, w = RNG.randn(*image), RNG.randn(*filters)

    def slopes(x, w):
        return grad(T.sum(T.sqr(Conv(*windows)(x, w))), [x, w])

    verify_grad(slopes, [x, w], n_tests=1)


def test_tangents_follow_the_product_rule():
    op = Conv((1, 2), ((1, 0), (0, 0)), (1, 1))
    x, w, dx, dw = RNG.randn(2, 3, 4, 5), RNG.randn(4, 3, 2, 2), RNG.randn(2, 3, 4, 5), RNG.randn(4, 3, 2, 2)
    a, b, da, db = map(variable, (x, w, dx, dw))
    (tangent,) = op.jvp([a, b], [op(a, b)], [da, db])
    out = function([a, b, da, db], tangent)(x, w, dx, dw)
    np.testing.assert_allclose(out, op.forward(dx, w) + op.forward(x, dw), atol=1e-10)


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_large_batches_run_in_tiles_and_give_the_same(batch):
    """Sizes at which the targets cut the batch: results must not show it."""
    x, w = RNG.randn(batch, 3, 20, 17).astype("float32"), RNG.randn(8, 3, 5, 4).astype("float32")
    op = Conv((1, 1), ((0, 0), (0, 0)), (1, 1))
    a, b = variable(x), variable(w)
    out = op(a, b)
    found = function([a, b], [out, *grad(T.sum(T.sqr(out)) * 0.5, [a, b])])(x, w)
    y = op.forward(x, w)
    expected = [
        y,
        op.sibling(ConvGradInputs).forward(w, y, np.array(x.shape[2:])),
        op.sibling(ConvGradWeights).forward(x, y, np.array(w.shape[2:])),
    ]
    for have, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(have, want, rtol=2e-3, atol=2e-4 * np.abs(want).max())


def test_an_empty_batch_gives_an_empty_result():
    x, w = np.zeros((0, 3, 6, 5)), RNG.randn(4, 3, 2, 2)
    a, b = variable(x), variable(w)
    out = T.nnet.conv2d(a, b)
    found = function([a, b], [out, *grad(out.sum(), [a, b])])(x, w)
    assert found[0].shape == (0, 4, 5, 4) and found[1].shape == x.shape
    assert (found[2] == 0).all()


def test_integers_convolve_exactly():
    x, w = RNG.randint(-9, 9, (2, 3, 5, 6)), RNG.randint(-9, 9, (4, 3, 2, 2)).astype("int32")
    out = evaluate(Conv((1, 1), ((0, 0), (0, 0)), (1, 1)), x, w)
    assert out.dtype == "int64"
    np.testing.assert_array_equal(out, correlated(x, w, (1, 1), ((0, 0), (0, 0)), (1, 1)))


def test_mixed_dtypes_take_the_wider():
    x, w = RNG.randn(1, 2, 4, 4).astype("float32"), RNG.randn(1, 2, 2, 2)
    out = evaluate(T.nnet.conv2d, x, w)
    assert out.dtype == "float64"


def test_views_of_any_layout_convolve():
    x, w = RNG.randn(5, 9, 3, 4), RNG.randn(2, 3, 4, 3)  # (rows, columns, batch, channels), (k, k', channels, filters)
    a, b = variable(x), variable(w)
    out = T.nnet.conv2d(a.dimshuffle(2, 3, 0, 1)[:, ::-1], b.dimshuffle(3, 2, 0, 1), filter_flip=False)
    expected = correlated(x.transpose(2, 3, 0, 1)[:, ::-1], w.transpose(3, 2, 0, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    np.testing.assert_allclose(function([a, b], out)(x, w), expected, atol=1e-10)


def test_shared_filters_and_new_batch_sizes():
    w = shared(RNG.randn(4, 2, 3, 3))
    x = T.tensor4("x", dtype="float64")
    f = function([x], T.nnet.conv2d(x, w, filter_flip=False, border_mode="half"))
    for n in (1, 4, 2):
        value = RNG.randn(n, 2, 5, 6)
        np.testing.assert_allclose(
            f(value), correlated(value, w.get_value(), (1, 1), ((1, 1), (1, 1)), (1, 1)), atol=1e-10
        )


class TestErrors:
    def test_a_filter_larger_than_the_image(self):
        with pytest.raises(ShapeMismatch, match="a filter of 5 .* exceeds 4"):
            Conv((1, 1), ((0, 0), (0, 0)), (1, 1))(np.zeros((1, 1, 4, 9)), np.zeros((1, 1, 5, 2)))

    def test_a_filter_larger_than_the_image_at_the_call(self):
        x, w = T.tensor4(dtype="float64"), T.tensor4(dtype="float64")
        f = function([x, w], T.nnet.conv2d(x, w))
        with pytest.raises(ShapeMismatch, match="exceeds 3"):
            f(np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 4, 4)))

    def test_channels_that_differ(self):
        with pytest.raises(ShapeMismatch, match="for the 3 channels of the input, not for 2"):
            T.nnet.conv2d(np.zeros((1, 3, 4, 4)), np.zeros((1, 2, 2, 2)))

    def test_filters_that_do_not_divide_into_groups(self):
        with pytest.raises(ShapeMismatch, match="divides by 2 groups"):
            T.nnet.conv2d(np.zeros((1, 4, 4, 4)), np.zeros((3, 2, 2, 2)), num_groups=2)

    def test_wrong_rank(self):
        with pytest.raises(TypeMismatch, match="tensors of 4 dimensions"):
            T.nnet.conv2d(np.zeros((3, 4, 4)), np.zeros((1, 2, 2, 2)))

    def test_booleans(self):
        with pytest.raises(TypeMismatch, match="expected numbers"):
            T.nnet.conv2d(np.zeros((1, 1, 4, 4), bool), np.zeros((1, 1, 2, 2), bool))

    def test_settings(self):
        with pytest.raises(InvalidValue, match="must each have"):
            Conv((1, 1), ((0, 0),), (1, 1))
        with pytest.raises(InvalidValue, match="groups"):
            Conv((1,), ((0, 0),), (1,), 0)

    def test_a_gradient_of_another_size(self):
        with pytest.raises(ShapeMismatch, match="3 positions in spatial dimension 0"):
            ConvGradInputs((1, 1), ((0, 0), (0, 0)), (1, 1))(
                np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 4, 3)), np.array([4, 4])
            )
