"""What ops of linear algebra share: they run NumPy's LAPACK routines on (stacks of) matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.graph.dims import Operand, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.dot import matmul
from tinygraph.tensor.reduce import float_input
from tinygraph.tensor.shape import dimshuffle


class MatrixOp(Op):
    """An op whose ``forward`` is a library call on arrays in the last two dimensions."""

    name = "matrix op"

    def expect_matrix(self, x: Operand, square: bool = False) -> None:
        self.expect(x.ndim >= 2 and x.is_float, "a float matrix (or a stack of them)", x)
        self.expect(not square or not may_differ(x.shape[-1], x.shape[-2]), "a square matrix", x)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        outputs = [(b.shape(v), v.type.dtype) for v in node.outputs]  # type: ignore[attr-defined]
        attrs = {p: getattr(self, p) for p in self.__props__ or ()}
        return b.routine(self.name, inputs, outputs, self.run, **attrs)

    def run(self, *arrays: Any, **attrs: Any) -> None:
        """``forward`` into its last arguments."""
        n = len(arrays) - self.nout
        found = self.forward(*arrays[:n])
        for out, value in zip(arrays[n:], found if isinstance(found, tuple) else (found,), strict=True):
            np.copyto(out, value)

    nout = 1


def matrix(x: Any) -> Any:
    """``x`` as a float tensor; integers are converted as in sums of squares."""
    return float_input(as_tensor_variable(x))


def transposed(x: Any) -> Any:
    """``x`` with its last two dimensions exchanged."""
    n = x.type.ndim
    return dimshuffle(x, [*range(n - 2), n - 1, n - 2])


def product(*xs: Any) -> Any:
    """The matrix product of all ``xs``, from the left."""
    out = xs[0]
    for x in xs[1:]:
        out = matmul(out, x)
    return out


def as_row(v: Any) -> Any:
    """(..., n) -> (..., 1, n): factors of columns."""
    n = v.type.ndim
    return dimshuffle(v, [*range(n - 1), "x", n - 1])


def as_column(v: Any) -> Any:
    """(..., n) -> (..., n, 1): factors of rows."""
    return dimshuffle(v, [*range(v.type.ndim), "x"])
