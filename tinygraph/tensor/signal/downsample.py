"""Max-pooling under its old name."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.signal.pool import Pool, pool_2d


def max_pool_2d(
    input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0), mode: str = "max"
) -> Any:
    """``pool_2d`` with its old argument names."""
    return pool_2d(input, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode)


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Any:
    """``input`` with every element but the maximum of its window set to 0. Shapes: (..., rows, columns) -> the same."""
    from tinygraph.tensor.nnet.windows import per_axis
    from tinygraph.tensor.signal.windowed import MaxPool, MaxPoolGrad, spatial_sizes

    window = per_axis(patch_size, 2, "max_pool_2d_same_size: patch_size")
    pool = MaxPool(window, window, (0, 0), True)
    largest, place = pool(input, return_list=True)
    return pool.sibling(MaxPoolGrad)(place, largest, spatial_sizes(input, 2))


DownsampleFactorMax = Pool
