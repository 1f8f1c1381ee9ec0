"""Cross-entropies against their formulas in NumPy, naive where that is exact, and at logits of 1e4."""

import numpy as np
import pytest
from scipy import special

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.errors import TypeMismatch
from tinygraph.gradient import verify_grad

RNG = np.random.RandomState(13)
LOGITS = RNG.randn(6, 4) * 2
CLASSES = np.array([0, 3, 1, 1, 2, 0])
ONE_HOT = np.eye(4)[CLASSES]
DENSE = special.softmax(RNG.randn(6, 4), axis=1)
NLL = -special.log_softmax(LOGITS, axis=1)[np.arange(6), CLASSES]


def run(build, *values):
    inputs = [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in map(np.asarray, values)]
    return function(inputs, build(*inputs))(*values)


class TestCategorical:
    @pytest.mark.parametrize("index", ["int8", "int32", "int64", "uint8"])
    def test_classes_as_integers(self, index):
        p = special.softmax(LOGITS, axis=1)
        np.testing.assert_allclose(run(T.nnet.categorical_crossentropy, p, CLASSES.astype(index)), NLL)
        np.testing.assert_allclose(run(T.nnet.crossentropy_categorical_1hot, p, CLASSES.astype(index)), NLL)

    def test_classes_as_distributions(self):
        p = special.softmax(LOGITS, axis=1)
        np.testing.assert_allclose(run(T.nnet.categorical_crossentropy, p, ONE_HOT), NLL)
        np.testing.assert_allclose(run(T.nnet.categorical_crossentropy, p, DENSE), -(DENSE * np.log(p)).sum(1))

    def test_more_dimensions(self):
        p = special.softmax(RNG.randn(2, 3, 4), axis=2)
        classes = RNG.randint(0, 4, (2, 3))
        expected = -np.log(np.take_along_axis(p, classes[..., None], axis=2)[..., 0])
        np.testing.assert_allclose(run(T.nnet.categorical_crossentropy, p, classes), expected)
        np.testing.assert_allclose(run(T.nnet.categorical_crossentropy, p[0, 0], np.array(classes[0, 0])), expected[0, 0])

    def test_gradients(self):
        p = special.softmax(LOGITS, axis=1)
        verify_grad(lambda p: T.nnet.categorical_crossentropy(p, CLASSES), [p], n_tests=1)
        verify_grad(T.nnet.categorical_crossentropy, [p, DENSE], n_tests=1)

    @pytest.mark.parametrize("target", [CLASSES, DENSE], ids=["classes", "distributions"])
    def test_of_a_softmax_at_any_logits(self, target):
        x = T.dmatrix("x")
        loss = T.nnet.categorical_crossentropy(T.nnet.softmax(x), target)
        f = function([x], [loss, grad(loss.sum(), x)])
        for scale in (1, 1e4):
            value, slope = f(LOGITS * scale)
            dense = ONE_HOT if target.ndim == 1 else target
            np.testing.assert_allclose(value, -(dense * special.log_softmax(LOGITS * scale, axis=1)).sum(1), rtol=1e-10)
            np.testing.assert_allclose(slope, special.softmax(LOGITS * scale, axis=1) - dense, atol=1e-10)

    def test_wrong_classes(self):
        with pytest.raises(TypeMismatch, match="integer classes of one rank less"):
            T.nnet.categorical_crossentropy(T.dmatrix(), T.dvector())
        with pytest.raises(TypeMismatch, match="integer classes of one rank less"):
            T.nnet.categorical_crossentropy(T.dmatrix(), T.ltensor3())


