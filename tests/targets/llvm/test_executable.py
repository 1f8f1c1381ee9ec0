"""The llvm target computes what the numpy target does: every kind of nest, odd sizes, threads, errors."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T

pytest.importorskip("llvmlite")
LLVM, NUMPY = tg.Mode(target="llvm"), tg.Mode(target="numpy")


def arrays(rng, *shapes, dtype="float32"):
    if np.dtype(dtype).kind in "iu":
        return [rng.integers(0, 9, s).astype(dtype) for s in shapes]
    return [rng.normal(size=s).astype(dtype) for s in shapes]


def variables(values):
    return [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in values]


def check(build, *values, rtol=2e-5, atol=1e-6):
    """The same results, types and shapes from both targets."""
    inputs = variables(values)
    outputs = build(*inputs)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    got, expected = (tg.function(inputs, outputs, mode=m)(*values) for m in (LLVM, NUMPY))
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


SIZES = [(0, 3), (1, 1), (1, 5), (3, 16), (5, 17), (33, 31), (7, 64), (130, 3)]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_elementwise_and_broadcast(shape, dtype):
    rng = np.random.default_rng(0)
    x, y, row = arrays(rng, shape, shape, shape[1:], dtype=dtype)
    check(lambda x, y, r: [x * y + r, T.maximum(x, y) - r, T.switch(T.lt(x, r), x, y), (x + y).T, x[::-1] * y], x, y, row)
    if dtype[0] == "f":
        check(lambda x, y, r: [T.tanh(x) * T.exp(-abs(y)), T.sqrt(abs(x)) + T.log1p(abs(r)), T.erf(x + r)], x, y, row)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_reductions(shape, axis):
    x, y = arrays(np.random.default_rng(1), shape, shape)
    check(lambda x, y: [x.sum(axis=axis), (x * y).mean(axis=axis), T.prod(1 + x / 100, axis=axis)], x, y)
    if 0 not in shape:
        check(lambda x, y: [x.max(axis=axis), T.argmax(x * y, axis=axis), T.argmin(x, axis=axis), T.any(x > 1, axis=axis)], x, y)


def test_nan_and_ties_in_argmax():
    x = np.array([[1, 5, 5, 2], [np.nan, 1, 2, np.nan], [-np.inf] * 4, [0, np.inf, np.inf, 1]], "float32")
    wide = np.tile(x, (1, 9))
    v = T.fmatrix()
    f = tg.function([v], [T.argmax(v, axis=1), T.argmax(v, axis=0), T.argmin(v, axis=1), v.max(axis=1)], mode=LLVM)
    for got, expected in zip(f(wide), [wide.argmax(1), wide.argmax(0), wide.argmin(1), wide.max(1)], strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("shape, axis", [((1_000_003,), None), ((5001, 7), 0), ((9, 4003), 1), ((70, 80, 90), (0, 2))])
def test_sums_of_many_numbers_are_exact_to_a_few_roundings(shape, axis):
    x = np.random.default_rng(2).random(shape, dtype="float32")
    v = variables([x])[0]
    got = tg.function([v], v.sum(axis=axis), mode=LLVM)(x)
    np.testing.assert_allclose(got, x.astype("float64").sum(axis=axis), rtol=3e-7)


def test_sums_with_infinities():
    x = np.ones(5000, "float32")
    x[7] = np.inf
    v = T.fvector()
    f = tg.function([v], v.sum(), mode=LLVM)
    assert f(x) == np.inf and f(-x) == -np.inf
    x[4000] = -np.inf
    assert np.isnan(f(x))


@pytest.mark.parametrize("shape", [(2, 1, 9, 9), (3, 5, 8, 12), (4, 3, 28, 20)])
@pytest.mark.parametrize("filters, size", [(1, 1), (20, 5), (7, 2)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convolution_and_its_gradients(shape, filters, size, dtype):
    rng = np.random.default_rng(3)
    x, w = arrays(rng, shape, (filters, shape[1], size, size), dtype=dtype)

    def build(x, w):
        y = T.nnet.conv2d(x, w)
        return [y, *tg.grad(T.sum(T.tanh(y / 10)), [x, w])]

    check(build, x, w, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_network_of_convolution_and_pooling(batch):
    from tinygraph.tensor.signal import downsample

    rng = np.random.default_rng(4)
    x, w, b = arrays(rng, (batch, 2, 20, 20), (6, 2, 5, 5), (6,))

    def build(x, w, b):
        y = T.tanh(downsample.max_pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True) + b.dimshuffle("x", 0, "x", "x"))
        return [y, *tg.grad(T.sum(y**2), [x, w, b])]

    check(build, x, w, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("m, k, n", [(1, 7, 5), (16, 16, 16), (33, 1, 9), (5, 0, 3), (40, 130, 70)])
def test_products(m, k, n):
    a, b, c = arrays(np.random.default_rng(5), (m, k), (k, n), (m, n))
    check(lambda a, b, c: [T.tanh(T.dot(a, b) + c), T.dot(a.T, c), T.dot(c, b.T), T.dot(a, b).sum(axis=0)], a, b, c, rtol=1e-4, atol=1e-5)


def test_gathers_and_scatters():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(9, 33)).astype("float32")
    i, v = np.array([0, -1, 3, 3, 8]), rng.normal(size=(5, 33)).astype("float32")
    check(lambda x, i, v: [x[i] * 2, x[:, i].sum(axis=1), T.inc_subtensor(x[i], v), T.set_subtensor(x[i[:2]], v[:2])], x, i, v)


def test_an_index_out_of_range_names_the_line_that_built_it():
    x, i = T.fmatrix("x"), T.lvector("i")
    f = tg.function([x, i], T.exp(x)[i].sum(), mode=LLVM)
    with pytest.raises(IndexError, match="index 9 is out of range for a dimension of size 4") as caught:
        f(np.zeros((4, 40), "float32"), [0, 9])
    assert any("test_executable.py" in note for note in caught.value.__notes__)
    assert f(np.zeros((4, 40), "float32"), [0, -1]) == 80


def test_arguments_that_do_not_lie_in_a_row():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 50)).astype("float32")
    for view in (x.T, x[::2, ::3], x[::-1], x[5:, 7:]):
        check(lambda x: [T.tanh(x) + 1, x.sum(axis=0), x.sum(axis=1), T.dot(x, x.T)], view, rtol=1e-4, atol=1e-4)


def random_expression(rng, leaves, depth):
    """A composition of arithmetic, broadcasting, reductions and transposes of square matrices."""
    if depth == 0:
        return leaves[rng.integers(len(leaves))]
    x, y = (random_expression(rng, leaves, depth - 1) for _ in range(2))
    return [
        lambda: x + y, lambda: x * y, lambda: T.tanh(x) - y, lambda: T.maximum(x, y), lambda: x.T + y,
        lambda: x - y.mean(axis=1, keepdims=True), lambda: x + y.max(axis=0), lambda: T.dot(x, y) / 10,
        lambda: T.exp(-T.sqr(x)) * y, lambda: T.switch(T.gt(x, 0), x, y),
    ][rng.integers(10)]()  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions(seed):
    rng = np.random.default_rng(seed)
    values = arrays(rng, *[(int(rng.integers(1, 40)),) * 2] * 3, dtype="float64")
    check(lambda *leaves: [random_expression(rng2, leaves, 4) for rng2 in [np.random.default_rng(seed)]], *values, rtol=1e-9)


def test_threads_change_nothing():
    rng = np.random.default_rng(8)
    x, y = arrays(rng, (999, 301), (999, 301))
    inputs = variables([x, y])
    a, b = inputs
    outputs = [T.tanh(a) * b, (a * b).sum(axis=1), a.max(axis=0)]
    results = []
    for threads in (1, 3):
        with tg.config.change(threads=threads):
            results.append(tg.function(inputs, outputs, mode=LLVM)(x, y))
    for one, three in zip(*results, strict=True):
        assert np.array_equal(one, three)


def test_several_threads_call_one_function():
    v = T.fmatrix()
    f = tg.function([v], T.exp(T.tanh(v)).sum(axis=1), mode=LLVM)
    wrong = []

    def work(k):
        x = np.full((50 + k, 300), k / 10, "float32")
        for _ in range(20):
            if not np.allclose(f(x), 300 * np.exp(np.tanh(k / 10)), rtol=1e-5):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def _in_child(f, x, queue):
    queue.put(float(f(x)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork():
    v = T.fmatrix()
    f = tg.function([v], T.sum(T.exp(v)), mode=LLVM)
    x = np.zeros((600, 600), "float32")
    assert f(x) == 360000
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(f, x, queue))
    child.start()
    assert queue.get(timeout=30) == 360000
    child.join(10)
    assert f(x) == 360000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_ctrl_c_ends_a_long_loop():
    n = T.lscalar("n")
    v = T.fmatrix("v")
    r, _ = tg.scan(lambda h: T.tanh(h + np.float32(0.1)), outputs_info=[v], n_steps=n)
    f = tg.function([v, n], r[-1], mode=LLVM)
    x = np.zeros((300, 300), "float32")
    f(x, 3)
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            for _ in range(10_000):
                f(x, 1000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert f(x, 2).shape == (300, 300)


def test_the_code_can_be_read():
    v = T.fvector()
    f = tg.function([v], T.exp(v) * 2, mode=LLVM)
    f(np.zeros(3, "float32"))
    assert "define void" in f.source() and "fma" in f.source("optimised") and "ret" in f.source("asm")


@pytest.mark.parametrize("wrong", [1.5, None, [1.0]])
def test_a_trusted_argument_that_is_no_array_is_refused(wrong):
    a, b = T.dscalars("a", "b")
    f = tg.function([a, b], a + b, mode=LLVM)
    one = np.array(1.0)
    assert f(one, one) == 2
    f.trust_input = True
    with pytest.raises(tg.errors.TypeMismatch, match=f"expected a NumPy array.*{type(wrong).__name__}"):
        f(one, wrong)
    assert f(one, one) == 2


def test_borrowed_results_may_lie_in_another_result():
    x = T.dvector("x")
    y = T.exp(x)
    f = tg.function([x], [tg.Out(y[1:], borrow=True), y, tg.Out(y, borrow=True)], mode=LLVM)
    part, whole, again = f(np.zeros(3))
    assert part.tolist() == [1, 1] and whole.tolist() == again.tolist() == [1, 1, 1]


def test_ctrl_c_ends_a_scan_of_short_steps():
    code = """
