"""A small pattern language, in which an algebraic rule is a line: ``rewrite("log_exp", op.log(op.exp(x)), x, ...)``.

A pattern is an expression over pattern variables (``x, y = variables("x y")``), numbers, and elementwise functions by
name (``op.log``, ``op.sigmoid``), with Python's operators. Structure is matched on the graph, operands of commutative
functions in both orders; a number matches a constant that has this value throughout; a variable that occurs twice
must match the same value twice; ``x.where(test)`` adds a constraint. The right side is an expression of the same kind
or a function of the bindings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import const, dtype, is_float, ndim, number, same_value
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, Rule, rule
from tinygraph.tensor.elemwise import SCALAR_OPS, Elemwise

Bindings = dict[str, Variable]


class Pattern:
    """Base of patterns: operators build larger ones."""

    def match(self, v: Variable, bound: Bindings) -> Bindings | None:
        """``bound`` with what this pattern binds in ``v``, or None; ``bound`` itself is not changed."""
        raise NotImplementedError

    def build(self, bound: Bindings, like: Variable) -> Any:
        """The expression with variables replaced by what they are bound to."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Pattern:
        return Applied("add", self, other)

    def __radd__(self, other: Any) -> Pattern:
        return Applied("add", other, self)

    def __sub__(self, other: Any) -> Pattern:
        return Applied("sub", self, other)

    def __rsub__(self, other: Any) -> Pattern:
        return Applied("sub", other, self)

    def __mul__(self, other: Any) -> Pattern:
        return Applied("mul", self, other)

    def __rmul__(self, other: Any) -> Pattern:
        return Applied("mul", other, self)

    def __truediv__(self, other: Any) -> Pattern:
        return Applied("div", self, other)

    def __rtruediv__(self, other: Any) -> Pattern:
        return Applied("div", other, self)

    def __neg__(self) -> Pattern:
        return Applied("neg", self)


class Named(Pattern):
    """A pattern variable: matches anything, the same thing wherever it occurs."""

    def __init__(self, name: str, test: Callable[[Variable], bool] | None = None):
        self.name = name
        self.test = test

    def where(self, test: Callable[[Variable], bool]) -> Named:
        """This variable, matching only what ``test`` accepts."""
        return Named(self.name, test)

    def match(self, v: Variable, bound: Bindings) -> Bindings | None:
        if self.test is not None and not self.test(v):
            return None
        known = bound.get(self.name)
        if known is None:
            return {**bound, self.name: v}
        return bound if same_value(known, v) else None

    def build(self, bound: Bindings, like: Variable) -> Any:
        from tinygraph.tensor.maths import cast_to

        v = bound[self.name]
        return cast_to(v, dtype(like)) if is_float(like) else v

    def __repr__(self) -> str:
        return self.name


class Number(Pattern):
    """A constant with one value throughout."""

    def __init__(self, value: float):
        self.value = value

    def match(self, v: Variable, bound: Bindings) -> Bindings | None:
        found = number(v)
        return bound if found is not None and bool(found == self.value) else None

    def build(self, bound: Bindings, like: Variable) -> Any:
        return const(self.value, like)

    def __repr__(self) -> str:
        return f"{self.value:g}"


class Applied(Pattern):
    """An elementwise function of patterns."""

    def __init__(self, name: str, *args: Any):
        if name not in SCALAR_OPS and name != "cast":
            raise InvalidValue(f"pattern: there is no elementwise function {name!r}")
        self.name = name
        self.args = [as_pattern(a) for a in args]
        self.commutative = name in SCALAR_OPS and SCALAR_OPS[name].commutative

    def match(self, v: Variable, bound: Bindings) -> Bindings | None:
        node = v.owner
        if node is None or not isinstance(node.op, Elemwise) or node.op.scalar_op.name != self.name:
            return None
        found = self._match_in_order(node.inputs, bound)
        if found is None and self.commutative:
            found = self._match_in_order(node.inputs[::-1], bound)
        return found

    def _match_in_order(self, inputs: list[Variable], bound: Bindings) -> Bindings | None:
        found: Bindings | None = bound
        for p, v in zip(self.args, inputs):
            found = p.match(v, found)  # type: ignore[arg-type]
            if found is None:
                return None
        return found

    def build(self, bound: Bindings, like: Variable) -> Any:
        return Elemwise(SCALAR_OPS[self.name])(*[a.build(bound, like) for a in self.args])

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})"


class _Functions:
    """``op.name(...)`` makes a pattern of any elementwise function."""

    def __getattr__(self, name: str) -> Callable[..., Applied]:
        return lambda *args: Applied(name, *args)


op = _Functions()


def as_pattern(x: Any) -> Pattern:
    return x if isinstance(x, Pattern) else Number(x)


def variables(names: str) -> list[Named]:
    """Pattern variables by name: ``x, y = variables("x y")``."""
    return [Named(n) for n in names.split()]


def constants(names: str) -> list[Named]:
    """Pattern variables that match constants of one value only."""
    return [Named(n, lambda v: number(v) is not None) for n in names.split()]


def rewrite(
    name: str, before: Pattern, after: Any, doc: str = "", tags: str = "canonicalise", numerics: str = "exact",
    when: Callable[..., bool] | None = None, floats: bool = True, once: bool = False, register: bool = True,
) -> Rule:  # fmt: skip
    """Register the rule ``before -> after``.

    ``after``: a pattern, a number, or a function of the bindings by name giving a variable or None.
    ``when``: a test of the bindings by name. ``floats``: only where the result is a float. ``once``: only where what
    ``before`` takes apart is used nowhere else. The replacement takes the type and the shape of what it replaces;
    where it is not proven to have that shape, the rule does not apply.
    """
    if not isinstance(before, Applied):
        raise InvalidValue("rewrite: the left side must apply a function")
    result = as_pattern(after) if isinstance(after, (Pattern, int, float)) else None

    def apply(node: Apply, context: Context) -> Any:
        out = node.outputs[0]
        if floats and not is_float(out):
            return None
        bound = before.match(out, {})
        if bound is None or (when is not None and not when(**bound)):
            return None
        if once and not all(context.once(v) for v in node.inputs if v.owner is not None):
            return None
        new = result.build(bound, out) if result is not None else after(**bound)
        return None if new is None or ndim(new) > ndim(out) else fitted(new, out, context)

    apply.__name__ = name
    apply.__doc__ = f"{before!r} -> {result!r}{', ' + doc.rstrip('.') if doc else ''}." if result is not None else doc
    return rule(before.name, tags=tags, numerics=numerics, name=name, register=register)(apply)
