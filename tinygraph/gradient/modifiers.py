"""Identities that change what flows back through them: clipped, scaled, zero, disconnected or undefined gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Disconnected, Op
from tinygraph.graph.type import NullType
from tinygraph.graph.variable import Variable


class GradientModifier(Op):
    """Base: the value is the input itself and nothing runs; passes may drop such a node from a finished graph."""

    __props__: ClassVar[tuple[str, ...]] = ()
    view_map = {0: [0]}

    def make_node(self, x: Any) -> Apply:
        x = as_variable(x)
        node = Apply(self, [x], [x.type.make_variable()])
        host = x.__dict__.get("_host")
        if host is not None:
            node.outputs[0].__dict__["_host"] = host
        return node

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [(x.dtype, x.shape)]

    def host(self, x: Operand) -> list[Any] | None:
        return None if x.value is None else [x.value]

    def forward(self, x: Any) -> Any:
        return x

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return list(grads)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        """Forward mode sees the function as it is, an identity, as ``R_op`` does in Theano."""
        return list(tangents)

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return list(inputs)


class GradClip(GradientModifier):
    """The identity; its gradient is clipped elementwise to ``[lower, upper]``."""

    __props__ = ("clip_lower_bound", "clip_upper_bound")

    def __init__(self, clip_lower_bound: float, clip_upper_bound: float):
        if not clip_upper_bound >= clip_lower_bound:
            raise ValueError(
                f"grad_clip: the upper bound {clip_upper_bound} must be at least the lower one, {clip_lower_bound}"
            )
        self.clip_lower_bound = clip_lower_bound
        self.clip_upper_bound = clip_upper_bound

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.maths import clip

        return [clip(g, self.clip_lower_bound, self.clip_upper_bound) for g in grads]


class GradScale(GradientModifier):
    """The identity; its gradient is multiplied by a number."""

    __props__ = ("multiplier",)

    def __init__(self, multiplier: float):
        self.multiplier = multiplier

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [self.multiplier * g for g in grads]


class ZeroGrad(GradientModifier):
    """The identity; its gradient is zero."""

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like

        return [zeros_like(g) for g in grads]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None]


class DisconnectedGrad(Disconnected, GradientModifier):
    """The identity; nothing behind it takes part in the gradient."""


class UndefinedGrad(GradientModifier):
    """The identity; asking for its gradient is an error."""

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [grad_undefined(self, i, x) for i, x in enumerate(inputs)]


def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Any:
    """``x``; in gradients, what flows back into ``x`` is clipped elementwise to ``[lower_bound, upper_bound]``.

    Example: in a recurrent step, ``h = grad_clip(h, -1, 1)`` bounds what passes from each step to the one before.
    """
    return GradClip(lower_bound, upper_bound)(x)


def grad_scale(x: Any, multiplier: float) -> Any:
    """``x``; gradients through it are multiplied by ``multiplier`` (negative: reversed, Ganin & Lempitsky 2015)."""
    return GradScale(multiplier)(x)


def zero_grad(x: Any) -> Any:
    """``x``; gradients through it are zero, and ``x`` counts as connected."""
    return ZeroGrad()(x)


def consider_constant(x: Any) -> Any:
    """``x``, as a constant for gradients: another name of :func:`zero_grad`."""
    return ZeroGrad()(x)


def disconnected_grad(x: Any) -> Any:
    """``x``; gradients do not pass, and a variable used only behind it counts as disconnected."""
    return DisconnectedGrad()(x)


def undefined_grad(x: Any) -> Any:
    """``x``; a gradient that would pass through it raises NullTypeGradError."""
    return UndefinedGrad()(x)


def grad_undefined(op: Any, x_pos: int, x: Any, comment: str = "") -> Variable:
    """What an op's gradient returns for input ``x_pos`` where the derivative does not exist."""
    return NullType(f"undefined: {op} by its input {x_pos} ({x}){_note(comment)}")()


def grad_not_implemented(op: Any, x_pos: int, x: Any, comment: str = "") -> Variable:
    """What an op's gradient returns for input ``x_pos`` where nobody has written the derivative yet."""
    return NullType(f"not implemented: {op} by its input {x_pos} ({x}){_note(comment)}")()


def _note(comment: str) -> str:
    return f": {comment}" if comment else ""
