"""Compiled kernels, shared by all functions: a kernel's text decides its code, so each text is compiled once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tinygraph.targets.cuda import kernels
from tinygraph.targets.cuda.device import Device
from tinygraph.targets.cuda.kernel import assembled
from tinygraph.targets.cuda.steps import Launch

#: nests round as NumPy does: products are not fused with sums, so that results and random draws are the same bits
NEST_OPTIONS = ("--fmad=false",)

_functions: dict[tuple[int, str, str], Callable[..., None]] = {}
_lock = threading.Lock()


def load(launches: Sequence[Launch], device: Device) -> None:
    """Give each launch its compiled function; what is new is compiled together, one source for each set of macros."""
    with _lock:
        missing: dict[str, list[Launch]] = {}
        for x in launches:
            if (id(device), _macros(x), x.kernel.name) not in _functions:
                missing.setdefault(_macros(x), []).append(x)
        for macros, group in missing.items():
            module = device.compile(*source_of(group))
            for x in group:
                _functions[id(device), macros, x.kernel.name] = module.function(x.kernel.name)
        _alive.setdefault(id(device), device)
        for x in launches:
            x.function = _functions[id(device), _macros(x), x.kernel.name]


#: devices whose kernels are kept: an id must not come to mean another object
_alive: dict[int, Any] = {}


def forget(device: Device) -> None:
    """Drop the compiled kernels of a device."""
    with _lock:
        for key in [k for k in _functions if k[0] == id(device)]:
            del _functions[key]
        _alive.pop(id(device), None)


def _macros(x: Launch) -> str:
    return kernels.defines(x.macros)


def source_of(group: Sequence[Launch]) -> tuple[str, tuple[str, ...]]:
    """The complete source of some launches with equal macros, and the options it is compiled with."""
    texts = dict.fromkeys(x.kernel.text for x in group)
    return _macros(group[0]) + kernels.expand(assembled(list(texts))), NEST_OPTIONS


def sources(launches: Sequence[Launch]) -> list[tuple[str, tuple[str, ...]]]:
    """Every source that these launches need, with its options."""
    groups: dict[str, list[Launch]] = {}
    for x in launches:
        groups.setdefault(_macros(x), []).append(x)
    return [source_of(g) for g in groups.values()]
