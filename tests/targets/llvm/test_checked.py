"""``config.bounds_check``: kernels that reach outside of their buffers are caught, and right ones run as before."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import OutOfBuffer
from tinygraph.graph.op import Op

pytest.importorskip("llvmlite")
LLVM = tg.Mode(target="llvm")


@pytest.fixture(autouse=True)
def checked():
    with tg.config.change(bounds_check=True):
        yield


@pytest.fixture
def displaced(monkeypatch):
    """``displaced(kind, n)``: kernels that find the first element of such buffers ``n`` elements off; never stored."""
    from llvmlite import ir

    from tinygraph.targets.llvm import printed
    from tinygraph.targets.llvm.kernel import KernelPrinter
    from tinygraph.targets.llvm.machine import engine

    monkeypatch.setattr(engine(), "cache", None)
    monkeypatch.setattr(printed, "_kernels", {})
    right = KernelPrinter._start

    def displace(kind, n):
        def wrong(self, a):
            start = right(self, a)
            return self.top.add(start, ir.Constant(start.type, n)) if a.buffer.kind == kind else start

        monkeypatch.setattr(KernelPrinter, "_start", wrong)

    return displace


def elementwise(x):
    return T.exp(x) * 2


def contraction(x):
    return T.nnet.conv2d(x.reshape((1, 1, 1, -1)), np.ones((1, 1, 1, 3), "float32"))


def reduction(x):
    return (x * x).sum()


def gather(x):
    return x[T.constant(np.array([0, 1, 0]))] + 1


@pytest.mark.parametrize("n", [1, -1, 1000, -1000])
@pytest.mark.parametrize("size", [3, 16, 37, 400])
@pytest.mark.parametrize("build", [elementwise, contraction, reduction, gather])
def test_a_read_outside_of_its_buffer_is_caught(displaced, build, size, n):
    if build is gather and n == 1:
        pytest.skip("still inside")
    displaced("input", n)
    x = T.fvector("x")
    f = tg.function([x], build(x), mode=LLVM)
    with pytest.raises(OutOfBuffer, match=rf"a read -?\d+ bytes from .* input buffer x .* of {4 * size} bytes"):
        f(np.ones(size, "float32"))


@pytest.mark.parametrize("kind", ["output", "update"])
@pytest.mark.parametrize("n", [2, -1, 100_000])
def test_a_write_outside_is_caught_names_the_line_and_changes_nothing(displaced, kind, n):
    displaced(kind, n)
    w = tg.shared(np.ones(37))
    x = T.dvector("x")
    f = tg.function([x], T.exp(x) * 3, updates=[(w, w + x)], mode=LLVM)
    with pytest.raises(OutOfBuffer, match=f"a write .* {kind} buffer") as caught:
        f(np.ones(37))
    assert "test_checked.py" in "".join(caught.value.__notes__)
    assert w.get_value().tolist() == [1] * 37


def test_a_buffer_that_is_kept_in_scratch_memory_is_checked_too(displaced):
    displaced("temp", 5000)
    x = T.fmatrix("x")
    f = tg.function([x], T.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1), mode=LLVM)
    with pytest.raises(OutOfBuffer):
        f(np.ones((9, 20), "float32"))


class Careless(Op):
    """Twice ``x``, by a routine that writes one element more than there is room for, before or behind."""

    __props__ = ("where",)

    def __init__(self, where):
        self.where = where

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        return (2 * x,)

    def lower(self, b, node, inputs):
        def run(x, out):
            wide = np.lib.stride_tricks.as_strided(out, (len(out) + 1,))
            wide[...] = 7
            if self.where == "before":
                np.lib.stride_tricks.as_strided(out[::-1], (len(out) + 1,))[...] = 7

        return b.routine("careless", inputs, [(inputs[0].shape, inputs[0].dtype)], run)


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("follow", [lambda y: y, lambda y: T.exp(y).sum()], ids=["output", "temporary"])
def test_what_writes_next_to_a_buffer_without_being_a_kernel_is_named(where, follow):
    x = T.dvector("x")
    f = tg.function([x], follow(Careless(where)(x)), mode=LLVM)
    with pytest.raises(OutOfBuffer, match="wrote next to") as caught:
        f(np.zeros(5))
    assert "Careless" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("size", [0, 1, 5, 16, 33, 400])
def test_right_kernels_give_the_same_as_unchecked_ones(size):
    x, m = T.fvector("x"), T.fmatrix("m")
    w = tg.shared(np.ones(7, "float32"))
    outs = [elementwise(x), reduction(x), T.dot(m, m.T), T.nnet.softmax(m), m[::-1, ::2].sum(0), T.exp(m).T]
    values = np.linspace(-1, 1, size).astype("float32"), np.linspace(0, 1, 21, dtype="float32").reshape(3, 7)
    f = tg.function([x, m], outs, updates=[(w, w + m.sum(0))], mode=LLVM)
    with tg.config.change(bounds_check=False):
        g = tg.function([x, m], outs, mode=LLVM)
        expected = g(*values)
    for _ in range(2):
        for a, b in zip(f(*values), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(w.get_value(), 1 + 2 * values[1].sum(0), rtol=1e-5)
    assert f.source() != g.source()
