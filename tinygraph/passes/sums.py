"""Sums and differences seen as a whole: ``c + a - b + ...``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import (
    const,
    dtype,
    is_float,
    is_zero,
    made_by,
    ndim,
    number,
    same_value,
    scalar_constant,
)
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.maths import add, cast_to, mul, neg, sub

_TREE = ("add", "sub", "neg")
_TERMS = 24
#: constants of opposite sign are combined only if both are integers below this: sums of such are exact
_EXACT = 2.0**20


class Term(NamedTuple):
    v: Variable
    negative: bool


class Sum:
    """A tree of add, sub and neg taken apart; ``expand(node)`` says which inner nodes to open."""

    def __init__(self, root: Variable, expand: Callable[[Apply], bool]):
        self.root = root
        self.terms: list[Term] = []
        self.constants: list[Any] = []
        self.large = False
        stack = [Term(root, False)]
        while stack:
            t = stack.pop()
            value = scalar_constant(t.v) if t.v is not root else None
            node = made_by(t.v, *_TREE)
            if value is not None:
                self.constants.append(-value if t.negative else value)
            elif node is None or dtype(t.v) != dtype(root) or not (t.v is root or expand(node)):
                self.terms.append(t)
            elif node.op.scalar_op.name == "neg":
                stack.append(Term(node.inputs[0], not t.negative))
            else:
                a, b = node.inputs
                stack.append(Term(b, t.negative != (node.op.scalar_op.name == "sub")))
                stack.append(Term(a, t.negative))
            if len(stack) + len(self.terms) > _TERMS:
                self.large = True
                return

    @property
    def constant(self) -> Any:
        """All constants in one, in the dtype of the sum."""
        kind = np.dtype(dtype(self.root)).type
        total = kind(0)
        with np.errstate(all="ignore"):
            for c in self.constants:
                total = kind(total + kind(c))
        return total

    def safe(self) -> bool:
        """Whether combining the constants loses nothing but rounding."""
        if dtype(self.root)[0] != "f":
            return True
        if not np.isfinite(self.constant):
            return False
        one_sign = all(c >= 0 for c in self.constants) or all(c <= 0 for c in self.constants)
        return one_sign or all(abs(c) < _EXACT and float(c).is_integer() for c in self.constants)

    def rebuild(self, terms: list[Term], c: Any) -> Any:
        """``c + terms``, the first term without a sign in front."""
        kind = dtype(self.root)
        rest = [Term(cast_to(t.v, kind), t.negative) for t in sorted(terms, key=lambda t: t.negative)]
        if c != 0 and (not rest or rest[0].negative):
            out: Any = const(c, self.root)
            c = 0
        else:
            first = rest.pop(0) if rest else None
            out = const(0, self.root) if first is None else neg(first.v) if first.negative else first.v
        for t in rest:
            out = sub(out, t.v) if t.negative else add(out, t.v)
        return out if c == 0 else add(out, const(c, self.root)) if c > 0 else sub(out, const(-c, self.root))


@rule("add", "sub")
def add_zero(node: Apply, context: Context) -> Any:
    """x + 0 -> x; x - 0 -> x; 0 - x -> -x, where the zero does not widen x (the sign of a zero may change)."""
    a, b = node.inputs
    out = node.outputs[0]
    if dtype(out) == "bool":
        return None
    if is_zero(b):
        return fitted(a, out, context)
    if is_zero(a):
        return fitted(b if node.op.scalar_op.name == "add" else neg(b), out, context)
    return None


@rule("add", "sub")
def add_neg(node: Apply, context: Context) -> Any:
    """a + -b -> a - b; a - -b -> a + b; -a + b -> b - a, if the negation is used once."""
    a, b = node.inputs
    out = node.outputs[0]
    if dtype(out) == "bool":
        return None
    plus = node.op.scalar_op.name == "add"
    right = made_by(b, "neg")
    if right is not None and context.once(b) and dtype(b) == dtype(out):
        return sub(a, right.inputs[0]) if plus else add(a, right.inputs[0])
    left = made_by(a, "neg")
    if plus and left is not None and context.once(a) and dtype(a) == dtype(out):
        return sub(b, left.inputs[0])
    return None


@rule("neg")
def neg_neg(node: Apply) -> Any:
    """-(-x) -> x."""
    inner = made_by(node.inputs[0], "neg")
    return inner.inputs[0] if inner is not None and dtype(node.outputs[0]) != "bool" else None


@rule("add", "sub")
def add_negative_multiple(node: Apply, context: Context) -> Any:
    """a + -2 * b -> a - 2 * b; a - -2 * b -> a + 2 * b, if the product is used once."""
    a, b = node.inputs
    out = node.outputs[0]
    inner = made_by(b, "mul")
    if inner is None or not is_float(out) or dtype(b) != dtype(out) or not context.once(b):
        return None
    for c, v in (inner.inputs, inner.inputs[::-1]):
        value = scalar_constant(c)
        if value is not None and value < 0:
            product = mul(const(-value, c), v)
            return sub(a, product) if node.op.scalar_op.name == "add" else add(a, product)
    return None


@rule("sub", "neg")
def neg_sub(node: Apply, context: Context) -> Any:
    """-(a - b) -> b - a; -a - b -> -(a + b), if the inner result is used once (the sign of a zero may change)."""
    out = node.outputs[0]
    if dtype(out) == "bool" or not context.once(node.inputs[0]):
        return None
    if node.op.scalar_op.name == "neg":
        inner = made_by(node.inputs[0], "sub")
        return None if inner is None or dtype(inner.outputs[0]) == "bool" else sub(*inner.inputs[::-1])
    inner = made_by(node.inputs[0], "neg")
    if inner is None or scalar_constant(node.inputs[1]) is not None or dtype(node.inputs[0]) != dtype(out):
        return None
    return neg(add(inner.inputs[0], node.inputs[1]))


@rule("add", "sub", numerics="rounding")
def sum_constants(node: Apply, context: Context) -> Any:
    """x + 1 + 2 -> x + 3; 1 - (1 - x) -> x; (x - 2) + 3 -> x + 1.

    Constants of opposite sign are combined only if they are small integers (else the user may be rounding on purpose).
    """
    out = node.outputs[0]
    if dtype(out) == "bool" or not _constant_below(node):
        return None
    s = Sum(out, lambda n: context.once(n.outputs[0]))
    if s.large or len(s.constants) < 2 or not s.safe():
        return None
    return fitted(s.rebuild(s.terms, s.constant), out, context, spread=True)


def _constant_below(node: Apply) -> bool:
    """Whether a constant stands here and in an operand's own sum: chains fold from the inside, step by step."""
    for v in node.inputs:
        inner = made_by(v, *_TREE)
        if inner is not None and any(scalar_constant(x) is not None for x in inner.inputs):
            return True
    return False


