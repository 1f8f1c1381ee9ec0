"""Which dtype comes out: NumPy's promotion, and Theano's conventions for division and Python numbers."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.config import config
from tinygraph.errors import TypeMismatch
from tinygraph.graph.tensortype import TensorType

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
]


def scalar(dtype):
    return TensorType(dtype, ())()


@pytest.mark.parametrize("left", DTYPES)
def test_arithmetic_promotes_as_numpy(left):
    for right in DTYPES:
        want = np.promote_types(left, right).name
        for op in (T.add, T.mul, T.maximum, T.minimum):
            assert op(scalar(left), scalar(right)).dtype == want, (left, right)
        assert T.switch(scalar("bool"), scalar(left), scalar(right)).dtype == want


@pytest.mark.parametrize("left", DTYPES)
def test_values_after_promotion(left):
    for right in DTYPES:
        a, b = np.array([1, 0, 1]).astype(left), np.array([1, 1, 0]).astype(right)
        x, y = TensorType(left, (None,))(), TensorType(right, (None,))()
        total, product = function([x, y], [x + y, x * y])(a, b)
        assert total.dtype == (a + b).dtype and np.array_equal(total, a + b)
        assert product.dtype == (a * b).dtype and np.array_equal(product, a * b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_are_boolean(dtype):
    for op in (T.eq, T.neq, T.lt, T.le, T.gt, T.ge):
        assert op(scalar(dtype), scalar("int8")).dtype == "bool"


def test_comparisons_across_signs_are_exact_where_numpy_is():
    x, y = TensorType("int8", ())(), TensorType("uint8", ())()
    assert function([x, y], T.lt(x, y))(-1, 200)


@pytest.mark.parametrize(
    ("dtype", "want"),
    [("bool", "float32"), ("int8", "float32"), ("uint16", "float32"), ("int32", "float64"), ("int64", "float64"),
     ("uint32", "float64"), ("float16", "float16"), ("float32", "float32"), ("float64", "float64")],
)  # fmt: skip
def test_functions_of_integers_are_floats(dtype, want):
    for f in (T.exp, T.log, T.sqrt, T.sin, T.tanh, T.sigmoid, T.erf, T.gammaln):
        assert f(scalar(dtype)).dtype == want


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_integer_division_is_floatx(floatX):
    with config.change(floatX=floatX):
        x, y = scalar("int32"), scalar("int8")
        assert (x / y).dtype == floatX
        assert function([x, y], x / y)(7, 2) == 3.5
    assert (scalar("int32") // scalar("int8")).dtype == "int32"
    assert (scalar("float32") / scalar("int8")).dtype == "float32"


def test_floor_division_and_remainder_have_the_divisors_sign():
    x, y = T.lvector(), T.lvector()
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    quotient, rest = function([x, y], [x // y, x % y])(a, b)
    np.testing.assert_array_equal(quotient, a // b)
    np.testing.assert_array_equal(rest, a % b)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
def test_python_integers_do_not_widen(dtype):
    x = scalar(dtype)
    for made in (x + 1, 2 * x, x - 3, T.maximum(x, 0), T.switch(x > 0, x, 0), x**2):
        assert made.dtype == dtype


def test_large_python_integers_widen_as_needed():
    assert (scalar("int8") + 300).dtype == "int16"
    assert (scalar("int32") + 2**40).dtype == "int64"


def test_python_floats():
    with config.change(floatX="float32"):
        for number in (0.5, 0.1):
            assert (scalar("float32") * number).dtype == "float32"
            assert (scalar("int8") * number).dtype == "float32"
            assert (scalar("float64") * number).dtype == "float64"
    with config.change(floatX="float64"):
        assert (scalar("float32") * 0.5).dtype == "float32", "0.5 is exact in float32"
        assert (scalar("float32") * 0.1).dtype == "float64", "0.1 is not"
        assert (scalar("float64") * 0.1).dtype == "float64"


def test_numpy_numbers_keep_their_dtype():
    assert (scalar("float32") + np.float64(0.5)).dtype == "float64"
    assert (scalar("int8") + np.int64(1)).dtype == "int64"
    assert (scalar("float32") + np.ones(2)).dtype == "float64"


@pytest.mark.parametrize(
    ("dtype", "want"),
    [("bool", "int64"), ("int8", "int64"), ("uint8", "uint64"), ("int64", "int64"), ("float32", "float32"),
     ("float64", "float64")],
)  # fmt: skip
def test_sums_are_as_wide_as_numpys(dtype, want):
    x = TensorType(dtype, (None,))()
    for f in (T.sum, T.prod, T.cumsum, T.cumprod):
        assert f(x).dtype == want
    assert function([x], x.sum())(np.ones(300).astype(dtype)) == 300


def test_sums_in_a_dtype_of_choice():
    x = T.fvector()
    assert T.sum(x, dtype="float64").dtype == "float64"
    assert T.sum(x, acc_dtype="float64").dtype == "float32"
    many = np.full(10_000, 0.1, "float32")
    exact = float(np.sum(many.astype("float64")))
    assert function([x], T.sum(x, acc_dtype="float64"))(many) == np.float32(exact)
    assert T.mean(T.ivector()).dtype == "float64"
    assert T.mean(x).dtype == "float32"
    assert T.argmax(x).dtype == "int64"
    assert T.any(x).dtype == T.all(x).dtype == "bool"


@pytest.mark.parametrize("source", DTYPES)
def test_cast(source):
    x = TensorType(source, (None,))()
    v = np.array([0, 1, 5]).astype(source)
    for target in DTYPES:
        got = function([x], T.cast(x, target), on_unused_input="ignore")(v)
        assert got.dtype == target
        np.testing.assert_array_equal(got, v.astype(target))
    assert T.cast(x, source) is x
    assert x.astype("floatX").dtype == config.floatX


def test_a_cast_to_integers_cuts_towards_zero():
    x = T.dvector()
    np.testing.assert_array_equal(function([x], T.cast(x, "int32"))([1.9, -1.9, 0.5]), [1, -1, 0])


def test_casts_let_gradients_through_between_floats_only():
    x = T.dvector()
    slope = function([x], T.grad((T.cast(x, "float32") ** 2).sum(), x))([1.5, 2.0])
    assert slope.dtype == "float64"
    np.testing.assert_allclose(slope, [3, 4])
    blocked = function([x], T.grad(T.sum(T.cast(T.cast(x, "int32"), "float64") * x), x))([1.5, 2.0])
    np.testing.assert_allclose(blocked, [1, 2])


def test_bitwise_operators():
    x, y = T.lvector(), T.lvector()
    a, b = np.array([12, -7]), np.array([10, 3])
    got = function([x, y], [x & y, x | y, x ^ y, ~x])(a, b)
    for g, w in zip(got, [a & b, a | b, a ^ b, ~a], strict=True):
        np.testing.assert_array_equal(g, w)
    t = T.TensorType("bool", (None,))()
    m = np.array([True, False])
    np.testing.assert_array_equal(function([t], ~t)(m), ~m)


def test_there_are_no_complex_numbers_or_objects():
    with pytest.raises(TypeMismatch, match="unsupported dtype 'complex64'"):
        TensorType("complex64", ())
    with pytest.raises(TypeMismatch, match="cannot make a tensor of complex"):
        T.constant(1j)
    with pytest.raises(TypeMismatch, match="cannot make a tensor of str"):
        T.as_tensor_variable("x")
