"""The printed path from a call's arguments to a program and back: what it checks, and under what it finds programs."""

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.compile.caller import print_caller

x, y, i = T.dmatrix("x"), T.dvector("y"), T.lscalar("i")


def source(f):
    return print_caller(f)[0]


def programs(f):
    return len(f._programs)


def test_trusted_inputs_skip_every_check():
    f = tg.function([x], x * 2)
    text = source(f)
    assert "if not f.trust_input:" in text
    checks = text.index("if not f.trust_input:")
    assert "check(0, x0)" in text[checks : text.index("key = ")]
    f.trust_input = True
    np.testing.assert_array_equal(f(np.ones((2, 2))), np.full((2, 2), 2.0))


def test_a_function_of_nothing_checks_nothing():
    text = source(tg.function([], T.constant(3.0)))
    assert "check" not in text and "key = ()" in text


def test_one_program_for_each_set_of_shapes():
    f = tg.function([x, y], x + y)
    for rows in (2, 3, 2, 3):
        f(np.ones((rows, 4)), np.ones(4))
    assert programs(f) == 2


def test_layouts_have_programs_of_their_own():
    f = tg.function([x], x.sum(axis=0))
    a = np.arange(12.0).reshape(4, 3)
    for value in (a, a.copy(), a.T.copy().T, a[::-1], np.repeat(a, 2, axis=0)[::2]):
        np.testing.assert_allclose(f(value), value.sum(0))
    assert programs(f) == 4  # C order, columns first, backwards, with gaps


def test_scalars_and_the_place_of_a_slice_are_no_part_of_the_key():
    f = tg.function([x, i], x[i : i + 2] * 2)
    a = np.arange(20.0).reshape(10, 2)
    for start in range(8):
        np.testing.assert_array_equal(f(a, start), a[start : start + 2] * 2)
    assert programs(f) == 1
    assert f(a, 9).shape == (1, 2)  # a shorter slice is another size
    assert programs(f) == 2


def test_sizes_of_shared_variables_are_part_of_the_key():
    s = tg.shared(np.ones(3))
    f = tg.function([], s * 2)
    assert f().shape == (3,)
    s.set_value(np.ones(5))
    assert f().shape == (5,) and programs(f) == 2


def test_sizes_that_a_type_promises_are_checked():
    z = T.tensor("float64", shape=(2, None))
    f = tg.function([z], z + 1)
    with pytest.raises(tg.errors.TinygraphError, match=r"\(3, 2\)"):
        f(np.ones((3, 2)))


@pytest.mark.parametrize("outputs, expected", [
    (lambda v: v, 3.0),
    (lambda v: [v], [3.0]),
    (lambda v: [v, v * 2], [3.0, 6.0]),
    (lambda v: {"a": v, "b": v * 2}, {"a": 3.0, "b": 6.0}),
], ids=["one", "list of one", "list", "dict"])  # fmt: skip
def test_results_come_in_the_form_that_was_asked_for(outputs, expected):
    v = T.dscalar()
    found = tg.function([v], outputs(v))(3.0)
    assert type(found) is (np.ndarray if expected == 3.0 else type(expected))
    assert found == expected


def test_updates_alone_return_an_empty_list():
    s = tg.shared(1.0)
    assert tg.function([], updates=[(s, s + 1)])() == []
    assert s.get_value() == 2


def test_shared_variables_change_together_or_not_at_all():
    class Interrupted(BaseException):
        pass

    a, b = tg.shared(np.zeros(2), name="a"), tg.shared(np.zeros(2), name="b")

    @tg.as_op(itypes=[T.dvector], otypes=[T.dvector])
    def broken(value):
        raise Interrupted

    f = tg.function([], [], updates=[(a, a + 1), (b, broken(b + 1))])
    with pytest.raises(Interrupted):
        f()
    assert not a.get_value().any() and not b.get_value().any()


def test_an_update_that_is_another_variables_old_value():
    a, b = tg.shared(np.array([1.0, 2.0])), tg.shared(np.array([3.0, 4.0]))
    f = tg.function([], a + b, updates=[(a, b), (b, a)])
    for _ in range(3):
        old = a.get_value(), b.get_value()
        np.testing.assert_array_equal(f(), [4.0, 6.0])
        np.testing.assert_array_equal(a.get_value(), old[1])
        np.testing.assert_array_equal(b.get_value(), old[0])
