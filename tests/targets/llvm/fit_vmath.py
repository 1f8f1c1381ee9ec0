"""Fit the polynomials of the vector mathematics and print ``tinygraph/targets/llvm/vmath/coefficients.py``.

    python tests/targets/llvm/fit_vmath.py > tinygraph/targets/llvm/vmath/coefficients.py

Every polynomial is the minimax fit, by Remez' exchange in 60 digits, of the function named in its row on the interval
named there; the error is weighted so that it counts relative to the result that the polynomial ends up in. The
numbers are then rounded to the format they are used in. Needs mpmath.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

mp.mp.dps = 60

Function = Callable[[mp.mpf], mp.mpf]


@dataclass(frozen=True)
class Fit:
    """One polynomial: ``name`` approximates ``target`` on [lo, hi], with ``weight`` on the error."""

    name: str
    what: str
    target: Function
    weight: Function
    interval: tuple[mp.mpf, mp.mpf]
    degree32: int | None
    degree64: int | None


def remez(f: Function, weight: Function, lo: mp.mpf, hi: mp.mpf, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients (lowest first) and the largest weighted error of the best polynomial of this degree."""
    points = degree + 2
    middle, half = (lo + hi) / 2, (hi - lo) / 2

    def at(angle: float) -> mp.mpf:
        return middle - half * mp.cos(mp.pi * angle)

    grid = [at(mp.mpf(k) / (24 * points)) for k in range(24 * points + 1)]
    grid[0], grid[-1] = lo, hi
    grid = [x for x in grid if weight(x) > mp.mpf("1e-9")]
    values = [f(x) for x in grid]
    weights = [weight(x) for x in grid]
    chosen = [round(k * (len(grid) - 1) / (points - 1)) for k in range(points)]
    coefficients: list[mp.mpf] = []
    worst = mp.mpf(0)
    for _ in range(30):
        rows, right = mp.matrix(points, points), mp.matrix(points, 1)
        for i, k in enumerate(chosen):
            for j in range(degree + 1):
                rows[i, j] = grid[k] ** j
            rows[i, degree + 1] = (-1) ** i / weights[k]
            right[i] = values[k]
        solution = mp.lu_solve(rows, right)
        coefficients, level = [solution[j] for j in range(degree + 1)], abs(solution[degree + 1])
        errors = [(mp.polyval(coefficients[::-1], x) - v) * w for x, v, w in zip(grid, values, weights)]
        worst = max(abs(e) for e in errors)
        if worst < level * mp.mpf("1.01"):
            break
        chosen = extrema(errors, points)
    return coefficients, worst


def extrema(errors: list[mp.mpf], count: int) -> list[int]:
    """Grid positions of ``count`` alternating local extrema, the largest ones."""
    runs: list[int] = []
    for k, e in enumerate(errors):
        if runs and (e > 0) == (errors[runs[-1]] > 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = k
        else:
            runs.append(k)
    while len(runs) > count:
        if len(runs) == count + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        else:
            weakest = min(range(len(runs) - 1), key=lambda i: max(abs(errors[runs[i]]), abs(errors[runs[i + 1]])))
            del runs[weakest : weakest + 2]
    if len(runs) < count:
        raise ArithmeticError("the error alternates too rarely: the fit is exact or the grid too coarse")
    return runs


def series(f: Function, powers: tuple[int, ...], scale: int) -> Function:
    """(f(x) - leading Taylor terms) / x**scale, safe at 0, for f given by a Taylor expansion there."""
    terms = mp.taylor(f, 0, 60)

    def rest(x: mp.mpf) -> mp.mpf:
        if abs(x) < mp.mpf("1e-3"):
            return mp.fsum(c * x ** (k - scale) for k, c in enumerate(terms) if k not in powers and k >= scale)
        return (f(x) - mp.fsum(terms[k] * x**k for k in powers)) / x**scale

    return rest


def in_square(rest: Function) -> Function:
    """The function of z = x*x that an even function of x is."""
    return lambda z: rest(mp.sqrt(z))


def ratio(power: int, f: Function, at_zero: float = 0) -> Function:
    """Weight x**power / f(x): an error in the polynomial, relative to f."""
    return lambda x: abs(x**power / f(x)) if x else mp.mpf(at_zero)


def square_ratio(power: int, f: Function, at_zero: float = 0) -> Function:
    weight = ratio(power, f, at_zero)
    return lambda z: weight(mp.sqrt(z))


LN2 = mp.log(2)
SQRT2 = mp.sqrt(2)
HALF_LN2 = LN2 / 2 * mp.mpf("1.02")


def log1p_rest(f: mp.mpf) -> mp.mpf:
    return series_log1p(f)


series_log1p = series(mp.log1p, (0, 1, 2), 3)


def atanh_rest(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s) - 2 s) / s**3 with z = s*s."""
    if z < mp.mpf("1e-6"):
        return mp.fsum(2 * z**k / (2 * k + 3) for k in range(12))
    s = mp.sqrt(z)
    return 2 * (mp.atanh(s) - s) / s**3


def atanh_tail(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s) - 2 s - 2/3 s**3) / s**5 with z = s*s."""
    if z < mp.mpf("1e-6"):
        return mp.fsum(2 * z**k / (2 * k + 5) for k in range(12))
    return (atanh_rest(z) - mp.mpf(2) / 3) / z


