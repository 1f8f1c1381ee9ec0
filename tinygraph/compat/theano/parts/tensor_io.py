"""``theano.tensor.io``: arrays from files while a function runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph import Apply, Op, TensorType, generic
from tinygraph.graph.variable import Constant, Variable


class LoadFromDisk(Op):
    """The array in an ``.npy`` file, read each time the function runs."""

    __props__ = ("dtype", "shape")
    pure = False

    def __init__(self, dtype: str, shape: Any):
        self.dtype, self.shape = dtype, tuple(shape)

    def make_node(self, path: Any) -> Apply:
        path = path if isinstance(path, Variable) else Constant(generic, path)
        return Apply(self, [path], [TensorType(self.dtype, self.shape)()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        found = np.load(inputs[0], allow_pickle=False)
        output_storage[0][0] = node.outputs[0].type.filter(found, strict=True)  # type: ignore[union-attr]


def load(path: Any, dtype: str, broadcastable: Any, mmap_mode: Any = None) -> Any:
    """The array in the ``.npy`` file ``path``, of a type that is stated; pickles are refused."""
    return LoadFromDisk(dtype, broadcastable)(path)
