"""Batch, layer and response normalisation against their formulas in NumPy; dropout by its statistics."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import function, grad, shared
from tinygraph.errors import InvalidValue
from tinygraph.gradient import verify_grad
from tinygraph.random.streams import RandomStreams
from tinygraph.tensor.nnet import bn

RNG = np.random.RandomState(17)


def normalised(x, axes, epsilon=1e-4):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + epsilon), mean, 1 / np.sqrt(var + epsilon)


AXES = {"per-activation": (0,), "spatial": (0, 2, 3), (0, 2): (0, 2), (1, 3): (1, 3), 2: (2,)}


class TestBatch:
    x = RNG.randn(5, 3, 2, 4) * 2 + 1

    @pytest.mark.parametrize("axes", AXES)
    @pytest.mark.parametrize("short", [False, True], ids=["full-rank", "short"])
    def test_training(self, axes, short):
        reduced = AXES[axes]
        full = tuple(1 if d in reduced else n for d, n in enumerate(self.x.shape))
        kept = tuple(n for d, n in enumerate(self.x.shape) if d not in reduced)
        shape = kept if short else full
        gamma, beta, mean, var = (RNG.rand(*shape) + 0.5 for _ in range(4))
        x = T.dtensor4("x")
        parameters = [T.tensor("float64", shape=(None,) * len(shape)) for _ in range(4)]
        g, b, m, v = parameters
        outputs = bn.batch_normalization_train(x, g, b, axes, 1e-4, 0.2, m, v)
        found = function([x, *parameters], outputs)(self.x, gamma, beta, mean, var)
        out, batch_mean, invstd = normalised(self.x, reduced)
        count = self.x.size / np.prod(kept)
        unbiased = self.x.var(reduced, keepdims=True) * count / (count - 1)
        expected = [
            out * gamma.reshape(full) + beta.reshape(full),
            batch_mean.reshape(shape),
            invstd.reshape(shape),
            0.8 * mean + 0.2 * batch_mean.reshape(shape),
            0.8 * var + 0.2 * unbiased.reshape(shape),
        ]
        for have, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(have, want, atol=1e-12)

    def test_without_running_statistics(self):
        x, p = T.dtensor4(), T.dvector()
        outputs = bn.batch_normalization_train(x, p, p, "spatial")
        assert len(outputs) == 3
        out, mean, invstd = function([x, p], list(outputs))(self.x, np.ones(3))
        expected, m, s = normalised(self.x, (0, 2, 3))
        np.testing.assert_allclose(out, expected + 1)
        np.testing.assert_allclose(mean, m.ravel())
        np.testing.assert_allclose(invstd, s.ravel())

    def test_testing(self):
        x = T.dtensor4()
        g, b, m, v = T.dvectors("g", "b", "m", "v")
        values = [RNG.rand(3) + 0.5 for _ in range(4)]
        out = function([x, g, b, m, v], bn.batch_normalization_test(x, g, b, m, v, "spatial", 0.01))(self.x, *values)
        gamma, beta, mean, var = (p.reshape(1, 3, 1, 1) for p in values)
        np.testing.assert_allclose(out, (self.x - mean) / np.sqrt(var + 0.01) * gamma + beta)

    @pytest.mark.parametrize("mode", ["low_mem", "high_mem"])
    def test_with_given_statistics(self, mode):
        x, p = T.dmatrix(), T.dvector()
        out = bn.batch_normalization(x, p, p, p, p, mode=mode)
        value, v = RNG.randn(4, 3), RNG.rand(3) + 0.5
        np.testing.assert_allclose(function([x, p], out)(value, v), (value - v) * v / v + v)

    def test_gradients(self):
        def build(x, gamma, beta):
            return bn.batch_normalization_train(x, gamma, beta, "spatial")[0]

        verify_grad(build, [self.x[:, :, :1], RNG.rand(3), RNG.rand(3)], n_tests=1)

        def testing(x, gamma, beta, mean, var):
            return bn.batch_normalization_test(x, gamma, beta, mean, var)

        verify_grad(testing, [RNG.randn(4, 3), *(RNG.rand(3) + 0.5 for _ in range(4))], n_tests=1)

    def test_float32_stays_float32(self):
        x, p = T.fmatrix(), T.fvector()
        outputs = bn.batch_normalization_train(x, p, p, running_mean=p, running_var=p)
        assert {o.dtype for o in outputs} == {"float32"}
        assert bn.batch_normalization_test(x, p, p, p, p).dtype == "float32"
        assert bn.batch_normalization(x, p, p, p, p).dtype == "float32"

    def test_running_statistics_are_kept_by_updates(self):
        x = T.dmatrix()
        mean, var = shared(np.zeros(3)), shared(np.ones(3))
        out, _, _, new_mean, new_var = bn.batch_normalization_train(
            x, np.ones(3), np.zeros(3), running_mean=mean, running_var=var
        )
        f = function([x], out, updates=[(mean, new_mean), (var, new_var)])
        data = RNG.randn(200, 3) * [1, 2, 3] + [4, 5, 6]
        for _ in range(100):
            f(data)
        np.testing.assert_allclose(mean.get_value(), data.mean(0), rtol=1e-3)
        np.testing.assert_allclose(var.get_value(), data.var(0, ddof=1), rtol=1e-3)

    def test_errors(self):
        x, p = T.dtensor4(), T.dvector()
        with pytest.raises(InvalidValue, match="axes must be"):
            bn.batch_normalization_train(x, p, p, "channels")
        with pytest.raises(InvalidValue, match="do not name different dimensions"):
            bn.batch_normalization_train(x, p, p, (0, -4))
        with pytest.raises(InvalidValue, match="do not name different dimensions"):
            bn.batch_normalization_train(x, p, p, (4,))
        with pytest.raises(InvalidValue, match="gamma must have 4 dimensions, or the 3"):
            bn.batch_normalization_train(x, p, p)
        with pytest.raises(InvalidValue, match="given together"):
            bn.batch_normalization_train(x, p, p, "spatial", running_mean=p)
        with pytest.raises(InvalidValue, match="low_mem"):
            bn.batch_normalization(x, p, p, p, p, mode="fast")


class TestLayer:
    def test_last_dimension(self):
        value, g, b = RNG.randn(3, 4, 5), RNG.rand(5), RNG.rand(5)
        x = T.dtensor3()
        out = function([x], T.nnet.layer_normalization(x, g, b))(value)
        np.testing.assert_allclose(out, normalised(value, -1, 1e-5)[0] * g + b)

    def test_several_dimensions_without_parameters(self):
        value = RNG.randn(3, 4, 5)
        x = T.dtensor3()
        out = function([x], T.nnet.layer_norm(x, axes=(1, 2)))(value)
        np.testing.assert_allclose(out, normalised(value, (1, 2), 1e-5)[0])

    def test_gradients(self):
        verify_grad(lambda x, g, b: T.nnet.layer_norm(x, g, b), [RNG.randn(3, 4), RNG.rand(4), RNG.rand(4)], n_tests=1)


class TestResponse:
    def test_neighbouring_channels(self):
        value = RNG.randn(2, 7, 3, 4)
        x = T.dtensor4()
        out = function([x], T.nnet.local_response_normalization(x, alpha=0.1, k=1.5, beta=0.6, n=3))(value)
        wide = np.pad(value**2, [(0, 0), (1, 1), (0, 0), (0, 0)])
        sums = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
        np.testing.assert_allclose(out, value / (1.5 + 0.1 * sums) ** 0.6)

    def test_gradients(self):
        verify_grad(lambda x: T.nnet.local_response_normalization(x, 0.1, n=3), [RNG.randn(2, 5, 2, 2)], n_tests=1)

    def test_errors(self):
        with pytest.raises(InvalidValue, match="n must be odd"):
            T.nnet.local_response_normalization(T.dtensor4(), n=4)
        with pytest.raises(InvalidValue, match="expected \\(batch, channels"):
            T.nnet.local_response_normalization(T.dvector())


class TestDropout:
    def test_share_and_scale(self):
        x = T.fmatrix()
        f = function([x], T.nnet.dropout(x, 0.3, RandomStreams(5)))
        first, second = f(np.ones((300, 200), "float32")), f(np.ones((300, 200), "float32"))
        assert first.dtype == "float32"
        assert abs((first == 0).mean() - 0.3) < 0.01
        np.testing.assert_allclose(first[first != 0], 1 / 0.7, rtol=1e-6)
        assert (first != second).any()

    def test_gradient_passes_where_values_did(self):
        x = T.dmatrix()
        out = T.nnet.dropout(x, 0.5, RandomStreams(6))
        y, g = function([x], [out, grad(out.sum(), x)])(np.ones((20, 30)))
        np.testing.assert_array_equal(y, g)

    def test_shared_axes_and_no_rescaling(self):
        x = T.dtensor3()
        out = function([x], T.nnet.dropout(x, 0.5, RandomStreams(7), rescale=False, shared_axes=(1,)))(np.ones((8, 5, 9)))
        assert set(np.unique(out)) == {0.0, 1.0}
        assert (out == out[:, :1]).all()

    def test_nothing_dropped(self):
        x = T.dmatrix()
        assert T.nnet.dropout(x, 0) is x

    def test_errors(self):
        with pytest.raises(InvalidValue, match="0 <= p < 1"):
            T.nnet.dropout(T.dmatrix(), 1.0)
