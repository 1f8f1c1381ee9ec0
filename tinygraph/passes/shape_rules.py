"""Shapes without arrays: sizes of results expressed by sizes of inputs, so that nothing is computed to be measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant
from tinygraph.passes.facts import dtype, ndim
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.sizes import Size
from tinygraph.tensor.basic import constant
from tinygraph.tensor.join import MakeVector
from tinygraph.tensor.shape import Shape, ShapeI

#: a formula for a size may be this large; beyond, the size stays a property of its array
_WEIGHT = 12


@rule(Shape)
def shape_made_of_sizes(node: Apply, context: Context) -> Any:
    """shape(x) -> make_vector(size of x in terms of inputs, ...), through ``Op.infer`` on symbolic sizes."""
    (x,) = node.inputs
    sizes = [_size_variable(x, i, context) for i in range(ndim(x))]
    if all(isinstance(s, Constant) for s in sizes):
        return constant(np.array([int(s.data) for s in sizes], dtype="int64"))
    return MakeVector("int64")(*sizes)


@rule(ShapeI)
def shape_i_of_result(node: Apply, context: Context) -> Any:
    """shape(x)[i] -> that size in terms of inputs' sizes, if x is computed."""
    x = node.inputs[0]
    known = x.type.shape[node.op.axis]  # type: ignore[attr-defined]
    if known is not None:
        return constant(np.int64(known))
    if x.owner is None:
        return None
    found = _formula(x, node.op.axis, context)
    return None if found is None or (found.owner is not None and found.owner.op == node.op
                                     and found.owner.inputs[0] is x) else found  # fmt: skip


def _size_variable(x: Any, axis: int, context: Context) -> Any:
    known = x.type.shape[axis]
    if known is not None:
        return constant(np.int64(known))
    found = _formula(x, axis, context) if x.owner is not None else None
    return ShapeI(axis)(x) if found is None else found


def _formula(x: Any, axis: int, context: Context) -> Any:
    size = context.shapes.of(x)[axis]
    if isinstance(size, Size) and size.weight > _WEIGHT:
        return None
    return context.shapes.build(size)


_ARITHMETIC = ("add", "sub", "mul", "neg", "floordiv", "mod", "maximum", "minimum", "switch", "cast")
_COMPARISONS = ("eq", "lt", "le", "gt", "ge")


@rule(*_ARITHMETIC, *_COMPARISONS)
def integer_known(node: Apply, context: Context) -> Any:
    """Arithmetic of sizes -> a number, if it is the same for all sizes (n - n, max(n, 0) > -1 ...)."""
    out = node.outputs[0]
    if ndim(out) or dtype(out)[0] == "f" or any(dtype(v)[0] == "f" for v in node.inputs):
        return None
    value = context.shapes.value(out)
    return constant(np.asarray(value, dtype=dtype(out))) if isinstance(value, int) else None


@rule("add", "sub", "mul", "floordiv", "maximum", "minimum", "switch", "cast")
def integer_is_leaf(node: Apply, context: Context) -> Any:
    """Arithmetic of sizes -> one size or integer input, if all else cancels ((n + m) - m -> n, max(n, 0) -> n)."""
    out = node.outputs[0]
    if ndim(out) or dtype(out) != "int64":
        return None
    value = context.shapes.value(out)
    atom = value.only_atom if isinstance(value, Size) else None
    if atom is None or atom.kind not in ("dim", "value") or atom.args[0].owner is not None:
        return None
    if atom.kind == "value" and (node.op.scalar_op.name == "cast" or dtype(atom.args[0]) != "int64"):
        return None
    return context.shapes.build(value)
