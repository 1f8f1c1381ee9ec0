"""Products and quotients seen as a whole: ``sign * c * (a * b * ...) / (d * e * ...)``.

Rules on trees of mul, div, neg and reciprocal share one view of them. A tree is taken apart only where something is
gained: constants to be combined, signs, a factor that cancels, or a numerator and a denominator that together are a
known function (``exp(x) / sum(exp(x))``). The rest stays as the user wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import (
    const,
    dtype,
    equals,
    is_float,
    is_positive,
    made_by,
    ndim,
    same_value,
    scalar_constant,
)
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.softmaxes import sigmoid_of_sum, softmax_pair
from tinygraph.tensor.maths import cast_to, mul, neg, sigmoid, true_div

_TREE = ("mul", "div", "neg", "reciprocal")
#: trees of more factors than this are left alone
_FACTORS = 24


class Factor(NamedTuple):
    """One factor of a product: the variable, whether it divides, and the nodes that were taken apart to find it."""

    v: Variable
    below: bool
    path: tuple[Apply, ...]


class Product:
    """A tree of mul, div, neg and reciprocal taken apart; ``expand(node)`` says which inner nodes to open."""

    def __init__(self, root: Variable, expand: Callable[[Apply], bool]):
        self.root = root
        self.sign = 1
        self.factors: list[Factor] = []
        self.constants: list[tuple[Any, bool]] = []
        self.signs = 0
        #: whether the tree is too large to be looked at as a whole
        self.large = False
        stack: list[Factor] = [Factor(root, False, ())]
        while stack:
            f = stack.pop()
            self._take(f, stack, expand)
            if len(self.factors) + len(stack) > _FACTORS:
                self.large = True
                return

    def _take(self, f: Factor, stack: list[Factor], expand: Callable[[Apply], bool]) -> None:
        value = scalar_constant(f.v) if f.v is not self.root else None
        if value is not None:
            self.constants.append((value, f.below))
            return
        node = made_by(f.v, *_TREE)
        if node is None or dtype(f.v) != dtype(self.root) or not (f.v is self.root or expand(node)):
            self.factors.append(f)
            return
        path = (*f.path, node)
        name = node.op.scalar_op.name
        if name == "neg":
            self.sign = -self.sign
            self.signs += 1
            stack.append(Factor(node.inputs[0], f.below, path))
        elif name == "reciprocal":
            stack.append(Factor(node.inputs[0], not f.below, path))
        else:
            a, b = node.inputs
            stack.append(Factor(b, f.below != (name == "div"), path))
            stack.append(Factor(a, f.below, path))

    def above(self) -> list[Factor]:
        return [f for f in self.factors if not f.below]

    def beneath(self) -> list[Factor]:
        return [f for f in self.factors if f.below]

    def coefficient(self) -> Any:
        """All constants in one, in the dtype of the product; None if that overflows or underflows."""
        kind = np.dtype(dtype(self.root)).type
        with np.errstate(all="ignore"):
            c = kind(1)
            for value, below in self.constants:
                c = c / kind(value) if below else c * kind(value)
        info = np.finfo(kind)
        fine = np.isfinite(c) and (abs(c) >= info.tiny)
        return c if fine else None

    def divides_early(self) -> bool:
        """Whether a denominator is of lower rank than every numerator, so that 1 / it is taken first."""
        above, beneath = [_rank(f.v) for f in self.above()], [_rank(f.v) for f in self.beneath()]
        return bool(beneath) and bool(above) and min(beneath) < min(above)

    def rebuild(self, c: Any, above: list[Variable], beneath: list[Variable]) -> Any:
        """``sign * c * above / beneath``; factors of low rank are combined before those of high rank."""
        c, sign = (c, self.sign) if c is None or c > 0 else (-c, -self.sign)
        kind = dtype(self.root)
        tops, beneath = [cast_to(v, kind) for v in above], [cast_to(v, kind) for v in beneath]
        if c is not None and (c != 1 or not tops):
            tops.insert(0, const(c, self.root))
        tops.sort(key=_rank)
        beneath.sort(key=_rank)
        if beneath and _rank(beneath[0]) < _rank(tops[0]):
            tops.insert(0, const(1, self.root))  # y / n with n a scalar: one division, then products
        out = tops.pop(0)
        while tops or beneath:
            if beneath and (not tops or _rank(beneath[0]) <= _rank(tops[0])):
                out = true_div(out, beneath.pop(0))
            else:
                out = mul(out, tops.pop(0))
        return neg(out) if sign < 0 else out


def _rank(v: Variable) -> int:
    return ndim(v) if not all(d == 1 for d in v.type.shape) else 0  # type: ignore[attr-defined]


def full(root: Variable) -> Product:
    """The product with every inner node opened, also those that others use."""
    return Product(root, lambda node: True)


# -- factors that vanish together -------------------------------------------------------------------------------------


class Meeting(NamedTuple):
    """A numerator and a denominator that meet, and what they leave behind above the bar."""

    top: Variable
    bottom: Variable
    leaves: tuple[Variable, ...]


def meet(top: Variable, bottom: Variable, fast_math: bool = False) -> tuple[Variable, ...] | None:
    """What ``top / bottom`` is more exactly known to be: () for 1, or a factor; None if nothing is known.

    p / p is 1 for p positive by mathematics; exp(x) / sum(exp(x)) a softmax; exp(x) / (1 + exp(x)) a sigmoid.
    """
    if same_value(top, bottom):
        return () if fast_math or is_positive(top) else None
    pair = softmax_pair(top, bottom)
    if pair is not None:
        return (pair,)
    z = sigmoid_of_sum(bottom)
    e = made_by(top, "exp")
    if z is not None and e is not None and same_value(e.inputs[0], z):
        return (sigmoid(z),)
    return None


def meetings(p: Product, fast_math: bool) -> list[Meeting]:
    """Pairs of factors that meet, each factor in one pair at most."""
    found: list[Meeting] = []
    tops = [f.v for f in p.above()]
    for f in p.beneath():
        for i, top in enumerate(tops):
            left = meet(top, f.v, fast_math)
            if left is not None:
                found.append(Meeting(top, f.v, left))
                del tops[i]
                break
        else:
            z = sigmoid_of_sum(f.v)
            if z is not None:  # 1 / (1 + exp(z)) by itself
                found.append(Meeting(f.v, f.v, (sigmoid(neg(z)),)))
    for e in [v for v in tops if made_by(v, "exp")]:
        for s in [v for v in tops if made_by(v, "sigmoid")]:
            w = e.owner.inputs[0]  # type: ignore[union-attr]
            if e in tops and s in tops and are_negatives(w, s.owner.inputs[0]):  # type: ignore[union-attr]
                found.append(Meeting(e, s, (sigmoid(w),)))  # exp(w) * sigmoid(-w)
                tops.remove(e)
                tops.remove(s)
    return found


def are_negatives(a: Variable, b: Variable) -> bool:
    """Whether one is written as the negative of the other."""
    for x, y in ((a, b), (b, a)):
        node = made_by(x, "neg")
        if node is not None and same_value(node.inputs[0], y):
            return True
    return False


@rule("mul", "div", "reciprocal", tags="stabilise", numerics="improves")
def product_meetings(node: Apply, context: Context) -> Any:
    """a * p / p -> a; a * exp(x) / sum(exp(x)) -> a * softmax(x); a / (1 + exp(x)) -> a * sigmoid(-x), p positive.

    A row of x with +inf in it gives nan throughout, where exp(x) / sum(exp(x)) gives nan among zeros.
    p is a softmax, sigmoid or exp, above 0 by mathematics; where it underflows or overflows the original is nan or inf.
    """
    out = node.outputs[0]
    if not is_float(out) or not _may_meet(node):
        return None
    p = full(out)
    if p.large:
        return None
    found = meetings(p, context.fast_math)
    if not found:
        return None
    consumed = {id(v) for m in found for v in (m.top, m.bottom)}
    touched = {n for f in p.factors if id(f.v) in consumed for n in f.path}
    p = Product(out, lambda n: n in touched)
    return _cancelled(p, meetings(p, context.fast_math), context)


def _may_meet(node: Apply) -> bool:
    """Whether there is a denominator (or an exponential and a sigmoid) in reach; most products have none."""
    if node.op.scalar_op.name in ("div", "reciprocal"):
        return True
    stack, seen = list(node.inputs), 0
    while stack and seen < _FACTORS:
        seen += 1
        v = stack.pop()
        inner = made_by(v, *_TREE)
        if inner is None:
            if made_by(v, "exp"):
                return True
            continue
        if inner.op.scalar_op.name in ("div", "reciprocal"):
            return True
        stack.extend(inner.inputs)
    return False


def _cancelled(p: Product, found: list[Meeting], context: Context) -> Any:
    """The product without the factors that met."""
    above, beneath = [f.v for f in p.above()], [f.v for f in p.beneath()]
    for m in found:
        if m.top is not m.bottom or m.leaves == ():
            _remove(above, m.top)
        _remove(above if made_by(m.bottom, "sigmoid") and made_by(m.top, "exp") else beneath, m.bottom)
        above.extend(m.leaves)
    c = p.coefficient()
    if c is None:
        return None
    return fitted(p.rebuild(c, above, beneath), p.root, context, spread=True)


def _remove(items: list[Variable], v: Variable) -> None:
    for i, x in enumerate(items):
        if same_value(x, v):
            del items[i]
            return


# -- constants and signs ----------------------------------------------------------------------------------------------


@rule("mul", "div", "neg", "reciprocal", numerics="rounding")
def product_constants(node: Apply, context: Context) -> Any:
    """2 * (x * 3) -> 6 * x; x / 2 / 4 -> 0.125 * x; -(2 * x) -> -2 * x; (-x) * (-y) -> x * y; 1 / a * x -> x / a.

    Constants that would overflow, underflow, or be subnormal together stay apart.
    """
    out = node.outputs[0]
    if not is_float(out) or not _worth_opening(node):
        return None
    p = Product(out, lambda n: all(context.once(o) for o in n.outputs))
    if p.large or not p.factors:
        return None
    ones = any(abs(value) == 1 for value, below in p.constants) and not p.divides_early()
    negative = sum(value < 0 for value, _ in p.constants)
    top_sign = node.op.scalar_op.name == "neg"
    moved = p.signs - top_sign > 0 or (p.signs and p.constants) or (negative and len(p.factors) > 0 and top_sign)
    if len(p.constants) < 2 and not moved and not (ones and len(p.above()) > 0):
        return None
    c = p.coefficient()
    if c is None:
        return None
    if p.constants and p.sign < 0:
        c, p.sign = -c, 1
    new = _with_coefficient(p, c)
    return fitted(new, out, context, spread=False)


def _with_coefficient(p: Product, c: Any) -> Any:
    above, beneath = [f.v for f in p.above()], [f.v for f in p.beneath()]
    if c == -1 and above and not p.divides_early():
        c, p.sign = -c, -p.sign
    if c < 0:  # a negative constant stays one constant
        tops = [const(c, p.root), *above]
        return p.rebuild(np.dtype(dtype(p.root)).type(1), tops, beneath)
    return p.rebuild(c, above, beneath)


def _worth_opening(node: Apply) -> bool:
    """A cheap look: constants or signs at this node and below it."""
    name = node.op.scalar_op.name
    here = name in ("neg", "reciprocal") or any(scalar_constant(v) is not None for v in node.inputs)
    for v in node.inputs:
        inner = made_by(v, *_TREE)
        if inner is None:
            continue
        if inner.op.scalar_op.name == "neg":
            return True
        if here or name in ("mul", "div"):
            if any(scalar_constant(x) is not None for x in inner.inputs):
                return True
    if name == "mul":
        return any(equals(v, 1) or equals(v, -1) for v in node.inputs)
    return name == "div" and any(equals(v, 1) or equals(v, -1) for v in node.inputs[1:])


@rule("mul", "div", "neg")
def integer_products(node: Apply, context: Context) -> Any:
    """x * 1 -> x; x * 0 -> 0; -(-x) -> x; 2 * (3 * x) -> 6 * x, for integers, which wrap but never overflow."""
    out, name = node.outputs[0], node.op.scalar_op.name
    if is_float(out) or dtype(out) == "bool":
        return None
    if name == "neg":
        inner = made_by(node.inputs[0], "neg")
        return inner.inputs[0] if inner is not None else None
    for a, b in (node.inputs, node.inputs[::-1]):
        c = scalar_constant(a)
        if c is None:
            continue
        if c == 1:
            return fitted(b, out, context)
        if c == 0:
            return fitted(const(0, out), out, context, spread=True)
        inner = made_by(b, "mul")
        if inner is not None and dtype(b) == dtype(out):
            for x, y in (inner.inputs, inner.inputs[::-1]):
                d = scalar_constant(x)
                if d is not None and dtype(y) == dtype(out):
                    with np.errstate(all="ignore"):
                        kind = np.dtype(dtype(out)).type
                        return fitted(mul(const(np.multiply(kind(c), kind(d)), out), y), out, context)
    return None


# -- a sum times a factor that only its terms can meet ----------------------------------------------------------------


@rule("mul", tags="stabilise", numerics="improves")
def distribute_to_meet(node: Apply, context: Context) -> Any:
    """(a / p - b) * p -> a - b * p for p softmax, sigmoid or exp: a term of the sum meets a factor outside it.

    This is the gradient of log(softmax(x)), of naive softmax and of binary cross-entropy: finite where a / p is not.
    """
    from tinygraph.passes.sums import Sum

    out = node.outputs[0]
    if not is_float(out) or not any(made_by(v, "add", "sub", *_TREE) for v in node.inputs):
        return None
    p = full(out)
    if p.large:
        return None
    for f in p.above():
        if made_by(f.v, "add", "sub") is None or dtype(f.v) != dtype(out):
            continue
        outside = [g for g in p.factors if g is not f]
        tops = [g.v for g in outside if not g.below]
        terms = Sum(f.v, lambda n: True)
        if terms.large or len(terms.terms) > 8 or not any(_term_meets(t.v, tops, context) for t in terms.terms):
            continue
        c = p.coefficient()
        if c is None:
            return None
        total: Any = None
        for t in terms.terms:
            part = p.rebuild(c, [*tops, t.v], [g.v for g in outside if g.below])
            if total is None:
                total = neg(part) if t.negative else part
            else:
                total = total - part if t.negative else total + part
        if terms.constant != 0:
            total = total + p.rebuild(c, [*tops, const(terms.constant, out)], [g.v for g in outside if g.below])
        return fitted(total, out, context)
    return None


def _term_meets(term: Variable, tops: list[Variable], context: Context) -> bool:
    """Whether a denominator in ``term``, perhaps in what it scatters, meets one of the factors ``tops``."""
    from tinygraph.passes.scatters import scattered_meets

    if any(scattered_meets(term, top) for top in tops):
        return True
    if not made_by(term, *_TREE):
        return False
    q = full(term)
    return any(meet(top, g.v) is not None for top in tops for g in q.beneath())
