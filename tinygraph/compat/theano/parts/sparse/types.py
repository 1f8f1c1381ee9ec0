"""Types and variables of ``theano.sparse``: matrices in SciPy's compressed formats."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.errors import TinygraphError, TypeMismatch
from tinygraph.graph import SharedVariable, Type
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable

_FORMATS = ("csr", "csc")


def scipy_sparse() -> Any:
    try:
        import scipy.sparse as found
    except ImportError:
        raise TinygraphError('theano.sparse needs SciPy: pip install "tinygraph[sparse]"') from None
    return found


class SparseType(Type):
    """Matrices of ``dtype`` in ``format`` ("csr" or "csc")."""

    ndim = 2
    differentiable = True

    def __init__(self, format: str, dtype: Any):
        if format not in _FORMATS:
            raise TypeMismatch(f"SparseType: format must be 'csr' or 'csc', got {format!r}")
        self.format = format
        self.dtype = np.dtype(dtype).name
        self.broadcastable = (False, False)

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        if not scipy_sparse().issparse(value):
            raise TypeMismatch(f"expected a {self.format} matrix of {self.dtype}, got {type(value).__name__}")
        if value.format == self.format and value.dtype == self.dtype:
            return value
        if strict or not (allow_downcast or np.can_cast(value.dtype, self.dtype, "safe")):
            raise TypeMismatch(
                f"expected a {self.format} matrix of {self.dtype}, got {value.format} of {value.dtype}"
            )
        return value.asformat(self.format).astype(self.dtype)

    def make_variable(self, name: str | None = None) -> SparseVariable:
        return SparseVariable(self, name=name)

    def make_constant(self, value: Any, name: str | None = None) -> SparseConstant:
        return SparseConstant(self, value, name)

    def values_eq(self, a: Any, b: Any) -> bool:
        return a.shape == b.shape and abs(a - b).nnz == 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseType) and (self.format, self.dtype) == (other.format, other.dtype)

    def __hash__(self) -> int:
        return hash((SparseType, self.format, self.dtype))

    def __repr__(self) -> str:
        return f"Sparse[{self.dtype}, {self.format}]"


def _operation(name: str) -> Any:
    """The function of that name of ``theano.sparse``, which stands above this module."""
    from tinygraph.compat.theano.parts import sparse

    return getattr(sparse, name)


def _method(name: str, doc: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _operation(name)(self, *args, **kwargs)

    method.__doc__ = doc
    return method


class SparseOperators:
    """Operators and methods of sparse variables."""

    type: Any
    ndim = 2
    dtype = property(lambda self: self.type.dtype)
    format = property(lambda self: self.type.format)
    broadcastable = property(lambda self: (False, False))
    T = property(lambda self: self.transpose())
    shape = property(lambda self: _operation("sp_shape")(self))
    size = property(lambda self: _operation("csm_data")(self).size)
    __array_ufunc__ = None  # arrays leave their operators to the reflected ones here
    __array_priority__ = 1000  # and so do SciPy's matrices

    __neg__ = _method("neg", "All entries negated.")
    __add__ = __radd__ = _method("add", "The sum; sparse if both are.")
    __sub__ = _method("sub", "The difference; sparse if both are.")
    __mul__ = __rmul__ = _method("mul", "The elementwise product.")
    __lt__ = _method("lt", "Elementwise comparison.")
    __le__ = _method("le", "Elementwise comparison.")
    __gt__ = _method("gt", "Elementwise comparison.")
    __ge__ = _method("ge", "Elementwise comparison.")
    __getitem__ = _method("get_item", "Entries and parts by SciPy's rules for two keys.")
    __dot__ = dot = _method("structured_dot", "The product; its gradient keeps this matrix's pattern.")
    __matmul__ = dot
    transpose = _method("transpose", "The transpose.")
    toarray = todense = _method("dense_from_sparse", "As a dense matrix.")
    sum = _method("sp_sum", "The sum of all entries, or by axis.")
    astype = _method("cast", "Entries as another dtype.")
    conj = _method("conj", "The matrix itself: there are no complex numbers.")
    zeros_like = _method("sp_zeros_like", "A matrix of this shape without entries.")
    ones_like = _method("sp_ones_like", "This pattern, all entries one.")
    copy = _method("conj", "The matrix itself: values never change in place.")

    def __rsub__(self, other: Any) -> Any:
        return _operation("sub")(other, self)

    def __rdot__(self, other: Any) -> Any:
        return _operation("structured_dot")(other, self)

    __rmatmul__ = __rdot__


class SparseVariable(SparseOperators, Variable):
    """A symbolic sparse matrix."""


class SparseSharedVariable(SparseOperators, SharedVariable):
    """A sparse matrix that is kept between calls."""


class SparseConstant(SparseOperators, Constant):
    """A sparse matrix known while the graph is built."""


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a sparse variable or matrix."""
    if isinstance(x, Variable):
        return isinstance(x.type, SparseType)
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


_is_sparse_variable = is_sparse


def as_sparse_variable(x: Any, name: str | None = None) -> Any:
    """A sparse matrix of SciPy's as a constant; a sparse variable as it is."""
    if isinstance(x, Variable):
        if not is_sparse(x):
            raise TypeMismatch(f"as_sparse_variable: expected a sparse matrix, got {x} of type {x.type}")
        return x
    if not is_sparse(x):
        raise TypeMismatch(f"as_sparse_variable: expected a sparse matrix, got {type(x).__name__}")
    x = x if x.format in _FORMATS else x.tocsr()
    return SparseType(x.format, x.dtype).make_constant(x, name)


as_sparse = constant = as_sparse_variable


def as_sparse_or_tensor_variable(x: Any, name: str | None = None) -> Any:
    """A variable of either kind."""
    return as_sparse_variable(x, name) if is_sparse(x) else as_tensor_variable(x)


def shared(value: Any, name: str | None = None, borrow: bool = False, **kwargs: Any) -> SparseSharedVariable:
    """A shared variable that holds a sparse matrix."""
    kind = SparseType(value.format, value.dtype)
    return SparseSharedVariable(kind, value if borrow else value.copy(), name)


def matrix(format: str, name: str | None = None, dtype: Any = None) -> Any:
    """An input: a sparse matrix of ``format``, of floatX unless said otherwise."""
    from tinygraph.config import config

    return SparseType(format, dtype or config.floatX)(name)


def csr_matrix(name: str | None = None, dtype: Any = None) -> Any:
    """An input in rows."""
    return matrix("csr", name, dtype)


def csc_matrix(name: str | None = None, dtype: Any = None) -> Any:
    """An input in columns."""
    return matrix("csc", name, dtype)


csr_dmatrix, csc_dmatrix = SparseType("csr", "float64"), SparseType("csc", "float64")
csr_fmatrix, csc_fmatrix = SparseType("csr", "float32"), SparseType("csc", "float32")
