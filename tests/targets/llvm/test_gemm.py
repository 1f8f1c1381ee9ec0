"""Products in code of our own against NumPy: odd sizes, both orders of the right matrix, sums into a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, function
from tinygraph.targets.llvm import executable

pytest.importorskip("llvmlite")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Products that did not go to BLAS."""
    made: list[Any] = []

    class Spy(executable.OwnProduct):
        def __init__(self, *arguments: Any):
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(executable, "OwnProduct", Spy)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, n, k", [(128, 625, 784), (24, 777, 299), (500, 130, 101), (161, 200, 130), (67, 1000, 64)])
def test_products_of_both_orders(m, n, k, dtype, own):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    x, y = T.matrix("x", dtype), T.matrix("y", dtype)
    exact = a.astype("longdouble") @ b.astype("longdouble")
    bound = np.abs(a).astype("longdouble") @ np.abs(b) * np.finfo(dtype).eps * k
    for right, value in ((y, b), (y.T, np.ascontiguousarray(b.T))):
        out = function([x, y], T.dot(x, right), mode=Mode(target="llvm"))(a, value)
        assert out.dtype == dtype and (np.abs(out - exact) <= bound).all()
    assert len(own) == 2


def test_one_kernel_serves_every_shape(own):
    x, y = T.fmatrix("x"), T.fmatrix("y")
    f = function([x, y], T.dot(x, y), mode=Mode(target="llvm"))
    ones = lambda *shape: np.ones(shape, "float32")  # noqa: E731
    f(ones(60, 900), ones(900, 640))
    before = set(executable._libraries)
    assert (f(ones(61, 901), ones(901, 639)) == 901).all()
    assert set(executable._libraries) == before and len(own) == 2


def test_what_lies_beyond_the_right_matrix_does_not_matter(own):
    rng = np.random.default_rng(1)
    a, whole = rng.standard_normal((70, 500)).astype("float32"), rng.standard_normal((500, 400)).astype("float32")
    whole[:, 301:] = np.nan
    x, y, z = T.fmatrix("x"), T.fmatrix("y"), T.fmatrix("z")
    f = function([x, y, z], [T.dot(x, y[:, :301]), T.dot(x, z[:301].T)], mode=Mode(target="llvm"))
    for out in f(a, whole, np.ascontiguousarray(whole.T)):
        np.testing.assert_allclose(out, a @ whole[:, :301], rtol=1e-4, atol=1e-4)
    assert len(own) == 2
