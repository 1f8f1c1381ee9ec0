"""Softmax and its logarithm, computed so that no exponential overflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import call
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.maths import cast_to, exp
from tinygraph.tensor.reduce import sum as sum_over
from tinygraph.tensor.shape import normalise_axis, shape_padleft


class _AlongAxis(Op):
    """An op on the vectors along ``axis`` of a float tensor; the shape stays."""

    __props__ = ("axis",)

    def __init__(self, axis: int = -1):
        self.axis = axis

    def make_node(self, x: Any) -> Apply:
        x = as_tensor_variable(x)
        if x.type.ndim == 0 or x.type.dtype[0] != "f":
            raise TypeMismatch(f"{type(self).__name__}: expected a float tensor of at least one dimension, got {x} "
                               f"of type {x.type}")  # fmt: skip
        axis = normalise_axis(self.axis, x.type.ndim)
        return Op.make_node(self if axis == self.axis else type(self)(axis), x)

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, x.shape)]

    def split(self, b: Any, x: Any) -> tuple[Any, list[Any], Any]:
        """Axes of ``x``: all, those kept, and the one worked along."""
        axes = b.axes(*x.shape)
        return axes, [a for i, a in enumerate(axes) if i != self.axis], axes[self.axis]


class Softmax(_AlongAxis):
    """``exp(x) / sum(exp(x))`` along ``axis``, from ``x`` less its maximum.

    Shapes: (...) -> the same, each vector along ``axis`` adding up to 1. Dtypes: floats.
    """

    def forward(self, x: Any) -> Any:
        with np.errstate(all="ignore"):
            e = np.exp(x - x.max(axis=self.axis, keepdims=True, initial=-np.inf))
            return e / e.sum(axis=self.axis, keepdims=True, dtype=x.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (out,), (g,) = outputs, grads
        return [(g - sum_over(g * out, axis=self.axis, keepdims=True)) * out]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return self.vjp(inputs, outputs, tangents)  # its Jacobian is symmetric

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        axes, kept, along = self.split(b, x)
        kept = tuple(kept)
        largest = b.reduce("maximum", x[axes], over=(along,), into=kept)
        e = b.store(call("exp", x[axes] - largest[kept]), into=axes)
        total = b.reduce("add", e[axes], over=(along,), into=kept)
        return [b.store(e[axes] / total[kept], into=axes)]


class LogSoftmax(_AlongAxis):
    """``x - log(sum(exp(x)))`` along ``axis``: the logarithm of ``Softmax``, finite wherever ``x`` is.

    Shapes: (...) -> the same. Dtypes: floats.
    """

    def forward(self, x: Any) -> Any:
        with np.errstate(all="ignore"):
            shifted = x - x.max(axis=self.axis, keepdims=True, initial=-np.inf)
            return shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True, dtype=x.dtype))

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (out,), (g,) = outputs, grads
        return [g - exp(out) * sum_over(g, axis=self.axis, keepdims=True)]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        (out,), (t,) = outputs, tangents
        return [None if t is None else t - sum_over(exp(out) * t, axis=self.axis, keepdims=True)]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        axes, kept, along = self.split(b, x)
        kept = tuple(kept)
        largest = b.reduce("maximum", x[axes], over=(along,), into=kept)
        e = b.store(call("exp", x[axes] - largest[kept]), into=axes)  # as in Softmax: the two share what they can
        total = b.reduce("add", e[axes], over=(along,), into=kept)
        return [b.store(x[axes] - largest[kept] - call("log", total[kept]), into=axes)]


def _along(op: type[_AlongAxis], x: Any, axis: int | None) -> Any:
    x = as_tensor_variable(x)
    if x.type.dtype[0] in "iub":
        x = cast_to(x, "floatX")
    if axis is None:
        if x.type.ndim == 1:
            x = shape_padleft(x)  # a vector is one row, and the result has two dimensions, as in Theano
        axis = -1
    return op(axis)(x)


def softmax(c: Any, axis: int | None = None) -> Any:
    """``exp(c) / sum(exp(c))`` of each row, or along ``axis``.

    Without ``axis`` the last dimension is meant, and a vector is taken for one row: the result is then a matrix
    (1, n), which is what Theano gives. With ``axis`` the shape stays as it is.
    """
    return _along(Softmax, c, axis)


def logsoftmax(c: Any, axis: int | None = None) -> Any:
    """The logarithm of ``softmax``, finite for any finite ``c``; ``axis`` as there."""
    return _along(LogSoftmax, c, axis)


log_softmax = logsoftmax
softmax_op = Softmax()
logsoftmax_op = LogSoftmax()
softmax_graph = softmax
