"""ifelse: only the branch that is wanted runs, alone and nested, with gradients, in every mode."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import ifelse
from tinygraph import tensor as T
from tinygraph.errors import TypeMismatch
from tinygraph.gradient import Rop, verify_grad
from tinygraph.graph.op import Op

MODES = pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])


class Count(Op):
    """The identity, which counts how often it runs."""

    __props__ = ("name",)
    runs: dict = {}

    def __init__(self, name):
        self.name = name

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        Count.runs[self.name] = Count.runs.get(self.name, 0) + 1
        return x.copy()

    def vjp(self, inputs, outputs, grads):
        return [Count(self.name + "'")(grads[0])]


@pytest.fixture(autouse=True)
def fresh_counts():
    Count.runs.clear()


@MODES
def test_one_branch_is_computed(mode):
    x, c = T.dmatrix("x"), T.bscalar("c")
    y = ifelse(c, Count("then")(T.exp(x)).sum(axis=0), Count("else")(x * 2).sum(axis=0))
    f = tg.function([c, x], y, mode=mode)
    point = np.arange(6.0).reshape(2, 3)
    assert np.allclose(f(1, point), np.exp(point).sum(axis=0)) and Count.runs == {"then": 1}
    assert np.allclose(f(0, point), 2 * point.sum(axis=0)) and Count.runs == {"then": 1, "else": 1}


@MODES
def test_work_that_both_need_is_done_once_outside(mode):
    x, c = T.dvector("x"), T.bscalar("c")
    common = Count("common")(x)
    f = tg.function([c, x], ifelse(c, common + 1, Count("else")(common) * 2), mode=mode)
    assert f(1, [1.0]).tolist() == [2] and f(0, [1.0]).tolist() == [2]
    assert Count.runs == {"common": 2, "else": 1}


@MODES
def test_work_that_is_an_output_too_is_done_in_any_case(mode):
    x, c = T.dvector("x"), T.bscalar("c")
    y = Count("y")(x)
    f = tg.function([c, x], [ifelse(c, y, x), y], mode=mode)
    assert [v.tolist() for v in f(0, [1.0])] == [[1], [1]] and Count.runs == {"y": 1}


@MODES
def test_nested(mode):
    x, a, b = T.dscalar("x"), T.bscalar("a"), T.bscalar("b")
    inner = ifelse(b, Count("1")(x * 2), Count("2")(x * 3))
    f = tg.function([a, b, x], ifelse(a, inner + 1, Count("3")(x * 4)), mode=mode)
    assert f(1, 1, 1.0) == 3 and Count.runs == {"1": 1}
    assert f(1, 0, 1.0) == 4 and Count.runs == {"1": 1, "2": 1}
    assert f(0, 1, 1.0) == 4 and Count.runs == {"1": 1, "2": 1, "3": 1}


def test_several_values():
    x, c = T.dvector("x"), T.bscalar("c")
    a, b = ifelse(c, [x + 1, x.sum()], [x * 2, x.max()])
    f = tg.function([c, x], [a, b])
    assert [v.tolist() for v in f(1, [1.0, 5.0])] == [[2, 6], 6]
    assert [v.tolist() for v in f(0, [1.0, 5.0])] == [[2, 10], 5]
    assert isinstance(ifelse(c, (x,), (x,)), tuple)


@MODES
def test_gradients(mode):
    x, w, c = T.dvector("x"), T.dvector("w"), T.bscalar("c")
    cost = ifelse(c, (x**2 * w).sum(), T.exp(x).sum())
    f = tg.function([c, x, w], tg.grad(cost, [x, w]), mode=mode)
    point, weight = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    by_x, by_w = f(1, point, weight)
    assert np.allclose(by_x, 2 * point * weight) and np.allclose(by_w, point**2)
    by_x, by_w = f(0, point, weight)
    assert np.allclose(by_x, np.exp(point)) and np.allclose(by_w, 0)


@pytest.mark.parametrize("c", [0, 1])
def test_gradients_by_finite_differences_twice(c):
    verify_grad(lambda x: ifelse(T.constant(c) > 0, T.sin(x), x**3), [np.array([0.3, 0.7])])
    verify_grad(lambda x: tg.grad(ifelse(T.gt(x[0], 0), T.sin(x), x**3).sum(), x), [np.array([0.3, 0.7])])


def test_forward_mode():
    x, v, c = T.dvector("x"), T.dvector("v"), T.bscalar("c")
    f = tg.function([c, x, v], Rop(ifelse(c, x**2, x), x, v))
    assert f(1, [3.0], [1.0]).tolist() == [6] and f(0, [3.0], [1.0]).tolist() == [1]


@MODES
def test_branches_of_different_sizes(mode):
    x, c = T.dvector("x"), T.bscalar("c")
    f = tg.function([c, x], ifelse(c, x[:2] * 2, T.concatenate([x, x])) + 1, mode=mode)
    assert f(1, [1.0, 2.0, 3.0]).tolist() == [3, 5]
    assert f(0, [1.0, 2.0]).tolist() == [2, 3, 2, 3]


def test_sizes_that_an_argument_decides():
    x, n, c = T.dvector("x"), T.lscalar("n"), T.bscalar("c")
    f = tg.function([c, n, x], ifelse(c, (x[:n] * 2).sum(), T.exp(x[n:]).sum()))
    assert f(1, 2, [1.0, 2.0, 3.0]) == 6 and f(0, 3, [1.0, 2.0, 3.0]) == 0


@MODES
def test_data_dependent_sizes_inside(mode):
    x, c = T.dvector("x"), T.bscalar("c")
    f = tg.function([c, x], ifelse(c, x[x > 1].sum(), x.sum()), mode=mode)
    assert f(1, [1.0, 2.0, 3.0]) == 5 and f(0, [1.0, 2.0, 3.0]) == 6


def test_a_branch_may_be_an_argument_or_a_number():
    x, c = T.fvector("x"), T.bscalar("c")
    f = tg.function([c, x], ifelse(c, x, np.zeros(2)))
    assert f(1, np.ones(2, "float32")).tolist() == [1, 1] and f(0, np.ones(2, "float32")).tolist() == [0, 0]
    given = np.ones(2, "float32")
    out = f(1, given)
    out[:] = 9
    assert given.tolist() == [1, 1]


def test_updates_by_ifelse():
    s, c = tg.shared(np.zeros(2)), T.bscalar("c")
    f = tg.function([c], [], updates=[(s, ifelse(c, s + 1, s))])
    f(1), f(0), f(1)
    assert s.get_value().tolist() == [2, 2]


def test_inside_a_loop():
    found, _ = tg.scan(
        lambda k, acc: ifelse(T.gt(k, 1), acc * 2, acc + 1), sequences=T.arange(4), outputs_info=T.zeros(())
    )
    assert found.eval().tolist() == [1, 2, 4, 8]


def test_the_function_can_be_copied_and_pickled():
    import pickle

    x, c = T.dvector("x"), T.bscalar("c")
    w = tg.shared(np.ones(2))
    f = tg.function([c, x], ifelse(c, T.exp(x * w).sum(), x.sum()))
    for g in (f.copy(), pickle.loads(pickle.dumps(f)), f.copy(swap={w: tg.shared(np.ones(2))})):
        assert g(1, [0.0, 0.0]) == 2 and g(0, [3.0, 4.0]) == 7


def test_what_does_not_fit():
    x, m, c = T.dvector("x"), T.dmatrix("m"), T.bscalar("c")
    with pytest.raises(TypeMismatch, match="ifelse: both values must have the same dtype and rank, got x of"):
        ifelse(c, x, m)
    with pytest.raises(TypeMismatch, match="ifelse: both values must have the same dtype and rank"):
        ifelse(c, x, T.fvector())
    with pytest.raises(TypeMismatch, match="ifelse: the branches must have as many values each, got 2 and 1"):
        ifelse(c, [x, x], [x])
    with pytest.raises(TypeMismatch, match="ifelse: the condition must be a scalar, got x"):
        ifelse(x, x, x)


def test_module_name_of_theano():
    from tinygraph.ifelse import ifelse as again

    assert again is ifelse
