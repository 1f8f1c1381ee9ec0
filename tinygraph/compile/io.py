"""How a function's inputs and outputs are declared."""

from __future__ import annotations

from typing import Any

from tinygraph.errors import TypeMismatch
from tinygraph.graph.variable import Constant, Variable


class In:
    """An input of a function.

    value : default; the argument may then be left out (a list cell or a Container gives an implicit one)
    name : keyword under which it is passed, by default the variable's
    update : expression that replaces the stored default after each call
    mutable : the function may write to the caller's array
    borrow, strict, allow_downcast, implicit, autoname, shared : as Theano documents them
    """

    def __init__(self, variable: Variable, name: str | None = None, value: Any = None, update: Any = None,
                 mutable: bool | None = None, strict: bool = False, allow_downcast: bool | None = None,
                 autoname: bool = True, implicit: bool | None = None, borrow: bool | None = None,
                 shared: bool = False):  # fmt: skip
        if not isinstance(variable, Variable):
            raise TypeMismatch(f"In() needs a symbolic variable, got {variable!r}")
        if mutable and borrow is False:
            raise ValueError("In(mutable=True) implies borrow=True")
        if update is not None and value is None:
            raise ValueError("In(update=...) needs a value to start from")
        self.variable = variable
        self.name = name if name is not None else (variable.name if autoname else None)
        self.value = value
        self.update = update
        self.mutable = bool(mutable) if mutable is not None else update is not None
        self.borrow = bool(borrow) if borrow is not None else self.mutable
        self.strict = strict
        self.allow_downcast = allow_downcast
        self.implicit = implicit
        if isinstance(variable, Constant):
            raise TypeMismatch(f"the constant {variable} cannot be a function's input")

    def __repr__(self) -> str:
        return f"In({self.variable})"


class Out:
    """An output of a function. ``borrow``: it may share memory that a later call overwrites."""

    def __init__(self, variable: Variable, borrow: bool = False):
        from tinygraph.graph.convert import as_variable

        self.variable = as_variable(variable)
        self.borrow = borrow

    def __repr__(self) -> str:
        return f"Out({self.variable}, {self.borrow})"
