"""Theano's rewrites as rules: ``local_optimizer``, ``register_canonicalize`` and their kin.

A local optimizer ``function(node)`` returns replacements of the node's outputs, or False. Registered, it becomes a rule
of the stage whose name it is registered under, and every function compiled from then on uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygraph.graph import FunctionGraph, Op, Variable
from tinygraph.graph.op import Apply
from tinygraph.passes.rewrite import RULES, Context, Rule, rule
from tinygraph.tensor.elemwise import Elemwise


class LocalOptimizer:
    """A rewrite of one node. Subclasses define ``transform(node)`` and may define ``tracks()``, a list of ops."""

    def __init__(self) -> None:
        self.name: str | None = None

    def tracks(self) -> Sequence[Any] | None:
        """Ops, or classes of ops, whose nodes this applies to; None: any."""
        return None

    def transform(self, node: Apply) -> Any:
        """Replacements for the node's outputs, or False."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def rule(self, tags: str = "canonicalise", register: bool = False) -> Rule:
        """This rewrite as a rule."""
        tracked = self.tracks()

        def apply(node: Apply) -> Any:
            if tracked is not None and not _tracked(node.op, tracked):
                return None
            found = self.transform(node)
            if found is False or found is None:
                return None
            return found if isinstance(found, dict) else list(found)

        apply.__doc__ = getattr(self, "__doc__", None) or "A local optimizer."
        return rule("*", tags=tags, name=self.name or type(self).__name__, register=register)(apply)

    def __str__(self) -> str:
        return self.name or type(self).__name__


class FromFunctionLocalOptimizer(LocalOptimizer):
    """A rewrite made of a function; what :func:`local_optimizer` returns."""

    def __init__(self, fn: Callable[[Apply], Any], tracks: Sequence[Any] | None):
        super().__init__()
        self.transform = fn  # type: ignore[method-assign]
        self.name = fn.__name__
        self.__doc__ = fn.__doc__
        self._tracks = tracks

    def tracks(self) -> Sequence[Any] | None:
        return self._tracks

    def __call__(self, node: Apply) -> Any:
        return self.transform(node)


def _tracked(op: Op, tracked: Sequence[Any]) -> bool:
    return any(isinstance(op, t) if isinstance(t, type) else op == t for t in tracked)


def local_optimizer(tracks: Sequence[Any] | None, inplace: bool = False, requirements: Any = ()) -> Any:
    """A decorator: a function of a node becomes a LocalOptimizer of the nodes of the ops in ``tracks``."""
    if tracks is not None and not isinstance(tracks, (list, tuple)):
        raise ValueError(f"local_optimizer: expected a list of ops, got {tracks!r}; None stands for any op")

    def decorate(fn: Callable[[Apply], Any]) -> FromFunctionLocalOptimizer:
        return FromFunctionLocalOptimizer(fn, tracks)

    return decorate


def optimizer(fn: Callable[[FunctionGraph], Any]) -> Callable[[FunctionGraph], Any]:
    """A decorator for rewrites of a whole graph: the function itself, with ``optimize`` under its usual name."""
    fn.optimize = fn  # type: ignore[attr-defined]
    return fn


class EquilibriumOptimizer:
    """Applies local optimizers to a graph until nothing changes."""

    def __init__(self, optimizers: Sequence[Any], max_use_ratio: Any = None, **kwargs: Any):
        self.rules = [_as_rule(o) for o in optimizers]

    def optimize(self, fgraph: FunctionGraph) -> None:
        """Rewrite ``fgraph``."""
        from tinygraph.passes.driver import Equilibrium

        Equilibrium(Context(fgraph)).run(self.rules)

    apply = __call__ = optimize


class LocalOptGroup(LocalOptimizer):
    """Local optimizers tried one after the other."""

    def __init__(self, *optimizers: Any, name: str | None = None):
        super().__init__()
        self.opts = optimizers
        self.name = name or "_".join(str(o) for o in optimizers)

    def transform(self, node: Apply) -> Any:
        for one in self.opts:
            tracked = one.tracks()
            if tracked is None or _tracked(node.op, tracked):
                found = one.transform(node)
                if found is not False and found is not None:
                    return found
        return False


class OpSub(LocalOptimizer):
    """``op1(...)`` becomes ``op2(...)``."""

    def __init__(self, op1: Op, op2: Op, transfer_tags: bool = True):
        super().__init__()
        self.op1, self.op2, self.name = op1, op2, f"{op1}_to_{op2}"

    def tracks(self) -> Sequence[Any]:
        return [self.op1]

    def transform(self, node: Apply) -> Any:
        return self.op2.make_node(*node.inputs).outputs if node.op == self.op1 else False


