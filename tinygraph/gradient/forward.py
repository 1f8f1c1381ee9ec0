"""Forward mode: ``Rop`` carries tangents from inputs to outputs.

An op without a rule of its own gets one from its reverse rule: ``u -> vjp(u)`` is linear in ``u``, and its transpose is
the Jacobian times a vector (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tinygraph.errors import DisconnectedInputError, GradientError, NullTypeGradError, TypeMismatch
from tinygraph.gradient.reverse import backpropagate, zero_like
from tinygraph.graph.convert import as_variable
from tinygraph.graph.op import Apply, Op, is_disconnected, is_null
from tinygraph.graph.origin import origin_scope
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import ancestors, clone, toposort
from tinygraph.graph.type import DisconnectedType
from tinygraph.graph.variable import Variable

Tangents = Sequence[Variable | None]


def Rop(
    f: Any, wrt: Any, eval_points: Any, disconnected_outputs: str = "raise", return_disconnected: str = "zero"
) -> Any:
    """Jacobian times vector: for each output in ``f``, the sum over ``wrt`` of ``d f / d wrt . eval_point``.

    Variables in ``wrt`` count as independent of each other. Shapes: each evaluation point that of its ``wrt``, each
    result that of its output.

    Parameters
    ----------
    disconnected_outputs : 'raise', 'warn' or 'ignore' where an output does not depend on any ``wrt``
    return_disconnected : 'zero', 'none' or 'disconnected' for such outputs

    Raises
    ------
    GradientError, DisconnectedInputError, NullTypeGradError, TypeMismatch
    """
    outputs = list(f) if isinstance(f, (list, tuple)) else [f]
    targets = list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    points = list(eval_points) if isinstance(eval_points, (list, tuple)) else [eval_points]
    if len(targets) != len(points):
        raise GradientError(f"Rop: {len(targets)} variables but {len(points)} evaluation points")
    tangents: dict[Variable, Variable | None] = {}
    for v, p in zip(targets, points, strict=True):
        tangents[v] = _point(v, p)
    for node in toposort(outputs, blockers=set(targets)):
        _push(node, tangents)
    _check_choices(disconnected_outputs, return_disconnected)
    found = [_result(o, tangents, disconnected_outputs.lower(), return_disconnected.lower()) for o in outputs]
    return tuple(found) if isinstance(f, tuple) else found if isinstance(f, list) else found[0]


def _point(v: Variable, p: Any) -> Variable:
    if not isinstance(v, Variable):
        raise TypeMismatch(f"Rop: wrt must be symbolic variables, got {v!r} ({type(v).__name__})")
    p = as_variable(p)
    if isinstance(v.type, TensorType) and (not isinstance(p.type, TensorType) or p.type.ndim != v.type.ndim):
        raise TypeMismatch(f"Rop: the evaluation point of {v} must have {v.type.ndim} dimensions, got {p.type}")
    return _like(p, v)


def _like(t: Variable, v: Variable) -> Variable:
    from tinygraph.tensor.maths import cast_to

    same = not isinstance(v.type, TensorType) or v.type.dtype[0] != "f" or t.type.dtype == v.type.dtype
    return t if same else cast_to(t, v.type.dtype)


def _push(node: Apply, tangents: dict[Variable, Variable | None]) -> None:
    """Tangents of a node's outputs; None for those that depend on ``wrt`` but do not vary with it."""
    if not any(v in tangents for v in node.inputs):
        return
    pattern = node.op.connection_pattern(node)
    reached = [any(row[k] for v, row in zip(node.inputs, pattern, strict=True) if v in tangents)
               for k in range(len(node.outputs))]  # fmt: skip
    given = [tangents.get(v) for v in node.inputs]
    null = next((t for t in given if is_null(t)), None)
    if null is not None or all(t is None for t in given):
        found: Tangents = [null] * len(node.outputs)
    else:
        with origin_scope(node.origin):
            found = _tangents_of(node, given)
    if len(found) != len(node.outputs):
        raise GradientError(f"{node.op}: its R_op or jvp must give {len(node.outputs)} tangents, got {found!r}")
    for o, t, hit in zip(node.outputs, found, reached, strict=True):
        if not hit or o in tangents:
            continue
        discrete = isinstance(o.type, TensorType) and o.type.dtype[0] != "f"
        if is_disconnected(t) or discrete:
            tangents[o] = None
        else:
            tangents[o] = t if is_null(t) else _like(t, o)  # type: ignore[arg-type]


def _tangents_of(node: Apply, given: Tangents) -> Tangents:
    op = node.op
    if type(op).R_op is not Op.R_op:
        return op.R_op(node.inputs, list(given))
    found = op.jvp(node.inputs, node.outputs, list(given))
    return transposed_pullback(node, given) if found is None else found


def transposed_pullback(node: Apply, given: Tangents) -> Tangents:
    """The outputs' tangents by differentiating the op's reverse rule, twice linear, by its cotangents."""
    from tinygraph.tensor.creation import zeros_like

    varying = [k for k, o in enumerate(node.outputs) if isinstance(o.type, TensorType) and o.type.dtype[0] == "f"]
    cotangents = [o.type() for o in node.outputs]
    seeds = [u if k in varying else zeros_like(u, dtype="float64") if isinstance(u.type, TensorType) else u
             for k, u in enumerate(cotangents)]  # fmt: skip
    try:
        pulled = node.op.pullback(node, seeds)
    except NotImplementedError as error:
        where = f"\n  built at {node.origin.text()}" if node.origin is not None else ""
        raise GradientError(
            f"Rop: {node.op} has neither R_op, jvp nor a gradient to derive one from{where}"
        ) from error
    start = []
    for v, g, t in zip(node.inputs, pulled, given, strict=True):
        if t is None or is_disconnected(g):
            continue
        if is_null(g):
            raise NullTypeGradError(f"Rop: the derivative by {v} is {g.type.why_null}")  # type: ignore[union-attr]
        start.append((g, t))
    moved = backpropagate(start, [cotangents[k] for k in varying], set())  # type: ignore[arg-type]
    tangents = [moved.get(u) for u in cotangents]
    left = {u: zeros_like(o) for u, o in zip(cotangents, node.outputs, strict=True) if isinstance(u.type, TensorType)}
    some = [t for t in tangents if t is not None]
    if not left.keys().isdisjoint(ancestors(some)):  # dead parts of a linear rule may still mention its argument
        fixed = iter(clone(some, replace=left))
        tangents = [None if t is None else next(fixed) for t in tangents]
    return tangents


def _check_choices(how: str, give: str) -> None:
    for name, value, allowed in (
        ("disconnected_outputs", how, ("raise", "warn", "ignore")),
        ("return_disconnected", give, ("zero", "none", "disconnected")),
    ):
        if value.lower() not in allowed:
            raise ValueError(f"Rop: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def _result(o: Variable, tangents: dict[Variable, Variable | None], how: str, give: str) -> Any:
    t = tangents.get(o)
    if is_null(t):
        raise NullTypeGradError(f"Rop: the derivative of {o} is {t.type.why_null}")  # type: ignore[union-attr]
    if o in tangents:
        return zero_like(o) if t is None else t
    message = f"Rop: the output {o} does not depend on any of the variables it is to be differentiated by"
    if how == "raise":
        raise DisconnectedInputError(f"{message}; pass disconnected_outputs='ignore' or 'warn' if that is intended")
    if how == "warn":
        warnings.warn(message, stacklevel=3)
    return {"zero": zero_like, "none": lambda _: None, "disconnected": lambda _: DisconnectedType()()}[give](o)
