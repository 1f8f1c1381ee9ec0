"""Pooling over the last dimensions of a tensor: ``pool_2d``, ``pool_3d`` and the op class by its Theano name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.nnet.windows import per_axis
from tinygraph.tensor.signal.averaging import SumPool, SumPoolGrad
from tinygraph.tensor.signal.windowed import MaxPool, MaxPoolGrad, pooled_size, spatial_sizes

_MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def pool_2d(
    input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0),
    mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None,
) -> Any:  # fmt: skip
    """Maximum, sum or average of each window of the last two dimensions.

    Shapes: (..., rows, columns) -> (..., pooled rows, pooled columns); the sizes are those of ``Pool.out_shape``.

    Parameters
    ----------
    ws (old name ds) : window size, one integer or two
    ignore_border : leave out windows that do not fit; False (the default, as in Theano): they count with the points
        they have
    stride (old name st) : distance between windows, by default ``ws``
    pad (old name padding) : points added on each side (minus infinity for "max", else 0); needs ``ignore_border``
    mode : "max", "sum", "average_inc_pad" (padding counts) or "average_exc_pad" (it does not)

    Raises InvalidValue for values that do not fit. Of equal maxima the first in row-major order takes the gradient.
    """
    return _pool(input, 2, ws, ignore_border, stride, pad, mode, ds, st, padding)


def pool_3d(
    input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0, 0),
    mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None,
) -> Any:  # fmt: skip
    """``pool_2d`` over the last three dimensions."""
    return _pool(input, 3, ws, ignore_border, stride, pad, mode, ds, st, padding)


def _pool(
    input: Any, rank: int, ws: Any, ignore_border: bool | None, stride: Any, pad: Any, mode: str, ds: Any, st: Any,
    padding: Any,
) -> Any:  # fmt: skip
    name = f"pool_{rank}d"
    x = as_tensor_variable(input)
    ws = _renamed(name, "ws", ws, "ds", ds)
    stride = _renamed(name, "stride", stride, "st", st)
    if padding is not None:
        if any(per_axis(pad, rank, f"{name}: pad", least=0)):
            raise InvalidValue(f"{name}: pad and its old name padding are both given; keep pad")
        pad = padding
    if ws is None:
        raise InvalidValue(f"{name}: ws, the window size, is missing")
    if x.type.ndim < rank:
        raise InvalidValue(f"{name}: expected a tensor of at least {rank} dimensions, got {x} of type {x.type}")
    return Pool(bool(ignore_border), mode, rank)(x, ws, stride, pad)


def _renamed(function: str, name: str, value: Any, old: str, old_value: Any) -> Any:
    if old_value is not None and value is not None:
        raise InvalidValue(f"{function}: {name} and its old name {old} are both given; keep {name}")
    return value if old_value is None else old_value


class Pool:
    """Pooling with settings kept apart from its windows: ``Pool(ignore_border, mode, ndim)(x, ws, stride, pad)``."""

    def __init__(self, ignore_border: bool = False, mode: str = "max", ndim: int = 2, openmp: Any = None):
        if mode not in _MODES:
            raise InvalidValue(f"pooling: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
        self.ignore_border, self.mode, self.ndim = bool(ignore_border), mode, ndim

    def __call__(self, x: Any, ws: Any, stride: Any = None, pad: Any = 0) -> Any:
        x = as_tensor_variable(x)
        window = per_axis(ws, self.ndim, "pooling: ws")
        step = window if stride is None else per_axis(stride, self.ndim, "pooling: stride")
        border = per_axis(pad, self.ndim, "pooling: pad", least=0)
        if self.mode == "max":
            return MaxPool(window, step, border, self.ignore_border)(x)
        count = {"sum": None, "average_inc_pad": "all", "average_exc_pad": "image"}[self.mode]
        return SumPool(window, step, border, self.ignore_border, count)(x)

    @staticmethod
    def out_shape(
        imgshape: Sequence[Any], ds: Any = None, ignore_border: bool = False, st: Any = None, padding: Any = None,
        ndim: int = 2, ws: Any = None, stride: Any = None, pad: Any = None,
    ) -> list[Any]:  # fmt: skip
        """The shape that pooling gives an image of shape ``imgshape`` (numbers or symbolic sizes)."""
        ws = per_axis(ds if ws is None else ws, ndim, "Pool.out_shape: ws")
        step = st if stride is None else stride
        stride = ws if step is None else per_axis(step, ndim, "Pool.out_shape: stride")
        border = padding if pad is None else pad
        pad = (0,) * ndim if border is None else per_axis(border, ndim, "Pool.out_shape: pad", least=0)
        if len(imgshape) < ndim:
            raise InvalidValue(f"Pool.out_shape: imgshape must have at least {ndim} entries, got {imgshape!r}")
        sizes = list(imgshape[len(imgshape) - ndim :])
        pooled = [_pooled(n, w, s, p, ignore_border) for n, w, s, p in zip(sizes, ws, stride, pad, strict=True)]
        return list(imgshape[: len(imgshape) - ndim]) + pooled


def _pooled(n: Any, ws: int, stride: int, pad: int, ignore_border: bool) -> Any:
    """``pooled_size`` of a number or of a symbolic size."""
    if isinstance(n, int) or not hasattr(n, "type"):
        return pooled_size(int(n), ws, stride, pad, ignore_border)
    from tinygraph.tensor.maths import maximum

    n = n + 2 * pad
    if ignore_border:
        return maximum((n - ws) // stride + 1, 0)
    return (n - 1) // stride + 1 if stride >= ws else maximum((n - 1 - ws + stride) // stride, 0) + 1


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Any:
    """``input`` with every element but the maximum of its window set to 0. Shapes: (..., rows, columns) -> the same."""
    window = per_axis(patch_size, 2, "max_pool_2d_same_size: patch_size")
    pool = MaxPool(window, window, (0, 0), True)
    largest, place = pool(input, return_list=True)
    return pool.sibling(MaxPoolGrad)(place, largest, spatial_sizes(input, 2))


__all__ = ["MaxPool", "MaxPoolGrad", "Pool", "SumPool", "SumPoolGrad", "max_pool_2d_same_size", "pool_2d", "pool_3d"]
