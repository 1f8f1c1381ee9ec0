"""function: forms of inputs and outputs, givens, default updates, keywords."""

from collections import OrderedDict

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import In, Out
from tinygraph import tensor as T
from tinygraph.random import RandomStreams


def test_outputs_come_back_as_they_were_given():
    x = T.dscalar("x")
    assert tg.function([x], x + 1)(1.0) == 2
    assert tg.function([x], [x + 1, x + 2])(1.0) == [2, 3]
    assert tg.function([x], [x + 1])(1.0) == [2]
    assert tg.function([x], {"a": x, "b": x + 1})(1.0) == {"a": 1, "b": 2}
    assert tg.function([], [])() == []
    assert tg.function([], None)() == []
    assert tg.function([x], Out(x + 1))(1.0) == 2


def test_numbers_and_arrays_can_be_outputs():
    assert tg.function([], 3.5)() == 3.5
    assert tg.function([], np.arange(3))().tolist() == [0, 1, 2]


def test_scalar_results_are_arrays_without_dimensions():
    x = T.fscalar("x")
    found = tg.function([x], x)(np.float32(2))
    assert isinstance(found, np.ndarray) and found.shape == () and found.dtype == "float32"


def test_one_output_listed_twice_gives_two_arrays():
    x = T.dvector("x")
    y = x + 1
    a, b = tg.function([x], [y, y])([1.0])
    a[0] = 7
    assert b[0] == 2


def test_arguments_by_keyword():
    x, y = T.dscalars("x", "y")
    f = tg.function([x, In(y, name="other")], x - y)
    assert f(5, 3) == f(5, other=3) == f(x=5, other=3) == f(other=3, x=5) == 2


def test_givens_replace_a_variable():
    x, y = T.dscalars("x", "y")
    z = x + y
    assert tg.function([x], z, givens={y: x * 10})(1.0) == 11
    assert tg.function([x], z, givens=[(y, np.float64(4))])(1.0) == 5
    assert z.eval({x: 1.0, y: 2.0}) == 3  # the expression itself is as it was


def test_givens_are_not_applied_to_each_other():
    x, y = T.dscalars("x", "y")
    assert tg.function([x, y], x - y, givens={}, on_unused_input="ignore")(1.0, 2.0) == -1
    a, b = T.dscalars("a", "b")
    f = tg.function([a, b], x - y, givens={x: a + b, y: b})
    assert f(3.0, 1.0) == 3
    swap = tg.function([a, b], x + 2 * y, givens=OrderedDict([(x, b), (y, a)]))
    assert swap(1.0, 10.0) == 12


def test_givens_replace_an_inner_expression_and_a_shared_variable():
    x = T.dscalar("x")
    y = x * 2
    s = tg.shared(3.0)
    assert tg.function([x], y + x, givens={y: x * 5}, on_unused_input="ignore")(1.0) == 6
    assert tg.function([x], s + 1, givens={s: x})(1.0) == 2


def test_givens_take_a_minibatch_of_shared_data():
    data = tg.shared(np.arange(20.0).reshape(10, 2))
    i, x = T.lscalar("i"), T.dmatrix("x")
    f = tg.function([i], x.sum(axis=0), givens={x: data[i * 4 : (i + 1) * 4]})
    assert f(0).tolist() == data.get_value()[:4].sum(axis=0).tolist()
    assert f(2).tolist() == data.get_value()[8:].sum(axis=0).tolist()  # the last one is smaller


def test_givens_reach_updates():
    x, s = T.dscalar("x"), tg.shared(1.0)
    f = tg.function([], [], updates=[(s, s + x)], givens={x: np.float64(5)})
    f()
    assert s.get_value() == 6


def test_a_random_draw_that_givens_replace_is_not_drawn():
    u = RandomStreams(1).uniform((3,))
    before = u.rng.get_value()
    f = tg.function([], u + 1, givens={u: np.zeros(3)})
    assert f().tolist() == [1, 1, 1]
    assert u.rng.get_value().tolist() == before.tolist()


def test_default_updates_follow_each_other():
    a, b = tg.shared(0.0), tg.shared(0.0)
    a.default_update = a + b
    b.default_update = b + 1
    f = tg.function([], a)
    assert [float(f()) for _ in range(4)] == [0, 0, 1, 3]
    assert b.get_value() == 4  # needed by the update of a only


def test_no_default_updates():
    a, b = tg.shared(0.0), tg.shared(0.0)
    a.default_update, b.default_update = a + 1, b + 1
    tg.function([], a + b, no_default_updates=True)()
    assert (a.get_value(), b.get_value()) == (0, 0)
    tg.function([], a + b, no_default_updates=[a])()
    assert (a.get_value(), b.get_value()) == (0, 1)
    tg.function([], a + b, no_default_updates=a)()
    assert (a.get_value(), b.get_value()) == (0, 2)


