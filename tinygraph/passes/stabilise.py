"""Naive formulas -> formulas that neither overflow nor lose digits. Each is mathematically the same."""

from __future__ import annotations

import math
from typing import Any

from tinygraph.graph.fgraph import OUTPUT
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.passes.facts import (
    applied,
    const,
    dtype,
    equals,
    is_float,
    made_by,
    ndim,
    same_value,
)
from tinygraph.passes.fit import fitted
from tinygraph.passes.pattern import op, rewrite, variables
from tinygraph.passes.rewrite import Context, rule
from tinygraph.passes.softmaxes import (
    LogSoftmax,
    Softmax,
    constant_along,
    lines_up,
    log_sum_exp,
    peel,
)
from tinygraph.tensor.advanced_index import AdvancedSubtensor
from tinygraph.tensor.index import Subtensor
from tinygraph.tensor.maths import abs as abs_of
from tinygraph.tensor.maths import (
    eq,
    exp,
    expm1,
    isinf,
    log,
    log1p,
    lt,
    maximum,
    mul,
    neg,
    sqr,
    sub,
    switch,
    true_div,
)
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle

x, y, z = variables("x y z")

# -- logarithms and exponentials near 1 and 0 --------------------------------------------------------------------------

for _name, _before, _after in (
    ("log_one_plus", op.log(1 + x), op.log1p(x)),
    ("log_one_minus", op.log(1 - x), op.log1p(-x)),
    ("log1p_of_difference", op.log1p(x - 1), op.log(x)),
    ("exp_minus_one", op.exp(x) - 1, op.expm1(x)),
    ("one_minus_exp", 1 - op.exp(x), -op.expm1(x)),
    ("expm1_plus_one", op.expm1(x) + 1, op.exp(x)),
    ("log1p_expm1", op.log1p(op.expm1(x)), x),
    ("log_exp", op.log(op.exp(x)), x),
    ("log2_exp2", op.log2(op.exp2(x)), x),
):
    rewrite(_name, _before, _after, tags="stabilise log_exp", numerics="improves")

# -- sigmoid and softplus ----------------------------------------------------------------------------------------------

for _name, _before, _after in (
    ("log1p_exp", op.log1p(op.exp(x)), op.softplus(x)),
    ("log_sigmoid", op.log(op.sigmoid(x)), -op.softplus(-x)),
    ("log1p_minus_sigmoid", op.log1p(-op.sigmoid(x)), -op.softplus(x)),
    ("one_minus_sigmoid", 1 - op.sigmoid(x), op.sigmoid(-x)),
    ("sigmoid_minus_one", op.sigmoid(x) - 1, -op.sigmoid(-x)),
    ("softplus_difference", op.softplus(x) - op.softplus(-x), x),
):
    rewrite(_name, _before, _after, tags="stabilise sigmoid", numerics="improves")

rewrite("sqrt_sqr", op.sqrt(op.sqr(x)), op.abs(x), tags="stabilise", numerics="improves")
rewrite("sqrt_square", op.sqrt(x * x), op.abs(x), tags="stabilise", numerics="improves")
rewrite("tanh_of_exponentials", (op.exp(x) - op.exp(-x)) / (op.exp(x) + op.exp(-x)), op.tanh(x),
        tags="stabilise", numerics="improves")  # fmt: skip


@rule("log1p", tags="stabilise", numerics="improves")
def log1p_minus_exp(node: Apply, context: Context) -> Any:
    """log1p(-exp(x)) -> log(-expm1(x)) where x > -log(2), log1p(-exp(x)) elsewhere (Maechler, Rmpfr log1mexp, 2012)."""
    negated = made_by(node.inputs[0], "neg")
    e = made_by(negated.inputs[0], "exp") if negated is not None else None
    out = node.outputs[0]
    if e is None or dtype(e.inputs[0]) != dtype(out) or _is_far_branch(out, context):
        return None
    v = e.inputs[0]
    return switch(lt(v, const(-math.log(2), v)), out, log(neg(expm1(v))))


def _is_far_branch(v: Variable, context: Context) -> bool:
    """Whether ``v`` is a branch of the switch that this rule makes."""
    for user, position in context.fgraph.clients.get(v, ()):
        if user is not OUTPUT and position == 1 and made_by(user.outputs[0], "switch"):
            far = made_by(user.inputs[2], "log")
            negated = made_by(far.inputs[0], "neg") if far is not None else None
            if negated is not None and made_by(negated.inputs[0], "expm1"):
                return True
    return False


@rule("log", tags="stabilise", numerics="improves")
def log_sum_of_two_exp(node: Apply) -> Any:
    """log(exp(a) + exp(b)) -> max(a, b) + log1p(exp(-|a - b|)); equal infinities stay what they are."""
    total = made_by(node.inputs[0], "add")
    if total is None:
        return None
    parts = [made_by(v, "exp") for v in total.inputs]
    if any(p is None for p in parts) or any(dtype(p.inputs[0]) != dtype(node.outputs[0]) for p in parts):  # type: ignore
        return None
    a, b = (p.inputs[0] for p in parts)  # type: ignore[union-attr]
    top = maximum(a, b)
    return switch(isinf(top), top, top + log1p(exp(neg(abs_of(a - b)))))


