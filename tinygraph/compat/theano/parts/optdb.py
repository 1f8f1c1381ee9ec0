"""``theano.gof.optdb``: rewrites of whole graphs, registries of rewrites, and queries that choose from them.

``optdb``, Theano's own registry, shows tinygraph's: what is registered there runs in every function compiled from then
on whose mode chooses one of its tags (``fast_run`` and ``fast_compile`` name the usual modes). A registry made by a
program holds what the program puts into it; a mode made of its query runs that and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygraph.compat.theano.parts.opt import EquilibriumOptimizer, LocalOptGroup, LocalOptimizer, _as_rule
from tinygraph.errors import InvalidValue
from tinygraph.graph import FunctionGraph
from tinygraph.passes.rewrite import PASSES, RULES, Context, GraphPass
from tinygraph.passes.rewrite import Query as NativeQuery

_SPELLED = {"canonicalize": "canonicalise", "stabilize": "stabilise", "specialize": "specialise"}


def native_tags(tags: Sequence[str] | None) -> tuple[str, ...]:
    """Tags in tinygraph's spelling."""
    return tuple(_SPELLED.get(t, t) for t in tags or ())


class Optimizer:
    """A rewrite of a whole graph. Subclasses define ``apply(fgraph)``, which changes it."""

    name: str | None = None

    def add_requirements(self, fgraph: FunctionGraph) -> None:
        """Called before ``apply``."""

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Any:
        """Change ``fgraph``."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply")

    def optimize(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Any:
        """``add_requirements``, then ``apply``."""
        self.add_requirements(fgraph)
        return self.apply(fgraph, *args, **kwargs)

    def __call__(self, fgraph: FunctionGraph) -> Any:
        return self.optimize(fgraph)


class SeqOptimizer(Optimizer, list):
    """Rewrites run one after the other."""

    def __init__(self, *opts: Any, **kwargs: Any):
        given = opts[0] if len(opts) == 1 and isinstance(opts[0], (list, tuple)) else opts
        list.__init__(self, given)
        self.name = kwargs.get("name")

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> None:
        for one in self:
            rewriter_of(one)(fgraph)


class TopoOptimizer(Optimizer):
    """A local optimizer applied to each node of a graph, once in order."""

    def __init__(self, local_opt: Any, order: str = "in_to_out", **kwargs: Any):
        self.local_opt = local_opt

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> None:
        from tinygraph.passes.driver import Equilibrium

        Equilibrium(Context(fgraph)).run([_as_rule(self.local_opt)], thorough=False)


OpKeyOptimizer = TopoOptimizer


class MergeOptimizer(Optimizer):
    """Equal nodes become one."""

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> None:
        context = Context(fgraph)
        for name in ("merge", "merge_constants"):
            if name in PASSES:
                PASSES[name](fgraph, context)


def out2in(*local_opts: Any, **kwargs: Any) -> TopoOptimizer:
    """Local optimizers as a rewrite of a whole graph."""
    return TopoOptimizer(local_opts[0] if len(local_opts) == 1 else LocalOptGroup(*local_opts))


in2out = out2in


def copy_stack_trace(from_var: Any, to_var: Any) -> Any:
    """``to_var``: what a rewrite builds belongs to the line that built what it replaces, without this."""
    return to_var


def rewriter_of(given: Any) -> Callable[[FunctionGraph], Any]:
    """Anything that rewrites graphs as a function of one. Raises TypeError for other things."""
    if isinstance(given, LocalOptimizer):
        return EquilibriumOptimizer([given]).optimize
    if isinstance(given, Query):
        return optdb.query(given).optimize
    found = getattr(given, "optimize", None) or (given if callable(given) else None)
    if found is None:
        raise TypeError(f"expected an optimizer, got {given!r}")
    return found


class Query:
    """Chooses rewrites by tag or name: any of ``include``, all of ``require``, none of ``exclude``."""

    def __init__(self, include: Any, require: Any = None, exclude: Any = None, subquery: dict[str, Query] | None = None,
                 position_cutoff: float = float("inf"), extra_optimizations: Sequence[Any] = ()):  # fmt: skip
        self.include, self.require, self.exclude = (tuple(part or ()) for part in (include, require, exclude))
        self.subquery = dict(subquery or {})
        self.position_cutoff = position_cutoff

    def including(self, *tags: str) -> Query:
        """Also what has one of ``tags``."""
        return Query((*self.include, *tags), self.require, self.exclude, self.subquery, self.position_cutoff)

    def excluding(self, *tags: str) -> Query:
        """Without what has one of ``tags``."""
        return Query(self.include, self.require, (*self.exclude, *tags), self.subquery, self.position_cutoff)

    def requiring(self, *tags: str) -> Query:
        """Only what has all of ``tags``."""
        return Query(self.include, (*self.require, *tags), self.exclude, self.subquery, self.position_cutoff)

    def chooses(self, tags: set[str]) -> bool:
        """Whether a rewrite with ``tags``, its name among them, is chosen."""
        return not tags.isdisjoint(self.include) and tags.issuperset(self.require) and tags.isdisjoint(self.exclude)

    def native(self) -> NativeQuery:
        """The same in tinygraph's words."""
        return NativeQuery(native_tags(self.include), native_tags(self.exclude), native_tags(self.require))


