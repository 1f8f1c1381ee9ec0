"""Reductions of the llvm target: down columns, over whole arrays in parts, and next to each other, against NumPy."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T

pytest.importorskip("llvmlite")


def run(build, *values, threads=2):
    inputs = [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in values]
    with tg.config.change(threads=threads):
        return tg.function(inputs, build(*inputs), mode=tg.Mode(target="llvm"))(*values)


def normal(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# columns whose number is no multiple of any vector's lanes, fewer and more of them than a wide vector has
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("columns", [1, 7, 33, 255, 1027, 2048])
def test_sums_down_columns(columns, dtype):
    x = (normal(301, columns) * 10).astype(dtype)
    total, largest = run(lambda x: [x.sum(0), x.max(0)], x)
    np.testing.assert_allclose(total, x.astype("float64").sum(0), rtol=1e-5, atol=2e-3)
    np.testing.assert_array_equal(largest, x.max(0))


def test_several_reductions_of_one_column_and_what_follows_them():
    x, y = normal(200, 1500), normal(200, 1500, seed=1)
    a, b = run(lambda x, y: [T.sqrt((x * y).sum(0) ** 2 + 1), (x - x.mean(0)).max(0)], x, y)
    wide = x.astype("float64"), y.astype("float64")
    np.testing.assert_allclose(a, np.sqrt((wide[0] * wide[1]).sum(0) ** 2 + 1), rtol=1e-5)
    np.testing.assert_allclose(b, (wide[0] - wide[0].mean(0)).max(0), rtol=1e-5)


@pytest.mark.parametrize("shape, axis", [((1_000_003,), None), ((999, 1001), None), ((100_001, 3), 0),
                                         ((3, 100_001), 1), ((40, 7, 5001), (0, 2))])  # fmt: skip
@pytest.mark.parametrize("combine", ["sum", "prod", "max", "min"])
def test_long_reductions_to_few_results(shape, axis, combine):
    x = normal(*shape)
    if combine == "prod":
        x = (1 + x * 1e-3).astype("float32")
    got = run(lambda x: getattr(x, combine)(axis), x)
    want = getattr(x.astype("float64"), combine)(axis)
    rtol = 3e-4 if combine == "prod" else 2e-5  # each of a million products rounds
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-2 if combine == "sum" else 0)


def test_long_logical_and_integer_reductions():
    x = np.random.default_rng(0).integers(0, 2**20, 500_001)
    some, every, total = run(lambda x: [T.any(T.eq(x, x[-1])), T.all(x >= 0), x.sum()], x)
    assert some and every and total == x.sum()


def test_a_long_sum_is_as_good_as_pairwise_summation():
    x = np.random.default_rng(0).random(3_000_001, dtype=np.float32)
    exact = x.astype("float64").sum()
    assert abs(run(lambda x: x.sum(), x) - exact) <= 2e-7 * exact


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_results_do_not_depend_on_the_number_of_threads(axis):
    x = normal(1003, 1501)
    one, two, again = (run(lambda x: (x * x).sum(axis), x, threads=n) for n in (1, 2, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(two, again)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_products_without_a_matrix_product_in_them(axis):
    x, y = normal(257, 1300), normal(257, 1300, seed=1)
    got = run(lambda x, y: (x * y).sum(axis), x, y)
    np.testing.assert_allclose(got, (x.astype("float64") * y).sum(axis), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 3), (64, 1024), (33, 301)])
def test_layer_norm_and_its_gradients(shape):
    x, above = normal(*shape), normal(*shape, seed=1)
    scale, shift = normal(shape[1], seed=2), normal(shape[1], seed=3)

    def build(x, scale, shift, above):
        centred = x - x.mean(1, keepdims=True)
        out = centred / T.sqrt(T.sqr(centred).mean(1, keepdims=True) + np.float32(1e-5)) * scale + shift
        return [out, *tg.grad(None, [x, scale, shift], known_grads={out: above})]

    got = run(build, x, scale, shift, above)
    x, scale, shift, above = (v.astype("float64") for v in (x, scale, shift, above))
    centred = x - x.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    unit, g = centred / deviation, above * scale
    dx = (g - g.mean(1, keepdims=True) - unit * (g * unit).mean(1, keepdims=True)) / deviation
    for a, b in zip(got, [unit * scale + shift, dx, (above * unit).sum(0), above.sum(0)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
