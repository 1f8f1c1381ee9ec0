"""float64 values become float16 as NumPy rounds them: once, halves to even."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T

pytest.importorskip("llvmlite")


def test_every_halfway_case_is_rounded_once():
    exact = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    halfway = (exact[1:] + exact[:-1]) / 2
    near = [np.nextafter(halfway, np.inf), np.nextafter(halfway, -np.inf)]
    special = [np.inf, np.nan, 65519.999999, 65520.0, 1e300, 1e-300, 0.0]
    values = np.concatenate([exact, halfway, *near, special])
    values = np.concatenate([values, -values])
    x = T.dvector("x")
    with tinygraph.config.change(target="llvm"):
        found = tinygraph.function([x], T.cast(x, "float16"))(values)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    assert np.array_equal(found.view(np.uint16), expected.view(np.uint16))


def test_a_mean_of_another_dtype():
    x = T.dmatrix("x")
    with tinygraph.config.change(target="llvm"):
        found = tinygraph.function([x], T.mean(x, dtype="float16"))([[1.0, 2.0], [3.0, 4.0]])
    assert found.dtype == np.float16 and found == 2.5
