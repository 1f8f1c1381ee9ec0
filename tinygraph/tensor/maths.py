"""The table of elementwise mathematics. Each row: name, operands, NumPy form, gradient, expression, test domain."""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.program.expr import call, cast, const, select
from tinygraph.program.expr import unary as _unary
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import float_dtype, upcast
from tinygraph.tensor.elemwise import Elemwise, ScalarOp, elemwise

# -- arithmetic ---------------------------------------------------------------------------------------------------

add = elemwise("add", 2, np.add, "a + b", vjp=lambda g, out, a, b: (g, g), commutative=True, associative=True)
sub = elemwise("sub", 2, lambda a, b: a ^ b if a.dtype == bool else np.subtract(a, b), "a - b",
               vjp=lambda g, out, a, b: (g, neg(g)))  # fmt: skip
mul = elemwise("mul", 2, np.multiply, "a * b", vjp=lambda g, out, a, b: (g * b, g * a), commutative=True,
               associative=True)  # fmt: skip


def _division_dtype(*dtypes: str) -> str:
    joined = upcast(*dtypes)
    return joined if joined.startswith("float") else config.floatX


true_div = elemwise(
    "div", 2, np.true_divide, "a / b; floatX for integers", out=_division_dtype,
    vjp=lambda g, out, a, b: (g / b, neg(g * out / b)), domain=((-3, 3), (0.5, 3)),
)  # fmt: skip


int_div = elemwise("floordiv", 2, np.floor_divide, "floor of a / b", domain=((-9, 9), (1, 4)))
mod = elemwise(
    "mod", 2, np.mod, "a - floor(a / b) * b, with the sign of b",
    vjp=lambda g, out, a, b: (g, neg(g * int_div(a, b))), domain=((-9, 9), (1, 4)),
)  # fmt: skip


def _pow_grads(g: Any, out: Any, a: Any, b: Any) -> Any:
    log_a = switch(gt(a, 0), log(switch(gt(a, 0), a, 1)), 0)
    return g * b * pow(a, switch(eq(b, 0), 1, b - 1)), g * out * log_a


def _pow_dtype(*dtypes: str) -> str:
    return upcast(*dtypes)


def _numpy_pow(a: Any, b: Any) -> Any:
    if a.dtype.kind in "iu" and b.dtype.kind == "i":
        return np.where(b >= 0, np.power(a, np.maximum(b, 0)), np.trunc(np.power(a.astype("f8"), b)).astype(a.dtype))
    return np.power(a, b)


pow = elemwise("pow", 2, _numpy_pow, "a ** b", out=_pow_dtype, vjp=_pow_grads, domain=((0.3, 3), (-2, 2)),
               integers=False)  # fmt: skip
neg = elemwise("neg", 1, lambda x: np.logical_not(x) if x.dtype == bool else np.negative(x), "-x",
               vjp=lambda g, out, x: (neg(g),))  # fmt: skip
abs = elemwise("abs", 1, np.abs, "|x|; derivative sign(x)", vjp=lambda g, out, x: (g * sgn(x),))
abs_ = abs
sgn = elemwise("sign", 1, np.sign, "-1, 0 or 1")
sqr = elemwise("sqr", 1, np.square, "x * x", vjp=lambda g, out, x: (g * x * 2,), expr=lambda x: x * x)
square = sqr
identity = elemwise("identity", 1, lambda x: x, "x itself", vjp=lambda g, out, x: (g,), expr=lambda x: x)
tensor_copy = identity
held_constant = elemwise("held_constant", 1, lambda x: x, "x itself, constant in differentiation", expr=lambda x: x)
reciprocal = elemwise("reciprocal", 1, lambda x: 1 / x, "1 / x", out="float",
                      vjp=lambda g, out, x: (neg(g * out * out),), expr=lambda x: 1 / x, domain=(0.4, 3.0))  # fmt: skip
inv = reciprocal

# -- exponentials and logarithms ----------------------------------------------------------------------------------

exp = elemwise("exp", 1, np.exp, "e ** x", out="float", vjp=lambda g, out, x: (g * out,))
exp2 = elemwise("exp2", 1, np.exp2, "2 ** x", out="float", vjp=lambda g, out, x: (g * out * _math.log(2),))
expm1 = elemwise("expm1", 1, np.expm1, "exp(x) - 1, exact near 0", out="float", vjp=lambda g, out, x: (g * (out + 1),))
log = elemwise("log", 1, np.log, "natural logarithm", out="float", vjp=lambda g, out, x: (g / x,), domain=(0.1, 5.0))
log2 = elemwise("log2", 1, np.log2, "logarithm to base 2", out="float",
                vjp=lambda g, out, x: (g / (x * _math.log(2)),), domain=(0.1, 5.0))  # fmt: skip
log10 = elemwise("log10", 1, np.log10, "logarithm to base 10", out="float",
                 vjp=lambda g, out, x: (g / (x * _math.log(10)),), domain=(0.1, 5.0))  # fmt: skip
log1p = elemwise("log1p", 1, np.log1p, "log(1 + x), exact near 0", out="float", vjp=lambda g, out, x: (g / (1 + x),),
                 domain=(-0.8, 4.0))  # fmt: skip