@rule("add", "sub", numerics="rounding")
def add_same(node: Apply, context: Context) -> Any:
    """x + x -> 2 * x; x + 2 * x -> 3 * x; a * x + b * x -> (a + b) * x, for constants (floats: of one sign) a, b."""
    out = node.outputs[0]
    if dtype(out) == "bool":
        return None
    (c, x), (d, y) = _scaled(node.inputs[0]), _scaled(node.inputs[1])
    if not same_value(x, y) or number(x) is not None or dtype(x) != dtype(out):
        return None
    if node.op.scalar_op.name == "sub":
        d = -d
    if any(made_by(v, "mul") is not None and not context.once(v) for v in node.inputs):
        return None
    total = c + d
    if is_float(out) and c * d <= 0:
        return None  # 3 * inf - inf is nan
    if abs(total) >= 2**24 or (not is_float(out) and not float(total).is_integer()):
        return None
    return fitted(mul(const(total, out), x), out, context) if total != 1 else fitted(x, out, context)


def _scaled(v: Variable) -> tuple[float, Variable]:
    """``v`` as a constant times a variable."""
    node = made_by(v, "mul")
    if node is not None:
        for a, b in (node.inputs, node.inputs[::-1]):
            c = scalar_constant(a)
            if c is not None and dtype(b) == dtype(v) and ndim(a) <= ndim(b):
                return (float(c), b)
    return (1.0, v)


@rule("sub")
def integer_sub_self(node: Apply, context: Context) -> Any:
    """x - x -> 0, for integers; with floats inf - inf is nan."""
    a, b = node.inputs
    out = node.outputs[0]
    if is_float(out) or dtype(out) == "bool" or not same_value(a, b):
        return None
    return fitted(const(0, out), out, context, spread=True)


@rule("add", "sub")
def integer_terms_cancel(node: Apply, context: Context) -> Any:
    """a + b - a -> b, for integers, which wrap but never overflow."""
    out = node.outputs[0]
    if is_float(out) or dtype(out) == "bool" or not any(made_by(v, *_TREE) for v in node.inputs):
        return None
    s = Sum(out, lambda n: True)
    left = list(s.terms)
    for t in s.terms:
        partner = next((u for u in left if u.negative != t.negative and same_value(u.v, t.v)), None)
        if partner is not None and t in left:
            left.remove(t)
            left.remove(partner)
    if s.large or len(left) == len(s.terms):
        return None
    return fitted(s.rebuild(left, s.constant), out, context, spread=True)


@rule("sub", "add", tags="canonicalise", numerics="fast_math")
def float_terms_cancel(node: Apply, context: Context) -> Any:
    """a + b - a -> b; x - x -> 0, for floats: hides inf - inf and nan."""
    out = node.outputs[0]
    if not is_float(out):
        return None
    s = Sum(out, lambda n: True)
    for t in s.terms:
        for u in s.terms:
            if t.negative and not u.negative and same_value(t.v, u.v):
                left = list(s.terms)
                left.remove(t)
                left.remove(u)
                return None if s.large else fitted(s.rebuild(left, s.constant), out, context, spread=True)
    return None


@rule("mul", "div", tags="canonicalise", numerics="fast_math")
def float_times_zero(node: Apply, context: Context) -> Any:
    """x * 0 -> 0; 0 / x -> 0, for floats: hides inf * 0 and nan."""
    out = node.outputs[0]
    zeros = node.inputs if node.op.scalar_op.name == "mul" else node.inputs[:1]
    if not is_float(out) or not any(is_zero(v) for v in zeros):
        return None
    return fitted(const(0, out), out, context, spread=True)