def _query(*tags: Any) -> Query:
    """A query as given, or from words: ``+tag`` (or ``tag``) includes, ``-tag`` excludes, ``&tag`` requires."""
    if len(tags) == 1 and isinstance(tags[0], Query):
        return tags[0]
    by: dict[str, list[str]] = {"+": [], "-": [], "&": []}
    for tag in tags:
        by[tag[0] if tag[0] in by else "+"].append(tag.lstrip("+-&"))
    return Query(by["+"], by["&"], by["-"])


class DB:
    """Rewrites under names and tags."""

    def __init__(self, name: str | None = None):
        self.name = name
        self._entries: dict[str, tuple[Any, set[str], float]] = {}

    def register(self, name: str, obj: Any, *tags: Any, **kwargs: Any) -> None:
        """Add a rewrite, or another registry. Raises ValueError for a name that is taken."""
        self._add(name, obj, 0.0, tags)

    def _add(self, name: str, obj: Any, position: float, tags: Sequence[Any]) -> None:
        if any(name in known for _, known, _ in self._entries.values()):
            raise ValueError(f"{self.name or type(self).__name__}: {name!r} is the name or tag of a rewrite already")
        if getattr(obj, "name", None) is None and hasattr(obj, "__dict__"):
            obj.name = name
        self._entries[name] = obj, {name, type(obj).__name__, *map(str, tags)}, position

    def add_tags(self, name: str, *tags: str) -> None:
        """More tags for what is registered as ``name``."""
        self._entries[name][1].update(tags)

    def remove_tags(self, name: str, *tags: str) -> None:
        """Fewer tags for what is registered as ``name``."""
        self._entries[name][1].difference_update(tags)

    def __getitem__(self, name: str) -> Any:
        for key, (obj, tags, _) in self._entries.items():
            if key == name or name in tags:
                return obj
        raise KeyError(f"there is no rewrite {name!r}")

    def __contains__(self, name: str) -> bool:
        return any(name in tags for _, tags, _ in self._entries.values())

    def _chosen(self, query: Query) -> list[Any]:
        found = [
            (position, obj)
            for name, (obj, tags, position) in self._entries.items()
            if position < query.position_cutoff and (query.chooses(tags) or name in query.subquery)
        ]
        found.sort(key=lambda entry: entry[0])
        return [obj.query(query.subquery.get(obj.name, query)) if isinstance(obj, DB) else obj for _, obj in found]

    def query(self, *tags: Any) -> Any:
        """What a query, or tags, choose."""
        return self._chosen(_query(*tags))


