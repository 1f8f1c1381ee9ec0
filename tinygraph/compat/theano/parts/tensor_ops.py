"""Op classes by Theano's names, for ``isinstance`` and by hand."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class, absent_function
from tinygraph.compat.theano.parts.scalar_ops import Elemwise
from tinygraph.tensor.advanced_index import AdvancedIncSubtensor, AdvancedSubtensor
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.checks import Assert
from tinygraph.tensor.creation import ARange
from tinygraph.tensor.dot import BatchedDot, Dot
from tinygraph.tensor.index import IncSubtensor, Subtensor
from tinygraph.tensor.join import Join, MakeVector
from tinygraph.tensor.reduce import ArgReduce, Reduce
from tinygraph.tensor.shape import DimShuffle as NativeDimShuffle
from tinygraph.tensor.shape import Reshape, Shape, SpecifyShape
from tinygraph.tensor.sort import ArgSort as ArgSortOp
from tinygraph.tensor.sort import ArgTopK as TopKOp
from tinygraph.tensor.sort import Sort as SortOp
from tinygraph.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1

CAReduce = CAReduceDtype = Reduce
Dot22 = Dot
Argmax = MaxAndArgmax = ArgReduce

_COMPOSED = "it is composed of other ops here: look for those, or at the values"
_NAMES = ("Eye", "Tri", "Tile", "Split", "Choose", "AllocDiag", "AllocEmpty", "Mean", "Default", "Flatten",
          "PermuteRowElements", "ScalarFromTensor", "TensorFromScalar", "Rebroadcast", "Nonzero",
          "CpuContiguous", "FillDiagonal", "FillDiagonalOffset", "Bartlett", "ProdWithoutZeros",
          "UnravelIndex", "RavelMultiIndex", "AdvancedBooleanSubtensor", "AdvancedBooleanIncSubtensor")  # fmt: skip
globals().update({name: absent_class(name, _COMPOSED) for name in _NAMES})

_PRODUCTS = "matrix products and their sums are formed when a function is compiled; write T.dot(a, b) + c"
Gemm = absent_class("Gemm", _PRODUCTS)
Gemv = absent_class("Gemv", _PRODUCTS)
Ger = absent_class("Ger", _PRODUCTS)
Dot22Scalar = absent_class("Dot22Scalar", _PRODUCTS)
gemm_no_inplace = absent_function("gemm_no_inplace", _PRODUCTS)
gemm_inplace = absent_function("gemm_inplace", _PRODUCTS)
gemv_no_inplace = absent_function("gemv_no_inplace", _PRODUCTS)


def ldflags(*args: Any, **kwargs: Any) -> list[str]:
    """Link flags of the BLAS that Theano would use: none, NumPy's is used."""
    return []


class _DimShuffleMeta(type):
    def __instancecheck__(cls, op: Any) -> bool:
        return isinstance(op, NativeDimShuffle)

    def __call__(cls, input_broadcastable: Any, new_order: Any, inplace: bool = True) -> Any:
        return NativeDimShuffle(len(input_broadcastable), tuple(new_order))


class DimShuffle(metaclass=_DimShuffleMeta):
    """Theano's way to make the op: ``DimShuffle(input_broadcastable, new_order)``; ops of that kind are instances."""


def _reduction(name: str) -> Any:
    def made(axis: Any = None, dtype: Any = None, acc_dtype: Any = None) -> Any:
        import tinygraph.tensor as T

        reduce = getattr(T, name)
        extra = {} if name in ("all", "any", "max") else {"dtype": dtype, "acc_dtype": acc_dtype}
        return lambda x: reduce(x, axis=axis, **extra)

    made.__name__ = name.capitalize()
    made.__doc__ = f"``{name.capitalize()}(axis)(x)`` is ``T.{name}(x, axis)``."
    return made


def _by_settings(name: str, function: str, doc: str, **defaults: Any) -> Any:
    """A class of Theano's as a function of its settings, which gives a function of the operands."""

    def made(*args: Any, **kwargs: Any) -> Any:
        import tinygraph.tensor as T

        settings = {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
        apply = getattr(T, function)
        return lambda *operands: apply(*operands, **settings)

    made.__name__ = name
    made.__doc__ = f"``{doc}``."
    return made


Unique = _by_settings("Unique", "unique", "Unique(return_index, return_inverse, return_counts, axis)(x)",
                      return_index=False, return_inverse=False, return_counts=False, axis=None)  # fmt: skip
RepeatOp = _by_settings("RepeatOp", "repeat", "RepeatOp(axis)(x, repeats)", axis=None)
DiffOp = _by_settings("DiffOp", "diff", "DiffOp(n, axis)(x)", n=1, axis=-1)
SearchsortedOp = _by_settings("SearchsortedOp", "searchsorted", "SearchsortedOp(side)(x, v)", side="left")
CumsumOp = _by_settings("CumsumOp", "cumsum", "CumsumOp(axis)(x)", axis=None)
CumprodOp = _by_settings("CumprodOp", "cumprod", "CumprodOp(axis)(x)", axis=None)


def CumOp(axis: Any = None, mode: str = "add") -> Any:  # noqa: N802 - Theano's name
    """``CumOp(axis, mode)(x)``: running sums ("add") or products ("mul")."""
    return CumprodOp(axis) if mode == "mul" else CumsumOp(axis)


Sum, Prod, All, Any_ = _reduction("sum"), _reduction("prod"), _reduction("all"), _reduction("any")

__all__ = [
    "AdvancedIncSubtensor", "AdvancedIncSubtensor1", "AdvancedSubtensor", "AdvancedSubtensor1", "All", "Alloc",
    "Assert",
    "BatchedDot", "CAReduce", "CAReduceDtype", "DimShuffle", "Dot", "Dot22", "Dot22Scalar", "Elemwise", "Gemm", "Gemv",
    "Ger", "IncSubtensor", "Join", "MakeVector", "Prod", "Reshape", "Shape", "SpecifyShape", "Subtensor", "Sum",
    "ARange", "ArgSortOp", "Argmax", "CumOp", "CumprodOp", "CumsumOp", "DiffOp", "RepeatOp", "Unique",
    "MaxAndArgmax", "SearchsortedOp", "SortOp", "TopKOp",
    "gemm_inplace", "gemm_no_inplace", "gemv_no_inplace", "ldflags", *_NAMES,
]  # fmt: skip
