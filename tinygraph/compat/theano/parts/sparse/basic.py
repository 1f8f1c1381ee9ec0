"""Conversion, sums, products and stacking of sparse matrices.

The gradient by a sparse matrix has its pattern where only stored entries count (``structured_dot``,
``dense_from_sparse``), and else all the entries that matter, as in Theano.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygraph.tensor as T
from tinygraph.compat.theano.parts.sparse.op import apply, common_dtype, define
from tinygraph.compat.theano.parts.sparse.types import (
    SparseType,
    as_sparse_or_tensor_variable,
    as_sparse_variable,
    is_sparse,
    scipy_sparse,
)
from tinygraph.errors import TypeMismatch
from tinygraph.graph import TensorType


def dense_from_sparse(x: Any, structured: bool = True) -> Any:
    """A sparse matrix as a dense one; the gradient has its pattern, unless not ``structured``."""
    return apply("dense", as_sparse_variable(x), structured=structured)


def csr_from_dense(x: Any) -> Any:
    """A dense matrix in rows."""
    return apply("csr", x)


def csc_from_dense(x: Any) -> Any:
    """A dense matrix in columns."""
    return apply("csc", x)


def on_pattern(pattern: Any, x: Any) -> Any:
    """The dense or sparse matrix ``x`` where ``pattern`` has entries, and only there."""
    return apply("on_pattern", pattern, x)


def _dense(*types: Any) -> Any:
    return TensorType(common_dtype(*types), (None, None))


def entries_at(pattern: Any, x: Any) -> Any:
    """The entries of the matrix ``x`` (values) at those of ``pattern``, in the order in which that stores them."""
    if is_sparse(x) and x.format == pattern.format and x.nnz == pattern.nnz:
        if np.array_equal(x.indptr, pattern.indptr) and np.array_equal(x.indices, pattern.indices):
            return x.data
    coo = pattern.tocoo()
    if is_sparse(x):
        x = x.tocsr()
    return np.asarray(x[coo.row, coo.col]).reshape(-1)


def like(pattern: Any, data: Any) -> Any:
    """A matrix (values) with the pattern of ``pattern`` and the entries ``data``."""
    return type(pattern)((data, pattern.indices, pattern.indptr), shape=pattern.shape, copy=False)


def _grad_dense(inputs: Any, g: Any, structured: bool) -> list[Any]:
    (a,) = inputs
    return [on_pattern(a, g) if structured else apply(a.type.format, g)]


define("dense", lambda a, structured: a.toarray(), lambda a, structured: _dense(a), _grad_dense)
for _format in ("csr", "csc"):
    define(
        _format,
        lambda a, f=_format: getattr(scipy_sparse(), f"{f}_matrix")(a),
        lambda a, f=_format: SparseType(f, a.dtype),
        lambda i, g: [T.reshape(dense_from_sparse(g, structured=False), T.shape(i[0]), ndim=i[0].type.ndim)],
    )
define(
    "on_pattern",
    lambda pattern, x: like(pattern, entries_at(pattern, x)),
    lambda pattern, x: SparseType(pattern.format, x.dtype),
    lambda i, g: [None, toward(i[1], on_pattern(i[0], g))],
    disconnected=[0],
)


def toward(v: Any, g: Any) -> Any:
    """The gradient ``g`` in the form of the input ``v``."""
    if is_sparse(v) and not is_sparse(g):
        return apply(v.type.format, g)
    if not is_sparse(v) and is_sparse(g):
        return dense_from_sparse(g, structured=False)
    return g


def _transposed(v: Any) -> Any:
    return transpose(v) if is_sparse(v) else v.T


# -- products


def _outer(g: Any, b: Any) -> Any:
    """The dense product of the gradient of a product with its transposed second factor."""
    if is_sparse(g) or is_sparse(b):
        return dot(g, _transposed(b))
    return T.outer(g, b) if b.type.ndim == 1 else g.dot(b.T)


def _grad_dot(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    by_a = T.outer(a, g) if a.type.ndim == 1 else None  # a vector times a sparse matrix
    if by_a is not None:
        return [dot(b, g), apply(b.type.format, by_a)]
    by_b = dot(_transposed(a), g) if is_sparse(a) else T.dot(a.T, g)
    return [toward(a, _outer(g, b)), toward(b, by_b)]


def _grad_structured_dot(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    if is_sparse(b) and is_sparse(g):
        by_b = structured_dot(transpose(a), g)
        return [on_pattern(a, structured_dot(g, transpose(b))), by_b]
    return [on_pattern(a, _outer(g, b)), toward(b, dot(_transposed(a), g))]


def _product(a: Any, b: Any) -> Any:
    found = a @ b
    return found.toarray() if is_sparse(found) else found


def _dot_type(a: Any, b: Any) -> Any:
    return TensorType(common_dtype(a, b), (None,) * (a.ndim + b.ndim - 2))


def _structured_type(a: Any, b: Any) -> Any:
    return SparseType(a.format, common_dtype(a, b)) if isinstance(b, SparseType) else _dot_type(a, b)


define("dot", _product, _dot_type, _grad_dot)
define("structured_dot", lambda a, b: a @ b, _structured_type, _grad_structured_dot)
define(
    "true_dot",
    lambda a, b: scipy_sparse().csc_matrix(a @ b),
    lambda a, b: SparseType(a.format, common_dtype(a, b)),
    lambda i, g: [toward(i[0], dot(g, _transposed(i[1]))), toward(i[1], dot(transpose(i[0]), g))],
)


def dot(x: Any, y: Any) -> Any:
    """The product as a dense matrix; one factor at least is sparse."""
    if not (is_sparse(x) or is_sparse(y)):
        raise TypeMismatch(f"sparse.dot: expected a sparse matrix, got {x} and {y}")
    return apply("dot", x, y)


def structured_dot(x: Any, y: Any) -> Any:
    """The product, sparse if both factors are; the gradient by a sparse first factor keeps its pattern."""
    if not is_sparse(x):
        if not is_sparse(y):
            raise TypeMismatch("structured_dot: expected a sparse matrix, got two dense ones")
        return structured_dot(transpose(y), T.as_tensor_variable(x).T).T
    return apply("structured_dot", x, y)


def true_dot(x: Any, y: Any, grad_preserves_dense: bool = True) -> Any:
    """The product as a sparse matrix; one factor at least is sparse."""
    if is_sparse(x):
        return apply("true_dot", x, y)
    if not is_sparse(y):
        raise TypeMismatch("true_dot: expected a sparse matrix, got two dense ones")
    return transpose(apply("true_dot", transpose(y), T.as_tensor_variable(x).T))


def usmm(alpha: Any, x: Any, y: Any, z: Any) -> Any:
    """``alpha * dot(x, y) + z``, dense."""
    return T.as_tensor_variable(alpha) * dot(x, y) + z


# -- sums and elementwise products


def _add_type(a: Any, b: Any) -> Any:
    if isinstance(a, SparseType) and isinstance(b, SparseType):
        return SparseType(a.format, common_dtype(a, b))
    return _dense(a, b)


def _add(a: Any, b: Any) -> Any:
    return a + b if is_sparse(a) and is_sparse(b) else np.asarray(a + b)


def _mul_type(a: Any, b: Any) -> Any:
    return SparseType((a if isinstance(a, SparseType) else b).format, common_dtype(a, b))


def _multiply(a: Any, b: Any) -> Any:
    s, other = (a, b) if is_sparse(a) else (b, a)
    return s.multiply(other) if is_sparse(other) or np.ndim(other) else s * other


def _grad_mul(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    found = []
    for v, other in ((a, b), (b, a)):
        product = mul(g, other)
        if not is_sparse(v):
            product = T.sum_to(dense_from_sparse(product, structured=False), v)
        found.append(product)
    return found


define("add", _add, _add_type, lambda i, g: [toward(i[0], g), toward(i[1], g)])
define("sub", lambda a, b: _add(a, -b), _add_type, lambda i, g: [toward(i[0], g), toward(i[1], -g)])
define("mul", _multiply, _mul_type, _grad_mul)
define("neg", lambda a: -a, lambda a: a, lambda i, g: [neg(g)])
define(
    "transpose",
    lambda a: a.T,
    lambda a: SparseType({"csr": "csc", "csc": "csr"}[a.format], a.dtype),
    lambda i, g: [transpose(g)],
)


def _either(name: str, x: Any, y: Any) -> Any:
    if not (is_sparse(x) or is_sparse(y)):
        raise TypeMismatch(f"sparse.{name}: expected a sparse matrix, got {x} and {y}")
    return apply(name, x, y)


def add(x: Any, y: Any) -> Any:
    """The sum; sparse if both are."""
    return _either("add", x, y)


def sub(x: Any, y: Any) -> Any:
    """The difference; sparse if both are."""
    return _either("sub", x, y)


def mul(x: Any, y: Any) -> Any:
    """The elementwise product, sparse; a number, a dense or another sparse matrix may be the other factor."""
    return _either("mul", x, y)


subtract, multiply = sub, mul


def neg(x: Any) -> Any:
    """The negative."""
    return apply("neg", as_sparse_variable(x))


def conj(x: Any) -> Any:
    """``x``: there are no complex numbers."""
    return as_sparse_variable(x)


def transpose(x: Any) -> Any:
    """The transpose: rows become columns, without a copy."""
    return apply("transpose", as_sparse_variable(x))


def _total(a: Any, axis: Any = None, **settings: Any) -> Any:
    return np.asarray(a.sum(axis=axis)).reshape(-1) if axis is not None else a.sum()


def _grad_sum(inputs: Any, g: Any, axis: Any = None, sparse_grad: bool = False) -> list[Any]:
    (a,) = inputs
    rows = g.dimshuffle("x", 0) if axis == 0 else g.dimshuffle(0, "x") if axis == 1 else g
    spread = T.ones(sp_shape(a), dtype=g.dtype) * rows
    return [on_pattern(a, spread) if sparse_grad else apply(a.type.format, spread)]


define(
    "sum",
    _total,
    lambda a, axis=None, **settings: TensorType(a.dtype, () if axis is None else (None,)),
    _grad_sum,
)
define("shape", lambda a: np.array(a.shape, "int64"), lambda a: TensorType("int64", (2,)), disconnected=[0],
       grad=lambda i, g: [None])  # fmt: skip


def sp_sum(x: Any, axis: Any = None, sparse_grad: bool = False) -> Any:
    """The sum of all entries, or by ``axis``; with ``sparse_grad`` its gradient has the pattern of ``x``."""
    if axis not in (None, 0, 1, -1, -2):
        raise ValueError(f"sp_sum: axis must be None, 0 or 1, got {axis!r}")
    return apply(
        "sum", as_sparse_variable(x), axis=None if axis is None else axis % 2, sparse_grad=bool(sparse_grad)
    )


def sp_shape(x: Any) -> Any:
    """The two sizes."""
    return apply("shape", as_sparse_variable(x))


# -- dtypes and stacks

define("cast", lambda a, dtype: a.astype(dtype), lambda a, dtype: SparseType(a.format, dtype),
       lambda i, g, dtype: [cast(g, i[0].dtype)])  # fmt: skip


def cast(variable: Any, dtype: Any) -> Any:
    """The matrix with its entries as ``dtype``."""
    x, dtype = as_sparse_variable(variable), np.dtype(dtype).name
    return x if x.dtype == dtype else apply("cast", x, dtype=dtype)


def _grad_stack(axis: int) -> Any:
    def grad(inputs: Any, g: Any, format: str, dtype: str) -> list[Any]:  # noqa: A002 - SciPy's name
        whole, at, found = dense_from_sparse(g, structured=False), 0, []
        for v in inputs:
            n = sp_shape(v)[axis]
            found.append(on_pattern(v, whole[at : at + n] if axis == 0 else whole[:, at : at + n]))
            at = at + n
        return found

    return grad


for _kind, _axis in (("hstack", 1), ("vstack", 0)):
    define(
        _kind,
        lambda *a, format, dtype, kind=_kind: getattr(scipy_sparse(), kind)(a, format=format, dtype=dtype),
        lambda *a, format, dtype: SparseType(format, dtype),
        _grad_stack(_axis),
    )


def _stack(kind: str, blocks: Sequence[Any], format: str | None, dtype: Any) -> Any:  # noqa: A002 - SciPy's name
    made = [as_sparse_variable(b) for b in blocks]
    dtype = np.dtype(dtype).name if dtype is not None else common_dtype(*(b.type for b in made))
    return apply(kind, *made, format=format or "csc", dtype=dtype)


def hstack(blocks: Sequence[Any], format: str | None = None, dtype: Any = None) -> Any:  # noqa: A002
    """Matrices side by side, in ``format`` (by default "csc")."""
    return _stack("hstack", blocks, format, dtype)


def vstack(blocks: Sequence[Any], format: str | None = None, dtype: Any = None) -> Any:  # noqa: A002
    """Matrices one below the other, in ``format`` (by default "csc")."""
    return _stack("vstack", blocks, format, dtype)


# -- comparisons


def _compare(name: str, function: Any) -> Any:
    def run(a: Any, b: Any) -> Any:
        found = function(*(x.toarray() if is_sparse(x) else x for x in (a, b)))
        return scipy_sparse().csr_matrix(found) if is_sparse(a) and is_sparse(b) else found

    def kind(a: Any, b: Any) -> Any:
        both = isinstance(a, SparseType) and isinstance(b, SparseType)
        return SparseType(a.format, "uint8") if both else TensorType("uint8", (None, None))

    define(name, run, kind, lambda i, g: [None, None], disconnected=[0, 1])

    def compare(x: Any, y: Any) -> Any:
        return _either(name, as_sparse_or_tensor_variable(x), as_sparse_or_tensor_variable(y))

    compare.__name__ = name
    compare.__doc__ = f"``{name}`` elementwise, as zeros and ones of uint8; sparse if both matrices are."
    return compare


eq, neq = _compare("eq", np.equal), _compare("neq", np.not_equal)
lt, le = _compare("lt", np.less), _compare("le", np.less_equal)
gt, ge = _compare("gt", np.greater), _compare("ge", np.greater_equal)
