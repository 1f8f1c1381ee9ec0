"""Sums in a step, regrouped: terms that come from outside the loop are added up there."""

from __future__ import annotations

from tinygraph.graph.op import Apply
from tinygraph.graph.traversal import clients_of, toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.scan.parts import Parts
from tinygraph.tensor.elemwise import Elemwise


def regroup_sums(parts: Parts) -> None:
    """(s + x[t]) + y[t] -> (x[t] + y[t]) + s, where s depends on states and the others do not; same shapes only."""
    outside: set[Variable] = {g.inner for g in [*parts.seqs, *parts.nonseqs]}
    nodes = toposort(parts.inner_outputs(), blockers=parts.inner_inputs())
    for node in nodes:
        if node.op.pure and all(v in outside or isinstance(v, Constant) for v in node.inputs):
            outside.update(node.outputs)
    users = clients_of(parts.inner_outputs())
    replace: dict[Variable, Variable] = {}
    for node in nodes:
        out = node.outputs[0]
        if out in outside or not _is_float_add(node) or _adds_on(users.get(out, []), out):
            continue
        terms = _terms(out, outside, users)
        early = [v for v in terms if v in outside]
        if len(early) > 1 and len(early) < len(terms):
            replace[out] = _sum([*early, *(v for v in terms if v not in outside)])
    for old, new in replace.items():  # one at a time: a sum may be a term of another
        parts.substitute({old: new})


def _is_float_add(node: Apply) -> bool:
    return (
        isinstance(node.op, Elemwise)
        and node.op.scalar_op.name == "add"
        and node.outputs[0].type.dtype[0] == "f"  # type: ignore[index]
    )


def _adds_on(users: list, out: Variable) -> bool:
    """Whether the value is only a part of a longer sum."""
    return (
        len(users) == 1 and _is_float_add(users[0][0]) and users[0][0].outputs[0].type.shape == out.type.shape  # type: ignore[attr-defined]
    )


def _terms(out: Variable, outside: set[Variable], users: dict) -> list[Variable]:
    found: list[Variable] = []
    stack = [out]
    while stack:
        v = stack.pop()
        inner = v is out or (
            v not in outside and v.owner is not None and _is_float_add(v.owner)
            and len(users.get(v, [])) == 1 and v.type.shape == out.type.shape  # type: ignore[attr-defined]
        )  # fmt: skip
        if inner:
            stack.extend(reversed(v.owner.inputs))  # type: ignore[union-attr]
        else:
            found.append(v)
    return found


def _sum(terms: list[Variable]) -> Variable:
    total = terms[0]
    for v in terms[1:]:
        total = total + v  # type: ignore[operator]
    return total
