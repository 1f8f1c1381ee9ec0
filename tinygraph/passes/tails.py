"""Error functions, logarithms of powers and products of exponentials: forms that neither underflow nor overflow."""

from __future__ import annotations

import math
from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.passes.facts import applied, const, dtype, is_positive, made_by
from tinygraph.passes.pattern import op, rewrite, variables
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.maths import abs as abs_of
from tinygraph.tensor.maths import add, exp, gt, log, log1p, mul, neg, sinh, sqr, sub, switch
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.special import erf, erfcx

x, y = variables("x y")

for _name, _before, _after in (
    ("one_minus_erf", 1 - op.erf(x), op.erfc(x)),
    ("one_plus_erf", 1 + op.erf(x), op.erfc(-x)),
    ("erf_minus_one", op.erf(x) - 1, -op.erfc(x)),
    ("one_minus_erfc", 1 - op.erfc(x), op.erf(x)),
    ("erfc_minus_one", op.erfc(x) - 1, -op.erf(x)),
    ("normal_over_erfc", op.exp(-op.sqr(x)) / op.erfc(x), 1 / op.erfcx(x)),
    ("multiple_of_normal_over_erfc", (y / op.erfc(x)) * op.exp(-op.sqr(x)), y / op.erfcx(x)),
    ("log_sqrt", op.log(op.sqrt(x)), 0.5 * op.log(x)),
    ("log_sqr", op.log(op.sqr(x)), 2 * op.log(op.abs(x))),
):
    rewrite(_name, _before, _after, tags="stabilise tails", numerics="improves")


@rule("log", tags="stabilise tails", numerics="improves")
def log_erfc(node: Apply) -> Any:
    """log(erfc(x)) -> log(erfcx(x)) - x**2 where x > 0.5, log1p(-erf(x)) elsewhere: erfc underflows from 27 on."""
    inner = made_by(node.inputs[0], "erfc")
    if inner is None or dtype(inner.inputs[0]) != dtype(node.outputs[0]):
        return None
    v = inner.inputs[0]
    return switch(gt(v, const(0.5, v)), sub(log(erfcx(v)), sqr(v)), log1p(neg(erf(v))))


@rule("log", tags="stabilise tails", numerics="improves")
def log_cosh(node: Apply) -> Any:
    """log(cosh(x)) -> abs(x) - log(2) + log1p(exp(-2 * abs(x))) where abs(x) > 1, else log1p(2 * sinh(x / 2)**2)."""
    inner = made_by(node.inputs[0], "cosh")
    if inner is None or dtype(inner.inputs[0]) != dtype(node.outputs[0]):
        return None
    v = inner.inputs[0]
    size = abs_of(v)
    far = add(sub(size, const(math.log(2), v)), log1p(exp(mul(const(-2, v), size))))
    near = log1p(mul(const(2, v), sqr(sinh(mul(const(0.5, v), v)))))
    return switch(gt(size, const(1, v)), far, near)


@rule("log", tags="stabilise tails", numerics="improves")
def log_of_product(node: Apply) -> Any:
    """log(prod(x, axis)) -> sum(log(x), axis), for x an exp, sigmoid or softmax: the product may underflow."""
    inner = applied(node.inputs[0], Reduce)
    if inner is None or inner.op.combine != "mul" or not is_positive(inner.inputs[0]):
        return None
    v = inner.inputs[0]
    if not dtype(v) == inner.op.dtype == dtype(node.outputs[0]):
        return None
    return Reduce("add", inner.op.axes, inner.op.dtype)(log(v))


@rule("mul", tags="specialise", numerics="improves")
def product_of_exponentials(node: Apply, context: Context) -> Any:
    """exp(x) * exp(y) -> exp(x + y), for x and y of one shape, both used once; inf * 0 becomes a number."""
    a, b = (made_by(v, "exp") for v in node.inputs)
    if a is None or b is None or a is b or not all(context.once(v) for v in node.inputs):
        return None
    p, q = a.inputs[0], b.inputs[0]
    if not dtype(p) == dtype(q) == dtype(node.outputs[0]) or not context.shapes.same(p, q):
        return None
    return exp(p + q)


@rule("div", tags="specialise", numerics="improves")
def quotient_by_exponential(node: Apply, context: Context) -> Any:
    """x / exp(y) -> x * exp(-y), the exponential used once: a division less, and a number where exp(y) overflows."""
    p, q = node.inputs
    inner = made_by(q, "exp")
    if inner is None or not context.once(q) or not dtype(inner.inputs[0]) == dtype(p) == dtype(node.outputs[0]):
        return None
    return mul(p, exp(neg(inner.inputs[0])))
