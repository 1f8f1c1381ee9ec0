"""theano.tensor.raw_random with numpy.random.RandomState objects: NumPy's numbers, the state passed along."""

import numpy as np
import pytest

from tinygraph.errors import InvalidValue, TypeMismatch

CASES = [
    ("uniform", {"low": -1.0, "high": 2.0}, lambda r: r.uniform(-1, 2, (4, 3))),
    ("normal", {"avg": 1.0, "std": 2.0}, lambda r: r.normal(1, 2, (4, 3))),
    ("binomial", {"n": 5, "p": 0.3}, lambda r: r.binomial(5, 0.3, (4, 3))),
    ("poisson", {"lam": 4.0}, lambda r: r.poisson(4, (4, 3))),
    ("exponential", {"scale": 2.0}, lambda r: r.exponential(2, (4, 3))),
    ("random_integers", {"low": 2, "high": 9}, lambda r: r.randint(2, 10, (4, 3))),
    ("choice", {"a": 7}, lambda r: r.choice(7, (4, 3))),
    ("multinomial", {"n": 3, "pvals": [0.2, 0.8]}, lambda r: r.multinomial(3, [0.2, 0.8], (4, 3))),
]


@pytest.fixture
def raw(installed):
    from theano.tensor import raw_random

    return raw_random


@pytest.mark.parametrize(("name", "settings", "numpy"), CASES, ids=[c[0] for c in CASES])
def test_numbers_are_those_of_numpy_and_the_state_moves_on(installed, raw, name, settings, numpy):
    state = raw.random_state_type()
    after, sample = getattr(raw, name)(state, (4, 3), **settings)
    f = installed.function([installed.In(state, value=np.random.RandomState(55), update=after, mutable=True)], sample)
    reference = np.random.RandomState(55)
    for _ in range(2):
        expected = numpy(reference)
        found = f()
        assert found.shape == expected.shape and np.allclose(found, expected)


def test_the_given_state_is_not_changed(installed, raw):
    state, mine = raw.random_state_type(), np.random.RandomState(1)
    after, sample = raw.permutation(state, (2,), n=5)
    f = installed.function([state], [after, sample])
    following, first = f(mine)
    assert np.array_equal(f(mine)[1], first) and not np.array_equal(f(following)[1], first)
    assert first.shape == (2, 5) and np.array_equal(np.sort(first), [range(5)] * 2)
    assert raw.random_state_type.values_eq(mine, np.random.RandomState(1))


def test_the_shape_of_the_parameters(installed, raw):
    state, low = raw.random_state_type(), installed.tensor.dvector("low")
    _, sample = raw.uniform(state, low=low, high=low + 1)
    found = installed.function([state, low], sample)(np.random.RandomState(2), [0.0, 10.0])
    assert np.allclose(found, np.random.RandomState(2).uniform([0, 10], [1, 11]))
    _, sample = raw.permutation(state, None, n=4)
    assert np.array_equal(installed.function([state], sample)(np.random.RandomState(2)), np.random.RandomState(2).permutation(4))
    pvals = np.array([[0.0, 1.0], [1.0, 0.0]])
    _, sample = raw.multinomial(state, None, n=3, pvals=pvals)
    assert installed.function([state], sample)(np.random.RandomState(2)).tolist() == [[0, 3], [3, 0]]
    n = installed.tensor.lscalar("n")
    _, sample = raw.normal(state, (n, 2))
    assert installed.function([state, n], sample)(np.random.RandomState(2), 3).shape == (3, 2)


def test_a_function_of_ones_own(installed, raw):
    T = installed.tensor  # noqa: N806

    def doubled(state, low, size):
        return 2 * state.uniform(low, 1, size)

    op = raw.RandomFunction(doubled, T.dmatrix)
    state = raw.random_state_type()
    found = installed.function([state], op(state, (2, 2), 0.5)[1])(np.random.RandomState(3))
    assert np.allclose(found, 2 * np.random.RandomState(3).uniform(0.5, 1, (2, 2)))
    with pytest.raises(InvalidValue, match="size of 3"):
        installed.function([state], op(state, (2, 2, 2), 0.5)[1])(np.random.RandomState(3))


def test_errors_and_the_states_of_streams(installed, raw):
    state = raw.random_state_type()
    with pytest.raises(TypeMismatch, match="RandomState"):
        installed.function([state], raw.uniform(state, (2,))[1])(3)
    with pytest.raises(InvalidValue, match="ndim is 3"):
        raw.uniform(state, (2, 2), ndim=3)
    with pytest.raises(TypeError, match="wide"):
        raw.uniform(state, (2, 2), wide=3)
    words = installed.shared(np.array([1, 2, 0, 0], "uint32"))
    _, sample = raw.uniform(words, (2, 2), 0.0, 5.0)
    assert sample.eval().shape == (2, 2)
