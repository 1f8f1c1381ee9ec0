"""Learning rules: from a loss (or gradients) and parameters to the ``updates`` of a function.

Each rule returns a dictionary ``{shared variable: new value}``, in the order of ``params``, followed by the rule's
own state. Rules work on any mixture of dtypes: steps are taken in the dtype of the parameter. A learning rate may be
a number, a symbolic scalar (an input of the function), or a shared variable.

>>> import numpy as np, tinygraph, tinygraph.tensor as T
>>> w = tinygraph.shared(np.array([1.0, -2.0]), name="w")
>>> step = tinygraph.function([], updates=sgd(T.sum(w ** 2), [w], learning_rate=0.25))
>>> _ = step()
>>> w.get_value()
array([ 0.5, -1. ])

In the formulas, p is a parameter, g its gradient, r the learning rate; all operations are elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.errors import InvalidUpdate, InvalidValue
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.variable import Variable

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "amsgrad",
    "apply_momentum",
    "apply_nesterov",
    "clip_by_total_norm",
    "clip_by_value",
    "gradients",
    "momentum",
    "nesterov",
    "norm_constraint",
    "rmsprop",
    "sgd",
    "weight_decay",
]

Loss = Any  # a scalar variable, or a sequence of gradients, one per parameter
Rate = Any  # a number or a scalar variable
Updates = dict[Any, Any]


def gradients(loss_or_grads: Loss, params: Sequence[Any]) -> list[Any]:
    """The gradients of a scalar loss by ``params``; a sequence of as many gradients is passed through.

    Raises InvalidUpdate for a parameter that is not a shared variable or stands there twice, InvalidValue for a
    sequence of another length.
    """
    for i, param in enumerate(params):
        if not isinstance(param, SharedVariable):
            raise InvalidUpdate(f"params[{i}]: expected a shared variable, got {param!r}")
        if any(param is other for other in params[:i]):
            raise InvalidUpdate(f"params[{i}]: {param} stands among the parameters twice")
    if isinstance(loss_or_grads, Variable):
        return tinygraph.grad(loss_or_grads, list(params))
    grads = list(loss_or_grads)
    if len(grads) != len(params):
        raise InvalidValue(f"expected one gradient per parameter ({len(params)}), got {len(grads)}")
    return grads


def sgd(loss_or_grads: Loss, params: Sequence[Any], learning_rate: Rate) -> Updates:
    """Gradient descent: p <- p - r g."""
    grads = gradients(loss_or_grads, params)
    return {p: p - _as(p, learning_rate) * g for p, g in zip(params, grads, strict=True)}


def apply_momentum(
    updates: Mapping[Any, Any], params: Iterable[Any] | None = None, momentum: Rate = 0.9
) -> Updates:
    """Give the updates of ``params`` (default: all) a velocity: v <- m v + (p' - p), p <- p + v.

    p' is the new value that ``updates`` had for p.
    Source: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """
    new = dict(updates)
    for p in list(updates) if params is None else params:
        v = _state(p, "velocity")
        x = _as(p, momentum) * v + updates[p]
        new[v] = x - p
        new[p] = x
    return new


def momentum(
    loss_or_grads: Loss, params: Sequence[Any], learning_rate: Rate, momentum: Rate = 0.9
) -> Updates:
    """Gradient descent with momentum: v <- m v - r g, p <- p + v."""
    return apply_momentum(sgd(loss_or_grads, params, learning_rate), params, momentum)


def apply_nesterov(
    updates: Mapping[Any, Any], params: Iterable[Any] | None = None, momentum: Rate = 0.9
) -> Updates:
    """As :func:`apply_momentum`, with the gradient as if taken after the step: v <- m v + s, p <- p + m v + s.

    s is the step p' - p of ``updates``, and v the new velocity.
    Source: I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013, in the form that takes the gradient at p (Y. Bengio et al., arXiv:1212.0901, section 3.5).
    """
    new = dict(updates)
    for p in list(updates) if params is None else params:
        v = _state(p, "velocity")
        step = updates[p] - p
        rate = _as(p, momentum)
        x = rate * v + step
        new[v] = x
        new[p] = p + rate * x + step
    return new


def nesterov(
    loss_or_grads: Loss, params: Sequence[Any], learning_rate: Rate, momentum: Rate = 0.9
) -> Updates:
    """Gradient descent with Nesterov's momentum: v <- m v - r g, p <- p + m v - r g."""
    return apply_nesterov(sgd(loss_or_grads, params, learning_rate), params, momentum)


def adagrad(
    loss_or_grads: Loss, params: Sequence[Any], learning_rate: Rate = 1.0, epsilon: float = 1e-6
) -> Updates:
    """Rates by the sum of squares: a <- a + g^2, p <- p - r g / sqrt(a + epsilon).

    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12, 2011.
    """

    def rule(p: Any, g: Any) -> Updates:
        squares = _state(p, "squares")
        total = squares + T.sqr(g)
        return {squares: total, p: p - _as(p, learning_rate) * g / T.sqrt(total + _as(p, epsilon))}

    return _each(rule, params, gradients(loss_or_grads, params))


def rmsprop(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate = 1.0,
    rho: Rate = 0.9,
    epsilon: float = 1e-6,
) -> Updates:
    """Rates by a running mean of squares: a <- rho a + (1 - rho) g^2, p <- p - r g / sqrt(a + epsilon).

    Source: T. Tieleman, G. Hinton, "Lecture 6.5: RMSprop", Neural Networks for Machine Learning, 2012.
    """

    def rule(p: Any, g: Any) -> Updates:
        mean = _state(p, "mean_square")
        new = _running_mean(p, mean, T.sqr(g), rho)
        return {mean: new, p: p - _as(p, learning_rate) * g / T.sqrt(new + _as(p, epsilon))}

    return _each(rule, params, gradients(loss_or_grads, params))


def adadelta(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate = 1.0,
    rho: Rate = 0.95,
    epsilon: float = 1e-6,
) -> Updates:
    """Steps in the parameter's own units: with a <- rho a + (1 - rho) g^2 and
    s = g sqrt(d + epsilon) / sqrt(a + epsilon), p <- p - r s and d <- rho d + (1 - rho) s^2.

    Source: M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, algorithm 1.
    """

    def rule(p: Any, g: Any) -> Updates:
        mean, steps = _state(p, "mean_square"), _state(p, "mean_square_step")
        small = _as(p, epsilon)
        new = _running_mean(p, mean, T.sqr(g), rho)
        step = g * T.sqrt(steps + small) / T.sqrt(new + small)
        return {mean: new, steps: _running_mean(p, steps, T.sqr(step), rho), p: p - _as(p, learning_rate) * step}

    return _each(rule, params, gradients(loss_or_grads, params))


def adam(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate = 0.001,
    beta1: Rate = 0.9,
    beta2: Rate = 0.999,
    epsilon: float = 1e-8,
) -> Updates:
    """Moments with their bias corrected: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, t <- t + 1,
    p <- p - r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, in the order of operations
    given at the end of its section 2, so ``epsilon`` is the paper's epsilon-hat.
    """
    return _adam(loss_or_grads, params, learning_rate, beta1, beta2, epsilon, keep_largest=False)


def amsgrad(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate = 0.001,
    beta1: Rate = 0.9,
    beta2: Rate = 0.999,
    epsilon: float = 1e-8,
) -> Updates:
    """As :func:`adam`, with the largest v so far in place of v.

    Source: S. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018; with the bias correction
    that the paper leaves out.
    """
    return _adam(loss_or_grads, params, learning_rate, beta1, beta2, epsilon, keep_largest=True)


def adamax(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate = 0.002,
    beta1: Rate = 0.9,
    beta2: Rate = 0.999,
    epsilon: float = 1e-8,
) -> Updates:
    """Adam in the maximum norm: m <- b1 m + (1 - b1) g, u <- max(b2 u, |g|), t <- t + 1,
    p <- p - r / (1 - b1^t) m / (u + epsilon).

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1; ``epsilon`` is not
    in the paper and guards against gradients that were always zero.
    """
    grads = gradients(loss_or_grads, params)
    clock, time, powers = _clock(params)

    def rule(p: Any, g: Any) -> Updates:
        m, u = _state(p, "mean"), _state(p, "largest")
        new_m = _running_mean(p, m, g, beta1)
        new_u = T.maximum(_as(p, beta2) * u, T.abs_(g))
        rate = _as(p, learning_rate / (1 - powers(beta1, time)))
        return {m: new_m, u: new_u, p: p - rate * new_m / (new_u + _as(p, epsilon))}

    return _each(rule, params, grads, clock)


def weight_decay(updates: Mapping[Any, Any], rate: Rate, params: Iterable[Any] | None = None) -> Updates:
    """Let ``params`` (default: all that ``updates`` moves and that are not a rule's own state) shrink at each step:
    the new value loses ``rate`` p besides. ``rate`` is the learning rate times the decay.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, equation 12.
    """
    new = dict(updates)
    if params is None:
        params = [p for p in updates if not getattr(p.tag, "is_rule_state", False)]
    for p in params:
        if p not in new:
            raise InvalidUpdate(f"weight_decay: {p} is not among the updated variables")
        new[p] = new[p] - _as(p, rate) * p
    return new


def norm_constraint(
    tensor: Any, max_norm: Rate, norm_axes: Sequence[int] | None = None, epsilon: float = 1e-7
) -> Any:
    """``tensor`` with the norm of each unit's incoming weights scaled down to at most ``max_norm``.

    Units' weights are summed over ``norm_axes``; by default axis 0 of a matrix (inputs, units), and all axes but the
    first of a stack of filters (filters, channels, ...).
    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014,
    section 5.1. Raises InvalidValue for a vector or scalar without ``norm_axes``.
    """
    tensor = T.as_tensor_variable(tensor)
    if norm_axes is None:
        if tensor.ndim < 2:
            raise InvalidValue(f"norm_constraint: norm_axes= is needed for {tensor.ndim} dimensions")
        norm_axes = (0,) if tensor.ndim == 2 else tuple(range(1, tensor.ndim))
    norms = T.sqrt(T.sum(T.sqr(tensor), axis=tuple(norm_axes), keepdims=True))
    wanted = T.minimum(norms, _as(tensor, max_norm))
    return tensor * (wanted / (norms + _as(tensor, epsilon)))


def clip_by_value(grads: Iterable[Any], limit: Rate) -> list[Any]:
    """Every element of every gradient, brought into [-limit, limit]."""
    return [T.clip(g, -_as(g, limit), _as(g, limit)) for g in map(T.as_tensor_variable, grads)]


def clip_by_total_norm(
    grads: Iterable[Any], max_norm: Rate, epsilon: float = 1e-7, return_norm: bool = False
) -> Any:
    """All gradients scaled by one factor, so that their joint Euclidean norm is at most ``max_norm``.

    With ``return_norm``, a pair of the list and the norm before. The direction is kept.
    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
    """
    grads = [T.as_tensor_variable(g) for g in grads]
    total = sum((T.sum(T.sqr(g)) for g in grads[1:]), T.sum(T.sqr(grads[0]))) if grads else T.constant(0.0)
    norm = T.sqrt(total)
    factor = T.minimum(norm, _as(norm, max_norm)) / (norm + _as(norm, epsilon))
    clipped = [g * _as(g, factor) for g in grads]
    return (clipped, norm) if return_norm else clipped


# -- pieces ---------------------------------------------------------------------------------------------------


def _adam(
    loss_or_grads: Loss,
    params: Sequence[Any],
    learning_rate: Rate,
    beta1: Rate,
    beta2: Rate,
    epsilon: float,
    keep_largest: bool,
) -> Updates:
    grads = gradients(loss_or_grads, params)
    clock, time, powers = _clock(params)

    def rule(p: Any, g: Any) -> Updates:
        m, v = _state(p, "mean"), _state(p, "mean_square")
        new_m, new_v = _running_mean(p, m, g, beta1), _running_mean(p, v, T.sqr(g), beta2)
        updates = {m: new_m, v: new_v}
        if keep_largest:
            largest = _state(p, "largest_mean_square")
            new_v = updates[largest] = T.maximum(largest, new_v)
        rate = _as(p, learning_rate * T.sqrt(1 - powers(beta2, time)) / (1 - powers(beta1, time)))
        return updates | {p: p - rate * new_m / (T.sqrt(new_v) + _as(p, epsilon))}

    return _each(rule, params, grads, clock)


def _each(
    rule: Callable[[Any, Any], Updates], params: Sequence[Any], grads: Sequence[Any], others: Updates | None = None
) -> Updates:
    """What ``rule(p, g)`` returns for each parameter, and ``others``: the parameters first, then the rule's state."""
    updates = dict(others or {})
    for p, g in zip(params, grads, strict=True):
        updates |= rule(p, g)
    return {p: updates[p] for p in params} | updates


def _clock(params: Sequence[Any]) -> tuple[Updates, Any, Callable[[Any, Any], Any]]:
    """The update that counts steps, the number of this step as a float64 scalar, and the power function.

    Float64, because 1 - 0.999^t loses most of its digits in float32 for small t. It is one scalar per step.
    """
    if not params:
        return {}, T.constant(1.0, dtype="float64"), T.pow
    clock = _own(tinygraph.shared(np.zeros((), np.float64), name="step"))
    time = clock + np.float64(1)
    return {clock: time}, time, lambda base, exponent: T.pow(T.cast(base, "float64"), exponent)


def _running_mean(p: Any, old: Any, new: Any, rho: Rate) -> Any:
    rho = _as(p, rho)
    return rho * old + (1 - rho) * new


def _state(p: Any, name: str) -> Any:
    """A shared variable of zeros like ``p``, for a rule's own use."""
    value = p.get_value(borrow=True)
    label = f"{p.name}_{name}" if p.name else name
    return _own(tinygraph.shared(np.zeros(value.shape, value.dtype), name=label))


def _own(variable: Any) -> Any:
    variable.tag.is_rule_state = True
    return variable


def _as(like: Any, number: Rate) -> Any:
    """``number`` in the dtype of ``like``: a float64 rate must not turn a float32 parameter into float64."""
    if isinstance(number, Variable):
        return number if number.dtype == like.dtype else T.cast(number, like.dtype)
    return np.asarray(number, dtype=like.dtype)[()]