class EquilibriumDB(DB):
    """Local optimizers, applied together until nothing changes."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def query(self, *tags: Any) -> EquilibriumOptimizer:
        return EquilibriumOptimizer(super().query(*tags))


class LocalGroupDB(DB):
    """Local optimizers, tried one after the other."""

    def query(self, *tags: Any) -> LocalOptGroup:
        return LocalOptGroup(*super().query(*tags))


class SequenceDB(DB):
    """Rewrites in the order of their positions: ``register(name, rewrite, position, *tags)``."""

    def register(self, name: str, obj: Any, position: Any = 0.0, *tags: Any, **kwargs: Any) -> None:
        self._add(name, obj, float("inf") if position == "last" else float(position), tags)

    def query(self, *tags: Any, **kwargs: Any) -> SeqOptimizer:
        return SeqOptimizer(super().query(*tags))


class _Pipeline(Optimizer):
    """tinygraph's passes, as a query chooses them."""

    def __init__(self, query: Query):
        self.query = query

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> None:
        from types import SimpleNamespace

        from tinygraph.passes.pipeline import optimise

        optimise(fgraph, SimpleNamespace(optimizer=self.query.native()))


class _Stage(EquilibriumDB):
    """The rules of one stage of tinygraph's pipeline."""

    def __init__(self, stage: str):
        super().__init__()
        self.name = stage

    def register(self, name: str, obj: Any, *tags: Any, **kwargs: Any) -> None:
        """Add a rule to the stage."""
        if name in RULES or name in PASSES:
            raise ValueError(f"{name!r} is the name of a rewrite already")
        rule = _as_rule(obj, " ".join((str(self.name), *native_tags(tags))))
        rule.name = name
        RULES[name] = rule

    def __contains__(self, name: str) -> bool:
        return name in RULES and self.name in RULES[name].tags

    def query(self, *tags: Any) -> EquilibriumOptimizer:
        chosen = _query(*tags).native()
        return EquilibriumOptimizer([r for r in RULES.values() if self.name in r.tags and chosen.chooses(r)])


#: up to which of Theano's positions a rewrite of its own belongs to a stage
_POSITIONS = ((1.0, "canonicalise"), (1.9, "stabilise"), (float("inf"), "specialise"))


class _GlobalDB(SequenceDB):
    """tinygraph's registries by Theano's names."""

    def register(self, name: str, obj: Any, position: Any = 0.0, *tags: Any, **kwargs: Any) -> None:
        """Let functions whose mode chooses one of ``tags`` use a rewrite: a local one in the stage that ``position``
        falls into, one of a whole graph before (up to 1) or after all stages."""
        at = float("inf") if position == "last" else float(position)
        if isinstance(obj, LocalOptimizer):
            stage = next(stage for limit, stage in _POSITIONS if at <= limit)
            rule = _as_rule(obj, stage)
            rule.name, rule.tags = name, frozenset({stage, name, *native_tags(tags)})
            if name in self:
                raise ValueError(f"{name!r} is the name of a rewrite already")
            RULES[name] = rule
            return
        if name in self:
            raise ValueError(f"{name!r} is the name of a rewrite already")
        rewrite = rewriter_of(obj)
        stage = "merge" if at <= 1 else "merge_constants"
        PASSES[name] = GraphPass(
            name, lambda fgraph, context: rewrite(fgraph), frozenset({stage, name, *native_tags(tags)}),
            getattr(obj, "__doc__", None) or "A rewrite of a whole graph.",
        )  # fmt: skip

    def __contains__(self, name: str) -> bool:
        return name in RULES or name in PASSES

    def __getitem__(self, name: str) -> Any:
        if name in _SPELLED or name in _SPELLED.values():
            return _STAGES[_SPELLED.get(name, name)]
        found = RULES.get(name) or PASSES.get(name)
        if found is None:
            raise KeyError(f"there is no rewrite {name!r}")
        return found

    def query(self, *tags: Any, **kwargs: Any) -> Any:
        return _Pipeline(_query(*tags))


_STAGES = {stage: _Stage(stage) for stage in _SPELLED.values()}
optdb = _GlobalDB("optdb")


def unregister(name: str) -> None:
    """Forget a rewrite that was registered in ``optdb`` or in one of its stages. Raises InvalidValue if unknown."""
    if RULES.pop(name, None) is None and PASSES.pop(name, None) is None:
        raise InvalidValue(f"there is no rewrite {name!r}")


__all__ = [
    "DB", "EquilibriumDB", "LocalGroupDB", "MergeOptimizer", "OpKeyOptimizer", "Optimizer", "Query", "SeqOptimizer",
    "SequenceDB", "TopoOptimizer", "copy_stack_trace", "in2out", "optdb", "out2in",
]  # fmt: skip
