"""``theano.gof.graph``: walking expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tinygraph.graph import Apply, Constant, Variable
from tinygraph.graph import traversal as _walk
from tinygraph.graph.traversal import ancestors, inputs, io_toposort, is_in_ancestors, is_same_graph

Node = Apply
is_same_graph_with_merge = is_same_graph

__all__ = [
    "Apply", "Constant", "Node", "Variable", "ancestors", "as_string", "clone", "clone_get_equiv",
    "equal_computations", "general_toposort", "inputs",
    "io_connection_pattern", "io_toposort", "is_in_ancestors", "is_same_graph", "is_same_graph_with_merge",
    "list_of_nodes", "nodes_constructed", "ops", "orphans", "stack_search", "variables", "variables_and_orphans",
    "view_roots",
]  # fmt: skip


def ops(i: Iterable[Variable], o: Iterable[Variable]) -> set[Apply]:
    """The nodes between ``i`` and ``o``."""
    return set(_walk.toposort(o, blockers=i))


def list_of_nodes(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Apply]:
    """The nodes between ``inputs`` and ``outputs``, in an order in which they can run."""
    return io_toposort(inputs, outputs)


def variables(i: Iterable[Variable], o: Iterable[Variable]) -> list[Variable]:
    """All variables between ``i`` and ``o``, both included."""
    return [*dict.fromkeys([*i, *_walk.variables_between(i, o)])]


def orphans(i: Iterable[Variable], o: Iterable[Variable]) -> list[Variable]:
    """Leaves that ``o`` needs and that are not in ``i``."""
    given = set(i)
    return [v for v in inputs(o, given) if v not in given]


def variables_and_orphans(i: Iterable[Variable], o: Iterable[Variable]) -> tuple[list[Variable], list[Variable]]:
    """Both of the above."""
    return variables(i, o), orphans(i, o)


def clone(
    i: Sequence[Variable], o: Sequence[Variable], copy_inputs: bool = True, copy_orphans: bool | None = None
) -> tuple[list[Variable], list[Variable]]:
    """Copies of the inputs ``i`` and of the outputs ``o`` on them."""
    equiv = clone_get_equiv(i, o, copy_inputs, copy_orphans)
    return [equiv[v] for v in i], [equiv[v] for v in o]


def clone_get_equiv(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    copy_inputs: bool = True,
    copy_orphans: bool | None = None,
    memo: dict[Any, Any] | None = None,
) -> dict[Any, Any]:
    """From each variable and node between ``inputs`` and ``outputs`` to its copy."""
    copy_orphans = copy_inputs if copy_orphans is None else copy_orphans
    memo = {} if memo is None else memo
    for v in inputs:
        memo.setdefault(v, v.clone() if copy_inputs else v)
    for v in orphans(inputs, outputs):
        memo.setdefault(v, v.clone() if copy_orphans else v)
    for node in io_toposort(inputs, outputs):
        if node in memo:
            continue
        copied = node.clone_with_new_inputs([memo[v] for v in node.inputs])
        memo[node] = copied
        for old, new in zip(node.outputs, copied.outputs, strict=True):
            memo.setdefault(old, new)
    return memo


def stack_search(start: Any, expand: Any, mode: str = "bfs", build_inv: bool = False) -> list[Any]:
    """All that ``expand`` reaches from ``start``, each once, breadth first or (``"dfs"``) depth first."""
    todo, seen = list(start), []
    known = set()
    while todo:
        v = todo.pop(0) if mode == "bfs" else todo.pop()
        if v in known:
            continue
        known.add(v)
        seen.append(v)
        todo.extend(expand(v) or ())
    return seen


def io_connection_pattern(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> list[list[bool]]:
    """``[input][output]``: whether a gradient can pass between them."""
    from tinygraph.graph.inner import InnerGraph

    return InnerGraph(inputs, outputs).connected()


def nodes_constructed() -> Any:
    """Use ``tinygraph.graph.op.add_build_hook``."""
    from tinygraph.compat.theano.parts.absent import NotInTinygraph

    raise NotInTinygraph("theano's nodes_constructed: use tinygraph.graph.op.add_build_hook(function)")


def view_roots(r: Variable) -> list[Variable]:
    """The variables whose memory ``r`` may be a view of."""
    node = r.owner
    if node is None or r.index not in node.op.view_map:
        return [r]
    return [root for k in node.op.view_map[r.index] for root in view_roots(node.inputs[k])]


def equal_computations(
    xs: Sequence[Variable],
    ys: Sequence[Variable],
    in_xs: Sequence[Variable] | None = None,
    in_ys: Sequence[Variable] | None = None,
) -> bool:
    """Whether ``xs`` of ``in_xs`` are, one for one, the same computations as ``ys`` of ``in_ys``."""
    given = dict(zip(in_xs or (), in_ys or (), strict=True))
    return len(xs) == len(ys) and all(is_same_graph(x, y, givens=given) for x, y in zip(xs, ys, strict=True))


def general_toposort(outputs: Iterable[Any], deps: Any, **kwargs: Any) -> list[Any]:
    """What ``outputs`` and what it depends on, ``deps(x)``, in an order in which dependencies come first."""
    done: dict[Any, None] = {}
    stack = [(x, False) for x in reversed(list(outputs))]
    open_: set[Any] = set()
    while stack:
        x, expanded = stack.pop()
        if x in done:
            continue
        if expanded:
            done[x] = None
            continue
        if x in open_:
            raise ValueError(f"{x} depends on itself")
        open_.add(x)
        stack.append((x, True))
        stack.extend((d, False) for d in reversed(list(deps(x) or ())))
    return [*done]


def as_string(i: Sequence[Variable], o: Sequence[Variable]) -> list[str]:
    """Each output as nested calls."""
    given = set(i)

    def text(v: Variable) -> str:
        if v in given or v.owner is None:
            return str(v)
        call = f"{v.owner.op}({', '.join(map(text, v.owner.inputs))})"
        return call if len(v.owner.outputs) == 1 else f"{call}::{v.index}"

    return [text(v) for v in o]
