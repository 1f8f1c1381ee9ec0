"""From graph to program: what is a view, what is written in place, and what sizes a program is made for."""

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.program.instructions import Group, Host, Nest

x, y = T.dmatrix("x"), T.dvector("y")
NUMPY = tg.Mode(target="numpy")


def program(f):
    return f._last().program


def nests(f):
    found = []
    for step in program(f).instructions:
        found += step.nests if isinstance(step, Group) else [step]
    return found


def test_views_run_nothing():
    f = tg.function([x], T.exp(x.T[::-1].dimshuffle(1, "x", 0)), mode=NUMPY)
    a = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(f(a), np.exp(a.T[::-1].transpose(1, 0)[:, None]))
    assert len(nests(f)) == 1


def test_a_returned_view_of_an_argument_is_a_copy():
    f = tg.function([x], x.T, mode=NUMPY)
    a = np.ones((2, 3))
    assert not np.shares_memory(f(a), a)
    assert len(nests(f)) == 1


def test_sizes_of_one_decide_broadcasting_at_the_call():
    f = tg.function([x, y], T.grad(T.sum(x + y), x), mode=NUMPY)
    assert f(np.ones((3, 4)), np.ones(4)).shape == (3, 4)
    np.testing.assert_array_equal(f(np.ones((3, 1)), np.ones(4)), np.full((3, 1), 4.0))


def test_each_set_of_sizes_gets_buffers_of_its_own_sizes():
    f = tg.function([x], T.nnet.softmax(x) * 2, mode=NUMPY)
    for shape in ((2, 3), (4, 5), (0, 3)):
        assert f(np.ones(shape)).shape == shape
        assert program(f).outputs[0].shape == shape


def test_sizes_that_only_the_data_decide_are_left_to_the_run():
    v = T.dvector("v")
    f = tg.function([v], T.sqr(v[v > 0]).sum(), mode=NUMPY)
    assert f(np.array([-1.0, 2.0, 3.0])) == 13
    assert f(np.array([-1.0, -2.0])) == 0
    assert any(isinstance(step, Host) for step in program(f).instructions)


def test_the_last_use_of_a_temporary_is_written_over():
    e = T.exp(x)
    once = tg.function([x], T.inc_subtensor(e[0], 1.0) * 2, mode=NUMPY)
    again = tg.function([x], T.inc_subtensor(e[0], 1.0) * e, mode=NUMPY)
    a = np.zeros((3, 2))
    np.testing.assert_array_equal(once(a), [[4, 4], [2, 2], [2, 2]])
    np.testing.assert_array_equal(again(a), [[2, 2], [1, 1], [1, 1]])
    assert once.memory()["peak"] < again.memory()["peak"]


def test_memory_is_reused_along_a_chain():
    h = x
    for _ in range(8):
        h = T.dot(h, T.tanh(h))
    f = tg.function([x], h, mode=NUMPY)
    f(np.eye(32))
    assert f.memory()["peak"] <= 4 * 32 * 32 * 8


@pytest.mark.parametrize("index", [0, 1])
def test_arguments_are_never_written(index):
    a = np.ones((2, 2))
    f = tg.function([x], [T.inc_subtensor(x[0], 5.0), T.set_subtensor(x.T[1], 7.0)][index], mode=NUMPY)
    f(a)
    np.testing.assert_array_equal(a, np.ones((2, 2)))


def test_every_nest_knows_the_line_that_asked_for_it():
    f = tg.function([x], T.tanh(x).sum(), mode=NUMPY)
    f(np.ones((2, 2)))
    assert all(isinstance(n, Nest) and "test_lowering.py" in str(n.origin) for n in nests(f) if n.label)
