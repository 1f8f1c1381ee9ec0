"""What an expression is: types, variables, ops, nodes, and the graphs they form."""

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import (
    ancestors,
    clone,
    graph_inputs,
    io_toposort,
    is_same_graph,
    toposort,
)
from tinygraph.graph.type import DisconnectedType, GenericType, NullType, Type, generic
from tinygraph.graph.variable import Constant, Variable

__all__ = [
    "Apply",
    "Constant",
    "DisconnectedType",
    "FunctionGraph",
    "GenericType",
    "NullType",
    "Op",
    "SharedVariable",
    "TensorType",
    "Type",
    "Variable",
    "ancestors",
    "clone",
    "generic",
    "graph_inputs",
    "io_toposort",
    "is_same_graph",
    "toposort",
]
