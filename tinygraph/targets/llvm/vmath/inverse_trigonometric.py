"""asin, acos, atan and atan2: one polynomial each, on [0, 1/2] and on [0, 1], and identities for the rest."""

from __future__ import annotations

from tinygraph.targets.llvm.vmath import coefficients
from tinygraph.targets.llvm.vmath.constants import PI
from tinygraph.targets.llvm.vmath.value import Mask, Real, fma, poly, select

ATAN = {32: coefficients.ATAN_32, 64: coefficients.ATAN_64}
ASIN = {32: coefficients.ASIN_32, 64: coefficients.ASIN_64}


def _atan_unit(t: Real) -> Real:
    """atan(t) for 0 <= t <= 1."""
    z = t * t
    return fma(t * z, poly(z, ATAN[t.format.bits]), t)


def atan(x: Real) -> Real:
    """atan(|x|) as pi/2 - atan(1 / |x|) above 1."""
    high, low = x.format.split(PI / 2, 2)
    size = abs(x)
    above = size > 1.0
    inner = _atan_unit(select(above, 1.0 / size, size))
    return select(above, high - (inner - low), inner).with_sign_of(x)


def atan2(y: Real, x: Real) -> Real:
    """The angle of the point (x, y), from the smaller coordinate over the larger one."""
    height, width = abs(y), abs(x)
    steep = height > width
    small, large = select(steep, width, height), select(steep, height, width)
    quotient = select(small.equals(0.0), small, small / large)
    quotient = select(small.equals(float("inf")), quotient.constant(1.0), quotient)
    left = x.bits().compare("<", 0)
    angle = _from_quadrant(_atan_unit(quotient), steep, left)
    angle = select(height.is_nan() | width.is_nan(), y + x, angle)
    return angle.with_sign_of(y)


def _from_quadrant(inner: Real, steep: Mask, left: Mask) -> Real:
    """base + inner or base - inner: 0 + and pi - along the x axis, pi/2 - (right) and pi/2 + (left) along y."""
    half_high, half_low = inner.format.split(PI / 2, 2)
    full_high, full_low = inner.format.split(PI, 2)
    high = select(steep, inner.constant(half_high), select(left, inner.constant(full_high), 0.0))
    low = select(steep, inner.constant(half_low), select(left, inner.constant(full_low), 0.0))
    signed = select(steep ^ left, -inner, inner)
    return high + (signed + low)


def _asin_rest(z: Real) -> Real:
    """asin(x) / x - 1 with z = x*x <= 1/4."""
    return z * poly(z, ASIN[z.format.bits])


def asin(x: Real) -> Real:
    """pi/4 - (2 s - pi/4) - ... with s = sqrt((1 - |x|) / 2), so asin(|x|) = pi/2 - 2 asin(s), above 1/2."""
    size = abs(x)
    above = size > 0.5
    z = select(above, fma(size, -0.5, 0.5), size * size)
    s = z.sqrt()
    rest = _asin_rest(z)
    quarter, tail = x.format.split(PI / 4, 2)
    outer = (quarter - (s + s)) + (quarter - (s * rest * 2.0 - 2 * tail))
    return select(above, outer, fma(size, rest, size)).with_sign_of(x)


def acos(x: Real) -> Real:
    """2 asin(s) with s = sqrt((1 - |x|) / 2) above 1/2, pi less that below -1/2, pi/2 - asin(x) between."""
    size = abs(x)
    above = size > 0.5
    z = select(above, fma(size, -0.5, 0.5), size * size)
    s = select(above, z.sqrt(), x)
    angle = fma(s, _asin_rest(z), s)
    half_high, half_low = x.format.split(PI / 2, 2)
    middle = half_high - (angle - half_low)
    outer = angle + angle
    outer = select(x < 0.0, 2 * half_high - (outer - 2 * half_low), outer)
    return select(above, outer, middle)