def test_given_updates_go_before_default_ones():
    a = tg.shared(0.0)
    a.default_update = a + 1
    f = tg.function([], a, updates={a: a + 10})
    assert (float(f()), float(f())) == (0, 10)


def test_unused_inputs_may_be_allowed():
    x, y = T.dscalars("x", "y")
    with pytest.warns(UserWarning, match=r"input 1 \(y\) takes no part"):
        f = tg.function([x, y], x, on_unused_input="warn")
    assert f(1.0, 2.0) == 1
    tg.config.on_unused_input = "ignore"
    assert tg.function([x, y], x)(1.0, 2.0) == 1


def test_downcast():
    x = T.fvector("x")
    doubles = np.array([0.1, 0.2])
    with pytest.raises(TypeError):
        tg.function([x], x)(doubles)
    found = tg.function([x], x, allow_input_downcast=True)(doubles)
    assert found.dtype == "float32" and np.allclose(found, doubles)
    assert tg.function([In(x, allow_downcast=True)], x)(doubles).dtype == "float32"


def test_python_floats_become_floatx():
    tg.config.floatX = "float32"
    x = T.fscalar("x")
    assert tg.function([x], x)(0.1) == np.float32(0.1)
    with pytest.raises(TypeError):
        tg.function([x], x, allow_input_downcast=False)(0.1)
    with pytest.raises(TypeError):
        tg.function([x], x)(np.float64(0.1))


@pytest.mark.parametrize("value", [3, True, np.int8(3), 2.0, np.float32(2), np.arange(1)[0]], ids=repr)
def test_numbers_are_taken_where_nothing_is_lost(value):
    x = T.dscalar("x")
    assert tg.function([x], x)(value) == value


def test_lists_are_taken_as_arrays():
    m = T.dmatrix("m")
    assert tg.function([m], m.sum())([[1, 2], [3, 4.5]]) == 10.5


def test_trusted_input_is_not_checked():
    x = T.dvector("x")
    f = tg.function([x], x * 2)
    f.trust_input = True
    assert f(np.array([1.0, 2.0])).tolist() == [2, 4]


@pytest.mark.parametrize("layout", ["F", "strided", "negative", "broadcast", "read-only"])
def test_arrays_of_any_layout(layout):
    base = np.arange(24.0).reshape(4, 6)
    given = {
        "F": np.asfortranarray(base),
        "strided": base[::2, 1::3],
        "negative": base[::-1, ::-1],
        "broadcast": np.broadcast_to(base[0], (3, 6)),
        "read-only": base.copy(),
    }[layout]
    given.flags.writeable = layout not in ("broadcast", "read-only")
    x = T.dmatrix("x")
    f = tg.function([x], [x * 2, x.sum(axis=0), T.dot(x, x.T)])
    twice, total, product = f(given)
    assert np.array_equal(twice, given * 2)
    assert np.allclose(total, given.sum(axis=0)) and np.allclose(product, given @ given.T)


def test_new_shapes_on_every_call():
    x = T.dmatrix("x")
    f = tg.function([x], (x * 2).sum(axis=0))
    for n in (3, 1, 0, 7, 3):
        assert np.array_equal(f(np.ones((n, 2))), np.full(2, 2.0 * n))


def test_names_and_text():
    x = T.dscalar("x")
    f = tg.function([x], x, name="identity", mode=tg.Mode(target="numpy"))
    assert f.name == "identity" and "identity" in repr(f) and "x: TensorType(float64, ())" in repr(f)
    f(1.0)
    assert isinstance(f.source(), str)
    g = tg.function([x], x, mode=tg.Mode(target="numpy"))
    g(1.0)
    assert "def run(" in g.source()


def test_free_gives_memory_back_and_the_function_still_works():
    x = T.dmatrix("x")
    f = tg.function([x], T.exp(x).T.dot(T.exp(x)))
    a = f(np.ones((3, 3)))
    f.free()
    assert np.array_equal(f(np.ones((3, 3))), a)


def test_eval_keeps_its_function():
    x, y = T.dscalars("x", "y")
    z = x + y
    assert z.eval({x: 1, "y": 2}) == 3
    assert z.eval({x: 5, "y": 2}) == 7
    assert len(z.__dict__["_eval_cache"]) == 1


def test_a_constant_expression_needs_no_inputs():
    assert T.constant(2.0).eval() == 2
    assert tg.shared(3.0).eval() == 3
