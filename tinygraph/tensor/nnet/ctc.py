"""Connectionist temporal classification: the loss of a sequence of outputs against a shorter sequence of labels.

Source: A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, "Connectionist temporal classification", 2006. Class 0 is the
blank. Forward and backward variables are kept as logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph.dims import Dim, Operand, may_differ
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.maths import cast_to
from tinygraph.tensor.shape import dimshuffle


class ConnectionistTemporalClassification(Op):
    """Loss of each sequence, and its gradient by the activations.

    Inputs: activations (time, batch, classes), before any softmax; labels (batch, length), 1 .. classes - 1, the rest
    of a row filled with negative numbers; lengths (batch,) of the sequences. Outputs: (batch,), (time, batch, classes).
    A sequence too short for its labels has an infinite loss and no gradient.
    """

    __props__ = ()
    default_output = 0

    def make_node(self, activations: Any, labels: Any, input_lengths: Any) -> Apply:
        x, labels, lengths = map(as_tensor_variable, (activations, labels, input_lengths))
        if x.type.ndim != 3 or x.type.dtype[0] != "f":
            raise TypeMismatch(f"ctc: activations must be floats (time, batch, classes), got {x} of type {x.type}")
        if labels.type.ndim != 2 or labels.type.dtype[0] not in "iu":
            raise TypeMismatch(f"ctc: labels must be integers (batch, length), got {labels} of type {labels.type}")
        if lengths.type.ndim != 1 or lengths.type.dtype[0] not in "iu":
            raise TypeMismatch(f"ctc: input_lengths must be integers (batch,), got {lengths} of type {lengths.type}")
        return super().make_node(x, cast_to(labels, "int32"), cast_to(lengths, "int32"))

    def infer(self, x: Operand, labels: Operand, lengths: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        same = not may_differ(x.shape[1], labels.shape[0]) and not may_differ(x.shape[1], lengths.shape[0])
        self.expect(same, "one batch size", x, labels, lengths, error=InvalidValue)
        return [(x.dtype, (x.shape[1],)), (x.dtype, x.shape)]

    def forward(self, x: Any, labels: Any, lengths: Any) -> Any:
        costs, grads = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape, x.dtype)
        run(x, labels, lengths, costs, grads)
        return costs, grads

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False], [False, False], [False, False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [outputs[1] * dimshuffle(grads[0], ("x", 0, "x")), None, None]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        outputs = [(b.shape(v), v.type.dtype) for v in node.outputs]
        return b.routine("ctc", inputs, outputs, run)


def run(x: Any, labels: Any, lengths: Any, costs: Any, grads: Any) -> None:
    """Losses and gradients of a batch, written into ``costs`` and ``grads``."""
    grads[...] = 0
    for i in range(x.shape[1]):
        steps = int(lengths[i])
        if not 0 <= steps <= x.shape[0]:
            raise InvalidValue(f"ctc: sequence {i} has length {steps}, but there are {x.shape[0]} steps")
        label = labels[i][labels[i] >= 0]
        if label.size and (label.max() >= x.shape[2] or label.min() < 1):
            raise InvalidValue(f"ctc: labels of sequence {i} must lie in 1 .. {x.shape[2] - 1}, got {label.tolist()}")
        costs[i], grads[:steps, i] = _one(np.asarray(x[:steps, i], "float64"), label)


def _one(x: np.ndarray, label: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and gradient of one sequence of activations (steps, classes)."""
    steps, classes = x.shape
    path = np.zeros(2 * label.size + 1, "int64")  # labels with blanks around
    path[1::2] = label
    if steps == 0:
        return (0.0 if label.size == 0 else np.inf), np.zeros_like(x)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    emit = log_p[:, path]
    may_skip = np.zeros(path.size, bool)  # a blank may be left out between different labels
    may_skip[2:] = (path[2:] != 0) & (path[2:] != path[:-2])
    alpha = _walk(emit, may_skip)
    may_skip_back = np.zeros(path.size, bool)
    may_skip_back[2:] = may_skip[2:][::-1]
    beta = _walk(emit[::-1, ::-1], may_skip_back)[::-1, ::-1]
    ends = alpha[-1, -2:] if path.size > 1 else alpha[-1, -1:]
    total = np.logaddexp.reduce(ends)
    if total == -np.inf:
        return np.inf, np.zeros_like(x)
    occupancy = np.exp(alpha + beta - emit - total)
    expected = np.zeros((steps, classes))
    np.add.at(expected, (slice(None), path), occupancy)
    return -float(total), np.exp(log_p) - expected


def _walk(emit: np.ndarray, may_skip: np.ndarray) -> np.ndarray:
    """Logarithms of the summed probabilities of all ways to each place of the path at each step."""
    steps, places = emit.shape
    out = np.full((steps, places), -np.inf)
    out[0, :2] = emit[0, :2]
    for t in range(1, steps):
        reach = out[t - 1].copy()
        reach[1:] = np.logaddexp(reach[1:], out[t - 1, :-1])
        skip = np.where(may_skip[2:], out[t - 1, :-2], -np.inf)
        reach[2:] = np.logaddexp(reach[2:], skip)
        out[t] = reach + emit[t]
    return out


def ctc(activations: Any, labels: Any, input_lengths: Any) -> Any:
    """The loss of each sequence: see ``ConnectionistTemporalClassification``. Shapes: -> (batch,)."""
    return ConnectionistTemporalClassification()(activations, labels, input_lengths)


def ctc_available() -> bool:
    return True
