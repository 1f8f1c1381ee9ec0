"""``theano.tensor.inplace``: elementwise ops by their in-place names. Where results go is decided by the compiler."""

from __future__ import annotations

from typing import Any

import tinygraph.tensor as T


def __getattr__(name: str) -> Any:
    base = name.removesuffix("_inplace")
    found = getattr(T, base, None)
    if base == name or not callable(found):
        raise AttributeError(name)
    return found


__all__: list[str] = []
