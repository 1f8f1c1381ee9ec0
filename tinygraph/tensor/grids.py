"""Grids of numbers by index notation, closeness, and cuts of triangles' indices."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.creation import arange, meshgrid
from tinygraph.tensor.shape import dimshuffle


class _Grid:
    """``mgrid[0:n, 1:m:2]``: coordinate arrays of a grid, full (mgrid) or open (ogrid). No complex steps."""

    def __init__(self, open_grid: bool):
        self.open_grid = open_grid

    def __getitem__(self, key: Any) -> Any:
        slices = list(key) if isinstance(key, tuple) else [key]
        ranges = []
        for s in slices:
            if not isinstance(s, slice) or s.stop is None or isinstance(s.step, complex):
                raise TypeError(f"a grid needs slices with a stop and a real step, got {s}")
            step = 1 if s.step is None else s.step
            ranges.append(arange(0 if s.start is None else s.start, s.stop, step))
        n = len(ranges)
        if n == 1:
            return ranges[0]
        if self.open_grid:
            return [dimshuffle(r, ["x"] * i + [0] + ["x"] * (n - i - 1)) for i, r in enumerate(ranges)]
        from tinygraph.tensor.join import stack

        return stack(meshgrid(*ranges, indexing="ij"))


mgrid = _Grid(open_grid=False)
ogrid = _Grid(open_grid=True)


def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether ``|a - b| <= atol + rtol * |b|`` elementwise; infinities are close to themselves."""
    from tinygraph.tensor.maths import abs as abs_of
    from tinygraph.tensor.maths import and_, eq, invert, isinf, isnan, le, or_

    a, b = as_tensor_variable(a), as_tensor_variable(b)
    near = and_(le(abs_of(a - b), atol + rtol * abs_of(b)), invert(or_(isinf(a), isinf(b))))
    found = or_(near, eq(a, b))
    return or_(found, and_(isnan(a), isnan(b))) if equal_nan else found


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements are close, as ``numpy.allclose``."""
    from tinygraph.tensor.reduce import all as all_of

    return all_of(isclose(a, b, rtol, atol, equal_nan))


def tril_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, ...]:
    """Positions of the lower triangle of an (n, m) matrix, as ``numpy.tril_indices``."""
    from tinygraph.tensor.creation import tri
    from tinygraph.tensor.selection import nonzero

    return nonzero(tri(n, m, k, dtype="bool"))


def triu_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, ...]:
    """Positions of the upper triangle of an (n, m) matrix, as ``numpy.triu_indices``."""
    from tinygraph.tensor.creation import tri
    from tinygraph.tensor.maths import invert
    from tinygraph.tensor.selection import nonzero

    return nonzero(invert(tri(n, m, k - 1, dtype="bool")))
