"""Operators, methods and attributes of symbolic arrays against those of NumPy's."""

import operator

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.errors import TypeMismatch

V = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])


def run(build, *arrays):
    inputs = [T.TensorType(a.dtype.name, (None,) * a.ndim)() for a in map(np.asarray, arrays)]
    return function(inputs, build(*inputs), on_unused_input="ignore")(*arrays)


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
                                operator.mod, operator.lt, operator.le, operator.gt, operator.ge])  # fmt: skip
def test_operators_on_both_sides(op):
    w = np.array([[2.0, -3.0, 0.75], [1.0, 2.0, -2.0]])
    np.testing.assert_allclose(run(op, V, w), op(V, w))
    np.testing.assert_allclose(run(lambda x: op(x, 2.0), V), op(V, 2.0))
    np.testing.assert_allclose(run(lambda x: op(3, x), V), op(3, V))
    np.testing.assert_allclose(run(lambda x: op(w, x), V), op(w, V))


def test_powers_products_and_signs():
    np.testing.assert_allclose(run(lambda x: abs(x) ** 0.5, V), np.abs(V) ** 0.5)
    np.testing.assert_allclose(run(lambda x: 2.0**x, V), 2.0**V)
    np.testing.assert_allclose(run(lambda x: -x + (+x) * 2, V), V)
    np.testing.assert_allclose(run(lambda x: x @ x.T, V), V @ V.T)
    np.testing.assert_allclose(run(lambda x: V.T @ x, V), V.T @ V)
    q, r = run(lambda x: list(divmod(x, 0.75)), V)
    np.testing.assert_allclose([q, r], divmod(V, 0.75))


def test_logic_and_shifts():
    a, b = np.array([5, 6, 7]), np.array([3, 0, 2])
    for op in (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift):
        np.testing.assert_array_equal(run(op, a, b), op(a, b))
    np.testing.assert_array_equal(run(lambda x: ~x, a), ~a)
    np.testing.assert_array_equal(run(lambda x: 6 & x, a), 6 & a)


METHODS = {
    "sum": dict(axis=1), "mean": dict(axis=0), "prod": {}, "max": dict(axis=1, keepdims=True), "min": {}, "var": dict(axis=0),
    "std": {}, "argmax": dict(axis=1), "argmin": {}, "any": dict(axis=0), "all": {}, "cumsum": dict(axis=1), "cumprod": dict(axis=0),
    "clip": dict(a_min=-1.0, a_max=1.0), "round": {}, "transpose": {}, "ravel": {}, "flatten": {}, "sort": dict(axis=0),
    "argsort": dict(axis=1), "repeat": dict(repeats=2, axis=1), "swapaxes": dict(axis1=0, axis2=1), "squeeze": {},
    "diagonal": dict(offset=1), "trace": {}, "take": dict(indices=[1, 0], axis=1), "copy": {}, "conj": {},
}  # fmt: skip


def same_method_of_numpy(name, arguments):
    if name == "clip":
        return V.clip(-1.0, 1.0)
    if name == "sort":  # NumPy's method sorts in place
        return np.sort(V, **arguments)
    return getattr(V, name)(*arguments.values()) if name == "swapaxes" else getattr(V, name)(**arguments)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    np.testing.assert_allclose(
        run(lambda x: getattr(x, name)(**METHODS[name]), V), same_method_of_numpy(name, METHODS[name])
    )


@pytest.mark.parametrize(
    "name", ["exp", "expm1", "sin", "cos", "tanh", "arctan", "sinh", "ceil", "floor", "trunc", "arcsinh"]
)
def test_elementwise_methods(name):
    np.testing.assert_allclose(run(lambda x: getattr(x, name)(), V), getattr(np, name)(V))


def test_methods_beyond_numpys():
    np.testing.assert_allclose(run(lambda x: x.norm(2), V), np.linalg.norm(V))
    np.testing.assert_allclose(run(lambda x: x.dimshuffle(1, "x", 0), V), V.T[:, None])
    np.testing.assert_allclose(run(lambda x: x.reshape((3, -1)), V), V.reshape(3, -1))
    np.testing.assert_allclose(run(lambda x: x.reshape(3, 2), V), V.reshape(3, 2))
    np.testing.assert_allclose(run(lambda x: x.zeros_like() + x.ones_like(), V), np.ones_like(V))
    np.testing.assert_allclose(run(lambda x: x.fill(4.0), V), np.full_like(V, 4))
    np.testing.assert_allclose(run(lambda x: x.nonzero_values(), V), V.ravel())
    np.testing.assert_array_equal(run(lambda x: list(x.nonzero()), V), V.nonzero())
    np.testing.assert_allclose(run(lambda x: x.compress([False, True]), V), V.compress([False, True]))
    np.testing.assert_allclose(run(lambda x: x.compress([0, 1], axis=0), V), V.compress([0, 1], axis=0))
    np.testing.assert_array_equal(
        run(lambda x: x.flatten().sort().searchsorted(0.3), V), np.sort(V.ravel()).searchsorted(0.3)
    )
    np.testing.assert_array_equal(run(lambda i: i.choose([10, 20, 30]), np.array([2, 0])), [30, 10])
    np.testing.assert_allclose(run(lambda x: x.dot([1.0, 2.0, 3.0]), V), V @ [1, 2, 3])
    np.testing.assert_allclose(run(lambda x: x.ptp(axis=0), V), np.ptp(V, axis=0))


def test_attributes():
    x = T.fmatrix("x")
    assert (x.name, x.ndim, x.dtype, x.broadcastable) == ("x", 2, "float32", (False, False))
    assert T.frow().broadcastable == (True, False)
    assert str(x) == "x" and x.owner is None
    assert x.T.owner.inputs == [x]
    np.testing.assert_array_equal(run(lambda v: [v.shape, v.size], V)[0], [2, 3])
    assert x.real is x and x.astype("float32") is x


def test_equality_is_identity():
    x, y = T.dscalar(), T.dscalar()
    assert x == x and x != y and len({x, y, x}) == 2


def test_iteration_over_known_lengths():
    a, b = T.TensorType("float64", (2,))()
    assert function([a.owner.inputs[0]], a - b)([5.0, 3.0]) == 2.0
    assert len(T.TensorType("float64", (2, None))()) == 2


def test_array_functions_of_numpy_leave_variables_alone():
    x = T.dvector()
    out = np.arange(3.0) + x
    assert out.owner is not None
    np.testing.assert_array_equal(function([x], out)([1.0, 1, 1]), [1, 2, 3])
    with pytest.raises(TypeError):
        np.exp(x)


def test_known_numbers():
    assert T.get_scalar_constant_value(T.constant(3) + 4) == 7
    assert T.get_scalar_constant_value(T.zeros((T.iscalar(), 3))) == 0
    assert T.get_scalar_constant_value(T.ones((3, 4)).shape[1]) == 4
    assert T.get_scalar_constant_value(T.TensorType("float32", (None, 5))().shape[1]) == 5
    assert T.constant(np.ones(3)).get_scalar_constant_value() == 1
    found = T.get_scalar_constant_value(T.constant(2.5, dtype="float32"))
    assert found.dtype == "float32"
    assert T.extract_constant(T.constant(2)) == 2
    x = T.dscalar()
    assert T.extract_constant(x) is x
    for unknown in (x, T.constant([1, 2]), T.dvector().shape[0], T.zeros((0,)) + x):
        with pytest.raises(T.NotScalarConstantError, match="not known to be one number"):
            T.get_scalar_constant_value(unknown)
    assert T.get_vector_length(T.stack([x, x])) == 2
    with pytest.raises(TypeMismatch):
        T.constant(x)