def erfcx(x: mp.mpf) -> mp.mpf:
    return mp.erfc(x) * mp.exp(x * x)


def erfc_core(centre: mp.mpf) -> Function:
    """erfcx(x) / t as a function of u = t - 1/4, t = centre / (x + centre)."""

    def core(u: mp.mpf) -> mp.mpf:
        t = u + mp.mpf(1) / 4
        return erfcx(centre / t - centre) / t

    return core


def erfc_weight(centre: mp.mpf) -> Function:
    core = erfc_core(centre)
    return lambda u: 1 / core(u)


def erfc_interval(centre: mp.mpf, largest: float) -> tuple[mp.mpf, mp.mpf]:
    return centre / (centre + mp.mpf(largest)) - mp.mpf(1) / 4, mp.mpf(3) / 4


def erfinv_of_log(w: mp.mpf) -> mp.mpf:
    """erfinv(x) / x as a function of w = -log(1 - x*x)."""
    if w < mp.mpf("1e-20"):
        return mp.sqrt(mp.pi) / 2
    rest = mp.exp(-w)  # 1 - x*x
    x = mp.sqrt(-mp.expm1(-w))
    y = mp.sqrt(w)
    for _ in range(100):  # Newton on erfc(y) = 1 - x, which keeps its digits as x goes to 1
        step = (mp.erfc(y) - rest / (1 + x)) * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        step /= 1 - y * step
        y += step
        if abs(step) < y * mp.mpf("1e-45"):
            break
    return y / x


def lgamma_at_two(t: mp.mpf) -> mp.mpf:
    """lgamma(2 + t) / t."""
    return mp.loggamma(2 + t) / t if abs(t) > mp.mpf("1e-25") else 1 - mp.euler


