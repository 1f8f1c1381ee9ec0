"""Shared variables: leaves with a value that outlives calls and that updates replace."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from tinygraph.graph.type import Type
from tinygraph.graph.variable import Variable


class UpdateLock:
    """Held while a function updates: of two calls that update the same variable one waits for the other.

    Variables that some function updates together share one lock, so that a call never holds more than one.
    """

    __slots__ = ("__weakref__", "lock", "members")

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a host op may call another function
        self.members: list[weakref.ref[Container]] = []


_locks: weakref.WeakSet[UpdateLock] = weakref.WeakSet()
_joining = threading.Lock()


def _renew_locks() -> None:
    """In a child process: whoever held a lock is not there any more."""
    global _joining
    _joining = threading.Lock()
    for lock in _locks:
        lock.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


class Container:
    """Holds the value of a shared variable, as a NumPy array or, where it lives on a device, as that device's array.

    ``spare`` keeps the previous buffer of an updated variable for reuse: a call writes new values there and then swaps
    the two, so that a call that fails has changed nothing. ``guard``: the lock of those who update it, if any do.
    """

    __slots__ = ("__weakref__", "device", "guard", "spare", "type", "value")

    def __init__(self, type: Type, value: Any):
        self.type = type
        self.value = value
        self.spare: Any = None
        self.device: Any = None
        self.guard: UpdateLock | None = None

    @property
    def storage(self) -> list[Any]:
        """The value in a list of one (a new list: to change the value set ``value``)."""
        return [self.value]

    @property
    def data(self) -> Any:
        """Theano's other name of ``value``."""
        return self.value

    @data.setter
    def data(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        value = self.value if self.device is None else self.device.to_host(self.value)
        return (type(self), (self.type, value))


def guard_together(containers: Sequence[Container]) -> None:
    """Let ``containers``, which one function updates, and all that share a lock with any of them, share one."""
    with _joining:
        chosen = next((c.guard for c in containers if c.guard is not None), None) or UpdateLock()
        _locks.add(chosen)
        for c in containers:
            if c.guard is chosen:
                continue
            joined = [weakref.ref(c)] if c.guard is None else c.guard.members
            for ref in joined:
                member = ref()
                if member is not None:
                    member.guard = chosen
                    chosen.members.append(ref)


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
