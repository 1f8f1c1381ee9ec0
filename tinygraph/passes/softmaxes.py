"""Recognising softmax, sigmoid and log-sum-exp in all the ways they are written. The axis decides."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import applied, dtype, equals, made_by, ndim
from tinygraph.tensor.broadcast import Alloc
from tinygraph.tensor.index import Subtensor
from tinygraph.tensor.nnet.softmax import LogSoftmax, Softmax
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle


def is_softmax(v: Variable) -> bool:
    """Whether ``v`` is the result of a softmax, or elements of one."""
    from tinygraph.tensor.advanced_index import AdvancedSubtensor

    while applied(v, Subtensor, AdvancedSubtensor):
        v = v.owner.inputs[0]  # type: ignore[union-attr]
    return v.owner is not None and isinstance(v.owner.op, Softmax)


def peel(v: Variable) -> tuple[Variable, list[Any]]:
    """What stands behind dimshuffles, and for each dimension of ``v`` the one behind it that it is ('x': new)."""
    order: list[Any] = list(range(ndim(v)))
    while v.owner is not None and isinstance(v.owner.op, DimShuffle):
        inner = v.owner.op.new_order
        order = [d if d == "x" else inner[d] for d in order]
        v = v.owner.inputs[0]
    return v, order


def reduction_over(v: Variable, source: Variable, combine: str) -> tuple[int, ...] | None:
    """The axes over which ``v``, aligned with ``source`` as elementwise ops align them, reduces ``source``; or None."""
    found = aligned_reduction(v, ndim(source), combine)
    return found[1] if found is not None and found[0] is source else None


def aligned_reduction(v: Variable, n: int, combine: str) -> tuple[Variable, tuple[int, ...]] | None:
    """``(x, axes)`` if ``v`` is a reduction of an n-dimensional x that broadcasts back to each element's own group.

    A sum over axis 1 of a matrix that is not given its dimension back lines up with axis 1: near, but no softmax.
    """
    inner, order = peel(v)
    node = applied(inner, Reduce)
    if node is None or node.op.combine != combine or not lines_up(order, n, node.op.axes):
        return None
    x = node.inputs[0]
    return (x, node.op.axes) if ndim(x) == n and dtype(x) == node.op.dtype else None


def lines_up(order: list[Any], n: int, axes: tuple[int, ...]) -> bool:
    """Whether dimensions ``order`` of a reduction over ``axes`` fall on the dimensions of what was reduced."""
    kept = [d for d in range(n) if d not in axes]
    lead = n - len(order)
    if lead < 0:
        return False
    aligned = ["x"] * lead + list(order)
    return all((src == "x") if d in axes else (src != "x" and kept[src] == d) for d, src in enumerate(aligned))


def softmax_pair(top: Variable, bottom: Variable) -> Any:
    """softmax(x, axis) if ``top`` is exp(x) and ``bottom`` its sum over one axis, lined up; else None."""
    node = made_by(top, "exp")
    if node is None or ndim(top) == 0:
        return None
    axes = reduction_over(bottom, top, "add")
    if axes is None or len(axes) != 1 or dtype(node.inputs[0]) != dtype(top):
        return None
    return Softmax(axes[0])(node.inputs[0])


def log_sum_exp(v: Variable, n: int) -> tuple[Variable, tuple[int, ...]] | None:
    """``(x, axes)`` if ``v`` is log(sum(exp(x), axes)), lined up with the n dimensions of x."""
    inner, order = peel(v)
    node = made_by(inner, "log")
    if node is None:
        return None
    deeper, inner_order = peel(node.inputs[0])
    order = [d if d == "x" else inner_order[d] for d in order]
    total = applied(deeper, Reduce)
    if total is None or total.op.combine != "add" or not lines_up(order, n, total.op.axes):
        return None
    e = made_by(total.inputs[0], "exp")
    if e is None or ndim(e.outputs[0]) != n or dtype(e.inputs[0]) != total.op.dtype:
        return None
    return e.inputs[0], total.op.axes


def sigmoid_of_sum(v: Variable) -> Variable | None:
    """z if ``v`` is 1 + exp(z)."""
    node = made_by(v, "add")
    if node is None:
        return None
    for a, b in (node.inputs, node.inputs[::-1]):
        e = made_by(b, "exp")
        if e is not None and equals(a, 1) and ndim(a) <= ndim(b) and dtype(b) == dtype(v):
            return e.inputs[0]
    return None


def constant_along(v: Variable, n: int, axis: int) -> bool:
    """Whether ``v``, broadcast to n dimensions, is the same all along ``axis``."""
    d = axis - (n - ndim(v))
    if d < 0 or v.type.shape[d] == 1:  # type: ignore[attr-defined]
        return True
    node: Apply | None = applied(v, Alloc)
    return node is not None and constant_along(node.inputs[0], n, axis)


__all__ = ["LogSoftmax", "Softmax"]
