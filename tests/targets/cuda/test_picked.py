"""Picked elements of computed arrays, and zeros but for picked elements: what is rewritten, and what must not be."""

import numpy as np
import pytest
from cuda_suite.comparing import CUDA, check

import tinygraph
import tinygraph.tensor as T
from tinygraph.errors import IndexOutOfRange

ROWS, CLASSES = 6, 40


def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, CLASSES)).astype("float32"), np.array([0, 39, -1, 7, 7, -40])


def loss(x, y):
    return -T.log(T.nnet.softmax(x))[T.arange(y.shape[0]), y].mean()


def launches(f):
    return [line for line in f.source().split("\n") if "<<<" in line]


def test_cross_entropy_and_its_gradient_are_one_pass_over_rows(device):
    x, y = T.fmatrix("x"), T.lvector("y")
    outputs = [loss(x, y), T.grad(loss(x, y), x)]
    check([x, y], outputs, *data())
    f = tinygraph.function([x, y], outputs, mode=CUDA)
    f(*data())
    forms = [line.split("//")[1].split("_")[0].strip() for line in launches(f)]
    assert forms.count("rows") == 1 and "scatter" not in forms and "packs" not in forms
    matrices = [line for line in f.source().split("\n") if f"for i<{ROWS}, j<{CLASSES}: " in line]
    assert len(matrices) == 1 and ": o" in matrices[0], "the gradient is the only matrix that is stored"


def test_the_weight_of_each_row_may_differ(device):
    x, y, w = T.fmatrix("x"), T.lvector("y"), T.fvector("w")
    picked = T.log(T.nnet.softmax(x))[T.arange(y.shape[0]), y]
    cost = -(w * picked).sum()
    check([x, y, w], [cost, *T.grad(cost, [x, w])], *data(), np.linspace(0.5, 2, ROWS).astype("float32"))


def test_a_label_out_of_range_is_found(device):
    x, y = T.fmatrix("x"), T.lvector("y")
    values, labels = data()
    for outputs in ([loss(x, y)], [T.grad(loss(x, y), x)]):
        f = tinygraph.function([x, y], outputs, mode=CUDA)
        with pytest.raises(IndexOutOfRange, match="index 40 is out of range for a dimension of size 40"):
            f(values, np.where(labels == 7, 40, labels))


def test_rows_that_may_meet_stay_a_scatter(device):
    v, i, j = T.fvector("v"), T.lvector("i"), T.lvector("j")
    added = T.inc_subtensor(T.zeros((4, 9), "float32")[i, j], v)
    f = tinygraph.function([v, i, j], added * 2, mode=CUDA)
    given = np.arange(5, dtype="float32"), np.array([0, 0, 1, 1, 3]), np.array([2, 2, 0, 1, 8])
    expected = np.zeros((4, 9), "float32")
    np.add.at(expected, given[1:], given[0])
    np.testing.assert_array_equal(f(*given), 2 * expected)
    assert any("scatter" in line for line in launches(f))


def test_fewer_rows_than_zeros_stay_a_scatter(device):
    y = T.lvector("y")
    code = T.set_subtensor(T.zeros((5, 7), "float32")[T.arange(y.shape[0]), y], np.float32(1))
    check([y], [code + 1, code.sum(axis=0)], np.array([3, 0, 6]))


def test_an_array_that_is_read_whole_as_well_is_stored(device):
    x, y = T.fmatrix("x"), T.lvector("y")
    t = T.tanh(x)
    check([x, y], [t[T.arange(y.shape[0]), y], t.sum(axis=1), t[0, y]], *data())


def test_a_one_hot_code_and_its_sums(device):
    y = T.lvector("y")
    code = T.set_subtensor(T.zeros((ROWS, CLASSES), "float32")[T.arange(y.shape[0]), y], np.float32(3))
    check([y], [code * 2, code.sum(axis=1), code.sum(axis=0), code.max(axis=1)], data()[1])
