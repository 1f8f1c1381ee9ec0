"""Scalar ops of one's own, and the classes of the built-in ones for ``isinstance``.

A program subclasses ``UnaryScalarOp`` or ``BinaryScalarOp``, defines ``impl`` (on numbers) and ``grad``, and applies it
to tensors by ``Elemwise(op)``. Such an op runs in Python, a number at a time: rows of ``tinygraph.tensor.maths``
compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygraph.tensor as T
from tinygraph.graph import Apply, Op, TensorType
from tinygraph.tensor.casting import float_dtype, upcast
from tinygraph.tensor.elemwise import Elemwise as NativeElemwise
from tinygraph.tensor.elemwise import ScalarOp as Row


def upgrade_to_float(*types: Any) -> tuple[TensorType, ...]:
    """An output preference: the floating type that holds the operands."""
    return (TensorType(float_dtype(upcast(*(t.dtype for t in types))), ()),)


def same_out(type: Any, *others: Any) -> tuple[Any, ...]:  # noqa: A002 - Theano's name
    """An output preference: the first operand's type."""
    return (type,)


def int_out(*types: Any) -> tuple[TensorType, ...]:
    """An output preference: int64."""
    return (TensorType("int64", ()),)


def float_out(*types: Any) -> tuple[TensorType, ...]:
    """An output preference: float64."""
    return (TensorType("float64", ()),)


def upcast_out(*types: Any) -> tuple[TensorType, ...]:
    """An output preference: the smallest type that holds all operands."""
    return (TensorType(upcast(*(t.dtype for t in types)), ()),)


def specific_out(*wanted: Any) -> Callable[..., tuple[Any, ...]]:
    """An output preference: these types, whatever the operands are."""
    return lambda *types: wanted


class transfer_type:  # noqa: N801 - Theano's name
    """An output preference: the type of the operand at each given position, or the given type."""

    def __init__(self, *transfer: Any):
        self.transfer = transfer

    def __call__(self, *types: Any) -> tuple[Any, ...]:
        return tuple(types[t] if isinstance(t, int) else t for t in self.transfer)


upgrade_to_float_no_complex = upgrade_to_float64 = upgrade_to_float
same_out_nocomplex = same_out_float_only = same_out_nobool = same_out_min8 = unary_out_lookup = same_out
upcast_out_no_complex = upcast_out_nobool = upcast_out_min8 = upcast_out
float_out_nocomplex, int_out_nocomplex = float_out, int_out


class ScalarOp(Op):
    """A function of numbers: ``impl`` computes it, ``grad(inputs, output_gradients)`` differentiates it."""

    nin = -1
    nout = 1
    output_types_preference: Callable[..., Any] | None = None

    def __init__(self, output_types_preference: Any = None, name: str | None = None):
        self.name = name
        if output_types_preference is not None:
            self.output_types_preference = output_types_preference

    def impl(self, *inputs: Any) -> Any:
        """The result for these numbers."""
        raise NotImplementedError(f"{type(self).__name__} does not define impl")

    def output_types(self, types: Sequence[Any]) -> list[Any]:
        """Types of the results for operands of ``types``."""
        rule = self.output_types_preference or upcast_out
        found = rule(*types)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def make_node(self, *inputs: Any) -> Apply:
        values = [T.as_tensor_variable(x) for x in inputs]
        if self.nin >= 0 and len(values) != self.nin:
            raise TypeError(f"{self}: expected {self.nin} operands, got {len(values)}")
        shape = _known_shape([v.type.broadcastable for v in values])
        types = self.output_types([TensorType(v.type.dtype, ()) for v in values])
        return Apply(self, values, [TensorType(t.dtype, shape).make_variable() for t in types])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[Any]) -> None:
        found = np.frompyfunc(self.impl, len(inputs), len(node.outputs))(*inputs)
        results = found if isinstance(found, tuple) else (found,)
        for cell, value, out in zip(output_storage, results, node.outputs, strict=True):
            cell[0] = np.asarray(value).astype(out.type.dtype)  # type: ignore[attr-defined]

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> Any:
        return [tuple(np.broadcast_shapes(*shapes))] * len(node.outputs)

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:  # noqa: N802 - Theano's name
        """What ``grad`` says, summed over the dimensions along which an operand was broadcast."""
        found = self.grad(inputs, output_grads)
        return [
            T.sum_to(g, x) if isinstance(getattr(g, "type", None), TensorType) else g
            for g, x in zip(found, inputs, strict=True)
        ]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        return self.name or type(self).__name__


