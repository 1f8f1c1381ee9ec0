"""``theano.tensor.utils``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def hash_from_ndarray(data: np.ndarray) -> str:
    """A digest of an array's values, shape and dtype."""
    data = np.asarray(data)
    digest = hashlib.sha256(np.ascontiguousarray(data).tobytes())
    digest.update(repr((data.shape, data.strides, data.dtype.str)).encode())
    return digest.hexdigest()


def shape_of_variables(fgraph: Any, input_shapes: Mapping[Any, tuple[int, ...]]) -> dict[Any, tuple[int, ...]]:
    """The shape of every variable of a graph, where its inputs have the given ones."""
    from tinygraph import function, tensor

    wanted = [v for v in fgraph.variables if getattr(v.type, "ndim", None) is not None]
    inputs = list(input_shapes)
    f = function(inputs, [tensor.shape(v) for v in wanted], on_unused_input="ignore")
    values = [np.zeros(input_shapes[v], dtype=v.type.dtype) for v in inputs]
    return {v: tuple(int(n) for n in s) for v, s in zip(wanted, f(*values), strict=True)}
