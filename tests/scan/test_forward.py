"""Loops against the same loops in plain Python, with and without passes."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import function, scan, shared, until

MODES = ["NONE", "FAST_RUN"]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class TestTheSeedsLoops:
    """Simple loops, vectors element by element, Fibonacci with taps, a recurrent network."""

    def test_a_running_total(self, mode):
        x = T.dvector("x")
        total, updates = scan(lambda e, so_far: so_far + e, sequences=x, outputs_info=[0.0])
        assert updates == {}
        given = numbers(7)
        np.testing.assert_allclose(function([x], total, mode=mode)(given), np.cumsum(given))

    def test_two_vectors_element_by_element(self, mode):
        a, b = T.dvectors("a", "b")
        products, _ = scan(lambda p, q: p * q, sequences=[a, b])
        x, y = numbers(5), numbers(5, seed=1)
        np.testing.assert_allclose(function([a, b], products, mode=mode)(x, y), x * y)

    def test_fibonacci_with_taps(self, mode):
        first = T.constant(np.array([1, 1], "int64"))
        f, _ = scan(lambda a, b: a + b, outputs_info=[dict(initial=first, taps=[-2, -1])], n_steps=8)
        assert function([], f, mode=mode)().tolist() == [2, 3, 5, 8, 13, 21, 34, 55]

    def test_a_recurrent_network(self, mode):
        x, h0 = T.dtensor3("x"), T.dmatrix("h0")
        w, u, b = shared(numbers(4, 4)), shared(numbers(4, 3)), shared(numbers(3))

        def step(x_t, h, w):
            h = T.tanh(T.dot(h, w) + x_t)
            return [h, T.nnet.softmax(T.dot(h, u) + b)]

        [hs, ys], _ = scan(step, sequences=[x], outputs_info=[h0, None], non_sequences=[w])
        xs, h = numbers(6, 2, 4), numbers(2, 4, seed=1)
        got_h, got_y = function([x, h0], [hs, ys], mode=mode)(xs, h)
        for t in range(6):
            h = np.tanh(h @ w.get_value() + xs[t])
            z = np.exp(h @ u.get_value() + b.get_value())
            np.testing.assert_allclose(got_h[t], h)
            np.testing.assert_allclose(got_y[t], z / z.sum(axis=1, keepdims=True))


class TestArguments:
    def test_the_order_is_sequences_then_outputs_then_non_sequences(self, mode):
        """The example of Theano's documentation, each argument told from the others by a power of ten."""
        s1, s2, s3 = T.dvectors("s1", "s2", "s3")
        o1, o3, arg1, arg2 = T.dvector("o1"), T.dscalar("o3"), T.dscalar("arg1"), T.dscalar("arg2")
        seen = []

        def fn(*args):
            seen.extend(args)
            return sum(a * 10**k for k, a in enumerate(args)), args[0], args[7]

        outputs, _ = scan(
            fn,
            sequences=[dict(input=s1, taps=[-3, 2, -1]), s2, dict(input=s3, taps=3)],
            outputs_info=[dict(initial=o1, taps=[-3, -5]), dict(initial=s2, taps=None), o3],
            non_sequences=[arg1, arg2],
        )
        assert len(seen) == 10 and seen[8] is arg1 and seen[9] is arg2
        a, b, c, init = numbers(9), numbers(9, seed=1), numbers(9, seed=2), numbers(5, seed=3)
        first, second, third = function([s1, s2, s3, o1, o3, arg1, arg2], outputs, mode=mode)(
            a, b, c, init, 0.5, 2.0, 3.0
        )
        history, last = list(init), 0.5
        for t in range(4):  # s1 is read from t to t + 5: nine elements give four steps
            args = [a[t], a[t + 5], a[t + 2], b[t], c[t + 3], history[-3], history[-5], last, 2.0, 3.0]
            history.append(sum(v * 10**k for k, v in enumerate(args)))
            assert first[t] == pytest.approx(history[-1]) and second[t] == a[t] and third[t] == last
        assert len(first) == 4

    def test_taps_of_the_past_and_the_future(self, mode):
        x = T.dvector("x")
        y, _ = scan(lambda before, after: after - before, sequences=dict(input=x, taps=[-1, 1]))
        given = numbers(6)
        np.testing.assert_allclose(function([x], y, mode=mode)(given), given[2:] - given[:-2])

    def test_the_shortest_sequence_counts(self, mode):
        """Theano's polynomial: a range longer than any polynomial."""
        coefficients, x = T.dvector("coefficients"), T.dscalar("x")
        terms, _ = scan(
            lambda c, power, x: c * x**power, sequences=[coefficients, T.arange(1000)], non_sequences=x
        )
        assert float(function([coefficients, x], terms.sum(), mode=mode)([1.0, 0.0, 2.0], 3.0)) == 19.0

    def test_n_steps_shortens_sequences(self, mode):
        x, n = T.dvector("x"), T.iscalar("n")
        y, _ = scan(lambda e: 2 * e, sequences=x, n_steps=n)
        f = function([x, n], y, mode=mode)
        assert f([1.0, 2.0, 3.0], 2).tolist() == [2.0, 4.0] and f([1.0, 2.0, 3.0], 3).tolist() == [
            2.0,
            4.0,
            6.0,
        ]

    def test_a_power_by_a_symbolic_number_of_steps(self, mode):
        k, a = T.iscalar("k"), T.dvector("a")
        powers, _ = scan(lambda prior, a: prior * a, outputs_info=T.ones_like(a), non_sequences=a, n_steps=k)
        f = function([a, k], powers[-1], mode=mode)
        np.testing.assert_allclose(f(np.arange(10.0), 3), np.arange(10.0) ** 3)
        np.testing.assert_allclose(f(np.arange(10.0), 5), np.arange(10.0) ** 5)

    @pytest.mark.parametrize(
        "how", [dict(go_backwards=True), dict(n_steps=-4), dict(go_backwards=True, n_steps=4)]
    )
    def test_backwards(self, how, mode):
        x = T.dvector("x")
        y, _ = scan(lambda e, s: s * 2 + e, sequences=x, outputs_info=[0.0], **how)
        given, want, s = numbers(4), [], 0.0
        for e in given[::-1]:
            s = s * 2 + e
            want.append(s)
        np.testing.assert_allclose(function([x], y, mode=mode)(given), want)

    def test_two_negations_run_forward(self, mode):
        x = T.dvector("x")
        y, _ = scan(lambda e: e, sequences=x, n_steps=-3, go_backwards=True)
        assert function([x], y, mode=mode)([1.0, 2.0, 3.0]).tolist() == [1.0, 2.0, 3.0]

    def test_one_output_is_a_variable_several_are_a_list(self):
        x = T.dvector("x")
        assert not isinstance(scan(lambda e: e + 1, x)[0], list)
        assert len(scan(lambda e: e + 1, x, return_list=True)[0]) == 1
        assert len(scan(lambda e: (e + 1, e + 2), x)[0]) == 2

    def test_return_steps(self, mode):
        x = T.dvector("x")
        last, _ = scan(lambda e, s: s + e, x, [dict(initial=0.0, return_steps=1)])
        three, _ = scan(lambda e, s: s + e, x, [dict(initial=0.0, return_steps=3)])
        a, b = function([x], [last, three], mode=mode)([1.0, 2.0, 3.0, 4.0])
        assert float(a) == 10.0 and b.tolist() == [3.0, 6.0, 10.0]

    def test_constants_and_shared_variables_need_not_be_listed(self, mode):
        x, w = T.dvector("x"), shared(3.0)
        outer = T.exp(w)
        y, _ = scan(lambda e: e * w + outer + np.float64(2.0), x)
        np.testing.assert_allclose(function([x], y, mode=mode)([1.0, 2.0]), [5 + np.exp(3), 8 + np.exp(3)])


