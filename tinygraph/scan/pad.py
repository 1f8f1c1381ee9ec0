"""Part of a sequence, and its gradient: rows of zeros before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.scan.op import too_short


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


class FirstRows(Op):
    """The first ``n`` rows of a sequence, which must have them: what a loop of ``n`` steps reads.

    Shapes: (k, ...), a scalar n -> (n, ...). Raises ShapeMismatch, in the name of the loop, if k < n.
    """

    __props__ = ()
    shape_inputs = (1,)
    view_map = {0: [0]}

    def __init__(self, label: str, what: str):
        self.label, self.what = label, what

    def infer(self, x: Operand, n: Operand) -> list[tuple[str, Sequence[Dim]]]:
        rows = n.scalar()
        self._check(x.shape[0], rows)
        return [(x.dtype, (rows, *x.shape[1:]))]

    def extra_sizes(self, x: Operand, n: Operand) -> Sequence[Dim]:  # type: ignore[override]
        return (n.scalar(),)

    def _check(self, have: Dim, want: Dim) -> None:
        if isinstance(have, int) and isinstance(want, int) and have < want:
            raise ShapeMismatch(too_short(self.label, self.what, have, want))

    def forward(self, x: Any, n: Any) -> Any:
        self._check(len(x), int(n))
        return x[: int(n)]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.shape import shape_i

        return [pad_rows(grads[0], 0, shape_i(inputs[0], 0)), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], inputs[1])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        x = inputs[0]
        (n,) = b.sizes(node)
        self._check(x.shape[0], n)
        return [b.view(x, (n, *x.shape[1:]), x.ref.strides)]


pad_rows = PadRows()
