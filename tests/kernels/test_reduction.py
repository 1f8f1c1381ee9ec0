"""Reductions, argmax and running sums against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import c_type, needs_emulator, out, run

pytestmark = needs_emulator

KINDS = {"sum": 0, "prod": 1, "max": 2, "min": 3, "argmax": 4, "argmin": 5}
PART = {np.dtype("float32"): np.dtype([("value", "f4"), ("pad", "i4"), ("index", "i8")])}


def values(shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(0.5, 1.5, shape).astype(dtype)
    return rng.integers(0, 2 if dtype == "bool" else 5, shape).astype(dtype)


def partial_array(kind, kept, splits, dtype):
    if splits == 1:
        return None
    return np.zeros((splits, kept), PART[np.dtype(dtype)] if kind.startswith("arg") else dtype)


def reduce(kind, x, axis_shape, splits=1, dtype="float32", blocks=(64, 2), layout=None, macros=None):
    """Reduce the middle of `axis_shape` (outer, size, inner); `layout` selects the strided kernel."""
    outer, size, inner = axis_shape
    kept, arg = outer * inner, kind.startswith("arg")
    result = np.dtype("int64") if arg else np.dtype(dtype)
    macros = {"TG_REDUCE": KINDS[kind], "TG_T": c_type(dtype), **(macros or {})}
    partial = partial_array(kind, kept, splits, dtype)
    args = [x, out(kept, result), partial, np.int64(kept), np.int64(size)]
    if layout is not None:
        name, block, args = "reduce_strided", blocks, [*args, np.array(layout, "int64")]
    elif inner == 1:
        name, block = "reduce_rows", blocks
    else:
        name, block, args = "reduce_columns", (32, 8), [*args, np.int64(inner)]
    found = run("reduction.cu", name, (2, splits), block, args, macros)
    if splits == 1:
        return found[0]
    return run(
        "reduction.cu",
        "reduce_partials",
        1,
        64,
        (found[1], out(kept, result), np.int64(kept), splits),
        macros,
    )[0]


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("shape", [(5, 37, 1), (1, 1000, 1), (3, 11, 7), (2, 5, 65), (4, 1, 1), (0, 5, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_layout(kind, shape, splits):
    x = values(shape)
    if kind == "prod":
        x = x ** np.float32(0.1)
    found = reduce(kind, x, shape, splits)
    np.testing.assert_allclose(found, getattr(np, kind)(x.astype("float64"), 1).ravel(), rtol=2e-5)


@pytest.mark.parametrize("splits", [1, 2])
@pytest.mark.parametrize("kind", ["sum", "max", "argmin"])
def test_any_axes_through_strides(kind, splits):
    """Axes 0 and 2 of a transposed 4-d array, as strides over the untransposed one."""
    x = values((3, 4, 5, 6))
    view = x.transpose(2, 0, 3, 1)
    steps, sizes = [s // x.itemsize for s in view.strides], view.shape
    layout = [2, sizes[1], sizes[3], steps[1], steps[3], 2, sizes[0], sizes[2], steps[0], steps[2]]
    flat = view.transpose(1, 3, 0, 2).reshape(sizes[1] * sizes[3], -1)
    found = reduce(kind, x, (len(flat), flat.shape[1], 1), splits, layout=layout)
    np.testing.assert_allclose(found, getattr(np, kind)(flat, 1), rtol=1e-5)


def test_ties_and_nan_in_argmax_and_argmin():
    x = np.array([[1, 3, 3, 0, 0], [np.nan, 5, np.nan, 1, 1], [2, 9, np.nan, 9, np.nan]], "float32")
    for kind in ("argmax", "argmin"):
        np.testing.assert_array_equal(reduce(kind, x, (3, 5, 1)), getattr(np, kind)(x, 1))
        np.testing.assert_array_equal(
            reduce(kind, np.repeat(x[..., None], 2, 2).copy(), (3, 5, 2))[::2], getattr(np, kind)(x, 1)
        )
    for kind in ("max", "min"):
        np.testing.assert_array_equal(reduce(kind, x, (3, 5, 1)), getattr(np, kind)(x, 1))


def test_empty_axes_give_the_identity():
    x = values((3, 0, 1))
    for kind, expected in (("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf)):
        np.testing.assert_array_equal(reduce(kind, x, (3, 0, 1)), [expected] * 3)


@pytest.mark.parametrize(
    "dtype, kind, macros",
    [("int32", "sum", {}), ("int8", "max", {}), ("bool", "max", {}), ("bool", "min", {})],
)
def test_integers_and_booleans(dtype, kind, macros):
    x = values((4, 50, 1), dtype)
    found = reduce(kind, x, (4, 50, 1), dtype=dtype, macros=macros)
    np.testing.assert_array_equal(found, getattr(np, kind)(x, 1)[:, 0])


def test_half_is_summed_in_float():
    x = np.full((2, 4000), 0.5, "float16")  # a sum in float16 would stop at 1024
    np.testing.assert_array_equal(reduce("sum", x, (2, 4000, 1), dtype="float16"), [2000, 2000])


def test_an_epilogue_makes_it_a_mean():
    x = values((3, 40, 1))
    np.testing.assert_allclose(
        reduce("sum", x, (3, 40, 1), macros={"TG_FINISH(value)": "((value) / 40)"}),
        x.mean(1)[:, 0],
        rtol=1e-5,
    )


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("kind", ["cumsum", "cumprod"])
@pytest.mark.parametrize("rows, size", [(3, 50), (2, 1000), (1, 257), (4, 1), (2, 0), (0, 5)])
def test_running_sums_and_products_of_rows(rows, size, kind, reverse):
    x = values((rows, size)) ** (0.02 if kind == "cumprod" else 1)
    x = x.astype("float32")
    chunk = 128
    chunks = max(1, -(-size // chunk))
    macros = {"TG_SCAN": int(kind == "cumprod"), "TG_CHUNK": chunk}
    sizes = (np.int64(rows), np.int64(size), reverse)
    grid = (chunks, max(1, rows))
    (sums,) = run("prefix_scan.cu", "scan_chunks", grid, 64, (x, out((rows, chunks)), *sizes), macros)
    (offsets,) = run(
        "prefix_scan.cu", "scan_offsets", 2, 64, (sums, np.int64(rows), np.int64(chunks)), macros
    )
    (y,) = run("prefix_scan.cu", "scan_rows", grid, 64, (x, out(x.shape), offsets, *sizes), macros)
    expected = getattr(np, kind)(x[:, ::-1] if reverse else x, axis=1, dtype="float64")
    np.testing.assert_allclose(y, expected[:, ::-1] if reverse else expected, rtol=1e-5)


@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sums_of_columns_in_place(reverse):
    x = values((2, 9, 5))
    sizes = (np.int64(2), np.int64(9), np.int64(5), reverse)
    (y, *_) = run("prefix_scan.cu", "scan_columns", 1, 32, (x, x, *sizes))
    expected = np.cumsum(x[:, ::-1] if reverse else x, axis=1)
    np.testing.assert_allclose(y, expected[:, ::-1] if reverse else expected, rtol=1e-5)


def test_one_chunk_needs_no_offsets():
    x = values((2, 100))
    (y,) = run("prefix_scan.cu", "scan_rows", (1, 2), 96, (x, out(x.shape), None, 2, 100, 0))
    np.testing.assert_allclose(y, np.cumsum(x, 1), rtol=1e-5)
