"""Neighbouring axes that memory runs through as one are one loop: in groups, in reductions, not in convolutions."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, function, shared
from tinygraph.program.instructions import Group

pytest.importorskip("llvmlite")

X = np.random.default_rng(0).standard_normal((6, 5, 4, 3))


def groups(f):
    program = next(iter(f._programs.values())).program
    return [i for i in program.instructions if isinstance(i, Group)]


def test_the_axes_of_a_sum_are_one_in_a_group_with_what_reads_it():
    b = shared(np.ones(5))
    x = T.TensorType("float64", (None,) * 4)("x")
    f = function([x], [], updates=[(b, b - 0.5 * x.sum((0, 2, 3)))], mode=Mode(target="llvm"))
    f(X)
    np.testing.assert_allclose(b.get_value(), 1 - 0.5 * X.sum((0, 2, 3)), rtol=1e-12)
    (group,) = groups(f)
    assert [n.extents for n in group.nests] == [(5, 6, 12), (5,)]


@pytest.mark.parametrize("axis", [(1, 2, 3), (2, 3), (0, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", ["sum", "max", "argmax", "prod"])
def test_reductions_over_any_axes_within_groups(name, axis):
    if name == "argmax" and axis == (0, 3):
        axis = (3,)
    x = T.TensorType("float64", (None,) * 4)("x")
    flat = x if name != "argmax" else x.flatten(5 - len(axis))  # NumPy's argmax takes one axis
    out = getattr(flat, name)(axis if name != "argmax" else -1)
    f = function([x], [out, out * 2.0 + 1.0], mode=Mode(target="llvm"))
    values = X if name != "argmax" else X.reshape(*X.shape[: 4 - len(axis)], -1)
    want = getattr(values, name)(axis if name != "argmax" else -1)
    for got, expected in zip(f(X), (want, want * 2 + 1), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
