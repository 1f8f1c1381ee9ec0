"""Training steps: LeNet, a recurrent network, learning rules, dropout; results and updated parameters."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY, same
from tinygraph import updates as rules
from tinygraph.config import config
from tinygraph.demos.lenet import LeNet


def train(make, steps, *data):
    """Outputs of every step and the parameters after the last, on the device and on NumPy."""
    found = {}
    for mode in (CUDA, NUMPY):
        step, params = make(mode)
        outputs = [step(*data) for _ in range(steps)]
        found[mode.target] = [x for out in outputs for x in out] + [p.get_value() for p in params]
    for a, b in zip(found["cuda"], found["numpy"], strict=True):
        same(a, b)


def test_lenet(device):
    def make(mode):
        x, y = T.matrix("x"), T.ivector("y")
        network = LeNet(np.random.RandomState(0), x)
        cost = network.cost(y)
        grads = T.grad(cost, network.params)
        changes = [(p, p - 0.1 * g) for p, g in zip(network.params, grads, strict=True)]
        return tinygraph.function([x, y], [cost, network.y_pred, *grads], updates=changes, mode=mode), network.params

    with config.change(floatX="float32"):
        rng = np.random.default_rng(0)
        train(make, 2, rng.random((3, 784)).astype("float32"), np.array([1, 2, 3], "int32"))


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", "rmsprop"])
def test_a_learning_rule(device, rule):
    def make(mode):
        x = T.fmatrix("x")
        w = tinygraph.shared(np.linspace(-1, 1, 12).astype("float32").reshape(4, 3), "w")
        cost = T.nnet.softplus(T.dot(x, w)).mean()
        changes = getattr(rules, rule)(cost, [w], learning_rate=0.1)
        return tinygraph.function([x], [cost], updates=changes, mode=mode), [w]

    with config.change(floatX="float32"):
        train(make, 3, np.random.default_rng(1).random((5, 4)).astype("float32"))


def test_a_recurrent_network(device):
    def make(mode):
        rng = np.random.RandomState(0)
        w = tinygraph.shared(0.3 * rng.randn(4, 4), "w")
        u = tinygraph.shared(rng.randn(3, 4), "u")
        x, h0 = T.dtensor3("x"), T.dmatrix("h0")
        hs, _ = tinygraph.scan(lambda x_t, h: T.tanh(T.dot(x_t, u) + T.dot(h, w)), sequences=x, outputs_info=h0)
        cost = (hs[-1] ** 2).sum() + hs.mean()
        grads = T.grad(cost, [w, u])
        changes = [(p, p - 0.1 * g) for p, g in zip([w, u], grads, strict=True)]
        return tinygraph.function([x, h0], [cost, hs, *grads], updates=changes, mode=mode), [w, u]

    train(make, 4, np.random.default_rng(2).random((6, 2, 3)), np.zeros((2, 4)))


def test_mini_batches_of_data_on_the_device(device):
    def make(mode):
        data = tinygraph.shared(np.random.default_rng(3).random((12, 5)).astype("float32"))
        w = tinygraph.shared(np.ones(5, "float32"))
        i = T.lscalar("i")
        error = T.dot(data[i * 4 : (i + 1) * 4], w) - 1
        changes = [(w, w - 0.1 * T.grad((error**2).mean(), w))]
        step = tinygraph.function([i], [error], updates=changes, mode=mode)
        return (lambda: [step(i)[0] for _ in range(3) for i in range(3)]), [w]

    with config.change(floatX="float32"):
        train(make, 2)


def test_dropout_draws_the_same_masks(device):
    from tinygraph.tensor.shared_randomstreams import RandomStreams

    def make(mode):
        draws = RandomStreams(7)
        x = T.dmatrix("x")
        mask = draws.binomial(x.shape, p=0.5)
        return tinygraph.function([x], [x * mask, mask], mode=mode), []

    train(make, 3, np.random.default_rng(5).random((6, 50)))
