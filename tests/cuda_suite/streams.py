"""Several functions at once, choices of device, unaligned views, empty sizes, and copies that stay on the device."""

import threading

import numpy as np

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, check


def test_several_functions_from_several_threads_share_a_variable(device):
    """Each thread calls its own function; all read one variable on the device."""
    w = tinygraph.shared(np.linspace(0, 1, 12).reshape(3, 4).astype("float32"))
    x = T.fmatrix("x")
    outputs = [T.dot(x, w), T.nnet.softmax(x).sum(axis=0), T.tanh(x) * 2]
    functions = [tinygraph.function([x], y, mode=CUDA) for y in outputs]
    given = np.random.default_rng(0).random((5, 3)).astype("float32")
    expected = [f(given) for f in functions]
    wrong = []

    def work(k):
        for _ in range(4):
            if not np.array_equal(functions[k](given), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_views_that_start_anywhere(device):
    """A slice begins at an address that no 16-byte load may be used for."""
    x = T.fvector("x")
    y = x[1:] * 2
    outputs = [y, x[3:].sum(), T.exp(x[1:-1]), x[2:] + x[:-2]]
    for n in (5, 64, 131):
        check([x], outputs, np.random.default_rng(n).random(n).astype("float32"))


def test_empty_sizes_launch_nothing(device):
    x, y = T.fmatrix("x"), T.fmatrix("y")
    outputs = [x + 1, T.dot(x, y), x.sum(axis=1), T.concatenate([x, x]), T.cumsum(x, axis=1), T.nnet.softmax(x + 1)]
    for rows, inner, columns in ((0, 3, 2), (3, 0, 2), (2, 3, 0)):
        given = np.ones((rows, inner), "float32"), np.ones((inner, columns), "float32")
        check([x, y], outputs[:-1] if not inner else outputs, *given)


def test_results_feed_the_next_call_without_the_host(device):
    x = T.fvector("x")
    f = tinygraph.function([x], tinygraph.Out(x * 2, borrow=True), mode=CUDA)
    value = f(np.arange(4, dtype="float32"))
    for _ in range(3):
        value = f(value)
        assert device.is_array(value)
    assert device.fetch(value).tolist() == [0, 16, 32, 48]


def test_running_sums_are_part_of_a_captured_call(device):
    x = T.fmatrix("x")
    f = tinygraph.function([x], [T.cumsum(x, axis=0), T.cumsum(x, axis=1), T.cumprod(x + 1, axis=1)], mode=CUDA)
    given = np.random.default_rng(0).random((3, 70)).astype("float32")
    for _ in range(3):
        a, b, c = f(given)
    np.testing.assert_allclose(a, np.cumsum(given, 0), rtol=1e-5)
    np.testing.assert_allclose(b, np.cumsum(given, 1), rtol=1e-5)
    np.testing.assert_allclose(c, np.cumprod(given + 1, 1), rtol=1e-4)


def test_long_rows_are_summed_in_chunks(device):
    x = T.dmatrix("x")
    check([x], [T.cumsum(x, axis=1)], np.random.default_rng(1).random((2, 9000)))
