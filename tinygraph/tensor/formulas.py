"""Special functions of a real number, written once for NumPy arrays and for scalar expressions.

Each function takes and gives floats of one dtype: arrays (the oracle, and the numpy target's intrinsics) or ``Expr``
trees (what other targets print). Every branch is evaluated everywhere and the right one selected, so arguments of a
branch are first moved to where it is valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.program.expr import Expr, binary, select, unary

# -- the few operations both kinds of arguments need --------------------------------------------------------------


def _unary(name: str, ufunc: Callable[..., Any]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        return unary(name, x) if isinstance(x, Expr) else ufunc(x)

    return apply


_exp, _log, _log1p = _unary("exp", np.exp), _unary("log", np.log), _unary("log1p", np.log1p)
_sqrt, _sin, _cos = _unary("sqrt", np.sqrt), _unary("sin", np.sin), _unary("cos", np.cos)
_sinh, _cosh = _unary("sinh", np.sinh), _unary("cosh", np.cosh)
_floor, _trunc, _abs = _unary("floor", np.floor), _unary("trunc", np.trunc), _unary("abs", np.abs)


def _where(condition: Any, a: Any, b: Any) -> Any:
    if isinstance(condition, Expr):
        return select(condition, a, b)
    kind = (a if hasattr(a, "dtype") else b).dtype.type
    return np.where(condition, kind(a) if isinstance(a, float) else a, kind(b) if isinstance(b, float) else b)


def _max(a: Any, b: float) -> Any:
    return binary("maximum", a, b) if isinstance(a, Expr) else np.maximum(a, a.dtype.type(b))


def _min(a: Any, b: float) -> Any:
    return binary("minimum", a, b) if isinstance(a, Expr) else np.minimum(a, a.dtype.type(b))


def _pow(a: Any, b: Any) -> Any:
    return binary("pow", a, b) if isinstance(a, Expr) else np.power(a, b)


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """``c[0] + c[1] x + c[2] x^2 ...`` by Horner's rule."""
    total = x * coefficients[-1] + coefficients[-2]
    for c in reversed(coefficients[:-2]):
        total = total * x + c
    return total


def _ratio(x: Any, numerator: Sequence[float], denominator: Sequence[float]) -> Any:
    return polynomial(x, numerator) / polynomial(x, denominator)


# -- the error function: W. J. Cody, Rational Chebyshev approximations ..., Math. Comp. 23 (1969) ---------------------

_ERF = (
    (3.20937758913846947e03, 3.77485237685302021e02, 1.13864154151050156e02, 3.16112374387056560,
     1.85777706184603153e-1),
    (2.84423683343917062e03, 1.28261652607737228e03, 2.44024637934444173e02, 2.36012909523441209e01, 1.0),
)  # fmt: skip
_ERFCX_MIDDLE = (
    (1.23033935479799725e03, 2.05107837782607147e03, 1.71204761263407058e03, 8.81952221241769090e02,
     2.98635138197400131e02, 6.61191906371416295e01, 8.88314979438837594, 5.64188496988670089e-1,
     2.15311535474403846e-8),
    (1.23033935480374942e03, 3.43936767414372164e03, 4.36261909014324716e03, 3.29079923573345963e03,
     1.62138957456669019e03, 5.37181101862009858e02, 1.17693950891312499e02, 1.57449261107098347e01, 1.0),
)  # fmt: skip
_ERFCX_FAR = (
    (6.58749161529837803e-4, 1.60837851487422766e-2, 1.25781726111229246e-1, 3.60344899949804439e-1,
     3.05326634961232344e-1, 1.63153871373020978e-2),
    (2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346725,
     2.56852019228982242, 1.0),
)  # fmt: skip
_NEAR = 0.46875


def _erf_near(x: Any) -> Any:
    """erf for |x| at most 0.46875."""
    x = _max(_min(x, 0.5), -0.5)
    return x * _ratio(x * x, *_ERF)


def _scaled_erfc(a: Any) -> Any:
    """``exp(a^2) erfc(a)`` for a of at least 0.46875."""
    middle = _ratio(_max(_min(a, 4.0), _NEAR), *_ERFCX_MIDDLE)
    far = _max(a, 4.0)
    y = 1.0 / (far * far)
    return _where(a <= 4.0, middle, (1.0 / math.sqrt(math.pi) - y * _ratio(y, *_ERFCX_FAR)) / far)


def _exp_square(a: Any, sign: float) -> Any:
    """``exp(sign * a^2)``, the square taken in two parts so that its rounding does not grow."""
    top = _trunc(a * 16.0) / 16.0
    return _exp(top * top * sign) * _exp((a - top) * (a + top) * sign)


