"""Factors of a max-pool's gradient, taken where the maxima are: a quarter of the work, and nothing large to keep."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.passes.facts import applied, dtype, equals, made_by
from tinygraph.passes.rewrite import Context, rule
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.maths import mul
from tinygraph.tensor.signal.windowed import MaxPool, MaxPoolGrad

#: elementwise nodes a factor may consist of
_MOST_NODES = 8


@rule("mul", tags="specialise", numerics="improves")
def factor_of_pool_gradient(node: Apply, context: Context) -> Any:
    """MaxPoolGrad(place, g) * f(x) -> MaxPoolGrad(place, g * f(max)), place and max from MaxPool(x), f elementwise.

    At the place of a maximum x is the maximum. (z > 0) counts as such a function where x = relu(z). Elsewhere
    0 * f(x) is taken as 0.
    """
    for position, spread in enumerate(node.inputs):
        grad = applied(spread, MaxPoolGrad)
        pool = None if grad is None else applied(grad.inputs[0], MaxPool)
        if grad is None or pool is None or not context.once(spread) or dtype(spread) != dtype(node.outputs[0]):
            continue
        place, g, sizes = grad.inputs
        for other, factor in enumerate(node.inputs):
            if other == position or not context.shapes.same(factor, spread):
                continue
            at_maxima = _at_maxima(factor, pool)
            if at_maxima is None:
                continue
            product = mul(g, at_maxima)
            if dtype(product) != dtype(g):
                continue
            rest = [v for k, v in enumerate(node.inputs) if k not in (position, other)]
            moved = grad.op(place, product, sizes)
            return mul(moved, *rest) if rest else moved
    return None


def _compares_with_zero(node: Apply, relu: Apply) -> bool:
    return node.inputs[0] is relu.inputs[0] and equals(node.inputs[1], 0)


def _at_maxima(factor: Variable, pool: Apply) -> Variable | None:
    """``factor`` as a function of the pool's maxima, if it is an elementwise function of the pool's input alone."""
    x, largest = pool.inputs[0], pool.outputs[0]
    relu = made_by(x, "relu")
    found: dict[Variable, Variable] = {x: largest}
    stack = [factor]
    while stack:
        v = stack[-1]
        if v in found:
            stack.pop()
        elif isinstance(v, Constant):
            if not isinstance(v.type, TensorType) or any(size != 1 for size in v.type.shape):
                return None
            found[v] = v
        elif v.owner is None or not isinstance(v.owner.op, Elemwise) or len(found) > _MOST_NODES:
            return None
        elif made_by(v, "gt") and relu is not None and _compares_with_zero(v.owner, relu):
            found[v] = v.owner.op(largest, v.owner.inputs[1])
        elif any(i not in found for i in v.owner.inputs):
            stack += [i for i in v.owner.inputs if i not in found]
        else:
            found[v] = v.owner.op(*[found[i] for i in v.owner.inputs])
    return found[factor]
