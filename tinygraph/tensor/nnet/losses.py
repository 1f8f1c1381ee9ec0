"""Losses: cross-entropies of probabilities and of logits, one loss for each example."""

from __future__ import annotations

from typing import Any

from tinygraph.errors import TypeMismatch
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.creation import arange
from tinygraph.tensor.maths import log, log1p, neg, softplus
from tinygraph.tensor.nnet.softmax import LogSoftmax, logsoftmax, softmax
from tinygraph.tensor.reduce import argmax
from tinygraph.tensor.reduce import max as max_over
from tinygraph.tensor.reduce import sum as sum_over
from tinygraph.tensor.shape import flatten, reshape, shape_tuple


def binary_crossentropy(output: Any, target: Any) -> Any:
    """``-target * log(output) - (1 - target) * log(1 - output)`` at every point; ``output`` lies in 0 .. 1.

    Where ``output`` is a sigmoid the stabilising passes turn this into ``sigmoid_binary_crossentropy``.
    """
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return neg(target * log(output) + (1.0 - target) * log1p(neg(output)))


def sigmoid_binary_crossentropy(output: Any, target: Any) -> Any:
    """``binary_crossentropy(sigmoid(output), target)``, finite and exact for logits of any size."""
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return target * softplus(neg(output)) + (1.0 - target) * softplus(output)


binary_crossentropy_from_logits = sigmoid_binary_crossentropy


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Any:
    """The cross-entropy of ``coding_dist`` against the true distribution, for each example.

    Shapes: probabilities (..., classes), and either true probabilities (..., classes) or integer classes (...)
    -> (...). Raises TypeMismatch for other ranks, and for classes that are not integers.
    """
    p, true = as_tensor_variable(coding_dist), as_tensor_variable(true_dist)
    if true.type.ndim == p.type.ndim:
        return neg(sum_over(true * log(p), axis=p.type.ndim - 1))
    return neg(log(_chosen("categorical_crossentropy", p, true)))


def crossentropy_categorical_1hot(coding_dist: Any, true_one_of_n: Any) -> Any:
    """``categorical_crossentropy`` with the classes as integers."""
    p, true = as_tensor_variable(coding_dist), as_tensor_variable(true_one_of_n)
    return neg(log(_chosen("crossentropy_categorical_1hot", p, true)))


def softmax_crossentropy(logits: Any, target: Any) -> Any:
    """``categorical_crossentropy(softmax(logits), target)``, finite and exact for logits of any size."""
    x, true = as_tensor_variable(logits), as_tensor_variable(target)
    log_p = LogSoftmax(-1)(x)
    if true.type.ndim == x.type.ndim:
        return neg(sum_over(true * log_p, axis=x.type.ndim - 1))
    return neg(_chosen("softmax_crossentropy", log_p, true))


categorical_crossentropy_from_logits = softmax_crossentropy


def _chosen(name: str, p: Any, classes: Any) -> Any:
    """``p[..., classes]``: the entry of each example's class."""
    if classes.type.ndim != p.type.ndim - 1 or classes.type.dtype[0] not in "iu":
        raise TypeMismatch(
            f"{name}: expected probabilities of one rank with the outputs, or integer classes of one rank less, for"
            f" outputs of type {p.type}; got {classes} of type {classes.type}"
        )
    if classes.type.ndim == 0:
        return p[classes]
    if classes.type.ndim == 1:
        return p[arange(classes.shape[0]), classes]
    rows = reshape(p, (-1, shape_tuple(p)[-1]), ndim=2)
    flat = flatten(classes)
    return reshape(rows[arange(flat.shape[0]), flat], classes.shape, ndim=classes.type.ndim)


# -- Theano's names for softmax and cross-entropy together ---------------------------------------------------------


def softmax_with_bias(x: Any, b: Any) -> Any:
    """``softmax(x + b)``. Shapes: (n, classes), (classes,) -> (n, classes)."""
    return softmax(as_tensor_variable(x) + b)


def crossentropy_softmax_1hot(x: Any, y_idx: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Loss of each example, and the softmax. Shapes: (n, classes), (n,) integers -> (n,), (n, classes)."""
    x = as_tensor_variable(x)
    return softmax_crossentropy(x, y_idx), softmax(x)


def crossentropy_softmax_1hot_with_bias(x: Any, b: Any, y_idx: Any, **kwargs: Any) -> tuple[Any, Any]:
    """``crossentropy_softmax_1hot(x + b, y_idx)``."""
    return crossentropy_softmax_1hot(as_tensor_variable(x) + b, y_idx)


def crossentropy_softmax_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """Loss of each example, the softmax, and the most probable classes."""
    z = as_tensor_variable(x) + b
    return (*crossentropy_softmax_1hot(z, y_idx), argmax(z, axis=-1))


def crossentropy_softmax_max_and_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any, **kwargs: Any) -> list[Any]:
    """Loss of each example, the softmax, its largest entries, and their classes."""
    loss, p, best = crossentropy_softmax_argmax_1hot_with_bias(x, b, y_idx)
    return [loss, p, max_over(p, axis=-1), best]


def crossentropy_softmax_max_and_argmax_1hot(x: Any, y_idx: Any, **kwargs: Any) -> list[Any]:
    """Loss of each example, the softmax, its largest entries, and their classes."""
    loss, p = crossentropy_softmax_1hot(x, y_idx)
    return [loss, p, max_over(p, axis=-1), argmax(as_tensor_variable(x), axis=-1)]


__all__ = [
    "binary_crossentropy", "binary_crossentropy_from_logits", "categorical_crossentropy",
    "categorical_crossentropy_from_logits", "crossentropy_categorical_1hot", "crossentropy_softmax_1hot",
    "crossentropy_softmax_1hot_with_bias", "crossentropy_softmax_argmax_1hot_with_bias",
    "crossentropy_softmax_max_and_argmax_1hot", "crossentropy_softmax_max_and_argmax_1hot_with_bias", "logsoftmax",
    "sigmoid_binary_crossentropy", "softmax_crossentropy", "softmax_with_bias",
]  # fmt: skip
