"""Integers that decide sizes: printed as Python, evaluated before any array work."""

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.errors import IndexOutOfRange
from tinygraph.graph.traversal import toposort
from tinygraph.lower.host import RuntimeSizes, print_host_function
from tinygraph.program.expr import Expr, binary, param, select

i, x = T.lscalar("i"), T.dmatrix("x")
n, rows = param("in0"), param("in1_0")


@pytest.mark.parametrize("expression, expected", [
    (n + rows, 9), (n - rows, -3), (n * rows, 18), (rows // n, 2), (rows % n, 0), (-n, -3), (n // (n - 3), 0),
    (n % (n - 3), 0), (n.dim_max(rows), 6), (n.dim_min(rows), 3), (select(n > 2, rows, 0), 6), (select(n < 2, rows, 0), 0),
    (Expr("index", (n - 4,), "int64", 5), 4), (7, 7),
], ids=str)  # fmt: skip
def test_integers_of_the_call(expression, expected):
    _, f = print_host_function([i, x], [expression], "test")
    assert f([np.array(3), np.zeros((6, 2))]) == (expected,)


def test_shared_parts_are_computed_once():
    part = n * 2
    source, f = print_host_function([i], [part + 1, part - 1], "test")
    assert source.count("in0 * 2") == 1
    assert f([np.array(5)]) == (11, 9)


def test_an_intrinsic_without_integer_meaning_is_refused():
    with pytest.raises(NotImplementedError, match="host integers have no pow"):
        print_host_function([i], [binary("pow", n, n)], "test")


def sizes(*outputs, leaves=(i, x)):
    return RuntimeSizes(toposort(outputs), leaves)


def test_the_size_of_a_slice_follows_its_bounds():
    part = x[i * 2 : (i + 1) * 2]
    found = sizes(part)
    value = np.zeros((5, 3))
    for k, length in ((0, 2), (1, 2), (2, 1), (3, 0), (-1, 0)):
        key = found.key([np.array(k), value])
        assert found.resolve(key)[part] == value[k * 2 : (k + 1) * 2].shape == (length, 3)


def test_sizes_that_no_argument_decides_are_not_computed():
    assert not sizes(x[1:]).sizes
    assert not sizes(x.T * 2, leaves=(x,)).sizes


def test_sizes_go_through_ops_that_make_arrays():
    made = T.zeros((i, x.shape[1]))
    counted = T.arange(i * 2)
    found = sizes(made, counted)
    resolved = found.resolve(found.key([np.array(4), np.zeros((2, 3))]))
    assert resolved[made] == (4, 3) and resolved[counted] == (8,)


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_an_index_out_of_range_names_its_node_and_shapes(target):
    if target == "llvm":
        pytest.importorskip("llvmlite")
    s = tg.shared(0.0)
    f = tg.function([x, i], x[i], updates=[(s, s + 1)], mode=tg.Mode(target=target))
    np.testing.assert_array_equal(f(np.eye(3), -1), [0, 0, 1])
    with pytest.raises(IndexOutOfRange, match=r"(?s)^index 3 is out of range for a dimension of size 3\n"
                       r".*Subtensor.*float64\(3, 3\).*built at .*test_host.py"):  # fmt: skip
        f(np.eye(3), 3)
    assert s.get_value() == 1
