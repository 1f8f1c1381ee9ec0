"""Comparisons, choices, minima and maxima, bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.facts import (
    const,
    dtype,
    equals,
    is_float,
    is_nonnegative,
    made_by,
    ndim,
    number,
    same_value,
)
from tinygraph.passes.fit import fitted
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.maths import maximum, minimum, neg, switch
from tinygraph.tensor.reduce import Reduce

#: what a comparison gives for equal integers
_OF_EQUALS = {"eq": True, "ne": False, "lt": False, "le": True, "gt": False, "ge": True}


@rule(*_OF_EQUALS)
def compare_self(node: Apply, context: Context) -> Any:
    """x == x -> true; x < x -> false ..., for integers; nan compares unequal to itself."""
    a, b = node.inputs
    if is_float(a) or is_float(b) or not same_value(a, b):
        return None
    return fitted(const(_OF_EQUALS[node.op.scalar_op.name], node.outputs[0]), node.outputs[0], context, spread=True)


@rule("lt", "ge")
def compare_size_with_zero(node: Apply, context: Context) -> Any:
    """abs(x) < 0 -> false, for integers of unsigned or boolean dtype (floats may be nan)."""
    a, b = node.inputs
    if dtype(a)[0] not in "ub" or not equals(b, 0):
        return None
    value = node.op.scalar_op.name == "ge"
    return fitted(const(value, node.outputs[0]), node.outputs[0], context, spread=True)


@rule("maximum", "minimum", "and", "or")
def idempotent(node: Apply) -> Any:
    """max(x, x) -> x; min(x, x) -> x; x & x -> x; x | x -> x."""
    a, b = node.inputs
    return a if same_value(a, b) and dtype(a) == dtype(node.outputs[0]) else None


@rule("maximum", "minimum")
def extremum_nested(node: Apply, context: Context) -> Any:
    """max(max(x, a), b) -> max(x, max(a, b)) for constants a, b; max(max(x, y), y) -> max(x, y)."""
    out = node.outputs[0]
    for a, b in (node.inputs, node.inputs[::-1]):
        inner = made_by(a, node.op.scalar_op.name)
        if inner is None or dtype(a) != dtype(out):
            continue
        if any(same_value(b, v) for v in inner.inputs):
            return fitted(a, out, context)
        for x, c in (inner.inputs, inner.inputs[::-1]):
            if number(c) is not None and number(b) is not None and number(x) is None and context.once(a):
                return fitted(node.op(x, node.op(c, b)), out, context)
    return None


@rule("maximum")
def maximum_of_nonnegative(node: Apply, context: Context) -> Any:
    """max(x, 0) -> x, for x an exp, sigmoid, softmax, square or absolute value (nan stays nan)."""
    out = node.outputs[0]
    for a, b in (node.inputs, node.inputs[::-1]):
        if equals(b, 0) and number(a) is None and is_float(a) and is_nonnegative(a):
            return fitted(a, out, context)
    return None


@rule("maximum", tags="specialise")
def maximum_of_negatives(node: Apply, context: Context) -> Any:
    """max(-x, -y) -> -min(x, y), both negations used once."""
    a, b = (made_by(v, "neg") for v in node.inputs)
    if a is None or b is None or not is_float(node.outputs[0]) or not all(context.once(v) for v in node.inputs):
        return None
    return neg(minimum(a.inputs[0], b.inputs[0]))


@rule("minimum", tags="specialise")
def minimum_of_negatives(node: Apply, context: Context) -> Any:
    """min(-x, -y) -> -max(x, y), both negations used once."""
    a, b = (made_by(v, "neg") for v in node.inputs)
    if a is None or b is None or not is_float(node.outputs[0]) or not all(context.once(v) for v in node.inputs):
        return None
    return neg(maximum(a.inputs[0], b.inputs[0]))


@rule(Reduce, tags="specialise")
def max_of_negative(node: Apply, context: Context) -> Any:
    """max(-x, axis) -> -min(x, axis); min(-x, axis) -> -max(x, axis), for floats, the negation used once."""
    x = node.inputs[0]
    inner = made_by(x, "neg")
    other = {"maximum": "minimum", "minimum": "maximum"}.get(node.op.combine)
    if inner is None or other is None or not is_float(x) or not context.once(x):
        return None
    return neg(Reduce(other, node.op.axes, node.op.dtype)(inner.inputs[0]))


@rule("switch")
def switch_known(node: Apply, context: Context) -> Any:
    """switch(true, a, b) -> a; switch(false, a, b) -> b; switch(c, a, a) -> a."""
    c, a, b = node.inputs
    out = node.outputs[0]
    if same_value(a, b):
        return fitted(a, out, context, spread=True)
    value = number(c)
    return None if value is None else fitted(a if value else b, out, context, spread=True)


@rule("switch")
def switch_of_switch(node: Apply) -> Any:
    """switch(c, switch(c, a, b), d) -> switch(c, a, d), and so in the other branch."""
    c, a, b = node.inputs
    for position, v in ((1, a), (2, b)):
        inner = made_by(v, "switch")
        if inner is not None and inner.inputs[0] is c and dtype(v) == dtype(node.outputs[0]):
            chosen = inner.inputs[position]
            made = node.op(c, chosen, b) if position == 1 else node.op(c, a, chosen)
            return made if ndim(made) == ndim(node.outputs[0]) and dtype(made) == dtype(node.outputs[0]) else None
    return None


@rule("switch")
def switch_condition_cast(node: Apply) -> Any:
    """switch(cast(c), a, b) -> switch(c, a, b), for c a boolean; switch(~c, a, b) -> switch(c, b, a)."""
    c, a, b = node.inputs
    inner = made_by(c, "cast")
    if inner is not None and dtype(inner.inputs[0]) == "bool":
        return node.op(inner.inputs[0], a, b)
    inverted = made_by(c, "invert")
    if inverted is not None and dtype(c) == "bool":
        return node.op(inverted.inputs[0], b, a)
    return None


@rule("mul", tags="specialise", numerics="fast_math")
def mul_switch_sink(node: Apply, context: Context) -> Any:
    """switch(c, a, 0) * b -> switch(c, a * b, 0): 0 * inf and 0 * nan are nan before, 0 after."""
    out = node.outputs[0]
    for s, b in (node.inputs, node.inputs[::-1]):
        inner = made_by(s, "switch")
        if inner is None or not is_float(out) or not context.once(s):
            continue
        c, x, y = inner.inputs
        if equals(y, 0):
            return fitted(switch(c, x * b, const(0, out)), out, context)
        if equals(x, 0):
            return fitted(switch(c, const(0, out), y * b), out, context)
    return None


@rule("clip")
def clip_clip(node: Apply, context: Context) -> Any:
    """clip(clip(x, a, b), a, b) -> clip(x, a, b)."""
    inner = made_by(node.inputs[0], "clip")
    if inner is None or dtype(node.inputs[0]) != dtype(node.outputs[0]):
        return None
    same = all(same_value(p, q) for p, q in zip(inner.inputs[1:], node.inputs[1:]))
    return fitted(node.inputs[0], node.outputs[0], context) if same else None


@rule("relu")
def relu_of_nonnegative(node: Apply) -> Any:
    """relu(x) -> x, for x a relu, exp, sigmoid, softmax, square or absolute value."""
    (x,) = node.inputs
    if not is_float(x) or dtype(x) != dtype(node.outputs[0]):
        return None
    return x if made_by(x, "relu") or is_nonnegative(x) else None


@rule("and", "or", "xor")
def bits_with_constant(node: Apply, context: Context) -> Any:
    """x & true -> x; x | false -> x; x ^ 0 -> x; x & 0 -> 0; x | true -> true."""
    out, name = node.outputs[0], node.op.scalar_op.name
    every: Any = True if dtype(out) == "bool" else -1
    for a, b in (node.inputs, node.inputs[::-1]):
        c = number(b)
        if c is None or dtype(a) != dtype(out):
            continue
        ones = bool(c == np.asarray(every).astype(dtype(out)))
        if (name == "and" and ones) or (name in ("or", "xor") and c == 0):
            return fitted(a, out, context)
        if (name == "and" and c == 0) or (name == "or" and ones):
            return fitted(const(every if name == "or" else 0, out), out, context, spread=True)
    return None


@rule("invert")
def invert_invert(node: Apply) -> Any:
    """~~x -> x."""
    inner = made_by(node.inputs[0], "invert")
    return inner.inputs[0] if inner is not None else None


@rule("invert")
def invert_comparison(node: Apply, context: Context) -> Any:
    """~(a == b) -> a != b; ~(a < b) -> a >= b, the order only for integers: both are false of nan."""
    from tinygraph.tensor import maths

    inner = made_by(node.inputs[0], "eq", "ne", "lt", "le", "gt", "ge")
    if inner is None or not context.once(node.inputs[0]):
        return None
    name = inner.op.scalar_op.name
    if name not in ("eq", "ne") and any(is_float(v) for v in inner.inputs):
        return None
    opposite = {"eq": "neq", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}[name]
    return getattr(maths, opposite)(*inner.inputs)


@rule("floordiv", "mod")
def integer_division(node: Apply, context: Context) -> Any:
    """x // 1 -> x; x % 1 -> 0, for integers."""
    a, b = node.inputs
    out = node.outputs[0]
    if is_float(out) or dtype(out) == "bool" or not equals(b, 1):
        return None
    if node.op.scalar_op.name == "mod":
        return fitted(const(0, out), out, context, spread=True)
    return fitted(a, out, context)


