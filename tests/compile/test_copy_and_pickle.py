"""Copies of functions, and functions, variables and graphs in pickles."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import In
from tinygraph import tensor as T
from tinygraph.errors import DataError
from tinygraph.random import RandomStreams


def counter():
    a = tg.shared(0.0, name="a")
    x = T.dscalar("x")
    return a, tg.function([x], a + x, updates=[(a, a + x)], name="counter")


def test_a_copy_works_on_the_same_variables():
    a, f = counter()
    g = f.copy()
    f(1), g(2)
    assert a.get_value() == 3 and g.name == "counter"
    assert g.copy(name="other").name == "other"


def test_a_copy_with_swapped_variables():
    a, f = counter()
    b = tg.shared(100.0)
    g = f.copy(swap={a: b})
    assert g(1) == 101 and f(1) == 1
    assert (a.get_value(), b.get_value()) == (1, 101)


@pytest.mark.parametrize("share_memory", [False, True])
def test_a_copy_without_updates(share_memory):
    a, f = counter()
    f(1)
    g = f.copy(delete_updates=True, share_memory=share_memory)
    assert (g(1), g(1)) == (2, 2) and a.get_value() == 1


def test_a_copy_that_shares_programs():
    a, f = counter()
    f(1)
    b = tg.shared(10.0)
    g = f.copy(share_memory=True, swap={a: b})
    assert list(g._programs) == list(f._programs)
    assert g(1) == 11 and (a.get_value(), b.get_value()) == (1, 11)


def test_a_copy_has_defaults_of_its_own():
    s = T.dscalar("s")
    f = tg.function([In(s, value=0, update=s + 1)], s)
    f()
    g = f.copy()
    assert g() == 1 and g() == 2 and f() == 1


def test_bad_swaps():
    a, f = counter()
    with pytest.raises(ValueError, match="copy: other is not a shared variable of counter"):
        f.copy(swap={tg.shared(1.0, name="other"): a})
    with pytest.raises(TypeError, match="can only be swapped for another, got 3"):
        f.copy(swap={a: 3})
    with pytest.raises(TypeError, match=r"copy: a of type .* cannot be swapped for v of type"):
        f.copy(swap={a: tg.shared(np.zeros(2), name="v")})


def roundtrip(x):
    return pickle.loads(pickle.dumps(x))


def test_a_function_survives_pickling_with_its_state():
    a, f = counter()
    f(1)
    g = roundtrip(f)
    assert g(5) == 6 and g["a"] == 6
    assert a.get_value() == 1 and g.name == "counter"


def test_what_is_shared_stays_shared():
    a, f = counter()
    g, f2, a2, expression = roundtrip((f.copy(), f, a, a * 2))
    g(1), f2(2)
    assert a2.get_value() == 3 and a.get_value() == 0
    assert expression.eval() == 6
    assert expression.owner.inputs[0] is a2


def test_defaults_and_outputs_survive():
    x, s = T.dscalar("x"), T.dscalar("s")
    f = tg.function([x, In(s, value=2, update=s + x)], {"sum": x + s, "product": x * s})
    f(1)
    g = roundtrip(f)
    assert g(1) == {"sum": 4, "product": 3} and g[s if s in [d.variable for d in g.declared] else "s"] == 4
    assert f["s"] == 3


def test_a_training_function_with_random_numbers_goes_on_bit_for_bit():
    x, w = T.fmatrix("x"), tg.shared(np.ones((3, 2), "float32"))
    mask = RandomStreams(1).binomial(x.shape, p=0.5, dtype="float32")
    cost = T.log(T.exp(T.dot(x * mask, w)).sum(axis=1)).mean()
    f = tg.function([x], cost, updates=[(w, w - np.float32(0.1) * tg.grad(cost, w))])
    point = np.random.RandomState(0).rand(4, 3).astype("float32")
    f(point)
    g = roundtrip(f)
    for _ in range(3):
        assert f(point) == g(point)


def test_a_function_is_read_in_another_process(tmp_path):
    _, f = counter()
    f(1)
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(f))
    code = "import pickle, sys; f = pickle.load(open(sys.argv[1], 'rb')); print(float(f(2)), float(f(2)))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "f.pkl"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.0", "5.0"]


def test_an_unknown_format_is_refused():
    _, f = counter()
    rebuild, parts = f.__reduce__()
    with pytest.raises(DataError, match="saved in format 99; this version of tinygraph reads format 1"):
        rebuild(99, *parts[1:])


def test_variables_and_graphs():
    x = T.dmatrix("x")
    y = T.dot(x, x.T).sum(axis=0)
    y.name = "y"
    x2, y2 = roundtrip((x, y))
    assert y2.name == "y" and y2.type == y.type and hash(y2.type) == hash(y.type)
    assert y2.owner.inputs[0].owner.inputs[0] is x2
    point = np.random.RandomState(0).rand(2, 3)
    assert np.array_equal(y2.eval({x2: point}), y.eval({x: point}))
    assert y2.owner.origin == y.owner.origin


def test_outputs_of_one_node_stay_together():
    x = T.dvector("x")
    a, b = T.max_and_argmax(x)
    a2, b2 = roundtrip((a, b))
    assert a2.owner.inputs[0] is b2.owner.inputs[0]
    u = RandomStreams(1).uniform((2,))
    u2 = roundtrip(u)
    assert u2.rng.default_update is u2.update[1] and u2.rng.default_update.owner is u2.owner


def test_long_chains_need_no_deep_stack():
    x = T.dscalar("x")
    y = x
    for _ in range(3000):
        y = y + 1
    assert roundtrip(y).owner is not None
    assert copy.deepcopy(y).owner is not None


def test_shared_variables():
    a = tg.shared(np.arange(3.0), name="a", allow_downcast=True)
    b = roundtrip(a)
    b.set_value([9.0])
    assert a.get_value().tolist() == [0, 1, 2] and b.name == "a" and b.allow_downcast is True
    one, two = roundtrip((a, a.clone()))
    one.set_value(np.ones(1))
    assert two.get_value().tolist() == [1]


def test_a_generic_shared_variable():
    s = tg.shared({"k": 1})
    assert roundtrip(s).get_value() == {"k": 1}


def test_deepcopy_is_independent():
    a, f = counter()
    g = copy.deepcopy(f)
    g(1)
    assert a.get_value() == 0 and g["a"] == 1
