"""Every row of the elementwise table: dtypes, broadcasting, layouts, sizes 0 and 1, special values, derivatives."""

import numpy as np
import pytest
from op_checks import assert_same, check_gradient, check_layouts, check_value, interpret, variables

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.gradient.verify import VerifyGradError
from tinygraph.tensor.elemwise import SCALAR_OPS, Elemwise, ScalarOp

_ = T.polygamma(2, 1.0)  # its rows are made when asked for
ROWS = [name for name in SCALAR_OPS if name in {row.name for row in SCALAR_OPS.values()}]
FLOATS = ("float64", "float32")
INTEGERS = ("int64", "int32", "int8", "uint8")
#: rows that mean something on booleans
BOOLEAN = set("and or xor invert eq ne lt le gt ge switch add mul maximum minimum identity".split())
#: operands that broadcast against each other
SHAPES = {1: [(2, 3)], 2: [(2, 3), (1, 3)], 3: [(2, 1), (1, 3), (3,)]}


def domain(row, i):
    return row.domain[i] if isinstance(row.domain[0], tuple) else row.domain


def draw(row, shapes, dtype, seed=0):
    """Operands inside the row's domain, no two equal."""
    rng = np.random.default_rng(seed)
    arrays = []
    for i, shape in enumerate(shapes):
        low, high = domain(row, i)
        if dtype == "bool":
            arrays.append(rng.random(shape) < 0.5)
        elif dtype.startswith("float"):
            arrays.append(np.asarray(low + (high - low) * rng.random(shape)).astype(dtype))
        else:
            low = max(int(np.ceil(low)), 0 if dtype.startswith("u") else -128)
            arrays.append(rng.integers(low, max(int(high), low) + 1, size=shape).astype(dtype))
    if row.name == "switch" and dtype.startswith("float"):
        arrays[0] = rng.random(shapes[0]) < 0.5
    return arrays


def dtypes(row):
    found = list(FLOATS) if row.floats else []
    has_integers = all(np.ceil(domain(row, i)[0]) <= domain(row, i)[1] for i in range(row.nin))
    if row.integers and has_integers:
        found += INTEGERS
    return found + (["bool"] if row.name in BOOLEAN else [])


@pytest.mark.parametrize("name", ROWS)
def test_every_dtype_broadcast(name):
    row = SCALAR_OPS[name]
    for dtype in dtypes(row):
        check_value(Elemwise(row), draw(row, SHAPES[row.nin], dtype))


@pytest.mark.parametrize("name", ROWS)
def test_scalars_and_sizes_0_and_1(name):
    row = SCALAR_OPS[name]
    dtype = "float64" if row.floats else "int64"
    for shape in ((), (1,), (0,), (3, 0), (1, 1)):
        check_value(Elemwise(row), draw(row, [shape] * row.nin, dtype))
    if row.nin == 2:
        check_value(Elemwise(row), draw(row, [(), (4,)], dtype))
        check_value(Elemwise(row), draw(row, [(2, 0), (1, 1)], dtype))


@pytest.mark.parametrize("name", ROWS)
def test_memory_layouts(name):
    row = SCALAR_OPS[name]
    check_layouts(Elemwise(row), draw(row, [(3, 4)] * row.nin, "float64" if row.floats else "int64"))


@pytest.mark.parametrize("name", [n for n in ROWS if SCALAR_OPS[n].floats])
def test_nan_infinity_and_signed_zero(name):
    row = SCALAR_OPS[name]
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 700.0, -700.0])
    grids = np.meshgrid(*[special] * row.nin)
    for dtype in FLOATS:
        arrays = [g.ravel().astype(dtype) for g in grids]
        if name == "switch":
            arrays[0] = arrays[0] > 0
        inputs = variables(arrays, known=False)
        out = Elemwise(row)(*inputs)
        want = interpret([out], dict(zip(inputs, arrays, strict=True)))[0]
        with np.errstate(all="ignore"):
            got = function(inputs, out)(*arrays)
        assert_same(got, want, name)


SMOOTH = [n for n in ROWS if SCALAR_OPS[n].floats and SCALAR_OPS[n].out != "bool" and n != "held_constant"]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient(name):
    row = SCALAR_OPS[name]
    check_gradient(Elemwise(row), draw(row, SHAPES[row.nin], "float64", seed=3), second=row.vjp is not None)


def test_held_constant_has_no_gradient():
    x = T.dvector()
    assert function([x], T.grad((T.held_constant(x) * x).sum(), x))([2.0, 3.0]).tolist() == [2.0, 3.0]


def test_mixed_dtypes():
    for left, right in (
        ("int8", "float32"),
        ("int32", "float32"),
        ("uint8", "int8"),
        ("bool", "int16"),
        ("float32", "float64"),
    ):
        a, b = np.array([1, 0, 1]).astype(left), np.array([1, 1, 3]).astype(right)
        for op in (T.add, T.mul, T.sub, T.maximum, T.lt, T.eq):
            if op is T.sub and "bool" in (left, right):
                continue
            check_value(op, [a, b])


def test_a_wrong_derivative_is_found():
    wrong = Elemwise(ScalarOp("wrong", 1, np.sin, out="float", vjp=lambda g, out, x: (g * T.sin(x),),
                              expr=SCALAR_OPS["sin"].expression))  # fmt: skip
    with pytest.raises(VerifyGradError):
        check_gradient(wrong, [np.array([0.3, 1.2])])


def test_a_wrong_expression_is_found():
    wrong = Elemwise(ScalarOp("wrong", 1, np.sin, out="float", expr=SCALAR_OPS["cos"].expression))
    with pytest.raises(AssertionError, match="compiled"):
        check_value(wrong, [np.array([0.3, 1.2])])
