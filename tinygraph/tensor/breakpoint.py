"""``PdbBreakpoint``: stop in Python's debugger while a compiled function runs, when a condition holds."""

from __future__ import annotations

import pdb
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable


class PdbBreakpoint(Op):
    """``PdbBreakpoint(name)(condition, *monitored)``: the monitored values, unchanged.

    When ``condition`` (a scalar) is not 0, the debugger opens with the values in the local variable ``monitored``.
    It stops only where one of its results is used. One monitored variable gives one result, several give a list.

    Example
    -------
    >>> import tinygraph.tensor as T
    >>> from tinygraph.printing import PdbBreakpoint
    >>> x = T.dvector("x")
    >>> x = PdbBreakpoint("x is large")(x.max() > 1e6, x)
    """

    __props__ = ("name",)
    pure = False

    def __init__(self, name: str):
        self.name = name

    def __str__(self) -> str:
        return f"PdbBreakpoint{{{self.name}}}"

    def make_node(self, condition: Any, *monitored: Any) -> Apply:
        condition = as_variable(condition)
        if condition.type.ndim != 0:  # type: ignore[attr-defined]
            raise TypeError(f"PdbBreakpoint: the condition must be a scalar, got {condition.type}")
        if not monitored:
            raise TypeError("PdbBreakpoint: name at least one variable to look at")
        values = [as_variable(m) for m in monitored]
        return Apply(self, [condition, *values], [v.type.make_variable() for v in values])

    def infer(self, condition: Operand, *monitored: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(m.dtype, m.shape) for m in monitored]

    def forward(self, condition: Any, *monitored: Any) -> Any:
        self._stop(condition, *monitored)
        return monitored[0] if len(monitored) == 1 else monitored

    def _stop(self, condition: Any, *monitored: Any) -> None:
        if np.any(condition):
            print(f"breakpoint {self.name!r}: {len(monitored)} values in 'monitored'; 'c' goes on", flush=True)
            pdb.set_trace()

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        n = len(node.outputs)
        return [[False] * n, *([i == j for j in range(n)] for i in range(n))]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [None, *grads]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return list(tangents[1:])

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        b.routine("breakpoint", inputs, [], self._stop)
        return list(inputs[1:])
