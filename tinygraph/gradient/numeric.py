"""Finite differences: the oracle that gradients are checked against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygraph.errors import TypeMismatch

#: steps that balance truncation (step squared) against rounding (unit / step) in a central difference
STEPS = {"float64": 1e-5, "float32": 2e-3, "float16": 6e-2}


class WorstError(NamedTuple):
    """Where two gradients differ most: argument, flat position in it, absolute and relative error."""

    arg: int
    position: int
    abs_err: float
    rel_err: float


class numeric_grad:  # noqa: N801 - the name it has in Theano
    """The gradient of a scalar function ``f(*pt)`` by central differences.

    Parameters
    ----------
    f : takes the arrays of ``pt``, returns a number
    pt : an array of floats, or a list of them
    eps : step, by default one that suits the least precise dtype in ``pt``

    Attributes: ``gf``, an array like ``pt`` (a list of them if ``pt`` is one).
    """

    def __init__(self, f: Callable[..., Any], pt: Any, eps: float | None = None, out_type: str | None = None):
        single = not isinstance(pt, (list, tuple))
        points = [np.array(p, order="C") for p in ([pt] if single else pt)]
        for i, p in enumerate(points):
            if p.dtype.kind != "f":
                raise TypeMismatch(f"numeric_grad: point {i} must be of a float dtype, got {p.dtype}")
        dtypes = [p.dtype.name for p in points] + ([out_type] if out_type in STEPS else [])
        self.eps = eps if eps is not None else max((STEPS[d] for d in dtypes), default=STEPS["float64"])
        found = [self._by_argument(f, points, i) for i in range(len(points))]
        self.gf: Any = found[0] if single else found

    def _by_argument(self, f: Callable[..., Any], points: Sequence[np.ndarray], i: int) -> np.ndarray:
        moved = list(points)
        moved[i] = x = points[i].copy()
        g = np.empty(x.shape, x.dtype)
        flat_x, flat_g = x.reshape(-1), g.reshape(-1)
        for k, centre in enumerate(points[i].reshape(-1)):
            flat_x[k] = centre + x.dtype.type(self.eps)
            high_at, high = float(flat_x[k]), float(f(*moved))
            flat_x[k] = centre - x.dtype.type(self.eps)
            low_at, low = float(flat_x[k]), float(f(*moved))
            flat_x[k] = centre
            flat_g[k] = (high - low) / (high_at - low_at)
        return g

    @staticmethod
    def abs_rel_err(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
        """Absolute and relative difference, element by element; nan in only one of the two counts as infinite."""
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        with np.errstate(all="ignore"):
            abs_err = np.abs(a - b)
            abs_err = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, abs_err)
            abs_err = np.where(np.isnan(abs_err), np.inf, abs_err)
            rel_err = np.where(abs_err == 0, 0.0, abs_err / np.maximum(np.abs(a) + np.abs(b), 1e-8))
        return abs_err, np.where(np.isnan(rel_err), np.inf, rel_err)

    def abs_rel_errors(self, g_pt: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """Errors of ``g_pt`` (a list of arrays) for each argument."""
        found = self.gf if isinstance(self.gf, list) else [self.gf]
        given = list(g_pt) if isinstance(g_pt, (list, tuple)) else [g_pt]
        if len(found) != len(given):
            raise ValueError(f"expected {len(found)} gradients, got {len(given)}")
        for i, (a, b) in enumerate(zip(found, given, strict=True)):
            if a.shape != np.shape(b):
                raise ValueError(f"gradient {i} has shape {np.shape(b)}, its argument has {a.shape}")
        return [self.abs_rel_err(a, b) for a, b in zip(found, given, strict=True)]

    def max_err(self, g_pt: Any, abs_tol: float, rel_tol: float) -> WorstError:
        """The element whose error is largest against both tolerances (an error counts if it exceeds both)."""
        worst = WorstError(0, 0, 0.0, 0.0)
        most = -1.0
        for i, (abs_err, rel_err) in enumerate(self.abs_rel_errors(g_pt)):
            if abs_err.size == 0:
                continue
            score = np.minimum(abs_err / abs_tol, rel_err / rel_tol).reshape(-1)
            k = int(score.argmax())
            if score[k] > most:
                most = float(score[k])
                worst = WorstError(i, k, float(abs_err.reshape(-1)[k]), float(rel_err.reshape(-1)[k]))
        return worst
