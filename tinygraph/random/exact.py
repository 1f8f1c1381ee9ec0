"""Logarithm, sine and cosine of random fractions from additions, products and quotients alone.

The mathematical functions of two targets differ in their last bits; these operations round alike everywhere, so samples
made of them are the same bits on every target. Errors stay below two units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygraph import tensor as T  # noqa: N812

#: terms of the series of atanh(s) / s in s**2, of sin(2 pi f) / f and of cos(2 pi f) in f**2; halvings of a logarithm
_TERMS = {"float32": (6, 6, 7), "float64": (12, 10, 11)}
_HALVINGS = {"float32": (16, 8, 4, 2, 1), "float64": (32, 16, 8, 4, 2, 1)}

#: erfinv(x) / x as a polynomial of w - 1.2 with w = -log(1 - x**2) <= 2.4, highest power first: a Chebyshev
#: interpolation of SciPy's erfinv (``tests/random/fit_erfinv.py``)
_ERFINV = (
    2.0082485247186487e-12, -7.135691566553552e-14, -1.2341140108531462e-11, 1.477837188247635e-13,
    3.0539350541457893e-11, -5.560752288105276e-12, 1.1015100080185376e-11, 1.604849096466054e-10,
    -2.7864613216815643e-09, 1.4543226131217935e-10, 1.278041714010584e-07, -3.6369956870956694e-07,
    -4.926852593067865e-06, 3.265215398333696e-05, 0.00013561393623066047, -0.0022817053122203518,
    0.0028518664568629956, 0.24925149065159655, 1.1770921572955029,
)  # fmt: skip


def _polynomial(x: Any, coefficients: Sequence[float], dtype: str) -> Any:
    """Horner's rule, highest power first."""
    total = T.constant(coefficients[0], dtype=dtype)
    for c in coefficients[1:]:
        total = total * x + T.constant(c, dtype=dtype)
    return total


def _number(value: float, dtype: str) -> Any:
    return T.constant(value, dtype=dtype)


def log(x: Any, dtype: str) -> Any:
    """The natural logarithm of ``x``, floats of ``dtype`` in (0, 1] and at least 2**-24 (float32) or 2**-53."""
    power = T.zeros_like(x)
    for k in _HALVINGS[dtype]:
        small = T.lt(x, _number(2.0**-k, dtype))
        x = T.switch(small, x * _number(2.0**k, dtype), x)
        power = T.switch(small, power - _number(k, dtype), power)
    small = T.lt(x, _number(math.sqrt(0.5), dtype))
    x = T.switch(small, x * _number(2, dtype), x)
    power = T.switch(small, power - _number(1, dtype), power)
    s = (x - _number(1, dtype)) / (x + _number(1, dtype))
    series = [2.0 / (2 * k + 1) for k in reversed(range(1, _TERMS[dtype][0]))]
    z = s * s
    return power * _number(math.log(2), dtype) + (_number(2, dtype) * s + s * z * _polynomial(z, series, dtype))


def cos_sin(v: Any, dtype: str) -> tuple[Any, Any]:
    """Cosine and sine of ``v`` turns, ``v`` floats of ``dtype`` in [0, 1)."""
    quarter = T.floor(v * _number(4, dtype) + _number(0.5, dtype))
    f = v - quarter * _number(0.25, dtype)  # exact, at most an eighth of a turn
    t = f * f
    _, n_sin, n_cos = _TERMS[dtype]
    turn = 2 * math.pi
    sines = [(-1) ** k * turn ** (2 * k + 1) / math.factorial(2 * k + 1) for k in reversed(range(n_sin))]
    cosines = [(-1) ** k * turn ** (2 * k) / math.factorial(2 * k) for k in reversed(range(n_cos))]
    s, c = f * _polynomial(t, sines, dtype), _polynomial(t, cosines, dtype)
    half = T.floor(quarter * _number(0.5, dtype))
    odd = T.neq(quarter, half * _number(2, dtype))
    low, high = T.ge(quarter, _number(1, dtype)), T.ge(quarter, _number(2, dtype))
    beyond = T.ge(quarter, _number(3, dtype))
    cos, sin = T.switch(odd, s, c), T.switch(odd, c, s)
    cos = T.switch(T.and_(low, T.invert(beyond)), -cos, cos)
    sin = T.switch(T.and_(high, T.lt(quarter, _number(4, dtype))), -sin, sin)
    return cos, sin


def erfinv(x: Any, dtype: str) -> Any:
    """The inverse of the error function for ``x`` between -0.954 and 0.954 (two standard deviations)."""
    one = _number(1, dtype)
    w = -log((one - x) * (one + x), dtype)
    return x * _polynomial(w - _number(1.2, dtype), _ERFINV, dtype)
