"""Names of ``theano.gradient`` beside the native ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.gradient import Rop as native_rop
from tinygraph.gradient.modifiers import DisconnectedGrad, GradientModifier, UndefinedGrad, ZeroGrad
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply
from tinygraph.graph.traversal import ancestors, io_toposort
from tinygraph.graph.type import DisconnectedType, NullType
from tinygraph.graph.variable import Variable

__all__ = ["ConsiderConstant", "DisconnectedType", "NullType", "Rop", "format_as", "io_toposort"]

ConsiderConstant = ZeroGrad
consider_constant_, zero_grad_ = ConsiderConstant(), ZeroGrad()
disconnected_grad_, undefined_grad_ = DisconnectedGrad(), UndefinedGrad()


class Mention(GradientModifier):
    """Its first input; the others are not used, but count as inputs of the expression."""

    def make_node(self, x: Any, *others: Any) -> Apply:
        return Apply(self, [x, *others], [x.type.make_variable()])

    def infer(self, x: Operand, *others: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, x.shape)]

    def forward(self, x: Any, *others: Any) -> Any:
        return x

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [grads[0]] + [None] * (len(inputs) - 1)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [tangents[0]]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return [inputs[0]]


def Rop(f: Any, wrt: Any, eval_points: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - Theano's name
    """The native ``Rop``. As in Theano its result is built on all of ``wrt``, so that these may be a function's inputs
    also where the derivative does not depend on them."""
    found = native_rop(f, wrt, eval_points, *args, **kwargs)
    points = list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]

    def mentioning(v: Any) -> Any:
        if not isinstance(v, Variable) or isinstance(v.type, (DisconnectedType, NullType)):
            return v
        used = set(ancestors([v]))
        missing = [p for p in points if p not in used]
        return Mention()(v, *missing) if missing else v

    if isinstance(found, (list, tuple)):
        return type(found)(mentioning(v) for v in found)
    return mentioning(found)


def format_as(use_list: bool, use_tuple: bool, outputs: Any) -> Any:
    """``outputs`` as a list, as a tuple, or its only element."""
    if use_list:
        return list(outputs)
    if use_tuple:
        return tuple(outputs)
    if len(outputs) != 1:
        raise ValueError(f"expected one output, got {len(outputs)}")
    return outputs[0]
