"""Matrix decompositions: singular values, symmetric eigenvalues, QR, Cholesky, eigenvalues.

Gradients of decompositions that are not unique up to sign (equal singular values, equal eigenvalues) are infinite.
Sources: J. Townsend, Differentiating the singular value decomposition (2016); M. Giles, Oxford report NA-08/01 (2008);
I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527; M. Seeger et al., arXiv:1710.08717 (QR).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import Dim, Operand, dim_min
from tinygraph.graph.variable import Variable
from tinygraph.tensor.linalg_op import MatrixOp, as_column, as_row, matrix, product, transposed


def _off_diagonal_inverse(squares: Any) -> Any:
    """``1 / (v[j] - v[i])`` off the diagonal, 0 on it: (..., n) -> (..., n, n)."""
    from tinygraph.tensor.creation import eye
    from tinygraph.tensor.maths import switch

    same = eye(squares.shape[squares.ndim - 1], dtype="bool")
    apart = as_row(squares) - as_column(squares)
    return switch(same, 0, 1 / switch(same, 1, apart))


def _times_diagonal(x: Any, v: Any) -> Any:
    """``x @ diag(v)``."""
    return x * as_row(v)


class SVD(MatrixOp):
    """``x = u @ diag(s) @ vh`` with orthonormal columns of u and rows of vh, and s descending.

    Shapes: (..., m, n) -> (..., m, k), (..., k), (..., k, n), k = min(m, n); with ``full_matrices`` u is (..., m, m)
    and vh (..., n, n); without ``compute_uv`` only s. Gradient: for full matrices only if x is known to be square.
    """

    __props__ = ("full_matrices", "compute_uv")
    name = "svd"
    accepts_missing_grads = True

    def __init__(self, full_matrices: bool = True, compute_uv: bool = True):
        self.full_matrices = bool(full_matrices)
        self.compute_uv: Any = bool(compute_uv)

    @property
    def nout(self) -> int:  # type: ignore[override]
        return 3 if self.compute_uv else 1

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x)
        *lead, m, n = x.shape
        k = dim_min(m, n)
        if not self.compute_uv:
            return [(x.dtype, [*lead, k])]
        u, vh = ([*lead, m, m], [*lead, n, n]) if self.full_matrices else ([*lead, m, k], [*lead, k, n])
        return [(x.dtype, u), (x.dtype, [*lead, k]), (x.dtype, vh)]

    def forward(self, x: Any) -> Any:
        found = np.linalg.svd(x, self.full_matrices, self.compute_uv)
        return tuple(found) if self.compute_uv else found

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,) = inputs
        if not self.compute_uv:
            u, _, vh = SVD(False, True)(x)
            return [product(_times_diagonal(u, grads[0]), vh)]
        m, n = x.type.shape[-2:]
        u, s, vh = outputs
        gu, gs, gvh = grads
        if self.full_matrices and (m is None or m != n):
            if gu is not None or gvh is not None:
                raise NotImplementedError("the gradient of svd by u and vh needs full_matrices=False")
            u, s, vh = SVD(False, True)(x)
        return [_svd_gradient(u, s, vh, gu, gs, gvh)]


def _svd_gradient(u: Any, s: Any, vh: Any, gu: Any, gs: Any, gvh: Any) -> Any:
    """Townsend (2016), equation 29 and following."""
    total: Any = None

    def plus(part: Any) -> None:
        nonlocal total
        total = part if total is None else total + part

    inverse = _off_diagonal_inverse(s * s) if gu is not None or gvh is not None else None
    if gs is not None:
        plus(product(_times_diagonal(u, gs), vh))
    if gu is not None:
        j = inverse * product(transposed(u), gu)
        plus(product(u, _times_diagonal(j + transposed(j), s), vh))
        scaled = _times_diagonal(gu, 1 / s)
        plus(product(scaled - product(u, product(transposed(u), scaled)), vh))
    if gvh is not None:
        k = inverse * product(vh, transposed(gvh))
        plus(product(_times_diagonal(u, s), k + transposed(k), vh))
        scaled = gvh * as_column(1 / s)
        plus(product(u, scaled - product(product(scaled, transposed(vh)), vh)))
    return total


class Eigh(MatrixOp):
    """Eigenvalues (ascending) and eigenvectors (columns) of symmetric matrices, of which one triangle is read.

    Shapes: (..., n, n) -> (..., n), (..., n, n). Gradient: in the triangle that is read.
    """

    __props__ = ("UPLO",)
    name = "eigh"
    nout = 2

    def __init__(self, UPLO: str = "L"):
        if UPLO not in ("L", "U"):
            raise InvalidValue(f"eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
        self.UPLO: Any = UPLO

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape[:-1]), (x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        return tuple(np.linalg.eigh(x, self.UPLO))

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (w, v), (gw, gv) = outputs, grads
        inner = _off_diagonal_inverse(w) * product(transposed(v), gv)
        full = product(v, inner, transposed(v)) + product(_times_diagonal(v, gw), transposed(v))
        return [_folded(full, self.UPLO)]


def _folded(g: Any, triangle: str) -> Any:
    """A gradient by a symmetric matrix as one by the triangle that was read: the other half is added to it."""
    from tinygraph.tensor.creation import tril, triu

    if triangle == "L":
        return tril(g) + transposed(triu(g, 1))
    return triu(g) + transposed(tril(g, -1))


class Eig(MatrixOp):
    """Eigenvalues and eigenvectors (columns) of square matrices whose eigenvalues are real. No gradient.

    Shapes: (..., n, n) -> (..., n), (..., n, n). Raises InvalidValue for complex eigenvalues: there are no complex
    dtypes here.
    """

    __props__ = ()
    name = "eig"
    nout = 2

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape[:-1]), (x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        w, v = np.linalg.eig(x)
        if np.iscomplexobj(w) and np.any(w.imag):
            raise InvalidValue("eig: the matrix has complex eigenvalues, for which there is no dtype; see eigh, svd")
        return w.real, v.real


class QR(MatrixOp):
    """``x = q @ r`` with orthonormal columns of q and an upper triangle r.

    Shapes: (..., m, n) -> (..., m, k), (..., k, n), k = min(m, n); mode 'complete': (..., m, m), (..., m, n); mode 'r':
    only r. Gradient: mode 'reduced' with m >= n.
    """

    __props__ = ("mode",)
    name = "qr"

    def __init__(self, mode: str = "reduced"):
        if mode not in ("reduced", "complete", "r"):
            raise InvalidValue(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
        self.mode: Any = mode

    @property
    def nout(self) -> int:  # type: ignore[override]
        return 1 if self.mode == "r" else 2

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x)
        *lead, m, n = x.shape
        k = m if self.mode == "complete" else dim_min(m, n)
        r = (x.dtype, [*lead, k, n])
        return [r] if self.mode == "r" else [(x.dtype, [*lead, m, k]), r]

    def forward(self, x: Any) -> Any:
        found = np.linalg.qr(x, self.mode)
        return found if self.mode == "r" else tuple(found)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import tril, zeros_like

        m, n = inputs[0].type.shape[-2:]
        if self.mode == "complete" and not (m is not None and m == n):
            raise NotImplementedError("the gradient of qr needs mode='reduced'")
        if m is not None and n is not None and m < n:
            raise NotImplementedError("the gradient of qr of a matrix with more columns than rows")
        if self.mode == "r":
            q, r = QR("reduced")(inputs[0])
            gq, gr = zeros_like(q), grads[0]
        else:
            (q, r), (gq, gr) = outputs, grads
        inner = product(r, transposed(gr)) - product(transposed(gq), q)
        left = gq + product(q, tril(inner) + transposed(tril(inner, -1)))
        return [transposed(SolveTriangular(lower=False)(r, transposed(left)))]


class Cholesky(MatrixOp):
    """The triangle L with ``L @ L.T = x`` (or, upper, ``U.T @ U = x``) of a positive definite matrix.

    Shapes: (..., n, n) -> (..., n, n). Only the triangle of x on the same side is read, and gets the gradient.
    ``on_error``: 'raise', or 'nan' to fill the result with nan where x is not positive definite.
    """

    __props__ = ("is_lower", "on_error")
    name = "cholesky"

    def __init__(self, lower: bool = True, on_error: str = "raise"):
        if on_error not in ("raise", "nan"):
            raise InvalidValue(f"cholesky: on_error must be 'raise' or 'nan', got {on_error!r}")
        self.is_lower = bool(lower)
        self.on_error = on_error

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        try:
            found = np.linalg.cholesky(x if self.is_lower else np.swapaxes(x, -1, -2))
        except np.linalg.LinAlgError:
            if self.on_error == "raise":
                raise
            return np.full(x.shape, np.nan, x.dtype)
        return found if self.is_lower else np.swapaxes(found, -1, -2)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import eye, tril

        (factor,), (g,) = outputs, grads
        if not self.is_lower:
            factor, g = transposed(factor), transposed(g)
        diagonal = eye(factor.shape[factor.ndim - 1], dtype=factor.type.dtype)
        inner = tril(product(transposed(factor), g)) * (1 - 0.5 * diagonal)
        solve = SolveTriangular(lower=True, trans=True)
        half = transposed(solve(factor, transposed(solve(factor, inner))))
        folded = tril(half + transposed(half)) - half * diagonal
        return [folded if self.is_lower else transposed(folded)]


class SolveTriangular(MatrixOp):
    """The x with ``a @ x = b`` (or, with ``trans``, ``a.T @ x = b``), where only one triangle of a is read.

    Shapes: (..., n, n), (n,) or (..., n, k) -> that of b. ``unit_diagonal``: the diagonal counts as ones.
    """

    __props__ = ("is_lower", "trans", "unit_diagonal")
    name = "solve_triangular"

    def __init__(self, lower: bool = False, trans: bool = False, unit_diagonal: bool = False):
        self.is_lower = bool(lower)
        self.trans = bool(trans)
        self.unit_diagonal = bool(unit_diagonal)

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(a, square=True)
        return [solved_type(self, a, b)]

    def forward(self, a: Any, b: Any) -> Any:
        a = np.tril(a) if self.is_lower else np.triu(a)
        if self.unit_diagonal:
            i = np.arange(a.shape[-1])
            a[..., i, i] = 1
        return np.linalg.solve(np.swapaxes(a, -1, -2) if self.trans else a, b)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import tril, triu

        (a, b), (x,), (g,) = inputs, outputs, grads
        db = SolveTriangular(self.is_lower, not self.trans, self.unit_diagonal)(a, g)
        left, right = (x, db) if self.trans else (db, x)
        da = -outer_product(left, right, b.type.ndim)
        offset = int(self.unit_diagonal)
        return [tril(da, -offset) if self.is_lower else triu(da, offset), db]


def solved_type(op: Any, a: Operand, b: Operand) -> tuple[str, Sequence[Dim]]:
    """Type of ``a``'s inverse times ``b``, a vector or (stacks of) matrices."""
    from tinygraph.errors import ShapeMismatch
    from tinygraph.graph.dims import broadcast_shapes, may_differ

    op.expect(a.dtype == b.dtype and b.ndim >= 1, "a matrix and a right-hand side of one dtype", a, b)
    rows = b.shape[0] if b.ndim == 1 else b.shape[-2]
    op.expect(not may_differ(a.shape[-1], rows), f"a right-hand side of {a.shape[-1]} rows", a, b, error=ShapeMismatch)
    if b.ndim == 1:
        return a.dtype, [*a.shape[:-2], a.shape[-1]]
    return a.dtype, [*broadcast_shapes([a.shape[:-2], b.shape[:-2]]), a.shape[-1], b.shape[-1]]


