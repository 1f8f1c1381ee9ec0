"""The path from a call's arguments to a program and back, printed for each function so that a call costs little.

The printed function checks arguments, finds the program for their shapes, runs it, and only then puts the new values
of shared variables in place: a call that raises has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.graph.tensortype import TensorType

if TYPE_CHECKING:
    from tinygraph.compile.compiled import CompiledFunction


def print_caller(f: CompiledFunction) -> tuple[str, Callable[[Any], Any]]:
    """Source and function ``call(arguments)`` for the compiled function ``f``; one argument for each input."""
    lines: list[str] = []
    space: dict[str, Any] = {"ndarray": np.ndarray, "f": f, "check": f._check_one, "fresh": f._fresh,
                             "programs": f._programs, "specialise": f._specialise, "sizes": f.sizes.key}  # fmt: skip
    inputs = [f"x{i}" for i in range(len(f.declared))]
    shared = [f"s{k}" for k in range(len(f.containers))]
    if inputs:
        lines.append(f"{', '.join(inputs)}, = args")
        lines.append("if not f.trust_input:")
        for i, d in enumerate(f.declared):
            t = d.variable.type
            if isinstance(t, TensorType):
                space[f"d{i}"] = t.numpy_dtype
                test = f"type(x{i}) is not ndarray or x{i}.dtype is not d{i} or x{i}.ndim != {t.ndim}"
                if any(s is not None for s in t.shape):
                    space[f"t{i}"] = t
                    test += f" or not t{i}.fits_shape(x{i}.shape)"
                lines.append(f"    if {test}:")
                lines.append(f"        x{i} = check({i}, x{i})")
            else:
                lines.append(f"    x{i} = check({i}, x{i})")
    for k, container in enumerate(f.containers):
        space[f"c{k}"] = container
        lines.append(f"s{k} = c{k}.value")
    args = _tuple(inputs + shared)
    lines.append(f"key = {_key(f, inputs, shared)}" + (f" + sizes({args})" if f._has_runtime else ""))
    lines.append("found = programs.get(key)")
    lines.append("if found is None:")
    lines.append(f"    found = specialise(key, {_tuple(inputs)}, {_tuple(shared)})")
    lines.append(f"params = found.params({args}) if found.params is not None else ()")
    lines.append(f"out, new = found.run({_tuple(inputs)}, {_tuple(shared)}, params, fresh)")
    for k, container in enumerate(f.targets):
        space[f"u{k}"] = container
        lines.append(f"u{k}.spare = u{k}.value")
        lines.append(f"u{k}.value = new[{k}]")
    lines.append("return " + _result(f))
    source = "def call(args):\n" + "".join(f"    {line}\n" for line in lines)
    exec(compile(source, f"<call of {f.name or 'function'}>", "exec"), space)
    return source, space["call"]


def _tuple(names: list[str]) -> str:
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def _key(f: CompiledFunction, inputs: list[str], shared: list[str]) -> str:
    """What distinguishes programs: sizes, and how arguments lie in memory."""
    parts = []
    for name, d in zip(inputs, f.declared, strict=True):
        if isinstance(d.variable.type, TensorType) and d.variable.type.ndim:
            parts.append(f"{name}.shape if {name}.flags.c_contiguous else ({name}.shape, {name}.strides)")
    for name, v in zip(shared, f.shared, strict=True):
        if isinstance(v.type, TensorType) and v.type.ndim:
            parts.append(f"{name}.shape")
    return _tuple(parts)


def _result(f: CompiledFunction) -> str:
    if f.rebuild is None:
        return "out[0]"
    if f.rebuild is list:
        return "list(out)"
    if not f.rebuild:
        return "[]"
    return "{" + ", ".join(f"{key!r}: out[{i}]" for i, key in enumerate(f.rebuild)) + "}"
