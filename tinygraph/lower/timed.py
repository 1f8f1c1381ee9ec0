"""How long the steps from a graph to code take, for functions that are compiled with ``profile=True``."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TypeVar

from tinygraph.program.instructions import Program

Function = TypeVar("Function", bound=Callable)


def timed(name: str) -> Callable[[Function], Function]:
    """Add the seconds of a function of a Program, those of timed functions within it aside, to its profile."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            profile = next((a.profile for a in args if isinstance(a, Program)), None)
            if profile is None:
                return function(*args, **kwargs)
            inner, begin = sum(profile.steps.values()), time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                inside = sum(profile.steps.values()) - inner
                spent = time.perf_counter() - begin - inside
                profile.steps[name] = profile.steps.get(name, 0.0) + spent

        return call  # type: ignore[return-value]

    return decorate
