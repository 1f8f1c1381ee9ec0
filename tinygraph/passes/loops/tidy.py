"""Putting a loop in order: its step's own graph, what is given twice, what nobody asks for.

``loop_step``, ``loop_specialise``   the passes that run on the whole graph run on the step
``loop_tidy``                        equal inputs and states become one; what nobody uses goes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.traversal import ancestors, toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.loops.common import loops, replace_loop
from tinygraph.passes.rewrite import Context, graph_pass
from tinygraph.scan.parts import Parts, StatePart
from tinygraph.tensor.broadcast import Alloc


@graph_pass("loop_step", "loop")
def step(fgraph: FunctionGraph, context: Context) -> None:
    """The pipeline as far as stability, on each loop's step (and so on the loops within it)."""
    _run_on_steps(fgraph, context, "loop_step", ("specialise",))


@graph_pass("loop_specialise", "loop")
def specialise(fgraph: FunctionGraph, context: Context) -> None:
    """The whole pipeline on each loop's step."""
    _run_on_steps(fgraph, context, "loop_specialise", ())


def _run_on_steps(fgraph: FunctionGraph, context: Context, reason: str, without: Sequence[str]) -> None:
    from tinygraph.passes.pipeline import PIPELINE, optimise  # the pipeline lists the passes on loops

    stages = [s for s in PIPELINE if s.name not in without]
    for node in loops(fgraph):
        inner = node.op.inner  # type: ignore[attr-defined]
        graph = FunctionGraph(inner.inputs, inner.outputs)
        optimise(graph, context.memo.get("query"), context.options, pipeline=stages)
        if graph.history:
            parts = Parts.of(node)
            parts.set_outputs(graph.outputs)
            replace_loop(fgraph, parts, reason)


@graph_pass("loop_tidy", "loop")
def tidy(fgraph: FunctionGraph, context: Context) -> None:
    """One of each: equal inputs, states and outputs merged, unused ones dropped."""
    for node in reversed(loops(fgraph)):
        parts = Parts.of(node)
        if tidied(parts, lambda v: bool(fgraph.clients.get(v))):
            replace_loop(fgraph, parts, "loop_tidy")


def tidied(parts: Parts, is_used: Callable[[Variable], bool]) -> bool:
    """Put ``parts`` in order; whether anything changed."""
    before = _counts(parts)
    changed = _merge_inputs(parts)
    changed |= _merge_states(parts)
    _merge_outputs(parts)
    _drop_dead(parts, is_used)
    parts.drop_unused_inputs()
    return changed or _counts(parts) != before


def _counts(parts: Parts) -> tuple:
    return len(parts.seqs), len(parts.nonseqs), len(parts.outs), [len(s.taps) for s in parts.states]


def _merge_inputs(parts: Parts) -> bool:
    """Equal outer variables are read through one inner variable; constants and spread values lose their place."""
    replace: dict[Variable, Variable] = {}
    seen: dict[Any, Variable] = {}
    for g in [*parts.seqs]:
        source = _spread_along_time(g.outer)
        if source is not None and source.type == g.inner.type:
            parts.seqs.remove(g)
            replace[g.inner] = parts.add_nonseq(source)
        else:
            kept = seen.setdefault(("seq", _key(g.outer)), g.inner)
            if kept is not g.inner:
                replace[g.inner] = kept
    for g in parts.nonseqs:
        if isinstance(g.outer, Constant) and g.outer.data.size == 1:  # type: ignore[attr-defined]
            replace[g.inner] = g.outer
            continue
        kept = seen.setdefault(("nonseq", _key(g.outer)), g.inner)
        if kept is not g.inner:
            replace[g.inner] = kept
    inner = set(replace)
    replace = {v: _end(v, replace) for v in inner}
    parts.substitute(replace)
    for s in parts.states:
        s.readings = [replace.get(v, v) for v in s.readings]
    parts.seqs = [g for g in parts.seqs if g.inner not in inner]
    parts.nonseqs = [g for g in parts.nonseqs if g.inner not in inner]
    return bool(replace)


def _end(v: Variable, replace: dict[Variable, Variable]) -> Variable:
    while v in replace:
        v = replace[v]
    return v


def _key(v: Variable) -> Any:
    return v.signature() if isinstance(v, Constant) else id(v)


def _spread_along_time(outer: Variable) -> Variable | None:
    """The value that a sequence repeats in every row, where Alloc spread it along the first dimension."""
    node = outer.owner
    if node is None or not isinstance(node.op, Alloc):
        return None
    value, rest = node.inputs[0], node.inputs[2:]
    if value.type.ndim >= outer.type.ndim:  # type: ignore[attr-defined]
        return None
    return node.op(value, *rest) if rest else value  # type: ignore[no-any-return]


