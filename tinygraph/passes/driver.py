"""Applying rules until none applies: a worklist over the graph, equal nodes merged on the way.

A visit of a node first looks whether an equal node exists (same op, same inputs), then tries the rules for its op.
After a replacement the new nodes are visited, inputs first, and then the nodes a few steps downstream, whose rules may
look that far back. A stage that follows another tries only its own rules on nodes that have come to rest under the
earlier ones. Before the last stage ends, one more sweep of all rules over all nodes makes sure that nothing was missed.
The time is linear in the number of nodes and replacements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from tinygraph.errors import InconsistencyError, RewriteError
from tinygraph.graph import origin
from tinygraph.graph.fgraph import OUTPUT, FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.rewrite import Context, Head, Rule
from tinygraph.tensor.elemwise import Elemwise

#: how many times in a row one value may be replaced before the rules are taken to chase each other
_LINEAGE = 200
#: nodes downstream of a change that are visited again: so many steps, and so many nodes at most
_DEPTH, _BREADTH = 3, 48


class RuleSet:
    """Rules by the ops they look at."""

    def __init__(self, rules: Sequence[Rule]):
        self.rules = list(rules)
        self._by_head: dict[Head, list[Rule]] = {}
        self._order = {r: i for i, r in enumerate(rules)}
        for r in rules:
            for head in r.heads:
                self._by_head.setdefault(head, []).append(r)
        self._for_key: dict[Any, list[Rule]] = {}

    def for_node(self, node: Apply) -> list[Rule]:
        """The rules to try on ``node``, in order."""
        op = node.op
        key = op.scalar_op.name if isinstance(op, Elemwise) else type(op)
        found = self._for_key.get(key)
        if found is None:
            heads: list[Head] = [key] if isinstance(key, str) else []
            heads += [*type(op).__mro__, "*"]
            chosen = {r for h in heads for r in self._by_head.get(h, ())}
            found = self._for_key[key] = sorted(chosen, key=self._order.__getitem__)
        return found


class Equilibrium:
    """Runs rules on a graph to a fixed point; stages after the first keep what is known of the graph.

    Raises RewriteError, with the names of the rules, where they replace one another's results for ever.
    """

    def __init__(self, context: Context):
        self.context = context
        self.fgraph: FunctionGraph = context.fgraph
        self.visits = 0
        self._queue: deque[Apply] = deque()
        self._queued: set[Apply] = set()
        #: equal nodes by signature; ops by identity and by value
        self._table: dict[Any, Apply] = {}
        self._ops: dict[int, tuple[int, Any]] = {}
        self._equal_ops: dict[Any, int] = {}
        #: for a replaced value: how many replacements led to it, and by which rules
        self._lineage: dict[Variable, tuple[int, Any]] = {}
        #: rules that do not apply anywhere in the graph as it was after so many replacements
        self._settled: set[Rule] = set()
        self._settled_at = -1
        self._fresh: set[Apply] | None = None

    def run(self, rules: Sequence[Rule] = (), thorough: bool = True) -> int:
        """Apply ``rules``; returns how many times a node was visited. ``thorough``: sweep until nothing changes."""
        fgraph, started = self.fgraph, self.visits
        limit = self.visits + 1000 + 100 * len(fgraph)
        full = RuleSet(rules)
        known = self._settled if self._settled_at == len(fgraph.history) else set()
        first = RuleSet([r for r in rules if r not in known])
        origin._override.append(None)  # what rules build belongs to the user's line that built the replaced node
        try:
            # nodes that have come to rest under the known rules need only the new ones, until something near changes
            self._fresh = set() if known else None
            while True:
                before = len(fgraph.history)
                if first.rules or not known:
                    self._push(toposort(fgraph.outputs))
                    self._drain(limit, first, full)
                if len(fgraph.history) == before and (first.rules == full.rules or not thorough or not rules):
                    break
                self._fresh, first, known = None, full, set()
                if not thorough:
                    break
        finally:
            origin._override.pop()
        self._settled, self._settled_at = set(rules), len(fgraph.history)
        return self.visits - started

    def signature(self, node: Apply) -> Any:
        """A key that is equal for nodes that compute the same values, operands of commutative ops in any order."""
        op = node.op
        found = self._ops.get(id(op))
        if found is None:
            number = self._equal_ops.setdefault(op, len(self._equal_ops))
            found = self._ops[id(op)] = (number, op)  # holding the op keeps its id from being used again
        keys = [v.signature() if isinstance(v, Constant) else id(v) for v in node.inputs]
        if len(keys) == 2 and isinstance(op, Elemwise) and op.scalar_op.commutative:
            keys.sort(key=hash)
        return (found[0], *keys)

    def _push(self, nodes: Iterable[Apply]) -> None:
        for node in nodes:
            if node not in self._queued:
                self._queued.add(node)
                self._queue.append(node)

    def _push_first(self, nodes: Sequence[Apply]) -> None:
        for node in reversed(nodes):
            self._queued.add(node)
            self._queue.appendleft(node)

    def _drain(self, limit: int, first: RuleSet, full: RuleSet) -> None:
        queue, queued, alive = self._queue, self._queued, self.fgraph.graph._node
        while queue:
            node = queue.popleft()
            queued.discard(node)
            if node not in alive:
                continue
            self.visits += 1
            if self.visits > limit + 50 * len(alive):
                raise RewriteError(f"rewriting does not come to rest after {self.visits} visits: {self._recent()}")
            if self._fresh is not None and node not in self._fresh:
                self._visit(node, first)
            elif not self._merged(node):
                self._visit(node, full)

    def _changed(self, nodes: Iterable[Apply]) -> None:
        """Nodes that are no longer known to have come to rest."""
        if self._fresh is not None:
            self._fresh.update(nodes)

    def _merged(self, node: Apply) -> bool:
        """Replace ``node`` by an equal one that is known already."""
        if not node.op.pure:
            return False
        key = self.signature(node)
        other = self._table.get(key)
        if other is None or other not in self.fgraph.graph._node:
            self._table[key] = node
            return False
        if other is node:
            return False
        if self.signature(other) != key or any(a.type != b.type for a, b in zip(other.outputs, node.outputs)):
            self._table[key] = node
            return False
        downstream = self._downstream(node.outputs)
        for old, new in zip(node.outputs, other.outputs):
            self.fgraph.replace(old, new, "merge")
        self._changed(downstream)
        self._push(downstream)
        return True

    def _visit(self, node: Apply, rules: RuleSet) -> None:
        origin._override[-1] = node.origin
        for r in rules.for_node(node):
            result = r.function(node, self.context) if r.wants_context else r.function(node)
            if result is None or result is False:
                continue
            if self._apply(node, r, result):
                return

    def _apply(self, node: Apply, r: Rule, result: Any) -> bool:
        pairs = _pairs(node, r, result)
        pairs = [(old, new) for old, new in pairs if old is not new and old in self.fgraph.clients]
        if not pairs:
            return False
        fresh = toposort([new for _, new in pairs], blockers=self.fgraph.clients)
        downstream = self._downstream([old for old, _ in pairs])
        for old, new in pairs:
            self._count(old, new, r)
            try:
                self.fgraph.replace(old, new, r.name)
            except InconsistencyError as error:
                raise RewriteError(f"rule {r.name} is wrong: {error}") from error
        self._changed([*downstream, *fresh, node])
        self._push(downstream)
        if node in self.fgraph.graph._node:
            self._push_first([node])
        self._push_first(fresh)
        return True

    def _downstream(self, variables: Iterable[Variable]) -> list[Apply]:
        clients = self.fgraph.clients
        found: dict[Apply, None] = {}
        level = list(variables)
        for _ in range(_DEPTH):
            following: list[Variable] = []
            for v in level:
                for user, _ in clients.get(v, ()):
                    if user is not OUTPUT and user not in found:
                        found[user] = None
                        following.extend(user.outputs)
                if len(found) > _BREADTH:
                    return list(found)
            level = following
        return list(found)

    # -- rules that chase each other ------------------------------------------------------------------------------

    def _count(self, old: Variable, new: Variable, r: Rule) -> None:
        length, before = self._lineage.get(old, (0, None))
        entry = (length + 1, (r.name, before))
        self._lineage[old] = entry
        if new not in self.fgraph.clients:
            self._lineage[new] = entry
        if length >= _LINEAGE:
            names: list[str] = []
            link = entry[1]
            while link is not None and len(names) < 60:
                names.append(link[0])
                link = link[1]
            raise RewriteError(
                f"these rules rewrite each other's results for ever: {' -> '.join(_period(names[::-1]))}"
                f" (at {old}, built at {old.origin}); exclude one of them by name"
            )

    def _recent(self) -> str:
        return " -> ".join(_period([h.reason for h in self.fgraph.history[-60:]]))


def _pairs(node: Apply, r: Rule, result: Any) -> list[tuple[Variable, Variable]]:
    """What a rule's answer replaces by what."""
    if isinstance(result, dict):
        return list(result.items())
    if isinstance(result, Variable):
        return [(node.default_output() if len(node.outputs) > 1 else node.outputs[0], result)]
    if isinstance(result, (list, tuple)) and len(result) == len(node.outputs):
        return [(old, new) for old, new in zip(node.outputs, result) if new is not None]
    raise RewriteError(f"rule {r.name} must give a variable, one entry for each output, or None; it gave {result!r}")


def _period(names: list[str]) -> list[str]:
    """The shortest sequence that the end of ``names`` repeats, closed to a circle."""
    for length in range(1, len(names) // 2 + 1):
        if names[-length:] == names[-2 * length : -length]:
            return [*names[-length:], names[-length]]
    return names[-10:]
