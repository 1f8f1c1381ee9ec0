"""Tensor variables and constants: Python operators and NumPy's methods on symbolic arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygraph.tensor as T
from tinygraph.errors import TypeMismatch
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable


class TensorOperators:
    """Operators and methods, each defined by the function of the same meaning in ``tinygraph.tensor``."""

    __array_ufunc__ = None  # ndarray + variable asks the variable
    __array_priority__ = 1000
    type: Any

    # -- attributes -----------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return self.type.ndim

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        return self.type.broadcastable

    @property
    def shape(self) -> Any:
        return T.shape(self)

    @property
    def size(self) -> Any:
        return T.size(self)

    @property
    def T(self) -> Any:
        return T.transpose(self)

    @property
    def real(self) -> Any:
        return self

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def __neg__(self) -> Any:
        return T.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return T.abs(self)

    def __invert__(self) -> Any:
        return T.invert(self)

    def __add__(self, other: Any) -> Any:
        return _try(T.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return T.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _try(T.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return T.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return _try(T.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return T.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _try(T.true_div, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return T.true_div(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _try(T.int_div, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return T.int_div(other, self)

    def __mod__(self, other: Any) -> Any:
        return _try(T.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return T.mod(other, self)

    def __divmod__(self, other: Any) -> Any:
        return T.int_div(self, other), T.mod(self, other)

    def __pow__(self, other: Any) -> Any:
        return _try(T.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return T.pow(other, self)

    def __matmul__(self, other: Any) -> Any:
        return _try(T.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return T.matmul(other, self)

    def __and__(self, other: Any) -> Any:
        return _try(T.and_, self, other)

    def __rand__(self, other: Any) -> Any:
        return T.and_(other, self)

    def __or__(self, other: Any) -> Any:
        return _try(T.or_, self, other)

    def __ror__(self, other: Any) -> Any:
        return T.or_(other, self)

    def __xor__(self, other: Any) -> Any:
        return _try(T.xor, self, other)

    def __rxor__(self, other: Any) -> Any:
        return T.xor(other, self)

    def __lshift__(self, other: Any) -> Any:
        return T.left_shift(self, other)

    def __rshift__(self, other: Any) -> Any:
        return T.right_shift(self, other)

    # comparisons give symbolic booleans; == and != keep Python's identity meaning, as in Theano: use T.eq, T.neq
    def __lt__(self, other: Any) -> Any:
        return T.lt(self, other)

    def __le__(self, other: Any) -> Any:
        return T.le(self, other)

    def __gt__(self, other: Any) -> Any:
        return T.gt(self, other)

    def __ge__(self, other: Any) -> Any:
        return T.ge(self, other)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return object.__hash__(self)

    #: whether variables that are no conditions count as true, as in Theano (``if bias:``); its names' installer says so
    _true_unless_condition = False

    def __bool__(self) -> bool:
        if self._true_unless_condition and self.type.dtype != "bool":
            return True
        raise TypeMismatch(
            f"the truth of the symbolic variable {self} is not known while the graph is built; "
            "use T.switch(condition, a, b) or ifelse, and T.eq for equality"
        )

    def __len__(self) -> int:
        if self.ndim and self.type.shape[0] is not None:
            return self.type.shape[0]
        raise TypeMismatch(f"the length of {self} is not known while the graph is built; use {self}.shape[0]")

    def __iter__(self) -> Any:
        if self.ndim == 0:
            raise TypeMismatch(f"cannot iterate over the 0-d variable {self}")
        n = self.type.shape[0]
        if n is None:
            raise TypeMismatch(
                f"cannot iterate over {self}: its length is not known while the graph is built; use scan or {self}[i]"
            )
        return iter([self[i] for i in range(n)])

    def __contains__(self, item: Any) -> bool:
        raise TypeMismatch("'in' has no symbolic meaning; use T.any(T.eq(x, item))")

    def __float__(self) -> float:
        raise TypeMismatch(f"{self} is symbolic and has no value; use eval() or a compiled function")

    __int__ = __float__  # type: ignore[assignment]

    def __index__(self) -> int:
        raise TypeMismatch(f"{self} is symbolic and has no value; use eval() or a compiled function")

    # -- indexing and shape ---------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        return T.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeMismatch(
            f"{self} is an expression and cannot be assigned to; "
            "y = T.set_subtensor(x[i], value) is x with the value in place"
        )

    def take(self, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
        return T.take(self, indices, axis, mode)

    def reshape(self, *sizes: Any, shape: Any = None, ndim: int | None = None) -> Any:
        """``x.reshape((2, 3))`` or ``x.reshape(2, 3)``; a size of -1 takes what is left."""
        if shape is not None:
            return T.reshape(self, shape, ndim=ndim)
        if len(sizes) == 2 and ndim is None and isinstance(sizes[0], (tuple, list, Variable)) and not (
            isinstance(sizes[0], Variable) and sizes[0].type.ndim == 0  # type: ignore[attr-defined]
        ):
            sizes, ndim = (sizes[0],), sizes[1]
        return T.reshape(self, sizes[0] if len(sizes) == 1 else sizes, ndim=ndim)

    def dimshuffle(self, *pattern: Any) -> Any:
        """Permute, drop (of size 1) or insert ('x') dimensions: ``b.dimshuffle('x', 0, 'x', 'x')``."""
        if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)):
            pattern = tuple(pattern[0])
        return T.dimshuffle(self, pattern)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and isinstance(axes[0], (list, tuple)):
            axes = tuple(axes[0])
        return T.transpose(self, axes or None)

    def flatten(self, ndim: int = 1) -> Any:
        return T.flatten(self, ndim)

    def ravel(self) -> Any:
        return T.flatten(self)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return T.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        return T.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        return T.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return T.diagonal(self, offset, axis1, axis2)

    def trace(self) -> Any:
        return T.trace(self)

    def fill(self, value: Any) -> Any:
        return T.fill(self, value)

    def choose(self, choices: Any, mode: str = "raise") -> Any:
        return T.choose(self, choices, mode=mode)

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        return T.compress(condition, self, axis)

    def nonzero(self, return_matrix: bool = False) -> Any:
        return T.nonzero(self, return_matrix)

    def nonzero_values(self) -> Any:
        return T.nonzero_values(self)

    def get_scalar_constant_value(self) -> Any:
        return T.get_scalar_constant_value(self)

    # -- elementwise ----------------------------------------------------------------------------------------------

    def astype(self, dtype: Any) -> Any:
        return T.cast(self, dtype)

    def copy(self, name: str | None = None) -> Any:
        new = T.tensor_copy(self)
        new.name = name
        return new

    def clip(self, a_min: Any, a_max: Any) -> Any:
        return T.clip(self, a_min, a_max)

    def round(self, mode: str | None = None) -> Any:
        return T.round(self, mode)

    def zeros_like(self, dtype: Any = None) -> Any:
        return T.zeros_like(self, dtype)

    def ones_like(self, dtype: Any = None) -> Any:
        return T.ones_like(self, dtype)

    def conj(self) -> Any:
        return self

    # -- reductions and sorting -----------------------------------------------------------------------------------

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        return T.sum(self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype)

    def prod(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        return T.prod(self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype)

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Any:
        return T.mean(self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Any:
        return T.var(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Any:
        return T.std(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.min(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.argmin(self, axis=axis, keepdims=keepdims)

    def ptp(self, axis: Any = None) -> Any:
        return T.ptp(self, axis=axis)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        return T.all(self, axis=axis, keepdims=keepdims)

    def norm(self, L: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return T.norm_p(self, L, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Any:
        return T.cumsum(self, axis)

    def cumprod(self, axis: int | None = None) -> Any:
        return T.cumprod(self, axis)

    def sort(self, axis: int = -1, kind: str = "quicksort", order: Any = None) -> Any:
        return T.sort(self, axis, kind, order)

    def argsort(self, axis: int = -1, kind: str = "quicksort", order: Any = None) -> Any:
        return T.argsort(self, axis, kind, order)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Any:
        return T.searchsorted(self, v, side, sorter)

    def dot(self, other: Any) -> Any:
        return T.dot(self, other)


def _elementwise_method(name: str) -> Any:
    def method(self: Any) -> Any:
        return getattr(T, name)(self)

    method.__name__ = name
    method.__doc__ = f"``tinygraph.tensor.{name}`` of this variable."
    return method


for _name in (
    "exp exp2 expm1 log log2 log10 log1p sqrt sqr sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh"
    " arctanh ceil floor trunc sgn deg2rad rad2deg"
).split():
    setattr(TensorOperators, _name, _elementwise_method(_name))


def _try(function: Any, a: Any, b: Any) -> Any:
    """Let Python try the other operand's reflected method where ``b`` is nothing we can convert."""
    if isinstance(b, Variable) and not isinstance(b, TensorOperators) and hasattr(b, "__rmul__"):
        return NotImplemented  # a variable of another kind, with operators of its own
    try:
        return function(a, b)
    except TypeMismatch:
        if isinstance(b, (Variable, int, float, np.ndarray, np.generic, list, tuple, bool)):
            raise
        return NotImplemented


class TensorVariable(TensorOperators, Variable):
    """A symbolic array."""

    __hash__ = TensorOperators.__hash__


class TensorConstant(TensorOperators, Constant):
    """An array known while the graph is built."""

    __hash__ = TensorOperators.__hash__

    def signature(self) -> Any:
        key = self.__dict__.get("_signature")
        if key is None:
            small = self.data.nbytes <= 4096
            content: Any = self.data.tobytes() if small else id(self.data)
            key = self.__dict__["_signature"] = (self.type.dtype, self.data.shape, content)
        return key

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        data = self.data
        if data.ndim == 0:
            return f"TensorConstant{{{data}}}"
        if data.size and (data == data.reshape(-1)[0]).all():
            return f"TensorConstant{{{data.shape} of {data.reshape(-1)[0]}}}"
        return f"TensorConstant{{{np.array2string(data, threshold=8)}}}"


class TensorSharedVariable(TensorOperators, SharedVariable):
    """A symbolic array with a value of its own."""

    __hash__ = TensorOperators.__hash__


TensorType.variable_class = TensorVariable
TensorType.constant_class = TensorConstant