sqrt = elemwise("sqrt", 1, np.sqrt, "square root", out="float", vjp=lambda g, out, x: (g * 0.5 / out,),
                domain=(0.1, 5.0))  # fmt: skip
cbrt = elemwise(
    "cbrt", 1, np.cbrt, "cube root", out="float", vjp=lambda g, out, x: (g / (3 * out * out),), domain=(0.2, 5.0),
    expr=lambda x: _unary("sign", x) * call("pow", _unary("abs", x), const(1 / 3, x.dtype)),
)  # fmt: skip

# -- trigonometry -------------------------------------------------------------------------------------------------

sin = elemwise("sin", 1, np.sin, "sine of x radians", out="float", vjp=lambda g, out, x: (g * cos(x),))
cos = elemwise("cos", 1, np.cos, "cosine of x radians", out="float", vjp=lambda g, out, x: (neg(g * sin(x)),))
tan = elemwise("tan", 1, np.tan, "tangent of x radians", out="float", vjp=lambda g, out, x: (g * (1 + out * out),),
               domain=(-1.2, 1.2))  # fmt: skip
arcsin = elemwise("asin", 1, np.arcsin, "inverse sine", out="float",
                  vjp=lambda g, out, x: (g / sqrt(1 - x * x),), domain=(-0.9, 0.9), integers=False)  # fmt: skip
arccos = elemwise("acos", 1, np.arccos, "inverse cosine", out="float",
                  vjp=lambda g, out, x: (neg(g / sqrt(1 - x * x)),), domain=(-0.9, 0.9), integers=False)  # fmt: skip
arctan = elemwise("atan", 1, np.arctan, "inverse tangent", out="float", vjp=lambda g, out, x: (g / (1 + x * x),))
arctan2 = elemwise(
    "atan2", 2, np.arctan2, "angle of the point (x=b, y=a)", out="float", domain=((0.2, 3), (0.2, 3)),
    vjp=lambda g, out, a, b: (g * b / (a * a + b * b), neg(g * a / (a * a + b * b))),
)  # fmt: skip
sinh = elemwise("sinh", 1, np.sinh, "hyperbolic sine", out="float", vjp=lambda g, out, x: (g * cosh(x),))
cosh = elemwise("cosh", 1, np.cosh, "hyperbolic cosine", out="float", vjp=lambda g, out, x: (g * sinh(x),))
tanh = elemwise("tanh", 1, np.tanh, "hyperbolic tangent", out="float", vjp=lambda g, out, x: (g * (1 - sqr(out)),))
arcsinh = elemwise("asinh", 1, np.arcsinh, "inverse hyperbolic sine", out="float",
                   vjp=lambda g, out, x: (g / sqrt(x * x + 1),))  # fmt: skip
arccosh = elemwise("acosh", 1, np.arccosh, "inverse hyperbolic cosine", out="float",
                   vjp=lambda g, out, x: (g / sqrt(x * x - 1),), domain=(1.2, 4.0))  # fmt: skip
arctanh = elemwise("atanh", 1, np.arctanh, "inverse hyperbolic tangent", out="float",
                   vjp=lambda g, out, x: (g / (1 - x * x),), domain=(-0.9, 0.9), integers=False)  # fmt: skip
deg2rad = elemwise("deg2rad", 1, np.deg2rad, "degrees to radians", out="float",
                   vjp=lambda g, out, x: (g * (_math.pi / 180),), expr=lambda x: x * (_math.pi / 180))  # fmt: skip
rad2deg = elemwise("rad2deg", 1, np.rad2deg, "radians to degrees", out="float",
                   vjp=lambda g, out, x: (g * (180 / _math.pi),), expr=lambda x: x * (180 / _math.pi))  # fmt: skip

# -- sigmoid family -----------------------------------------------------------------------------------------------


def _numpy_sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _numpy_softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


sigmoid = elemwise("sigmoid", 1, _numpy_sigmoid, "1 / (1 + exp(-x)), without overflow", out="float",
                   vjp=lambda g, out, x: (g * out * (1 - out),))  # fmt: skip
softplus = elemwise("softplus", 1, _numpy_softplus, "log(1 + exp(x)), without overflow", out="float",
                    vjp=lambda g, out, x: (g * sigmoid(x),))  # fmt: skip

# -- comparisons and choice ---------------------------------------------------------------------------------------

eq = elemwise("eq", 2, np.equal, "a == b", out="bool", commutative=True)
neq = elemwise("ne", 2, np.not_equal, "a != b", out="bool", commutative=True)
lt = elemwise("lt", 2, np.less, "a < b", out="bool")
le = elemwise("le", 2, np.less_equal, "a <= b", out="bool")
gt = elemwise("gt", 2, np.greater, "a > b", out="bool")
ge = elemwise("ge", 2, np.greater_equal, "a >= b", out="bool")
isnan = elemwise("isnan", 1, np.isnan, "whether x is not a number", out="bool", args=lambda d: (float_dtype(d),))
isinf = elemwise("isinf", 1, np.isinf, "whether x is infinite", out="bool", args=lambda d: (float_dtype(d),))


