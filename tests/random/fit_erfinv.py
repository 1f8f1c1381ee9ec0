"""Prints the coefficients of ``tinygraph/random/exact.py``'s ``erfinv``: ``python tests/random/fit_erfinv.py``."""

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy.special import erfinv

DEGREE = 18


def ratio(w):
    """erfinv(x) / x where w = -log(1 - x**2)."""
    x = np.sqrt(-np.expm1(-np.maximum(w, 1e-12)))
    return erfinv(x) / x


def coefficients():
    """Of powers of w - 1.2, highest first, for 0 <= w <= 2.44."""
    fit = Chebyshev.interpolate(ratio, DEGREE, domain=[0, 2.44])
    moved = Chebyshev(fit.coef, domain=[-1.2, 1.24])
    return moved.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef[::-1]


if __name__ == "__main__":
    for c in coefficients():
        print(f"    {c!r},".replace("np.float64(", "").replace(")", ""))
