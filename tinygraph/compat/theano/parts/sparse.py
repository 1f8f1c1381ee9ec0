"""``theano.sparse``: matrices in SciPy's compressed formats. Their ops run in Python, on every target as a host call.

Gradients by a sparse matrix have its pattern for ``structured_dot`` and are sparse matrices of all entries that matter
for the others, as in Theano.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tinygraph.errors import TinygraphError, TypeMismatch
from tinygraph.graph import Apply, Op, SharedVariable, TensorType, Type
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable

enable_sparse = True
_FORMATS = ("csr", "csc")


def _scipy() -> Any:
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
        if not _scipy().issparse(value):
            raise TypeMismatch(f"expected a {self.format} matrix of {self.dtype}, got {type(value).__name__}")
        if value.format == self.format and value.dtype == self.dtype:
            return value
        if strict or not (allow_downcast or np.can_cast(value.dtype, self.dtype, "safe")):
            raise TypeMismatch(f"expected a {self.format} matrix of {self.dtype}, got {value.format} of {value.dtype}")
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


class _SparseOperators:
    """Operators of sparse variables."""

    type: Any
    dtype = property(lambda self: self.type.dtype)
    format = property(lambda self: self.type.format)
    ndim = 2
    T = property(lambda self: transpose(self))
    shape = property(lambda self: sp_shape(self))

    def __neg__(self) -> Any:
        return neg(self)

    def __add__(self, other: Any) -> Any:
        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return mul(self, other)

    __rmul__ = __mul__

    def dot(self, other: Any) -> Any:
        return dot(self, other)

    def transpose(self) -> Any:
        return transpose(self)

    def toarray(self) -> Any:
        return dense_from_sparse(self)

    def sum(self, axis: Any = None) -> Any:
        return sp_sum(self, axis)

    def astype(self, dtype: Any) -> Any:
        return _unary("cast", self, dtype=np.dtype(dtype).name)


class SparseVariable(_SparseOperators, Variable):
    """A symbolic sparse matrix."""


class SparseSharedVariable(_SparseOperators, SharedVariable):
    """A sparse matrix that is kept between calls."""


class SparseConstant(_SparseOperators, Constant):
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


class SparseOp(Op):
    """``kind`` applied to sparse and dense matrices; ``_RUN``, ``_TYPE`` and ``_GRAD`` say what it does."""

    __props__: ClassVar[tuple[str, ...]] = ("kind", "extra")
    data_dependent_shape = True

    def __init__(self, kind: str, extra: tuple = ()):
        self.kind, self.extra = kind, extra

    def make_node(self, *inputs: Any) -> Apply:
        given = [as_sparse_or_tensor_variable(x) for x in inputs]
        return Apply(self, given, [_TYPE[self.kind](*(v.type for v in given), **dict(self.extra))()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        found = _RUN[self.kind](*inputs, **dict(self.extra))
        kind = node.outputs[0].type
        if isinstance(kind, SparseType):
            found = found.asformat(kind.format).astype(kind.dtype)
        else:
            found = np.asarray(found, dtype=kind.dtype)
        output_storage[0][0] = found

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:  # noqa: N802 - Theano's name
        if self.kind not in _GRAD:
            raise NotImplementedError(f"the sparse operation {self.kind!r} has no gradient")
        return _GRAD[self.kind](inputs, output_grads[0], **dict(self.extra))

    def __str__(self) -> str:
        return f"Sparse{{{self.kind}}}"


def _up(*types: Any) -> str:
    return np.result_type(*(t.dtype for t in types)).name


def _first_sparse(*types: Any) -> Any:
    sparse = next(t for t in types if isinstance(t, SparseType))
    return SparseType(sparse.format, _up(*types))


def _dense(*types: Any) -> Any:
    return TensorType(_up(*types), (None, None))


def _dot_type(a: Any, b: Any) -> Any:
    both = isinstance(a, SparseType) and isinstance(b, SparseType)
    if both:
        return SparseType(a.format, _up(a, b))
    return TensorType(_up(a, b), (None,) * (a.ndim + b.ndim - 2))


def _add_type(a: Any, b: Any) -> Any:
    both = isinstance(a, SparseType) and isinstance(b, SparseType)
    return _first_sparse(a, b) if both else _dense(a, b)


def _on_pattern(pattern: Any, dense: Any) -> Any:
    """``dense`` where ``pattern`` has entries."""
    coo = pattern.tocoo()
    values = np.asarray(dense)[coo.row, coo.col]
    return _scipy().coo_matrix((values, (coo.row, coo.col)), shape=pattern.shape)


def _add(a: Any, b: Any) -> Any:
    return np.asarray(a + b) if not (is_sparse(a) and is_sparse(b)) else a + b


def _multiply(a: Any, b: Any) -> Any:
    s, other = (a, b) if is_sparse(a) else (b, a)
    return s.multiply(other) if is_sparse(other) or np.ndim(other) else s * other


def _total(a: Any, axis: Any = None) -> Any:
    return np.asarray(a.sum(axis=axis)).reshape(-1) if axis is not None else a.sum()


_RUN: dict[str, Any] = {
    "dense": lambda a: a.toarray(),
    "csr": lambda a: _scipy().csr_matrix(a),
    "csc": lambda a: _scipy().csc_matrix(a),
    "on_pattern": _on_pattern,
    "dot": lambda a, b: a @ b,
    "structured_dot": lambda a, b: a @ b,
    "add": _add,
    "sub": lambda a, b: _add(a, -b),
    "mul": _multiply,
    "neg": lambda a: -a,
    "transpose": lambda a: a.T,
    "sum": _total,
    "shape": lambda a: np.array(a.shape, "int64"),
    "cast": lambda a, dtype: a.astype(dtype),
    "hstack": lambda *a, format, dtype: _scipy().hstack(a, format=format, dtype=dtype),
    "vstack": lambda *a, format, dtype: _scipy().vstack(a, format=format, dtype=dtype),
}
_TYPE: dict[str, Any] = {
    "dense": _dense,
    "csr": lambda a: SparseType("csr", a.dtype),
    "csc": lambda a: SparseType("csc", a.dtype),
    "on_pattern": lambda p, d: SparseType(p.format, d.dtype),
    "dot": _dot_type,
    "structured_dot": _dot_type,
    "add": _add_type,
    "sub": _add_type,
    "mul": _first_sparse,
    "neg": lambda a: a,
    "transpose": lambda a: SparseType({"csr": "csc", "csc": "csr"}[a.format], a.dtype),
    "sum": lambda a, axis=None: TensorType(a.dtype, () if axis is None else (None,)),
    "shape": lambda a: TensorType("int64", (2,)),
    "cast": lambda a, dtype: SparseType(a.format, dtype),
    "hstack": lambda *a, format, dtype: SparseType(format, dtype),
    "vstack": lambda *a, format, dtype: SparseType(format, dtype),
}


def _toward(v: Any, g: Any) -> Any:
    """The gradient ``g`` in the form of the input ``v``."""
    if is_sparse(v) and not is_sparse(g):
        return SparseOp(v.type.format)(g)
    if not is_sparse(v) and is_sparse(g):
        return dense_from_sparse(g)
    return g


def _grad_dot(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    return [_toward(a, dot(g, _t(b))), _toward(b, dot(_t(a), g))]


def _grad_structured_dot(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    whole = dense_from_sparse(dot(g, _t(b))) if is_sparse(b) else as_tensor_variable(g).dot(b.T)
    return [SparseOp("on_pattern")(a, whole), _toward(b, dot(_t(a), g))]


def _t(v: Any) -> Any:
    return transpose(v) if is_sparse(v) else v.T


def _grad_mul(inputs: Any, g: Any) -> list[Any]:
    a, b = inputs
    found = []
    for v, other in ((a, b), (b, a)):
        product = mul(g, other)
        if is_sparse(v):
            found.append(product)
        else:
            dense = dense_from_sparse(product)
            found.append(dense.sum() if v.type.ndim == 0 else dense)
    return found


def _grad_stack(axis: int) -> Any:
    def grad(inputs: Any, g: Any, format: str, dtype: str) -> list[Any]:
        whole, at, found = dense_from_sparse(g), 0, []
        for v in inputs:
            n = sp_shape(v)[axis]
            part = whole[at : at + n] if axis == 0 else whole[:, at : at + n]
            found.append(SparseOp("on_pattern")(v, part))
            at = at + n
        return found

    return grad


def _grad_sum(inputs: Any, g: Any, axis: Any = None) -> list[Any]:
    import tinygraph.tensor as T

    (a,) = inputs
    rows = g.dimshuffle("x", 0) if axis == 0 else g.dimshuffle(0, "x") if axis is not None else g
    spread = T.ones(sp_shape(a), dtype=g.dtype) * rows
    return [SparseOp("on_pattern")(a, spread)]


_GRAD: dict[str, Any] = {
    "dense": lambda i, g: [SparseOp("on_pattern")(i[0], g)],
    "csr": lambda i, g: [dense_from_sparse(g)],
    "csc": lambda i, g: [dense_from_sparse(g)],
    "dot": _grad_dot,
    "structured_dot": _grad_structured_dot,
    "add": lambda i, g: [_toward(i[0], g), _toward(i[1], g)],
    "sub": lambda i, g: [_toward(i[0], g), _toward(i[1], neg(g) if is_sparse(g) else -g)],
    "mul": _grad_mul,
    "neg": lambda i, g: [neg(g)],
    "transpose": lambda i, g: [transpose(g)],
    "sum": _grad_sum,
    "hstack": _grad_stack(1),
    "vstack": _grad_stack(0),
}


def _unary(kind: str, x: Any, **extra: Any) -> Any:
    return SparseOp(kind, tuple(extra.items()))(as_sparse_variable(x))


def dense_from_sparse(x: Any) -> Any:
    """A sparse matrix as a dense one."""
    return _unary("dense", x)


def csr_from_dense(x: Any) -> Any:
    """A dense matrix in rows."""
    return SparseOp("csr")(x)


def csc_from_dense(x: Any) -> Any:
    """A dense matrix in columns."""
    return SparseOp("csc")(x)


def dot(x: Any, y: Any) -> Any:
    """The product, dense unless both are sparse."""
    return SparseOp("dot")(x, y) if is_sparse(x) or is_sparse(y) else as_tensor_variable(x).dot(y)


def structured_dot(x: Any, y: Any) -> Any:
    """The product of a sparse matrix and another; the gradient by the first keeps its pattern."""
    if not is_sparse(x):
        if not is_sparse(y):
            raise TypeMismatch("structured_dot: expected a sparse matrix first")
        return structured_dot(transpose(y), as_tensor_variable(x).T).T
    return SparseOp("structured_dot")(x, y)


def _either(name: str, x: Any, y: Any) -> Any:
    if not (is_sparse(x) or is_sparse(y)):
        raise TypeMismatch(f"sparse.{name}: expected a sparse matrix, got {x} and {y}")
    return SparseOp(name)(x, y)


def add(x: Any, y: Any) -> Any:
    """The sum; sparse if both are."""
    return _either("add", x, y)


def sub(x: Any, y: Any) -> Any:
    """The difference; sparse if both are."""
    return _either("sub", x, y)


def mul(x: Any, y: Any) -> Any:
    """The elementwise product, sparse; a number, a dense or another sparse matrix may be the other factor."""
    return _either("mul", x, y)


def neg(x: Any) -> Any:
    """The negative."""
    return _unary("neg", x)


def transpose(x: Any) -> Any:
    """The transpose: rows become columns, without a copy."""
    return _unary("transpose", x)


def sp_sum(x: Any, axis: Any = None, sparse_grad: bool = False) -> Any:
    """The sum of all entries, or by ``axis``."""
    return _unary("sum", x) if axis is None else _unary("sum", x, axis=int(axis))


def sp_shape(x: Any) -> Any:
    """The two sizes."""
    return _unary("shape", x)


def _stack(kind: str, blocks: Sequence[Any], format: str | None, dtype: Any) -> Any:
    made = [as_sparse_variable(b) for b in blocks]
    dtype = np.dtype(dtype).name if dtype is not None else _up(*(b.type for b in made))
    return SparseOp(kind, (("format", format or "csc"), ("dtype", dtype)))(*made)


def hstack(blocks: Sequence[Any], format: str | None = None, dtype: Any = None) -> Any:
    """Matrices side by side, in ``format`` (by default "csc")."""
    return _stack("hstack", blocks, format, dtype)


def vstack(blocks: Sequence[Any], format: str | None = None, dtype: Any = None) -> Any:
    """Matrices one below the other, in ``format`` (by default "csc")."""
    return _stack("vstack", blocks, format, dtype)