# -- softmax -----------------------------------------------------------------------------------------------------------


@rule("log", tags="stabilise softmax", numerics="improves")
def log_softmax(node: Apply) -> Any:
    """log(softmax(x)) -> logsoftmax(x); log(softmax(x)[i]) -> logsoftmax(x)[i], and so for a rearrangement."""
    v = node.inputs[0]
    views: list[Apply] = []
    while applied(v, Subtensor, AdvancedSubtensor, DimShuffle):
        views.append(v.owner)  # type: ignore[arg-type]
        v = v.owner.inputs[0]  # type: ignore[union-attr]
    p = applied(v, Softmax)
    if p is None:
        return None
    out = LogSoftmax(p.op.axis)(p.inputs[0])
    for view in reversed(views):
        out = view.op(out, *view.inputs[1:])
    return out


@rule("sub", tags="stabilise softmax", numerics="improves")
def log_softmax_from_logsumexp(node: Apply, context: Context) -> Any:
    """x - log(sum(exp(x), axis)) -> logsoftmax(x, axis), if the sum lines up with its own axis."""
    v, total = node.inputs
    if not is_float(v) or ndim(v) == 0 or ndim(total) > ndim(v):
        return None
    found = log_sum_exp(total, ndim(v))
    if found is None or len(found[1]) != 1:
        return None
    source, (axis,) = found
    return LogSoftmax(axis)(v) if source is v else None


@rule(Softmax, LogSoftmax, tags="stabilise softmax", numerics="improves")
def softmax_of_shifted(node: Apply, context: Context) -> Any:
    """softmax(x - m) -> softmax(x), if m is the same along the axis: the op takes the maximum out by itself."""
    inner = made_by(node.inputs[0], "sub", "add")
    if inner is None:
        return None
    n, axis = ndim(node.inputs[0]), node.op.axis
    a, b = inner.inputs
    pairs = [(a, b)] if inner.op.scalar_op.name == "sub" else [(a, b), (b, a)]
    for v, shift in pairs:
        if ndim(v) == n and dtype(v) == dtype(node.inputs[0]) and constant_along(shift, n, axis):
            if context.shapes.same(v, node.inputs[0]):
                return node.op(v)
    return None


@rule("exp", tags="stabilise softmax", numerics="rounding")
def exp_log_softmax(node: Apply, context: Context) -> Any:
    """exp(logsoftmax(x)) -> softmax(x), if the logarithm is used for nothing else."""
    inner = applied(node.inputs[0], LogSoftmax)
    return Softmax(inner.op.axis)(inner.inputs[0]) if inner is not None and context.once(node.inputs[0]) else None


@rule("log", tags="specialise stabilise_late", numerics="improves")
def log_sum_exp_stable(node: Apply) -> Any:
    """log(sum(exp(x), axis)) -> m + log(sum(exp(x - m), axis)), m the maximum (0 if infinite).

    Late, so that x - log(sum(exp(x))) has become logsoftmax(x) before. An axis known to be empty is left alone.
    """
    inner, order = peel(node.inputs[0])
    total = applied(inner, Reduce)
    if total is None or total.op.combine != "add" or not total.op.axes:
        return None
    e = made_by(total.inputs[0], "exp")
    if e is None or dtype(e.inputs[0]) != total.op.dtype or _shifted(e.inputs[0], total.op.axes):
        return None
    v, axes = e.inputs[0], total.op.axes
    if any(v.type.shape[a] == 0 for a in axes):  # type: ignore[attr-defined]
        return None
    op_max = Reduce("maximum", axes, dtype(v))
    m = op_max(v)
    m = switch(isinf(m), const(0, m), m)
    out = log(total.op(exp(v - op_max.restore(m)))) + m
    return DimShuffle(ndim(out), order)(out) if order != list(range(ndim(out))) else out


def _shifted(v: Variable, axes: tuple[int, ...]) -> bool:
    """Whether ``v`` is something less a value that is constant along the axes: the care is taken already."""
    inner = made_by(v, "sub")
    return inner is not None and all(constant_along(inner.inputs[1], ndim(v), a) for a in axes)


# -- values at 0 -------------------------------------------------------------------------------------------------------


@rule("mul", tags="stabilise", numerics="improves")
def x_log_x(node: Apply, context: Context) -> Any:
    """x * log(x) -> 0 where x is 0, as its limit is; nan before."""
    out = node.outputs[0]
    if not is_float(out):
        return None
    for a, b in (node.inputs, node.inputs[::-1]):
        inner = made_by(b, "log")
        if inner is not None and same_value(inner.inputs[0], a) and dtype(a) == dtype(out):
            # log(1) where x is 0 keeps -inf out of the product, and the rule from seeing itself
            zero = eq(a, const(0, a))
            return mul(a, log(switch(zero, const(1, a), a)))
    return None


