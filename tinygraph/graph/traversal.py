"""Walking expression graphs. Nothing here recurses: a graph may be deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable


def ancestors(variables: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """Every variable that ``variables`` depend on, themselves included, inputs first; nothing behind ``blockers``."""
    stop = set(blockers)
    seen: set[Variable] = set()
    out: list[Variable] = []
    stack: list[tuple[Variable, bool]] = [(v, False) for v in reversed(list(variables))]
    while stack:
        v, expanded = stack.pop()
        if expanded:
            out.append(v)
        elif v not in seen:
            seen.add(v)
            stack.append((v, True))
            if v.owner is not None and v not in stop:
                stack.extend((i, False) for i in reversed(v.owner.inputs))
    return out


def inputs(variables: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """The leaves (constants included) that ``variables`` depend on."""
    stop = set(blockers)
    return [v for v in ancestors(variables, stop) if v.owner is None or v in stop]


graph_inputs = inputs


def mention(v: Variable, other: Variable) -> None:
    """Remember that ``v`` was derived from ``other``, though it may not need it: a gradient, from its cost."""
    v.__dict__["_mentions"] = (*v.__dict__.get("_mentions", ()), other)


def mentioned(variables: Iterable[Variable]) -> set[Variable]:
    """All that ``variables`` depend on or were derived from."""
    found: set[Variable] = set()
    todo = list(variables)
    while todo:
        new = set(ancestors(todo)) - found
        found |= new
        todo = [m for v in new for m in v.__dict__.get("_mentions", ()) if m not in found]
    return found


def explicit_inputs(variables: Iterable[Variable]) -> list[Variable]:
    """The leaves a caller must supply: neither constants nor shared variables."""
    return [v for v in inputs(variables) if not isinstance(v, Constant) and not hasattr(v, "container")]


def toposort(outputs: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Apply]:
    """Apply nodes that ``outputs`` depend on, each after the nodes whose results it reads."""
    stop = blockers if isinstance(blockers, (set, dict)) else set(blockers)
    done: set[Apply] = set()
    order: list[Apply] = []
    stack: list[tuple[Apply, bool]] = [
        (v.owner, False) for v in reversed(list(outputs)) if v.owner is not None and v not in stop
    ]
    while stack:
        node, expanded = stack.pop()
        if node in done:
            continue
        if expanded:
            done.add(node)
            order.append(node)
            continue
        stack.append((node, True))
        for v in reversed(node.inputs):
            if v.owner is not None and v.owner not in done and v not in stop:
                stack.append((v.owner, False))
    return order


def io_toposort(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Apply]:
    """Theano's name: the nodes between ``inputs`` and ``outputs`` in an order in which they can run."""
    return toposort(outputs, blockers=inputs)


def variables_between(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Variable]:
    return ancestors(outputs, blockers=inputs)


def clients_of(outputs: Iterable[Variable]) -> dict[Variable, list[tuple[Apply, int]]]:
    """For each variable the ``(node, input position)`` pairs that read it."""
    clients: dict[Variable, list[tuple[Apply, int]]] = {}
    for node in toposort(outputs):
        for i, v in enumerate(node.inputs):
            clients.setdefault(v, []).append((node, i))
    return clients


def is_in_ancestors(node: Apply, variable: Variable) -> bool:
    """Whether ``variable`` is among what ``node`` is computed from."""
    return variable in set(ancestors(node.inputs))


def walk(start: Sequence[Variable], expand: Callable[[Variable], Iterable[Variable]]) -> list[Variable]:
    """Depth-first walk by any neighbour function, each variable once."""
    seen: set[Variable] = set()
    out: list[Variable] = []
    stack = list(reversed(start))
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        out.append(v)
        stack.extend(expand(v))
    return out


def clone(
    outputs: Sequence[Variable],
    replace: dict[Variable, Variable] | None = None,
    share_leaves: bool = True,
    memo: dict[Variable, Variable] | None = None,
) -> list[Variable]:
    """A copy of the graph behind ``outputs`` in which each key of ``replace`` is its value.

    Replacements are not themselves searched for keys. Subgraphs without a replaced variable are shared with the
    original unless ``memo`` is given or ``share_leaves`` is False, which ask for a copy of every node (and leaf).
    """
    full = memo is not None or not share_leaves
    memo = {} if memo is None else memo
    memo.update(replace or {})
    for node in toposort(outputs, blockers=list(memo)):
        if all(o in memo for o in node.outputs):
            continue
        if not full and not any(memo.get(v, v) is not v for v in node.inputs):
            continue
        for v in node.inputs:
            if v.owner is None and v not in memo:
                memo[v] = v if share_leaves or isinstance(v, Constant) or hasattr(v, "container") else v.clone()
        new = node.clone_with_new_inputs([memo.get(v, v) for v in node.inputs])
        for old_out, new_out in zip(node.outputs, new.outputs, strict=True):
            memo.setdefault(old_out, new_out)
    for v in outputs:
        if v.owner is None and v not in memo:
            memo[v] = v if share_leaves or isinstance(v, Constant) or hasattr(v, "container") else v.clone()
    return [memo.get(v, v) for v in outputs]


def is_same_graph(
    var1: Variable,
    var2: Variable,
    givens: dict[Variable, Variable] | Iterable[tuple[Variable, Variable]] | None = None,
) -> bool:
    """Whether two expressions apply equal ops in the same way to the same leaves (or leaves matched in ``givens``)."""
    pairs = dict(givens or {})
    matched: dict[Variable, Variable] = {}
    stack = [(var1, var2)]
    while stack:
        a, b = stack.pop()
        a, b = pairs.get(a, a), pairs.get(b, b)
        if a is b or matched.get(a) is b:
            continue
        if isinstance(a, Constant) and isinstance(b, Constant):
            if a.equals(b):
                continue
            return False
        if a.owner is None or b.owner is None or a.index != b.index or a.owner.op != b.owner.op:
            return False
        if len(a.owner.inputs) != len(b.owner.inputs):
            return False
        matched[a] = b
        stack.extend(zip(a.owner.inputs, b.owner.inputs, strict=True))
    return True
