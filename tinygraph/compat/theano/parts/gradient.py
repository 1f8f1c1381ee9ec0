"""Names of ``theano.gradient`` beside the native ones."""

from tinygraph.gradient.modifiers import ZeroGrad
from tinygraph.graph.traversal import io_toposort
from tinygraph.graph.type import DisconnectedType, NullType

ConsiderConstant = ZeroGrad


def format_as(use_list: bool, use_tuple: bool, outputs):  # noqa: ANN001, ANN201
    """``outputs`` as a list, as a tuple, or its only element."""
    if use_list:
        return list(outputs)
    if use_tuple:
        return tuple(outputs)
    if len(outputs) != 1:
        raise ValueError(f"expected one output, got {len(outputs)}")
    return outputs[0]


__all__ = ["ConsiderConstant", "DisconnectedType", "NullType", "format_as", "io_toposort"]
