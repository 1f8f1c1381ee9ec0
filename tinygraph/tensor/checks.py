"""Ops that pass a value on and do something besides: print it, or check conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Constant, Variable


def print_value(op: Print, value: Any) -> None:
    """The default of :class:`Print`: one line ``message attribute = value`` for each attribute."""
    for attr in op.attrs:
        found = getattr(value, attr, None)
        if callable(found):
            found = found()
        print(op.message, attr, "=", found, flush=True)


class Print(Op):
    """The identity, which prints what passes each time it runs.

    ``Print("x is", attrs=("__str__", "shape"))(x)``. ``global_fn(op, value)`` replaces the printing. It prints only
    where its result is used.
    """

    __props__ = ("message", "attrs", "global_fn")
    view_map = {0: [0]}
    pure = False

    def __init__(self, message: str = "", attrs: Sequence[str] = ("__str__",),
                 global_fn: Callable[[Any, Any], None] = print_value):  # fmt: skip
        self.message = message
        self.attrs = tuple(attrs)
        self.global_fn = global_fn

    def __str__(self) -> str:
        return f"Print{{{self.message!r}}}"

    def make_node(self, x: Any) -> Apply:
        x = as_variable(x)
        return Apply(self, [x], [x.type.make_variable()])

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        self.global_fn(self, x)
        return x

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return list(grads)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return list(tangents)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        b.routine("print", inputs, [], partial(self.global_fn, self))
        return list(inputs)


def _check(*conditions: Any, message: str = "") -> None:
    for c in conditions:
        if not np.all(c):
            raise AssertionError(message)


class Assert(Op):
    """``Assert(message)(x, *conditions)``: ``x``, once all elements of all conditions hold, else AssertionError."""

    __props__ = ("msg",)
    view_map = {0: [0]}
    pure = False

    def __init__(self, msg: str = "Assert failed!"):
        self.msg = msg

    def __str__(self) -> str:
        return f"Assert{{{self.msg!r}}}"

    def make_node(self, value: Any, *conditions: Any) -> Apply:
        value = as_variable(value)
        checked = [as_variable(c) for c in conditions]
        for c in checked:
            if isinstance(c, Constant) and not np.all(c.data):
                raise AssertionError(self.msg)
        return Apply(self, [value, *checked], [value.type.make_variable()])

    def infer(self, x: Operand, *conditions: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, x.shape)]

    def forward(self, x: Any, *conditions: Any) -> Any:
        _check(*conditions, message=self.msg)
        return x

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [grads[0]] + [None] * (len(inputs) - 1)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [tangents[0]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        unknown = [c for c in inputs[1:] if c.value is None or not np.all(c.value)]
        if unknown:
            b.routine("assert", unknown, [], partial(_check, message=self.msg))
        return [inputs[0]]


assert_op = Assert()


def assert_(value: Any, *conditions: Any, msg: str = "Assert failed!") -> Any:
    """``value``, once all ``conditions`` hold; see :class:`Assert`."""
    return Assert(msg)(value, *conditions)
