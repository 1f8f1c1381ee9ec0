"""Distributions: moments, Kolmogorov-Smirnov and chi-square tests, sizes, dtypes and errors."""

import numpy as np
import pytest
from scipy import stats

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.random import MRG_RandomStreams, RandomStreams

N = 20000


def draw(name, *args, seed=1, **kwargs):
    return tg.function([], getattr(RandomStreams(seed), name)(*args, **kwargs))()


CONTINUOUS = {
    "uniform": (("uniform", {}), stats.uniform()),
    "uniform between": (("uniform", {"low": -2.0, "high": 3.0}), stats.uniform(-2, 5)),
    "normal": (("normal", {}), stats.norm()),
    "normal with parameters": (("normal", {"avg": 1.5, "std": 0.5}), stats.norm(1.5, 0.5)),
    "truncated normal": (("truncated_normal", {}), stats.truncnorm(-2, 2)),
    "truncated normal with parameters": (("truncated_normal", {"avg": 1, "std": 3}), stats.truncnorm(-2, 2, 1, 3)),
    "exponential": (("exponential", {"scale": 2.0}), stats.expon(scale=2)),
    "gamma": (("gamma", {"shape": 2.5, "scale": 0.5}), stats.gamma(2.5, scale=0.5)),
    "beta": (("beta", {"a": 2.0, "b": 3.0}), stats.beta(2, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CONTINUOUS)
def test_kolmogorov_smirnov_and_moments(case, dtype):
    (name, parameters), expected = CONTINUOUS[case]
    sample = draw(name, (N // 100, 100), dtype=dtype, **parameters)
    assert sample.dtype == dtype and np.all(np.isfinite(sample))
    sample = sample.reshape(-1).astype("float64")
    assert stats.kstest(sample, expected.cdf).pvalue > 1e-4
    assert abs(sample.mean() - expected.mean()) < 4.5 * expected.std() / np.sqrt(N)
    assert abs(sample.var() / expected.var() - 1) < 0.08


DISCRETE = {
    "binomial": (("binomial", {"p": 0.3}), stats.bernoulli(0.3), range(2)),
    "binomial of many": (("binomial", {"n": 10, "p": 0.3}), stats.binom(10, 0.3), range(11)),
    "poisson": (("poisson", {"lam": 3.0}), stats.poisson(3), range(30)),
    "integers": (("random_integers", {"low": -2, "high": 4}), stats.randint(-2, 5), range(-2, 5)),
    "choice": (("choice", {"a": 5}), stats.randint(0, 5), range(5)),
    "choice with p": (
        ("choice", {"a": 3, "p": np.array([0.2, 0.5, 0.3])}),
        stats.rv_discrete(values=(range(3), [0.2, 0.5, 0.3])),
        range(3),
    ),
}


@pytest.mark.parametrize("case", DISCRETE)
def test_counts(case):
    (name, parameters), expected, support = DISCRETE[case]
    sample = draw(name, (N,), **parameters)
    assert sample.dtype == "int64" and set(np.unique(sample)) <= set(support)
    expected_counts = N * np.array([expected.pmf(k) for k in support])
    usual = expected_counts > 5
    observed = np.array([(sample == k).sum() for k in support])
    observed, wanted = np.append(observed[usual], observed[~usual].sum()), np.append(expected_counts[usual], 0)
    wanted[-1] = N - wanted[:-1].sum()
    if wanted[-1] < 1e-6:
        observed, wanted = observed[:-1], wanted[:-1]
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


@pytest.mark.parametrize("n", [1, 5, 40])
def test_multinomial(n):
    p = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    sample = draw("multinomial", (3000, 2), n=n, pvals=p)
    assert sample.shape == (3000, 2, 3) and np.all(sample.sum(axis=-1) == n) and np.all(sample >= 0)
    assert np.all(sample[:, 1] == [n, 0, 0])
    error = np.sqrt(n * p[0] * (1 - p[0]) / 3000)
    assert np.all(np.abs(sample[:, 0].mean(axis=0) - n * p[0]) < 4.5 * error)


def test_multinomial_takes_its_size_from_pvals():
    p = T.fmatrix("p")
    f = tg.function([p], MRG_RandomStreams(1).multinomial(pvals=p, dtype="float32"))
    sample = f(np.full((4, 5), 0.2, "float32"))
    assert sample.shape == (4, 5) and sample.dtype == "float32" and np.all(sample.sum(axis=1) == 1)


def test_multinomial_with_trials_only_known_at_the_call():
    n = T.lscalar("n")
    f = tg.function([n], RandomStreams(1).multinomial((2,), n=n, pvals=[0.5, 0.5]))
    assert f(7).sum(axis=1).tolist() == [7, 7]


def test_choice_by_row_without_replacement():
    p = np.tile([0.5, 0.25, 0.125, 0.125, 0.0], (4000, 1))
    sample = tg.function([], MRG_RandomStreams(1).choice(3, p=p, replace=False))()
    assert sample.shape == (4000, 3)
    assert all(len(set(row)) == 3 for row in sample) and not np.any(sample == 4)
    first = np.bincount(sample[:, 0], minlength=5)[:4]
    assert stats.chisquare(first, 4000 * p[0][:4]).pvalue > 1e-4
    after_zero = sample[sample[:, 0] == 0, 1]  # given the first, the rest keep their proportions
    assert stats.chisquare(np.bincount(after_zero)[1:], len(after_zero) * np.array([0.5, 0.25, 0.25])).pvalue > 1e-4


def test_choice_by_row_with_replacement():
    p = np.tile([0.0, 1.0, 0.0], (3, 1))
    assert tg.function([], MRG_RandomStreams(1).choice(2, p=p))().tolist() == [[1, 1]] * 3


def test_older_name_of_choice_by_row():
    p = np.full((3, 4), 0.25)
    sample = tg.function([], MRG_RandomStreams(1).multinomial_wo_replacement(n=4, pvals=p))()
    assert np.sort(sample, axis=1).tolist() == [[0, 1, 2, 3]] * 3


def test_choice_of_values():
    values = np.array([1.5, 2.5, 3.5])
    assert set(draw("choice", (100,), a=values)) == {1.5, 2.5, 3.5}
    without = draw("choice", (3,), a=values, replace=False)
    assert sorted(without) == [1.5, 2.5, 3.5]
    assert set(draw("choice", (50,), a=values, p=np.array([0.0, 0.0, 1.0]))) == {3.5}


def test_choice_of_too_many():
    with pytest.raises(InvalidValue, match="choice: cannot take 4 of 3 without replacement"):
        RandomStreams(1).choice((4,), a=np.arange(3.0), replace=False)
    n = T.lscalar("n")
    f = tg.function([n], RandomStreams(1).choice((4,), a=n, replace=False))
    assert sorted(f(4)) == [0, 1, 2, 3]
    with pytest.raises(IndexError):
        f(3)


def test_permutations():
    sample = draw("permutation", (500,), n=5)
    assert sample.shape == (500, 5) and np.all(np.sort(sample, axis=1) == np.arange(5))
    assert stats.chisquare(np.bincount(sample[:, 0])).pvalue > 1e-4
    assert sorted(draw("permutation", n=9)) == list(range(9))


def test_shuffled_rows():
    x = T.dmatrix("x")
    f = tg.function([x], RandomStreams(1).shuffle_row_elements(x))
    given = np.arange(40.0).reshape(4, 10)
    found = f(given)
    assert np.all(np.sort(found, axis=1) == given)
    orders = found - given[:, :1]
    assert not np.any(np.all(orders[1:] == orders[0], axis=1))  # each row has an order of its own


def test_uniform_reaches_zero_but_not_one():
    u = draw("uniform", (2_000_000,), dtype="float32")
    assert u.min() >= 0 and u.max() < 1 and u.min() < 2e-6 and u.max() > 1 - 2e-6


def test_normal_of_odd_and_even_counts():
    even = draw("normal", (6,))
    odd = draw("normal", (5,))
    assert odd.shape == (5,) and even.shape == (6,)
    np.testing.assert_array_equal(odd[:3], even[:3])
    assert draw("normal", ()).shape == () and draw("normal", (0,)).shape == (0,)


def test_parameters_that_are_arrays_give_the_size():
    p, m = T.dvector("p"), T.dmatrix("m")
    s = RandomStreams(1)
    f = tg.function([p, m], [s.binomial(p=p), s.normal(avg=m, std=p), s.uniform(low=m, high=m + 1)])
    b, n, u = f([0.0, 1.0, 0.0], np.full((2, 3), 100.0))
    assert b.tolist() == [0, 1, 0]
    assert n.shape == (2, 3) and n[0, 0] == n[1, 2] == 100 and n[0, 1] != 100
    assert np.all((u >= 100) & (u < 101))


@pytest.mark.parametrize("size", [3, (3,), [3], np.array([3]), (np.int64(3),)], ids=str)
def test_sizes_in_many_forms(size):
    assert draw("uniform", size).shape == (3,)


def test_symbolic_sizes():
    x, v, n = T.dmatrix("x"), T.lvector("v"), T.lscalar("n")
    s = RandomStreams(1)
    f = tg.function([x, v, n], [s.uniform(x.shape), s.normal(size=v, ndim=2), s.binomial((n, x.shape[0]))])
    assert [y.shape for y in f(np.zeros((2, 3)), [4, 5], 6)] == [(2, 3), (4, 5), (6, 2)]
    assert [y.shape for y in f(np.zeros((1, 3)), [3, 5], 1)] == [(1, 3), (3, 5), (1, 1)]


def test_bad_sizes():
    s = RandomStreams(1)
    with pytest.raises(InvalidValue, match="a size cannot be negative, got -1"):
        s.uniform((2, -1))
    with pytest.raises(TypeMismatch, match="a size must be an integer or an integer scalar, got 2.5"):
        s.uniform((2.5,))
    with pytest.raises(InvalidValue, match="the length of the size v is not known: pass ndim"):
        s.uniform(T.lvector("v"))
    with pytest.raises(InvalidValue, match="has 2 dimensions, ndim is 3"):
        s.uniform((2, 2), ndim=3)


def test_dtypes():
    tg.config.floatX = "float32"
    s = RandomStreams(1)
    assert s.uniform((2,)).dtype == "float32" == s.normal((2,)).dtype == s.binomial((2,), dtype="floatX").dtype
    assert s.normal((2,), avg=T.dscalar()).dtype == "float64"
    assert s.binomial((2,), dtype="int8").dtype == "int8"
    with pytest.raises(TypeMismatch, match="must be of a float dtype, got 'int32'"):
        s.uniform((2,), dtype="int32")


def test_bad_parameters():
    s = RandomStreams(1)
    with pytest.raises(TypeMismatch, match="multinomial: pvals must be floats with at least one dimension"):
        s.multinomial(pvals=0.5)
    with pytest.raises(TypeMismatch, match="random_integers: the bounds must be integers"):
        s.random_integers((2,), 0.5, 3)
    with pytest.raises(ShapeMismatch, match="choice: p must be a vector"):
        s.choice((2,), a=2, p=np.ones((2, 2)))
    with pytest.raises(ShapeMismatch, match="choice: a must be a number or a vector"):
        s.choice((2,), a=np.ones((2, 2)))
    with pytest.raises(ShapeMismatch, match="shuffle_row_elements: expected at least one dimension"):
        s.shuffle_row_elements(1.0)
    with pytest.raises(TypeMismatch, match="multinomial: pvals, the probabilities, must be given"):
        MRG_RandomStreams(1).multinomial()


def test_gradients_pass_through_parameters():
    """The reparametrisation of a normal deviate: d/d avg = 1, d/d std = the deviate itself."""
    avg, std = T.dscalar("avg"), T.dscalar("std")
    z = RandomStreams(1).normal((6,), avg=avg, std=std)
    f = tg.function([avg, std], [z, *tg.grad(z.sum(), [avg, std])])
    sample, by_avg, by_std = f(2.0, 3.0)
    assert by_avg == 6
    assert by_std == pytest.approx(((sample - 2) / 3).sum())


def test_a_dropout_mask_costs_no_host_call():
    x = T.fmatrix("x")
    masked = x * T.cast(RandomStreams(1).binomial(x.shape, p=0.8), "float32")
    f = tg.function([x], masked, mode=tg.Mode(target="numpy"))
    y = f(np.ones((300, 400), "float32"))
    assert abs(y.mean() - 0.8) < 0.01
    assert "philox_fill" in f.source()
