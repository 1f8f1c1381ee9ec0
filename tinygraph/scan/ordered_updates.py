"""``OrderedUpdates``: updates of shared variables, in order, each variable once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from tinygraph.errors import InvalidUpdate
from tinygraph.graph.shared import SharedVariable


class OrderedUpdates(OrderedDict):
    """A dictionary from shared variables to their new values; adding two that clash raises InvalidUpdate."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, SharedVariable):
            raise InvalidUpdate(f"only shared variables can be updated, got {key!r}")
        super().__setitem__(key, value)

    def update(self, other: Any = (), /, **_: Any) -> None:  # type: ignore[override]
        for key, value in other.items() if isinstance(other, Mapping) else other:
            if key in self and self[key] is not value:
                raise InvalidUpdate(f"two updates for the shared variable {key}: {self[key]} and {value}")
            self[key] = value

    def __add__(self, other: Mapping) -> OrderedUpdates:
        total = OrderedUpdates()
        total.update(self)
        total.update(other)
        return total

    def __radd__(self, other: Mapping) -> OrderedUpdates:
        total = OrderedUpdates()
        total.update(other)
        total.update(self)
        return total
