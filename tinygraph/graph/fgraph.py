"""FunctionGraph: a private, mutable copy of an expression graph, which passes rewrite.

Its structure is a ``networkx.MultiDiGraph``: one node per Apply, one edge per use of a result, keyed by
``(output index, input position)``. ``clients`` answers the same question for leaves and outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import networkx as nx

from tinygraph.errors import InconsistencyError
from tinygraph.graph.collector import without_collector
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import clone, toposort
from tinygraph.graph.variable import Constant, Variable

OUTPUT = "output"


class Replacement(NamedTuple):
    """One recorded change: which pass or rule replaced what by what."""

    reason: str
    old: str
    new: str


class FunctionGraph:
    """Inputs, outputs and the nodes between them.

    Parameters
    ----------
    inputs, outputs : the graph's interface. Shared variables and constants need not be among the inputs.
    clone_graph : work on a copy (default); the user's expressions stay as they are.
    """

    @without_collector
    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable], clone_graph: bool = True):
        self.memo: dict[Variable, Variable] = {}
        if clone_graph:
            self.memo = {v: v for v in inputs}
            outputs = clone(list(outputs), memo=self.memo)
            inputs = [self.memo[v] for v in inputs]
        self.inputs = list(inputs)
        self.outputs: list[Variable] = []
        self.graph: nx.MultiDiGraph = nx.MultiDiGraph()
        self.clients: dict[Variable, dict[tuple[Any, int], None]] = {v: {} for v in self.inputs}
        self.history: list[Replacement] = []
        self._order: list[Apply] | None = None
        #: called with (fgraph, old, new, reason) before each replacement
        self.observers: list[Any] = []
        for i, out in enumerate(outputs):
            self._import(out)
            self.outputs.append(out)
            self.clients.setdefault(out, {})[(OUTPUT, i)] = None

    # -- structure ------------------------------------------------------------------------------------------------

    @property
    def apply_nodes(self) -> list[Apply]:
        return list(self.graph.nodes)

    @property
    def variables(self) -> list[Variable]:
        return list(self.clients)

    def __len__(self) -> int:
        return self.graph.number_of_nodes()

    def toposort(self) -> list[Apply]:
        """Nodes in an order in which they can run; always the same for the same graph."""
        if self._order is None:
            key = {node: node.serial for node in self.graph}
            try:
                self._order = list(nx.lexicographical_topological_sort(self.graph, key=key.__getitem__))
            except nx.NetworkXUnfeasible as error:
                raise InconsistencyError("the graph has a cycle") from error
        return list(self._order)

    def _import(self, var: Variable) -> list[Apply]:
        """Add ``var`` and all that it needs; returns the nodes that are new here."""
        if var in self.clients:
            return []
        if var.owner is None:
            self.clients[var] = {}
            return []
        fresh = toposort([var], blockers=self.clients)
        for node in fresh:
            self._import_node(node)
        return fresh

    def _import_node(self, node: Apply) -> None:
        if node in self.graph:
            return
        self._order = None
        self.graph.add_node(node)
        for i, v in enumerate(node.inputs):
            self._add_use(v, node, i)
        for out in node.outputs:
            self.clients.setdefault(out, {})

    def _add_use(self, v: Variable, node: Apply, i: int) -> None:
        self.clients.setdefault(v, {})[(node, i)] = None
        if v.owner is not None:
            self.graph.add_edge(v.owner, node, key=(v.index, i))

    def _drop_use(self, v: Variable, node: Any, i: int) -> None:
        del self.clients[v][(node, i)]
        if v.owner is not None and node is not OUTPUT:
            self.graph.remove_edge(v.owner, node, key=(v.index, i))

    # -- changing -------------------------------------------------------------------------------------------------

    def replace(self, old: Variable, new: Variable, reason: str = "") -> None:
        """Let every user of ``old`` use ``new``; what nobody uses any more is dropped.

        Raises InconsistencyError if the types do not fit or a cycle would arise.
        """
        if old is new:
            return
        if old not in self.clients:
            return  # already replaced or dropped
        self._check_types(old, new, reason)
        for observer in self.observers:
            observer(self, old, new, reason)
        self.history.append(Replacement(reason, str(old), str(new)))
        uses = list(self.clients[old])
        new_side = set(self._import(new))  # nodes that wrap the old value go on reading it
        self._order = None
        for node, i in uses:
            if node is OUTPUT:
                self._drop_use(old, OUTPUT, i)
                self.outputs[i] = new
                self.clients[new][(OUTPUT, i)] = None
            elif node not in new_side:
                self._drop_use(old, node, i)
                node.inputs[i] = new
                self._add_use(new, node, i)
        if new.name is None and old.name is not None and not isinstance(new, Constant) and new.owner is not None:
            new.name = old.name
        self._prune([old])

    def _check_types(self, old: Variable, new: Variable, reason: str) -> None:
        fits = old.type.fits(new.type) if isinstance(old.type, TensorType) else old.type == new.type
        if not fits:
            raise InconsistencyError(
                f"{reason or 'replace'}: cannot replace {old} of type {old.type} by {new} of type {new.type}"
            )

    def replace_all(self, pairs: Iterable[tuple[Variable, Variable]], reason: str = "") -> None:
        for old, new in pairs:
            self.replace(old, new, reason)

    replace_validate = replace

    replace_all_validate = replace_all

    def change_output(self, i: int, new: Variable) -> None:
        old = self.outputs[i]
        self._import(new)
        self._drop_use(old, OUTPUT, i)
        self.outputs[i] = new
        self.clients[new][(OUTPUT, i)] = None
        self._prune([old])

    def add_output(self, var: Variable) -> None:
        self._import(var)
        self.outputs.append(var)
        self.clients[var][(OUTPUT, len(self.outputs) - 1)] = None

    def _prune(self, candidates: list[Variable]) -> None:
        keep = set(self.inputs)
        while candidates:
            v = candidates.pop()
            if v not in self.clients or self.clients[v] or v in keep:
                continue
            node = v.owner
            if node is None:
                del self.clients[v]
                continue
            if node not in self.graph or any(self.clients.get(o) for o in node.outputs):
                continue
            self._order = None
            for i, source in enumerate(node.inputs):
                if (node, i) in self.clients.get(source, ()):
                    self._drop_use(source, node, i)
                    candidates.append(source)
            self.graph.remove_node(node)
            for o in node.outputs:
                if o not in keep:
                    self.clients.pop(o, None)

    # -- checking -------------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Raise InconsistencyError unless structure, types and bookkeeping agree."""
        order = self.toposort()
        seen: set[Variable] = set(self.inputs)
        for node in order:
            for i, v in enumerate(node.inputs):
                if v.owner is not None and v not in seen:
                    raise InconsistencyError(f"{node}: input {i} is not computed before it is used")
                if (node, i) not in self.clients.get(v, ()):
                    raise InconsistencyError(f"{node}: input {i} does not list the node as a client")
                if v.owner is not None and not self.graph.has_edge(v.owner, node, key=(v.index, i)):
                    raise InconsistencyError(f"{node}: edge for input {i} is missing")
            seen.update(node.outputs)
        for i, out in enumerate(self.outputs):
            if (OUTPUT, i) not in self.clients.get(out, ()):
                raise InconsistencyError(f"output {i} is not listed as a use")
        uses = sum(len(c) for c in self.clients.values())
        if uses != sum(len(n.inputs) for n in order) + len(self.outputs):
            raise InconsistencyError("clients of dropped nodes remain")

    def clone(self) -> FunctionGraph:
        """An independent copy, with the same leaves."""
        memo: dict[Variable, Variable] = {v: v for v in self.inputs}
        outputs = clone(self.outputs, memo=memo)
        new = FunctionGraph([memo[v] for v in self.inputs], outputs, clone_graph=False)
        new.memo = memo
        return new
