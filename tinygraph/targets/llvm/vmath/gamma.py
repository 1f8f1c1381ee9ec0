"""lgamma: the logarithm of the absolute value of the gamma function. Both formats compute in double precision.

All rests on one polynomial, Q(t) = lgamma(2 + t) / t for -0.6 <= t <= 0.4, which keeps the zero at 2 exact:

    0 .. 0.4       x Q(x) - log(x (1 + x))
    0.4 .. 0.7     t Q(t) - log(x), t = x - 1
    0.7 .. 1.4     t (Q(t) - 1) + (t - log(1 + t)), t = x - 1, the second term from its own series: exact at 1
    1.4 .. 8       t Q(t) + log((x - 1) (x - 2) ... (t + 2)), with t + 2 between 1.4 and 2.4
    8 ..           Stirling's formula
    negative       log(pi / |x sin(pi x)|) - lgamma(-x), relative to these terms: there are zeros where they cancel
"""

from __future__ import annotations

from fractions import Fraction

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import LOG_PI, LOG_SQRT_2PI, PI
from tinygraph.targets.llvm.vmath.logarithm import log, log_loss
from tinygraph.targets.llvm.vmath.trigonometric import sin_half
from tinygraph.targets.llvm.vmath.value import Real, fma, poly, select

INFINITY = float("inf")
STIRLING_FROM = 8.0


def lgamma(x: Real) -> Real:
    wide = x.widened()
    size = abs(wide)
    positive = _lgamma_positive(size)
    fraction = size - size.rint()
    reflected = float(LOG_PI) - log(size * abs(sin_half(fraction * float(PI)))) - positive
    # Where x*x would vanish both signs give -log|x|.
    result = select(wide < -(2.0**-60), reflected, positive)
    # Negative integers are poles, and every large negative number is one.
    pole = size.equals(INFINITY) | ((wide < 0.0) & fraction.equals(0.0))
    return select(pole, size.constant(INFINITY), result).narrowed(x.format)


def _lgamma_positive(x: Real) -> Real:
    return select(x >= STIRLING_FROM, _stirling(x), _by_polynomial(x.clamp(high=STIRLING_FROM)))


def _stirling(x: Real) -> Real:
    inverse = 1.0 / x
    rest = inverse * poly(inverse * inverse, coefficients.STIRLING_64)
    return fma(x - 0.5, log(x) - 1.0, rest + float(LOG_SQRT_2PI - Fraction(1, 2)))


def _by_polynomial(x: Real) -> Real:
    """lgamma of 0 < x <= 8."""
    low, below = x < 0.4, x < 1.4
    product, base = _falling_product(x)
    t = select(low, x, select(below, x - 1.0, base - 2.0))
    q = poly(t, coefficients.LGAMMA_64)
    logarithm = log(select(low, x * (x + 1.0), select(below, x, product)))
    away = fma(t, q, select(below, -logarithm, logarithm))
    return select((x > 0.7) & below, fma(t, q - 1.0, log_loss(t)), away)


def _falling_product(x: Real) -> tuple[Real, Real]:
    """((x - 1) (x - 2) ... b, b) with the last factor b between 1.4 and 2.4; (1, x) for x < 2.4."""
    product, base = x.constant(1.0), x
    for k in range(1, int(STIRLING_FROM) - 1):
        factor = x - float(k)
        more = factor >= 1.4
        product = select(more, product * factor, product)
        base = select(more, factor, base)
    return product, base
