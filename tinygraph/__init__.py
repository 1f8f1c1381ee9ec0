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
from tinygraph.gradient import Lop, Rop, grad, hessian, jacobian, verify_grad
from tinygraph.scan import foldl, foldr, map, reduce, scan, scan_checkpoints, until  # noqa: A004
from tinygraph.tensor.lazy import ifelse
from tinygraph.tensor.shared import shared

__all__ = [
    "DebugMode",
    "In",
    "Lop",
    "Mode",
    "MonitorMode",
    "NanGuardMode",
    "OpFromGraph",
    "Out",
    "Rop",
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
    "tensor",
    "until",
    "verify_grad",
]
