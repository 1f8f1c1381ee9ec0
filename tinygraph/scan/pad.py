"""Rows of zeros before and after: the gradient of reading part of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable


class PadRows(Op):
    """``x`` within ``rows`` rows of zeros, its first at ``before``. Nothing runs if there is nothing to add.

    Shapes: (k, ...), scalars ``before`` and ``rows`` -> (rows, ...), with before + k <= rows.
    """

    __props__ = ()
    shape_inputs = (1, 2)

    def infer(self, x: Operand, before: Operand, rows: Operand) -> list[tuple[str, Sequence[Dim]]]:
        k, first, n = x.shape[0], before.scalar(), rows.scalar()
        if all(isinstance(d, int) for d in (k, first, n)) and first + k > n:
            self.expect(False, f"at most {n - first} rows", x, error=ShapeMismatch)
        return [(x.dtype, (n, *x.shape[1:]))]

    def extra_sizes(self, x: Operand, before: Operand, rows: Operand) -> Sequence[Dim]:  # type: ignore[override]
        return (before.scalar(), rows.scalar())

    def forward(self, x: Any, before: Any, rows: Any) -> Any:
        out = np.zeros((int(rows), *x.shape[1:]), x.dtype)
        out[int(before) : int(before) + len(x)] = x
        return out

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.shape import shape_i

        x, before, _ = inputs
        return [grads[0][before : before + shape_i(x, 0)], None, None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], *inputs[1:])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x = inputs[0]
        first, n = b.sizes(node)
        if first == 0 and n == x.shape[0]:
            return [x]
        out = b.zeros((n, *x.shape[1:]), x.dtype)
        axes = b.axes(*x.shape)
        b.store_to(out.at((axes[0] + first, *axes[1:])), x[axes], axes=axes, accumulate=True)
        return [out]


pad_rows = PadRows()
