"""Powers with constant exponents."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.passes.facts import const, dtype, is_float, made_by, scalar_constant
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.maths import cast_to, mul, pow, reciprocal, sqr, sqrt


@rule("pow")
def pow_simple(node: Apply, context: Context) -> Any:
    """x**2 -> sqr(x); x**1 -> x; x**0 -> 1; x**-1 -> 1 / x, for floats."""
    x, e = node.inputs
    out = node.outputs[0]
    c = scalar_constant(e)
    if c is None or not is_float(out):
        return None
    v = cast_to(x, dtype(out))
    if c == 0:
        return fitted(const(1, out), out, context, spread=True)
    made = {1.0: lambda: v, 2.0: lambda: sqr(v), -1.0: lambda: reciprocal(v)}.get(float(c))
    return fitted(made(), out, context) if made is not None else None


@rule("pow", tags="specialise", numerics="rounding")
def pow_small(node: Apply, context: Context) -> Any:
    """x**3 -> sqr(x) * x, and so up to 8; x**-3 -> 1 / (sqr(x) * x), which is 0 where the power overflows."""
    x, e = node.inputs
    out = node.outputs[0]
    c = scalar_constant(e)
    if c is None or not is_float(out):
        return None
    n = abs(float(c))
    if not n.is_integer() or not 3 <= n <= 8:
        return None
    power = integer_power(cast_to(x, dtype(out)), int(n))
    return fitted(power if c > 0 else reciprocal(power), out, context)


def integer_power(x: Any, n: int) -> Any:
    """``x**n`` by repeated squaring."""
    result = None
    while n:
        if n & 1:
            result = x if result is None else mul(result, x)
        n >>= 1
        if n:
            x = sqr(x)
    return result


@rule("pow", tags="specialise", numerics="fast_math")
def pow_half(node: Apply, context: Context) -> Any:
    """x**0.5 -> sqrt(x); x**-0.5 -> 1 / sqrt(x): differ for -inf (inf and 0 before, nan after)."""
    x, e = node.inputs
    out = node.outputs[0]
    c = scalar_constant(e)
    if c is None or not is_float(out) or abs(float(c)) != 0.5:
        return None
    root = sqrt(cast_to(x, dtype(out)))
    return fitted(root if c > 0 else reciprocal(root), out, context)


@rule("pow", tags="stabilise", numerics="rounding")
def pow_pow(node: Apply, context: Context) -> Any:
    """(x**2)**3 -> x**6, for whole exponents of small product."""
    inner = made_by(node.inputs[0], "pow", "sqr")
    c = scalar_constant(node.inputs[1])
    out = node.outputs[0]
    if inner is None or c is None or not is_float(out) or dtype(node.inputs[0]) != dtype(out):
        return None
    d = np.float64(2) if inner.op.scalar_op.name == "sqr" else scalar_constant(inner.inputs[1])
    if d is None or not float(c).is_integer() or not float(d).is_integer() or c < 1 or d < 1 or c * d > 64:
        return None
    return fitted(pow(inner.inputs[0], const(float(c) * float(d), out)), out, context)


@rule("mul", tags="specialise")
def mul_self(node: Apply) -> Any:
    """x * x -> sqr(x)."""
    a, b = node.inputs
    return sqr(a) if a is b and is_float(a) else None


@rule("div", tags="specialise", numerics="rounding")
def div_by_constant(node: Apply, context: Context) -> Any:
    """x / 4 -> x * 0.25: exact for powers of two; for others within one ulp, if the reciprocal is a normal number."""
    a, b = node.inputs
    out = node.outputs[0]
    c = scalar_constant(b)
    if c is None or not is_float(out) or c == 0 or dtype(a) != dtype(out):
        return None
    kind = np.dtype(dtype(out)).type
    with np.errstate(all="ignore"):
        inverse = kind(1) / kind(c)
    if not np.isfinite(inverse) or abs(inverse) < np.finfo(kind).tiny:
        return None
    return fitted(mul(a, const(inverse, out)), out, context)
