"""Ops from plain Python functions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.type import Type


class FromFunctionOp(Op):
    """``fn`` on arrays, as an op with declared types."""

    def __init__(self, fn: Callable[..., Any], itypes: Sequence[Type], otypes: Sequence[Type],
                 infer_shape: Callable[..., Any] | None = None, grad: Callable[..., Any] | None = None):  # fmt: skip
        self.fn = fn
        self.itypes = list(itypes)
        self.otypes = list(otypes)
        self.given_infer_shape = infer_shape
        self.given_grad = grad
        if infer_shape is not None:
            self.infer_shape = self._infer_shape

    @property
    def __name__(self) -> str:
        return getattr(self.fn, "__name__", "function")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.fn is other.fn  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.fn))

    def __str__(self) -> str:
        return f"FromFunctionOp{{{self.__name__}}}"

    __repr__ = __str__

    def _infer_shape(self, node: Apply, shapes: Any) -> Any:
        return self.given_infer_shape(node, shapes)  # type: ignore[misc]

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[list[Any]]) -> None:
        found = self.fn(*inputs)
        if len(output_storage) == 1 and not isinstance(found, (list, tuple)):
            found = [found]
        if len(found) != len(output_storage):
            raise TypeMismatch(f"{self.__name__}: expected {len(output_storage)} results, got {len(found)}")
        for cell, value, out in zip(output_storage, found, node.outputs, strict=True):
            cell[0] = value if out.type.dtype is None else np.asarray(value, dtype=out.type.dtype)

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:
        if self.given_grad is None:
            raise NotImplementedError(f"{self.__name__} was declared without a gradient; pass grad= to as_op")
        found = self.given_grad(inputs, output_grads)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def __reduce__(self) -> Any:
        module, name = self.fn.__module__, self.fn.__qualname__
        if getattr(_lookup(module, name), "fn", None) is not self.fn and _lookup(module, name) is not self.fn:
            raise TypeError(f"{self} cannot be pickled: {name} is not found in the module {module}")
        return (_loaded, (module, name))


def _lookup(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _loaded(module: str, name: str) -> Any:
    return _lookup(module, name)


def as_op(itypes: Any, otypes: Any, infer_shape: Callable[..., Any] | None = None,
          grad: Callable[..., Any] | None = None) -> Callable[[Callable[..., Any]], FromFunctionOp]:  # fmt: skip
    """A decorator that makes an op of a function of arrays.

    Parameters
    ----------
    itypes, otypes : types of arguments and results, one or a list of them
    infer_shape : ``(node, input shapes) -> output shapes``; without it the results' shapes are found while running
    grad : ``(inputs, output gradients) -> input gradients``, symbolic; None for an input without one

    Example
    -------
    >>> from tinygraph import tensor as T
    >>> @as_op(itypes=[T.dvector], otypes=[T.dvector], grad=lambda i, g: [2 * i[0] * g[0]])
    ... def square(x):
    ...     return x * x
    >>> x = T.dvector("x")
    >>> square(x).eval({x: [3.0]}).tolist()
    [9.0]
    """
    inputs, outputs = _types(itypes), _types(otypes)
    for t in (*inputs, *outputs):
        if not isinstance(t, Type):
            raise TypeMismatch(f"as_op: itypes and otypes must be types, got {t!r}; write for instance T.dvector")
    if not outputs:
        raise TypeMismatch("as_op: a function needs at least one result")

    def decorate(fn: Callable[..., Any]) -> FromFunctionOp:
        return FromFunctionOp(fn, inputs, outputs, infer_shape, grad)

    return decorate


def _types(given: Any) -> list[Any]:
    """Types in a list; constructors such as ``T.dvector`` stand for what they make."""
    several = list(given) if isinstance(given, (list, tuple)) else [given]
    return [t().type if callable(t) and not isinstance(t, (Type, type)) else t for t in several]


wrap_py = as_op
