"""Stored entries of sparse matrices: reading them, computing with them, making matrices of them.

``structured`` functions work on stored entries only and keep the pattern: a zero that is not stored stays one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygraph.tensor as T
from tinygraph.compat.theano.parts.sparse.basic import dense_from_sparse, entries_at, like, sp_shape, toward
from tinygraph.compat.theano.parts.sparse.op import apply, common_dtype, define, vector
from tinygraph.compat.theano.parts.sparse.types import SparseType, as_sparse_variable, scipy_sparse

# -- the arrays behind a matrix

define("data", lambda a: a.data, lambda a: vector(a.dtype), lambda i, g: [with_data(i[0], g)])
define(
    "with_data",
    like,
    lambda a, data: SparseType(a.format, data.dtype),
    lambda i, g: [None, data_on_pattern(i[0], g)],
    disconnected=[0],
)
define(
    "data_on_pattern",
    entries_at,
    lambda pattern, x: vector(x.dtype),
    lambda i, g: [None, with_data(i[0], g)],
    disconnected=[0],
)
_INDEX = {
    "indices": lambda a: a.indices,
    "indptr": lambda a: a.indptr,
    "rows": lambda a: a.tocoo().row,
    "columns": lambda a: a.tocoo().col,
}
for _name, _run in _INDEX.items():
    define(_name, _run, lambda a: vector("int32"), lambda i, g: [None], disconnected=[0])


def with_data(pattern: Any, data: Any) -> Any:
    """A matrix with the pattern of ``pattern`` whose stored entries are the vector ``data``."""
    return apply("with_data", pattern, data)


def data_on_pattern(pattern: Any, x: Any) -> Any:
    """The entries of ``x`` where ``pattern`` has some, in its order."""
    return apply("data_on_pattern", pattern, x)


def csm_data(csm: Any) -> Any:
    """The stored entries, as a vector."""
    return apply("data", as_sparse_variable(csm))


def csm_indices(csm: Any) -> Any:
    """SciPy's ``indices``."""
    return apply("indices", as_sparse_variable(csm))


def csm_indptr(csm: Any) -> Any:
    """SciPy's ``indptr``."""
    return apply("indptr", as_sparse_variable(csm))


def csm_shape(csm: Any) -> Any:
    """The two sizes, as int32."""
    return T.cast(sp_shape(csm), "int32")


def csm_properties(csm: Any) -> list[Any]:
    """``[data, indices, indptr, shape]``."""
    return [csm_data(csm), csm_indices(csm), csm_indptr(csm), csm_shape(csm)]


def _build(data: Any, indices: Any, indptr: Any, shape: Any, format: str) -> Any:  # noqa: A002 - SciPy's name
    make = getattr(scipy_sparse(), f"{format}_matrix")
    return make((data, indices.astype("int32"), indptr.astype("int32")), shape=tuple(int(n) for n in shape))


def _grad_build(inputs: Any, g: Any, format: str) -> list[Any]:  # noqa: A002
    pattern = apply("build", *inputs, format=format)
    return [data_on_pattern(pattern, g)]


define("build", _build, lambda data, *rest, format: SparseType(format, data.dtype), _grad_build,
       disconnected=[1, 2, 3])  # fmt: skip


class CSM:
    """``CSM(format)(data, indices, indptr, shape)``: a matrix of these four; gradients reach ``data``."""

    def __init__(self, format: str, kmap: Any = None):  # noqa: A002 - Theano's name
        if kmap is not None:
            raise NotImplementedError("CSM: kmap is not supported; index data before")
        self.format = SparseType(format, "float64").format

    def __call__(self, data: Any, indices: Any, indptr: Any, shape: Any) -> Any:
        """The matrix."""
        parts = [T.as_tensor_variable(p) for p in (data, indices, indptr, shape)]
        if any(p.type.ndim != 1 for p in parts) or any("int" not in p.dtype for p in parts[1:]):
            raise TypeError(
                f"CSM: expected vectors, all but the first of integers, got {[p.type for p in parts]}"
            )
        return apply("build", *parts, format=self.format)


CSC, CSR = CSM("csc"), CSM("csr")

# -- arithmetic on entries


def structured_monoid(tensor_op: Any) -> Any:
    """A decorator: ``tensor_op`` of the entries (and of further operands) becomes a function of a sparse matrix."""

    def decorate(named: Any) -> Any:
        def structured(x: Any, *others: Any) -> Any:
            x = as_sparse_variable(x)
            return with_data(x, tensor_op(csm_data(x), *others))

        structured.__name__, structured.__doc__ = named.__name__, named.__doc__
        return structured

    return decorate


_STRUCTURED: dict[str, Any] = {
    "structured_sigmoid": lambda data: T.nnet.sigmoid(data),
    "structured_exp": T.exp,
    "structured_log": T.log,
    "structured_pow": lambda data, y: data**y,
    "structured_minimum": T.minimum,
    "structured_maximum": T.maximum,
    "structured_add": lambda data, y: data + y,
}
_PLAIN = ("sin", "arcsin", "tan", "arctan", "sinh", "arcsinh", "tanh", "arctanh", "sgn", "ceil", "floor",
          "trunc", "log1p", "expm1", "deg2rad", "rad2deg", "sqr", "sqrt")  # fmt: skip


def _structured(name: str, function: Any) -> Any:
    def named(x: Any, *others: Any) -> Any: ...

    named.__name__ = name
    named.__doc__ = f"{name.removeprefix('structured_')} of the stored entries."
    return structured_monoid(function)(named)


_STRUCTURED.update({name: getattr(T, name) for name in _PLAIN}, rint=T.round_half_to_even)
globals().update({name: _structured(name, function) for name, function in _STRUCTURED.items()})


