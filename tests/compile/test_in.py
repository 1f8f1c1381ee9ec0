"""In: default values, values that a function keeps and updates, names."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import In
from tinygraph import tensor as T


def test_a_default_value_may_be_left_out():
    x, y = T.dscalars("x", "y")
    f = tg.function([x, In(y, value=10)], x + y)
    assert f(1) == 11 and f(1, 2) == 3 and f(1, y=2) == 3 and f(1) == 11


def test_defaults_in_the_middle_need_keywords_after():
    x, y, z = T.dscalars("x", "y", "z")
    f = tg.function([x, In(y, value=1), In(z, value=2, name="last")], x + 10 * y + 100 * z)
    assert f(0) == 210 and f(0, last=3) == 310 and f(0, 5) == 250


def test_pairs_are_short_for_in():
    x, y = T.dscalars("x", "y")
    assert tg.function([x, (y, 3.0)], x + y)(1) == 4


def test_an_update_changes_what_the_function_keeps():
    x, s = T.dscalar("x"), T.dscalar("s")
    f = tg.function([x, In(s, value=10, update=s + x)], s)
    assert [float(f(1)), float(f(5)), float(f(0))] == [10, 11, 16]
    assert f[s] == f["s"] == 16
    f[s] = 100
    assert f(1) == 100 and f["s"] == 101


def test_an_argument_takes_the_place_of_the_kept_value_before_the_update():
    x, s = T.dscalar("x"), T.dscalar("s")
    f = tg.function([x, In(s, value=10, update=s + x)], s * 1)
    assert f(1, 50) == 50
    assert f[s] == 51


def test_a_plain_default_is_not_changed_by_a_call():
    s = T.dvector("s")
    f = tg.function([In(s, value=np.zeros(2))], s + 1)
    assert f([5, 5]).tolist() == [6, 6]
    assert f().tolist() == [1, 1]
    f["s"] = np.ones(2)
    assert f().tolist() == [2, 2]


def test_the_default_is_a_copy():
    start = np.zeros(2)
    s = T.dvector("s")
    f = tg.function([In(s, value=start, update=s + 1)], s)
    f(), f()
    assert start.tolist() == [0, 0]
    start[:] = 9
    assert f().tolist() == [2, 2]


def test_two_functions_share_a_container():
    x, s = T.dscalar("x"), T.dscalar("s")
    add = tg.function([x, In(s, value=0, update=s + x)], s)
    state = tg.shared(5.0)
    sub = tg.function([x, In(s, value=state, update=s - x)], s)
    sub(1.0)
    assert state.get_value() == 4 and add[s] == 0
    again = tg.function([In(s, value=state.container)], s)
    assert again() == 4


def test_implicit_inputs_have_no_position():
    x, s = T.dscalar("x"), T.dscalar("s")
    f = tg.function([In(s, value=7, implicit=True), x], x + s)
    assert f(1) == 8 and f(1, s=2) == 3


def test_strict_inputs_are_not_converted():
    x = T.dvector("x")
    f = tg.function([In(x, strict=True)], x)
    assert f(np.ones(2)).tolist() == [1, 1]
    with pytest.raises(TypeError, match="strict=True allows no conversion"):
        f([1.0, 1.0])


def test_a_bad_default_is_named_at_once():
    with pytest.raises(TypeError, match="In: bad default value for s: expected 1 dimensions"):
        tg.function([In(T.dvector("s"), value=np.zeros((2, 2)))], [], on_unused_input="ignore")


def test_a_bad_update_is_named_at_once():
    s = T.dvector("s")
    with pytest.raises(TypeError, match="the update of shared variable s must be of its type"):
        tg.function([In(s, value=np.zeros(2), update=s.sum())], s)


def test_contradictions():
    x = T.dvector("x")
    with pytest.raises(ValueError, match=r"In\(mutable=True\) implies borrow=True"):
        In(x, mutable=True, borrow=False)
    with pytest.raises(ValueError, match=r"In\(update=...\) needs a value to start from"):
        In(x, update=x)
    with pytest.raises(TypeError, match="needs a symbolic variable, got 3"):
        In(3)


def test_unknown_names_have_no_value():
    x = T.dscalar("x")
    f = tg.function([x], x)
    with pytest.raises(KeyError, match="'x' is neither an input with a default value nor a shared variable"):
        f["x"]
    w = tg.shared(2.0, name="w")
    g = tg.function([], w + 1)
    assert g["w"] == g[w] == 2
    g[w] = 5.0
    assert g() == 6


def test_what_is_kept_is_reached_by_variable_or_name():
    x, s = T.dscalar("x"), T.dscalar("s")
    w = tg.shared(3.0, name="w")
    f = tg.function([x, In(s, value=10.0, update=s + x)], s * w)
    assert f.value["s"] == 10 and f.container[w].value == 3 and f.container["s"].data == 10
    f.container[s].data = np.array(1.0)
    assert f(5) == 3 and f[s] == 6
    assert s in f and "w" in f.container and x not in f


def test_results_can_be_chosen_at_the_call():
    x, y = T.dscalars("x", "y")
    f = tg.function([x, y], [x + y, x * y, x - y])
    assert f(3, 2, output_subset=[2, 0]) == [1, 5] and f(3, 2, output_subset=None) == [5, 6, 1]
    assert tg.function([x], {"a": x, "b": 2 * x})(3, output_subset=["b"]) == {"b": 6}
    assert tg.function([x], x)(3, output_subset=[0]) == [3]


def test_declarations_can_be_looked_at():
    x = T.dscalar("x")
    f = tg.function([In(x, value=2.0)], [x + 1, x * 2])
    assert [i.variable for i in f.maker.inputs] == [x] and f.maker.inputs[0].value == 2
    assert [o.variable for o in f.maker.outputs] == f.maker.fgraph.outputs
