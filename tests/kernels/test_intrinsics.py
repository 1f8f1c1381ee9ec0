"""The functions of generated expressions against NumPy and SciPy, special values included."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import scipy.special as sp
from on_emulator import c_type, launch, needs_emulator, out

from tinygraph.targets.cuda import kernels

pytestmark = needs_emulator

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 3.0, 100.0, -100.0, 1e-8, np.inf, -np.inf, np.nan]
UNARY = {
    "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sigmoid": sp.expit, "softplus": lambda x: np.logaddexp(x, 0), "abs": np.abs, "sign": np.sign,
    "erf": sp.erf, "erfc": sp.erfc, "erfinv": sp.erfinv, "erfcinv": sp.erfcinv, "erfcx": sp.erfcx,
}  # fmt: skip


def trigamma(x):
    """Reflection for negative arguments, where SciPy's polygamma is nan."""
    return sp.polygamma(1, x) if x > 0 else (np.pi / np.sin(np.pi * x)) ** 2 - sp.polygamma(1, 1 - x)


GAMMAS = {"lgamma": sp.gammaln, "gamma": sp.gamma, "digamma": sp.digamma, "trigamma": trigamma}
RTOL = {"float32": 4e-6, "float64": 2e-13}


@cache
def program(expressions, result, *dtypes):
    """Return one source with a kernel for each expression in a, b ...: y = expression."""
    parameters = ", ".join(f"const {c_type(dtype)}* {n}s" for n, dtype in zip("ab", dtypes))
    loads = " ".join(f"const {c_type(dtype)} {n} = {n}s[i];" for n, dtype in zip("ab", dtypes))
    parts = [
        kernels.render(
            "elementwise.cuh", expanded=False, name=f"evaluate_{i}", index="i64",
            definitions='#include "intrinsics.cuh"',
            parameters=f"{parameters}, {c_type(result)}* y", body=f"{loads}\ny[i] = {expression};",
        )
        for i, expression in enumerate(expressions)
    ]  # fmt: skip
    return kernels.expand("\n".join(parts))


def evaluate(expression, result, *operands, among=()):
    """Compute an expression of a, b ... elementwise; compiled together with the others it is `among`."""
    expressions = tuple(among) or (expression,)
    source = program(expressions, str(np.dtype(result)), *(str(x.dtype) for x in operands))
    args = (np.int64(operands[0].size), *operands, out(operands[0].size, result))
    return launch(source, f"evaluate_{expressions.index(expression)}", 2, 64, args)[0]


def pairs(values, dtype):
    a, b = np.meshgrid(values, values)
    return a.ravel().astype(dtype), b.ravel().astype(dtype)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    x = np.concatenate(
        [SPECIAL, np.linspace(-3, 3, 61), np.random.default_rng(0).uniform(-0.99, 0.99, 20)]
    ).astype(dtype)
    with np.errstate(all="ignore"):
        expected = UNARY[name](x)
    found = evaluate(f"op_{name}(a)", dtype, x, among=[f"op_{other}(a)" for other in UNARY])
    np.testing.assert_allclose(found, expected, rtol=RTOL[dtype], atol=RTOL[dtype] * 1e-3)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", GAMMAS)
def test_gamma_family(name, dtype):
    x = np.concatenate(
        [[0.25, 1e-3, 1.0, 2.0, 1.4616], np.linspace(0.1, 30, 40), -np.linspace(0.15, 4.85, 12)]
    ).astype(dtype)
    expected = [GAMMAS[name](value) for value in x.astype("float64")]
    found = evaluate(f"op_{name}(a)", dtype, x, among=[f"op_{other}(a)" for other in GAMMAS])
    rtol, atol = (2e-5, 1e-5) if dtype == "float32" else (1e-11, 1e-12)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


