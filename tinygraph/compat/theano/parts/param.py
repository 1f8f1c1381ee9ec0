"""``theano.Param``: the older form of ``In``."""

from __future__ import annotations

from typing import Any

from tinygraph.compile.io import In
from tinygraph.graph.variable import Variable

__all__ = ["Param"]


class Param(In):
    """``In`` with the default value called ``default``, as Theano named it before 0.8."""

    def __init__(self, variable: Variable, default: Any = None, name: str | None = None, mutable: bool = False,
                 update: Any = None, **settings: Any) -> None:  # fmt: skip
        value = settings.pop("value", default)
        super().__init__(variable, name=name, value=value, update=update, mutable=mutable or None, **settings)
