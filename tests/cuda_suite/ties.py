"""Of equal maxima and minima the first in row-major order counts and takes the gradient: the same on every device."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.tensor.signal.pool import pool_2d, pool_3d


def slope(build, ndim):
    """The gradient of the sum of ``build(x)``."""
    x = T.tensor("float32", shape=(None,) * ndim)
    return [x], [T.grad(build(x).sum(), x)]


def at(shape, *places):
    """Ones at some places, zeros elsewhere."""
    out = np.zeros(shape, "float32")
    for p in places:
        out[p] += 1
    return out


def first_of_blocks(shape, window):
    """One at the first point of each window."""
    out = np.zeros(shape, "float32")
    out[(..., *(slice(None, None, w) for w in window))] = 1
    return out


def of_a_convolution():
    """Both gradients of a convolution of ones under a pool: each of four windows adds one patch."""
    x, w = T.ftensor4("x"), T.ftensor4("w")
    return [x, w], T.grad(pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True).sum(), [x, w])


def patches():
    image = np.zeros((5, 5), "float32")
    for i in (0, 2):
        for j in (0, 2):
            image[i : i + 2, j : j + 2] += 1
    return np.tile(image * 3, (2, 2, 1, 1))


ONES = np.ones((2, 3, 4, 6), "float32")
STEPS = np.array([[0, 3, 1, 2], [3, 3, 2, 2], [2, 0, 2, 1]], "float32")

#: by name: inputs and outputs, values, results
CASES = {
    "pool": (slope(lambda x: pool_2d(x, (2, 2), ignore_border=True), 4), [ONES], [first_of_blocks(ONES.shape, (2, 2))]),
    "pool of a later tie": (
        slope(lambda x: pool_2d(x, (2, 2), ignore_border=True), 4), [STEPS[None, None, :2]],
        [at((1, 1, 2, 4), (0, 0, 0, 1), (0, 0, 0, 3))],
    ),
    "overlapping pool": (
        slope(lambda x: pool_2d(x, (2, 2), stride=(1, 1), ignore_border=True), 4), [np.ones((1, 1, 3, 3), "float32")],
        [at((1, 1, 3, 3), (0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 1))],
    ),
    "padded pool": (
        slope(lambda x: pool_2d(x, (2, 2), ignore_border=True, pad=(1, 1)), 4), [np.ones((1, 1, 3, 3), "float32")],
        [at((1, 1, 3, 3), (0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 1))],
    ),
    "pool of volumes": (
        slope(lambda x: pool_3d(x, (2, 2, 2), ignore_border=True), 5), [np.ones((1, 2, 4, 4, 4), "float32")],
        [first_of_blocks((1, 2, 4, 4, 4), (2, 2, 2))],
    ),
    "largest of rows": (slope(lambda x: x.max(axis=1), 2), [STEPS], [at((3, 4), (0, 1), (1, 0), (2, 0))]),
    "largest of columns": (slope(lambda x: x.max(axis=0), 2), [STEPS], [at((3, 4), (1, 0), (0, 1), (1, 2), (0, 3))]),
    "largest of all": (slope(lambda x: x.max(), 2), [STEPS], [at((3, 4), (0, 1))]),
    "smallest of all": (slope(lambda x: x.min(), 2), [STEPS], [at((3, 4), (0, 0))]),
    "a convolution under a pool": (
        of_a_convolution(), [np.ones((2, 2, 5, 5), "float32"), np.ones((3, 2, 2, 2), "float32")],
        [patches(), np.full((3, 2, 2, 2), 8, "float32")],
    ),
}  # fmt: skip


def check(name, mode):
    (inputs, outputs), values, expected = CASES[name]
    found = tinygraph.function(inputs, outputs, mode=mode)(*values)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)


def positions(mode):
    x = T.fmatrix("x")
    outs = [T.argmax(x), T.argmax(x, axis=0), T.argmax(x, axis=1), T.argmin(x), T.argmin(x, axis=0)]
    found = tinygraph.function([x], outs, mode=mode)(STEPS)
    expected = [np.argmax(STEPS), STEPS.argmax(0), STEPS.argmax(1), STEPS.argmin(), STEPS.argmin(0)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)


@pytest.mark.parametrize("name", CASES)
def test_the_first_of_equal_extrema_takes_the_gradient(device, name):
    check(name, tinygraph.Mode(target="cuda"))


def test_positions_are_those_of_the_first(device):
    positions(tinygraph.Mode(target="cuda"))
