"""Reverse mode: ``grad`` builds, for each variable, the expression of the cost's derivative by it.

Walks the nodes between the variables and the cost backwards, adding up cotangents (Griewank & Walther, Evaluating
Derivatives, 2008, chapter 3). A ``NullType`` cotangent marks a derivative that is undefined or not implemented;
it is an error only where it is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import DisconnectedInputError, GradientError, NullTypeGradError, TypeMismatch
from tinygraph.graph.convert import as_variable
from tinygraph.graph.op import Apply, is_disconnected, is_null
from tinygraph.graph.origin import origin_scope
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import mention, toposort
from tinygraph.graph.type import DisconnectedType, NullType
from tinygraph.graph.variable import Constant, Variable


def grad(
    cost: Variable | None,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
    add_names: bool = True,
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: str = "zero",
    null_gradients: str = "raise",
) -> Any:
    """The gradient of a scalar ``cost`` by ``wrt`` (a variable, or a list or tuple of them).

    Parameters
    ----------
    consider_constant : variables not to be differentiated through
    disconnected_inputs : 'raise', 'warn' or 'ignore' where the cost does not depend on a variable. A variable on
        which it depends only through integers or comparisons has a gradient, of zeros
    known_grads : the whole cotangent of some variables, not to be derived again; then ``cost`` may be None
    return_disconnected : 'zero' (zeros), 'none' or 'disconnected' for such variables
    null_gradients : 'raise', or 'return' to get the NullType variable

    Raises
    ------
    TypeMismatch (cost not a real scalar), DisconnectedInputError, NullTypeGradError
    """
    if cost is None and known_grads is None:
        raise GradientError("grad: without a cost, known_grads must say where to start")
    _check_choice("return_disconnected", return_disconnected, ("zero", "none", "disconnected"))
    _check_choice("null_gradients", null_gradients, ("raise", "return"))
    _check_choice("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore"))
    single = not isinstance(wrt, (list, tuple))
    targets: list[Variable] = [wrt] if single else list(wrt)
    for v in targets:
        if not isinstance(v, Variable):
            raise TypeMismatch(f"grad: wrt must be symbolic variables, got {v!r} ({type(v).__name__})")
    start = _start(cost, known_grads)
    cotangents = backpropagate([*start.items()], targets, _variables(consider_constant), totals=start)
    found = []
    for v in targets:
        g: Any = cotangents.get(v)
        if v in cotangents and g is None:
            g = zero_like(v)  # connected, by a path along which nothing varies
        elif is_disconnected(g):
            _report_disconnected(v, cost, disconnected_inputs)
            g = {"zero": zero_like, "none": lambda _: None, "disconnected": lambda _: DisconnectedType()()}[
                return_disconnected.lower()
            ](v)
        elif is_null(g) and null_gradients == "raise":
            raise NullTypeGradError(f"grad: the derivative by {v} is {g.type.why_null}")
        if cost is not None and isinstance(g, Variable) and (g.owner is not None or isinstance(g, Constant)):
            mention(g, cost)
        if add_names and isinstance(g, Variable) and v.name is not None and g.name is None and g.owner is not None:
            g.name = f"(d{cost.name if cost is not None and cost.name else 'cost'}/d{v.name})"
        found.append(g)
    if single:
        return found[0]
    return tuple(found) if isinstance(wrt, tuple) else found


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value.lower() not in allowed:
        raise ValueError(f"grad: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def _start(cost: Variable | None, known_grads: Mapping[Variable, Any] | None) -> dict[Variable, Variable]:
    start: dict[Variable, Variable] = {}
    for v, g in (known_grads or {}).items():
        if not (isinstance(g, Variable) and is_disconnected(g)):
            start[v] = _known(v, g)
    if cost is None or (cost in (known_grads or {}) and cost not in start):
        return start
    if not isinstance(cost, Variable) or not isinstance(cost.type, (TensorType, NullType)):
        raise TypeMismatch(f"grad: the cost must be a symbolic scalar, got {cost!r}")
    if isinstance(cost.type, NullType):
        raise NullTypeGradError(f"grad: the cost is undefined: {cost.type.why_null}")
    if cost.type.ndim != 0:
        raise TypeMismatch(
            f"grad: the cost must be a scalar, got {cost} of type {cost.type}; reduce it first, for instance with "
            f"{cost}.mean()" + (f"\n  built at {cost.origin.text()}" if cost.origin else "")
        )
    if cost not in start:
        if cost.type.dtype[0] != "f":
            raise TypeMismatch(f"grad: the cost must be of a float dtype, got {cost} of type {cost.type}")
        from tinygraph.tensor.basic import constant

        start[cost] = constant(1, dtype=cost.type.dtype)
    return start


def _known(v: Variable, g: Any) -> Variable:
    """``g`` as the cotangent of ``v``."""
    if not isinstance(g, Variable) and isinstance(v.type, TensorType) and v.type.dtype[0] == "f":
        g = np.asarray(g).astype(v.type.dtype)  # numbers take the variable's dtype
    g = as_variable(g)
    if isinstance(v.type, TensorType) and isinstance(g.type, TensorType):
        if not _shapes_fit(g.type.shape, v.type.shape):
            raise TypeMismatch(f"grad: the known gradient of {v} must have its shape ({v.type}), got {g.type}")
        if g.type.dtype[0] != "f":
            raise TypeMismatch(f"grad: the known gradient of {v} must be of a float dtype, got {g} of type {g.type}")
    return g


def backpropagate(
    start: Sequence[tuple[Variable, Variable]],
    wrt: Sequence[Variable],
    consider_constant: set[Variable],
    totals: Mapping[Variable, Variable] | None = None,
) -> dict[Variable, Variable | None]:
    """Cotangents of ``wrt`` and of what lies between them and the variables of ``start``, pairs with a cotangent.

    A variable that is connected to the start by no path along which anything varies has the entry None, one that is
    not connected none. ``totals``: variables whose cotangent is that and nothing besides.
    """
    nodes = toposort([v for v, _ in start], blockers=consider_constant)
    useful, reached = _leads_to(nodes, set(wrt))
    parts: dict[Variable, list[Variable]] = {}
    for v, g in start:
        parts.setdefault(v, []).append(g)
    found: dict[Variable, Variable | None] = dict(totals or {})
    connected = set(parts)
    for node in reversed(nodes):
        if node not in useful or not any(o in connected for o in node.outputs):
            continue
        pattern = node.op.connection_pattern(node)
        _check_pattern(node, pattern)
        live = [v in reached and any(c and o in connected for c, o in zip(row, node.outputs, strict=True))
                for v, row in zip(node.inputs, pattern, strict=True)]  # fmt: skip
        connected.update(v for v, alive in zip(node.inputs, live, strict=True) if alive)
        grads = [_total(o, parts, found) for o in node.outputs]
        grads = [None if is_disconnected(g) else g for g in grads]
        if all(g is None for g in grads):
            continue
        for v, g in zip(node.inputs, _pull(node, grads, live), strict=True):
            if not is_disconnected(g):
                parts.setdefault(v, []).append(g)  # type: ignore[arg-type]
    return {v: _total(v, parts, found) for v in connected if v in parts or v in wrt}


def _variables(given: Any) -> set[Variable]:
    """None, a variable, or several, as a set."""
    return {given} if isinstance(given, Variable) else set(given or ())


def _check_pattern(node: Apply, pattern: Any) -> None:
    if len(pattern) != len(node.inputs) or any(len(row) != len(node.outputs) for row in pattern):
        raise GradientError(
            f"{node.op}: connection_pattern must have a row for each of {len(node.inputs)} inputs with an entry for "
            f"each of {len(node.outputs)} outputs, got {pattern!r}"
        )


def _leads_to(nodes: Sequence[Apply], wrt: set[Variable]) -> tuple[set[Apply], set[Variable]]:
    """Nodes and variables computed from ``wrt`` along connected inputs; no others need be differentiated."""
    reached = set(wrt)
    useful: set[Apply] = set()
    for node in nodes:
        hit = [i for i, v in enumerate(node.inputs) if v in reached]
        if not hit:
            continue
        pattern = node.op.connection_pattern(node)
        for k, out in enumerate(node.outputs):
            if any(pattern[i][k] for i in hit):
                reached.add(out)
                useful.add(node)
    return useful, reached


def _total(v: Variable, parts: dict[Variable, list[Variable]], totals: dict[Variable, Variable | None]) -> Any:
    """The sum of the cotangents of ``v``, made once."""
    if v in totals:
        return totals[v]
    total: Variable | None = None
    for g in parts.get(v, ()):
        if is_null(g) or is_null(total):
            total = g if is_null(g) else total
        elif not is_disconnected(g):
            with origin_scope(v.origin):
                total = g if total is None else total + g  # type: ignore[operator]
    totals[v] = total
    return total


def _pull(node: Apply, grads: Sequence[Variable | None], live: Sequence[bool]) -> Sequence[Variable | None]:
    """Cotangents of a node's inputs, checked. ``live``: which inputs lie between what is asked for and the start."""
    for g in grads:
        if is_null(g):
            return [g if alive else None for alive in live]
    with origin_scope(node.origin):
        full = [zero_like(o) if g is None else _as_type(g, o) for g, o in zip(grads, node.outputs, strict=True)]
        if getattr(node.op, "accepts_missing_grads", False):
            full = [g if h is not None else None for g, h in zip(full, grads, strict=True)]
        try:
            found = node.op.pullback(node, full, live)
        except NotImplementedError as error:
            why = f"not implemented for {node.op}: {error}" + (f"\n  {node.origin.text()}" if node.origin else "")
            return [NullType(why)() if alive and _differentiable(v) else None
                    for alive, v in zip(live, node.inputs, strict=True)]  # fmt: skip
    if not isinstance(found, (list, tuple)) or len(found) != len(node.inputs):
        raise GradientError(
            f"{node.op}: its gradient must be a list of {len(node.inputs)} entries, one for each input, got {found!r}"
        )
    return [_checked(node, i, g, live[i]) for i, g in enumerate(found)]


