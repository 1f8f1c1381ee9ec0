"""``theano.scalar``: the rows of the elementwise table by Theano's names, and dtypes.

A scalar op applied to tensors of no dimensions gives the tensor op's result; there is no second kind of variable.
"""

from __future__ import annotations

from typing import Any

import tinygraph.tensor as T
from tinygraph.compat.theano.parts import tensor_functions
from tinygraph.graph import TensorType
from tinygraph.graph.tensortype import DTYPES
from tinygraph.tensor.casting import upcast as _upcast
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.variable import TensorConstant, TensorVariable

ScalarVariable = TensorVariable
ScalarConstant = TensorConstant


class Scalar(TensorType):
    """The type of numbers of one dtype: tensors of no dimensions."""

    def __init__(self, dtype: Any, shape: Any = (), name: str | None = None, broadcastable: Any = None):
        super().__init__(dtype, (), name)


def get_scalar_type(dtype: Any) -> TensorType:
    """The type of numbers of ``dtype``."""
    return TensorType(dtype, ())


def upcast(dtype: Any, *dtypes: Any) -> str:
    """The smallest dtype that holds values of all given ones."""
    return _upcast(*(str(d) for d in (dtype, *dtypes)))


def upcast_out(*types: Any) -> tuple[TensorType, ...]:
    """The type of an op's result whose operands have ``types``."""
    return (get_scalar_type(upcast(*(t.dtype for t in types))),)


def as_scalar(x: Any, name: str | None = None) -> Any:
    """``x`` as a variable of no dimensions."""
    v = T.as_tensor_variable(x, name=name)
    if v.type.ndim != 0:
        raise TypeError(f"expected a scalar, got {v} of type {v.type}")
    return v


def constant(x: Any, name: str | None = None, dtype: Any = None) -> Any:
    """A constant number."""
    return T.constant(x, name=name, dtype=dtype)


def Composite(inputs: Any, outputs: Any) -> Any:  # noqa: N802 - Theano's name
    """An op that computes ``outputs`` from scalar ``inputs``; the compiler puts its graph in its place and fuses it."""
    from tinygraph.compile.builders import OpFromGraph

    return OpFromGraph(inputs, outputs, name="Composite")


#: Theano's names of scalar ops that differ from the tensor language's
_NAMES = {"second": "fill", "inv": "reciprocal", "scalar_abs": "abs", "scalar_maximum": "maximum",
          "scalar_minimum": "minimum", "true_div": "true_div", "int_div": "int_div"}  # fmt: skip


def _constructors() -> dict[str, Any]:
    made: dict[str, Any] = {dtype: TensorType(dtype, ()) for dtype in DTYPES}
    prefixes = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
    for prefix, dtype in prefixes.items():
        made[f"{prefix}scalar"] = getattr(T, f"{prefix}scalar")
        made[f"{dtype}s"] = getattr(T, f"{prefix}scalars")
    return made


globals().update(_constructors())


def _several(dtype: str) -> Any:
    def made(names: Any = 1) -> Any:
        wanted = [None] * names if isinstance(names, int) else list(names)
        found = [TensorType(dtype, ())(name) for name in wanted]
        return found[0] if len(found) == 1 else found

    made.__doc__ = f"Several scalars of {dtype}, one for each letter or name."
    return made


def _converter(dtype: str) -> Any:
    def convert(x: Any) -> Any:
        return T.cast(x, dtype)

    convert.__doc__ = f"``x`` as {dtype}."
    return convert


def convert(x: Any, dtype: Any = None) -> Any:
    """The value ``x`` as an array of ``dtype``, by default the narrowest that holds it."""
    return T.constant(x, dtype=dtype).data


ints, floats = _several("int64"), _several("float64")
globals().update({f"convert_to_{dtype}": _converter(dtype) for dtype in DTYPES})
integer_types = tuple(d for d in DTYPES if "int" in d)
float_types = tuple(d for d in DTYPES if d.startswith("float"))
continuous_types = float_types
discrete_types = ("bool", *integer_types)
all_types = DTYPES
complex_types: tuple[str, ...] = ()
int_types, uint_types = (tuple(d for d in DTYPES if d.startswith(kind)) for kind in ("int", "uint"))


def __getattr__(name: str) -> Any:
    found = getattr(T, _NAMES.get(name, name), None) or getattr(tensor_functions, name, None)
    if isinstance(found, Elemwise):
        return found.scalar_op
    if found is not None and callable(found):
        return found
    raise AttributeError(name)