class TestLengths:
    def test_every_call_may_have_another(self, mode):
        x = T.dmatrix("x")
        y, _ = scan(lambda row, s: s + row, x, [T.zeros_like(x[0])])
        f = function([x], y, mode=mode)
        for n in (3, 1, 5, 2):
            given = numbers(n, 2)
            np.testing.assert_allclose(f(given), np.cumsum(given, axis=0))

    def test_no_steps_give_no_rows(self, mode):
        x = T.dmatrix("x")
        (states, rows), _ = scan(
            lambda row, s: (s + row, T.outer(row, row)), x, [T.zeros((x.shape[1],)), None]
        )
        a, b = function([x], [states, rows], mode=mode)(np.zeros((0, 3)))
        assert a.shape == (0, 3) and b.shape == (0, 3, 3)

    def test_the_last_of_no_steps_is_an_error(self, mode):
        x = T.dvector("x")
        y, _ = scan(lambda e, s: s + e, x, [0.0], name="sum")
        f = function([x], y[-1], mode=mode)
        assert float(f([1.0, 2.0])) == 3.0
        with pytest.raises((tinygraph.errors.ShapeMismatch, IndexError)):
            f([])

    def test_a_long_loop(self):
        n = T.lscalar("n")
        s, _ = scan(lambda s: s + 1, outputs_info=[np.int64(0)], n_steps=n)
        assert int(function([n], s[-1])(20000)) == 20000


class TestUntil:
    def test_the_step_that_meets_the_condition_is_the_last(self, mode):
        limit = T.dscalar("limit")
        powers, _ = scan(
            lambda p, m: (p * 2, until(p * 2 > m)), outputs_info=[1.0], non_sequences=limit, n_steps=1024
        )
        f = function([limit], powers, mode=mode)
        assert f(45).tolist() == [2, 4, 8, 16, 32, 64]
        assert f(3).tolist() == [2, 4]
        assert len(f(1e300)) == 997

    def test_the_number_of_steps_bounds_it(self, mode):
        p, _ = scan(lambda p: (p * 2, until(p > 1e9)), outputs_info=[1.0], n_steps=3)
        assert function([], p, mode=mode)().tolist() == [2, 4, 8]

    def test_with_sequences_outputs_and_updates(self, mode):
        x, steps = T.dvector("x"), shared(np.int64(0))

        def step(e, s):
            return [s + e, e * e], {steps: steps + 1}, until(s + e > 5)

        (sums, squares), updates = scan(step, x, [0.0, None])
        f = function([x], [sums, squares], updates=updates, mode=mode)
        a, b = f([1.0, 2.0, 4.0, 8.0])
        assert a.tolist() == [1, 3, 7] and b.tolist() == [1, 4, 16] and int(steps.get_value()) == 3

    def test_what_follows_sees_the_steps_taken(self, mode):
        x = T.dvector("x")
        y, _ = scan(lambda e: (e * 2, until(e > 2)), x)
        total, last = function([x], [y.sum(), y[-1]], mode=mode)([1.0, 2.0, 3.0, 100.0])
        assert float(total) == 12.0 and float(last) == 6.0


