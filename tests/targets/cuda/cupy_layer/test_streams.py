"""Streams, copies and memory of CupyDevice: what would go wrong on a GPU goes wrong here."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import Out
from tinygraph.compile.mode import Mode
from tinygraph.targets.cuda.device import OutOfDeviceMemory

CUDA = Mode(target="cuda")


def rows(k, n=40):
    return np.random.default_rng(k).random((3, n), dtype=np.float32)


def streams(device, count):
    return [device.cp.cuda.Stream(non_blocking=True) for _ in range(count)]


def test_one_function_on_several_streams_keeps_their_calls_apart(device):
    """Nothing waits between the calls, so each stream needs memory of its own for temporaries."""
    x, w = T.fmatrix("x"), tinygraph.shared(rows(99).T.copy())
    y = T.nnet.softmax(T.dot(T.tanh(x), w)) + T.cumsum(x, axis=1)[:, :3]
    f = tinygraph.function([x], Out(y, borrow=True), mode=CUDA)
    expected = [f(rows(k)).get() for k in range(12)]
    device.wait_for_all()
    used, found = streams(device, 3), []
    for k in range(12):
        with used[k % 3]:
            found.append(f(rows(k)))
    device.wait_for_all()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.host(), b)


def test_captured_products_on_several_streams_take_turns_with_their_workspace(device):
    x = device.put(rows(0))
    v, w = T.fmatrix("v"), tinygraph.shared(rows(1).T.copy())
    f = tinygraph.function([v], Out(T.dot(T.dot(v, w), w.T), borrow=True), mode=CUDA)
    used, found = streams(device, 2), []
    for k in range(10):
        with used[k % 2]:
            found.append(f(x))
    device.wait_for_all()
    assert device.cp.engine.graph_launches >= 6
    expected = rows(0) @ rows(1).T @ rows(1)
    for a in found:
        np.testing.assert_allclose(a.host(), expected, rtol=1e-4)


def test_streams_that_come_and_go_leave_few_workspaces(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], Out(T.exp(x), borrow=True), mode=CUDA)
    found = []
    for k in range(20):
        with device.cp.cuda.Stream(non_blocking=True):
            found.append(f(rows(k)))
    device.wait_for_all()
    for k, y in enumerate(found):
        np.testing.assert_allclose(y.host(), np.exp(rows(k)), rtol=1e-6)
    (program,) = f._programs.values()
    assert len(program.executable._pool) <= 8


def test_more_arguments_than_pinned_pieces_are_kept(device):
    """A piece of pinned memory that is given up may be given out again before its copy was made."""
    xs = [T.fvector(f"x{k}") for k in range(70)]
    f = tinygraph.function(xs, Out(T.stack(xs).sum(axis=1), borrow=True), mode=CUDA)
    found = [f(*(np.full(5, 100 * call + k, "float32") for k in range(70))) for call in range(3)]
    for call, y in enumerate(found):
        assert y.get().tolist() == [5 * (100 * call + k) for k in range(70)]


def test_the_callers_array_is_free_when_a_call_returns(device):
    x = T.fvector("x")
    f = tinygraph.function([x], Out(x * 2, borrow=True), mode=CUDA)
    given, found = np.zeros(6, "float32"), []
    for k in range(8):
        given[:] = k
        found.append(f(given))
        given[:] = -1
    assert [y.get().tolist() for y in found] == [[2.0 * k] * 6 for k in range(8)]


def test_views_of_device_arrays_are_read_as_they_are(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], x[:, :2] * 2, mode=CUDA)
    whole = device.put(np.arange(24, dtype="float32").reshape(4, 6))
    for key in (np.s_[1:], np.s_[:, 1:4], np.s_[::2, ::-1]):
        np.testing.assert_array_equal(f(whole[key]), whole.host()[key][:, :2] * 2)


class Foreign:
    """Another library's array on the GPU."""

    def __init__(self, array, protocol):
        self.array = array
        if protocol == "interface":
            self.__cuda_array_interface__ = array.__cuda_array_interface__

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, stream=None):
        assert stream is not None, "the producer is told which stream will read"
        return self.array


@pytest.mark.parametrize("protocol", ["interface", "dlpack"])
def test_arrays_of_other_libraries_are_used_where_they_are(device, protocol):
    mine = device.put(rows(3))
    taken = device.adopt(Foreign(mine, protocol))
    assert device.pointer(taken) == device.pointer(mine)
    x = T.fmatrix("x")
    f = tinygraph.function([x], x.sum(axis=0), mode=CUDA)
    np.testing.assert_allclose(f(Foreign(mine, protocol)), rows(3).sum(axis=0), rtol=1e-6)
    s = tinygraph.shared(rows(4))
    tinygraph.function([], s.sum(), mode=CUDA)()
    s.set_value(Foreign(mine, protocol), borrow=True)
    assert device.pointer(s.get_value(borrow=True, return_internal_type=True)) == device.pointer(mine)
    assert not device.reusable(taken) or protocol == "dlpack"


def test_full_memory_names_the_largest_buffers_and_changes_nothing(device):
    x, s = T.fmatrix("x"), tinygraph.shared(np.zeros((8, 8), "float32"), "s")
    f = tinygraph.function([x], T.dot(x, x).sum(), updates=[(s, s + 1)], mode=CUDA)
    f(np.ones((4, 4), "float32"))
    device.cp.engine.capacity = 2000
    with pytest.raises(OutOfDeviceMemory, match=r"(?s)no room for .*largest buffers.*6400 bytes  input x"):
        f(np.ones((40, 40), "float32"))
    device.cp.engine.capacity = 100  # not even the new value of s
    s.container.spare = None
    with pytest.raises(OutOfDeviceMemory, match=r"(?s)no room for 256 bytes.*largest buffers"):
        f(np.ones((4, 4), "float32"))
    device.cp.engine.capacity = None
    assert s.get_value().tolist() == [[1.0] * 8] * 8
    f(np.ones((40, 40), "float32"))
    assert s.get_value().tolist() == [[2.0] * 8] * 8


def test_the_per_thread_default_stream_is_another_one_in_each_thread(device):
    import threading

    device.cp.engine.null.ptr = 2
    found = [device.queue()]
    thread = threading.Thread(target=lambda: found.append(device.queue()))
    thread.start()
    thread.join()
    assert found[0] != found[1] and device.queue() == found[0]


def test_a_failed_capture_leaves_the_stream_usable(device):
    def fail():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        device.capture(fail)
    ran = []
    device.capture(lambda: ran.append(1))()
    assert ran == [1]
