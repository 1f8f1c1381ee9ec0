"""``ifelse``: one of two values, of which only the one that is wanted is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import UNKNOWN, Dim, Operand, may_differ, merge_dims
from tinygraph.graph.inner import InnerGraph
from tinygraph.graph.op import Apply, Op, is_disconnected
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable


class IfElse(Op):
    """``n`` values chosen by a scalar: inputs (condition, n values if it is true, n values if it is not).

    Shapes: those of the values, which may differ between the branches.
    """

    __props__ = ("n",)

    def __init__(self, n: int, name: str | None = None):
        self.n = n
        self.name = name

    def __str__(self) -> str:
        return f"IfElse{{{self.name}}}" if self.name else "IfElse"

    def make_node(self, condition: Any, *values: Any) -> Apply:
        condition = as_variable(condition)
        if not isinstance(condition.type, TensorType) or condition.type.ndim:
            raise TypeMismatch(f"ifelse: the condition must be a scalar, got {condition} of type {condition.type}")
        chosen = [as_variable(v) for v in values]
        outputs = [
            _common_type(t, e).make_variable()
            for t, e in zip(chosen[: self.n], chosen[self.n :], strict=True)
        ]
        return Apply(self, [condition, *chosen], outputs)

    def infer(self, condition: Operand, *values: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [either(t, e) for t, e in zip(
            [(v.dtype, v.shape) for v in values[: self.n]], [(v.dtype, v.shape) for v in values[self.n :]], strict=True
        )]  # fmt: skip

    def forward(self, condition: Any, *values: Any) -> Any:
        return tuple(values[: self.n] if condition else values[self.n :])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        own = [[i == k for k in range(self.n)] for i in range(self.n)]
        return [[False] * self.n, *own, *own]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        from tinygraph.tensor.creation import zeros_like

        condition, values = inputs[0], inputs[1:]
        floats = [i for i, v in enumerate(values[: self.n]) if _is_float(v)]
        found: list[Variable | None] = [None] * (2 * self.n)
        if floats:
            op = IfElse(len(floats), self.name)
            gs = [grads[i] for i in floats]
            then = [zeros_like(values[i]) for i in floats]
            other = [zeros_like(values[self.n + i]) for i in floats]
            for i, g in zip(floats, op(condition, *gs, *then, return_list=True), strict=True):
                found[i] = g
            for i, g in zip(floats, op(condition, *other, *gs, return_list=True), strict=True):
                found[self.n + i] = g
        return [None, *found]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.creation import zeros_like

        found: list[Variable | None] = []
        for i in range(self.n):
            pair = [tangents[1 + i], tangents[1 + self.n + i]]
            if all(is_disconnected(t) for t in pair):
                found.append(None)
                continue
            full = [zeros_like(v) if is_disconnected(t) else t
                    for t, v in zip(pair, (inputs[1 + i], inputs[1 + self.n + i]), strict=True)]  # fmt: skip
            found.append(IfElse(1, self.name)(inputs[0], *full))
        return found

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        condition, values = inputs[0], inputs[1:]
        if condition.value is not None:
            return values[: self.n] if condition.value else values[self.n :]
        return branch(b, node, condition, values[: self.n], values[self.n :])


class LazyIfElse(Op):
    """An ``IfElse`` with what only one branch needs inside: inputs (condition, what the branches read)."""

    def __init__(self, then: InnerGraph, otherwise: InnerGraph, name: str | None = None):
        self.then = then
        self.otherwise = otherwise
        self.name = name

    def __str__(self) -> str:
        return f"LazyIfElse{{{self.name}}}" if self.name else "LazyIfElse"

    def infer(self, condition: Operand, *values: Operand) -> list[tuple[str, Sequence[Dim]]]:
        return [either(t, e) for t, e in zip(self.then.infer(values), self.otherwise.infer(values), strict=True)]

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[list[Any]]) -> None:
        chosen = self.then if inputs[0] else self.otherwise
        for cell, value in zip(output_storage, chosen.evaluate(inputs[1:]), strict=True):
            cell[0] = value

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        from tinygraph.lower.nested import captured, lower_inner  # lowering stands above the tensor language

        condition, values = inputs[0], inputs[1:]
        if self.then.dynamic or self.otherwise.dynamic:
            return b.host_call(node, inputs)
        if condition.value is not None:
            return lower_inner(b, self.then if condition.value else self.otherwise, node, values, first=1)
        for x in inputs:
            x.ref  # noqa: B018 - what was put off is computed before, not inside one branch
        sides = []
        for inner in (self.then, self.otherwise):
            with captured(b) as instructions:
                sides.append((instructions, lower_inner(b, inner, node, values, first=1)))
        (then, found), (otherwise, other) = sides
        return branch(b, node, condition, found, other, then, otherwise)


def branch(b: Any, node: Apply, condition: Any, then: Sequence[Any], otherwise: Sequence[Any], before_then: Any = (),
           before_otherwise: Any = ()) -> Sequence[Any]:  # fmt: skip
    """Emit a Branch that copies one side or the other into new arrays, after the instructions that compute it."""
    from tinygraph.lower.nested import captured
    from tinygraph.program.instructions import Branch

    outputs = [b.empty(b.shape(v), v.type.dtype) for v in node.outputs]  # type: ignore[arg-type]
    for x in (condition, *then, *otherwise):
        x.ref  # noqa: B018
    blocks = []
    for made, before in ((then, before_then), (otherwise, before_otherwise)):
        with captured(b) as instructions:
            instructions += before
            for out, x in zip(outputs, made, strict=True):
                axes = b.axes(*x.shape)
                b.store_to(out.at(tuple(axes)), x[tuple(axes)], axes=axes)
        blocks.append(instructions)
    b.emit(Branch(condition.ref, *blocks))
    return outputs


def either(then: tuple[str, Sequence[Dim]], otherwise: tuple[str, Sequence[Dim]]) -> tuple[str, list[Dim]]:
    """The dtype and shape of a value that is one of two; sizes that differ are left to the run."""
    dims = [UNKNOWN if may_differ(a, b) else merge_dims(a, b) if isinstance(a, int) and isinstance(b, int) else
            a if a is b else UNKNOWN for a, b in zip(then[1], otherwise[1], strict=True)]  # fmt: skip
    return then[0], dims


def _is_float(v: Variable) -> bool:
    return isinstance(v.type, TensorType) and v.type.dtype[0] == "f"


def _common_type(then: Variable, otherwise: Variable) -> Any:
    a, b = then.type, otherwise.type
    if not isinstance(a, TensorType) or not isinstance(b, TensorType):
        if a != b:
            raise TypeMismatch(f"ifelse: both values must be of one type, got {then} of {a} and {otherwise} of {b}")
        return a
    if a.dtype != b.dtype or a.ndim != b.ndim:
        raise TypeMismatch(
            f"ifelse: both values must have the same dtype and rank, got {then} of {a} and {otherwise} of {b}; "
            "convert one of them, for instance with T.cast"
        )
    return TensorType(a.dtype, tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)))


def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """``then_branch`` if the scalar ``condition`` is not 0, else ``else_branch``; the other one is not computed.

    Both may be lists of the same length; then so is the result. In contrast, ``switch`` chooses element by element and
    computes both.

    Raises TypeMismatch for branches of different dtype, rank or length.
    """
    many = isinstance(then_branch, (list, tuple))
    then, otherwise = (list(x) if isinstance(x, (list, tuple)) else [x] for x in (then_branch, else_branch))
    if len(then) != len(otherwise) or many != isinstance(else_branch, (list, tuple)):
        raise TypeMismatch(f"ifelse: the branches must have as many values each, got {len(then)} and {len(otherwise)}")
    pairs = [_matched(t, e) for t, e in zip(then, otherwise, strict=True)]
    op = IfElse(len(then), name)
    found = op(condition, *(t for t, _ in pairs), *(e for _, e in pairs), return_list=True)
    if not many:
        return found[0]
    return type(then_branch)(found)


def _matched(then: Any, otherwise: Any) -> tuple[Variable, Variable]:
    """A number beside a tensor takes its dtype."""
    from tinygraph.tensor.basic import as_tensor_variable

    if isinstance(then, Variable) != isinstance(otherwise, Variable):
        like = (then if isinstance(then, Variable) else otherwise).type
        if isinstance(like, TensorType):
            then, otherwise = (
                v if isinstance(v, Variable) else as_tensor_variable(np.asarray(v).astype(like.dtype))
                for v in (then, otherwise)
            )
    return as_variable(then), as_variable(otherwise)
