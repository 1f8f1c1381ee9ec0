"""Names of ``theano.tensor`` that are not in the symbolic language itself."""

from __future__ import annotations

from typing import Any

from tinygraph import gradient
from tinygraph.compat.theano.parts.either import dot, shared
from tinygraph.compat.theano.parts.gradient import Rop
from tinygraph.compat.theano.parts.scalar_ops import Elemwise
from tinygraph.errors import ShapeMismatch, TypeMismatch
from tinygraph.gradient import consider_constant, numeric_grad, verify_grad
from tinygraph.graph import Apply, Op, TensorType, Type
from tinygraph.graph.tensortype import DTYPES, FLOAT_DTYPES
from tinygraph.graph.traversal import ancestors
from tinygraph.tensor.checks import Assert, assert_op
from tinygraph.tensor.diagonal import ExtractDiag
from tinygraph.tensor.variable import TensorConstant, TensorOperators, TensorSharedVariable, TensorVariable

_tensor_py_operators = TensorOperators

_shared = shared
ShapeError = ShapeMismatch
AsTensorError = TypeMismatch
EmptyConstantError = ValueError
TensorConstantSignature = tuple

all_dtypes = DTYPES
float_dtypes = FLOAT_DTYPES
continuous_dtypes = FLOAT_DTYPES
complex_dtypes: tuple[str, ...] = ()
int_dtypes = tuple(d for d in DTYPES if d.startswith("int"))
uint_dtypes = tuple(d for d in DTYPES if d.startswith("uint"))
integer_dtypes = int_dtypes + uint_dtypes
discrete_dtypes = ("bool", *integer_dtypes)




def _types() -> dict[str, TensorType]:
    """In Theano ``dmatrix`` is the type itself, which makes variables when called."""
    prefixes = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
    shapes: dict[str, tuple] = {"row": (1, None), "col": (None, 1)}
    names = ("scalar", "vector", "matrix", "tensor3", "tensor4", "tensor5")
    shapes |= {name: (None,) * rank for rank, name in enumerate(names)}
    return {p + s: TensorType(dtype, shape) for p, dtype in prefixes.items() for s, shape in shapes.items()}


globals().update(_types())

#: modules by names that mean something else in tinygraph's own namespace, or stand elsewhere
_MODULES = {"printing": "printing", "elemwise": "tensor.elemwise"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from tinygraph.compat.theano.modules import MODULES

        return MODULES[_MODULES[name]]
    raise AttributeError(name)


def values_eq_approx_remove_nan(a: Any, b: Any) -> bool:
    """Whether arrays are close, places where either is nan left out."""
    import numpy as np

    keep = ~(np.isnan(a) | np.isnan(b))
    return a.shape == b.shape and bool(np.allclose(a[keep], b[keep]))


def may_share_memory(a: Any, b: Any, raise_other_type: bool = True) -> bool:
    """Whether two arrays may overlap."""
    import numpy as np

    return np.may_share_memory(a, b)


def check_equal_numpy(x: Any, y: Any) -> bool:
    """Whether two values have the same dtype, shape and content."""
    import numpy as np

    x, y = np.asarray(x), np.asarray(y)
    return x.dtype == y.dtype and x.shape == y.shape and bool(np.all(abs(x - y) < 1e-10))


def numpy_scalar(data: Any) -> Any:
    """The one number that ``data`` holds."""
    import numpy as np

    data = np.asarray(data)
    if data.size != 1:
        raise EmptyConstantError(f"expected one number, got an array of shape {data.shape}")
    return data.reshape(())[()]


__all__ = [
    "Apply", "AsTensorError", "Assert", "Elemwise", "EmptyConstantError", "ExtractDiag", "Op", "Rop", "ShapeError",
    "TensorConstant",
    "TensorSharedVariable", "TensorType", "TensorVariable", "Type", "all_dtypes", "ancestors", "assert_op",
    "check_equal_numpy", "complex_dtypes", "consider_constant", "dot",
     "continuous_dtypes", "discrete_dtypes", "float_dtypes",
    "gradient", "int_dtypes", "integer_dtypes", "may_share_memory", "numeric_grad", "numpy_scalar",
    "uint_dtypes", "values_eq_approx_remove_nan", "verify_grad", *_types(),
]  # fmt: skip