import numpy as np, tinygraph as tg, tinygraph.tensor as T
w = tg.shared(np.zeros(2))
n = T.lscalar()
out, _ = tg.scan(lambda h: T.tanh(h) + 1, outputs_info=[w], n_steps=n)
f = tg.function([n], out[-1].sum(), updates=[(w, out[-1])], mode=tg.Mode(target="llvm"))
f(3)
before = w.get_value()
print("ready", flush=True)
try:
    f(300_000_000)
except KeyboardInterrupt:
    assert (w.get_value() == before).all()
    print("stopped", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    assert process.communicate(timeout=20)[0] == "stopped\n"
    assert time.perf_counter() - begin < 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity masks")
def test_a_process_bound_to_one_cpu_starts_no_helpers_and_idles_after_calls():
    code = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, tinygraph as tg, tinygraph.tensor as T
from tinygraph.targets.llvm.threads import get_pool
x = T.fmatrix()
f = tg.function([x], T.exp(x).sum(axis=1), mode=tg.Mode(target="llvm"))
for _ in range(20):
    f(np.ones((2000, 500), "float32"))
before = time.process_time()
time.sleep(1)
print(get_pool().size, get_pool().helpers, time.process_time() - before < 0.02)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout == "1 0 True\n"


def test_idleness_after_parallel_calls_costs_no_processor_time():
    v = T.fmatrix()
    f = tg.function([v], T.exp(v).sum(axis=1), mode=tg.Mode(target="llvm"))
    for _ in range(5):
        f(np.ones((3000, 500), "float32"))
    time.sleep(0.05)  # helpers stop spinning
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.02
