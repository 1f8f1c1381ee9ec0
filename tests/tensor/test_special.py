"""Special functions against SciPy, in units of the last place, also in the tails and at the ends of their domains."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.errors import NullTypeGradError
from tinygraph.gradient import verify_grad
from tinygraph.tensor import formulas
from tinygraph.tensor.elemwise import SCALAR_OPS

TINY = np.logspace(-20, 0, 200)

#: function, SciPy's, arguments, largest error in eps of the result (near zeros of the function: of 1)
CASES = {
    "erf": (T.erf, scipy.special.erf, np.r_[np.linspace(-7, 7, 4001), TINY, -TINY], 6),
    "erfcx": (T.erfcx, scipy.special.erfcx, np.r_[np.linspace(-5, 100, 4001), TINY], 20),
    "erfinv": (
        T.erfinv,
        scipy.special.erfinv,
        np.r_[np.linspace(-0.999, 0.999, 4001), TINY[:-1], TINY[:-1] - 1],
        12,
    ),
    "erfcinv": (T.erfcinv, scipy.special.erfcinv, np.r_[np.linspace(0.001, 1.999, 4001), TINY], 16),
    "gammaln": (
        T.gammaln,
        scipy.special.gammaln,
        np.r_[np.linspace(0.001, 30, 4001), TINY, np.logspace(1, 15)],
        10,
    ),
    "gamma": (T.gamma, scipy.special.gamma, np.r_[np.linspace(0.001, 30, 4001), TINY[80:]], 12),
    "psi": (T.psi, scipy.special.psi, np.r_[np.linspace(0.001, 30, 4001), np.logspace(1, 15)], 20),
    "tri_gamma": (T.tri_gamma, lambda x: scipy.special.polygamma(1, x), np.linspace(0.001, 30, 4001), 8),
    "polygamma3": (
        lambda x: T.polygamma(3, x),
        lambda x: scipy.special.polygamma(3, x),
        np.linspace(0.1, 30, 4001),
        12,
    ),
    "i0": (T.i0, scipy.special.i0, np.linspace(-80, 80, 4001), 24),
    "i1": (T.i1, scipy.special.i1, np.linspace(-80, 80, 4001), 24),
    "j0": (T.j0, scipy.special.j0, np.linspace(-80, 80, 4001), 6),
    "j1": (T.j1, scipy.special.j1, np.linspace(-80, 80, 4001), 6),
    "gammainc": (
        lambda x: T.gammainc(2.5, x),
        lambda x: scipy.special.gammainc(2.5, x),
        np.linspace(0.01, 40, 1001),
        30,
    ),
    "gammaincc": (
        lambda x: T.gammaincc(0.75, x),
        lambda x: scipy.special.gammaincc(0.75, x),
        np.linspace(0, 20, 1001),
        60,
    ),
    "xlogx": (T.xlogx.xlogx, lambda x: scipy.special.xlogy(x, x), np.r_[0, TINY, np.linspace(1, 9)], 3),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name, dtype):
    build, oracle, points, ulp = CASES[name]
    points = points.astype(dtype)
    want = oracle(points.astype("float64"))
    with np.errstate(over="ignore"):
        points = points[np.isfinite(want.astype(dtype))]
    want = oracle(points.astype("float64"))
    x = T.TensorType(dtype, (None,))()
    got = function([x], build(x))(points)
    assert got.dtype == dtype
    # near a zero of the function its own rounding is as large as that of its argument
    scale = np.maximum(np.abs(want), 1) if name in ("psi", "gammaln", "j0", "j1") else np.abs(want)
    error = np.abs(got - want) / (np.finfo(dtype).eps * np.maximum(scale, np.finfo(dtype).tiny))
    worst = int(error.argmax())
    assert error[worst] <= ulp, f"{name}({points[worst]!r}) is {got[worst]!r}, not {want[worst]!r}"


def test_the_tail_of_erfc_keeps_its_digits():
    mpmath = pytest.importorskip("mpmath")
    points = np.linspace(0.3, 26, 200)
    want = np.array([float(mpmath.erfc(p)) for p in points])
    x = T.dvector()
    np.testing.assert_allclose(function([x], T.erfc(x))(points), want, rtol=2e-15)


def test_gamma_below_zero():
    points = np.linspace(-9.95, -0.05, 397)
    points = points[np.abs(points - np.round(points)) > 1e-3]
    x = T.dvector()
    gamma, lgamma, psi = function([x], [T.gamma(x), T.gammaln(x), T.psi(x)])(points)
    np.testing.assert_allclose(gamma, scipy.special.gamma(points), rtol=1e-12)
    np.testing.assert_allclose(lgamma, scipy.special.gammaln(points), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(psi, scipy.special.psi(points), rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ends_of_the_domains():
    def values(f, points):
        x = T.dvector()
        return function([x], f(x))(points).tolist()

    inf, nan = np.inf, np.nan
    assert values(T.erfinv, [-1, 0, 1]) == [-inf, 0, inf]
    assert np.isnan(values(T.erfinv, [-1.1, 2, nan])).all()
    assert values(T.erfcinv, [0, 1, 2]) == [inf, 0, -inf]
    assert values(T.gammaln, [0, 1, 2, inf]) == [inf, 0, 0, inf]
    assert values(T.gamma, [0, 1, 5, 171, inf])[::4] == [inf, inf]
    assert np.isnan(values(T.gamma, [-1, -2, nan])).all()
    assert values(T.gamma, [172.0]) == [inf]
    assert values(T.erf, [-inf, inf]) == [-1, 1]
    assert values(T.erfc, [-inf, inf]) == [2, 0]
    assert values(T.xlogx.xlogx, [0, 1]) == [0, 0]


def test_x_log_y_where_x_is_zero():
    x, y = T.dvector(), T.dvector()
    with np.errstate(all="ignore"):
        got = function([x, y], T.xlogx.xlogy0(x, y))([0, 0, 2.0], [0, np.inf, 3.0])
    np.testing.assert_allclose(got, [0, 0, 2 * np.log(3)])


def test_logaddexp():
    a, b = np.array([0.0, 1000, -1000, -np.inf]), np.array([1.0, 1000, -999, -np.inf])
    x, y = T.dvector(), T.dvector()
    np.testing.assert_allclose(function([x, y], T.logaddexp(x, y))(a, b), np.logaddexp(a, b))
    verify_grad(T.logaddexp, [a[:3] / 100, b[:3] / 100 + 0.1])


@pytest.mark.parametrize("name", ["erfcx", "erfcinv", "gamma", "digamma", "trigamma", "i0", "i1", "j0", "j1"])
def test_a_formula_means_the_same_as_an_expression_and_on_arrays(name):
    """Targets print the expression; the oracle runs the formula on arrays."""
    row = SCALAR_OPS[name]
    assert row.expr is not None
    points = np.linspace(0.3, 1.7, 50)
    x = T.dvector()
    compiled = function([x], getattr(T, {"digamma": "psi", "trigamma": "tri_gamma"}.get(name, name))(x))(
        points
    )
    np.testing.assert_allclose(compiled, row.numpy(points), rtol=1e-14)


def test_incomplete_gamma_functions():
    a, x = np.array([[0.1], [1.0], [7.5], [90.0]]), np.array([0.0, 0.05, 1.0, 8.0, 80.0, 200.0, np.inf])
    left, right = T.dmatrix(), T.dvector()
    lower, upper, chi = function(
        [left, right], [T.gammainc(left, right), T.gammaincc(left, right), T.chi2sf(right, left)]
    )(a, x)
    np.testing.assert_allclose(lower, scipy.special.gammainc(a, x), rtol=1e-12)
    np.testing.assert_allclose(upper, scipy.special.gammaincc(a, x), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(chi, scipy.stats.chi2.sf(x, a), rtol=1e-10, atol=1e-300)
    verify_grad(lambda x: T.gammainc(2.5, x), [np.array([0.5, 2.0, 9.0])])
    verify_grad(lambda x: T.chi2sf(x, 3), [np.array([0.5, 2.0, 9.0])])
    assert np.isnan(function([right], T.gammainc(-1.0, right))([1.0]))
    with pytest.raises(NullTypeGradError, match="not implemented"):
        T.grad(T.gammainc(left, 1.0).sum(), left)


def test_polynomials_are_in_rising_powers():
    np.testing.assert_allclose(formulas.polynomial(np.array([2.0]), (1.0, 3.0, 5.0)), [1 + 6 + 20])
