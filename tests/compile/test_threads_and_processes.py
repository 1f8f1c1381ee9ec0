"""Functions called from several threads at once, and after a fork."""

import os
import threading

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T


def test_several_threads_call_one_function():
    x = T.dmatrix("x")
    f = tg.function([x], T.exp(x).dot(T.exp(x).T) + T.tanh(x).sum())
    rng = np.random.RandomState(0)
    points = [rng.rand(30 + k % 3, 40) for k in range(24)]
    expected = [np.exp(p) @ np.exp(p).T + np.tanh(p).sum() for p in points]
    found = [None] * len(points)

    def work(start):
        for k in range(start, len(points), 4):
            for _ in range(5):
                found[k] = f(points[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(found, expected):
        assert np.allclose(a, b)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_function_works_in_a_forked_child():
    x, a = T.dmatrix("x"), tg.shared(0.0)
    f = tg.function([x], T.exp(x).dot(x.T).sum(), updates=[(a, a + 1)])
    point = np.random.RandomState(0).rand(600, 300)  # large enough for threads
    expected = float(f(point))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            again = float(f(point))
            status = 0 if abs(again - expected) < 1e-9 * abs(expected) and a.get_value() == 2 else 2
        finally:
            os.write(write, b"done")
            os._exit(status)
    os.close(write)
    os.read(read, 4)
    os.close(read)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert a.get_value() == 1  # the child's variables are its own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_lock_held_during_a_fork_does_not_block_the_child():
    a = tg.shared(0.0)
    f = tg.function([], [], updates=[(a, a + 1)])
    f()
    ready, go = threading.Event(), threading.Event()

    def hold():
        with a.container.guard.lock:
            ready.set()
            go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait()
    child = os.fork()
    if child == 0:
        f()
        os._exit(0 if a.get_value() == 2 else 1)
    status = os.waitpid(child, 0)[1]
    go.set()
    holder.join()
    assert os.waitstatus_to_exitcode(status) == 0
