"""erf, erfc and erfinv.

erfc(x) = exp(-x*x) t P(t - 1/4) with t = c / (x + c), which maps [0, inf) to (0, 1] and makes the factor smooth
(M. Shepherd and J. Laframboise, Math. Comp. 36, 1981). The square is carried with its rounding error. erf is an odd
polynomial up to 1, and 1 - erfc above.

erfinv(x) / x is smooth in w = -log(1 - x*x), and in sqrt(w) where that is large (M. Giles, GPU Computing Gems 2,
2011). Two polynomials give 8 digits, enough for single precision; a step of Halley's method makes them 16.
"""

from __future__ import annotations

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import TWO_OVER_SQRT_PI
from tinygraph.targets.llvm.vmath.exponential import exp, exp_sum
from tinygraph.targets.llvm.vmath.logarithm import log
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
    # t is off by two roundings, and the factor moves up to 4.5 times as fast as t: the exponent takes that back.
    missing = x - (divisor - centre)
    relative = fma(t, -missing, fma(t, -divisor, centre)) * (1.0 / centre)
    square = x * x
    tail = fma(relative, fma(t * t, SLOPE[bits], 1.0), -fma(x, x, -square))
    return exp_sum(-square, tail=tail, factor=factor)


def _erf_small(x: Real) -> Real:
    """erf(x) for |x| <= 1."""
    high, low = x.format.split(TWO_OVER_SQRT_PI, 2)
    z = x * x
    return fma(x, high, x * fma(z, poly(z, ERF[x.format.bits]), low))


def erfc(x: Real) -> Real:
    """1 - erf(x) up to 1/2, where the other formula would cost digits that this one has for nothing."""
    size = abs(x)
    outer = _erfc_positive(size)
    outer = select(x < 0.0, 2.0 - outer, outer)
    return select(size < 0.5, 1.0 - _erf_small(x), outer)


def erf(x: Real) -> Real:
    size = abs(x)
    return select(size <= 1.0, _erf_small(size), 1.0 - _erfc_positive(size)).with_sign_of(x)


def erfinv(x: Real) -> Real:
    size = abs(x).widened()
    result = _erfinv_start(size)
    if x.format.bits == 64:
        result = _erfinv_step(size, result)
    result = select(size.equals(1.0), result.constant(float("inf")), result)
    result = select(size > 1.0, result.constant(float("nan")), result)
    return result.narrowed(x.format).with_sign_of(x)


def _erfinv_start(x: Real) -> Real:
    """erfinv(x) to 2**-30, for 0 <= x < 1 in double precision."""
    w = -log((1.0 - x) * (x + 1.0))
    centre = poly(w - 3.0, coefficients.ERFINV_CENTRE_64)
    tail = poly(w.sqrt() - 4.0, coefficients.ERFINV_TAIL_64)
    return x * select(w <= 6.25, centre, tail)


def _erfinv_step(x: Real, y: Real) -> Real:
    """The root of erf(y) = x next to y; of erfc(y) = 1 - x, an exact difference, where x is above 3/4."""
    excess = select(x > 0.75, (1.0 - x) - _erfc_positive(y), _erf_small(y) - x)
    newton = excess * exp(y * y) * float(1 / TWO_OVER_SQRT_PI)
    return y - newton / fma(y, newton, 1.0)
