"""sin, cos and tan, for every finite argument.

Up to a bound the nearest multiple of pi (of pi/2 for tan) is subtracted in three fused steps, of which the first is
exact. Larger arguments leave the loop through a branch to a cold function that reduces them one at a time by the
method of M. Payne and R. Hanek (1983) and computes the result in double precision. sin and cos are one polynomial
on [-pi/2, pi/2]; tan is the quotient of two on [-pi/4, pi/4].
"""

from __future__ import annotations

from fractions import Fraction

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import PI
from tinygraph.targets.llvm.vmath.patch import patch_lanes
from tinygraph.targets.llvm.vmath.payne_hanek import reduce_large
from tinygraph.targets.llvm.vmath.value import Bits, Real, fma, poly, select

SIN_HALF = {32: coefficients.SIN_HALF_32, 64: coefficients.SIN_HALF_64}
SIN_QUARTER = {32: coefficients.SIN_QUARTER_32, 64: coefficients.SIN_QUARTER_64}
COS_QUARTER = {32: coefficients.COS_QUARTER_32, 64: coefficients.COS_QUARTER_64}

# The multiple of pi/2 stays below 2**20, where the first step of the reduction is exact.
BOUND = {32: 2.0**20, 64: 2.0**20}


def _multiple(x: Real, period: Fraction, shift: float = 0.0) -> tuple[Real, Bits]:
    """n = rint(x / period - shift), as a number and as bits of which the lowest hold n."""
    magic = 1.5 * 2.0**x.format.mantissa
    scaled = fma(x, float(1 / period), -shift) if shift else x * float(1 / period)
    shifted = scaled + magic
    return shifted - magic, shifted.bits()


def _remainder(x: Real, n: Real, period: Fraction) -> Real:
    """x - n * period with a relative error near half a unit, also where it is tiny."""
    for part in x.format.split(period, 3):
        x = fma(n, -part, x)
    return x


def sin_half(r: Real) -> Real:
    """sin(r) for |r| <= pi/2, never beyond 1."""
    z = r * r
    return fma(r * z, poly(z, SIN_HALF[r.format.bits]), r).clamp(-1.0, 1.0)


def _lowest_to_sign(n: Bits, width: int) -> Bits:
    """The lowest bit moved to where the sign is."""
    return n << (width - 1)


def _sin_within(x: Real) -> Real:
    n, bits = _multiple(x, PI)
    result = sin_half(_remainder(x, n, PI))
    result = result.flip_sign(_lowest_to_sign(bits, x.format.bits))
    return select(x.equals(0.0), x, result)


def _cos_within(x: Real) -> Real:
    """cos(x) = -(-1)**n sin(x - (n + 1/2) pi)."""
    n, bits = _multiple(x, PI, shift=0.5)
    result = sin_half(_remainder(x, n + 0.5, PI))
    return result.flip_sign(_lowest_to_sign(bits + 1, x.format.bits))


def _tan_reduced(r: Real, odd: Bits) -> Real:
    """tan(r), or -1 / tan(r) where ``odd`` has its sign bit set, for |r| <= pi/4."""
    z = r * r
    sine = fma(r * z, poly(z, SIN_QUARTER[r.format.bits]), r)
    cosine = fma(z, fma(z, poly(z, COS_QUARTER[r.format.bits]), -0.5), 1.0)
    swap = odd.compare("<", 0)
    return select(swap, cosine, sine) / select(swap, sine, cosine).flip_sign(odd)


def _tan_within(x: Real) -> Real:
    n, bits = _multiple(x, PI / 2)
    result = _tan_reduced(_remainder(x, n, PI / 2), _lowest_to_sign(bits, x.format.bits))
    return select(x.equals(0.0), x, result)


def _sin_large(x: Real) -> Real:
    n, r = reduce_large(abs(x), halves=0)
    return sin_half(r).flip_sign(_lowest_to_sign(n, 64)).flip_sign(x.sign())


def _cos_large(x: Real) -> Real:
    n, r = reduce_large(abs(x), halves=0, offset=True)
    return sin_half(r).flip_sign(_lowest_to_sign(n + 1, 64))


def _tan_large(x: Real) -> Real:
    n, r = reduce_large(abs(x), halves=1)
    return _tan_reduced(r, _lowest_to_sign(n, 64)).flip_sign(x.sign())


def _with_large(name: str, x: Real, result: Real) -> Real:
    size = abs(x)
    large = (size >= BOUND[x.format.bits]) & (size < float("inf"))
    return patch_lanes(name, x, result, large, LARGE[name])


def sin(x: Real) -> Real:
    return _with_large("sin", x, _sin_within(x))


def cos(x: Real) -> Real:
    return _with_large("cos", x, _cos_within(x))


def tan(x: Real) -> Real:
    return _with_large("tan", x, _tan_within(x))


LARGE = {"sin": _sin_large, "cos": _cos_large, "tan": _tan_large}
