"""Mistakes in an expression: what the message names, and that it comes as early as the sizes are known."""

import inspect

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.tensortype import TensorType


def known(*shape, dtype="float64", name=None):
    return TensorType(dtype, shape)(name)


def line_here():
    return inspect.currentframe().f_back.f_lineno


def test_operands_that_do_not_broadcast_are_named_with_shapes_and_lines():
    a, b = T.TensorType("float64", (3, 4))("a"), T.TensorType("float64", (5, 4))("b")
    built = line_here() - 1
    with pytest.raises(ShapeMismatch) as error:
        a + b
    text = str(error.value)
    assert text.startswith("add: operands float64(3, 4) and float64(5, 4) do not broadcast")
    assert "a of type TensorType(float64, (3, 4))" in text
    assert "b of type TensorType(float64, (5, 4))" in text
    assert f"test_errors.py:{built}" in text


def test_the_same_at_the_call_names_the_line_of_the_expression():
    a, b = T.dmatrix("a"), T.dmatrix("b")
    total = a * 2 + b
    built = line_here() - 1
    with pytest.raises(ShapeMismatch) as error:
        function([a, b], total)(np.ones((3, 4)), np.ones((5, 4)))
    text = str(error.value)
    assert "(3, 4)" in text and "(5, 4)" in text
    assert f"test_errors.py:{built}" in text


def test_a_failed_call_does_not_spoil_the_function():
    a, b = T.dvector(), T.dvector()
    add = function([a, b], a + b)
    for _ in range(2):
        with pytest.raises(ShapeMismatch):
            add(np.ones(2), np.ones(3))
        np.testing.assert_array_equal(add(np.ones(3), np.ones(3)), [2, 2, 2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.dot(known(2, 3), known(4, 5)), "expected equal inner sizes, got float64(2, 3), float64(4, 5)"),
        (lambda: known(2, 3) @ known(2, 4, 5), "BatchedDot: expected equal inner sizes"),
        (lambda: known(6).reshape((4, 2)), "expected 8 elements, to reshape to (4, 2)"),
        (lambda: known(7).reshape((2, -1)), "divides by 2"),
        (lambda: T.concatenate([known(2, 3), known(2, 4)]), "expected equal sizes in dimension 1"),
        (lambda: known(2, 3).dimshuffle(1), "expected size 1 in dimension 0, which is dropped"),
        (lambda: T.squeeze(known(2, 3), 0), "expected size 1 in dimension 0"),
        (lambda: T.set_subtensor(known(4)[:2], known(3)), "expected a value that broadcasts to (2,)"),
        (lambda: T.alloc(known(3), 2, 4), "broadcasts to (2, 4)"),
        (lambda: T.specify_shape(known(3), (4,)), "expected size 4 in dimension 0"),
        (lambda: T.tensordot(known(2, 3), known(4, 5), 1), "differ: 3 and 4"),
        (lambda: T.einsum("ij,jk->ik", known(2, 3, 4), known(3, 4)), "'ij' in 'ij,jk->ik' does not fit"),
        (lambda: T.topk(known(3), 5), "expected at least 5 elements along axis 0"),
        (lambda: T.repeat(known(3), [1, 2], 0), "2 counts for the 3 elements"),
        (lambda: T.nlinalg.inv(known(2, 3)), "expected a square matrix"),
        (lambda: T.slinalg.solve(known(3, 3), known(4)), "expected a right-hand side of 3 rows"),
        (lambda: T.fill_diagonal(known(2, 3, 2), 1.0), "all dimensions must be of one size"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit(build, message):
    with pytest.raises((ShapeMismatch, TypeMismatch)) as error:
        build()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.sum(known(2, 3), axis=2), "axis 2 is out of range for 2 dimensions"),
        (lambda: T.sum(known(2, 3), axis=(0, 0)), "names a dimension twice"),
        (lambda: T.max(known(0, 3)), "size above 0 in dimension 0"),
        (lambda: known(2, 3).dimshuffle(0, 0), "no reordering"),
        (lambda: known(2, 3).reshape((-1, -1)), "except for one -1"),
        (lambda: known(2, 3).transpose(0), "1 axes for 2 dimensions"),
        (lambda: T.diag(known(2, 2, 2)), "a vector or a matrix is needed"),
        (lambda: T.pad(known(2), 1, "spline"), "mode must be 'constant'"),
        (lambda: T.pad(known(2, 2), ((1, 1), (1, 1), (1, 1))), "a pair for each of 2 dimensions"),
        (lambda: T.einsum("ij->ijk", known(2, 3)), "output letter 'k' occurs in no operand"),
        (lambda: T.einsum("i1", known(2, 3)), "not made of letters"),
        (lambda: T.nonzero(T.dscalar()), "at least one dimension"),
        (lambda: T.bincount(T.lvector(), minlength=-1), "minlength must not be negative"),
        (lambda: T.diagonal(known(2, 2), 0, 1, 1), "axis1 and axis2 are both 1"),
        (lambda: T.nlinalg.norm(known(2, 2), 3), "no matrix norm of order 3"),
    ],
)  # fmt: skip
def test_values_that_make_no_sense(build, message):
    with pytest.raises(InvalidValue) as error:
        build()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.bincount(T.dvector()), "a vector of integers is needed"),
        (lambda: T.to_one_hot(T.dvector(), 3), "a vector of class numbers is needed"),
        (lambda: T.choose(T.dvector(), [1, 2]), "the chooser must be of an integer dtype"),
        (lambda: T.repeat(T.dvector(), 1.5), "counts must be integers"),
        (lambda: bool(T.dscalar("x")), "the truth of the symbolic variable x is not known"),
        (lambda: len(T.dvector("x")), "the length of x is not known"),
        (lambda: list(T.dvector("x")), "cannot iterate over x"),
        (lambda: float(T.dscalar("x")), "x is symbolic and has no value"),
        (lambda: 1.0 in T.dvector(), "'in' has no symbolic meaning"),
        (lambda: T.dvector() + "text", "cannot make a tensor of str|unsupported operand"),
    ],
)  # fmt: skip
def test_types_that_do_not_fit(build, message):
    with pytest.raises(TypeError, match=message):
        build()


def test_errors_of_the_data_at_the_call():
    x = T.lvector("x")
    with pytest.raises(InvalidValue, match="must not be negative, got -1"):
        function([x], T.bincount(x))([1, -1])
    with pytest.raises(IndexError, match="index 4 is out of range"):
        function([x], T.to_one_hot(x, 4))([0, 4])
    m = T.dmatrix()
    with pytest.raises(np.linalg.LinAlgError):
        function([m], T.slinalg.cholesky(m))(-np.eye(2))
    assert np.isnan(function([m], T.slinalg.cholesky(m, on_error="nan"))(-np.eye(2))).all()
    with pytest.raises(ShapeMismatch, match="expected size 1 in dimension 0"):
        function([m], T.addbroadcast(m, 0))(np.ones((2, 2)))
