"""Linear algebra by the names of ``numpy.linalg`` (and of Theano's module of this name), on stacks of matrices too.

Gradients: M. Giles, Oxford report NA-08/01 (2008); G. Golub & V. Pereyra, SIAM J. Numer. Anal. 10 (1973), of pinv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, is_int
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.decompositions import QR, SVD, Eig, Eigh, eig, eigh, outer_product, qr, solved_type, svd
from tinygraph.tensor.diagonal import ExtractDiag, alloc_diag, diag, diagonal, trace
from tinygraph.tensor.linalg_op import MatrixOp, as_column, matrix, product, transposed

__all__ = [
    "Det", "Eig", "Eigh", "ExtractDiag", "Lstsq", "MatrixInverse", "MatrixPinv", "QR", "SLogDet", "SVD", "Solve",
    "alloc_diag", "det", "diag", "diagonal", "eig", "eigh", "inv", "inverse", "lstsq", "matrix_dot", "matrix_inverse",
    "matrix_power", "norm", "pinv", "qr", "slogdet", "svd", "tensorinv", "tensorsolve", "trace",
]  # fmt: skip


class MatrixInverse(MatrixOp):
    """The inverse of square matrices. Shapes: (..., n, n) -> (..., n, n). Raises LinAlgError for a singular one."""

    __props__ = ()
    name = "inverse"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        return np.linalg.inv(x)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        back = transposed(outputs[0])
        return [-product(back, grads[0], back)]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [-product(outputs[0], tangents[0], outputs[0])]


class MatrixPinv(MatrixOp):
    """The Moore-Penrose inverse. Shapes: (..., m, n) -> (..., n, m). Gradient: at matrices of constant rank."""

    __props__ = ()
    name = "pinv"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x)
        *lead, m, n = x.shape
        return [(x.dtype, [*lead, n, m])]

    def forward(self, x: Any) -> Any:
        return np.linalg.pinv(x)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,), (p,), (g,) = inputs, outputs, grads
        pt, gt = transposed(p), transposed(g)
        left = product(gt, p, pt)
        right = product(pt, p, gt)
        first = left - product(x, p, left)
        second = right - product(right, p, x)
        return [first + second - product(pt, g, pt)]


class Det(MatrixOp):
    """The determinant. Shapes: (..., n, n) -> (...). Gradient: through the inverse, so not at singular matrices."""

    __props__ = ()
    name = "det"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape[:-2])]

    def forward(self, x: Any) -> Any:
        return np.linalg.det(x)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        scale = as_column(as_column(grads[0] * outputs[0]))
        return [scale * transposed(inverse(inputs[0]))]


class SLogDet(MatrixOp):
    """Sign and logarithm of the absolute value of the determinant. Shapes: (..., n, n) -> (...), (...)."""

    __props__ = ()
    name = "slogdet"
    nout = 2

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(x, square=True)
        return [(x.dtype, x.shape[:-2])] * 2

    def forward(self, x: Any) -> Any:
        return tuple(np.linalg.slogdet(x))

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [as_column(as_column(grads[1])) * transposed(inverse(inputs[0]))]


class Solve(MatrixOp):
    """The x with ``a @ x = b``. Shapes: (..., n, n), (n,) or (..., n, k) -> that of b."""

    __props__ = ()
    name = "solve"

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect_matrix(a, square=True)
        return [solved_type(self, a, b)]

    def forward(self, a: Any, b: Any) -> Any:
        return np.linalg.solve(a, b)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.broadcast import sum_to

        (a, b), (x,), (g,) = inputs, outputs, grads
        db = self(transposed(a), g) if b.type.ndim > 1 or a.type.ndim == 2 else _solve_vectors(transposed(a), g)
        da = -outer_product(db, x, b.type.ndim)
        return [sum_to(da, a), sum_to(db, b)]


def _solve_vectors(a: Any, b: Any) -> Any:
    """Solutions for a stack of vectors, (..., n, n), (..., n) -> (..., n)."""
    from tinygraph.tensor.shape import dimshuffle

    return dimshuffle(Solve()(a, as_column(b)), list(range(b.type.ndim)))


class Lstsq(MatrixOp):
    """The x that makes ``|a @ x - b|`` smallest, residuals, rank and singular values of a. No gradient."""

    __props__ = ("rcond",)
    name = "lstsq"
    nout = 4
    data_dependent_shape = True

    def __init__(self, rcond: float | None = None):
        self.rcond = rcond

    def infer(self, a: Operand, b: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(a.ndim == 2 and b.ndim in (1, 2) and a.dtype == b.dtype, "a matrix and a right-hand side", a, b)
        m, n = a.shape
        k = min(m, n) if is_int(m) and is_int(n) else UNKNOWN
        return [(a.dtype, [n, *b.shape[1:]]), (a.dtype, [UNKNOWN]), ("int64", []), (a.dtype, [k])]

    def forward(self, a: Any, b: Any) -> Any:
        x, residuals, rank, s = np.linalg.lstsq(a, b, rcond=self.rcond)
        return x, residuals, np.asarray(rank, "int64"), s

    def lower(self, b: Any, node: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        return b.host_call(node, inputs)


def matrix_inverse(a: Any) -> Any:
    """The inverse of a square matrix."""
    return MatrixInverse()(matrix(a))


inverse = inv = matrix_inverse


def pinv(a: Any) -> Any:
    """The Moore-Penrose inverse of a matrix."""
    return MatrixPinv()(matrix(a))


def det(a: Any) -> Any:
    """The determinant of a square matrix."""
    return Det()(matrix(a))


def slogdet(a: Any) -> Any:
    """``[sign, logarithm]`` of the determinant: ``det = sign * exp(logarithm)``, without overflow."""
    return SLogDet()(matrix(a))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """``[x, residuals, rank, singular values]`` of least squares, as ``numpy.linalg.lstsq``."""
    return Lstsq(rcond)(matrix(a), matrix(b))


def matrix_dot(*args: Any) -> Any:
    """The product of several matrices, from the left."""
    return product(*(as_tensor_variable(a) for a in args))


def matrix_power(M: Any, n: int) -> Any:
    """``M`` multiplied by itself to the integer power ``n`` (negative: powers of the inverse)."""
    from tinygraph.tensor.broadcast import broadcast_like
    from tinygraph.tensor.creation import eye

    M, n = as_tensor_variable(M), int(n)
    if n < 0:
        M, n = matrix_inverse(M), -n
    if n == 0:
        return broadcast_like(eye(M.shape[M.ndim - 1], dtype=M.type.dtype), M)
    result: Any = None
    while n:
        if n & 1:
            result = M if result is None else product(result, M)
        n >>= 1
        if n:
            M = product(M, M)
    return result


def norm(x: Any, ord: Any = None) -> Any:
    """The norm of a vector or matrix, as ``numpy.linalg.norm``.

    ``ord``: None (root of the sum of squares), a number, 'inf' or '-inf'; for matrices 'fro', 'nuc', 1, -1, 2, -2,
    'inf', '-inf'.
    """
    from tinygraph.tensor.maths import abs as abs_of
    from tinygraph.tensor.norms import norm_p
    from tinygraph.tensor.reduce import max as max_over
    from tinygraph.tensor.reduce import min as min_over

    x = matrix(x)
    if ord is None:
        return norm_p(x, 2)
    if isinstance(ord, str) and ord.lstrip("-") == "inf":
        ord = float(ord)
    if x.type.ndim == 1 and not isinstance(ord, str):
        return norm_p(x, ord)
    if x.type.ndim != 2:
        raise InvalidValue(f"norm: a vector or a matrix is needed for ord={ord!r}, got {x} of type {x.type}")
    if ord == "fro":
        return norm_p(x, 2)
    if ord == "nuc":
        return svd(x, compute_uv=False).sum()
    pick = min_over if isinstance(ord, (int, float)) and ord < 0 else max_over
    if ord in (float("inf"), -float("inf")):
        return pick(abs_of(x).sum(axis=1))
    if ord in (1, -1):
        return pick(abs_of(x).sum(axis=0))
    if ord in (2, -2):
        return pick(svd(x, compute_uv=False))
    raise InvalidValue(f"norm: there is no matrix norm of order {ord!r}")


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of ``a`` under ``tensordot(a, x, ind)``, as ``numpy.linalg.tensorinv``."""
    from tinygraph.tensor.contract import product as size_of
    from tinygraph.tensor.shape import reshape, shape_tuple

    a = matrix(a)
    if ind <= 0:
        raise InvalidValue(f"tensorinv: ind must be positive, got {ind}")
    sizes = shape_tuple(a)
    n = size_of(sizes[ind:])
    found = matrix_inverse(reshape(a, (size_of(sizes[:ind]), n), ndim=2))
    return reshape(found, [*sizes[ind:], *sizes[:ind]], ndim=a.type.ndim)


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Any:
    """The x with ``tensordot(a, x, x.ndim) == b``, as ``numpy.linalg.tensorsolve``."""
    from tinygraph.tensor.contract import product as size_of
    from tinygraph.tensor.shape import dimshuffle, flatten, reshape, shape_tuple

    a, b = matrix(a), matrix(b)
    if axes is not None:
        back = [d % a.type.ndim for d in axes]
        a = dimshuffle(a, [d for d in range(a.type.ndim) if d not in back] + back)
    sizes = shape_tuple(a)[b.type.ndim :]
    n = size_of(sizes)
    x = Solve()(reshape(a, (n, n), ndim=2), flatten(b) if b.type.ndim != 1 else b)
    return reshape(x, sizes, ndim=len(sizes))