def stirling_rest(z: mp.mpf) -> mp.mpf:
    """x * (lgamma(x) - Stirling's formula), a function of z = 1 / x**2, as its asymptotic series."""
    if z < mp.mpf("1e-12"):
        return mp.mpf(1) / 12 - z / 360
    x = 1 / mp.sqrt(z)
    return x * (mp.loggamma(x) - (x - mp.mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


S2 = ((SQRT2 - 1) / (SQRT2 + 1)) ** 2 * mp.mpf("1.001")
QUARTER = mp.pi / 4 * mp.mpf("1.001")
HALF = mp.pi / 2 * mp.mpf("1.001")
ERFC32, ERFC64 = mp.mpf(2), mp.mpf(4)
one = mp.mpf(1)

FITS = [
    Fit("EXP", "(exp(r) - 1 - r) / r**2, |r| <= ln(2)/2", series(mp.exp, (0, 1), 2), ratio(2, mp.expm1),
        (-HALF_LN2, HALF_LN2), 5, 10),
    Fit("LOG1P", "(log(1 + f) - f + f**2/2) / f**3, sqrt(1/2) <= 1 + f <= sqrt(2)", log1p_rest, ratio(3, mp.log1p),
        (mp.sqrt(one / 2) - 1 - mp.mpf("1e-4"), SQRT2 - 1 + mp.mpf("1e-4")), 8, None),
    Fit("ATANH", "(2 atanh(s) - 2 s) / s**3 in s**2, the logarithm of (1 + s) / (1 - s)", atanh_rest,
        square_ratio(3, mp.atanh), (mp.mpf(0), S2), None, 6),
    Fit("ATANH_TAIL", "(2 atanh(s) - 2 s - 2/3 s**3) / s**5 in s**2", atanh_tail, square_ratio(5, mp.atanh),
        (mp.mpf(0), S2), None, 7),
    Fit("SIN_HALF", "(sin(r) - r) / r**3 in r**2, |r| <= pi/2", in_square(series(mp.sin, (1,), 3)),
        square_ratio(3, mp.sin), (mp.mpf(0), HALF**2), 3, 7),
    Fit("SIN_QUARTER", "(sin(r) - r) / r**3 in r**2, |r| <= pi/4", in_square(series(mp.sin, (1,), 3)),
        square_ratio(3, mp.sin), (mp.mpf(0), QUARTER**2), 2, 5),
    Fit("COS_QUARTER", "(cos(r) - 1 + r**2/2) / r**4 in r**2, |r| <= pi/4", in_square(series(mp.cos, (0, 2), 4)),
        square_ratio(4, mp.cos), (mp.mpf(0), QUARTER**2), 2, 5),
    Fit("ATAN", "(atan(x) - x) / x**3 in x**2, |x| <= 1", in_square(series(mp.atan, (1,), 3)),
        square_ratio(3, mp.atan), (mp.mpf(0), one), 8, 19),
    Fit("ASIN", "(asin(x) - x) / x**3 in x**2, |x| <= 1/2", in_square(series(mp.asin, (1,), 3)),
        square_ratio(3, mp.asin), (mp.mpf(0), one / 4), 4, 12),
    Fit("ERF", "erf(x) / x - 2/sqrt(pi) over x**2 in x**2, |x| <= 1", in_square(series(mp.erf, (1,), 3)),
        square_ratio(3, mp.erf), (mp.mpf(0), one), 5, 10),
]
W_SPLIT = mp.mpf("6.25")
FITS += [
    Fit("ERFINV_CENTRE", "erfinv(x) / x in w - 3, w = -log(1 - x**2) <= 6.25", lambda u: erfinv_of_log(u + 3),
        lambda u: 1 / erfinv_of_log(u + 3), (mp.mpf(-3), W_SPLIT - 3), None, 12),
    Fit("ERFINV_TAIL", "erfinv(x) / x in sqrt(w) - 4, 6.25 <= w <= 37", lambda u: erfinv_of_log((u + 4) ** 2),
        lambda u: 1 / erfinv_of_log((u + 4) ** 2), (mp.sqrt(W_SPLIT) - 4, mp.sqrt(37) - 4), None, 16),
    Fit("LGAMMA", "lgamma(2 + t) / t, -0.6 <= t <= 0.4", lgamma_at_two, lambda t: 1 / lgamma_at_two(t),
        (mp.mpf("-0.601"), mp.mpf("0.401")), None, 18),
    Fit("STIRLING", "x * (lgamma(x) - Stirling's formula) in 1 / x**2, x >= 8", stirling_rest,
        lambda z: 1 / stirling_rest(z), (mp.mpf(0), one / 64), None, 6),
]
ERFC = [
    (32, "ERFC", f"exp(x*x) erfc(x) / t in t - 1/4, t = {ERFC32} / (x + {ERFC32}), 0 <= x <= 10.1", ERFC32, 10.1, 10),
    (64, "ERFC", f"exp(x*x) erfc(x) / t in t - 1/4, t = {ERFC64} / (x + {ERFC64}), 0 <= x <= 27.3", ERFC64, 27.3, 22),
]


def literal(value: mp.mpf, bits: int) -> str:
    return repr(float(np.float32(float(value)))) if bits == 32 else repr(float(value))


def show(name: str, what: str, bits: int, coefficients: list[mp.mpf], worst: mp.mpf) -> None:
    print(f"\n# {what}: error 2**{float(mp.log(worst, 2)):.1f}")
    print(f"{name}_{bits} = (")
    for c in coefficients:
        print(f"    {literal(c, bits)},")
    print(")")


def main() -> None:
    print('"""Minimax polynomials, lowest power first, one tuple per function and format.')
    print('\nMade by ``tests/targets/llvm/fit_vmath.py``; change that file, not this one.\n"""')
    only = sys.argv[1:]
    for fit in FITS:
        for bits, degree in ((32, fit.degree32), (64, fit.degree64)):
            if degree is not None and (not only or fit.name in only):
                show(fit.name, fit.what, bits, *remez(fit.target, fit.weight, *fit.interval, degree))
    for bits, name, what, centre, largest, degree in ERFC:
        if not only or name in only:
            print(f"\n{name}_CENTRE_{bits} = {float(centre)}")
            interval = erfc_interval(centre, largest)
            show(name, what, bits, *remez(erfc_core(centre), erfc_weight(centre), *interval, degree))


if __name__ == "__main__":
    main()