@rule("eq", "ne")
def compare_boolean(node: Apply, context: Context) -> Any:
    """c == true -> c; c != false -> c; c == false -> ~c, for c a boolean."""
    for a, b in (node.inputs, node.inputs[::-1]):
        value = number(b)
        if dtype(a) != "bool" or value is None or value not in (0, 1) or isinstance(a, Constant):
            continue
        keeps = bool(value) == (node.op.scalar_op.name == "eq")
        return fitted(a if keeps else _inverted(a), node.outputs[0], context)
    return None


def _inverted(v: Variable) -> Any:
    from tinygraph.tensor.maths import invert

    return invert(v)


# -- functions and their inverses --------------------------------------------------------------------------------------

_INVERSES = {"deg2rad": "rad2deg", "rad2deg": "deg2rad", "sinh": "asinh", "asinh": "sinh", "tan": "atan",
             "sin": "asin", "cos": "acos", "tanh": "atanh", "cosh": "acosh"}  # fmt: skip
#: where the inner function maps its whole domain to where the outer one undoes it, nan and infinity included
_EVERYWHERE = ("deg2rad", "rad2deg", "sinh", "tan")


@rule(*_EVERYWHERE, numerics="rounding")
def function_of_inverse(node: Apply) -> Any:
    """f(f_inverse(x)) -> x, for deg2rad and rad2deg, sinh and arcsinh, tan of arctan."""
    name = node.op.scalar_op.name
    inner = made_by(node.inputs[0], _INVERSES[name])
    x = inner.inputs[0] if inner is not None else None
    return x if x is not None and dtype(x) == dtype(node.outputs[0]) else None


