"""Memory of big results: used again when nobody holds them, never while somebody does."""

import threading

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.targets.results import BIG, Results

TARGETS = ["numpy", "llvm"]
ROWS = BIG // 8 // 256 + 1


def compiled(target):
    if target == "llvm":
        pytest.importorskip("llvmlite")
    x = T.dmatrix("x")
    f = tinygraph.function([x], [T.exp(x), x.sum()], mode=tinygraph.Mode(target=target))
    return lambda value: f(np.full((ROWS, 256), float(value)))[0]


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_result_that_is_held_keeps_its_values(target):
    f = compiled(target)
    held = [f(k) for k in range(5)]
    assert len({address(a) for a in held}) == 5
    for k, array in enumerate(held):
        assert np.allclose(array, np.exp(k))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("hold", [lambda a: a[3:5, 1], np.ravel, memoryview, lambda a: a.T[1:]])
def test_a_view_holds_it_as_well(target, hold):
    f = compiled(target)
    view = hold(f(2))
    for _ in range(4):
        f(3)
    assert np.allclose(view, np.exp(2))


@pytest.mark.parametrize("target", TARGETS)
def test_memory_is_used_again(target):
    f = compiled(target)
    assert len({address(f(k)) for k in range(6)}) == 1
    places = set()
    last = f(0)
    for k in range(6):
        last = f(k)  # the one before is held while this one is computed
        places.add(address(last))
    assert len(places) == 2


@pytest.mark.parametrize("target", TARGETS)
def test_results_belong_to_the_caller(target):
    f = compiled(target)
    out = f(1)
    out[:] = 7
    out.flags.writeable = False
    del out
    again = f(1)
    assert np.allclose(again, np.exp(1)) and again.flags.writeable and again.flags.c_contiguous
    assert again.shape == (ROWS, 256) and again.dtype == "float64"


def test_threads_never_get_the_same_memory():
    results, wrong = Results(), []

    def use(mark):
        for _ in range(300):
            array = results.make(0, (64,), "int64")
            array[:] = mark
            if (array != mark).any():
                wrong.append(mark)

    threads = [threading.Thread(target=use, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
