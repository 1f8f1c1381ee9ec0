"""The BLAS under NumPy: found, called by address from Python and from native code, its threads bounded."""

from __future__ import annotations

import ctypes
import types

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir  # noqa: E402

import tinygraph.tensor as T  # noqa: E402
from tinygraph import Mode, config, function  # noqa: E402
from tinygraph.errors import InvalidValue  # noqa: E402
from tinygraph.targets.llvm import blas as blas_module  # noqa: E402
from tinygraph.targets.llvm import executable  # noqa: E402
from tinygraph.targets.llvm.blas import NO_TRANS, ROUTINES, ROW_MAJOR, TRANS, find_blas, search  # noqa: E402
from tinygraph.targets.llvm.engine import Engine  # noqa: E402

DTYPES = {"s": np.float32, "d": np.float64}
UPPER, LEFT, NON_UNIT = 121, 141, 131


@pytest.fixture(scope="module")
def blas():
    found = find_blas()
    if found is None:
        pytest.skip("NumPy's BLAS has no C interface here")
    return found


def numbers(*shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-4 if got.dtype == np.float32 else 1e-12, atol=1e-5)


def call(blas, routine, *arguments):
    """Arrays go as their addresses."""
    plain = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    return blas.function(routine)(*plain)


@pytest.mark.parametrize("p", DTYPES)
def test_matrix_products(blas, p):
    a, b, c = (numbers(*s, dtype=DTYPES[p], seed=k) for k, s in enumerate([(3, 4), (4, 5), (3, 5)]))
    want = 2 * a @ b + 0.5 * c
    call(blas, p + "gemm", ROW_MAJOR, NO_TRANS, NO_TRANS, 3, 5, 4, 2.0, a, 4, b, 5, 0.5, c, 5)
    close(c, want)
    at, got = np.ascontiguousarray(a.T), np.zeros((3, 5), DTYPES[p])
    call(blas, p + "gemm", ROW_MAJOR, TRANS, NO_TRANS, 3, 5, 4, 1.0, at, 3, b, 5, 0.0, got, 5)
    close(got, a @ b)


@pytest.mark.parametrize("p", DTYPES)
def test_routines_on_vectors(blas, p):
    x, y = numbers(6, dtype=DTYPES[p]), numbers(6, dtype=DTYPES[p], seed=1)
    assert call(blas, p + "dot", 6, x, 1, y, 1) == pytest.approx(float(x @ y), rel=1e-5)
    assert call(blas, p + "dot", 3, x, 2, y, 2) == pytest.approx(float(x[::2] @ y[::2]), rel=1e-5)
    assert call(blas, p + "nrm2", 6, x, 1) == pytest.approx(float(np.linalg.norm(x)), rel=1e-5)
    want = y + 3 * x
    call(blas, p + "axpy", 6, 3.0, x, 1, y, 1)
    close(y, want)
    call(blas, p + "scal", 6, 0.5, y, 1)
    close(y, want / 2)


@pytest.mark.parametrize("p", DTYPES)
def test_routines_on_a_matrix_and_vectors(blas, p):
    a = numbers(3, 4, dtype=DTYPES[p])
    x, y = numbers(4, dtype=DTYPES[p], seed=1), numbers(3, dtype=DTYPES[p], seed=2)
    want = 2 * a @ x + y
    call(blas, p + "gemv", ROW_MAJOR, NO_TRANS, 3, 4, 2.0, a, 4, x, 1, 1.0, y, 1)
    close(y, want)
    outer = a + 0.5 * np.outer(y, x)
    call(blas, p + "ger", ROW_MAJOR, 3, 4, 0.5, y, 1, x, 1, a, 4)
    close(a, outer)


@pytest.mark.parametrize("p", DTYPES)
def test_routines_on_symmetric_and_triangular_matrices(blas, p):
    full = numbers(4, 4, dtype=DTYPES[p])
    square = full @ full.T + 4 * np.eye(4, dtype=DTYPES[p])
    x = numbers(4, dtype=DTYPES[p], seed=1)
    y = np.zeros(4, DTYPES[p])
    call(blas, p + "symv", ROW_MAJOR, UPPER, 4, 1.0, square, 4, x, 1, 0.0, y, 1)
    close(y, square @ x)
    call(blas, p + "trsv", ROW_MAJOR, UPPER, NO_TRANS, NON_UNIT, 4, square, 4, y, 1)
    close(np.triu(square) @ y, square @ x)
    many = numbers(4, 3, dtype=DTYPES[p], seed=2)
    want = np.linalg.solve(np.triu(square), many)
    call(blas, p + "trsm", ROW_MAJOR, LEFT, UPPER, NO_TRANS, NON_UNIT, 4, 3, 1.0, square, 4, many, 3)
    close(many, want)
    gram = np.zeros((4, 4), DTYPES[p])
    call(blas, p + "syrk", ROW_MAJOR, UPPER, NO_TRANS, 4, 4, 1.0, full, 4, 0.0, gram, 4)
    close(np.triu(gram), np.triu(full @ full.T))