def outer_product(left: Any, right: Any, ndim: int) -> Any:
    """``left @ right.T`` of solutions: of vectors if the right-hand side was one."""
    if ndim == 1:
        return as_column(left) * as_row(right)
    return product(left, transposed(right))


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """``[u, s, vh]`` with ``a = u @ diag(s) @ vh``, or only s; see SVD."""
    return SVD(full_matrices, compute_uv)(matrix(a))


def eigh(a: Any, UPLO: str = "L") -> Any:
    """``[w, v]``: eigenvalues in ascending order and eigenvectors of a symmetric matrix; see Eigh."""
    return Eigh(UPLO)(matrix(a))


def eig(a: Any) -> Any:
    """``[w, v]``: eigenvalues and eigenvectors of a square matrix with real eigenvalues; see Eig."""
    return Eig()(matrix(a))


def qr(a: Any, mode: str = "reduced") -> Any:
    """``[q, r]`` with ``a = q @ r``, or only r; see QR."""
    return QR({"full": "complete", "economic": "reduced"}.get(mode, mode))(matrix(a))


def cholesky(a: Any, lower: bool = True, on_error: str = "raise") -> Any:
    """The Cholesky factor of a positive definite matrix; see Cholesky."""
    return Cholesky(lower, on_error)(matrix(a))
