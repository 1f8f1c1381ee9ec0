"""Mathematical constants, exact to far more digits than any format holds."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

LN2 = Fraction("0.69314718055994530941723212145817656807550013436025525412068000949339362196969471")
LN10 = Fraction("2.30258509299404568401799145468436420760110148862877297603332790096757260967735248")
PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
LOG_PI = Fraction("1.14472988584940017414342735135305871164729481291531157151362307147213776988482608")
LOG_SQRT_2PI = Fraction("0.91893853320467274178032973640561763986139747363778341281715154048276569592726040")
LOG2_E = 1 / LN2
LOG10_2 = LN2 / LN10
LOG10_E = 1 / LN10
TWO_OVER_SQRT_PI = Fraction("1.12837916709551257389615890312154517168810125865799771368817144342128493688298682")

INVERSE_PI_WORDS = 22  # 64 bits each: enough for the largest double and 128 bits of what is left of it


@cache
def inverse_pi_bits() -> tuple[int, ...]:
    """The fraction bits of 1/pi in words of 64, most significant first."""
    guard = 64
    one = 1 << (64 * INVERSE_PI_WORDS + guard)
    bits = (one << guard) * one // _machin_pi(one << guard)
    bits >>= guard
    mask = (1 << 64) - 1
    return tuple((bits >> (64 * (INVERSE_PI_WORDS - 1 - k))) & mask for k in range(INVERSE_PI_WORDS))


def _machin_pi(one: int) -> int:
    """pi times ``one``, by J. Machin's formula of 1706."""
    return 4 * (4 * _arctan_of_inverse(5, one) - _arctan_of_inverse(239, one))


def _arctan_of_inverse(n: int, one: int) -> int:
    power = total = one // n
    k, sign = 3, -1
    while power:
        power //= n * n
        total += sign * (power // k)
        k, sign = k + 2, -sign
    return total
