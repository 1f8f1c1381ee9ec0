"""Giving a replacement the type and shape of what it replaces."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import dtype, ndim
from tinygraph.passes.rewrite import Context
from tinygraph.tensor.broadcast import alloc_op
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.shape import DimShuffle


def padded(v: Any, n: int) -> Any:
    """``v`` with leading dimensions of size 1 up to ``n`` dimensions."""
    lead = n - ndim(v)
    return v if lead <= 0 else DimShuffle(ndim(v), ["x"] * lead + list(range(ndim(v))))(v)


def fitted(new: Any, old: Variable, context: Context, spread: bool = False) -> Any:
    """``new`` in the dtype and rank of ``old``, if it is then proven to have its shape; else None.

    ``spread``: a value of smaller shape is spread over that of ``old``, where sizes of inputs say what that is.
    """
    if ndim(new) > ndim(old):
        return None
    new = padded(cast_to(new, dtype(old)), ndim(old))
    shapes = context.shapes
    if shapes.same(new, old):
        return new
    if not spread:
        return None
    sizes = [shapes.build(d) for d in shapes.of(old)]
    return None if any(s is None for s in sizes) else alloc_op(new, *sizes)