@rule("add", tags="stabilise", numerics="improves")
def x_log_x_gradient(node: Apply, context: Context) -> Any:
    """log(x) + x / x -> log(x) + 1, and multiples: at 0 and infinity log(x) decides, where x / x is nan."""
    out = node.outputs[0]
    if not is_float(out):
        return None
    from tinygraph.passes.products import full

    for a, b in (node.inputs, node.inputs[::-1]):
        if made_by(b, "div", "mul") is None or dtype(a) != dtype(out) or dtype(b) != dtype(out):
            continue
        logs = [made_by(f.v, "log") for f in full(a).above()]
        p = full(b)
        tops = [f.v for f in p.above()]
        for f in p.beneath():
            seen = any(n is not None and same_value(n.inputs[0], f.v) for n in logs)
            c = p.coefficient()
            if not seen or c is None or not any(v is f.v for v in tops):
                continue
            tops.remove(f.v)
            rest = p.rebuild(c, tops, [g.v for g in p.beneath() if g is not f])
            return fitted(a + rest, out, context)
    return None


@rule("mul", "div", tags="stabilise", numerics="improves")
def x_over_norm(node: Apply, context: Context) -> Any:
    """x / sqrt(sum(x**2)) -> 0 where the norm is 0, which only x = 0 has; nan before. The gradient of a norm at 0."""
    out = node.outputs[0]
    if not is_float(out):
        return None
    from tinygraph.passes.products import full

    p = full(out)
    if p.large:
        return None
    for f in p.beneath():
        source = _norm_of(f.v, ndim(out))
        if source is None or not any(g.v is source for g in p.above()):
            continue
        c = p.coefficient()
        if c is None:
            return None
        safe = switch(eq(f.v, const(0, f.v)), const(1, f.v), f.v)
        beneath = [safe if g is f else g.v for g in p.beneath()]
        return fitted(p.rebuild(c, [g.v for g in p.above()], beneath), out, context)
    return None


def _norm_of(v: Variable, n: int) -> Variable | None:
    """x if ``v`` is sqrt(sum(x * x)) over any axes, lined up with the n dimensions of x; |x| counts for no axes."""
    inner, order = peel(v)
    root = made_by(inner, "sqrt")
    if root is None:
        return None
    total, inner_order = peel(root.inputs[0])
    node = applied(total, Reduce)
    if node is None or node.op.combine != "add":
        return None
    order = [d if d == "x" else inner_order[d] for d in order]
    square = node.inputs[0]
    s = made_by(square, "sqr", "mul", "pow")
    if s is None or ndim(square) != n or not lines_up(order, n, node.op.axes):
        return None
    name = s.op.scalar_op.name
    if name == "mul" and s.inputs[0] is not s.inputs[1] or name == "pow" and not equals(s.inputs[1], 2):
        return None
    return s.inputs[0]


@rule("sub", tags="stabilise", numerics="improves")
def variance(node: Apply, context: Context) -> Any:
    """mean(x**2) - mean(x)**2 -> mean((x - mean(x))**2): the difference of two large numbers is gone."""
    a, b = node.inputs
    mean_sq, mean = made_by(a, "div"), _square_of(b)
    mean_node = made_by(mean, "div") if mean is not None else None
    if mean_sq is None or mean_node is None or not same_value(mean_sq.inputs[1], mean_node.inputs[1]):
        return None
    (inner, order), (plain, plain_order) = peel(mean_sq.inputs[0]), peel(mean_node.inputs[0])
    s, t = applied(inner, Reduce), applied(plain, Reduce)
    if s is None or t is None or s.op != t.op or order != plain_order or s.op.combine != "add":
        return None
    v = t.inputs[0]
    if _square_of(s.inputs[0]) is not v or dtype(v) != s.op.dtype:
        return None
    if not _counts(mean_node.inputs[1], v, s.op.axes, context):
        return None
    centre = s.op.restore(true_div(t.outputs[0], mean_node.inputs[1]))
    total = s.op(sqr(sub(v, centre)))
    total = total if order == list(range(ndim(total))) else DimShuffle(ndim(total), order)(total)
    return fitted(true_div(total, mean_node.inputs[1]), node.outputs[0], context)


def _square_of(v: Variable) -> Any:
    node = made_by(v, "sqr", "mul", "pow")
    if node is None:
        return None
    name = node.op.scalar_op.name
    if name == "mul":
        return node.inputs[0] if node.inputs[0] is node.inputs[1] else None
    return node.inputs[0] if name == "sqr" or equals(node.inputs[1], 2) else None


def _counts(n: Variable, v: Variable, axes: tuple[int, ...], context: Context) -> bool:
    """Whether ``n`` is a scalar: the number of elements of ``v`` along ``axes``."""
    from tinygraph.graph.dims import dim_prod
    from tinygraph.passes.facts import number

    count = dim_prod([context.shapes.of(v)[a] for a in axes])
    if isinstance(count, int):
        known = number(n)
        return known is not None and int(known) == count
    node = made_by(n, "cast")
    return ndim(n) == 0 and node is not None and context.shapes.value(node.inputs[0]) is count

