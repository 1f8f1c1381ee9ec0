"""exp, expm1, exp2, the hyperbolic functions built on them, the logistic function and softplus.

The argument is cut to ``x = n ln(2) + r`` with ``|r| <= ln(2)/2`` in two fused steps; a polynomial gives
``exp(r) - 1``; the power of two is put together from its bits. It is applied in two halves, so that a result may be
subnormal, and one that is too large becomes infinite, without a branch.
"""

from __future__ import annotations

from tinygraph.targets.llvm.vmath import coefficients, x86
from tinygraph.targets.llvm.vmath.constants import LN2, LOG2_E
from tinygraph.targets.llvm.vmath.logarithm import log1p_inside
from tinygraph.targets.llvm.vmath.value import Bits, Format, Real, fma, poly, select

EXP = {32: coefficients.EXP_32, 64: coefficients.EXP_64}

# Beyond these exp is surely infinite, or surely zero, and still small enough for the bit arithmetic.
HIGH = {32: 89.0, 64: 710.0}
LOW = {32: -104.0, 64: -746.0}


def _round_to_integer(x: Real, factor: float) -> tuple[Real, Bits]:
    """n = rint(x * factor) as a number, and as bits of which the low ones hold n in two's complement.

    Adding 1.5 * 2**mantissa leaves the integer in the low bits of the sum; unlike a conversion to integers this has
    a harmless result for nan. Good for |n| < 2**(mantissa - 1).
    """
    magic = 1.5 * 2.0**x.format.mantissa
    shifted = fma(x, factor, magic) if factor != 1 else x + magic
    return shifted - magic, shifted.bits()


def _power_of_two(n: Bits, fmt: Format) -> Real:
    """2**n from the low bits of n, for n in the exponent range of normal numbers."""
    return ((n << fmt.mantissa) + (fmt.bias << fmt.mantissa)).as_real()


def _scale(x: Real, n: Real, bits: Bits, halvings: int = 0) -> Real:
    """x * 2**(n - halvings), rounded once where the result is subnormal, infinite where it is too large."""
    scaled = x86.scale(x, n - float(halvings) if halvings else n)
    if scaled is not None:
        return scaled
    if halvings:
        bits = bits - halvings
    half = bits >> 1
    return x * _power_of_two(half, x.format) * _power_of_two(bits - half, x.format)


def _expm1_reduced(x: Real, tail: Real | None = None) -> tuple[Real, Real, Bits]:
    """q and n (twice) with exp(x + tail) = 2**n (1 + q), |q| < 0.42; x must be clamped, or nan, which q takes over."""
    n, bits = _round_to_integer(x, x.format.round(float(LOG2_E)))
    high, low = x.format.split(LN2, 2)
    r = fma(n, -low, fma(n, -high, x))
    if tail is not None:
        r = r + tail
    return _expm1_small(r), n, bits


def _expm1_small(r: Real) -> Real:
    """exp(r) - 1 for |r| <= ln(2)/2."""
    return fma(r * r, poly(r, EXP[r.format.bits]), r)


def exp_sum(x: Real, tail: Real | None = None, factor: Real | None = None, halvings: int = 0) -> Real:
    """exp(x + tail) * factor / 2**halvings, for a small tail and a factor near 1; rounds subnormals once."""
    q, n, bits = _expm1_reduced(x.clamp(LOW[x.format.bits], HIGH[x.format.bits] + halvings), tail)
    scaled = q + 1.0 if factor is None else fma(q, factor, factor)
    return _scale(scaled, n, bits, halvings)


def exp(x: Real) -> Real:
    return exp_sum(x)


def exp2_sum(x: Real, tail: Real | None = None) -> Real:
    """2**(x + tail) for a small tail."""
    fmt = x.format
    x = x.clamp(-fmt.bias - fmt.mantissa - 2.0, fmt.bias + 2.0)
    n, bits = _round_to_integer(x, 1)
    r = x - n
    if tail is not None:
        r = r + tail
    return _scale(_expm1_small(r * float(LN2)) + 1.0, n, bits)


def exp2(x: Real) -> Real:
    return exp2_sum(x)


def _quarter_expm1(x: Real) -> Real:
    """(exp(x) - 1) / 4, which does not overflow where sinh is finite; loses the sign of zero."""
    q, _, bits = _expm1_reduced(x)
    power = _power_of_two(bits - 2, x.format)
    return fma(power, q, power - 0.25)


def expm1(x: Real) -> Real:
    fmt = x.format
    inside = x.clamp(-(fmt.mantissa + 3.0), HIGH[fmt.bits])
    return select(abs(x) < fmt.epsilon, x, _quarter_expm1(inside) * 4.0)


def tanh(x: Real) -> Real:
    """-t / (2 + t) with t = exp(-2 |x|) - 1."""
    fmt = x.format
    twice = (abs(x) * -2.0).clamp(low=-(fmt.mantissa + 3.0))
    t = select(twice > -fmt.epsilon, twice, _quarter_expm1(twice) * 4.0)
    return (-t / (t + 2.0)).with_sign_of(x)


def sinh(x: Real) -> Real:
    """2 g + g / (2 g + 1/2) with g = (exp(|x|) - 1) / 4."""
    fmt = x.format
    size = abs(x)
    g = _quarter_expm1(size.clamp(high=HIGH[fmt.bits] + 0.5))
    twice = g + g
    return select(size < 2.0 ** -(fmt.mantissa // 2 + 2), size, twice + g / (twice + 0.5)).with_sign_of(x)


def cosh(x: Real) -> Real:
    """h + 1 / (4 h) with h = exp(|x|) / 2."""
    h = exp_sum(abs(x), halvings=1)
    return h + 0.25 / h


def sigmoid(x: Real) -> Real:
    """1 / (1 + exp(-x)); exp(x) / (1 + exp(x)) for negative x, so that small results keep all their digits."""
    e = exp_sum(-abs(x))
    return select(x < 0.0, e, e.constant(1.0)) / (e + 1.0)


def softplus(x: Real) -> Real:
    """log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|))."""
    e = exp_sum(-abs(x))
    return x.clamp(low=0.0) + log1p_inside(e)


def log_sigmoid(x: Real) -> Real:
    return -softplus(-x)
