"""pow(x, y) for every pair of numbers, with the special cases of IEEE 754 and C.

Single precision goes through log2 and exp2 in double precision. Double precision carries log2(x) as the sum of two
numbers, good to about 2**-66, because the product with y may be as large as 1074 and exp2 turns its absolute error
into a relative one.
"""

from __future__ import annotations

from fractions import Fraction

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import LOG2_E
from tinygraph.targets.llvm.vmath.exponential import exp2_sum
from tinygraph.targets.llvm.vmath.logarithm import log1p_reduced, split_power
from tinygraph.targets.llvm.vmath.value import FORMATS, Real, fma, poly, select

INFINITY = float("inf")
Pair = tuple[Real, Real]


def pow(x: Real, y: Real) -> Real:  # noqa: A001 - its name in mathematics
    size = abs(x)
    if x.format.bits == 32:
        result = _pow_single(size, y)
    else:
        result = _pow_double(size, y)
    return _special_cases(x, y, size, result)


def _pow_single(x: Real, y: Real) -> Real:
    """x**y for positive finite x, in double precision."""
    k, f = split_power(x.widened())
    log2 = fma(log1p_reduced(f), float(LOG2_E), k)
    return exp2_sum(log2 * y.widened()).narrowed(x.format)


def _pow_double(x: Real, y: Real) -> Real:
    high, low = _log2_pair(x)
    product, rounding = _times(high, y)
    tail = fma(y, low, rounding)
    return exp2_sum(product, select(abs(product) < 4096.0, tail, 0.0))


def _special_cases(x: Real, y: Real, size: Real, result: Real) -> Real:
    whole = y.rint().equals(y)
    odd = whole & ~(y * 0.5).rint().equals(y * 0.5)
    negative = x.bits().compare("<", 0)

    result = select(size.equals(1.0), result.constant(1.0), result)
    at_end = size.equals(0.0) | size.equals(INFINITY)
    vanishes = size.equals(0.0) ^ (y < 0.0)
    result = select(at_end, select(vanishes, result.constant(0.0), INFINITY), result)
    result = select(negative & odd, -result, result)
    undefined = negative & ~whole & ~at_end
    result = select(undefined, result.constant(float("nan")), result)
    result = select(x.is_nan() | y.is_nan(), x + y, result)
    return select(y.equals(0.0) | x.equals(1.0), result.constant(1.0), result)


def _times(a: Real, b: Real) -> Pair:
    """The product and its rounding error, exactly."""
    product = a * b
    return product, fma(a, b, -product)


def _sum(a: Real, b: Real) -> Pair:
    """The sum and its rounding error, exactly, for |a| >= |b| or a = 0."""
    total = a + b
    return total, (a - total) + b


def _pair_times(a: Pair, b: Pair) -> Pair:
    high, low = _times(a[0], b[0])
    return high, low + fma(a[0], b[1], a[1] * b[0])


def _log2_pair(x: Real) -> Pair:
    """log2(x) of a positive finite double as an unevaluated sum.

    log(1 + f) = 2 s + s**3 (2/3 + s**2 T(s**2)) with s = f / (2 + f); all but T in pairs.
    """
    k, f = split_power(x)
    s = _half_quotient(f)
    z = _pair_times(s, s)
    third_high, third_low = FORMATS[64].split(Fraction(2, 3), 2)
    head, error = _sum(x.constant(third_high), z[0] * poly(z[0], coefficients.ATANH_TAIL_64))
    cubic = _pair_times(s, _pair_times(z, (head, error + third_low)))
    high, low = _sum(s[0] * 2.0, cubic[0])
    low = low + fma(s[1], 2.0, cubic[1])
    unit_high, unit_low = FORMATS[64].split(LOG2_E, 2)
    high, low = _pair_times((high, low), (x.constant(unit_high), x.constant(unit_low)))
    total, error = _sum(k, high)
    return total, error + low


def _half_quotient(f: Real) -> Pair:
    """f / (2 + f)."""
    divisor, divisor_low = _sum(f.constant(2.0), f)
    inverse = 1.0 / divisor
    high = f * inverse
    rest = fma(-high, divisor, f) - high * divisor_low
    return high, rest * inverse
