"""Dtype rules: NumPy's promotion, with Theano's conventions for integer division and Python numbers.

Where the rules differ from NumPy's:

- ``int / int`` is ``config.floatX`` (NumPy: float64).
- A Python float takes ``floatX`` when that is float32. Otherwise it takes the other operand's float dtype if that
  holds its value exactly, and float64 if not. A Python int takes the smallest integer dtype that holds it.
  NumPy's numbers keep their own dtype: ``x * np.float64(0.5)`` is float64.
- ``exp`` and the like give float32 for int8/int16 (and their unsigned kin) and float64 for wider integers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygraph.config import config


@lru_cache(maxsize=4096)
def upcast(*dtypes: str) -> str:
    """The smallest dtype that holds values of all ``dtypes``, by NumPy's promotion."""
    out = np.dtype(dtypes[0])
    for d in dtypes[1:]:
        out = np.promote_types(out, np.dtype(d))
    return out.name


def float_dtype(dtype: str) -> str:
    """The float dtype in which a function such as ``exp`` of ``dtype`` is computed."""
    if dtype.startswith("float"):
        return dtype
    return "float32" if dtype in ("bool", "int8", "uint8", "int16", "uint16") else "float64"


def is_python_number(x: Any) -> bool:
    """Whether ``x`` is a number without a dtype of its own; NumPy's numbers have one (np.float64 is a float, too)."""
    return isinstance(x, (bool, int, float)) and not isinstance(x, np.generic)


def number_dtype(value: Any, like: str | None = None) -> str:
    """The dtype of a Python number used beside an array of dtype ``like``."""
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, int):
        for dtype in ("int8", "int16", "int32", "int64"):
            info = np.iinfo(dtype)
            if info.min <= value <= info.max:
                return dtype
        if value <= np.iinfo("uint64").max:
            return "uint64"
        raise OverflowError(f"the integer {value} does not fit any supported dtype")
    if config.floatX == "float32":
        return "float32"
    with np.errstate(over="ignore"):
        if like is not None and like.startswith("float") and _exact(value, like):
            return like
        if like is None and _exact(value, "float32"):
            return "float32"
    return "float64" if config.floatX == "float64" else config.floatX


def _exact(value: float, dtype: str) -> bool:
    cast = float(np.dtype(dtype).type(value))
    return cast == value or value != value
