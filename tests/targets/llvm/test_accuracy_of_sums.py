"""Sums are pairwise or better, and the same bits come out each time: against float64, NumPy's long double, and themselves."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T

pytest.importorskip("llvmlite")

SHAPES = {
    "one long row": (2_000_003,),
    "rows": (40, 50_021),
    "columns": (50_021, 40),
    "a narrow column": (300_007, 1),
    "planes": (60, 70, 130),
}


def axes_of(shape):
    return [None, *range(len(shape)), *([(0, 2)] if len(shape) == 3 else [])]


CASES = [(name, axis) for name, shape in SHAPES.items() for axis in axes_of(shape)]


def compiled(build, x, threads=2):
    v = T.tensor(x.dtype.name, shape=(None,) * x.ndim)
    with tg.config.change(threads=threads):
        return tg.function([v], build(v), mode=tg.Mode(target="llvm"))


def pairwise_bound(x, axis):
    """What pairwise summation in blocks of 128 may be off by: (log2(n / 128) + 128 / 8) roundings of the magnitudes' sum.

    (Higham, Accuracy and Stability of Numerical Algorithms, 4.2.) A loop that adds one by one may be off by n.
    """
    n = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    eps = np.finfo(x.dtype).eps / 2
    return (np.log2(max(n / 128, 1)) + 16) * eps * abs(x).astype("longdouble").sum(axis)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, axis", CASES)
def test_sums_are_within_the_bound_of_pairwise_summation(name, axis, dtype):
    """Tenths, whose sum drifts when they are added one by one, and numbers of both signs and of many magnitudes."""
    rng = np.random.default_rng(1)
    tenths = np.full(SHAPES[name], 0.1, dtype)
    mixed = (rng.normal(size=SHAPES[name]) * 10.0 ** rng.integers(-6, 6, SHAPES[name])).astype(dtype)
    f = compiled(lambda v: v.sum(axis), tenths)
    for x in (tenths, mixed):
        exact = x.astype("longdouble").sum(axis)
        error = abs(f(x).astype("longdouble") - exact)
        assert (error <= pairwise_bound(x, axis) + abs(exact) * np.finfo(dtype).eps).all()


@pytest.mark.parametrize("name, axis", CASES)
def test_means_variances_and_norms_lose_nothing_to_the_length(name, axis):
    x = (np.random.default_rng(2).random(SHAPES[name]) + 1).astype("float32")
    mean, var, norm = compiled(lambda v: [v.mean(axis), v.var(axis), T.sqrt(T.sqr(v).sum(axis))], x)(x)
    wide = x.astype("float64")
    np.testing.assert_allclose(mean, wide.mean(axis), rtol=1e-6)
    np.testing.assert_allclose(var, wide.var(axis), rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(norm, np.sqrt((wide**2).sum(axis)), rtol=1e-6)


def test_a_sum_of_tenths_is_better_than_adding_one_by_one():
    x = np.full(2_000_000, 0.1, "float32")
    one_by_one = np.cumsum(x)[-1]
    exact = x.astype("float64").sum()
    assert abs(compiled(lambda v: v.sum(), x)(x) - exact) < abs(one_by_one - exact) / 1000


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name, axis", CASES)
def test_the_same_bits_come_out_each_time(name, axis, threads):
    x = np.random.default_rng(3).normal(size=SHAPES[name]).astype("float32")
    f = compiled(lambda v: [v.sum(axis), T.prod(1 + v / 1000, axis), T.sqr(v).mean(axis)], x, threads)
    first = f(x)
    for _ in range(4):
        for a, b in zip(f(x), first, strict=True):
            assert a.tobytes() == b.tobytes()


def test_a_training_step_gives_the_same_bits_each_time():
    """Products, sums over the batch and a softmax, on two threads: parameters after some steps, twice from the start."""
    rng = np.random.default_rng(4)
    x, y = T.fmatrix("x"), T.ivector("y")
    start = [(rng.normal(size=(300, 200)) / 20).astype("float32"), (rng.normal(size=(200, 10)) / 20).astype("float32")]
    weights = [tg.shared(v) for v in start]
    p = T.nnet.softmax(T.dot(T.tanh(T.dot(x, weights[0])), weights[1]))
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    rules = [(w, w - np.float32(0.1) * g) for w, g in zip(weights, tg.grad(cost, weights), strict=True)]
    with tg.config.change(threads=2):
        f = tg.function([x, y], cost, updates=rules, mode=tg.Mode(target="llvm"))
        data, labels = rng.normal(size=(400, 300)).astype("float32"), rng.integers(0, 10, 400).astype("int32")
        ends = []
        for _ in range(2):
            for w, v in zip(weights, start, strict=True):
                w.set_value(v)
            costs = [float(f(data, labels)) for _ in range(10)]
            ends.append((costs, *[w.get_value().tobytes() for w in weights]))
    assert ends[0] == ends[1] and ends[0][0][-1] < ends[0][0][0]
