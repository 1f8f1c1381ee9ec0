"""Max-pooling under its old name."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.signal.pool import Pool, max_pool_2d_same_size, pool_2d


def max_pool_2d(
    input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0), mode: str = "max"
) -> Any:
    """``pool_2d`` with its old argument names."""
    return pool_2d(input, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode)


DownsampleFactorMax = Pool
__all__ = ["DownsampleFactorMax", "max_pool_2d", "max_pool_2d_same_size"]