class OpRemove(LocalOptimizer):
    """``op(...)`` becomes its inputs."""

    def __init__(self, op: Op):
        super().__init__()
        self.op, self.name = op, f"{op}_removed"

    def tracks(self) -> Sequence[Any]:
        return [self.op]

    def transform(self, node: Apply) -> Any:
        return node.inputs if node.op == self.op and len(node.inputs) == len(node.outputs) else False


class PatternSub(LocalOptimizer):
    """``PatternSub((op, "x", 1), (other, "x"))``: the first becomes the second; strings match anything."""

    def __init__(self, in_pattern: Any, out_pattern: Any, allow_multiple_clients: bool = False, name: Any = None,
                 **kwargs: Any):  # fmt: skip
        super().__init__()
        self.in_pattern, self.out_pattern = in_pattern, out_pattern
        self.name = name or f"{in_pattern[0]}_pattern"

    def tracks(self) -> Sequence[Any]:
        return [self.in_pattern[0]]

    def transform(self, node: Apply) -> Any:
        found: dict[str, Variable] = {}
        if len(node.outputs) != 1 or not self._matches(self.in_pattern, node.outputs[0], found):
            return False
        return [self._build(self.out_pattern, found)]

    def _matches(self, pattern: Any, v: Variable, found: dict[str, Variable]) -> bool:
        if isinstance(pattern, str):
            return found.setdefault(pattern, v) is v
        if isinstance(pattern, (int, float)):
            data = getattr(v, "data", None)
            return data is not None and getattr(data, "size", 0) == 1 and float(data.reshape(())) == pattern
        node = v.owner
        return (
            node is not None
            and node.op == pattern[0]
            and len(node.inputs) == len(pattern) - 1
            and all(self._matches(p, x, found) for p, x in zip(pattern[1:], node.inputs, strict=True))
        )

    def _build(self, pattern: Any, found: dict[str, Variable]) -> Any:
        if isinstance(pattern, str):
            return found[pattern]
        if isinstance(pattern, (tuple, list)):
            return pattern[0](*(self._build(p, found) for p in pattern[1:]))
        return pattern


def _as_rule(given: Any, tags: str = "canonicalise") -> Rule:
    if isinstance(given, Rule):
        return given
    if isinstance(given, LocalOptimizer):
        return given.rule(tags)
    raise TypeError(f"expected a local optimizer, got {given!r}")


def _register(stage: str, fast_compile: bool = False) -> Any:
    def register(lopt: Any, *tags: str, **kwargs: Any) -> Any:
        """Let every function compiled from now on use ``lopt``; usable as a decorator, with or without tags."""
        if isinstance(lopt, str):
            return lambda made: register(made, lopt, *tags, **kwargs)
        made = _as_rule(lopt, " ".join((stage, *tags)))
        made.name = kwargs.pop("name", None) or made.name
        RULES[made.name] = made
        return lopt

    register.__name__ = f"register_{stage}"
    return register


register_canonicalize = _register("canonicalise")
register_stabilize = _register("stabilise")
register_specialize = register_uncanonicalize = register_specialize_device = _register("specialise")
register_useless = _register("canonicalise")


def unregister(name: str) -> None:
    """Forget a registered rewrite."""
    RULES.pop(name, None)


def scalarconsts_rest(inputs: Sequence[Variable], elemwise: bool = True, only_process_constants: bool = False) -> Any:
    """``inputs`` as (those known to be one number, their numbers, the others)."""
    from tinygraph.tensor.constants import NotScalarConstantError, get_scalar_constant_value

    constants, values, rest = [], [], []
    for v in inputs:
        try:
            values.append(get_scalar_constant_value(v))
            constants.append(v)
        except NotScalarConstantError:
            rest.append(v)
    return constants, values, rest


def is_elemwise(op: Op) -> bool:
    """Whether an op works point by point."""
    return isinstance(op, Elemwise)


__all__ = [
    "EquilibriumOptimizer", "FromFunctionLocalOptimizer", "LocalOptGroup", "LocalOptimizer", "OpRemove", "OpSub",
    "PatternSub", "local_optimizer", "optimizer", "register_canonicalize", "register_specialize",
    "register_specialize_device", "register_stabilize", "register_uncanonicalize", "register_useless",
    "scalarconsts_rest", "unregister",
]  # fmt: skip
