"""Vector mathematics printed as LLVM IR: every function for float and double, scalars and vectors of any length.

``emit(builder, "exp", [x])`` prints the function at the builder and returns its value. The code is inline, but for
rare arguments (huge ones of sin, cos, tan), which a cold internal function of the same module serves; a function
that has such a path splits the current block, so take ``builder.block`` after the call when building a phi.

``FUNCTIONS`` lists the names with their largest error in units in the last place over the whole range, the tests
hold those bounds. Results are right for nan, infinities, signed zeros and subnormals (arguments and results), no
fast-math flags are used, and every lane is computed as a scalar of the same format would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from tinygraph.errors import InvalidValue
from tinygraph.targets.llvm.vmath import (
    error_function,
    exponential,
    gamma,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
    x86,
)
from tinygraph.targets.llvm.vmath.value import Real

__all__ = ["FUNCTIONS", "VectorFunction", "allow_features", "emit"]


@dataclass(frozen=True)
class VectorFunction:
    """One function: how it is printed, its number of arguments, its error bounds in ulp."""

    formula: Callable[..., Real]
    arguments: int
    ulp32: float
    ulp64: float


def _row(formula: Callable[..., Real], ulp32: float, ulp64: float, arguments: int = 1) -> VectorFunction:
    return VectorFunction(formula, arguments, ulp32, ulp64)


FUNCTIONS: Mapping[str, VectorFunction] = {
    "sqrt": _row(Real.sqrt, 0.5, 0.5),
    "exp": _row(exponential.exp, 1.5, 1.5),
    "exp2": _row(exponential.exp2, 1.5, 1.5),
    "expm1": _row(exponential.expm1, 2, 2.5),
    "sinh": _row(exponential.sinh, 2.5, 3),
    "cosh": _row(exponential.cosh, 2, 2),
    "tanh": _row(exponential.tanh, 3, 3),
    "sigmoid": _row(exponential.sigmoid, 3, 3),
    "softplus": _row(exponential.softplus, 2.5, 2.5),
    "log_sigmoid": _row(exponential.log_sigmoid, 2.5, 2.5),
    "log": _row(logarithm.log, 1.5, 1.5),
    "log1p": _row(logarithm.log1p, 2, 2.5),
    "log2": _row(logarithm.log2, 2, 2),
    "log10": _row(logarithm.log10, 2, 2),
    "asinh": _row(logarithm.asinh, 2.5, 2.5),
    "acosh": _row(logarithm.acosh, 3, 3),
    "atanh": _row(logarithm.atanh, 2.5, 3),
    "sin": _row(trigonometric.sin, 3.5, 2.5),
    "cos": _row(trigonometric.cos, 3.5, 2.5),
    "tan": _row(trigonometric.tan, 4, 4),
    "asin": _row(inverse_trigonometric.asin, 1.5, 1.5),
    "acos": _row(inverse_trigonometric.acos, 1.5, 1.5),
    "atan": _row(inverse_trigonometric.atan, 2, 2.5),
    "atan2": _row(inverse_trigonometric.atan2, 2, 2.5, arguments=2),
    "pow": _row(power.pow, 1, 1.5, arguments=2),
    "erf": _row(error_function.erf, 2, 2),
    "erfc": _row(error_function.erfc, 4, 4),
    "erfinv": _row(error_function.erfinv, 1, 4),
    "lgamma": _row(gamma.lgamma, 1, 4),
}


def allow_features(module: ir.Module, triple: str, features: str) -> None:
    """Let what is emitted into the module use special instructions of a target; results keep every bit."""
    x86.allow(module, triple, features)


def emit(builder: ir.IRBuilder, name: str, args: Sequence[ir.Value]) -> ir.Value:
    """Print the function at the builder's position and return its value, of the arguments' type.

    ``args`` are floats, doubles, or vectors of them, all of one type. Raises InvalidValue for a name that is not in
    ``FUNCTIONS`` or arguments that do not fit it.
    """
    if name not in FUNCTIONS:
        raise InvalidValue(f"vmath: expected one of {', '.join(sorted(FUNCTIONS))}, got {name!r}")
    function = FUNCTIONS[name]
    types = {str(a.type) for a in args}
    element = getattr(args[0].type, "element", args[0].type) if args else None
    if len(args) != function.arguments or len(types) != 1 or not isinstance(element, (ir.FloatType, ir.DoubleType)):
        raise InvalidValue(
            f"vmath {name}: expected {function.arguments} float or double value(s) or vectors of them, all of one "
            f"type, got ({', '.join(str(a.type) for a in args)})"
        )
    return function.formula(*(Real(builder, a) for a in args)).value
