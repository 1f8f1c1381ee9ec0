"""What a pass is: local rules, passes over a whole graph, and the registry that modes choose from.

A *rule* maps one node to its replacement, or to None where it does not apply. Its docstring reads
``before -> after, precondition``. A *graph pass* changes a FunctionGraph as a whole. Both are registered under a name
and tags by a decorator, and chosen by ``Query``. Every rule says how its result may differ numerically:

``exact``      same value for every input (the sign of a zero aside)
``rounding``   differs by rounding only, unless an intermediate result overflows in one order and not in the other
``improves``   differs by rounding, and may be finite or more exact where the original was not
``fast_math``  may change what happens to nan, infinity or overflow: left out unless asked for by that tag
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygraph.errors import InvalidValue
from tinygraph.graph.fgraph import FunctionGraph, Replacement
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.elemwise import Elemwise

if TYPE_CHECKING:
    from tinygraph.passes.driver import Equilibrium
    from tinygraph.passes.shapes import ShapeAnalysis

NUMERICS = ("exact", "rounding", "improves", "fast_math")
#: tags of rules that also run in mode "fast_compile"
_FAST_COMPILE = {"merge", "merge_constants", "canonicalise", "stabilise", "loops"}

Head = Any  # the name of a scalar op, an op class, or "*" for any node


class Context:
    """What a rule may ask about the graph its node is in."""

    def __init__(self, fgraph: FunctionGraph, options: Any = None, fast_math: bool = False):
        self.fgraph = fgraph
        self.options = options
        self.fast_math = fast_math
        self._shapes: ShapeAnalysis | None = None
        self._driver: Equilibrium | None = None
        #: results that rules compute once for a graph, under keys of their own
        self.memo: dict[Any, Any] = {}

    @property
    def shapes(self) -> ShapeAnalysis:
        """Symbolic sizes of every variable of the graph."""
        if self._shapes is None:
            from tinygraph.passes.shapes import ShapeAnalysis

            self._shapes = ShapeAnalysis()
        return self._shapes

    @property
    def driver(self) -> Equilibrium:
        """What applies rules to the graph; it remembers between stages what has come to rest."""
        if self._driver is None:
            from tinygraph.passes.driver import Equilibrium

            self._driver = Equilibrium(self)
        return self._driver

    def users(self, v: Variable) -> int:
        """How many uses ``v`` has in the graph, as an output of the graph included."""
        return len(self.fgraph.clients.get(v, ()))

    def once(self, v: Variable) -> bool:
        """Whether ``v`` is used once, so that work may be moved into or out of it without doing it twice."""
        return self.users(v) <= 1


@dataclass(eq=False)
class Rule:
    """A local rewrite. ``function(node)`` or ``function(node, context)`` gives the replacement, or None.

    A replacement is a variable for the node's only (or default) output, a list with one entry per output (None keeps
    it), or a dict from variables of the graph to what replaces them.
    """

    name: str
    function: Callable[..., Any]
    heads: tuple[Head, ...]
    tags: frozenset[str]
    numerics: str
    doc: str
    wants_context: bool = False

    def __call__(self, node: Apply, context: Context) -> Any:
        return self.function(node, context) if self.wants_context else self.function(node)

    def __repr__(self) -> str:
        return f"<rule {self.name}>"


@dataclass(eq=False)
class GraphPass:
    """A pass over a whole graph: ``function(fgraph, context)`` changes it through ``fgraph.replace``."""

    name: str
    function: Callable[[FunctionGraph, Context], Any]
    tags: frozenset[str]
    doc: str

    def __call__(self, fgraph: FunctionGraph, context: Context) -> Any:
        return self.function(fgraph, context)

    def __repr__(self) -> str:
        return f"<pass {self.name}>"


#: everything registered, by name, in order of registration
RULES: dict[str, Rule] = {}
PASSES: dict[str, GraphPass] = {}


def _tags(tags: str | Iterable[str], name: str, numerics: str) -> frozenset[str]:
    found = {name, *(tags.split() if isinstance(tags, str) else tags)}
    if numerics == "fast_math":
        found.add("fast_math")
    else:
        found.add("fast_run")
        if found & _FAST_COMPILE:
            found.add("fast_compile")
    return frozenset(found)


def _registered(registry: dict[str, Any], entry: Any) -> None:
    if entry.name in RULES or entry.name in PASSES:
        raise InvalidValue(f"there is a rewrite named {entry.name!r} already; unregister it, or take another name")
    registry[entry.name] = entry


def rule(
    *heads: Head, tags: str | Iterable[str] = "canonicalise", numerics: str = "exact", name: str | None = None,
    register: bool = True,
) -> Callable[[Callable[..., Any]], Rule]:  # fmt: skip
    """Register a local rewrite of nodes whose op is one of ``heads`` (scalar op names, op classes, or "*").

    The stage a rule runs in is the one among its tags: "canonicalise", "stabilise" or "specialise".

    Example
    -------
    >>> from tinygraph.passes.rewrite import rule
    >>> @rule("neg", tags="canonicalise mine", register=False)
    ... def neg_neg(node):
    ...     '''-(-x) -> x.'''
    ...     inner = node.inputs[0].owner
    ...     return inner.inputs[0] if inner is not None and inner.op == node.op else None
    >>> neg_neg.numerics
    'exact'
    """
    if not heads:
        raise InvalidValue('rule: name at least one op, or "*" for any')
    if numerics not in NUMERICS:
        raise InvalidValue(f"rule: numerics must be one of {', '.join(NUMERICS)}, got {numerics!r}")

    def decorate(function: Callable[..., Any]) -> Rule:
        called = name or function.__name__
        flat = tuple(type(h) if isinstance(h, Op) and not isinstance(h, Elemwise) else
                     h.scalar_op.name if isinstance(h, Elemwise) else h for h in heads)  # fmt: skip
        doc = inspect.cleandoc(function.__doc__ or "")
        code = getattr(function, "__code__", None)  # signature() of 150 rules takes longer than the rest of the import
        wants = (code.co_argcount if code is not None else len(inspect.signature(function).parameters)) > 1
        made = Rule(called, function, flat, _tags(tags, called, numerics), numerics, doc, wants)
        if register:
            _registered(RULES, made)
        return made

    return decorate


def graph_pass(
    name: str, tags: str | Iterable[str] = "", register: bool = True
) -> Callable[[Callable[[FunctionGraph, Context], Any]], GraphPass]:
    """Register a pass over a whole graph. ``pipeline.PIPELINE`` says where it runs, by its name or by a tag."""

    def decorate(function: Callable[[FunctionGraph, Context], Any]) -> GraphPass:
        made = GraphPass(name, function, _tags(tags, name, "exact"), inspect.cleandoc(function.__doc__ or ""))
        if register:
            _registered(PASSES, made)
        return made

    return decorate


def unregister(name: str) -> None:
    """Forget a rule or pass."""
    if RULES.pop(name, None) is None and PASSES.pop(name, None) is None:
        raise InvalidValue(f"there is no rewrite named {name!r}")


@dataclass(frozen=True)
class Query:
    """Chooses rewrites by tag or name: any of ``include``, none of ``exclude``, all of ``require``."""

    include: tuple[str, ...] = ("fast_run",)
    exclude: tuple[str, ...] = ()
    require: tuple[str, ...] = ()

    def including(self, *tags: str) -> Query:
        return Query((*self.include, *tags), self.exclude, self.require)

    def excluding(self, *tags: str) -> Query:
        return Query(self.include, (*self.exclude, *tags), self.require)

    def requiring(self, *tags: str) -> Query:
        return Query(self.include, self.exclude, (*self.require, *tags))

    def chooses(self, entry: Rule | GraphPass) -> bool:
        tags = entry.tags
        return (
            not tags.isdisjoint(self.include) and tags.isdisjoint(self.exclude) and tags.issuperset(self.require)
        )


def query(*include: str, exclude: Sequence[str] = (), require: Sequence[str] = ()) -> list[Rule | GraphPass]:
    """All registered rewrites that the tags or names choose, in order of registration."""
    chosen = Query(include or ("fast_run",), tuple(exclude), tuple(require))
    return [entry for entry in (*PASSES.values(), *RULES.values()) if chosen.chooses(entry)]


@dataclass
class Report:
    """What one pass did: how long it took, nodes before and after, and how often each rule was used."""

    name: str
    seconds: float = 0.0
    nodes_before: int = 0
    nodes_after: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    history: list[Replacement] = field(default_factory=list)
    #: visits of nodes by rules, where the pass is made of rules
    visits: int = 0
    #: whatever the caller's ``snapshot`` made of the graph after the pass
    snapshot: Any = None

    @property
    def replacements(self) -> int:
        return len(self.history)

    def __str__(self) -> str:
        used = ", ".join(f"{k} {n}" for k, n in sorted(self.rules.items(), key=lambda item: -item[1]))
        return (
            f"{self.name:<14} {self.seconds * 1e3:8.2f} ms  {self.nodes_before:6d} -> {self.nodes_after:<6d} nodes"
            f"  {self.replacements:5d} replacements{'  ' + used if used else ''}"
        )


def measured(name: str, fgraph: FunctionGraph, run: Callable[[], Any]) -> Report:
    """Run one pass and report on it."""
    report = Report(name, nodes_before=len(fgraph))
    already = len(fgraph.history)
    started = time.perf_counter()
    extra = run()
    report.seconds = time.perf_counter() - started
    report.nodes_after = len(fgraph)
    report.history = fgraph.history[already:]
    for entry in report.history:
        report.rules[entry.reason] = report.rules.get(entry.reason, 0) + 1
    if isinstance(extra, int):
        report.visits = extra
    return report
