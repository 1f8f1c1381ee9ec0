"""erf and erfc.

erfc(x) = exp(-x*x) t P(t - 1/4) with t = c / (x + c), which maps [0, inf) to (0, 1] and makes the factor smooth
(M. Shepherd and J. Laframboise, Math. Comp. 36, 1981). The square is carried with its rounding error. erf is an odd
polynomial up to 1, and 1 - erfc above.
"""

from __future__ import annotations

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import TWO_OVER_SQRT_PI
from tinygraph.targets.llvm.vmath.exponential import exp_sum
from tinygraph.targets.llvm.vmath.value import Real, fma, poly, select

ERF = {32: coefficients.ERF_32, 64: coefficients.ERF_64}
ERFC = {32: coefficients.ERFC_32, 64: coefficients.ERFC_64}
CENTRE = {32: coefficients.ERFC_CENTRE_32, 64: coefficients.ERFC_CENTRE_64}
SLOPE = {32: 1.7, 64: 3.5}  # d log(factor) / d log(t) is close to 1 + SLOPE * t**2
VANISHES = {32: 10.5, 64: 28.0}  # erfc is zero from here on


def _erfc_positive(x: Real) -> Real:
    bits = x.format.bits
    centre = CENTRE[bits]
    x = x.clamp(high=VANISHES[bits])
    divisor = x + centre
    t = centre / divisor
    factor = t * poly(t - 0.25, ERFC[bits])
    # t is off by two roundings, and the factor moves up to 4.5 times as fast as t: take that back to first order.
    missing = x - (divisor - centre)
    relative = fma(t, -missing, fma(t, -divisor, centre)) * (1.0 / centre)
    factor = fma(factor, relative * fma(t * t, SLOPE[bits], 1.0), factor)
    square = x * x
    rounding = fma(x, x, -square)
    return exp_sum(-square, tail=-rounding, factor=factor)


def erfc(x: Real) -> Real:
    result = _erfc_positive(abs(x))
    return select(x < 0.0, 2.0 - result, result)


def erf(x: Real) -> Real:
    high, low = x.format.split(TWO_OVER_SQRT_PI, 2)
    size = abs(x)
    z = size * size
    inside = fma(size, high, size * fma(z, poly(z, ERF[x.format.bits]), low))
    return select(size <= 1.0, inside, 1.0 - _erfc_positive(size)).with_sign_of(x)