@rule("sin", "cos", "tanh", "cosh", tags="canonicalise", numerics="fast_math")
def function_of_partial_inverse(node: Apply) -> Any:
    """sin(arcsin(x)) -> x, tanh(arctanh(x)) -> x ...: hides the nan outside the inverse's domain."""
    inner = made_by(node.inputs[0], _INVERSES[node.op.scalar_op.name])
    x = inner.inputs[0] if inner is not None else None
    return x if x is not None and dtype(x) == dtype(node.outputs[0]) else None


@rule("exp", tags="stabilise", numerics="rounding")
def exp_log(node: Apply) -> Any:
    """exp(log(x)) -> switch(x >= 0, x, nan); exp(log1p(x)) -> switch(x >= -1, 1 + x, nan)."""
    from tinygraph.tensor.maths import ge

    inner = made_by(node.inputs[0], "log", "log1p")
    if inner is None or dtype(inner.inputs[0]) != dtype(node.outputs[0]):
        return None
    x = inner.inputs[0]
    shifted = inner.op.scalar_op.name == "log1p"
    value = x + const(1, x) if shifted else x
    return switch(ge(x, const(-1 if shifted else 0, x)), value, const(np.nan, x))


@rule("sqr", tags="stabilise", numerics="rounding")
def sqr_of_unary(node: Apply) -> Any:
    """sqr(-x) -> sqr(x); sqr(abs(x)) -> sqr(x); sqr(sqrt(x)) -> switch(x >= 0, x, nan)."""
    from tinygraph.tensor.maths import ge

    (x,) = node.inputs
    inner = made_by(x, "neg", "abs", "sqrt")
    if inner is None or not is_float(x) or dtype(inner.inputs[0]) != dtype(x):
        return None
    v = inner.inputs[0]
    if inner.op.scalar_op.name == "sqrt":
        return switch(ge(v, const(0, v)), v, const(np.nan, v))
    return node.op(v)


@rule("cos", "cosh")
def even_function(node: Apply) -> Any:
    """cos(-x) -> cos(x); cosh(abs(x)) -> cosh(x)."""
    inner = made_by(node.inputs[0], "neg", "abs")
    return node.op(inner.inputs[0]) if inner is not None and is_float(node.inputs[0]) else None


@rule("sin", "tan", "sinh", "tanh", "asin", "atan", "asinh", "atanh", "cbrt")
def odd_function(node: Apply, context: Context) -> Any:
    """sin(-x) -> -sin(x), and so for tan, sinh, tanh, their inverses and the cube root, the negation used once."""
    inner = made_by(node.inputs[0], "neg")
    if inner is None or not is_float(node.inputs[0]) or not context.once(node.inputs[0]):
        return None
    return neg(node.op(inner.inputs[0]))


@rule("abs")
def abs_of_product(node: Apply, context: Context) -> Any:
    """abs(x * y) -> x * abs(y), for x an exp, sigmoid, softmax or square."""
    inner = made_by(node.inputs[0], "mul", "div")
    if inner is None or not is_float(node.outputs[0]) or not context.once(node.inputs[0]):
        return None
    a, b = inner.inputs
    if number(a) is None and is_nonnegative(a):
        return inner.op(a, node.op(b)) if dtype(b) == dtype(node.outputs[0]) else None
    if number(b) is None and is_nonnegative(b):
        return inner.op(node.op(a), b) if dtype(a) == dtype(node.outputs[0]) else None
    return None


@rule("sign")
def sign_of_nonzero(node: Apply) -> Any:
    """sign(-x) -> -sign(x); sign(abs(x)) stays, as x may be 0."""
    inner = made_by(node.inputs[0], "neg")
    return neg(node.op(inner.inputs[0])) if inner is not None and is_float(node.inputs[0]) else None