class TestFromLogits:
    @pytest.mark.parametrize("target", [CLASSES, DENSE], ids=["classes", "distributions"])
    @pytest.mark.parametrize("scale", [1, 1e4])
    def test_softmax_crossentropy(self, target, scale):
        dense = ONE_HOT if target.ndim == 1 else target
        x = T.dmatrix()
        loss = T.nnet.softmax_crossentropy(x, target)
        value, slope = function([x], [loss, grad(loss.sum(), x)])(LOGITS * scale)
        np.testing.assert_allclose(value, -(dense * special.log_softmax(LOGITS * scale, axis=1)).sum(1), rtol=1e-12)
        np.testing.assert_allclose(slope, special.softmax(LOGITS * scale, axis=1) - dense, atol=1e-12)

    def test_softmax_crossentropy_of_more_dimensions(self):
        x, y = RNG.randn(2, 3, 4), RNG.randint(0, 4, (2, 3))
        expected = -np.take_along_axis(special.log_softmax(x, axis=2), y[..., None], axis=2)[..., 0]
        np.testing.assert_allclose(run(T.nnet.softmax_crossentropy, x, y), expected)

    @pytest.mark.parametrize("scale", [1, 1e4])
    def test_sigmoid_binary_crossentropy(self, scale):
        z, t = LOGITS * scale, RNG.rand(6, 4)
        x = T.dmatrix()
        loss = T.nnet.sigmoid_binary_crossentropy(x, t)
        value, slope = function([x], [loss, grad(loss.sum(), x)])(z)
        np.testing.assert_allclose(value, t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z), rtol=1e-12)
        np.testing.assert_allclose(slope, special.expit(z) - t, atol=1e-12)


class TestBinary:
    def test_values_and_gradients(self):
        p, t = RNG.uniform(0.1, 0.9, (3, 4)), RNG.rand(3, 4)
        np.testing.assert_allclose(
            run(T.nnet.binary_crossentropy, p, t), -t * np.log(p) - (1 - t) * np.log(1 - p), rtol=1e-12
        )
        verify_grad(T.nnet.binary_crossentropy, [p, t], n_tests=1)

    def test_of_a_sigmoid_at_any_logits(self):
        z, t = np.array([-1e4, -30.0, 0.0, 30.0, 1e4]), np.array([0.0, 1.0, 0.5, 0.0, 1.0])
        x = T.dvector()
        loss = T.nnet.binary_crossentropy(T.nnet.sigmoid(x), t)
        value, slope = function([x], [loss, grad(loss.sum(), x)])(z)
        np.testing.assert_allclose(value, t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z), rtol=1e-10)
        np.testing.assert_allclose(slope, special.expit(z) - t, atol=1e-10)

    def test_integer_targets(self):
        p, t = RNG.uniform(0.1, 0.9, 5), np.array([0, 1, 1, 0, 1])
        np.testing.assert_allclose(run(T.nnet.binary_crossentropy, p, t), -np.log(np.where(t == 1, p, 1 - p)))


class TestTheanosPairs:
    bias = RNG.randn(4)

    def test_loss_and_softmax(self):
        loss, p = run(T.nnet.crossentropy_softmax_1hot, LOGITS, CLASSES)
        np.testing.assert_allclose(loss, NLL)
        np.testing.assert_allclose(p, special.softmax(LOGITS, axis=1))

    def test_with_a_bias(self):
        z = LOGITS + self.bias
        p = special.softmax(z, axis=1)
        expected = [-np.log(p[np.arange(6), CLASSES]), p, p.max(1), p.argmax(1)]
        found = run(T.nnet.crossentropy_softmax_max_and_argmax_1hot_with_bias, LOGITS, self.bias, CLASSES)
        for have, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(have, want)
        found = run(T.nnet.crossentropy_softmax_argmax_1hot_with_bias, LOGITS, self.bias, CLASSES)
        for have, want in zip(found, [expected[0], expected[1], expected[3]], strict=True):
            np.testing.assert_allclose(have, want)
        found = run(T.nnet.crossentropy_softmax_1hot_with_bias, LOGITS, self.bias, CLASSES)
        np.testing.assert_allclose(found[0], expected[0])
        np.testing.assert_allclose(run(T.nnet.softmax_with_bias, LOGITS, self.bias), p)

    def test_without_a_bias(self):
        p = special.softmax(LOGITS, axis=1)
        found = run(T.nnet.crossentropy_softmax_max_and_argmax_1hot, LOGITS, CLASSES)
        for have, want in zip(found, [NLL, p, p.max(1), p.argmax(1)], strict=True):
            np.testing.assert_allclose(have, want)
