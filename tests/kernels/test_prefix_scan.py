"""Running sums and products: chunks of long rows, columns, wider results."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import needs_emulator, out, run

pytestmark = needs_emulator


def values(shape):
    return np.random.default_rng(0).random(shape).astype("float32") + np.float32(0.5)


@pytest.mark.parametrize("kind", ["cumsum", "cumprod"])
@pytest.mark.parametrize("rows, size", [(3, 50), (2, 1000), (1, 257), (4, 1), (2, 0), (0, 5)])
def test_running_sums_and_products_of_rows(rows, size, kind):
    x = values((rows, size)) ** (0.02 if kind == "cumprod" else 1)
    x = x.astype("float32")
    chunk = 128
    chunks = max(1, -(-size // chunk))
    macros = {"TG_SCAN": int(kind == "cumprod"), "TG_CHUNK": chunk}
    sizes = (np.int64(rows), np.int64(size))
    grid = (chunks, max(1, rows))
    (sums,) = run("prefix_scan.cu", "scan_chunks", grid, 64, (x, out((rows, chunks)), *sizes), macros)
    (offsets,) = run(
        "prefix_scan.cu", "scan_offsets", 2, 64, (sums, np.int64(rows), np.int64(chunks)), macros
    )
    (y,) = run("prefix_scan.cu", "scan_rows", grid, 64, (x, out(x.shape), offsets, *sizes), macros)
    expected = getattr(np, kind)(x, axis=1, dtype="float64")
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_running_sums_of_columns():
    x = values((2, 9, 5))
    sizes = (np.int64(2), np.int64(9), np.int64(5))
    (y,) = run("prefix_scan.cu", "scan_columns", 1, 32, (x, out(x.shape), *sizes))
    expected = np.cumsum(x, axis=1)
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_one_chunk_needs_no_offsets():
    x = values((2, 100))
    (y,) = run("prefix_scan.cu", "scan_rows", (1, 2), 96, (x, out(x.shape), None, 2, 100))
    np.testing.assert_allclose(y, np.cumsum(x, 1), rtol=1e-5)


def test_results_may_be_wider_than_the_elements():
    x = np.array([[100, 100, 100], [-100, 1, 2]], "int8")
    macros = {"TG_T": "signed char", "TG_OUT": "i64"}
    (y,) = run("prefix_scan.cu", "scan_rows", (1, 2), 32, (x, out(x.shape, "int64"), None, 2, 3), macros)
    np.testing.assert_array_equal(y, np.cumsum(x, 1, dtype="int64"))
