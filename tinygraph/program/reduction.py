"""Facts about reduction combiners."""

from __future__ import annotations

from typing import Any

import numpy as np


def identity(combine: str, dtype: str) -> Any:
    """The value that combines with any other to that other, as a Python number."""
    kind = np.dtype(dtype).kind
    if combine in ("add", "or", "xor"):
        return False if kind == "b" else 0
    if combine in ("mul", "and"):
        return True if kind == "b" else (-1 if combine == "and" and kind in "iu" else 1)
    if kind == "f":
        return float("-inf") if combine == "maximum" else float("inf")
    if kind == "b":
        return combine == "minimum"
    info = np.iinfo(dtype)
    return int(info.min if combine == "maximum" else info.max)
