"""Shared variables that change inside a loop: given, forgotten, and moved on by random streams."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import errors, function, grad, scan, shared
from tinygraph.random.streams import RandomStreams
from tinygraph.scan import OrderedUpdates


def counter(value=0):
    return shared(np.int64(value), name="counter")


class TestUpdates:
    @pytest.mark.parametrize(
        "form", [lambda k: {k: k + 1}, lambda k: [(k, k + 1)], lambda k: OrderedUpdates([(k, k + 1)])]
    )
    def test_a_step_may_return_updates_only(self, form):
        k = counter(5)
        values, updates = scan(lambda: form(k), n_steps=10)
        assert values is None and list(updates) == [k]
        f = function([], updates=updates)
        f()
        assert int(k.get_value()) == 15
        f()
        assert int(k.get_value()) == 25

    def test_outputs_see_the_value_of_their_step(self):
        k, x = counter(), T.dvector("x")
        y, updates = scan(lambda e: (e + T.cast(k, "float64"), {k: k + 2}), x)
        assert function([x], y, updates=updates)([10.0, 10.0, 10.0]).tolist() == [10, 12, 14]
        assert int(k.get_value()) == 6

    def test_forgotten_updates_take_effect(self):
        k, x = counter(), T.dvector("x")
        y, _ = scan(lambda e: (e, {k: k + 1}), x)
        function([x], y.sum())([1.0, 2.0])
        assert int(k.get_value()) == 2

    def test_unless_that_is_asked_for(self):
        k, x = counter(), T.dvector("x")
        y, _ = scan(lambda e: (e, {k: k + 1}), x)
        function([x], y, no_default_updates=True)([1.0, 2.0])
        function([x], y, no_default_updates=[k])([1.0, 2.0])
        assert int(k.get_value()) == 0

    def test_reading_the_variable_elsewhere_does_not_run_the_loop(self):
        k = counter(7)
        scan(lambda: {k: k + 1}, n_steps=3)
        assert int(function([], k * 2)()) == 14 and int(k.get_value()) == 7

    def test_no_steps_leave_it_as_it_was(self):
        k, x = counter(3), T.dvector("x")
        _, updates = scan(lambda e: {k: k + 1}, x)
        function([x], updates=updates, on_unused_input="ignore")([])
        assert int(k.get_value()) == 3

    def test_two_loops_that_update_one_variable(self):
        k, x = counter(), T.dvector("x")
        a, one = scan(lambda e: (e, {k: k + 1}), x)
        b, two = scan(lambda e: (e, {k: k + 1}), x)
        with pytest.raises(errors.InvalidUpdate, match="two loops update the shared variable counter"):
            function([x], [a, b])
        with pytest.raises(errors.InvalidUpdate, match="two updates for the shared variable counter"):
            one + two

    def test_updates_of_a_loop_within_a_loop(self):
        k, x = counter(), T.dmatrix("x")

        def row_step(row):
            y, updates = scan(lambda e: (e, {k: k + 1}), row)
            return y.sum(), updates

        y, updates = scan(row_step, x)
        function([x], y, updates=updates)(np.ones((2, 3)))
        assert int(k.get_value()) == 6

    def test_and_forgotten_there(self):
        k, x = counter(), T.dmatrix("x")
        y, _ = scan(lambda row: scan(lambda e: (e, {k: k + 1}), row)[0].sum(), x)
        function([x], y)(np.ones((2, 3)))
        assert int(k.get_value()) == 6

    def test_a_gradient_alone_moves_it_once(self):
        k, x = counter(), T.dvector("x")
        y, updates = scan(lambda e, s: (T.sin(s) * e, {k: k + 1}), x, [1.0])
        function([x], [y, grad(y.sum(), x)], updates=updates)([1.0, 2.0, 3.0])
        assert int(k.get_value()) == 3

    def test_the_wrong_type(self):
        k, x = counter(), T.dvector("x")
        with pytest.raises(
            errors.InvalidUpdate, match="scan 'count': the step updates the shared variable counter"
        ):
            scan(lambda e: (e, {k: k + 0.5}), x, name="count")

    def test_what_is_not_shared(self):
        x = T.dvector("x")
        with pytest.raises(errors.InvalidUpdate, match="only shared variables can be updated by a step"):
            scan(lambda e: (e, {e: e + 1}), x)


class TestRandomNumbers:
    def test_every_step_draws_anew(self):
        streams = RandomStreams(seed=3)
        draws, updates = scan(lambda: streams.uniform((2,)), n_steps=5)
        f = function([], draws, updates=updates)
        a, b = f(), f()
        assert len(np.unique(np.concatenate([a, b]))) == 20

    def test_it_is_the_stream_that_calls_without_a_loop_draw(self):
        one, other = RandomStreams(seed=3), RandomStreams(seed=3)
        draws, updates = scan(lambda: one.uniform((2,)), n_steps=4)
        single = function([], other.uniform((2,)))
        np.testing.assert_array_equal(function([], draws, updates=updates)(), [single() for _ in range(4)])

    def test_forgetting_the_updates_repeats_nothing(self):
        streams = RandomStreams(seed=3)
        draws, _ = scan(lambda: streams.normal(()), n_steps=3)
        f = function([], draws)
        assert len(np.unique([*f(), *f()])) == 6

    def test_a_mask_made_outside_is_the_same_at_every_step(self):
        streams, x = RandomStreams(seed=3), T.dmatrix("x")
        mask = streams.uniform((4,))
        y, _ = scan(lambda row: row * mask, x)
        got = function([x], y)(np.ones((3, 4)))
        assert (got == got[0]).all()

    def test_gradients_see_the_numbers_that_were_drawn(self):
        streams, x = RandomStreams(seed=3), T.dvector("x")
        w = T.dscalar("w")

        def step(e, s, w):
            noise = streams.normal(())
            return s * w + e * noise, noise

        (s, noise), updates = scan(step, x, [0.0, None], [w])
        f = function([x, w], [grad(s[-1], x), noise], updates=updates)
        for _ in range(2):
            g, drawn = f(np.ones(4), 0.5)
            np.testing.assert_allclose(g, drawn * 0.5 ** np.arange(3, -1, -1))

    def test_dropout_in_a_recurrent_network_trains(self):
        streams, x = RandomStreams(seed=3), T.dmatrix("x")
        w = shared(np.eye(3) * 0.5)

        def step(row, h):
            return T.tanh(T.dot(h * streams.binomial((3,), p=0.5), w) + row)

        h, updates = scan(step, x, [T.zeros((3,))])
        f = function([x], [h, grad(h.sum(), w)], updates=updates)
        (a, ga), (b, gb) = f(np.ones((5, 3))), f(np.ones((5, 3)))
        assert not np.array_equal(a, b) and not np.array_equal(ga, gb)


def test_ordered_updates_refuse_what_is_not_shared():
    with pytest.raises(errors.InvalidUpdate, match="only shared variables can be updated"):
        OrderedUpdates([(T.dscalar(), 1)])
    assert isinstance(tinygraph.scan(lambda: T.constant(1.0), n_steps=2)[1], OrderedUpdates)
