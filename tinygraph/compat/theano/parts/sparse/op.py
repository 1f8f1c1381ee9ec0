"""The op behind the functions of ``theano.sparse``: a name, and three rows that say what it does.

An operation runs in Python, on every target as a host call. ``define`` adds one: what it computes, the type of its
result, and its gradient. Functions that work on stored entries alone are compositions: the entries as a vector
(``csm_data``), compiled arithmetic on that, and a matrix of the same pattern again (``with_data``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinygraph.compat.theano.parts.sparse.types import SparseType, as_sparse_or_tensor_variable
from tinygraph.graph import Apply, Op, TensorType
from tinygraph.graph.type import DisconnectedType


class Row(NamedTuple):
    """What an operation computes, the type of its result, its gradient, and the inputs that no gradient reaches."""

    run: Callable[..., Any]
    type: Callable[..., Any]
    grad: Callable[..., Any] | None
    disconnected: tuple[int, ...]


ROWS: dict[str, Row] = {}


def define(
    name: str,
    run: Callable[..., Any],
    type: Callable[..., Any],  # noqa: A002 - what it is
    grad: Callable[..., Any] | None = None,
    disconnected: Sequence[int] = (),
) -> None:
    """Add an operation: ``run(*values, **settings)``, ``type(*types, **settings)``, ``grad(inputs, g, **settings)``."""
    ROWS[name] = Row(run, type, grad, tuple(disconnected))


class SparseOp(Op):
    """The operation ``kind`` with its settings ``extra``, applied to sparse and dense operands."""

    __props__: ClassVar[tuple[str, ...]] = ("kind", "extra")
    data_dependent_shape = True

    def __init__(self, kind: str, extra: tuple = ()):
        self.kind, self.extra = kind, extra

    def make_node(self, *inputs: Any) -> Apply:
        given = [as_sparse_or_tensor_variable(x) for x in inputs]
        return Apply(self, given, [ROWS[self.kind].type(*(v.type for v in given), **dict(self.extra))()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        found = ROWS[self.kind].run(*inputs, **dict(self.extra))
        kind = node.outputs[0].type
        if isinstance(kind, SparseType):
            found = found.asformat(kind.format).astype(kind.dtype, copy=False)
        else:
            found = np.asarray(found, dtype=kind.dtype)  # type: ignore[attr-defined]
        output_storage[0][0] = found

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        cut = ROWS[self.kind].disconnected
        return [[k not in cut] for k in range(len(node.inputs))]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:  # noqa: N802 - Theano's name
        row = ROWS[self.kind]
        if row.grad is None:
            raise NotImplementedError(f"the sparse operation {self.kind!r} has no gradient")
        found = list(row.grad(inputs, output_grads[0], **dict(self.extra)))
        found += [None] * (len(inputs) - len(found))
        return [DisconnectedType()() if g is None else g for g in found]

    def __str__(self) -> str:
        return f"Sparse{{{self.kind}}}"


def apply(kind: str, *inputs: Any, **extra: Any) -> Any:
    """The result of an operation."""
    return SparseOp(kind, tuple(extra.items()))(*inputs)


def common_dtype(*types: Any) -> str:
    """The dtype that holds the entries of all ``types``."""
    return np.result_type(*(t.dtype for t in types)).name


def vector(dtype: Any) -> TensorType:
    """The type of vectors of ``dtype``."""
    return TensorType(dtype, (None,))
