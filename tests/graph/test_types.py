"""TensorType: what fits, what converts, and what the errors say."""

import numpy as np
import pytest

from tinygraph import config
from tinygraph.errors import TypeMismatch
from tinygraph.graph import TensorType


def test_broadcastable_is_derived_from_the_shape():
    assert TensorType("float32", (1, None, 3)).broadcastable == (True, False, False)
    assert TensorType("float32", (True, False)).shape == (1, None)


def test_equality_and_hash_follow_dtype_and_shape():
    assert TensorType("float32", (None, 2)) == TensorType(np.float32, (None, 2))
    assert hash(TensorType("int8", ())) == hash(TensorType("int8", ()))
    assert TensorType("float32", (None,)) != TensorType("float64", (None,))


def test_accepts_only_what_surely_fits_while_fits_trusts_unknown_sizes():
    known, unknown = TensorType("float64", (3,)), TensorType("float64", (None,))
    assert unknown.accepts(known) and not known.accepts(unknown)
    assert known.fits(unknown) and not known.fits(TensorType("float64", (4,)))


def test_an_array_of_the_type_is_taken_as_it_is():
    a = np.zeros((2, 3))
    assert TensorType("float64", (None, None)).filter(a) is a


@pytest.mark.parametrize("value", [3, 3.5, np.float32(2), [1, 2], np.arange(3, dtype="int32")])
def test_safe_conversions(value):
    ndim = np.asarray(value).ndim
    out = TensorType("float64", (None,) * ndim).filter(value)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, value)


def test_a_python_float_becomes_floatX():
    with config.change(floatX="float32"):
        assert TensorType("float32", ()).filter(0.1).dtype == np.float32
    with pytest.raises(TypeMismatch, match="could lose information"):
        TensorType("float32", ()).filter(0.1)


def test_downcast_only_when_allowed():
    t = TensorType("float32", (None,))
    with pytest.raises(TypeMismatch, match="allow_input_downcast"):
        t.filter(np.array([0.1]))
    assert t.filter(np.array([0.1]), allow_downcast=True).dtype == np.float32
    with pytest.raises(TypeMismatch, match="strict"):
        t.filter(np.array([1.0]), strict=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 2)), r"expected 1 dimensions \(TensorType\(float64, \(4,\)\)\), got 2"),
        (np.zeros(3), r"expected size 4 in dimension 0 .* got shape \(3,\)"),
        ("text", "expected an array of float64, got str 'text'"),
        ([[1], [2, 3]], "expected an array of float64, got list"),
    ],
)
def test_errors_name_what_was_expected_and_what_came(value, message):
    with pytest.raises(TypeMismatch, match=message):
        TensorType("float64", (4,)).filter(value)


def test_unknown_dtypes_list_the_known_ones():
    with pytest.raises(TypeMismatch, match="unsupported dtype 'complex64'; supported are bool"):
        TensorType("complex64", ())


def test_dtypes_that_are_strings_of_numpy_become_plain_ones():
    made = TensorType(np.array(["float32"])[0], (2,))
    assert made == TensorType("float32", (2,)) and type(made.dtype) is str
