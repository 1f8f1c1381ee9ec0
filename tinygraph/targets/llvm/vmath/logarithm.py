"""log, log1p, log2, log10 and the inverse hyperbolic functions built on log1p.

The argument is written 2**k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2). In single precision a polynomial in f gives
log(1 + f); in double precision it is short only in s**2, s = f / (2 + f), after P. Tang's and FDLIBM's way.
"""

from __future__ import annotations

from fractions import Fraction

from tinygraph.targets.llvm.vmath import coefficients, x86
from tinygraph.targets.llvm.vmath.constants import LN2, LOG2_E, LOG10_2, LOG10_E
from tinygraph.targets.llvm.vmath.value import Bits, Real, fma, poly, select, select_bits

SQRT_HALF_BITS = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}


def exponent(x: Real) -> Bits:
    """k with sqrt(1/2) <= x / 2**k < sqrt(2), for positive normal x."""
    fmt = x.format
    return (x.bits() - SQRT_HALF_BITS[fmt.bits]) >> fmt.mantissa


def split_power(x: Real) -> tuple[Real, Real]:
    """(k, f) with x = 2**k (1 + f), for positive finite x, subnormal ones too."""
    fmt = x.format
    tiny = x < fmt.smallest_normal
    lift = fmt.mantissa + 1
    x = select(tiny, x * 2.0**lift, x)
    k = exponent(x)
    f = (x.bits() - (k << fmt.mantissa)).as_real() - 1.0
    return (k - select_bits(tiny, x.integer(lift), 0)).to_real(), f


def log1p_reduced(f: Real) -> Real:
    """log(1 + f) for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    if f.format.bits == 32:
        square = f * f
        return f + fma(square, -0.5, square * f * poly(f, coefficients.LOG1P_32))
    return f - log_loss(f)


def log_loss(f: Real) -> Real:
    """f - log(1 + f), as accurate where it is small, for double f as above."""
    half_square = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    return half_square - s * fma(z, poly(z, coefficients.ATANH_64), half_square)


def _add_power(k: Real, log_f: Real, unit: Fraction) -> Real:
    """k * unit + log_f, the product unrounded."""
    high, low = k.format.split(unit, 2)
    return fma(k, high, fma(k, low, log_f))


def _with_limits(x: Real, result: Real) -> Real:
    """``result``, or what the logarithm of x is where x is not positive and finite."""
    fixed = x86.logarithm_limits(x, result)
    if fixed is not None:
        return fixed
    result = select(x < float("inf"), result, x)  # inf and nan pass through
    result = select(x < 0.0, x.constant(float("nan")), result)
    return select(x.equals(0.0), x.constant(float("-inf")), result)


def _log(x: Real, unit: Fraction, scale: Fraction) -> Real:
    k, f = split_power(x)
    log_f = log1p_reduced(f)
    if scale != 1:
        high, low = x.format.split(scale, 2)
        log_f = fma(log_f, high, log_f * low)
    return _with_limits(x, _add_power(k, log_f, unit))


def log(x: Real) -> Real:
    return _log(x, LN2, Fraction(1))


def log2(x: Real) -> Real:
    return _log(x, Fraction(1), LOG2_E)


def log10(x: Real) -> Real:
    return _log(x, LOG10_2, LOG10_E)


def _log1p_finite(x: Real) -> Real:
    """log(1 + x) for -1 < x < inf, not tiny.

    With k from the rounded 1 + x, ``f = x / 2**k + (1 / 2**k - 1)`` is exact but for one rounding. The power is kept
    four times larger and x four times smaller, so that both are normal numbers for every k.
    """
    fmt = x.format
    k = exponent(x + 1.0)
    power = (x.integer((fmt.bias + 2) << fmt.mantissa) - (k << fmt.mantissa)).as_real()
    f = fma(x * 0.25, power, fma(power, 0.25, -1.0))
    return _add_power(k.to_real(), log1p_reduced(f), LN2)


def log1p_inside(x: Real) -> Real:
    """log(1 + x) for -1 < x < inf, or nan."""
    return select(abs(x) >= x.format.epsilon, _log1p_finite(x), x)


def log1p(x: Real) -> Real:
    return _with_limits(x + 1.0, log1p_inside(x))


def asinh(x: Real) -> Real:
    """log1p(|x| + x**2 / (1 + sqrt(1 + x**2))); log(2 |x|) where the square would add nothing."""
    size = abs(x)
    large = size > 2.0 ** (x.format.mantissa + 2)
    square = size * size
    argument = select(large, size, size + square / ((square + 1.0).sqrt() + 1.0))
    result = log1p_inside(argument)
    result = select(large, result + float(LN2), result)
    return select(size < float("inf"), result, size).with_sign_of(x)


def acosh(x: Real) -> Real:
    """log1p(t + sqrt(2 t + t**2)) with t = x - 1; log(2 x) where the root would be 2 x."""
    large = x > 2.0 ** (x.format.mantissa + 2)
    t = x - 1.0
    argument = select(large, x, t + (t * (t + 2.0)).sqrt())
    result = log1p_inside(argument)
    result = select(large, result + float(LN2), result)
    result = select(x >= 1.0, result, float("nan"))
    return select(x.equals(float("inf")), x, result)


def atanh(x: Real) -> Real:
    """log1p(2 |x| / (1 - |x|)) / 2."""
    size = abs(x)
    inside = log1p_inside((size + size) / (1.0 - size)) * 0.5
    result = select(size < 1.0, inside, select(size.equals(1.0), x.constant(float("inf")), x.constant(float("nan"))))
    return result.with_sign_of(x)

