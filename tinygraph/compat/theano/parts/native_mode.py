"""Debugging modes: the native ones where this version of tinygraph has them, else a class that says what is missing."""

from __future__ import annotations

import importlib
from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class


def native(name: str, modules: tuple[str, ...], instead: str) -> Any:
    """The first class ``name`` found in ``modules`` of tinygraph, or one that raises with ``instead``."""
    for module in modules:
        try:
            found = getattr(importlib.import_module(f"tinygraph.{module}"), name, None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found
    return absent_class(name, instead)
