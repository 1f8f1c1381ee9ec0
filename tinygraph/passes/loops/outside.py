"""Moving work out of a loop: what is fixed, what reads sequences only, and what only makes outputs.

``before``   nodes of invariants and sequences run once, on all steps together, before the loop.
``after``    nodes that no state depends on run once after it, on histories and on values that the loop hands out.
``sums``     a state that only adds something up becomes a sum over all steps; a sum of products one product.
"""

from __future__ import annotations

from typing import Any

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import ancestors, clone, toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.loops.associate import regroup_sums
from tinygraph.passes.loops.common import loops, replace_loop, rows_of
from tinygraph.passes.loops.lift import Lifted, Steps, fixed, lift
from tinygraph.passes.loops.sums import SumLifter, running_sums
from tinygraph.passes.rewrite import Context, graph_pass
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.parts import Given, OutPart, Parts, StatePart
from tinygraph.scan.saved import sizes, stackable


@graph_pass("loop_before", "loop")
def before(fgraph: FunctionGraph, context: Context) -> None:
    """scan(.. f(x[t], w) ..) -> y = F(x, w); scan(.. y[t] ..): invariants once, ``dot(x[t], w)`` as one product."""
    for node in loops(fgraph):
        parts = Parts.of(node)
        if pull_before(parts):
            replace_loop(fgraph, parts, "loop_before")


def pull_before(parts: Parts) -> bool:
    """Move what depends on sequences and invariants only to before the loop; whether anything was moved."""
    regroup_sums(parts)
    env: dict[Variable, Lifted] = {g.inner: Lifted(g.outer, False) for g in parts.nonseqs}
    steps = Steps(parts.n_steps)
    if parts.limit is None and not parts.spec.recompute:  # as for ``after``
        env.update({g.inner: Lifted(rows_of(g, parts), True) for g in parts.seqs})
    lifted: set[Variable] = set()
    nodes = toposort(parts.inner_outputs(), blockers=parts.inner_inputs())
    for node in nodes:
        args = [fixed(v) if isinstance(v, Constant) else env.get(v) for v in node.inputs]
        if all(a is not None for a in args):
            found = lift(node, args, steps)  # type: ignore[arg-type]
            if found is not None:
                env.update(zip(node.outputs, found, strict=True))
                lifted.update(node.outputs)
    if not lifted:
        return False
    frontier: dict[Variable, None] = {}
    for node in nodes:
        if node.outputs[0] not in lifted:
            frontier.update({v: None for v in node.inputs if v in lifted})
    frontier.update({v: None for v in parts.inner_outputs() if v in lifted})
    parts.substitute({v: _stand_in(parts, v, env[v]) for v in frontier})
    parts.drop_unused_inputs()
    return True


def _stand_in(parts: Parts, v: Variable, value: Lifted) -> Variable:
    """An inner variable for a value that now comes from outside."""
    if value.moving:
        return parts.add_seq(value.outer, v.type.make_variable(v.name))
    inner = v.type.make_variable(v.name)
    parts.nonseqs.append(Given(value.outer, inner))
    return inner


class After:
    """Values of the step seen from after the loop, made when asked for."""

    def __init__(self, parts: Parts, leaving: list[StatePart | OutPart]):
        self.parts = parts
        self.steps = Steps(parts.n_steps)
        staying = [s.new for s in parts.states if s not in leaving] + [
            o.value for o in parts.outs if o not in leaving
        ]
        #: what the loop computes in any case
        self.core = set(ancestors(staying, blockers=parts.inner_inputs()))
        self.env: dict[Variable, Lifted | None] = {g.inner: Lifted(g.outer, False) for g in parts.nonseqs}
        self.env.update({g.inner: Lifted(rows_of(g, parts), True) for g in parts.seqs})
        self._stackable: set[Variable] | None = None
        nodes = toposort(parts.inner_outputs(), blockers=parts.inner_inputs())
        self._sizes = sizes(nodes, {g.inner for g in parts.nonseqs})
        #: inner value -> what stands for its rows until the node is made
        self.exposed: dict[Variable, Variable] = {}
        self.histories: dict[StatePart, Variable] = {}
        self._readings = {v: (s, k) for s in parts.states for k, v in zip(s.taps, s.readings, strict=True)}
        self._states = {s.new: s for s in reversed(parts.states)}

    def value(self, v: Variable) -> Lifted | None:
        """``v`` after the loop; None if it cannot be had there."""
        for u in ancestors([v], blockers=self.env):
            if u not in self.env:
                self.env[u] = self._value(u)
        return self.env[v]

    def _value(self, v: Variable) -> Lifted | None:
        if isinstance(v, Constant):
            return fixed(v)
        if v in self._readings:
            s, k = self._readings[v]
            return self._history(s, k if self.parts.spec.backwards else s.depth - k)
        if v in self._states and self._states[v].keep is None and v.owner is not None:
            s = self._states[v]
            return self._history(s, 0 if self.parts.spec.backwards else s.depth)
        if v.owner is None:
            return None
        args = [fixed(u) if isinstance(u, Constant) else self.env.get(u) for u in v.owner.inputs]
        known = all(a is not None for a in args)
        if known and (v not in self.core or not any(a.moving for a in args)):  # type: ignore[union-attr]
            found = lift(v.owner, args, self.steps)  # type: ignore[arg-type]
            if found is not None:
                return found[v.index]  # type: ignore[index]
        return self._expose(v)

    def _history(self, s: StatePart, first: int) -> Lifted | None:
        if s.keep is not None:
            return None
        if s not in self.histories:
            t: TensorType = s.new.type  # type: ignore[assignment]
            self.histories[s] = TensorType(t.dtype, (None, *t.shape))()
        h: Any = self.histories[s]
        return Lifted((h[first:] if first else h)[: self.parts.n_steps], True)

    def _expose(self, v: Variable) -> Lifted | None:
        """Rows of a value that the loop computes: handed out as an output."""
        if not isinstance(v.type, TensorType) or v.owner is None or v in self._sizes:
            return None  # sizes, handed out, would be data: what is shaped by them would be of any size
        if self._stackable is None:
            self._stackable = stackable(InnerGraph(self.parts.inner_inputs(), self.parts.inner_outputs()))
        if v not in self._stackable:
            return None  # of another shape at every step
        if v not in self.exposed:
            self.exposed[v] = TensorType(v.type.dtype, (None, *v.type.shape))()
        return Lifted(self.exposed[v], True)


