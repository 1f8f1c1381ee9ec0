"""Hierarchical softmax, confusion matrix, and rows with a number put in front."""

from __future__ import annotations

from typing import Any

from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.broadcast import alloc
from tinygraph.tensor.creation import arange
from tinygraph.tensor.dot import batched_dot, dot
from tinygraph.tensor.join import concatenate
from tinygraph.tensor.maths import cast_to, eq
from tinygraph.tensor.nnet.softmax import softmax
from tinygraph.tensor.shape import dimshuffle, flatten, reshape


def h_softmax(
    x: Any, batch_size: Any, n_outputs: Any, n_classes: Any, n_outputs_per_class: Any, W1: Any, b1: Any, W2: Any,
    b2: Any, target: Any = None,
) -> Any:  # fmt: skip
    """Two-level softmax: outputs are grouped into classes, P(output) = P(class) * P(output | class).

    With ``target`` only the probabilities of those outputs are computed, from one class each: about the square root of
    the work (J. Goodman, "Classes for fast maximum entropy training", 2001).

    Shapes: x (batch, features), W1 (features, classes), b1 (classes,), W2 (classes, features, outputs per class),
    b2 (classes, outputs per class), target (batch,) -> (batch,); without target (batch, n_outputs).
    """
    x, W2, b2 = as_tensor_variable(x), as_tensor_variable(W2), as_tensor_variable(b2)
    classes = softmax(dot(x, W1) + b1, axis=-1)
    if target is not None:
        target = flatten(as_tensor_variable(target))
        group, place = target // n_outputs_per_class, target % n_outputs_per_class
        logits = batched_dot(dimshuffle(x, (0, "x", 1)), W2[group])[:, 0] + b2[group]
        rows = arange(batch_size)
        return classes[rows, group] * softmax(logits, axis=-1)[rows, place]
    logits = dimshuffle(batched_dot(dimshuffle(x, ("x", 0, 1)), W2), (1, 0, 2)) + dimshuffle(b2, ("x", 0, 1))
    joint = softmax(logits, axis=-1) * dimshuffle(classes, (0, 1, "x"))
    return reshape(joint, (batch_size, -1), ndim=2)[:, :n_outputs]  # the last class may have outputs to spare


def confusion_matrix(actual: Any, pred: Any) -> list[Any]:
    """How often each true label was predicted as each label.

    Shapes: two vectors of n labels -> [(labels, labels) counts with the true label first, (labels,) the labels met,
    sorted].
    """
    from tinygraph.tensor.counting import unique

    actual, pred = flatten(as_tensor_variable(actual)), flatten(as_tensor_variable(pred))
    labels = unique(concatenate([actual, pred]))
    one_hot = [cast_to(eq(dimshuffle(v, (0, "x")), labels), "int64") for v in (actual, pred)]
    return [dot(one_hot[0].T, one_hot[1]), labels]


def prepend_scalar_to_each_row(val: Any, mat: Any) -> Any:
    """Each row of a matrix with ``val`` in front. Shapes: a scalar, (n, m) -> (n, m + 1)."""
    mat = as_tensor_variable(mat)
    return concatenate([alloc(cast_to(val, mat.type.dtype), mat.shape[0], 1), mat], axis=1)


def prepend_1_to_each_row(x: Any) -> Any:
    return prepend_scalar_to_each_row(1, x)


def prepend_0_to_each_row(x: Any) -> Any:
    return prepend_scalar_to_each_row(0, x)
