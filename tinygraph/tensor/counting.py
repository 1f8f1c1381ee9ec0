"""What depends on the values that occur: unique, bincount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.shape import flatten, normalise_axis


class UniquePositions(Op):
    """Of the slices of ``x`` along dimension ``axis``, those that differ, in sorted order.

    Outputs: the position of the first of each, for each slice the number of its kind, how many there are of each.
    """

    __props__ = ("axis",)
    data_dependent_shape = True

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim, f"more than {self.axis} dimensions", x)
        return [("int64", (UNKNOWN,)), ("int64", (x.shape[self.axis],)), ("int64", (UNKNOWN,))]

    def forward(self, x: Any) -> Any:
        _, first, kind, count = np.unique(
            x,
            return_index=True,
            return_inverse=True,
            return_counts=True,
            axis=self.axis if x.ndim > 1 else None,
        )
        return first.astype("int64"), kind.reshape(-1).astype("int64"), count.astype("int64")

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * 3]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None] * 3


def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None) -> Any:  # fmt: skip
    """The values that occur in ``ar``, sorted (with ``axis``: the slices along it), as ``numpy.unique``.

    Returns the values, or a list of them and of what was asked for: for each value where it occurs first, for each
    element (of the flattened tensor) which value it is, for each value how often it occurs.
    """
    x = as_tensor_variable(ar)
    if axis is None:
        x, axis = (x.dimshuffle("x") if x.type.ndim == 0 else flatten(x)), 0
    axis = normalise_axis(axis, x.type.ndim)
    first, kind, count = UniquePositions(axis)(x)
    found = [x[(slice(None),) * axis + (first,)]]
    wanted = ((return_index, first), (return_inverse, kind), (return_counts, count))
    found += [v for asked, v in wanted if asked]
    return found if len(found) > 1 else found[0]


class BinCount(Op):
    """How often each of 0 .. max occurs in a vector of numbers that are not negative, or the sum of their weights.

    Shapes: (n,) integers, [weights (n,)] -> (max(largest + 1, minlength),).
    """

    __props__ = ("minlength",)
    data_dependent_shape = True

    def __init__(self, minlength: int = 0):
        self.minlength = minlength

    def infer(self, x: Operand, *weights: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(x.ndim == 1 and x.is_int, "a vector of integers", x, *weights)
        for w in weights:
            self.expect(w.ndim == 1 and not may_differ(w.shape[0], x.shape[0]), "a weight for each number", x, w,
                        error=ShapeMismatch)  # fmt: skip
        return [
            (
                weights[0].dtype if weights and weights[0].is_float else "float64" if weights else "int64",
                (UNKNOWN,),
            )
        ]

    def forward(self, x: Any, *weights: Any) -> Any:
        if x.size and x.min() < 0:
            raise InvalidValue(f"bincount: the numbers must not be negative, got {x.min()}")
        found = np.bincount(x.astype("int64"), *weights, minlength=self.minlength)
        return found.astype(weights[0].dtype) if weights and weights[0].dtype.kind == "f" else found

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        if len(inputs) == 1:
            return [zero_gradient(inputs[0])]
        return [None, grads[0][inputs[0]] if inputs[1].type.dtype[0] == "f" else None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [True]][: len(node.inputs)]


def bincount(x: Any, weights: Any = None, minlength: Any = None, assert_nonneg: bool = False) -> Any:
    """How often each number occurs in the vector ``x``, or the sum of its ``weights``, as ``numpy.bincount``."""
    x = as_tensor_variable(x)
    if x.type.dtype[0] not in "iub":
        raise TypeMismatch(f"bincount: a vector of integers is needed, got {x} of type {x.type}")
    least = 0 if minlength is None else int(getattr(minlength, "data", minlength))
    if least < 0:
        raise InvalidValue(f"bincount: minlength must not be negative, got {least}")
    return BinCount(least)(x, *([] if weights is None else [weights]))
