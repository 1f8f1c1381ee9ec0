"""``theano.gof``: graphs, ops, types, rewrites."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts import gof_utils as utils
from tinygraph.compat.theano.parts.absent import NotInTinygraph, absent_class, absent_function
from tinygraph.compat.theano.parts.gof_utils import MethodNotDefined, hashtype
from tinygraph.compat.theano.parts.graph import *  # noqa: F403
from tinygraph.compat.theano.parts.opt import (
    EquilibriumOptimizer,
    LocalOptGroup,
    LocalOptimizer,
    OpRemove,
    OpSub,
    PatternSub,
    local_optimizer,
    optimizer,
)
from tinygraph.compat.theano.parts.optdb import (
    DB,
    EquilibriumDB,
    LocalGroupDB,
    MergeOptimizer,
    OpKeyOptimizer,
    Optimizer,
    Query,
    SeqOptimizer,
    SequenceDB,
    TopoOptimizer,
    copy_stack_trace,
    in2out,
    out2in,
)
from tinygraph.errors import InconsistencyError, MissingInputError
from tinygraph.graph import Apply, Constant, Op, Type, Variable, generic
from tinygraph.graph import FunctionGraph as NativeFunctionGraph
from tinygraph.graph.shared import Container, SharedVariable
from tinygraph.graph.type import DisconnectedType, GenericType, NullType

Generic = GenericType
PureType = Type
PureOp = Op
SingletonType = GenericType

_C = "write the op's perform with NumPy, or give it lower(b, node, inputs), which every target compiles"
COp = absent_class("COp", _C)
ExternalCOp = absent_class("ExternalCOp", _C)
OpenMPOp = absent_class("OpenMPOp", _C)
Params = absent_class("Params", "an op's settings are its attributes, named in __props__")
ParamsType = absent_class("ParamsType", "an op's settings are its attributes, named in __props__")
EnumType = absent_class("EnumType", "an op's settings are its attributes, named in __props__")
EnumList = absent_class("EnumList", "an op's settings are its attributes, named in __props__")
CDataType = absent_class("CDataType", "use theano.gof.generic for Python objects")

_LINK = "choose how functions run by config.target (numpy, llvm, cuda) and Mode(optimizer=...)"
CLinker = absent_class("CLinker", _LINK)
PerformLinker = absent_class("PerformLinker", _LINK)
OpWiseCLinker = absent_class("OpWiseCLinker", _LINK)
DualLinker = absent_class("DualLinker", _LINK)
WrapLinker = absent_class("WrapLinker", _LINK)
WrapLinkerMany = absent_class("WrapLinkerMany", _LINK)

_FEATURE = "append a function(fgraph, old, new, reason) to fgraph.observers; replace and toposort are always there"
Feature = absent_class("Feature", _FEATURE)
ReplaceValidate = absent_class("ReplaceValidate", _FEATURE)
NodeFinder = absent_class("NodeFinder", _FEATURE)
History = absent_class("History", "fgraph.history lists every replacement")
AlreadyThere = type("AlreadyThere", (Exception,), {"__doc__": "Never raised: there are no features to attach twice."})
DestroyHandler = absent_class("DestroyHandler", "the memory plan of a compiled function decides what is overwritten")
get_module_cache = absent_function("get_module_cache", "compiled code is kept in config.cache_dir")


class _GraphMeta(type):
    def __instancecheck__(cls, graph: Any) -> bool:
        return isinstance(graph, NativeFunctionGraph)


class FunctionGraph(NativeFunctionGraph, metaclass=_GraphMeta):
    """``FunctionGraph(inputs, outputs, features=None, clone=True)``: a graph for rewrites to change."""

    def __init__(self, inputs: Any, outputs: Any, features: Any = None, clone: bool = True, **kwargs: Any):
        super().__init__(inputs, outputs, kwargs.pop("clone_graph", clone))
        if features:
            raise NotInTinygraph(f"theano's Feature: {_FEATURE}")


def get_test_value(v: Any) -> Any:
    """The example value of a variable: a constant's data, a shared variable's value, or its test value.

    Raises AttributeError where there is none.
    """
    if not isinstance(v, Variable):
        import tinygraph.tensor as T

        v = T.as_tensor_variable(v)
    if isinstance(v, Constant):
        return v.data
    if isinstance(v, SharedVariable):
        return v.get_value(borrow=True)
    return v.tag.test_value


class CLinkerType(Type):
    """A type for Python objects; methods that write C are never called."""


class CLinkerOp(Op):
    """An op; methods that write C are never called."""


def __getattr__(name: str) -> Any:
    if name == "graph":
        from tinygraph.compat.theano.modules import MODULES

        return MODULES["gof.graph"]
    if name == "optdb":
        from tinygraph.compat.theano.modules import MODULES

        return MODULES["gof.optdb"]
    raise AttributeError(name)


__all__ = [
    "DB", "EquilibriumDB", "LocalGroupDB", "MergeOptimizer", "OpKeyOptimizer", "Optimizer", "Query", "SeqOptimizer",
    "SequenceDB", "TopoOptimizer", "copy_stack_trace", "get_test_value", "in2out", "out2in",
    "AlreadyThere", "Apply", "CDataType", "CLinker", "CLinkerOp", "CLinkerType", "COp", "Constant", "Container",
    "DestroyHandler", "DisconnectedType", "DualLinker", "EnumList", "EnumType", "EquilibriumOptimizer", "ExternalCOp",
    "Feature", "FunctionGraph", "Generic", "History", "InconsistencyError", "LocalOptGroup", "LocalOptimizer",
    "MethodNotDefined", "MissingInputError", "NodeFinder", "NullType", "Op", "OpRemove", "OpSub", "OpWiseCLinker",
    "OpenMPOp", "Params", "ParamsType", "PatternSub", "PerformLinker", "PureOp", "PureType", "ReplaceValidate",
    "SingletonType", "Type", "Variable", "WrapLinker", "WrapLinkerMany", "ancestors", "as_string", "clone",  # noqa: F405
    "generic", "get_module_cache", "hashtype", "inputs", "io_toposort", "is_same_graph", "list_of_nodes",  # noqa: F405
    "local_optimizer", "ops", "optimizer", "orphans", "stack_search", "utils", "variables",  # noqa: F405
    "variables_and_orphans", "view_roots",  # noqa: F405
]  # fmt: skip
