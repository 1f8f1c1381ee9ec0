"""Who owns which memory: arguments, results, shared variables."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import In, Out
from tinygraph import tensor as T


def overwrite(x):
    x[...] = -77


@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
def test_results_are_never_an_argument(mode):
    x = T.dmatrix("x")
    f = tg.function([x], [x, x.T, x[0], x.reshape((4,)), x * 1, tg.gradient.zero_grad(x)], mode=mode)
    given = np.arange(4.0).reshape(2, 2)
    for out in f(given):
        overwrite(out)
    assert given.tolist() == [[0, 1], [2, 3]]


def test_results_are_never_a_shared_variables_memory():
    w = tg.shared(np.arange(4.0).reshape(2, 2))
    f = tg.function([], [w, w.T, w[0], w.reshape((4,))])
    for out in f():
        overwrite(out)
    assert w.get_value().tolist() == [[0, 1], [2, 3]]


def test_results_of_one_call_are_apart_from_those_of_the_next():
    x = T.dvector("x")
    f = tg.function([x], [x + 1, T.exp(x)[:1], (x + 1)[::-1]])
    first = f([1.0, 2.0])
    kept = [v.copy() for v in first]
    for v in f([5.0, 6.0]):
        overwrite(v)
    assert all(np.array_equal(a, b) for a, b in zip(first, kept))


def test_results_of_one_call_are_apart_from_each_other():
    x = T.dmatrix("x")
    y = T.exp(x)
    a, b, c = tg.function([x], [y, y.T, y[0]])(np.zeros((2, 2)))
    overwrite(a)
    assert np.all(b == 1) and np.all(c == 1)


def test_constants_are_not_handed_out():
    f = tg.function([], T.constant(np.arange(3.0)))
    overwrite(f())
    assert f().tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
def test_arguments_are_not_written(mode):
    x, i = T.dmatrix("x"), T.lvector("i")
    f = tg.function(
        [x, i],
        [T.set_subtensor(x[0], 5.0), T.inc_subtensor(x[i], 1.0), T.inc_subtensor(x.T[0], 2.0), T.sort(x, axis=0)],
        mode=mode,
    )
    given, index = np.arange(4.0).reshape(2, 2), np.array([0, 0])
    f(given, index)
    assert given.tolist() == [[0, 1], [2, 3]] and index.tolist() == [0, 0]


def test_a_read_only_argument_is_enough():
    x = T.dvector("x")
    given = np.arange(3.0)
    given.flags.writeable = False
    assert tg.function([x], T.inc_subtensor(x[0], 1.0))(given).tolist() == [1, 1, 2]


def test_borrowed_results_have_the_right_value_when_they_come():
    x = T.dmatrix("x")
    f = tg.function([x], [Out(T.exp(x), borrow=True), Out(T.exp(x).T, borrow=True), Out(x, borrow=True)])
    for n in (1.0, 2.0):
        given = np.full((2, 3), n)
        a, b, c = f(given)
        assert np.allclose(a, np.exp(n), rtol=1e-15) and b.shape == (3, 2) and np.all(b == a.T) and np.all(c == n)


def test_a_mutable_argument_still_gives_right_results():
    x = T.dvector("x")
    f = tg.function([In(x, mutable=True)], T.inc_subtensor(x[0], 1.0))
    assert f(np.zeros(2)).tolist() == [1, 0]


def test_shared_values_are_copied_in_and_out():
    start = np.zeros(2)
    w = tg.shared(start)
    overwrite(start)
    overwrite(w.get_value())
    new = np.ones(2)
    assert w.get_value().tolist() == [0, 0]
    w.set_value(new)
    overwrite(new)
    assert w.get_value().tolist() == [1, 1]


def test_borrowed_shared_values_are_not():
    start = np.zeros(2)
    w = tg.shared(start, borrow=True)
    start[0] = 5
    assert w.get_value().tolist() == [5, 0]
    w.get_value(borrow=True)[1] = 6
    assert start.tolist() == [5, 6]
    new = np.ones(2)
    w.set_value(new, borrow=True)
    assert w.get_value(borrow=True) is new


def test_updates_never_write_into_a_borrowed_array():
    start = np.zeros(2)
    w = tg.shared(start, borrow=True)
    f = tg.function([], [], updates=[(w, w + 1)])
    for _ in range(4):
        f()
    assert start.tolist() == [0, 0] and w.get_value().tolist() == [4, 4]


def test_zero_sets_zeros():
    w = tg.shared(np.ones(3))
    kept = w.get_value(borrow=True)
    w.zero()
    assert w.get_value().tolist() == [0, 0, 0] and kept.tolist() == [1, 1, 1]
