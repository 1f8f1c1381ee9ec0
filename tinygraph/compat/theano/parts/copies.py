"""``theano.compile.ViewOp`` and ``DeepCopyOp``: identities, which programs subclass to change what flows back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.gradient.modifiers import GradientModifier
from tinygraph.graph.variable import Variable

__all__ = ["DeepCopyOp", "ViewOp", "deep_copy_op", "view_op"]


class ViewOp(GradientModifier):
    """Its input. A subclass may define ``grad(inputs, output_gradients)``."""

    def grad(self, inputs: Any, output_grads: Any) -> Any:
        return list(output_grads)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return self.grad(inputs, grads)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(type(self))


class DeepCopyOp(ViewOp):
    """Its input: what is copied is the compiler's to decide."""


view_op, deep_copy_op = ViewOp(), DeepCopyOp()