def test_every_routine_is_there(blas):
    assert set(blas.addresses) == set(ROUTINES)


@pytest.mark.parametrize("p, element", [("s", ir.FloatType()), ("d", ir.DoubleType())])
def test_native_code_calls_it_by_name(blas, p, element):
    module = ir.Module()
    pointer, i32, integer = ir.PointerType(), ir.IntType(32), ir.IntType(blas.int_bits)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 3), "product")
    builder = ir.IRBuilder(function.append_basic_block())
    a, b, c = function.args
    m, n, k = integer(3), integer(5), integer(4)
    builder.call(
        blas.declare(module, p + "gemm"),
        [i32(ROW_MAJOR), i32(NO_TRANS), i32(NO_TRANS), m, n, k, element(1), a, k, b, n, element(0), c, n],
    )
    builder.ret_void()
    library = Engine(symbols=blas.symbols).load(module, ["product"])
    product = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(library.address("product"))
    x, y, z = (numbers(*s, dtype=DTYPES[p]) for s in [(3, 4), (4, 5), (3, 5)])
    product(x.ctypes.data, y.ctypes.data, z.ctypes.data)
    close(z, x @ y)


def test_declaring_twice_gives_one_declaration(blas):
    module = ir.Module()
    assert blas.declare(module, "sgemv") is blas.declare(module, "sgemv")


def test_an_unknown_routine_is_refused(blas):
    with pytest.raises(InvalidValue, match="blas: expected one of daxpy, .*, got 'qgemm'"):
        blas.address("qgemm")


def test_threads_are_limited_for_a_while(blas):
    if blas.threads is None:
        pytest.skip("this BLAS does not say how many threads it uses")
    before = blas.threads
    blas.set_threads(2)
    try:
        with blas.limited(1):
            assert blas.threads == 1
            with blas.limited(4):
                assert blas.threads == 1
        assert blas.threads == 2
        with pytest.raises(InvalidValue, match="expected at least 1 thread, got 0"):
            blas.set_threads(0)
    finally:
        blas.set_threads(before)


def stub(address, *names):
    function = ctypes.CFUNCTYPE(None)(address)
    return types.SimpleNamespace(**dict.fromkeys(names, function))


def test_other_spellings_are_understood(blas):
    address = blas.address("sgemm")
    for spelling, bits in [("cblas_{}", 32), ("cblas_{}64_", 64), ("cblas_{}$NEWLAPACK$ILP64", 64)]:
        found = search(stub(address, spelling.format("sgemm"), spelling.format("dgemm")))
        assert found.int_bits == bits and set(found.addresses) == {"sgemm", "dgemm"}
        assert found.threads is None and not found.set_threads(1)
        with found.limited(1):
            pass


def test_a_library_without_both_products_is_no_blas(blas, monkeypatch):
    only_one = stub(blas.address("sgemm"), "cblas_sgemm")
    assert search(only_one) is None
    monkeypatch.setattr(blas_module, "_libraries", lambda: iter([only_one, stub(1, "nothing")]))
    assert find_blas.__wrapped__() is None


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [503, 900])
@pytest.mark.parametrize("own", [True, False])
def test_long_products_are_several_shares_that_an_interrupt_may_come_between(blas, monkeypatch, own, rows, threads):
    monkeypatch.setattr(executable, "_UNINTERRUPTED", 50_000_000)
    if not own:
        monkeypatch.setattr(executable, "own_share", lambda *_: None)
    found = []
    original = executable.LlvmExecutable._kernel

    def spy(self, library, slots, extent, grain, i):
        found.append((extent, grain))
        original(self, library, slots, extent, grain, i)

    monkeypatch.setattr(executable.LlvmExecutable, "_kernel", spy)
    x, w = T.fmatrix("x"), T.fmatrix("w")
    a, b = numbers(rows, 801, dtype=np.float32), numbers(801, 602, dtype=np.float32, seed=1)
    with config.change(threads=threads):
        close(function([x, w], T.dot(x, w), mode=Mode(target="llvm"))(a, b) / 30, a @ b / 30)
    ((extent, grain),) = found
    assert grain and -(-extent // grain) >= rows * 801 * 602 // 50_000_000
