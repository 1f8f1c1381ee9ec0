"""Native functions called at once, within each other, beside Python, and with as many threads as one asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.compile.ops import as_op

LLVM = tg.Mode(target="llvm")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def recurrent():
    """A loop whose rows the threads share out."""
    x, h, w = T.ftensor3("x"), T.fmatrix("h"), T.fmatrix("w")
    out, _ = tg.scan(lambda x, h, w: T.tanh(x + T.dot(h, w)), sequences=[x], outputs_info=[h], non_sequences=[w])
    values = numbers(20, 64, 96), numbers(64, 96, seed=1), numbers(96, 96, seed=2) / 10
    return tg.function([x, h, w], [out[-1], *tg.grad(T.sqr(out).sum(), [x, w])], mode=LLVM), values


def dense():
    """Products, elementwise work and sums, large enough for threads."""
    x, w = T.fmatrix("x"), T.fmatrix("w")
    out = T.tanh(T.dot(x, w))
    return tg.function([x, w], [out.sum(0), T.exp(out).mean(), tg.grad(T.sqr(out).sum(), w)], mode=LLVM), (
        numbers(500, 300), numbers(300, 200, seed=1),
    )  # fmt: skip


def convolved():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    out = T.nnet.conv2d(x, w)
    values = numbers(20, 3, 20, 20), numbers(8, 3, 5, 5)
    return tg.function([x, w], [out, *tg.grad(T.sqr(out).sum(), [x, w])], mode=LLVM), values


def at_once(*works):
    """Run functions without arguments, each in a thread of its own; what they raised."""
    raised = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not any(t.is_alive() for t in threads)
    return raised


@pytest.mark.parametrize("threads", [1, 2])
def test_different_functions_called_at_once_give_what_they_give_alone(threads):
    with tg.config.change(threads=threads):
        works = [make() for make in (recurrent, dense, convolved)]
        alone = [f(*values) for f, values in works]

    def repeat(k):
        (f, values), expected = works[k], alone[k]
        for _ in range(15):
            for a, b in zip(f(*values), expected, strict=True):
                np.testing.assert_array_equal(a, b)

    assert at_once(*[lambda k=k: repeat(k) for k in (0, 1, 2, 0)]) == []


def test_first_calls_of_one_function_at_once_compile_it_rightly():
    f, values = dense()
    expected = dense()[0](*values)
    found = [None] * 4

    def call(k):
        found[k] = f(*values)

    assert at_once(*[lambda k=k: call(k) for k in range(4)]) == []
    for outs in found:
        for a, b in zip(outs, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_an_error_in_one_call_is_no_concern_of_another_at_the_same_time():
    x, i = T.fmatrix("x"), T.lvector("i")
    f = tg.function([x, i], T.exp(x)[i].sum(), mode=LLVM)
    value, right, wrong = np.zeros((500, 400), "float32"), np.arange(500), np.array([7, 500])
    f(value, right)

    def succeed():
        for _ in range(60):
            assert f(value, right) == 500 * 400

    def fail():
        for _ in range(60):
            with pytest.raises(IndexError, match="index 500 is out of range"):
                f(value, wrong)

    assert at_once(succeed, fail, succeed, fail) == []


def test_a_function_may_call_another_and_itself_from_a_python_op():
    inner, values = dense()
    x = T.fmatrix("x")
    calls = []

    @as_op(itypes=[T.fmatrix], otypes=[T.fmatrix])
    def halve_until_small(v):
        calls.append(len(calls))
        inner(*values)
        small = abs(v).max() < 1
        return v if small else outer(v / 2)

    outer = tg.function([x], halve_until_small(T.tanh(x) * 0 + x) + T.exp(x) * 0, mode=LLVM)
    value = numbers(400, 300)
    value[0, 0] = 6.0
    np.testing.assert_allclose(outer(value), value / 8)
    assert len(calls) == 4


def test_other_threads_of_python_run_during_a_long_call():
    h, n = T.fmatrix("h"), T.lscalar("n")
    out, _ = tg.scan(lambda h: T.tanh(h + np.float32(0.1)), outputs_info=[h], n_steps=n)
    f = tg.function([h, n], out[-1], mode=LLVM)
    value = numbers(200, 200)
    f(value, 2)
    turns, done = [0], threading.Event()

    def count():
        while not done.is_set():
            turns[0] += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    before, begin = turns[0], time.perf_counter()
    f(value, 3000)
    took, after = time.perf_counter() - begin, turns[0]
    done.set()
    counter.join()
    assert after - before > 5 and took > 0.05


SETTING = """
import numpy as np, tinygraph as tg, tinygraph.tensor as T
from tinygraph.targets.llvm.threads import get_pool
get_pool().resize(SIZE)
x = T.fmatrix()
f = tg.function([x], [T.exp(x).sum(axis=1), T.tanh(x)], mode=tg.Mode(target="llvm"))
for _ in range(20):
    f(np.ones((2000, 500), "float32"))
print(get_pool().helpers)
"""


@pytest.mark.parametrize("size", [1, 8], ids=["one processor", "eight processors"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_setting_of_threads_is_how_many_there_are(threads, size):
    """Fewer than there are processors too: a program has scratch memory for no more."""
    environment = {**os.environ, "TINYGRAPH_FLAGS": f"threads={threads}", "PYTHONPATH": os.pathsep.join(sys.path)}
    code = SETTING.replace("SIZE", str(size))
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert int(out) == threads - 1


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_more_threads_than_processors_change_no_bit(threads):
    found = []
    for n in (1, threads):
        with tg.config.change(threads=n):
            x = T.fmatrix("x")
            f = tg.function([x], [T.exp(x).sum(1), T.tanh(x).sum(0), x.max(), (x * x).sum()], mode=LLVM)
            found.append(f(numbers(701, 903)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("make", [recurrent, dense, convolved])
def test_a_child_of_a_process_whose_helpers_run_computes_the_same(make):
    with tg.config.change(threads=2):
        f, values = make()
        before = f(*values)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(not all(np.array_equal(a, b) for a, b in zip(f(*values), before, strict=True)))
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for a, b in zip(f(*values), before, strict=True):
        np.testing.assert_array_equal(a, b)
