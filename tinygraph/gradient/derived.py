"""What is made of gradients: Jacobians, Hessians, Hessian-vector products, gradients of a part of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygraph.errors import GradientError, TypeMismatch
from tinygraph.gradient.forward import Rop
from tinygraph.gradient.reverse import grad
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable

#: a Jacobian of at most this many rows is written out; longer ones, and those of unknown length, are a loop
_WRITTEN_OUT = 4


def jacobian(
    expression: Any, wrt: Any, consider_constant: Any = None, disconnected_inputs: str = "raise"
) -> Any:
    """The derivatives of every element of ``expression``, a scalar or vector, by every element of ``wrt``.

    Shapes: (m,) by (...) -> (m, ...); a scalar gives the gradient. For a list or tuple of ``wrt``, one result each.
    Raises TypeMismatch for an expression of more dimensions.
    """
    if not isinstance(expression, Variable) or not isinstance(expression.type, TensorType):
        raise TypeMismatch(f"jacobian: expected a symbolic vector, got {expression!r}")
    if expression.type.ndim > 1:
        raise TypeMismatch(
            f"jacobian: the expression must be a scalar or vector, got {expression} of type {expression.type}; "
            f"flatten it first"
        )
    single = not isinstance(wrt, (list, tuple))
    targets = [wrt] if single else list(wrt)
    how: dict[str, Any] = {"consider_constant": consider_constant, "disconnected_inputs": disconnected_inputs}
    if expression.type.ndim == 0:
        found = grad(expression, targets, **how)
    else:
        found = _rows(expression, lambda i: grad(expression[i], targets, **how), targets)  # type: ignore[index]
    return found[0] if single else tuple(found) if isinstance(wrt, tuple) else found


def _rows(vector: Any, row: Callable[[Any], list[Any]], targets: Sequence[Any]) -> list[Any]:
    """``row(i)`` for each element of ``vector``, each of its results stacked over ``i``."""
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.join import stack

    (length,) = vector.type.shape
    if length is not None and 0 < length <= _WRITTEN_OUT:
        rows = [row(i) for i in range(length)]
        return [stack([r[k] for r in rows]) for k in range(len(targets))]
    from tinygraph.scan import scan  # loops stand above gradients

    found, _ = scan(row, sequences=arange(vector.shape[0]), name="jacobian", return_list=True)
    return found


def hessian(
    cost: Any, wrt: Any, consider_constant: Any = None, disconnected_inputs: str = "raise"
) -> Any:
    """Second derivatives of a scalar ``cost`` by a vector, (n,) -> (n, n); for a list of vectors, one result each."""
    single = not isinstance(wrt, (list, tuple))
    targets = [wrt] if single else list(wrt)
    found = []
    for v in targets:
        if not isinstance(v, Variable) or not isinstance(v.type, TensorType) or v.type.ndim != 1:
            raise TypeMismatch(f"hessian: wrt must be symbolic vectors, got {v} of type {getattr(v, 'type', type(v))}")
        first = grad(cost, v, consider_constant=consider_constant, disconnected_inputs=disconnected_inputs)
        # a linear cost has a gradient that does not depend on the variable: its Hessian is zero
        found.append(jacobian(first, v, consider_constant=consider_constant, disconnected_inputs="ignore"))
    return found[0] if single else tuple(found) if isinstance(wrt, tuple) else found


def hessian_times_vector(gradient: Any, parameter: Any, vector: Any, r_op: bool = False) -> Any:
    """The Hessian, whose cost has the given ``gradient`` by ``parameter``, times ``vector``.

    By default the gradient of ``sum(gradient * vector)`` (Pearlmutter 1994); with ``r_op`` by forward mode over the
    gradient. All three arguments may be lists.
    """
    single = not isinstance(parameter, (list, tuple))
    gradients, parameters, vectors = ([x] if not isinstance(x, (list, tuple)) else list(x)
                                      for x in (gradient, parameter, vector))  # fmt: skip
    if not len(gradients) == len(parameters) == len(vectors):
        raise GradientError(
            f"hessian_times_vector: {len(gradients)} gradients, {len(parameters)} parameters, {len(vectors)} vectors"
        )
    if r_op:
        found = Rop(gradients, parameters, vectors)
    else:
        total = None
        for g, v in zip(gradients, vectors, strict=True):
            part = (g * v).sum()
            total = part if total is None else total + part
        found = grad(total, parameters)
    return found[0] if single else tuple(found) if isinstance(parameter, tuple) else found


def subgraph_grad(
    wrt: Sequence[Variable],
    end: Sequence[Variable],
    start: Mapping[Variable, Any] | None = None,
    cost: Variable | None = None,
    details: bool = False,
) -> Any:
    """Gradients through a part of a graph, from its top (``start`` and/or ``cost``) down to ``end``.

    Calls for the layers of a network, last first, the ``end`` gradients of one being the ``start`` of the next, give
    the gradient of the whole.

    Parameters
    ----------
    wrt : variables within the part
    end : the part's lower boundary, treated as constant
    start : cotangents that come from above, by variable
    cost : a scalar of this part whose gradient is added
    details : also return the two shares of the gradients, those by ``start`` and those by ``cost``

    Returns
    -------
    (gradients by ``wrt``, gradients by ``end``), with ``details`` followed by (shares of ``start``, shares of ``cost``)
    """
    if not isinstance(wrt, (list, tuple)) or not isinstance(end, (list, tuple)):
        raise TypeMismatch("subgraph_grad: wrt and end must be lists of variables")
    if start is None and cost is None:
        raise GradientError("subgraph_grad: give start, cost or both")
    params = list(dict.fromkeys([*wrt, *end]))
    above = from_cost = None
    if start is not None:
        above = grad(None, params, known_grads=start, consider_constant=end, disconnected_inputs="ignore")
    if cost is not None:
        from_cost = grad(cost, params, consider_constant=end, disconnected_inputs="ignore")
    if above is None or from_cost is None:
        total = above if from_cost is None else from_cost
    else:
        total = [a + b for a, b in zip(above, from_cost, strict=True)]
    found = dict(zip(params, total, strict=True))
    result = [found[v] for v in wrt], [found[v] for v in end]
    return (*result, above, from_cost) if details else result
