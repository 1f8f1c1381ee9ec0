"""What kind of value a variable stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygraph.graph.variable import Constant, Variable


class Type:
    """Base class of types. A type makes variables and checks values."""

    #: numpy dtype name for tensors, None elsewhere
    dtype: str | None = None
    #: whether values other than dense arrays have gradients; these are then of any type that the ops agree on
    differentiable = False

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """Return ``value`` as this type stores it, or raise TypeError."""
        raise NotImplementedError

    def make_variable(self, name: str | None = None) -> Variable:
        from tinygraph.graph.variable import Variable  # the two classes name each other

        return Variable(self, name=name)

    def make_constant(self, value: Any, name: str | None = None) -> Constant:
        from tinygraph.graph.variable import Constant

        return Constant(self, value, name=name)

    def __call__(self, name: str | None = None) -> Variable:
        return self.make_variable(name)

    def filter_variable(self, other: Variable) -> Variable:
        """``other`` as a variable of this type; TypeError where no conversion exists."""
        from tinygraph.graph.variable import Variable

        if not isinstance(other, Variable):
            return self.make_constant(self.filter(other))
        if self.accepts(other.type):
            return other
        raise TypeError(f"cannot use {other} of type {other.type} as {self}")

    def accepts(self, other: Type) -> bool:
        """Whether every value of type ``other`` is one of this type."""
        return self == other

    def values_eq(self, a: Any, b: Any) -> bool:
        return bool(a == b)

    def values_eq_approx(self, a: Any, b: Any) -> bool:
        return self.values_eq(a, b)


class GenericType(Type):
    """Any Python object; used by ops that carry something other than arrays."""

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        return value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return "Generic"


class NullType(GenericType):
    """Type of a gradient that is undefined or not implemented; ``why_null`` says why."""

    def __init__(self, why_null: str = "(no reason given)") -> None:
        self.why_null = why_null

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        raise TypeError(f"a NullType variable has no value: {self.why_null}")

    def __repr__(self) -> str:
        return "NullType"


class DisconnectedType(GenericType):
    """Type of the gradient by a variable that takes no part in the cost."""

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        raise TypeError("a DisconnectedType variable has no value: the cost does not depend on this input")

    def __repr__(self) -> str:
        return "DisconnectedType"


generic = GenericType()