class TestNested:
    def test_a_loop_in_a_loop(self, mode):
        a = T.dmatrix("a")

        def row_step(row, acc):
            inner, _ = scan(lambda e, s: s * e + acc.sum(), row, [1.0])
            return acc + inner[-1] * row

        out, _ = scan(row_step, a, [T.zeros_like(a[0])])
        given = numbers(3, 4)
        acc, want = np.zeros(4), []
        for row in given:
            s = 1.0
            for e in row:
                s = s * e + acc.sum()
            acc = acc + s * row
            want.append(acc)
        np.testing.assert_allclose(function([a], out, mode=mode)(given), want)

    def test_three_deep_with_closures(self, mode):
        x, w = T.dvector("x"), shared(2.0)
        cube, _ = scan(lambda a: scan(lambda b: scan(lambda c: a * b * c * w, x)[0].sum(), x)[0].sum(), x)
        given = numbers(3)
        np.testing.assert_allclose(function([x], cube, mode=mode)(given), given * given.sum() ** 2 * 2)

    def test_until_within_a_loop(self, mode):
        x = T.dvector("x")
        steps, _ = scan(
            lambda e: scan(lambda p: (p * 2, until(p * 2 > e)), outputs_info=[1.0], n_steps=100)[0].sum(), x
        )
        assert function([x], steps, mode=mode)([3.0, 20.0]).tolist() == [6.0, 62.0]


class TestShapes:
    def test_rows_of_other_rank_than_the_state(self, mode):
        x = T.dvector("x")
        (s, m), _ = scan(lambda e, v: (v * e, T.outer(v, v)), x, [T.ones((3,)), None])
        a, b = function([x], [s, m], mode=mode)([2.0, 3.0])
        assert a.tolist() == [[2.0] * 3, [6.0] * 3] and b[1].tolist() == [[4.0] * 3] * 3

    def test_a_state_swapped_with_another(self, mode):
        (a, b), _ = scan(lambda a, b: (b, a), outputs_info=[1.0, 2.0], n_steps=3)
        x, y = function([], [a, b], mode=mode)()
        assert x.tolist() == [2, 1, 2] and y.tolist() == [1, 2, 1]

    def test_an_output_that_is_a_sequence_or_an_invariant(self, mode):
        x, w = T.dvector("x"), T.dvector("w")
        (same, fixed, number), _ = scan(lambda e: (e, w, T.constant(2.5)), x)
        a, b, c = function([x, w], [same, fixed, number], mode=mode)([1.0, 2.0], [3.0, 4.0])
        assert a.tolist() == [1, 2] and b.tolist() == [[3, 4], [3, 4]] and c.tolist() == [2.5, 2.5]

    def test_integers_index_within_the_step(self, mode):
        table, at = T.dmatrix("table"), T.ivector("at")
        rows, _ = scan(lambda i: table[i] * 2, at)
        given = numbers(4, 3)
        np.testing.assert_allclose(
            function([table, at], rows, mode=mode)(given, [3, 0, -1]), given[[3, 0, -1]] * 2
        )

    def test_slices_that_grow_with_the_step(self, mode):
        x = T.dvector("x")
        sums, _ = scan(lambda i: x[: i + 1].sum(), T.arange(x.shape[0]))
        given = numbers(5)
        np.testing.assert_allclose(function([x], sums, mode=mode)(given), np.cumsum(given))

    def test_values_are_written_step_by_step(self, mode):
        """Theano's tutorial: set one element of a matrix at each step, use the last matrix."""
        where, values = T.imatrix("where"), T.dvector("values")
        out, _ = scan(
            lambda at, v, m: T.set_subtensor(m[at[0], at[1]], v), [where, values], [T.zeros((3, 3))]
        )
        got = function([where, values], out[-1], mode=mode)([[1, 1], [2, 0]], [42.0, 50.0])
        assert got.tolist() == [[0, 0, 0], [0, 42, 0], [50, 0, 0]]

    def test_non_contiguous_arguments(self, mode):
        x = T.dmatrix("x")
        y, _ = scan(lambda r, s: s + r, x, [T.zeros_like(x[0])])
        f = function([x], y, mode=mode)
        given = numbers(4, 6)
        np.testing.assert_allclose(f(given.T[::2]), np.cumsum(given.T[::2], axis=0))
        np.testing.assert_allclose(f(given[::-1]), np.cumsum(given[::-1], axis=0))
