"""Functions of Theano's that take dense and sparse matrices alike."""

from __future__ import annotations

import functools
from typing import Any

from tinygraph.tensor.dot import dot as dense_dot
from tinygraph.tensor.shared import shared as dense_shared

__all__ = ["dot", "shared"]


def _sparse_if_any(*values: Any) -> Any:
    """``theano.sparse``'s module if one of ``values`` is a sparse matrix (SciPy is not asked for otherwise)."""
    if any(getattr(v, "format", None) in ("csr", "csc") for v in values):
        from tinygraph.compat.theano.parts.sparse import basic, types

        return basic, types
    return None


def dot(left: Any, right: Any) -> Any:
    """The product of matrices and vectors; either may be sparse."""
    found = _sparse_if_any(left, right)
    return found[0].structured_dot(left, right) if found else dense_dot(left, right)


@functools.wraps(dense_shared)
def shared(value: Any, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
    found = _sparse_if_any(value)
    return (
        found[1].shared(value, name, *args, **kwargs) if found else dense_shared(value, name, *args, **kwargs)
    )