def _known_shape(flags: Sequence[Sequence[bool]]) -> tuple[int | None, ...]:
    """The shape of a broadcast: 1 where every operand has it, else unknown."""
    rank = max((len(f) for f in flags), default=0)
    padded = [(True,) * (rank - len(f)) + tuple(f) for f in flags]
    return tuple(1 if all(f[d] for f in padded) else None for d in range(rank))


class UnaryScalarOp(ScalarOp):
    """A function of one number."""

    nin = 1


class BinaryScalarOp(ScalarOp):
    """A function of two numbers."""

    nin = 2


class _ElemwiseMeta(type):
    def __instancecheck__(cls, op: Any) -> bool:
        return isinstance(op, (NativeElemwise, ScalarOp))

    def __call__(cls, scalar_op: Any, inplace_pattern: Any = None, name: str | None = None,
                 nfunc_spec: Any = None, openmp: Any = None) -> Any:  # fmt: skip
        if isinstance(scalar_op, ScalarOp):
            return scalar_op
        return NativeElemwise(scalar_op, inplace_pattern, name, nfunc_spec)


class Elemwise(metaclass=_ElemwiseMeta):
    """``Elemwise(scalar_op)``: it applied to tensors. Scalars being tensors, an op of one's own is that already."""


class _RowMeta(type):
    row: str

    def __instancecheck__(cls, op: Any) -> bool:
        return isinstance(op, Row) and op.name == cls.row


#: Theano's classes of scalar ops by the names of their rows
_CLASSES = {
    "Add": "add", "Mul": "mul", "Sub": "sub", "TrueDiv": "div", "IntDiv": "floordiv", "Mod": "mod", "Pow": "pow",
    "Maximum": "maximum", "Minimum": "minimum", "Switch": "switch", "Identity": "identity", "Cast": "cast",
    "Clip": "clip", "Abs": "abs", "Sgn": "sign", "Ceil": "ceil", "Floor": "floor", "Trunc": "trunc", "Neg": "neg",
    "RoundHalfToEven": "rint", "RoundHalfAwayFromZero": "round_away", "Inv": "reciprocal", "Log": "log",
    "Log2": "log2", "Log10": "log10", "Log1p": "log1p", "Exp": "exp", "Exp2": "exp2", "Expm1": "expm1",
    "Sqr": "sqr", "Sqrt": "sqrt", "Cos": "cos", "ArcCos": "acos", "Sin": "sin", "ArcSin": "asin", "Tan": "tan",
    "ArcTan": "atan", "ArcTan2": "atan2", "Cosh": "cosh", "ArcCosh": "acosh", "Sinh": "sinh", "ArcSinh": "asinh",
    "Tanh": "tanh", "ArcTanh": "atanh", "Deg2Rad": "deg2rad", "Rad2Deg": "rad2deg", "LT": "lt", "GT": "gt",
    "LE": "le", "GE": "ge", "EQ": "eq", "NEQ": "ne", "OR": "or", "AND": "and", "XOR": "xor", "Invert": "invert",
    "IsNan": "isnan", "IsInf": "isinf", "Erf": "erf", "Erfc": "erfc", "Gamma": "gamma", "GammaLn": "lgamma",
    "Psi": "digamma", "TriGamma": "trigamma", "ScalarSigmoid": "sigmoid", "ScalarSoftplus": "softplus",
}  # fmt: skip
globals().update(
    {name: _RowMeta(name, (), {"row": row, "__doc__": f"The class of ``{row}``."}) for name, row in _CLASSES.items()}
)

__all__ = [
    "BinaryScalarOp", "Elemwise", "ScalarOp", "UnaryScalarOp", "float_out", "float_out_nocomplex", "int_out",
    "int_out_nocomplex", "same_out", "same_out_float_only", "same_out_min8", "same_out_nobool", "same_out_nocomplex",
    "specific_out", "transfer_type", "unary_out_lookup", "upcast_out", "upcast_out_min8", "upcast_out_no_complex",
    "upcast_out_nobool", "upgrade_to_float", "upgrade_to_float64", "upgrade_to_float_no_complex", *_CLASSES,
]  # fmt: skip
