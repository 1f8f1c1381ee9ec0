"""tinygraph: a compiled-graph mini deep-learning compiler in Theano's model."""

from tinygraph.config import config
from tinygraph import tensor
from tinygraph.compile.builders import OpFromGraph
from tinygraph.compile.clone import clone
from tinygraph.compile.function import function
from tinygraph.compile.io import In, Out
from tinygraph.compile.mode import Mode
from tinygraph.compile.ops import as_op
from tinygraph.compile.test_values import get_test_value
from tinygraph.compile.watch import DebugMode, MonitorMode, NanGuardMode, detect_nan
from tinygraph import gradient
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.gradient import Lop, Rop, grad, hessian, jacobian, subgraph_grad, verify_grad
from tinygraph.scan import foldl, foldr, map, reduce, scan, scan_checkpoints, until  # noqa: A004
from tinygraph.tensor.lazy import ifelse
from tinygraph.tensor.shared import shared

__all__ = [
    "Apply",
    "Constant",
    "DebugMode",
    "In",
    "Lop",
    "Mode",
    "MonitorMode",
    "NanGuardMode",
    "Op",
    "OpFromGraph",
    "Out",
    "Rop",
    "TensorType",
    "Variable",
    "as_op",
    "clone",
    "config",
    "detect_nan",
    "foldl",
    "foldr",
    "function",
    "get_test_value",
    "grad",
    "gradient",
    "hessian",
    "ifelse",
    "jacobian",
    "map",
    "reduce",
    "scan",
    "scan_checkpoints",
    "shared",
    "subgraph_grad",
    "tensor",
    "until",
    "verify_grad",
]

# What few programs use is loaded when it is first asked for.
_PACKAGES = ("datasets", "printing", "updates")
_FUNCTIONS = {"debugprint": "printing", "pp": "printing", "pprint": "printing"}


def __getattr__(name: str):  # noqa: ANN202
    """``tinygraph.updates``, ``tinygraph.printing`` and ``tinygraph.datasets`` need no import of their own."""
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f"tinygraph.{name}")
    if name in _FUNCTIONS:
        return getattr(import_module(f"tinygraph.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