BINARY = {
    "mod": np.mod, "floordiv": np.floor_divide, "pow": np.power, "maximum": np.maximum, "minimum": np.minimum,
    "atan2": np.arctan2, "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip
FLOAT_BINARY = [name for name in BINARY if name not in ("shl", "shr")]
INTEGER_BINARY = [name for name in BINARY if name != "atan2"]


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", FLOAT_BINARY)
def test_binary_floats(name, dtype):
    a, b = pairs([*SPECIAL, 0.1, -0.1, 7.25, -7.25, 2.0], dtype)
    with np.errstate(all="ignore"):
        expected = BINARY[name](a, b)
    found = evaluate(f"op_{name}(a, b)", dtype, a, b, among=[f"op_{other}(a, b)" for other in FLOAT_BINARY])
    np.testing.assert_allclose(found, expected, rtol=RTOL[dtype])
    zero = (expected == 0) & (name not in ("maximum", "minimum"))  # there NumPy's depends on the processor
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32"])
@pytest.mark.parametrize("name", INTEGER_BINARY)
def test_binary_integers(name, dtype):
    info = np.iinfo(dtype)
    values = [v for v in (0, 1, 2, 3, 7, 50, -1, -2, -3, -7, info.min, info.max) if info.min <= v <= info.max]
    a, b = pairs(values, dtype)
    if name == "pow":
        a, b = a[(b >= 0) & (b < 60)], b[(b >= 0) & (b < 60)]
    with np.errstate(all="ignore"):
        expected = BINARY[name](a, b)
    found = evaluate(f"op_{name}(a, b)", dtype, a, b, among=[f"op_{other}(a, b)" for other in INTEGER_BINARY])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool"])
def test_unary_integers(dtype):
    x = np.array([0, 1, 5, 100], dtype)
    np.testing.assert_array_equal(evaluate("op_invert(a)", dtype, x), ~x)
    if dtype != "bool":
        np.testing.assert_array_equal(evaluate("op_abs(a)", dtype, x), abs(x))
        np.testing.assert_array_equal(evaluate("op_sign(a)", dtype, x), np.sign(x))


def test_predicates():
    x = np.array(SPECIAL, "float32")
    np.testing.assert_array_equal(evaluate("op_isnan(a)", "bool", x), np.isnan(x))
    np.testing.assert_array_equal(evaluate("op_isinf(a)", "bool", x), np.isinf(x))


@pytest.mark.parametrize("target", ["bool", "int8", "uint8", "int32", "int64", "float16", "float64"])
@pytest.mark.parametrize("source", ["float32", "float64", "float16", "int8", "bool"])
def test_casts(source, target):
    x = np.array([0, 1, -1, 2.75, -2.75, 100, -100, 126.5], "float64").astype(source)
    found = evaluate(f"op_cast<{c_type(target)}>(a)", target, x)
    np.testing.assert_array_equal(found, x.astype(target))


def test_floats_wrap_into_short_integers():
    x = np.array([300.0, -1.0, 511.9], "float32")
    np.testing.assert_array_equal(evaluate("op_cast<unsigned char>(a)", "uint8", x), [44, 255, 255])


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64"]
)
def test_atomic_updates_of_every_size(dtype):
    """Every thread adds 1 to its place of five; then all take the maximum of two places."""
    source = kernels.expand(f"""#include "atomics.cuh"
    #include "block.cuh"
    #include "intrinsics.cuh"
    struct Larger {{ template <typename T> __device__ T operator()(T a, T b) const {{ return op_maximum(a, b); }} }};
    extern "C" __global__ void tally({c_type(dtype)}* x) {{
        atomic_add(x + threadIdx.x % 5, ({c_type(dtype)})1);
        atomic_update(x + 5 + threadIdx.x % 2, ({c_type(dtype)})threadIdx.x, Larger());
    }}""")
    if dtype == "float16":
        source = source.replace("op_maximum(a, b)", "T(op_maximum((float)a, (float)b))")
    x = np.zeros(8, dtype)  # whole words, see atomics.cuh
    (found,) = launch(source, "tally", 2, 32, (x,))
    np.testing.assert_array_equal(found, [14, 14, 12, 12, 12, 30, 31, 0])
