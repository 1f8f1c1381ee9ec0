"""``theano.compile`` and what is below it."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class
from tinygraph.compat.theano.parts.configuration import config
from tinygraph.compat.theano.parts.copies import DeepCopyOp, ViewOp, deep_copy_op, view_op
from tinygraph.compat.theano.parts.either import shared
from tinygraph.compat.theano.parts.mode import (
    FAST_COMPILE,
    FAST_RUN,
    Mode,
    get_default_mode,
    get_mode,
    predefined_modes,
    register_mode,
)
from tinygraph.compat.theano.parts.optdb import Query, optdb
from tinygraph.compat.theano.parts.param import Param
from tinygraph.compat.theano.parts.profiling import ProfileStats
from tinygraph.compile.builders import OpFromGraph
from tinygraph.compile.compiled import CompiledFunction
from tinygraph.compile.function import function
from tinygraph.compile.io import In, Out
from tinygraph.compile.ops import FromFunctionOp, as_op, wrap_py
from tinygraph.errors import UnusedInputError
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.type import generic
from tinygraph.tensor.shape import Shape, SpecifyShape, shape, specify_shape

Rebroadcast = absent_class("Rebroadcast", "sizes are as far known as they are; T.addbroadcast asserts a 1")
Function = CompiledFunction
SymbolicInput = In
SymbolicOutput = Out
pfunc = function


def rebuild_collect_shared(outputs: Any, inputs: Any = None, replace: Any = None, updates: Any = None,
                           rebuild_strict: bool = True, copy_inputs_over: bool = True,
                           no_default_updates: bool = False) -> Any:  # fmt: skip
    """(inputs, outputs, [copies by original, updates, None, shared variables]) of a graph with replacements done."""
    from tinygraph.compile.clone import clone
    from tinygraph.compile.updates import checked_updates, with_default_updates
    from tinygraph.graph.traversal import inputs as leaves

    single = not isinstance(outputs, (list, tuple))
    wanted = [outputs] if single else list(outputs)
    found = clone(wanted, replace=replace, strict=rebuild_strict, share_inputs=copy_inputs_over)
    pairs, exprs = with_default_updates(checked_updates(updates), found, {}, no_default_updates)
    shareds = [v for v in leaves(exprs) if isinstance(v, SharedVariable)]
    equiv = dict(zip(wanted, found, strict=True))
    return list(inputs or ()), found[0] if single else found, [equiv, pairs, None, shareds]


def register_view_op_c_code(*args: Any, **kwargs: Any) -> None:
    """Nothing: no C is written."""


register_deep_copy_op_c_code = register_view_op_c_code
register_shape_c_code = register_view_op_c_code
register_shape_i_c_code = register_view_op_c_code


def shared_constructor(ctor: Any, remove: bool = False) -> Any:
    """Theano's registry of constructors of shared variables: ``shared`` here takes arrays, numbers and objects."""
    return ctor


def __getattr__(name: str) -> Any:
    if name in ("NanGuardMode", "DebugMode", "MonitorMode"):
        from importlib import import_module

        return getattr(import_module(f"tinygraph.compat.theano.parts.{name.lower()}"), name)
    raise AttributeError(name)


__all__ = [
    "DeepCopyOp", "FAST_COMPILE", "FAST_RUN", "FromFunctionOp", "Function", "In", "Mode", "OpFromGraph",
    "Out", "Param",
    "ProfileStats",
    "Query", "Rebroadcast", "Shape", "SharedVariable", "SpecifyShape", "SymbolicInput", "SymbolicOutput",
    "UnusedInputError", "ViewOp",
    "as_op", "config",
    "deep_copy_op", "function", "generic", "optdb", "get_default_mode", "get_mode", "pfunc", "predefined_modes",
    "rebuild_collect_shared", "register_mode", "shape", "shared", "shared_constructor", "specify_shape", "view_op",
    "wrap_py",
]  # fmt: skip
