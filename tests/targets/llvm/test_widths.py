"""Kernels for vectors of 4, 8 and 16 lanes compute the same, tails included; for aarch64 they compile."""

from dataclasses import dataclass

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.tensor.shared_randomstreams import RandomStreams
from tinygraph.tensor.signal import downsample

pytest.importorskip("llvmlite")

from tinygraph.targets.llvm import executable, printed  # noqa: E402
from tinygraph.targets.llvm import machine as vm  # noqa: E402
from tinygraph.targets.llvm.engine import Engine, Target, host_target  # noqa: E402
from tinygraph.targets.llvm.kernel import KernelPrinter  # noqa: E402


@dataclass(frozen=True)
class Narrow(Target):
    """The host, with registers of so many bits."""

    bits: int = 128

    @property
    def vector_bits(self) -> int:
        return self.bits


@pytest.fixture(params=[128, 256, 512])
def width(request, monkeypatch):
    """Kernels for registers of so many bits (the processor may have others: LLVM splits or widens them)."""
    host = host_target()
    narrow = Engine(Narrow(host.triple, host.cpu, host.features, request.param))
    narrow.symbols.update(vm.engine().symbols)
    monkeypatch.setattr(vm, "engine", lambda: narrow)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable, "_libraries", {})
    return request.param


def softmax_step(x, y):
    z = T.nnet.softmax(x)
    cost = -T.mean(T.log(z)[T.arange(y.shape[0]), y])
    return [cost, tg.grad(cost, x)]


def draws(x):
    streams = RandomStreams(5)
    return [x * streams.binomial(size=x.shape, p=0.5, dtype="float32"), streams.uniform(size=x.shape, dtype="float64")]


def pooled(x, w):
    image = x.reshape((2, 1, 17, 13))
    out = T.tanh(downsample.max_pool_2d(T.nnet.conv2d(image, w), ds=(2, 2), ignore_border=True))
    return [out, tg.grad(out.sum(), w)]


def values(*shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 7, shape).astype(dtype) if dtype[0] == "i" else rng.normal(size=shape).astype(dtype)


WORKS = {
    "elementwise": (lambda x: [T.exp(-x * x) * T.sin(x) + T.log1p(abs(x)), x > 0, T.cast(x * 9, "int64")], (23, 19)),
    "doubles": (lambda x: [T.tanh(T.cast(x, "float64")) + 1, T.erf(x)], (5, 37)),
    "reductions": (lambda x: [x.sum(0), x.sum(1), x.max(), T.argmax(x, axis=1), T.argmin(x, axis=0)], (41, 29)),
    "wide columns": (lambda x: [x.sum(0), (x * x).mean(0), x.max(0)], (150, 1301)),
    "long sums": (lambda x: [x.sum(), abs(x).max()], (300, 1001)),
    "every second": (lambda x: [x[::2, 1::2] + 1, x[:, ::-1] * 2, x.T + 0.5], (21, 35)),
    "gathers": (lambda x: [x[T.arange(3), T.arange(3) * 2], T.inc_subtensor(x[T.arange(4)], 1)], (9, 11)),
    "draws": (draws, (33, 125)),
}


def run(build, *arrays, target="llvm"):
    inputs = [T.tensor(a.dtype.name, shape=(None,) * a.ndim) for a in arrays]
    return tg.function(inputs, build(*inputs), mode=tg.Mode(target=target))(*arrays)


def expect_as_numpy(build, *arrays):
    for a, b in zip(run(build, *arrays), run(build, *arrays, target="numpy"), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("work", WORKS)
def test_every_width_computes_the_same(width, work):
    build, shape = WORKS[work]
    expect_as_numpy(build, values(*shape))


@pytest.mark.parametrize("shape", [(3, 1), (5, 10), (7, 65)])
def test_every_width_of_softmax_and_its_gradient(width, shape):
    expect_as_numpy(softmax_step, values(*shape), values(shape[0], dtype="int32") % shape[1])


def test_every_width_of_convolution_and_pooling(width):
    expect_as_numpy(pooled, values(2, 221), values(3, 1, 4, 4))


def test_the_width_is_that_of_the_target(width):
    x = T.fvector("x")
    source = tg.function([x], x * 2 + 1, mode=tg.Mode(target="llvm"))
    source(np.ones(100, "float32"))
    assert f"<{width // 32} x float>" in source.source()


def test_kernels_compile_for_aarch64(monkeypatch):
    groups = []

    def keep(group, engine, checked=False):
        groups.append(group)
        return printed.kernel(group, engine, checked)

    monkeypatch.setattr(executable, "kernel", keep)
    for build, shape in WORKS.values():
        run(build, values(*shape))
    run(softmax_step, values(5, 10), values(5, dtype="int32"))
    run(pooled, values(2, 221), values(3, 1, 4, 4))
    assert len(groups) > 20
    engine = Engine(Target("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon"))
    for group in groups:
        text = KernelPrinter(group, 128, triple=engine.target.triple, features=engine.target.features).print().text
        assembly = engine.assembly(text)
        assert "kernel:" in assembly and "zmm" not in assembly and "xmm" not in assembly
