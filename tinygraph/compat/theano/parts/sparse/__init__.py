"""``theano.sparse``: matrices in SciPy's compressed formats. Their ops run in Python, on every target as a host call;
arithmetic on stored entries is compiled."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_function
from tinygraph.compat.theano.parts.sparse import basic, entries, items, types
from tinygraph.compat.theano.parts.sparse.checks import verify_grad_sparse
from tinygraph.compat.theano.parts.sparse.op import SparseOp
from tinygraph.graph.tensortype import DTYPES
from tinygraph.graph.variable import Variable

enable_sparse = True
sparse_formats = ["csc", "csr"]
all_dtypes = tuple(DTYPES)
float_dtypes = continuous_dtypes = tuple(d for d in DTYPES if d.startswith("float"))
int_dtypes = tuple(d for d in DTYPES if d.startswith("int"))
uint_dtypes = tuple(d for d in DTYPES if d.startswith("uint"))
integer_dtypes = discrete_dtypes = int_dtypes + uint_dtypes
SparseTensorType = types.SparseType
bsr_matrix = absent_function("bsr_matrix", "use csr_matrix or csc_matrix")

#: modules whose public names are shown here, in the order in which they are asked
_SOURCES = (basic, items, entries, types)

_CASTS = {
    "bcast": "int8",
    "wcast": "int16",
    "icast": "int32",
    "lcast": "int64",
    "fcast": "float32",
    "dcast": "float64",
}
#: names of Theano's ops for one combination of formats, by the function that decides between them
_SPECIAL = {
    "equal": "eq", "not_equal": "neq", "less_than": "lt", "greater_than": "gt", "less_equal": "le",
    "greater_equal": "ge",
}  # fmt: skip


def _is_sparse_variable(x: Any) -> bool:
    return isinstance(x, Variable) and types.is_sparse(x)


def _is_sparse(x: Any) -> bool:
    return not isinstance(x, Variable) and types.is_sparse(x)


def SparseFromDense(format: str) -> Any:  # noqa: A002, N802 - Theano's names
    """``SparseFromDense(format)(x)``: a dense matrix as a sparse one."""
    return {"csr": basic.csr_from_dense, "csc": basic.csc_from_dense}[format]


def DenseFromSparse(structured: bool = True) -> Any:  # noqa: N802 - Theano's name
    """``DenseFromSparse()(x)``: a sparse matrix as a dense one."""
    return lambda x: basic.dense_from_sparse(x, structured)


def Cast(out_type: str) -> Any:  # noqa: N802 - Theano's name
    """``Cast(dtype)(x)``."""
    return lambda x: basic.cast(x, out_type)


def CSMProperties(kmap: Any = None) -> Any:  # noqa: N802 - Theano's name
    """``CSMProperties()(x)``: data, indices, indptr, shape."""
    return entries.csm_properties


def __getattr__(name: str) -> Any:
    for source in _SOURCES:
        if not name.startswith("_") and hasattr(source, name):
            return getattr(source, name)
    if name in _CASTS:
        return Cast(_CASTS[name])
    found = _SPECIAL.get(name[:-4]) if name.endswith(("_s_s", "_s_d")) else None
    if found is not None:
        return getattr(basic, found)
    raise AttributeError(name)


def _public() -> list[str]:
    own = ("SparseOp", "SparseFromDense", "DenseFromSparse", "Cast", "CSMProperties", "SparseTensorType", "bsr_matrix",
           "verify_grad_sparse", "enable_sparse", "sparse_formats", "all_dtypes", "float_dtypes", "continuous_dtypes",
           "int_dtypes", "uint_dtypes", "integer_dtypes", "discrete_dtypes")  # fmt: skip
    shown = {
        name
        for source in _SOURCES
        for name, value in vars(source).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith(__name__)
    }
    return sorted({*own, *_CASTS, *shown})


__all__ = _public()  # noqa: PLE0605
