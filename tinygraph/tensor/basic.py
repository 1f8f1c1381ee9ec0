"""Making variables: constructors by Theano's names, constants, and the conversion of Python values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import TypeMismatch
from tinygraph.graph.convert import register_converter
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable
from tinygraph.tensor.casting import is_python_number, number_dtype
from tinygraph.tensor.variable import TensorConstant


def constant(
    x: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None, like: str | None = None
) -> Any:
    """A constant tensor holding ``x`` (copied). Python numbers take the dtype that ``tensor.casting`` describes."""
    if isinstance(x, TensorConstant) and dtype is None:
        return x
    if isinstance(x, Variable):
        raise TypeMismatch(f"a constant needs a value, got the symbolic variable {x}")
    if dtype is None and is_python_number(x):
        dtype = number_dtype(x, like)
    try:
        data = np.array(x, dtype=None if dtype is None else TensorType(dtype).dtype)
    except (TypeError, ValueError) as error:
        raise TypeMismatch(f"cannot make a tensor of {type(x).__name__} {x!r}: {error}") from None
    if data.dtype.kind not in "biuf":
        raise TypeMismatch(f"cannot make a tensor of {type(x).__name__} {x!r} (dtype {data.dtype})")
    if dtype is None and isinstance(x, (list, tuple)):
        data = _python_list(x, data)
    if ndim is not None:
        if data.ndim > ndim:
            raise ValueError(f"a value of {data.ndim} dimensions does not fit ndim={ndim}")
        data = data.reshape((1,) * (ndim - data.ndim) + data.shape)
    data.setflags(write=False)
    return TensorConstant(TensorType(data.dtype.name, data.shape), data, name)


def _python_list(x: Any, data: np.ndarray) -> np.ndarray:
    """A list of Python floats takes floatX; a list holding arrays keeps the arrays' dtype."""
    if data.dtype == np.float64 and config.floatX != "float64" and not _holds_arrays(x):
        return data.astype(config.floatX)
    return data


def _holds_arrays(x: Any) -> bool:
    return any(
        isinstance(v, (np.ndarray, np.generic)) or (isinstance(v, (list, tuple)) and _holds_arrays(v)) for v in x
    )


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None, like: str | None = None) -> Any:
    """``x`` as a tensor: a variable as it is, an Apply node's output, or a constant made of numbers, arrays or lists.

    Lists may contain variables, which are stacked. ``ndim`` pads with leading dimensions of size 1.
    """
    if hasattr(x, "_as_TensorVariable"):
        x = x._as_TensorVariable()
    if isinstance(x, Apply):
        x = x.default_output()
    if isinstance(x, Variable):
        if not isinstance(x.type, TensorType):
            raise TypeMismatch(f"expected a tensor, got {x} of type {x.type}")
        if ndim is not None and x.type.ndim != ndim:
            from tinygraph.tensor.shape import shape_padleft

            if x.type.ndim > ndim:
                raise ValueError(f"{x} has {x.type.ndim} dimensions, more than ndim={ndim}")
            return shape_padleft(x, ndim - x.type.ndim)
        return x
    if isinstance(x, (list, tuple)) and _holds_variables(x):
        from tinygraph.tensor.join import stack_or_vector

        return stack_or_vector(x)
    return constant(x, name=name, ndim=ndim, like=like)


as_tensor = as_tensor_variable


def _holds_variables(x: Sequence[Any]) -> bool:
    return any(isinstance(v, (Variable, Apply)) or (isinstance(v, (list, tuple)) and _holds_variables(v)) for v in x)


register_converter(as_tensor_variable)


def tensor(
    dtype: Any = None, shape: Any = None, name: str | None = None, broadcastable: Any = None, ndim: Any = None
) -> Any:
    """A tensor variable of ``dtype`` (default floatX) and ``shape``, ``None`` for sizes not known."""
    if isinstance(dtype, (tuple, list)) and isinstance(shape, str):
        dtype, shape = shape, dtype
    if shape is None and broadcastable is None and ndim is not None:
        shape = (None,) * ndim
    return TensorType(dtype or config.floatX, shape if shape is not None else broadcastable or ())(name)


_PREFIXES = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "scalar": (),
    "vector": (None,),
    "row": (1, None),
    "col": (None, 1),
    "matrix": (None, None),
    "tensor3": (None,) * 3,
    "tensor4": (None,) * 4,
    "tensor5": (None,) * 5,
    "tensor6": (None,) * 6,
    "tensor7": (None,) * 7,
}


def _constructor(kind: str, fixed: str | None) -> Callable[..., Any]:
    shape = _SHAPES[kind]

    def make(name: str | None = None, dtype: Any = None) -> Any:
        if fixed is not None and dtype is not None:
            raise TypeMismatch(f"the dtype of this constructor is {fixed}; use {kind}(name, dtype=...)")
        return TensorType(fixed or dtype or config.floatX, shape)(name)

    make.__doc__ = f"A {kind} variable of {fixed or 'floatX, or of `dtype`'}, optionally named."
    return make


def _plural(make: Callable[..., Any]) -> Callable[..., list[Any]]:
    def make_many(*args: Any, dtype: Any = None) -> Any:
        """Several variables: ``matrices(3)``, ``matrices('a', 'b')``, ``matrices(['a', 'b'])``, ``matrices('ab')``."""
        if len(args) == 1 and isinstance(args[0], int):
            names: Sequence[Any] = [None] * args[0]
        elif len(args) == 1 and isinstance(args[0], (list, tuple, str)):
            names = args[0]
        else:
            names = args
        made = [make(n) if dtype is None else make(n, dtype=dtype) for n in names]
        return made[0] if len(made) == 1 and len(args) == 1 and not isinstance(args[0], (int, list, tuple)) else made

    return make_many


CONSTRUCTORS: dict[str, Callable[..., Any]] = {}
for _kind in _SHAPES:
    _plural_name = {"matrix": "matrices"}.get(_kind, _kind + "s")
    for _prefix, _dtype in {"": None, **_PREFIXES}.items():
        _make = _constructor(_kind, _dtype)
        _make.__name__ = _prefix + _kind
        CONSTRUCTORS[_prefix + _kind] = _make
        CONSTRUCTORS[_prefix + _plural_name] = _plural(_make)
globals().update(CONSTRUCTORS)

tensor_types = {
    _prefix + _kind: TensorType(_dtype, _shape)
    for _kind, _shape in _SHAPES.items()
    for _prefix, _dtype in _PREFIXES.items()
}
