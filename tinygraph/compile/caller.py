"""The path from a call's arguments to a program and back, printed for each function so that a call costs little.

The printed function checks arguments, finds the program for their shapes, runs it, and only then puts the new values
of shared variables in place: a call that raises has changed nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.compile.placement import on_host, place
from tinygraph.graph.shared import Container
from tinygraph.graph.tensortype import TensorType

if TYPE_CHECKING:
    from tinygraph.compile.compiled import CompiledFunction


def print_caller(f: CompiledFunction) -> tuple[str, Callable[[Any], Any]]:
    """Source and function ``call(arguments)`` for the compiled function ``f``; one argument for each input."""
    space: dict[str, Any] = {"ndarray": np.ndarray, "f": f, "check": f._check_one, "fresh": f._fresh,
                             "programs": f._programs, "specialise": f._specialise, "sizes": f.sizes.key,
                             "explain": f._explain, "each": _each, "values": _get_value, "set_value": _set_value,
                             "set_spare": _set_spare, "targets": f.targets}  # fmt: skip
    inputs = [f"x{i}" for i in range(len(f.declared))]
    shared = [f"s{k}" for k in range(len(f.containers))]
    for k, container in enumerate(f.containers):
        space[f"c{k}"] = container
    lines = _check_lines(f, inputs, space)
    run = _shared_lines(f, space)
    args = _tuple(inputs + shared)
    run += [
        f"key = {_key(f, inputs, shared)}" + (f" + sizes({args})" if f._has_runtime else ""),
        "found = programs.get(key)",
        "if found is None:",
        f"    found = specialise(key, {_tuple(inputs)}, {_tuple(shared)})",
        f"params = found.params({args}) if found.params is not None else ()",
        "try:",
        f"    out, new = found.run({_tuple(inputs)}, {_tuple(shared)}, params, fresh)",
        "except Exception as error:",
        "    explain(error, found)",
        "    raise",
    ]
    result = "return " + _result(f)
    lines += _committing(f, run, result, space) if f.targets else [*run, result]
    source = "def call(args):\n" + "".join(f"    {line}\n" for line in lines)
    exec(compile(source, f"<call of {f.name or 'function'}>", "exec"), space)
    return source, space["call"]


# ``each(map(...))`` runs in one step of the interpreter: an interrupt comes before all of it or after.
_each: Callable[[Any], Any] = partial(deque, maxlen=0)
_get_value = Container.__dict__["value"].__get__
_set_value = Container.__dict__["value"].__set__
_set_spare = Container.__dict__["spare"].__set__


def _committing(f: CompiledFunction, run: list[str], result: str, space: dict[str, Any]) -> list[str]:
    """``run``, then all updates at once; an interrupt that arrives before the call is over takes them back."""
    space["first"] = f.targets[0]
    return [
        "old = None",
        "with first.guard.lock:",
        "    try:",
        *(f"        {line}" for line in run),
        "        old = tuple(map(values, targets))",
        "        each(map(set_value, targets, new))",
        "        each(map(set_spare, targets, old))",
        f"        {result}",
        "    except BaseException:",
        "        if old is not None:",
        "            each(map(set_value, targets, old))",
        "        raise",
    ]


def _shared_lines(f: CompiledFunction, space: dict[str, Any]) -> list[str]:
    """The values of shared variables, each moved to where the function runs if it lies elsewhere."""
    lines = []
    space["move"] = on_host if f.device is None else partial(place, f.device)
    for k, v in enumerate(f.shared):
        lines.append(f"s{k} = c{k}.value")
        if isinstance(v.type, TensorType):
            elsewhere = f"type(s{k}) is not ndarray"
            if f.device is not None:
                elsewhere = f"not is_ours(s{k})"
            lines += [f"if {elsewhere}:", f"    s{k} = move(c{k})"]
    if f.device is not None:
        space["is_ours"] = f.device.is_array
    return lines


def _contiguous_lines(f: CompiledFunction) -> list[str]:
    """A device takes its arguments in C order."""
    if f.device is None:
        return []
    tensors = [i for i, d in enumerate(f.declared) if isinstance(d.variable.type, TensorType)]
    return [line for i in tensors for line in (f"if not x{i}.flags.c_contiguous:", f"    x{i} = x{i}.copy()")]


def _check_lines(f: CompiledFunction, inputs: list[str], space: dict[str, Any]) -> list[str]:
    if not inputs:
        return []
    lines = [f"{', '.join(inputs)}, = args", "if not f.trust_input:"]
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
    return lines + _contiguous_lines(f)


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
