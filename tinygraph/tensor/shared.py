"""``shared``: variables with a value of their own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.type import generic
from tinygraph.graph.variable import Variable
from tinygraph.tensor.variable import TensorSharedVariable


def shared(
    value: Any,
    name: str | None = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    borrow: bool = False,
    broadcastable: Any = None,
    shape: Any = None,
    target: Any = None,
) -> Any:
    """A variable that keeps ``value`` between calls; functions read it, and their ``updates`` replace it.

    Parameters
    ----------
    value : array or number. Arrays are copied unless ``borrow``. Python floats are float64, ints int64, as in NumPy.
    shape, broadcastable : sizes that every value will have; by default only rank and dtype are fixed.
    strict, allow_downcast : how ``set_value`` treats values of other dtypes.
    """
    if isinstance(value, Variable):
        raise TypeMismatch(f"shared() needs a value, got the symbolic variable {value}; use its eval() or get_value()")
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        value = np.from_dlpack(value)
    if not isinstance(value, (np.ndarray, np.generic, int, float, bool)):
        if isinstance(value, (list, tuple)):
            raise TypeMismatch(
                "shared() takes arrays and numbers, not lists; use numpy.asarray(value, dtype=...) to say which dtype"
            )
        new = SharedVariable(generic, value if borrow else copy.deepcopy(value), name)
        return new
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeMismatch(f"shared() needs numbers, got an array of {array.dtype}")
    if shape is None:
        flags = (False,) * array.ndim if broadcastable is None else broadcastable
        shape = tuple(1 if flag else None for flag in flags)
    type = TensorType(array.dtype, shape)
    stored = type.filter(array, strict=True)
    if not borrow or not isinstance(value, np.ndarray):
        stored = np.array(stored, copy=True, order="C")
    new = TensorSharedVariable(type, stored, name)
    new.strict = strict
    new.allow_downcast = allow_downcast
    return new