def add_s_s_data(x: Any, y: Any) -> Any:
    """The sum of two matrices of one pattern."""
    x, y = as_sparse_variable(x), as_sparse_variable(y)
    return with_data(x, csm_data(x) + csm_data(y))


def mul_s_v(x: Any, y: Any) -> Any:
    """Each column of ``x`` times its element of the vector ``y``."""
    x = as_sparse_variable(x)
    return with_data(x, csm_data(x) * T.as_tensor_variable(y)[apply("columns", x)])


def structured_add_s_v(x: Any, y: Any) -> Any:
    """The element of the vector ``y`` for its column added to each stored entry."""
    x = as_sparse_variable(x)
    return with_data(x, csm_data(x) + T.as_tensor_variable(y)[apply("columns", x)])


def mul_s_s(x: Any, y: Any) -> Any:
    """The elementwise product of two sparse matrices."""
    return as_sparse_variable(x) * as_sparse_variable(y)


def mul_s_d(x: Any, y: Any) -> Any:
    """The elementwise product of a sparse and a dense matrix, sparse."""
    return as_sparse_variable(x) * T.as_tensor_variable(y)


add_s_s = add_s_d = lambda x, y: as_sparse_variable(x) + y  # noqa: E731 - two names of one line
col_scale = mul_s_v


def row_scale(x: Any, s: Any) -> Any:
    """Each row of ``x`` times its element of the vector ``s``."""
    x = as_sparse_variable(x)
    return with_data(x, csm_data(x) * T.as_tensor_variable(s)[apply("rows", x)])


def sampling_dot(x: Any, y: Any, p: Any) -> Any:
    """``p * dot(x, y.T)``, computed only where the sparse ``p`` has entries."""
    x, y, p = T.as_tensor_variable(x), T.as_tensor_variable(y), as_sparse_variable(p)
    products = (x[apply("rows", p)] * y[apply("columns", p)]).sum(axis=1)
    return with_data(p, csm_data(p) * products)


def sp_ones_like(x: Any) -> Any:
    """The pattern of ``x`` with ones."""
    x = as_sparse_variable(x)
    return with_data(x, T.ones_like(csm_data(x)))


define("zeros", lambda a: scipy_sparse().csr_matrix(a.shape, dtype=a.dtype), lambda a: a, lambda i, g: [None],
       disconnected=[0])  # fmt: skip


def sp_zeros_like(x: Any) -> Any:
    """A matrix of the shape of ``x`` without entries."""
    return apply("zeros", as_sparse_variable(x))


# -- diagonals and order


def _square_diagonal(d: Any) -> Any:
    return scipy_sparse().csc_matrix(scipy_sparse().diags(d))


def _sorted(a: Any) -> Any:
    return a.sorted_indices()


def _without_zeros(a: Any) -> Any:
    a = a.copy()
    a.eliminate_zeros()
    return a


define("diag", lambda a: a.diagonal(), lambda a: vector(a.dtype), lambda i, g: [_diagonal_like(i[0], g)])
define("square_diagonal", _square_diagonal, lambda d: SparseType("csc", d.dtype), lambda i, g: [diag(g)])
define("ensure_sorted_indices", _sorted, lambda a: a, lambda i, g: [g])
define("remove0", _without_zeros, lambda a: a, lambda i, g: [g])


def _diagonal_like(x: Any, d: Any) -> Any:
    """``d`` on the diagonal of a matrix of the size and format of ``x``."""
    n = d.shape[0]
    at = T.arange(n)
    return toward(x, T.set_subtensor(T.zeros(sp_shape(x), dtype=d.dtype)[at, at], d))


def diag(x: Any) -> Any:
    """The diagonal, as a vector."""
    return apply("diag", as_sparse_variable(x))


def square_diagonal(diag: Any) -> Any:
    """A square matrix in columns with the vector ``diag`` as its diagonal."""
    return apply("square_diagonal", diag)


def ensure_sorted_indices(x: Any) -> Any:
    """The matrix with its indices in order."""
    return apply("ensure_sorted_indices", as_sparse_variable(x))


def remove0(x: Any) -> Any:
    """The matrix without stored zeros."""
    return apply("remove0", as_sparse_variable(x))


def clean(x: Any) -> Any:
    """Without stored zeros, and in order."""
    return ensure_sorted_indices(remove0(x))


# -- rows from a list


def _from_rows(x: Any, values: Any, rows: Any) -> Any:
    n, m = x.shape
    row = np.repeat(rows, m)
    column = np.tile(np.arange(m), len(rows))
    return scipy_sparse().coo_matrix((np.asarray(values).reshape(-1), (row, column)), shape=(n, m))


define(
    "from_rows",
    _from_rows,
    lambda x, values, rows: SparseType("csc", common_dtype(values)),
    lambda i, g: [None, dense_from_sparse(g, structured=False)[i[2]]],
    disconnected=[0, 2],
)


def construct_sparse_from_list(x: Any, values: Any, ilist: Any) -> Any:
    """A matrix of the shape of the dense ``x`` whose rows ``ilist`` are those of ``values``; repeated rows add up."""
    return apply("from_rows", x, values, ilist)


def csm_grad(kmap: Any = None) -> Any:
    """The gradient of ``CSM`` as a function of (its inputs, the properties of the gradient): that by ``data``."""

    def gradient(x_data: Any, x_indices: Any, x_indptr: Any, x_shape: Any,
                 g_data: Any, g_indices: Any, g_indptr: Any, g_shape: Any) -> Any:  # fmt: skip
        pattern = CSR(x_data, x_indices, x_indptr, x_shape)
        return data_on_pattern(pattern, CSR(g_data, g_indices, g_indptr, g_shape))

    return gradient
