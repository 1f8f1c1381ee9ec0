"""What is said about input that is wrong, word for word, and that nothing has changed after it."""

import re

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import In
from tinygraph import tensor as T
from tinygraph.errors import (
    DisconnectedInputError,
    InvalidUpdate,
    InvalidValue,
    MissingInputError,
    ShapeMismatch,
    TypeMismatch,
    UnusedInputError,
)


def line_of(text):
    """``file:line`` and the source line in this file that contains ``text``."""
    with open(__file__, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if text in line and "line_of" not in line:
                return f"{__file__}:{number}\n    {line.strip()}"
    raise AssertionError(text)


@pytest.fixture
def model():
    """A function of a matrix and a scalar with two updates, and its variables; they must not change."""
    x = T.dmatrix("x")  # the matrix
    rate = T.dscalar("rate")  # the rate
    w, calls = tg.shared(np.ones((3, 2)), name="w"), tg.shared(0, name="calls")
    out = T.dot(x, w)  # the product
    f = tg.function([x, In(rate, value=0.5)], out, updates=[(w, w - rate * out.sum()), (calls, calls + 1)], name="train")
    yield f
    assert w.get_value().tolist() == [[1, 1]] * 3 and calls.get_value() == 0
    assert np.array_equal(f(np.zeros((1, 3))), np.zeros((1, 2)))  # and it works afterwards
    w.set_value(np.ones((3, 2))), calls.set_value(0)


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


SIGNATURE = "inputs: x: TensorType(float64, (?, ?)), rate: TensorType(float64, ())"

# -- arguments of a call --------------------------------------------------------------------------------------------


def test_wrong_rank(model):
    assert message(TypeMismatch, lambda: model(np.zeros(3))) == (
        "train: bad value for input 0 (x): expected 2 dimensions (TensorType(float64, (?, ?))), got 1 (shape (3,), float64)"
        f"\n  declared at {line_of('# the matrix')}"
    )


def test_wrong_dtype(model):
    assert message(TypeMismatch, lambda: model(np.zeros((2, 3), "complex128"))) == (
        "train: bad value for input 0 (x): expected an array of float64, got an array of complex128 with shape (2, 3)"
        f"\n  declared at {line_of('# the matrix')}"
    )


def test_a_dtype_that_would_lose_information():
    i = T.ivector("i")  # the integers
    f = tg.function([i], i)
    assert message(TypeMismatch, lambda: f(np.array([0.5, 1.0]))) == (
        "function: bad value for input 0 (i): expected int32, got an array of float64 with shape (2,): the conversion could "
        "lose information; convert it yourself (numpy.asarray(x, dtype='int32')) or pass allow_input_downcast=True"
        f"\n  declared at {line_of('# the integers')}"
    )
    assert f(np.array([1, 2], "int32")).tolist() == [1, 2]


def test_wrong_known_size():
    x = T.tensor("float64", shape=(None, 3), name="x")  # three columns
    f = tg.function([x], x)
    assert message(TypeMismatch, lambda: f(np.zeros((2, 4)))) == (
        "function: bad value for input 0 (x): expected size 3 in dimension 1 (TensorType(float64, (?, 3))), got shape (2, 4)"
        f"\n  declared at {line_of('# three columns')}"
    )


def test_shapes_that_do_not_fit_each_other(model):
    assert message(ShapeMismatch, lambda: model(np.zeros((2, 4)))) == (
        "Dot: expected equal inner sizes, got float64(2, 4), float64(3, 2)\n"
        "  in Dot(x, w) with inputs float64(2, 4), float64(3, 2)\n"
        f"  built at {line_of('# the product')}"
    )


def test_shapes_that_do_not_broadcast():
    x, y = T.dvectors("x", "y")
    f = tg.function([x, y], x + y)  # the sum
    assert message(ShapeMismatch, lambda: f([1, 2], [1, 2, 3])) == (
        "add: operands float64(2) and float64(3) do not broadcast: sizes 2 and 3 do not broadcast\n"
        "  in Elemwise{add}(x, y) with inputs float64(2), float64(3)\n"
        f"  built at {line_of('# the sum')}"
    )
    assert f([1, 2], [3]).tolist() == [4, 5]


def test_a_missing_input(model):
    assert message(TypeMismatch, lambda: model()) == f"train: input 0 (x) is missing ({SIGNATURE})"


def test_extra_inputs(model):
    call = lambda: model(np.zeros((2, 3)), 1.0, 2.0)  # noqa: E731
    assert message(TypeMismatch, call) == f"train takes 2 arguments ({SIGNATURE}), got 3"


def test_an_unknown_keyword(model):
    call = lambda: model(np.zeros((2, 3)), speed=1.0)  # noqa: E731
    assert message(TypeMismatch, call) == f"train has no input named 'speed' ({SIGNATURE})"


def test_an_input_given_twice(model):
    assert message(TypeMismatch, lambda: model(np.zeros((2, 3)), x=1.0)) == "train: input 'x' is given twice"


def test_a_symbolic_argument(model):
    assert message(TypeMismatch, lambda: model(T.dmatrix("y"))) == (
        "train: bad value for input 0 (x): expected an array, got the symbolic variable y; a compiled function takes "
        f"numbers and arrays\n  declared at {line_of('# the matrix')}"
    )


@pytest.mark.parametrize(
    ("value", "described"), [("text", "str 'text'"), (None, "NoneType None"), ([[1, 2], [3]], "list [[1, 2], [3]]")]
)
def test_values_that_are_no_arrays(model, value, described):
    found = message(TypeMismatch, lambda: model(value))
    assert found.startswith(f"train: bad value for input 0 (x): expected an array of float64, got {described}")
    assert found.endswith(f"\n  declared at {line_of('# the matrix')}")


# -- declarations -----------------------------------------------------------------------------------------------------


def test_an_unused_input():
    x, y = T.dscalars("x", "y")
    assert message(UnusedInputError, lambda: tg.function([x, y], x + 1)) == (
        "input 1 (y) takes no part in the outputs or updates; leave it out, or pass on_unused_input='ignore' or 'warn'"
    )


def test_an_input_listed_twice():
    x = T.dscalar("x")
    assert message(UnusedInputError, lambda: tg.function([x, x], x)) == "the variable x is listed twice among the inputs"


def test_a_variable_that_is_not_an_input():
    x = T.dscalar("x")
    y = T.dscalar("y")  # the missing one
    z = T.exp(x * y)  # where it is used
    assert message(MissingInputError, lambda: tg.function([x], z)) == (
        "the variable y of type TensorType(float64, ()) is needed but is not an input, and has no value"
        f"\n  made at {line_of('# the missing one')}"
        f"\n  used by Elemwise{{mul}}(x, y) at {line_of('# where it is used').splitlines()[0]}"
    )


def test_inputs_that_are_no_list():
    x = T.dscalar("x")
    assert message(TypeMismatch, lambda: tg.function(x, x)) == (
        "inputs must be a list of variables, got x; write function([x], ...)"
    )


def test_inputs_that_are_no_variables():
    assert message(TypeMismatch, lambda: tg.function([3], [])) == (
        "an input must be a symbolic variable or In(...), got 3 (int)"
    )
    w = tg.shared(1.0, name="w")
    assert message(TypeMismatch, lambda: tg.function([w], w)) == (
        "the shared variable w cannot be an input: it is found by itself; to replace its value use givens"
    )
    with pytest.raises(TypeMismatch, match=re.escape("the constant TensorConstant{1.0} cannot be a function's input")):
        tg.function([T.constant(1.0)], [])


def test_an_output_that_is_no_expression():
    assert message(TypeMismatch, lambda: tg.function([], "text")) == "an output must be an expression, got 'text' (str)"
    assert message(TypeMismatch, lambda: tg.function([], {1: T.constant(1.0)})) == (
        "the keys of an outputs dictionary must be strings, got 1"
    )


def test_an_unknown_mode():
    assert message(InvalidValue, lambda: tg.function([], T.constant(1.0), mode="FASTEST")).startswith(
        "unknown mode 'FASTEST'; there are "
    )


def test_an_unknown_way_with_unused_inputs():
    x = T.dscalar("x")
    assert message(ValueError, lambda: tg.function([x], x, on_unused_input="maybe")) == (
        "on_unused_input must be 'raise', 'warn' or 'ignore', got 'maybe'"
    )


# -- updates and givens -----------------------------------------------------------------------------------------------


@pytest.fixture
def w():
    w = tg.shared(np.ones(2, "float32"), name="w")
    yield w
    assert w.get_value().tolist() == [1, 1]


def test_an_update_of_a_variable_that_is_not_shared():
    x = T.dscalar("x")
    assert message(InvalidUpdate, lambda: tg.function([x], x, updates=[(x, x + 1)])) == (
        "only shared variables can be updated, got x of type TensorType(float64, ()); make it with shared(value)"
    )
    assert message(InvalidUpdate, lambda: tg.function([x], x, updates={"x": x})) == (
        "only shared variables can be updated, got 'x'; make it with shared(value)"
    )


def test_an_update_of_the_wrong_dtype(w):
    new = w * np.ones(2)  # the wider product
    assert message(InvalidUpdate, lambda: tg.function([], [], updates=[(w, new)])) == (
        "the update of shared variable w must be of its type TensorType(float32, (?,)), got TensorType(float64, (2,)); "
        "cast it: T.cast(new_value, 'float32') (an int or float64 in the expression may have widened it)"
        f"\n  built at {line_of('# the wider product')}"
    )


def test_an_update_of_the_wrong_rank(w):
    total = w.sum()  # the total
    assert message(InvalidUpdate, lambda: tg.function([], [], updates=[(w, total)])) == (
        "the update of shared variable w must be of its type TensorType(float32, (?,)), got TensorType(float32, ())"
        f"\n  built at {line_of('# the total')}"
    )


def test_two_updates_of_one_variable(w):
    assert message(InvalidUpdate, lambda: tg.function([], [], updates=[(w, w * 2), (w, w * 3)])) == (
        "two updates for the shared variable w: Elemwise{mul}.0 and Elemwise{mul}.0"
    )


def test_an_update_that_is_no_pair(w):
    assert message(InvalidUpdate, lambda: tg.function([], [], updates=[w])) == (
        "an update must be a pair (shared variable, expression), got w"
    )


def test_an_update_that_is_no_expression(w):
    assert message(InvalidUpdate, lambda: tg.function([], [], updates=[(w, "text")])) == (
        "the update of shared variable w must be of its type TensorType(float32, (?,)), got str"
    )


def test_default_updates_left_out_of_something_else(w):
    assert message(TypeMismatch, lambda: tg.function([], w, no_default_updates=[3])) == (
        "no_default_updates must be True, False or a list of shared variables, got 3"
    )


def test_givens_of_the_wrong_type():
    x = T.dvector("x")
    assert message(TypeMismatch, lambda: tg.function([], x, givens={x: T.dmatrix("m")})) == (
        "givens: x of type TensorType(float64, (?,)) cannot be replaced by a value of type TensorType(float64, (?, ?))"
    )
    assert message(TypeMismatch, lambda: tg.function([], x, givens={"x": x})) == "givens replace variables, got 'x'"
    assert message(TypeMismatch, lambda: tg.function([], x, givens=[(x, x), (x, x)])) == "givens replace x twice"
    assert message(TypeMismatch, lambda: tg.function([x], x, givens={x: x * 2})) == (
        "x is an input and cannot be replaced by givens too"
    )


def test_a_disconnected_gradient():
    x = T.dscalar("x")
    y = T.dscalar("y")  # not in the cost
    assert message(DisconnectedInputError, lambda: tg.grad(x * 2, y)) == (
        f"grad: the cost Elemwise{{mul}}.0 does not depend on y (made at {line_of('# not in the cost').splitlines()[0]}); "
        "pass disconnected_inputs='ignore' (zeros) or 'warn' if that is intended"
    )


# -- shared variables -------------------------------------------------------------------------------------------------


def test_a_value_of_the_wrong_type(w):
    assert message(TypeMismatch, lambda: w.set_value(np.ones((2, 2), "float32"))) == (
        "expected 1 dimensions (TensorType(float32, (?,))), got 2 (shape (2, 2), float32)"
    )
    with pytest.raises(TypeMismatch, match="the conversion could lose information"):
        w.set_value(np.full(2, 0.1))


def test_values_that_cannot_be_shared():
    x = T.dscalar("x")
    assert message(TypeMismatch, lambda: tg.shared(x)) == (
        "shared() needs a value, got the symbolic variable x; use its eval() or get_value()"
    )
    assert message(TypeMismatch, lambda: tg.shared([1.0, 2.0])) == (
        "shared() takes arrays and numbers, not lists; use numpy.asarray(value, dtype=...) to say which dtype"
    )
    with pytest.raises(TypeMismatch, match="shared\\(\\) needs numbers, got an array of <U1"):
        tg.shared(np.array(["a"]))


def test_the_old_value_attribute(w):
    with pytest.raises(AttributeError, match="shared variables have no .value; use get_value"):
        w.value  # noqa: B018
