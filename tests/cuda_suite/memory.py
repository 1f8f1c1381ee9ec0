"""Values on the device: shared variables, arguments, borrowed results, DLPack, several functions, errors."""

import threading

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY
from tinygraph.errors import IndexOutOfRange, TypeMismatch


def test_a_shared_variable_lives_on_the_device(device):
    s = tinygraph.shared(np.arange(3.0), "s")
    f = tinygraph.function([], s * 2, updates=[(s, s + 1)], mode=CUDA)
    assert f().tolist() == [0, 2, 4]
    assert device.is_array(s.get_value(borrow=True, return_internal_type=True))
    assert isinstance(s.get_value(), np.ndarray) and s.get_value().tolist() == [1, 2, 3]
    s.set_value(np.array([5.0, 6.0, 7.0]))
    assert device.is_array(s.container.value) and f().tolist() == [10, 12, 14]


def test_set_value_takes_device_arrays_and_copies_unless_borrowed(device):
    s = tinygraph.shared(np.zeros(2))
    tinygraph.function([], s.sum(), mode=CUDA)()
    given = device.put(np.array([1.0, 2.0]))
    s.set_value(given, borrow=True)
    assert s.container.value is given
    s.set_value(given)
    assert s.container.value is not given and s.get_value().tolist() == [1, 2]
    with pytest.raises(TypeMismatch, match="float64"):
        s.set_value(device.put(np.zeros(2, "float32")))


def test_one_variable_used_on_both_sides(device):
    s = tinygraph.shared(np.zeros(2))
    on_device = tinygraph.function([], s.sum(), updates=[(s, s + 1)], mode=CUDA)
    on_host = tinygraph.function([], s.sum(), updates=[(s, s + 10)], mode=NUMPY)
    assert [float(f()) for f in (on_device, on_host, on_device, on_host)] == [0, 2, 22, 24]
    assert s.get_value().tolist() == [22, 22]


def test_borrowed_results_stay_on_the_device(device):
    x = T.fvector("x")
    f = tinygraph.function([x], [tinygraph.Out(x * 2, borrow=True), x + 1], mode=CUDA)
    first, other = f(np.arange(3, dtype="float32"))
    assert device.is_array(first) and isinstance(other, np.ndarray)
    f(np.zeros(3, "float32"))
    assert device.fetch(first).tolist() == [0, 2, 4], "a later call leaves it alone"


def test_arguments_may_be_device_arrays(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], [x.sum(axis=0), tinygraph.Out(x, borrow=True)], mode=CUDA)
    total, same = f(device.put(np.ones((2, 3), "float32")))
    assert total.tolist() == [2, 2, 2] and device.is_array(same)
    with pytest.raises(TypeMismatch, match="input 0"):
        f(device.put(np.ones(3, "float32")))


def test_arguments_of_any_layout(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], x * 2, mode=CUDA)
    given = np.arange(12, dtype="float32").reshape(3, 4)
    for view in (given.T, given[::2, ::-1], given[:, 1:3]):
        np.testing.assert_array_equal(f(view), view * 2)


def test_dlpack_both_ways(device):
    s = tinygraph.shared(np.zeros(3))
    tinygraph.function([], s.sum(), mode=CUDA)()
    s.set_value(np.array([1.0, 2.0, 3.0]))
    value = s.get_value(borrow=True, return_internal_type=True)
    assert value.__dlpack_device__()[0] in (1, 2)
    capsule = value.__dlpack__()
    assert "dltensor" in repr(capsule)


def test_swapped_updates_and_reused_buffers(device):
    a, b = tinygraph.shared(np.zeros(4)), tinygraph.shared(np.ones(4))
    f = tinygraph.function([], [], updates=[(a, b), (b, a + 2 * b)], mode=CUDA)
    for _ in range(5):
        f()
    x, y = 0, 1
    for _ in range(5):
        x, y = y, x + 2 * y
    assert a.get_value().tolist() == [x] * 4 and b.get_value().tolist() == [y] * 4


def test_an_index_out_of_range_names_the_line_and_changes_nothing(device):
    x, i, s = T.fvector("x"), T.lvector("i"), tinygraph.shared(np.zeros(2))
    f = tinygraph.function([x, i], x[i], updates=[(s, s + 1)], mode=CUDA)
    data = np.arange(4, dtype="float32")
    with pytest.raises(IndexOutOfRange, match="index 7 is out of range for a dimension of size 4") as caught:
        f(data, np.array([0, 7]))
    assert "memory.py" in "".join(caught.value.__notes__)
    assert s.get_value().tolist() == [0, 0]
    assert f(data, np.array([0, -1])).tolist() == [0, 3] and s.get_value().tolist() == [1, 1]


def test_calls_from_several_threads(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], T.nnet.softmax(x).sum(axis=0), mode=CUDA)
    given = [np.random.default_rng(k).random((6, 5)).astype("float32") for k in range(4)]
    expected = [f(g) for g in given]
    found = [None] * 4

    def work(k):
        for _ in range(3):
            found[k] = f(given[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_runs_with_deterministic_are_the_same_bits(device):
    from tinygraph.config import config

    with config.change(deterministic=True):
        x, i = T.fmatrix("x"), T.lvector("i")
        f = tinygraph.function([x, i], [T.inc_subtensor(T.zeros((5, 8), "float32")[i], x), x.sum()], mode=CUDA)
    rng = np.random.default_rng(0)
    given = rng.standard_normal((400, 8)).astype("float32"), rng.integers(0, 5, 400)
    for a, b in zip(f(*given), f(*given), strict=True):
        np.testing.assert_array_equal(a, b)
