"""Op classes by Theano's names, for ``isinstance`` and by hand."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class, absent_function
from tinygraph.compat.theano.parts.scalar_ops import Elemwise
from tinygraph.tensor.advanced_index import AdvancedIncSubtensor, AdvancedSubtensor
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.checks import Assert
from tinygraph.tensor.creation import ARange
from tinygraph.tensor.cumulative import Cumulative as CumOp
from tinygraph.tensor.dot import BatchedDot, Dot
from tinygraph.tensor.index import IncSubtensor, Subtensor
from tinygraph.tensor.join import Join, MakeVector
from tinygraph.tensor.reduce import ArgReduce, Reduce
from tinygraph.tensor.shape import DimShuffle as NativeDimShuffle
from tinygraph.tensor.shape import Reshape, Shape, SpecifyShape
from tinygraph.tensor.sort import ArgSort as ArgSortOp
from tinygraph.tensor.sort import ArgTopK as TopKOp
from tinygraph.tensor.sort import SearchSorted as SearchsortedOp
from tinygraph.tensor.sort import Sort as SortOp
from tinygraph.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1

CAReduce = CAReduceDtype = Reduce
Dot22 = Dot
Argmax = MaxAndArgmax = ArgReduce

_COMPOSED = "it is composed of other ops here: look for those, or at the values"
_NAMES = ("Eye", "Tri", "Tile", "Split", "Choose", "AllocDiag", "AllocEmpty", "Mean", "Default", "Flatten",
          "PermuteRowElements", "ScalarFromTensor", "TensorFromScalar", "Rebroadcast", "Nonzero", "RepeatOp", "DiffOp",
          "CpuContiguous", "FillDiagonal", "FillDiagonalOffset", "Bartlett", "Unique", "ProdWithoutZeros",
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


Sum, Prod, All, Any_ = _reduction("sum"), _reduction("prod"), _reduction("all"), _reduction("any")

__all__ = [
    "AdvancedIncSubtensor", "AdvancedIncSubtensor1", "AdvancedSubtensor", "AdvancedSubtensor1", "All", "Alloc",
    "Assert",
    "BatchedDot", "CAReduce", "CAReduceDtype", "DimShuffle", "Dot", "Dot22", "Dot22Scalar", "Elemwise", "Gemm", "Gemv",
    "Ger", "IncSubtensor", "Join", "MakeVector", "Prod", "Reshape", "Shape", "SpecifyShape", "Subtensor", "Sum",
    "ARange", "ArgSortOp", "Argmax", "CumOp", "MaxAndArgmax", "SearchsortedOp", "SortOp", "TopKOp",
    "gemm_inplace", "gemm_no_inplace", "gemv_no_inplace", "ldflags", *_NAMES,
]  # fmt: skip
