"""Theano's module of that name: NumPy's functions that are neither elementwise nor linear algebra."""

from typing import Any

import numpy as np

from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.counting import bincount, unique
from tinygraph.tensor.cumulative import cumprod, cumsum
from tinygraph.tensor.diagonal import fill_diagonal, fill_diagonal_offset
from tinygraph.tensor.rearrange import diff, repeat
from tinygraph.tensor.selection import compress, ravel_multi_index, to_one_hot, unravel_index
from tinygraph.tensor.shape import squeeze
from tinygraph.tensor.sort import searchsorted

__all__ = [
    "bartlett",
    "bincount",
    "compress",
    "cumprod",
    "cumsum",
    "diff",
    "fill_diagonal",
    "fill_diagonal_offset",
    "ravel_multi_index",
    "repeat",
    "searchsorted",
    "squeeze",
    "to_one_hot",
    "unique",
    "unravel_index",
]


def bartlett(M: Any) -> Any:
    """Bartlett's triangular window of ``M`` points, zero at both ends, as ``numpy.bartlett``."""
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.maths import abs as abs_of
    from tinygraph.tensor.maths import cast_to, maximum, switch

    m = as_tensor_variable(M if not isinstance(M, int) else np.int64(M))
    half = cast_to(maximum(m - 1, 1), "float64") / 2
    window = 1 - abs_of(cast_to(arange(m), "float64") - half) / half
    return switch(m > 1, window, 1.0)
