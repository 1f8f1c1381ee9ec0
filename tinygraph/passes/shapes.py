"""Symbolic shapes: every size of a graph as an expression of its inputs' sizes, through ``Op.infer`` alone.

With them a rule can prove that two arrays have one shape, a sum over a broadcast does nothing, or that an array is
computed only to look at its shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TinygraphError
from tinygraph.graph.dims import Dim, Operand, UnknownDim
from tinygraph.graph.op import Apply, Op, static_value
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.sizes import Arena, Atom, Size, leaves
from tinygraph.tensor.basic import constant
from tinygraph.tensor.shape import ShapeI

_INTEGER = "iub"
#: arithmetic in narrower or unsigned dtypes wraps around; it is not followed
_WIDE = ("int64", "int32", "bool")


class ShapeAnalysis:
    """Sizes of variables, found on demand and kept: a variable's shape does not change when its graph is rewritten."""

    def __init__(self) -> None:
        self.arena = Arena()
        self._shapes: dict[Variable, tuple[Dim, ...]] = {}
        self._values: dict[Variable, Any] = {}
        self._built: dict[Any, Variable] = {}

    def of(self, v: Variable) -> tuple[Dim, ...]:
        """The sizes of ``v``: ints and Sizes, the same object where they are proven equal."""
        found = self._shapes.get(v)
        if found is None:
            self._analyse(v)
            found = self._shapes[v]
        return found

    def value(self, v: Variable) -> Any:
        """The value of an integer scalar (int or Size) or vector (a tuple of them); None if not followed."""
        self.of(v)
        return self._values.get(v)

    def same(self, a: Variable, b: Variable) -> bool:
        """Whether both are proven to have one shape."""
        return a is b or same_sizes(self.of(a), self.of(b))

    def broadcast(self, variables: Sequence[Variable]) -> tuple[Dim, ...]:
        """The shape of an elementwise op of ``variables``."""
        return self.join([self.of(v) for v in variables])

    def join(self, shapes: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
        """The broadcast of shapes that are known to fit."""
        ndim = max((len(s) for s in shapes), default=0)
        columns = [[s[len(s) - ndim + i] for s in shapes if len(s) - ndim + i >= 0] for i in range(ndim)]
        return tuple(self.arena.broadcast(*c) for c in columns)

    # -- finding them ---------------------------------------------------------------------------------------------

    def _analyse(self, v: Variable) -> None:
        if v.owner is None:
            self._leaf(v)
            return
        for node in toposort([v], blockers=self._shapes):
            for i in node.inputs:
                if i.owner is None and i not in self._shapes:
                    self._leaf(i)
            self._node(node)

    def _leaf(self, v: Variable) -> None:
        if not isinstance(v.type, TensorType):
            self._shapes[v] = ()
            return
        self._shapes[v] = self._own_sizes(v)
        if isinstance(v, Constant):
            value = static_value(v)
            if value is not None:
                self._values[v] = value
        elif v.type.dtype[0] in _INTEGER and v.type.ndim == 0:
            self._values[v] = self.arena.leaf("value", v, nonneg=v.type.dtype[0] in "ub")

    def _own_sizes(self, v: Variable) -> tuple[Dim, ...]:
        shape: Any = v.type.shape  # type: ignore[attr-defined]
        return tuple(self.arena.leaf("dim", v, i, nonneg=True) if d is None else d for i, d in enumerate(shape))

    def _operand(self, v: Variable) -> Operand:
        t = v.type
        if not isinstance(t, TensorType):
            return Operand(repr(t), (), None, v)
        return Operand(t.dtype, self._shapes[v], self._values.get(v), v)

    def _node(self, node: Apply) -> None:
        operands = [self._operand(v) for v in node.inputs]
        op = node.op
        inferred: Sequence[Any] = [None] * len(node.outputs)
        if type(op).infer is not Op.infer and not op.data_dependent_shape:
            try:
                inferred = [tuple(shape) for _, shape in op.infer(*operands)]
            except TinygraphError:
                pass  # shapes that do not fit are reported with real sizes, at the call
        for out, shape in zip(node.outputs, inferred):
            self._record(out, shape)
        self._host(node, operands)

    def _record(self, out: Variable, shape: Any) -> None:
        if not isinstance(out.type, TensorType):
            self._shapes[out] = ()
            return
        own = out.type.shape
        if shape is None or len(shape) != len(own):
            shape = (None,) * len(own)
        self._shapes[out] = tuple(
            k if k is not None else self.arena.leaf("dim", out, i, nonneg=True) if _lost(d) else d
            for i, (d, k) in enumerate(zip(shape, own))
        )

    def _host(self, node: Apply, operands: list[Operand]) -> None:
        outputs = node.outputs
        if not all(_is_integer(o) for o in outputs):
            return
        values: Sequence[Any] = [None] * len(outputs)
        if type(node.op).host is not Op.host:
            try:
                values = node.op.host(*operands) or values
            except TinygraphError:
                pass
        for out, value in zip(outputs, values):
            if isinstance(value, (tuple, list)):
                if not any(_lost(d) for d in value):
                    self._values[out] = tuple(value)
            elif not _lost(value) and (isinstance(value, int) or out.type.dtype in _WIDE):  # type: ignore[attr-defined]
                self._values[out] = int(value) if isinstance(value, bool) else value
            elif out.type.ndim == 0:  # type: ignore[attr-defined]
                self._values[out] = self.arena.leaf("value", out, nonneg=False)

    # -- back to expressions --------------------------------------------------------------------------------------

    def build(self, size: Dim) -> Any:
        """An int64 scalar variable that computes ``size``, or None where it hangs on more than leaves of the graph."""
        if isinstance(size, int):
            return constant(np.int64(size))
        if any(a.args[0].owner is not None for a in leaves(size)):
            return None
        return self._build(size)

    def _build(self, size: Any) -> Any:  # recursion is bounded by the weight of a size
        if isinstance(size, int):
            return constant(np.int64(size))
        found = self._built.get(size)
        if found is not None:
            return found
        total: Any = None
        for atoms, c in sorted(size.terms, key=lambda term: (term[1] < 0, not term[0])):
            product: Any = None
            for a in atoms:
                product = self._atom(a) if product is None else product * self._atom(a)
            if product is None:
                product = constant(np.int64(abs(c)))
            elif abs(c) != 1:
                product = product * constant(np.int64(abs(c)))
            if total is None:
                total = product if c > 0 else -product
            else:
                total = total + product if c > 0 else total - product
        self._built[size] = total
        return total

    def _atom(self, a: Atom) -> Any:
        from tinygraph.tensor import maths

        if a.kind == "dim":
            return ShapeI(a.args[1])(a.args[0])
        if a.kind == "value":
            return maths.cast_to(a.args[0], "int64")
        parts = [self._build(x) for x in a.args]
        if a.kind == "bcast":
            out = parts[0]
            for p in parts[1:]:
                out = maths.switch(maths.eq(p, constant(np.int64(1))), out, p)
            return out
        name = {"floordiv": "int_div", "select": "switch"}.get(a.kind, a.kind)
        made = getattr(maths, name)(*parts)
        return maths.cast_to(made, "int64")


def _is_integer(v: Variable) -> bool:
    """Whether ``v`` is an integer scalar or vector."""
    return isinstance(v.type, TensorType) and v.type.dtype[0] in _INTEGER and v.type.ndim <= 1


def _lost(d: Any) -> bool:
    return d is None or isinstance(d, UnknownDim)


def same_sizes(a: Sequence[Dim], b: Sequence[Dim]) -> bool:
    """Whether two shapes are proven equal."""
    if len(a) != len(b):
        return False
    return all(x is y or (isinstance(x, int) and isinstance(y, int) and x == y) for x, y in zip(a, b))


def is_size(x: Any) -> bool:
    return isinstance(x, (int, Size))
