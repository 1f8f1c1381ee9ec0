"""Compiling makes many objects and drops few: Python's cycle collector, which goes through all of them, waits."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable)


def without_collector(function: Function) -> Function:
    """``function`` with the cycle collector switched off while it runs, where it is on."""

    @functools.wraps(function)
    def call(*args, **kwargs):  # type: ignore[no-untyped-def]
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return call  # type: ignore[return-value]