def _merge_states(parts: Parts) -> bool:
    """States that start alike and are computed alike become one."""
    known_end = parts.stop is None and parts.limit is None  # else where a window ends only the run knows
    start = [(_key(s.init), s.depth, s.new.type.dtype, None if known_end else s.keep) for s in parts.states]
    twins = _alike(parts, start)
    replace: dict[Variable, Variable] = {}
    for s, kept in twins.items():
        for k, v in zip(s.taps, s.readings, strict=True):
            u = _reading(kept, k)
            if u is None:
                u = v
                kept.taps.append(k)
                kept.readings.append(v)
            else:
                replace[v] = u
        _share_history(kept, s)
    parts.substitute(replace)
    parts.states = [s for s in parts.states if s not in twins]
    return bool(twins)


def _alike(parts: Parts, keys: Sequence[Any]) -> dict[StatePart, StatePart]:
    """States with equal keys that are computed alike, each with the first of its kind.

    States are taken for equal until a step tells them apart, and then those computed from them are looked at again:
    the coarsest partition of Hopcroft's ("An n log n algorithm for minimizing states in a finite automaton", 1971).
    """
    while True:
        first: dict[Any, StatePart] = {}
        twins = {s: first.setdefault(key, s) for s, key in zip(parts.states, keys, strict=True)}
        assumed = {v: _reading(twins[s], k) for s in twins for k, v in zip(s.taps, s.readings, strict=True)}
        number = _numbers(parts, {v: u for v, u in assumed.items() if u is not None})
        finer = [(key, number[s.new]) for s, key in zip(parts.states, keys, strict=True)]
        if len(set(finer)) == len(first):
            return {s: kept for s, kept in twins.items() if s is not kept}
        numbers: dict[Any, int] = {}
        keys = [numbers.setdefault(key, len(numbers)) for key in finer]


def _share_history(kept: StatePart, s: StatePart) -> None:
    """Let ``kept`` stand for ``s`` too: with all rows if either has them, with as many as the longer window else."""
    if kept.keep == s.keep:
        kept.results += s.results
        kept.windows += s.windows
        return
    for part in (kept, s):
        if part.keep is not None:
            part.windows += [(v, part.keep) for v in part.results]
            part.results = []
    kept.results += s.results
    kept.windows += s.windows
    kept.keep = None if kept.keep is None or s.keep is None else max(kept.keep, s.keep)


def _reading(s: StatePart, k: int) -> Variable | None:
    return s.readings[s.taps.index(k)] if k in s.taps else None


def _numbers(parts: Parts, assumed: dict[Variable, Variable]) -> dict[Variable, Any]:
    """A number for each inner variable, the same for values that are computed alike."""
    number: dict[Variable, Any] = {}
    table: dict[Any, Any] = {}

    def of(v: Variable) -> Any:
        v = assumed.get(v, v)
        if v not in number:
            number[v] = ("leaf", _key(v))
        return number[v]

    for node in toposort(parts.inner_outputs(), blockers=parts.inner_inputs()):
        key = (node.op, *(of(v) for v in node.inputs)) if node.op.pure else (id(node),)
        for out in node.outputs:
            number[out] = table.setdefault((key, out.index), len(table))
    for v in parts.inner_outputs():
        number.setdefault(v, of(v))
    return number


def _merge_outputs(parts: Parts) -> None:
    """Outputs of one inner value are one output."""
    number = _numbers(parts, {})
    seen: dict[Any, Any] = {}
    for o in [*parts.outs]:
        kept = seen.setdefault((number[o.value], o.keep), o)
        if kept is not o:
            kept.results += o.results
            parts.outs.remove(o)


def _drop_dead(parts: Parts, is_used: Callable[[Variable], bool]) -> None:
    """Leave out outputs nobody uses, and states that neither are used nor lead to anything that is."""
    parts.outs = [o for o in parts.outs if any(map(is_used, o.results))]
    live = [s for s in parts.states if any(map(is_used, s.all_results()))]
    while True:
        roots = (
            [s.new for s in live]
            + [o.value for o in parts.outs]
            + ([parts.stop] if parts.stop is not None else [])
        )
        needed = set(ancestors(roots, blockers=parts.inner_inputs()))
        more = [s for s in parts.states if s not in live and any(v in needed for v in s.readings)]
        if not more:
            break
        live += more
    parts.states = [s for s in parts.states if s in live]
