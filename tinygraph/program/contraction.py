"""Recognising contractions: nests that are sums of products, for which targets have special schedules."""

from __future__ import annotations

from tinygraph.program.instructions import Nest


def is_contraction(nest: Nest, any_dtype: bool = False) -> bool:
    """A sum of products of two plain loads, both moving along every reduction axis and one along every other.

    Of the floats that BLAS knows, unless ``any_dtype``.
    """
    e = nest.expr
    if nest.combine != "add" or e.op != "mul" or not (any_dtype or nest.dtype in ("float32", "float64")):
        return False
    a, b = e.args
    if a.op != "load" or b.op != "load" or a.attr.dynamic is not None or b.attr.dynamic is not None:
        return False
    if a.dtype != nest.dtype or b.dtype != nest.dtype:
        return False
    reduced = [k for k, kind in enumerate(nest.kinds) if kind == "r"]
    both = all(nest.extents[k] == 1 or (a.attr.strides[k] and b.attr.strides[k]) for k in reduced)
    every = all(
        nest.extents[k] == 1 or a.attr.strides[k] or b.attr.strides[k]
        for k, kind in enumerate(nest.kinds)
        if kind == "p"
    )
    return bool(reduced) and both and every


def is_product(nest: Nest) -> bool:
    """A contraction that reads elements of an operand for several results: others are sums like any other."""
    if not is_contraction(nest):
        return False
    x, y = (a.attr.strides for a in nest.expr.args)
    return any(
        bool(x[k]) != bool(y[k]) for k, kind in enumerate(nest.kinds) if kind == "p" and nest.extents[k] > 1
    )
