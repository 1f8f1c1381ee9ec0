"""Take, scatter-add by atomics and in a fixed order, against NumPy's fancy indexing."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import c_type, from_bf16, needs_emulator, out, run, to_bf16

pytestmark = needs_emulator

# each a tuple of outer, size, inner and count
CASES = [(2, 5, 3, 7), (1, 9, 1, 300), (3, 4, 1, 1), (1, 6, 33, 5), (2, 3, 4, 0), (0, 3, 4, 2)]


def problem(case, dtype="float32", seed=0):
    outer, size, inner, count = case
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((outer, size, inner)), rng.standard_normal((outer, count, inner))
    return (
        (x * 4).astype(dtype),
        rng.integers(-size, size, count),
        (y * 4).astype(dtype),
        tuple(map(np.int64, case)),
    )


@pytest.mark.parametrize("label", ["i64", "int"])
@pytest.mark.parametrize("case", CASES)
def test_gather(case, label):
    x, indices, y, sizes = problem(case)
    indices, macros = indices.astype({"i64": "int64", "int": "int32"}[label]), {"TG_LABEL": label}
    found, error = run(
        "gather.cu", "gather", 2, 64, (x, indices, out(y.shape), *sizes, np.zeros(1, "int32")), macros
    )
    np.testing.assert_array_equal(found, x[:, indices])
    assert not error[0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("case", CASES)
def test_scatter_add_by_atomics(case, dtype):
    x, indices, y, sizes = problem(case, dtype)
    expected = x.astype("float64")
    np.add.at(expected, (slice(None), indices), y)
    (found,) = run(
        "gather.cu", "scatter_add", 2, 64, (x, indices, y, *sizes, None), {"TG_T": c_type(dtype)}, exact=False
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("c_name", ["half_t", "bf16_t"])
def test_scatter_add_of_16_bit_floats(c_name):
    """Small integers are exact in both formats, so that the order of the atomics does not show."""
    rng = np.random.default_rng(0)
    x, y, indices = rng.integers(0, 4, (1, 5, 3)), rng.integers(0, 4, (1, 20, 3)), rng.integers(0, 5, 20)
    expected = x.copy()
    np.add.at(expected, (slice(None), indices), y)
    store, load = (np.float16, np.float32) if c_name == "half_t" else (to_bf16, from_bf16)
    args = (store(x), indices, store(y), 1, 5, 3, 20, None)
    (found,) = run("gather.cu", "scatter_add", 2, 32, args, {"TG_T": c_name})
    np.testing.assert_array_equal(load(found), expected)


@pytest.mark.parametrize("case", CASES)
def test_sorted_scatter_is_the_same_bits_in_every_run(case):
    x, indices, y, sizes = problem(case)
    indices %= case[1]
    order = np.argsort(indices, kind="stable")
    expected = x.copy()
    np.add.at(expected, (slice(None), indices), y)
    args = (x, indices, order, y, *sizes, None)
    (found,) = run("gather.cu", "scatter_add_sorted", 2, 64, args)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    expected = x.copy()
    expected[:, indices] = y
    (found,) = run("gather.cu", "scatter_set_sorted", 2, 64, args)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", ["gather", "scatter_add"])
def test_an_index_out_of_range_is_reported_and_touches_nothing(kernel):
    x, _, y, sizes = problem((1, 4, 2, 3))
    indices = np.array([0, 4, -5])
    target = out(y.shape) if kernel == "gather" else y
    first, *rest = run(
        "gather.cu", kernel, 1, 32, (x, indices, target, *sizes, np.zeros(1, "int32")), exact=False
    )
    assert rest[-1][0] == 1
    if kernel == "gather":
        np.testing.assert_array_equal(first[0, 1:], 0)
    else:
        np.testing.assert_array_equal(first[0, 1:], x[0, 1:])
