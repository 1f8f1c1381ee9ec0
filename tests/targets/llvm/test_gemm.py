"""Products in code of our own against NumPy: odd sizes, matrices that lie by rows or by columns, sums of many blocks."""

from __future__ import annotations

import ctypes
from itertools import product
from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function

pytest.importorskip("llvmlite")

from tinygraph.targets.llvm import executable
from tinygraph.targets.llvm.gemm import OwnProduct, Share, product_text
from tinygraph.targets.llvm.machine import address_of
from tinygraph.targets.llvm.panels import PARAMS, Shape
from tinygraph.targets.llvm.products import Product


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


SIZES = [(128, 625, 784), (24, 777, 299), (500, 130, 101), (161, 200, 1300), (67, 1000, 64), (1000, 65, 70)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, n, k", SIZES)
def test_products_of_matrices_by_rows_and_by_columns(m, n, k, dtype, own):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    x, y = T.matrix("x", dtype), T.matrix("y", dtype)
    exact = a.astype("longdouble") @ b.astype("longdouble")
    bound = np.abs(a).astype("longdouble") @ np.abs(b) * np.finfo(dtype).eps * k
    lefts = (x, a), (x.T, np.ascontiguousarray(a.T))
    rights = (y, b), (y.T, np.ascontiguousarray(b.T))
    for (left, first), (right, second) in product(lefts, rights):
        out = function([x, y], T.dot(left, right), mode=Mode(target="llvm"))(first, second)
        assert out.dtype == dtype and (np.abs(out - exact) <= bound).all()
    assert len(own) == 4


@pytest.mark.parametrize("threads", [1, 2, 3, 6])
def test_parts_of_threads_cover_the_product(threads, own):
    rng = np.random.default_rng(2)
    a, b = (
        rng.standard_normal((251, 333)).astype("float32"),
        rng.standard_normal((333, 449)).astype("float32"),
    )
    x, y = T.fmatrix("x"), T.fmatrix("y")
    with config.change(threads=threads):
        out = function([x, y], [T.dot(x, y), T.dot(y.T, x.T)], mode=Mode(target="llvm"))(a, b)
    np.testing.assert_allclose(out[0], a @ b, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(out[1], (a @ b).T, rtol=1e-4, atol=1e-4)
    assert len(own) == 2


@pytest.mark.parametrize("k", [100, 1300])
def test_a_product_is_added_to_what_is_there(k):
    """As in a loop that sums products: the first block of the sum does not clear the result either."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((50, k)).astype("float32"), rng.standard_normal((k, 90)).astype("float32")
    out = rng.standard_normal((50, 90)).astype("float32")
    expected = out + a @ b
    moves = [0] * (2 * PARAMS)
    places = [x for i in range(3) for x in (i, 0, *moves)]
    slots = [50, 90, k, 111, k, 111, 90, 90, 1, 0, 0, 0, k, 90, *places]
    p = OwnProduct(Product("float32", slots, 50, False, 0), Share(Shape(6, 2, 4), 30, 48))
    run(p, [a, b, out])
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-3)


def run(p: OwnProduct, matrices: list[np.ndarray]) -> None:
    """All parts of a product, by one thread."""
    numbers = lambda *values: np.array(values, dtype=np.int64)  # noqa: E731
    table, params, slots = numbers(*map(address_of, matrices)), numbers(0), numbers(*p.slots)
    scratch = np.empty(p.scratch, dtype=np.uint8)
    context = numbers(*map(address_of, (table, params, slots, scratch)), p.scratch, 0, 0)
    kernel = executable.load(product_text(*p.kind)).address("kernel")
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(kernel)(address_of(context), 0, p.parts, 0)


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
    a, whole = (
        rng.standard_normal((70, 500)).astype("float32"),
        rng.standard_normal((500, 400)).astype("float32"),
    )
    whole[:, 301:] = np.nan
    x, y, z = T.fmatrix("x"), T.fmatrix("y"), T.fmatrix("z")
    f = function([x, y, z], [T.dot(x, y[:, :301]), T.dot(x, z[:301].T)], mode=Mode(target="llvm"))
    for out in f(a, whole, np.ascontiguousarray(whole.T)):
        np.testing.assert_allclose(out, a @ whole[:, :301], rtol=1e-4, atol=1e-4)
    assert len(own) == 2
