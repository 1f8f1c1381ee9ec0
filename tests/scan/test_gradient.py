"""Every derivative of loops against finite differences: reverse, forward, second order, truncated, through ``until``."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import function, grad, scan, scan_checkpoints, shared, until, verify_grad


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 0.7


def rng():
    return np.random.RandomState(3)


# Each makes an expression of its arguments; beside it where it is differentiated.


def running_product(x):
    return scan(lambda e, s: s * e + s, x, [T.constant(1.0, dtype="float64")])[0]


def rnn(x, h0, w, u, b):
    def step(x_t, h):
        h = T.tanh(T.dot(h, w) + x_t)
        return h, T.dot(h, u) + b

    h, y = scan(step, x, [h0, None])[0]
    return T.sqr(y).sum() + h[-1].sum()


def rnn_of_vectors(x, h0, w, u):
    def step(x_t, h):
        h = T.tanh(T.dot(h, w) + T.dot(x_t, u))
        return h

    return scan(step, x, [h0])[0]


def with_taps(u, init, w):
    def step(before, after, far, near, w):
        return far * w + T.tanh(near) * after + before

    return scan(step, dict(input=u, taps=[-1, 1]), [dict(initial=init, taps=[-3, -1])], [w])[0]


def several_outputs(x, a, b):
    def step(e, s, t):
        return T.sin(s) * e + t, s + e * t, T.exp(-s * s), e * 2

    (s, t, r, q) = scan(step, x, [a, b, None, None])[0]
    return s.sum() + 2 * t.sum() + 3 * r.sum() + q.sum()


def backwards(x, s0):
    return scan(lambda e, s: T.tanh(s + e) * s, x, [s0], go_backwards=True)[0]


def gates(x, h0, c0, w):
    def step(x_t, h, c):
        a = T.dot(T.concatenate([x_t, h], axis=1), w)
        i, f, o, g = (a[:, k * 2 : k * 2 + 2] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        h = T.nnet.sigmoid(o) * T.tanh(c)
        return h, c

    return scan(step, x, [h0, c0])[0][0]


def in_a_loop(a, w):
    def row_step(row, acc):
        inner, _ = scan(lambda e, s: T.tanh(s * e + acc.sum()) * w, row, [T.constant(1.0, dtype="float64")])
        return acc + inner[-1] * row

    return scan(row_step, a, [T.zeros_like(a[0])])[0]


def gathered(table, w):
    at = T.constant(np.array([1, 0, 1, 2]))
    return scan(lambda i, s: T.tanh(s + table[i]) * w, at, [T.zeros_like(table[0])])[0]


def attention(x, context, h0, u, w, v):
    """Shapes of what the step computes decide the sizes of its reshapes, forwards and backwards."""

    def step(x_t, h):
        h = T.tanh(T.dot(h, u) + x_t)
        score = T.dot(T.tanh(context + T.dot(h, w)[None, :, :]), v)
        score = T.exp(score.reshape([score.shape[0], score.shape[1]]))
        weights = score / score.sum(0, keepdims=True)
        seen = (context * weights[:, :, None]).sum(0)
        return T.tanh(h + T.dot(seen, w.T)), seen, weights.T

    h, seen, weights = scan(step, x, [h0, None, None])[0]
    return h.sum() + T.sqr(seen).sum() + T.sqr(weights).sum()


def growing_slices(x):
    return scan(lambda i: T.sqr(x[: i + 1]).sum() * x[i], T.arange(x.shape[0]))[0]


def checkpointed(x, w):
    return scan_checkpoints(
        lambda e, h, w: T.tanh(T.dot(h, w) + e), x, [T.zeros((2, 3))], [w], save_every_N=3
    )[0]


CASES = [
    (running_product, [numbers(5)]),
    (rnn, [numbers(4, 2, 3), numbers(2, 3), numbers(3, 3), numbers(3, 2), numbers(2)]),
    (rnn_of_vectors, [numbers(4, 2), numbers(3), numbers(3, 3), numbers(2, 3)]),
    (with_taps, [numbers(7), numbers(3), numbers()]),
    (with_taps, [numbers(3), numbers(3), numbers()]),  # fewer steps than taps reach back
    (several_outputs, [numbers(4), numbers(), numbers(seed=1)]),
    (backwards, [numbers(4, 2), numbers(2)]),
    (gates, [numbers(3, 2, 3), numbers(2, 2), numbers(2, 2, seed=1), numbers(5, 8)]),
    (in_a_loop, [numbers(3, 2), numbers()]),
    (gathered, [numbers(3, 2), numbers()]),
    (attention, [numbers(3, 2, 2), numbers(4, 2, 3), numbers(2, 2), numbers(2, 2), numbers(2, 3), numbers(3, 1)]),
    (growing_slices, [numbers(4)]),
    (checkpointed, [numbers(8, 2, 3), numbers(3, 3)]),
]
IDS = [f"{fn.__name__}{k}" for k, (fn, _) in enumerate(CASES)]


@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
@pytest.mark.parametrize("fn, points", CASES, ids=IDS)
def test_reverse_mode(fn, points, mode):
    verify_grad(fn, points, rng=rng(), mode=mode)


SECOND = [case for case in CASES if case[0] not in (checkpointed, growing_slices)]


@pytest.mark.parametrize("fn, points", SECOND, ids=[f"{fn.__name__}{k}" for k, (fn, _) in enumerate(SECOND)])
def test_gradient_of_gradient(fn, points):
    def first(*args):
        out = fn(*args)
        return grad(out if out.ndim == 0 else T.sqr(out).sum(), list(args))[0]

    verify_grad(first, points, rng=rng())


@pytest.mark.parametrize("fn, points", CASES, ids=IDS)
def test_forward_mode_agrees_with_reverse_mode(fn, points):
    """u . (J v) = (u J) . v"""
    args = [T.TensorType("float64", (None,) * p.ndim)() for p in points]
    out = fn(*args)
    directions = [np.asarray(numbers(*p.shape, seed=k + 7)) for k, p in enumerate(points)]
    tangent = tinygraph.Rop(out, args, [T.constant(d) for d in directions])
    f = function(args, [out, tangent])
    value, moved = f(*points)
    u = np.asarray(numbers(*value.shape, seed=5))
    pulled = function(args, tinygraph.Lop(out, args, T.constant(u)), on_unused_input="ignore")(*points)
    reverse = sum((g * d).sum() for g, d in zip(pulled, directions, strict=True))
    assert (u * moved).sum() == pytest.approx(reverse, rel=1e-8)


class TestUntil:
    @staticmethod
    def loop(x, s0):
        def step(e, s):
            s = s * e + 1
            return s, until(s > 3)

        return scan(step, x, [s0])[0]

    def test_reverse_mode_runs_over_the_steps_taken(self):
        x, s0 = np.array([1.3, 1.1, 1.7, 0.9, 0.8]), np.array(0.5)
        v = T.dvector()
        assert len(function([v], self.loop(v, T.constant(0.5, dtype="float64")))(x)) == 3
        verify_grad(self.loop, [x, s0], rng=rng())

    def test_the_last_value(self):
        verify_grad(
            lambda x, s0: self.loop(x, s0)[-1], [np.array([1.3, 1.1, 1.7, 0.9]), np.array(0.5)], rng=rng()
        )

    def test_second_order(self):
        def first(x, s0):
            return grad(T.sqr(self.loop(x, s0)).sum(), x)

        verify_grad(first, [np.array([1.3, 1.1, 1.7, 0.9]), np.array(0.5)], rng=rng())

    def test_what_is_not_read_gets_zeros(self):
        x = T.dvector("x")
        y = self.loop(x, T.constant(0.5, dtype="float64"))
        g = function([x], grad(y.sum(), x))(np.array([1.3, 1.1, 1.7, 0.9, 0.8]))
        assert g.shape == (5,) and (g[3:] == 0).all() and (g[:3] != 0).all()


class TestTruncation:
    def test_gradients_go_back_so_many_steps(self):
        x, w = T.dvector("x"), T.dscalar("w")
        s, _ = scan(lambda e, s, w: s * w + e, x, [0.0], [w], truncate_gradient=3)
        gx, gw = function([x, w], grad(s[-1], [x, w]))(np.ones(6), 2.0)
        # d s[5] / d x[t] = w ** (5 - t) for the last three, and s before them counts as constant
        np.testing.assert_allclose(gx, [0, 0, 0, 4, 2, 1])
        values = [0.0]
        for _ in range(6):
            values.append(values[-1] * 2 + 1)
        np.testing.assert_allclose(gw, values[5] + 2 * values[4] + 4 * values[3])

    def test_more_steps_than_there_are_is_all(self):
        x, h = T.dvector("x"), T.dscalar("h")
        whole, _ = scan(lambda e, s: T.tanh(s * e), x, [h])
        cut, _ = scan(lambda e, s: T.tanh(s * e), x, [h], truncate_gradient=10)
        f = function([x, h], [*grad(whole.sum(), [x, h]), *grad(cut.sum(), [x, h])])
        a, b, c, d = f(numbers(5), 0.7)
        np.testing.assert_allclose(a, c)
        np.testing.assert_allclose(b, d)

    def test_the_initial_value_lies_beyond(self):
        x, h = T.dvector("x"), T.dscalar("h")
        s, _ = scan(lambda e, s: s * e, x, [h], truncate_gradient=2)
        assert float(function([x, h], grad(s[-1], h))(np.full(5, 2.0), 1.0)) == 0.0

    def test_with_until(self):
        x = T.dvector("x")
        s, _ = scan(lambda e, s: (s * 2 + e, until(s * 2 + e > 10)), x, [0.0], truncate_gradient=2)
        g = function([x], grad(s[-1], x))(np.ones(9))
        np.testing.assert_allclose(g, [0, 0, 2, 1, 0, 0, 0, 0, 0])


class TestConnections:
    def test_an_output_that_does_not_depend_on_a_sequence(self):
        x, y = T.dvectors("x", "y")
        (a, b), _ = scan(lambda e, f, s: (s + e, f * 2), [x, y], [0.0, None])
        with pytest.raises(tinygraph.errors.GradientError, match="does not depend on y"):
            grad(a.sum(), y)
        assert function([x, y], grad(b.sum(), y), on_unused_input="ignore")(
            numbers(3), numbers(3)
        ).tolist() == [2, 2, 2]

    def test_through_one_state_into_another(self):
        x = T.dvector("x")
        (a, b), _ = scan(lambda e, s, t: (s + e, t + s), x, [0.0, 0.0])
        np.testing.assert_allclose(function([x], grad(b[-1], x))(np.zeros(4)), [3, 2, 1, 0])

    def test_integer_states_have_no_gradient(self):
        x = T.dvector("x")
        (s, n), _ = scan(lambda e, s, n: (s + e * T.cast(n, "float64"), n + 1), x, [0.0, np.int64(0)])
        np.testing.assert_allclose(function([x], grad(s[-1], x))(np.ones(4)), [0, 1, 2, 3])

    def test_of_no_steps(self):
        x, w = T.dvector("x"), T.dscalar("w")
        s, _ = scan(lambda e, s: s * w + e, x, [0.0])
        gx, gw = function([x, w], grad(s.sum(), [x, w]))(np.zeros(0), 2.0)
        assert gx.shape == (0,) and float(gw) == 0.0

    def test_a_longer_sequence_than_is_read(self):
        x = T.dvector("x")
        s, _ = scan(lambda e, s: s + e * e, x, [0.0], n_steps=2)
        np.testing.assert_allclose(function([x], grad(s[-1], x))([1.0, 2.0, 3.0]), [2, 4, 0])


def test_recomputing_gives_the_same():
    x, w = T.dmatrix("x"), T.dmatrix("w")

    def cost(**how):
        h, _ = scan(lambda r, h: T.tanh(T.dot(h, w) + r), x, [T.zeros_like(x[0])], **how)
        return T.sqr(h).sum()

    a, b = function([x, w], [grad(cost(), w), grad(cost(recompute=True), w)])(numbers(5, 3), numbers(3, 3))
    np.testing.assert_allclose(a, b)


def test_float32_stays_float32():
    x, w = T.fmatrix("x"), shared(numbers(3, 3).astype("float32"))
    h, _ = scan(lambda r, h: T.tanh(T.dot(h, w) + r), x, [T.zeros_like(x[0])])
    g = function([x], grad(h.sum(), w))(numbers(4, 3).astype("float32"))
    assert g.dtype == np.float32
