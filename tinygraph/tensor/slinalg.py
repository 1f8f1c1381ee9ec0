"""Linear algebra by the names of ``scipy.linalg`` (and of Theano's module of this name), without SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.decompositions import Cholesky, SolveTriangular, cholesky, eigh
from tinygraph.tensor.linalg_op import MatrixOp, matrix, transposed
from tinygraph.tensor.nlinalg import Solve

__all__ = [
    "Cholesky", "Expm", "Solve", "SolveTriangular", "block_diag", "cho_solve", "cholesky", "eigvalsh", "expm", "kron",
    "solve", "solve_lower_triangular", "solve_symmetric", "solve_triangular", "solve_upper_triangular",
]  # fmt: skip


def solve(a: Any, b: Any, assume_a: str = "gen", lower: bool = False) -> Any:
    """The x with ``a @ x = b``. ``assume_a``: 'gen', 'sym', 'pos', 'lower triangular' or 'upper triangular'."""
    if assume_a in ("lower triangular", "upper triangular", "lower_triangular", "upper_triangular"):
        return solve_triangular(a, b, lower=assume_a.startswith("lower"))
    if assume_a == "pos":
        return cho_solve((cholesky(a, lower), lower), b)
    if assume_a not in ("gen", "general", "sym", "her"):
        raise InvalidValue(f"solve: assume_a must be 'gen', 'sym' or 'pos', got {assume_a!r}")
    a, b = _same_dtype(a, b)
    return Solve()(a, b)


def solve_symmetric(a: Any, b: Any) -> Any:
    """The x with ``a @ x = b`` for a symmetric matrix."""
    return solve(a, b, assume_a="sym")


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """The x with ``a @ x = b`` where only the upper (or ``lower``) triangle of ``a`` is read.

    ``trans``: 0 or 'N', 1 or 'T' to solve with the transpose. ``unit_diagonal``: the diagonal counts as ones.
    """
    if trans not in (0, 1, "N", "T", True, False):
        raise InvalidValue(f"solve_triangular: trans must be 0, 1, 'N' or 'T', got {trans!r}")
    a, b = _same_dtype(a, b)
    return SolveTriangular(lower, trans in (1, "T"), unit_diagonal)(a, b)


def solve_lower_triangular(a: Any, b: Any) -> Any:
    """The x with ``a @ x = b`` for a lower triangle ``a``."""
    return solve_triangular(a, b, lower=True)


def solve_upper_triangular(a: Any, b: Any) -> Any:
    """The x with ``a @ x = b`` for an upper triangle ``a``."""
    return solve_triangular(a, b, lower=False)


def cho_solve(c_and_lower: tuple[Any, bool], b: Any) -> Any:
    """The x with ``a @ x = b`` from a Cholesky factor of ``a``: ``cho_solve((cholesky(a), True), b)``."""
    c, lower = c_and_lower
    first = solve_triangular(c, b, trans=0 if lower else 1, lower=lower)
    return solve_triangular(c, first, trans=1 if lower else 0, lower=lower)


def _same_dtype(a: Any, b: Any) -> tuple[Any, Any]:
    from tinygraph.tensor.casting import upcast
    from tinygraph.tensor.maths import cast_to

    a, b = matrix(a), matrix(b)
    joined = upcast(a.type.dtype, b.type.dtype)
    return cast_to(a, joined), cast_to(b, joined)


def eigvalsh(a: Any, b: Any = None, lower: bool = True) -> Any:
    """Eigenvalues, ascending, of the symmetric matrix ``a``: the w with ``a v = w v``, or ``a v = w b v``.

    ``b``: positive definite. One triangle of ``a`` and ``b`` is read.
    """
    a = matrix(a)
    if b is None:
        return eigh(a, "L" if lower else "U")[0]
    a, b = _same_dtype(a, b)
    a = _symmetric(a, lower)
    factor = cholesky(b if lower else transposed(b))
    half = solve_triangular(factor, a, lower=True)
    return eigh(solve_triangular(factor, transposed(half), lower=True))[0]


def _symmetric(a: Any, lower: bool) -> Any:
    from tinygraph.tensor.creation import tril, triu

    return tril(a) + transposed(tril(a, -1)) if lower else triu(a) + transposed(triu(a, 1))


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product, as ``numpy.kron``."""
    from tinygraph.tensor.shape import dimshuffle, reshape, shape_padleft, shape_tuple

    a, b = as_tensor_variable(a), as_tensor_variable(b)
    n = max(a.type.ndim, b.type.ndim)
    a, b = shape_padleft(a, n - a.type.ndim), shape_padleft(b, n - b.type.ndim)
    left = dimshuffle(a, [p for d in range(n) for p in (d, "x")])
    right = dimshuffle(b, [p for d in range(n) for p in ("x", d)])
    return reshape(left * right, [j * i for i, j in zip(shape_tuple(a), shape_tuple(b), strict=True)], ndim=n)


def block_diag(*matrices: Any) -> Any:
    """Matrices along the diagonal of a larger one, zeros elsewhere."""
    from tinygraph.tensor.casting import upcast
    from tinygraph.tensor.creation import zeros
    from tinygraph.tensor.keys import set_subtensor
    from tinygraph.tensor.shape import shape_tuple

    blocks = [as_tensor_variable(m) for m in matrices]
    rows: Any = 0
    columns: Any = 0
    corners = []
    for m in blocks:
        corners.append((rows, columns))
        rows, columns = shape_tuple(m)[0] + rows, shape_tuple(m)[1] + columns
    out = zeros((rows, columns), dtype=upcast(*(m.type.dtype for m in blocks)))
    for m, (i, j) in zip(blocks, corners, strict=True):
        out = set_subtensor(out[i : shape_tuple(m)[0] + i, j : shape_tuple(m)[1] + j], m)
    return out


#: coefficients of the [13/13] Pade approximant of exp, and the 1-norm up to which it is exact in float64
_PADE = tuple(
    math.factorial(26 - j) * math.factorial(13) / (math.factorial(26) * math.factorial(j) * math.factorial(13 - j))
    for j in range(14)
)
_PADE_NORM = 5.37


class Expm(MatrixOp):
    """The matrix exponential. Shapes: (..., n, n) -> (..., n, n).

    N. Higham, The scaling and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. 26 (2005).
    Gradient: a block of the exponential of ``[[x.T, g], [0, x.T]]`` (Najfeld & Havel, Adv. Appl. Math. 16 (1995)).
    """

    __props__ = ()
    name = "expm"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        return exponential(x.astype("float64")).astype(x.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like
        from tinygraph.tensor.join import concatenate

        (x,), (g,) = inputs, grads
        back = transposed(x)
        top, bottom = concatenate([back, g], axis=-1), concatenate([zeros_like(x), back], axis=-1)
        n = x.shape[x.ndim - 1]
        return [self(concatenate([top, bottom], axis=-2))[..., :n, n:]]


def exponential(x: Any) -> Any:
    """The exponential of (a stack of) float64 matrices."""
    norm = np.abs(x).sum(axis=-2).max(initial=0.0)
    squarings = max(0, int(np.ceil(np.log2(norm / _PADE_NORM)))) if norm > 0 and np.isfinite(norm) else 0
    x = x / 2.0**squarings
    one = np.eye(x.shape[-1])
    x2 = x @ x
    x4, c = x2 @ x2, _PADE
    x6 = x2 @ x4
    u = x @ (x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * one)
    v = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * one
    out = np.linalg.solve(v - u, v + u)
    for _ in range(squarings):
        out = out @ out
    return out


def expm(a: Any) -> Any:
    """The exponential of a square matrix."""
    return Expm()(matrix(a))


