"""Values that are known while the graph is built."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.graph.op import static_value
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor.basic import as_tensor_variable


class NotScalarConstantError(InvalidValue):
    """A variable whose value is not one number known while the graph is built."""


def get_scalar_constant_value(v: Any) -> Any:
    """The number that ``v`` is known to equal everywhere, as a NumPy scalar of its dtype.

    Looks through every pure op whose inputs are constants, and at sizes that types know. Raises
    NotScalarConstantError where the value depends on an input, or elements differ.
    """
    if v is None:
        raise NotScalarConstantError("None has no constant value")
    v = as_tensor_variable(v)
    known = static_value(v)
    if isinstance(known, int):
        return np.dtype(v.type.dtype).type(known)
    found = _spread_constant(v)
    values = found if found is not None else _computed(v)
    if values is None or values.size == 0 or not (values == values.flat[0]).all():
        raise NotScalarConstantError(f"{v} of type {v.type} is not known to be one number")
    return values.reshape(-1)[0]


def _spread_constant(v: Variable) -> np.ndarray | None:
    """The constant that ``v`` is made of by spreading and reshaping alone; its sizes need not be known."""
    from tinygraph.tensor.broadcast import Alloc
    from tinygraph.tensor.shape import DimShuffle, Reshape, SpecifyShape

    while v.owner is not None and isinstance(v.owner.op, (Alloc, DimShuffle, Reshape, SpecifyShape)):
        v = v.owner.inputs[0]
    return np.asarray(v.data) if isinstance(v, Constant) else None


def _computed(v: Variable) -> np.ndarray | None:
    """The value of a small expression of constants, or None."""
    values: dict[Variable, Any] = {}
    for node in toposort([v]):
        for x in node.inputs:
            if isinstance(x, Constant):
                values[x] = x.data
        if not node.op.pure or any(x not in values for x in node.inputs):
            if not _sizes_known(node):
                return None
            values[node.outputs[0]] = np.asarray(static_value(node.outputs[0]))
            continue
        values.update(zip(node.outputs, node.op.evaluate(node, [values[x] for x in node.inputs]), strict=True))
    return values.get(v)


def _sizes_known(node: Any) -> bool:
    """Whether the node gives integers that types already decide, such as a shape."""
    known = static_value(node.outputs[0])
    items = known if isinstance(known, tuple) else (known,)
    return len(node.outputs) == 1 and all(isinstance(i, int) for i in items)


def is_known(v: Any) -> bool:
    """Whether ``get_scalar_constant_value`` would succeed."""
    try:
        get_scalar_constant_value(v)
    except NotScalarConstantError:
        return False
    return True


def extract_constant(x: Any, elemwise: bool = True, only_process_constants: bool = False) -> Any:
    """The number that ``x`` is known to equal, or ``x`` itself."""
    try:
        return get_scalar_constant_value(x)
    except NotScalarConstantError:
        return as_tensor_variable(x)


def get_vector_length(v: Any) -> int:
    """The length of a vector, where it is known while the graph is built; ValueError where not."""
    v = as_tensor_variable(v)
    if not isinstance(v.type, TensorType) or v.type.ndim != 1:
        raise TypeError(f"get_vector_length: a vector is needed, got {v} of type {v.type}")
    if v.type.shape[0] is None:
        raise InvalidValue(f"the length of {v} is not known while the graph is built")
    return v.type.shape[0]
