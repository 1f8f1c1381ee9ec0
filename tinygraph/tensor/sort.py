"""Sorting: sort, argsort, topk, searchsorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, is_int
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.shape import flatten, normalise_axis


class Sort(Op):
    """``x`` in ascending order along ``axis``, nan last. Shapes: (...) -> (...). Gradient: to where each came from."""

    __props__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim, f"more than {self.axis} dimensions", x)
        return [(x.dtype, x.shape)]

    def forward(self, x: Any) -> Any:
        return np.sort(x, axis=self.axis, kind="stable")

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like
        from tinygraph.tensor.keys import set_subtensor
        from tinygraph.tensor.selection import axis_grid

        (x,) = inputs
        if x.type.dtype[0] != "f":
            return [None]
        return [set_subtensor(zeros_like(x)[axis_grid(ArgSort(self.axis)(x), self.axis)], grads[0])]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.selection import take_along_axis

        return [take_along_axis(tangents[0], ArgSort(self.axis)(inputs[0]), self.axis)]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = node.outputs[0]
        return b.routine("sort", inputs, [(b.shape(out), out.type.dtype)], _sort, axis=self.axis)


def _sort(x: Any, out: Any, axis: int) -> None:
    np.copyto(out, x)
    out.sort(axis=axis, kind="stable")


class ArgSort(Op):
    """Positions along ``axis`` of the elements in ascending order, equal ones in their order. (...) -> (...) int64."""

    __props__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim, f"more than {self.axis} dimensions", x)
        return [("int64", x.shape)]

    def forward(self, x: Any) -> Any:
        return np.argsort(x, axis=self.axis, kind="stable")

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [zero_gradient(inputs[0])]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return b.routine("argsort", inputs, [(b.shape(node.outputs[0]), "int64")], _argsort, axis=self.axis)


def _argsort(x: Any, out: Any, axis: int) -> None:
    np.copyto(out, np.argsort(x, axis=axis, kind="stable"))


class ArgTopK(Op):
    """Positions along ``axis`` of the k largest elements, largest first; for k < 0 of the -k smallest, smallest first.

    Of equal elements the first is taken. Shapes: (..., n, ...), integer scalar -> (..., |k|, ...).
    """

    __props__ = ("axis",)
    shape_inputs = (1,)

    def __init__(self, axis: int):
        self.axis = axis

    def infer(self, x: Operand, k: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(self.axis < x.ndim and k.ndim == 0 and k.is_int, "a tensor and an integer count", x, k)
        count, n = k.scalar(), x.shape[self.axis]
        if is_int(count):
            self.expect(count != 0, "a count that is not 0", x, error=InvalidValue)
            if is_int(n) and abs(count) > n:
                self.expect(
                    False, f"at least {abs(count)} elements along axis {self.axis}", x, error=ShapeMismatch
                )
            count = abs(count)
        elif count is not UNKNOWN:
            from tinygraph.graph.dims import dim_max

            count = dim_max(count, -count)
        return [("int64", [count if d == self.axis else size for d, size in enumerate(x.shape)])]

    def forward(self, x: Any, k: Any) -> Any:
        k = int(k)
        if k == 0 or abs(k) > x.shape[self.axis]:
            raise InvalidValue(f"topk: cannot take {k} of {x.shape[self.axis]} elements")
        out = np.empty([abs(k) if d == self.axis else n for d, n in enumerate(x.shape)], "int64")
        _argtopk(x, np.asarray(k), out, self.axis)
        return out

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [zero_gradient(inputs[0]), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return b.routine("argtopk", inputs, [(b.shape(node.outputs[0]), "int64")], _argtopk, axis=self.axis)


def _argtopk(x: Any, k: Any, out: Any, axis: int) -> None:
    k = int(k)
    if (
        k > 0
    ):  # descending, equal ones in their order: an ascending stable sort of the reverse, read backwards
        n = x.shape[axis]
        found = n - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        found = np.argsort(x, axis=axis, kind="stable")
    np.copyto(out, found[(slice(None),) * axis + (slice(0, abs(k)),)])


class SearchSorted(Op):
    """Where each of ``v`` would be inserted into the sorted vector ``x``. Shapes: (n,), (...) -> (...) int64."""

    __props__ = ("side",)

    def __init__(self, side: str):
        self.side: Any = side

    def infer(self, x: Operand, v: Operand, *sorter: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(
            x.ndim == 1 and all(s.ndim == 1 and s.is_int for s in sorter), "a sorted vector", x, v, *sorter
        )
        return [("int64", v.shape)]

    def forward(self, x: Any, v: Any, sorter: Any = None) -> Any:
        return np.searchsorted(x, v, self.side, sorter)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [zero_gradient(v) for v in inputs]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        return b.routine(
            "searchsorted", inputs, [(b.shape(node.outputs[0]), "int64")], _searchsorted, side=self.side
        )


def _searchsorted(x: Any, v: Any, *rest: Any, side: Any) -> None:
    *sorter, out = rest
    np.copyto(out, np.searchsorted(x, v, side, sorter[0] if sorter else None))


def _along(x: Any, axis: Any) -> tuple[Any, int]:
    x = as_tensor_variable(x)
    if axis is None:
        return flatten(x), 0
    return x, normalise_axis(int(getattr(axis, "data", axis)), x.type.ndim)


def sort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Any:
    """``a`` in ascending order along ``axis`` (None: the flattened tensor). ``kind`` is accepted; all are stable."""
    a, axis = _along(a, axis)
    return Sort(axis)(a)


def argsort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Any:
    """Positions that sort ``a`` along ``axis`` (None: the flattened tensor); equal elements keep their order."""
    a, axis = _along(a, axis)
    return ArgSort(axis)(a)


def argtopk(x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64") -> Any:
    """Positions of the ``kth`` largest elements along ``axis`` (for a negative ``kth``: of the smallest)."""
    from tinygraph.tensor.maths import cast_to

    x, axis = _along(x, axis)
    return cast_to(ArgTopK(axis)(x, kth), idx_dtype)


def topk(x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64") -> Any:
    """The ``kth`` largest elements along ``axis``, largest first (negative ``kth``: the smallest, smallest first)."""
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[0]


def topk_and_argtopk(
    x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64"
) -> Any:
    """``[topk, argtopk]`` of the same arguments."""
    from tinygraph.tensor.selection import take_along_axis

    x, axis = _along(x, axis)
    where = argtopk(x, kth, axis, sorted, idx_dtype)
    return [take_along_axis(x, where, axis), where]


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Where ``v`` would be inserted into the sorted vector ``x`` to keep it sorted, as ``numpy.searchsorted``."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    x, v = as_tensor_variable(x), as_tensor_variable(v)
    more = [] if sorter is None else [as_tensor_variable(sorter)]
    if more and more[0].type.dtype[0] not in "iu":
        raise TypeMismatch(
            f"searchsorted: the sorter must be an integer vector, got {sorter} of type {more[0].type}"
        )
    return SearchSorted(side)(x, v, *more)