@graph_pass("loop_after", "loop")
def after(fgraph: FunctionGraph, context: Context) -> None:
    """scan(.. -> h, f(h)) -> F(scan(.. -> h)), for outputs and running sums that no state depends on."""
    for node in loops(fgraph):
        parts = Parts.of(node)
        if parts.stop is not None or parts.limit is not None:
            continue  # rows of steps that are not taken hold nothing
        if parts.spec.recompute:
            continue  # it is to need little memory, and what leaves it is kept for all steps
        pull_after(fgraph, parts)


def pull_after(fgraph: FunctionGraph, parts: Parts) -> None:
    """Rebuild the loop without outputs and sums that can be made after it."""
    sums = running_sums(parts)
    outs = [o for o in parts.outs if o.keep is None]
    while sums or outs:
        plan = After(parts, [*sums, *outs])
        lifter = SumLifter(plan)
        totals = {s: lifter.total(s) for s in sums}
        rows = {o: _outside(plan, o) for o in outs}
        if all(x is not None for x in (*totals.values(), *rows.values())):
            break
        # what must stay keeps all it needs inside: nothing is to be computed twice
        sums = [s for s, x in totals.items() if x is not None]
        outs = [o for o, x in rows.items() if x is not None]
    else:
        return
    replace = {r: x for part, x in [*totals.items(), *rows.items()] for r in part.results}
    parts.states = [s for s in parts.states if s not in sums]
    parts.outs = [o for o in parts.outs if o not in outs]
    _finish(fgraph, parts, plan, replace)


def _outside(plan: After, o: OutPart) -> Any:
    """The rows of an output, made after the loop; None if it is better made inside."""
    found = plan.value(o.value)
    if found is None:
        return None
    if not found.moving:
        from tinygraph.tensor.broadcast import alloc_op
        from tinygraph.tensor.shape import shape_tuple

        return alloc_op(found.outer, plan.steps.n_steps, *shape_tuple(found.outer))
    return None if found.outer in plan.exposed.values() else found.outer


def _finish(fgraph: FunctionGraph, parts: Parts, plan: After, replace: dict[Variable, Any]) -> None:
    """Make the new loop, and put its histories and outputs where the plan left gaps."""
    wanted = set(ancestors(replace.values()))
    by_value = {o.value: o for o in parts.outs if o.keep is None}
    for v, gap in plan.exposed.items():
        if gap in wanted:
            part = by_value.get(v) or OutPart(v)
            if part not in parts.outs:
                parts.outs.append(part)
            part.results.append(gap)
    for s, gap in plan.histories.items():
        if gap in wanted:
            s.results.append(gap)
    parts.drop_unused_inputs()
    results: dict[Variable, Variable] = {}
    if parts.states or parts.outs:
        _, results = parts.build()
    replacements = [*plan.exposed.values(), *plan.histories.values()]
    filled = clone(list(replace.values()), replace={g: results[g] for g in replacements if g in results})
    pairs = list(zip(replace, filled, strict=True))
    pairs += [(old, new) for old, new in results.items() if old not in set(replacements)]
    fgraph.replace_all([(old, new) for old, new in pairs if old in fgraph.clients], "loop_after")