def _differentiable(v: Variable) -> bool:
    return not isinstance(v.type, TensorType) or v.type.dtype[0] == "f"


def _checked(node: Apply, i: int, g: Any, connected: bool) -> Variable | None:
    v = node.inputs[i]
    if g is None or not connected or is_disconnected(g):
        return None
    if is_null(g):
        return g
    if not isinstance(g, Variable):
        g = as_variable(g)
    if v.type.differentiable:
        return g
    if not isinstance(v.type, TensorType) or v.type.dtype[0] != "f":
        return None
    if not isinstance(g.type, TensorType) or not _shapes_fit(g.type.shape, v.type.shape):
        raise GradientError(
            f"{node.op}: the gradient by input {i} ({v} of type {v.type}) has type {g.type}"
            + (f"\n  built at {node.origin.text()}" if node.origin else "")
        )
    return _as_type(g, v)


def _shapes_fit(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
    """Whether no two known sizes differ."""
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def _as_type(g: Variable, like: Variable) -> Variable:
    """``g`` in the dtype of ``like`` (a float)."""
    from tinygraph.tensor.maths import cast_to

    if not isinstance(like.type, TensorType) or not isinstance(g.type, TensorType):
        return g
    return g if g.type.dtype == like.type.dtype or like.type.dtype[0] != "f" else cast_to(g, like.type.dtype)


def zero_like(v: Variable) -> Any:
    """The zero gradient by ``v``: of its dtype, or of floatX where that is no float."""
    from tinygraph.config import config
    from tinygraph.tensor.creation import zeros_like

    if not isinstance(v.type, TensorType):
        return DisconnectedType()()
    return zeros_like(v) if v.type.dtype[0] == "f" else zeros_like(v, dtype=config.floatX)


def _report_disconnected(v: Variable, cost: Variable | None, how: str) -> None:
    message = f"grad: the cost{f' {cost}' if cost is not None else ''} does not depend on {v}" + (
        f" (made at {v.origin})" if v.origin is not None else ""
    )
    if how == "raise":
        raise DisconnectedInputError(
            message + "; pass disconnected_inputs='ignore' (zeros) or 'warn' if that is intended"
        )
    if how == "warn":
        warnings.warn(message, stacklevel=4)


def Lop(
    f: Any, wrt: Any, eval_points: Any, consider_constant: Any = None, disconnected_inputs: str = "raise"
) -> Any:
    """Vector times Jacobian: the sum over outputs ``f`` of ``eval_point . d f / d wrt``.

    Shapes: each evaluation point that of its output; each result that of its ``wrt``. Outputs that depend on each
    other each count in full, whereas the ``known_grads`` of :func:`grad` are totals.
    """
    outputs = list(f) if isinstance(f, (list, tuple)) else [f]
    points = list(eval_points) if isinstance(eval_points, (list, tuple)) else [eval_points]
    if len(outputs) != len(points):
        raise GradientError(f"Lop: {len(outputs)} outputs but {len(points)} evaluation points")
    _check_choice("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore"))
    single = not isinstance(wrt, (list, tuple))
    targets = [wrt] if single else list(wrt)
    start = [(v, _known(v, g)) for v, g in zip(outputs, points, strict=True)]
    cotangents = backpropagate(start, targets, _variables(consider_constant))
    found = []
    for v in targets:
        g = cotangents.get(v)
        if is_null(g):
            raise NullTypeGradError(f"Lop: the derivative by {v} is {g.type.why_null}")  # type: ignore[union-attr]
        if v not in cotangents:
            _report_disconnected(v, None, disconnected_inputs)
        found.append(zero_like(v) if g is None else g)
    return found[0] if single else tuple(found) if isinstance(wrt, tuple) else found
