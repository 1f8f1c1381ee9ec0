"""``theano.tensor.slinalg``: what is made by other arguments there."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor import slinalg as native

__all__ = ["Solve"]

_ASSUMED = {
    "general": "gen",
    "symmetric": "sym",
    "lower_triangular": "lower_triangular",
    "upper_triangular": "upper_triangular",
}


class Solve:
    """``Solve(A_structure)(A, b)``: the x with ``A @ x = b``; which triangle is read follows from the structure."""

    def __init__(self, A_structure: str = "general", lower: bool = False, overwrite_A: bool = False,
                 overwrite_b: bool = False) -> None:  # fmt: skip
        if A_structure not in _ASSUMED:
            raise ValueError(f"Solve: A_structure must be one of {', '.join(_ASSUMED)}, got {A_structure!r}")
        self.A_structure = A_structure
        self.lower = lower

    def __call__(self, A: Any, b: Any) -> Any:
        return native.solve(A, b, assume_a=_ASSUMED[self.A_structure], lower=self.lower)
