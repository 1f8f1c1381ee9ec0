"""Shared variables: leaves with a value that outlives calls and that updates replace."""

from __future__ import annotations

import copy
from typing import Any

from tinygraph.graph.type import Type
from tinygraph.graph.variable import Variable


class Container:
    """Holds the value of a shared variable, as a NumPy array or, where it lives on a device, as that device's array.

    ``spare`` keeps the previous buffer of an updated variable for reuse: a call writes new values there and then swaps
    the two, so that a call that fails has changed nothing.
    """

    __slots__ = ("device", "spare", "type", "value")

    def __init__(self, type: Type, value: Any):
        self.type = type
        self.value = value
        self.spare: Any = None
        self.device: Any = None


class SharedVariable(Variable):
    """A variable with a value of its own, read and written by compiled functions.

    ``default_update``: an expression by which every function that uses the variable updates it, unless told otherwise.
    """

    def __init__(self, type: Type, value: Any, name: str | None = None, container: Container | None = None):
        super().__init__(type, name=name)
        self.container = container if container is not None else Container(type, value)
        self.default_update: Variable | None = None
        self.allow_downcast: bool | None = None
        self.strict = False

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """The current value: a copy, or with ``borrow=True`` the array in use, which later calls may overwrite."""
        value = self.container.value
        if self.container.device is not None and not return_internal_type:
            return self.container.device.to_host(value)
        return value if borrow else copy.deepcopy(value)

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Replace the value; TypeError (and no change) if it does not fit the variable's type."""
        device = self.container.device
        if device is not None:
            self.container.value = device.to_device(new_value, self.type, borrow)
            return
        given = new_value
        if hasattr(given, "__dlpack__") and not hasattr(given, "__array__"):
            import numpy as np

            given = np.from_dlpack(given)
        value = self.type.filter(given, strict=self.strict, allow_downcast=self.allow_downcast)
        self.container.value = value if borrow or value is not new_value else copy.deepcopy(value)

    def zero(self, borrow: bool = False) -> None:
        """Set every element to zero."""
        value = self.get_value(borrow=borrow)
        value[...] = 0
        self.set_value(value, borrow=True)

    @property
    def value(self) -> Any:
        raise AttributeError("shared variables have no .value; use get_value() and set_value()")

    def clone(self) -> SharedVariable:
        """Another variable on the same container: both always have the same value."""
        new = type(self)(self.type, None, self.name, container=self.container)
        new.default_update = self.default_update
        return new

    def __str__(self) -> str:
        return self.name if self.name is not None else f"<{self.type}>"