def _maximum_grads(g: Any, out: Any, a: Any, b: Any) -> Any:
    return g * eq(a, out), g * neq(a, out)  # of equal operands the first takes the gradient


maximum = elemwise("maximum", 2, np.maximum, "the larger; nan if either is nan", vjp=_maximum_grads, commutative=True,
                   associative=True)  # fmt: skip
minimum = elemwise("minimum", 2, np.minimum, "the smaller; nan if either is nan", vjp=_maximum_grads,
                   commutative=True, associative=True)  # fmt: skip


def _switch_out(c: str, a: str, b: str) -> str:
    return upcast(a, b)


switch = elemwise(
    "switch", 3, lambda c, a, b: np.where(c, a, b), "a where c is true, else b", out=_switch_out,
    args=lambda c, a, b: ("bool", upcast(a, b), upcast(a, b)), expr=lambda c, a, b: select(c, a, b),
    vjp=lambda g, out, c, a, b: (None, switch(c, g, 0), switch(c, 0, g)), domain=((0, 2), (-3, 3), (-3, 3)),
)  # fmt: skip
where = switch
clip = elemwise(
    "clip", 3, lambda x, lo, hi: np.minimum(np.maximum(x, lo), hi), "x limited to lo .. hi",
    vjp=lambda g, out, x, lo, hi: (
        switch(and_(ge(x, lo), le(x, hi)), g, 0), switch(lt(x, lo), g, 0), switch(gt(x, hi), g, 0)
    ),
    expr=lambda x, lo, hi: call("minimum", call("maximum", x, lo), hi), domain=((-3, 3), (-2, -1), (1, 2)),
)  # fmt: skip

# -- logic and bits -----------------------------------------------------------------------------------------------

and_ = elemwise("and", 2, np.bitwise_and, "a & b", commutative=True, associative=True, floats=False)
or_ = elemwise("or", 2, np.bitwise_or, "a | b", commutative=True, associative=True, floats=False)
xor = elemwise("xor", 2, np.bitwise_xor, "a ^ b", commutative=True, associative=True, floats=False)
invert = elemwise("invert", 1, np.invert, "~x", floats=False)
left_shift = elemwise("shl", 2, np.left_shift, "a << b", floats=False, domain=((0, 9), (0, 4)))
right_shift = elemwise("shr", 2, np.right_shift, "a >> b", floats=False, domain=((0, 99), (0, 4)))
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_, or_, xor, invert

# -- rounding -----------------------------------------------------------------------------------------------------

floor = elemwise("floor", 1, np.floor, "largest integer not above x", out="float")
ceil = elemwise("ceil", 1, np.ceil, "smallest integer not below x", out="float")
trunc = elemwise("trunc", 1, np.trunc, "x without its fraction", out="float")
round_half_to_even = elemwise("rint", 1, np.rint, "nearest integer, halves to even", out="float")
round_half_away_from_zero = elemwise(
    "round_away", 1, lambda x: np.trunc(x + np.copysign(0.5, x)), "nearest integer, halves away from 0", out="float",
    expr=lambda x: call("trunc", x + select(x < 0, const(-0.5, x.dtype), const(0.5, x.dtype))),
)  # fmt: skip


def round(x: Any, mode: str | None = None) -> Any:
    """Nearest integer; ``mode`` "half_to_even" (default) or "half_away_from_zero". Integers stay as they are."""
    x = as_tensor_variable(x)
    if x.type.dtype[0] != "f":
        return x
    if mode in (None, "half_to_even"):
        return round_half_to_even(x)
    if mode == "half_away_from_zero":
        return round_half_away_from_zero(x)
    raise ValueError(f'round: mode must be "half_to_even" or "half_away_from_zero", got {mode!r}')


iround = lambda x, mode=None: cast_to(round(x, mode), "int64")  # noqa: E731

# -- casts --------------------------------------------------------------------------------------------------------

_CASTS: dict[str, Elemwise] = {}


def cast_op(dtype: str) -> Elemwise:
    """The op that converts to ``dtype``."""
    if dtype not in _CASTS:
        row = ScalarOp(
            "cast", 1, lambda x: x.astype(dtype), out=lambda d: dtype, args=lambda d: (d,),
            expr=lambda x: cast(x, dtype),
            vjp=lambda g, out, x: (cast_to(g, x.type.dtype) if x.type.dtype[0] == "f" else None,), attrs=(dtype,),
        )  # fmt: skip
        _CASTS[dtype] = Elemwise(row, name=f"cast_{dtype}")
    return _CASTS[dtype]


def cast_to(x: Any, dtype: Any) -> Any:
    """``x`` converted to ``dtype`` ("floatX" allowed); ``x`` itself if it has that dtype."""
    from tinygraph.graph.tensortype import TensorType

    name = TensorType(dtype).dtype
    x = as_tensor_variable(x)
    return x if x.type.dtype == name else cast_op(name)(x)




def largest(*args: Any) -> Any:
    """The elementwise maximum of several operands."""
    return maximum(*args)


def smallest(*args: Any) -> Any:
    """The elementwise minimum of several operands."""
    return minimum(*args)
