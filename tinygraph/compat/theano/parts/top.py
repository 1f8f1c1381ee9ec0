"""The contents of ``theano`` itself."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from tinygraph import (
    In,
    Lop,
    OpFromGraph,
    Out,
    clone,
    foldl,
    foldr,
    function,
    grad,
    hessian,
    jacobian,
    map,  # noqa: A004
    reduce,
    scan,
    scan_checkpoints,
)
from tinygraph.compat.theano.parts.compile import Param, ProfileStats, predefined_modes
from tinygraph.compat.theano.parts.configuration import change_flags, config
from tinygraph.compat.theano.parts.either import dot, shared
from tinygraph.compat.theano.parts.gof import FunctionGraph, Generic
from tinygraph.compat.theano.parts.gradient import Rop
from tinygraph.compat.theano.parts.mode import Mode
from tinygraph.compat.theano.parts.updates import OrderedUpdates, Updates
from tinygraph.compat.theano.parts.version import __version__, version
from tinygraph.gradient import subgraph_grad
from tinygraph.graph import Apply, Constant, Op, SharedVariable, TensorType, Type, Variable, generic
from tinygraph.printing.debugprint import debugprint
from tinygraph.printing.pp import pp, pprint
from tinygraph.tensor.constants import get_scalar_constant_value

__all__ = [
    "Apply", "Constant", "FunctionGraph", "Generic", "In", "Lop", "Mode", "Op", "OpFromGraph", "OrderedUpdates", "Out",
    "Param",
    "ProfileStats", "Rop", "SharedVariable", "TensorType", "Type", "Updates", "Variable", "__version__", "_asarray",
    "change_flags", "clone", "config", "debugprint", "dot", "foldl", "foldr", "function", "generic",
    "get_scalar_constant_value", "grad",
    "hessian", "jacobian", "map", "pp", "pprint", "predefined_modes", "reduce", "scan", "scan_checkpoints", "shared",
    "sparse_grad", "subgraph_grad", "version",
]  # fmt: skip


def _asarray(a: Any, dtype: Any, order: str | None = None) -> np.ndarray:
    """``numpy.asarray``, with ``"floatX"`` allowed for the dtype."""
    from tinygraph.config import config as native

    return np.asarray(a, dtype=native.floatX if builtins.str(dtype) == "floatX" else dtype, order=order)  # type: ignore[call-overload]


def sparse_grad(var: Any) -> Any:
    """``var``, a selection of rows: gradients of selections are scattered without a dense detour as it is."""
    return var