def erf(x: Any) -> Any:
    """Error function."""
    a = _abs(x)
    tail = 1.0 - _exp_square(_min(a, 6.5), -1.0) * _scaled_erfc(a)
    far = _where(x < 0.0, -tail, tail)
    return _where(a <= _NEAR, _erf_near(x), far)


def erfc(x: Any) -> Any:
    """``1 - erf(x)``, exact in the tail."""
    a = _abs(x)
    tail = _exp_square(_min(a, 28.0), -1.0) * _scaled_erfc(a)
    far = _where(x < 0.0, 2.0 - tail, tail)
    return _where(a <= _NEAR, 1.0 - _erf_near(x), far)


def erfcx(x: Any) -> Any:
    """``exp(x^2) erfc(x)``, without overflow for positive x."""
    a = _abs(x)
    scaled = _scaled_erfc(a)
    below = _where(x < 0.0, _min(a, 28.0), 0.0)
    far = _where(x < 0.0, 2.0 * _exp_square(below, 1.0) - scaled, scaled)
    return _where(a <= _NEAR, _exp_square(_min(a, 0.5), 1.0) * (1.0 - _erf_near(x)), far)


# -- its inverse: M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988), PPND16 ------------------------------

_QUANTILE_CENTRE = (
    (3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
     3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_QUANTILE_TAIL = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
     1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_QUANTILE_FAR = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _quantile(q: Any, tail: Any) -> Any:
    """Normal quantile of ``1/2 + q``; ``tail`` is the smaller of the two probabilities, ``1/2 - |q|``."""
    centre = q * _ratio(_max(0.180625 - q * q, 0.0), *_QUANTILE_CENTRE)
    r = _sqrt(-_log(tail))
    near = _ratio(_max(_min(r, 5.0), 1.0) - 1.6, *_QUANTILE_TAIL)
    far = _ratio(_max(r, 5.0) - 5.0, *_QUANTILE_FAR)
    outer = _where(r <= 5.0, near, far)
    outer = _where(tail > 0.0, outer, float("inf"))
    return _where(_abs(q) <= 0.425, centre, _where(q < 0.0, -outer, outer))


def erfinv(x: Any) -> Any:
    """Inverse of erf on (-1, 1); infinite at the ends, nan outside."""
    found = _quantile(x * 0.5, (1.0 - _abs(x)) * 0.5) * math.sqrt(0.5)
    return _where(_abs(x) <= 1.0, found, float("nan"))


def erfcinv(x: Any) -> Any:
    """Inverse of erfc on (0, 2); infinite at the ends, nan outside."""
    found = _quantile((1.0 - x) * 0.5, _where(x < 1.0, x, 2.0 - x) * 0.5) * math.sqrt(0.5)
    return _where(_abs(1.0 - x) <= 1.0, found, float("nan"))


# -- the gamma family: Abramowitz & Stegun, chapter 6 -------------------------------------------------------------

#: Bernoulli numbers B2, B4 ...
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _zeta_minus_1(k: int) -> float:
    """zeta(k) - 1 by Euler and Maclaurin's formula (23.2.5)."""
    n = 64.0
    head = [i ** float(-k) for i in range(2, 64)]
    tail = [n ** (1 - k) / (k - 1), n**-k / 2, k * n ** (-k - 1) / 12]
    rise = k * (k + 1) * (k + 2)
    tail += [-rise * n ** (-k - 3) / 720, rise * (k + 3) * (k + 4) * n ** (-k - 5) / 30240]
    return math.fsum(head + tail)


#: (log Gamma(2 + z)) / z in powers of z (6.1.33), for |z| up to 1/2
_LGAMMA_2 = (1 - 0.57721566490153286061, *((-1) ** k * _zeta_minus_1(k) / k for k in range(2, 28)))
#: the tail of Stirling's series in powers of 1 / x^2 (6.1.40), and of the digamma's (6.3.18)
_STIRLING = tuple(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI))
_DIGAMMA_TAIL = tuple(b / (2 * k + 2) for k, b in enumerate(_BERNOULLI))
_SHIFT = 10  # arguments below are moved up by this much


def _stirling_tail(x: Any) -> Any:
    """log Gamma(x) - ((x - 1/2) log x - x + log sqrt(2 pi)), for x of at least 8."""
    y = 1.0 / (x * x)
    return polynomial(y, _STIRLING) / x


def _stepped_down(t: Any, steps: int) -> tuple[Any, Any]:
    """``t`` brought down to at most 5/2 by steps of 1, which are exact, and Gamma(t) / Gamma of that."""
    product = t * 0.0 + 1.0
    for _ in range(steps):
        above = t > 2.5
        t = _where(above, t - 1.0, t)
        product = _where(above, product * t, product)
    return t, product


def _lgamma_positive(x: Any) -> Any:
    """log Gamma(x) for x > 0."""
    large = _max(x, 8.0)
    high = (large - 0.5) * (_log(large) - 1.0) + (0.5 * math.log(2 * math.pi) - 0.5) + _stirling_tail(large)
    z, product = _stepped_down(_max(_min(x, 8.0), 2.0), 6)
    middle = (z - 2.0) * polynomial(z - 2.0, _LGAMMA_2) + _log(product)
    # below 2.5: up to it, exact where log Gamma vanishes, at 1 and 2
    s = _min(x, 2.5)
    by_one = _where(s >= 0.5, s - 1.0, s)  # Gamma(s) = Gamma(s + 1) / s, and s = 1 + (s - 1)
    z = _where(s >= 1.5, s - 2.0, _where(s >= 0.5, s - 1.0, s))
    low = z * polynomial(z, _LGAMMA_2) - _where(s >= 1.5, s * 0.0, _log1p(by_one))
    low = low - _where(s >= 0.5, s * 0.0, _log(_where(s >= 0.5, s * 0.0 + 1.0, s)))
    return _where(x >= 8.0, high, _where(x > 2.5, middle, low))


def _sin_pi(x: Any) -> Any:
    """sin(pi x), exact at integers."""
    r = x - 2.0 * _floor(x * 0.5)  # 0 .. 2
    sign = _where(r >= 1.0, r * 0.0 - 1.0, r * 0.0 + 1.0)
    r = _where(r >= 1.0, r - 1.0, r)
    r = _where(r > 0.5, 1.0 - r, r)
    return sign * _sin(r * math.pi)


def _sine_below_0(x: Any) -> Any:
    """sin(pi x) for the reflection of x <= 0; 1 elsewhere, where it is not used."""
    return _where(x > 0.0, 1.0, _sin_pi(x))


def lgamma(x: Any) -> Any:
    """Logarithm of the absolute value of the gamma function; infinite at 0, -1, -2 ..."""
    positive = _lgamma_positive(_where(x > 0.0, x, 1.0 - x))
    reflected = _log(math.pi / _abs(_sine_below_0(x))) - positive
    found = _where(x > 0.0, positive, reflected)
    return _where(_abs(x) < float("inf"), found, _abs(x))


def _shifted(x: Any, term: Callable[[Any], Any], tail: Callable[[Any], Any]) -> Any:
    """A function with f(x) = f(x + 1) + term(x) at x > 0: ``tail`` computes it for large arguments."""
    small = x < _SHIFT
    base = _where(small, x, x * 0.0 + 1.0)
    total = term(base)
    for i in range(1, _SHIFT):
        total = total + term(base + float(i))
    high = tail(_where(small, base + float(_SHIFT), x))
    return _where(small, total + high, high)


def _digamma_positive(x: Any) -> Any:
    def tail(x: Any) -> Any:
        y = 1.0 / (x * x)
        return _log(x) - 0.5 / x - y * polynomial(y, _DIGAMMA_TAIL)

    return _shifted(x, lambda t: -1.0 / t, tail)


def digamma(x: Any) -> Any:
    """Derivative of log gamma; nan at 0, -1, -2 ..."""
    positive = _digamma_positive(_where(x > 0.0, x, 1.0 - x))
    sine = _sine_below_0(x)
    cotangent = _where(_abs(sine) > 0.0, _sin_pi(x + 0.5) / sine, float("nan"))  # of pi x
    return _where(x > 0.0, positive, positive - math.pi * cotangent)


def _polygamma_tail(order: int) -> tuple[float, ...]:
    """Coefficients of 1 / x^2 in the polygamma function's asymptotic series (6.4.11), after its first two terms."""
    return tuple(
        b * math.factorial(2 * k + 1 + order) / math.factorial(2 * k + 2) for k, b in enumerate(_BERNOULLI)
    )


def polygamma(order: int, x: Any) -> Any:
    """Derivative number ``order`` (1 or more) of digamma, for x > 0; for order 1 also below."""
    sign = 1.0 if order % 2 else -1.0
    tail_coefficients = _polygamma_tail(order)

    def power(t: Any, n: int) -> Any:
        out = t
        for _ in range(n - 1):
            out = out * t
        return out

    def term(t: Any) -> Any:
        return float(math.factorial(order)) / power(t, order + 1)

    def tail(t: Any) -> Any:
        y = 1.0 / (t * t)
        first = float(math.factorial(order - 1)) + float(math.factorial(order)) * 0.5 / t
        return (first + y * polynomial(y, tail_coefficients)) / power(t, order)

    if order > 1:
        found = sign * _shifted(x, term, tail)
        return _where(x > 0.0, found, float("nan"))
    positive = _shifted(_where(x > 0.0, x, 1.0 - x), term, tail)
    sine = _sine_below_0(x)
    return _where(x > 0.0, positive, math.pi * math.pi / (sine * sine) - positive)


def gamma(x: Any) -> Any:
    """The gamma function; infinite at 0, nan at -1, -2 ..."""
    a = _where(x < 0.5, 1.0 - x, x)
    z, product = _stepped_down(_min(a, 13.0), 11)
    up = _where(z < 1.5, z, z * 0.0 + 1.0)  # Gamma(z) = Gamma(z + 1) / z
    z = _where(z < 1.5, z - 1.0, z - 2.0)
    low = product * _exp(z * polynomial(z, _LGAMMA_2)) / up
    top = 35.2 if str(x.dtype) == "float32" else 171.7  # the gamma function overflows above
    large = _max(_min(a, top), 13.0)
    root = _pow(large, large * 0.5 - 0.25)  # twice, as x^(x - 1/2) overflows before the gamma function does
    high = root * (_exp(-large) * math.sqrt(2 * math.pi) * _exp(_stirling_tail(large))) * root
    positive = _where(a < 13.0, low, _where(a > top, a * float("inf"), high))
    sine = _where(x < 0.5, _sin_pi(x), 1.0)
    pole = _where(_abs(x) > 0.0, float("nan"), 1.0 / _where(x < 0.5, x, 1.0))
    reflected = _where(_abs(sine) > 0.0, math.pi / (sine * positive), pole)
    return _where(x < 0.5, reflected, positive)


# -- Bessel functions: the trapezoidal rule on their integrals (9.1.18, 9.6.16) converges exponentially -------------

_POINTS = 30
_FAR_TERMS = 18


def bessel_i(order: int, x: Any) -> Any:
    """Modified Bessel function of the first kind, order 0 or 1."""
    a = _abs(x)
    near = _min(a, 24.0)
    total = near * 0.0
    for k in range(_POINTS // 2):
        t = math.cos(math.pi * (k + 0.5) / _POINTS)
        total = total + (_cosh(near * t) if order == 0 else _sinh(near * t) * t)
    far = _max(a, 24.0)
    series, factor = far * 0.0 + 1.0, far * 0.0 + 1.0
    for k in range(1, _FAR_TERMS):  # 9.7.1
        factor = factor * (((2 * k - 1) ** 2 - 4.0 * order * order) / (8.0 * k)) / far
        series = series + factor
    half = _exp(far * 0.5)
    found = _where(a < 24.0, total * (2.0 / _POINTS), half * (series / _sqrt(far * (2 * math.pi))) * half)
    return found if order == 0 else _where(x < 0.0, -found, found)


def bessel_j(order: int, x: Any) -> Any:
    """Bessel function of the first kind, order 0 or 1. Absolute error of a few times the dtype's epsilon."""
    a = _abs(x)
    near = _min(a, 25.0)
    total = near * 0.0
    for k in range(_POINTS):
        t = math.sin(math.pi * (k + 0.5) / (2 * _POINTS))
        total = total + (_cos(near * t) if order == 0 else _sin(near * t) * t)
    far = _max(a, 25.0)
    p, q, factor = far * 0.0 + 1.0, far * 0.0, far * 0.0 + 1.0
    for k in range(1, _FAR_TERMS):  # 9.2.5
        factor = factor * ((4.0 * order * order - (2 * k - 1) ** 2) / (8.0 * k)) / far
        if k % 2:
            q = q + factor * (1.0 if k % 4 == 1 else -1.0)
        else:
            p = p + factor * (1.0 if k % 4 == 0 else -1.0)
    # cos(a - pi/4) and sin(a - pi/4), from the functions of a itself
    cosine, sine = _cos(far), _sin(far)
    c, s = (cosine + sine) * math.sqrt(0.5), (sine - cosine) * math.sqrt(0.5)
    wave = p * c - q * s if order == 0 else p * s + q * c
    found = _where(a < 25.0, total * (1.0 / _POINTS), wave * _sqrt(2.0 / math.pi / far))
    return found if order == 0 else _where(x < 0.0, -found, found)
