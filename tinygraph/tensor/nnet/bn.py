"""Batch normalisation (S. Ioffe, C. Szegedy, "Batch normalization", 2015), composed of elementary operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.maths import cast_to, sqr, sqrt
from tinygraph.tensor.nnet.numbers import number
from tinygraph.tensor.reduce import mean as mean_over
from tinygraph.tensor.shape import addbroadcast, dimshuffle


def batch_normalization(inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: str = "low_mem") -> Any:
    """``(inputs - mean) * gamma / std + beta``, with statistics that the caller gives; everything broadcasts.

    ``mode`` ("low_mem" or "high_mem") chose between two of Theano's formulas; the compiler decides here.
    """
    if mode not in ("low_mem", "high_mem"):
        raise InvalidValue(f"batch_normalization: mode must be 'low_mem' or 'high_mem', got {mode!r}")
    x = as_tensor_variable(inputs)
    gamma, beta, mean, std = (number(v, x) for v in (gamma, beta, mean, std))
    return (x - mean) * (gamma / std) + beta


def batch_normalization_train(
    inputs: Any, gamma: Any, beta: Any, axes: Any = "per-activation", epsilon: Any = 1e-4,
    running_average_factor: Any = 0.1, running_mean: Any = None, running_var: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Normalise ``inputs`` by the batch's own mean and variance.

    Parameters
    ----------
    axes : dimensions that statistics are taken over: "per-activation" (the first), "spatial" (all but the second),
        or a tuple
    gamma, beta, running_mean, running_var : either of the rank of ``inputs``, of size 1 along ``axes``, or with the
        dimensions in ``axes`` left out
    epsilon : added to the variance
    running_average_factor : weight of this batch in the running statistics

    Returns
    -------
    ``(out, mean, invstd)``, and if both running statistics are given also their new values: the running variance takes
    the unbiased estimate. The statistics have the shape of ``gamma``. Raises InvalidValue.
    """
    x = as_tensor_variable(inputs)
    found = _Axes("batch_normalization_train", x, axes)
    gamma, beta = found.expand(gamma, "gamma"), found.expand(beta, "beta")
    if (running_mean is None) != (running_var is None):
        raise InvalidValue("batch_normalization_train: running_mean and running_var must be given together")
    mean = mean_over(x, axis=found.axes, keepdims=True)
    var = mean_over(sqr(x - mean), axis=found.axes, keepdims=True)
    invstd = 1 / sqrt(var + number(epsilon, x))
    results = [mean, invstd]
    out = (x - mean) * (gamma * invstd) + beta
    if running_mean is not None:
        old_mean, old_var = found.expand(running_mean, "running_mean"), found.expand(running_var, "running_var")
        m: Any = 1
        for a in found.axes:
            m = x.shape[a] * m
        m = cast_to(m, x.type.dtype)
        share = number(running_average_factor, x)
        results.append(old_mean * (1 - share) + mean * share)
        results.append(old_var * (1 - share) + (m / (m - 1)) * var * share)
    return (out, *(found.shrink(r) for r in results))


def batch_normalization_test(
    inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Any = "per-activation", epsilon: Any = 1e-4
) -> Any:
    """``(inputs - mean) * gamma / sqrt(var + epsilon) + beta`` with fixed statistics; arguments as in training."""
    x = as_tensor_variable(inputs)
    found = _Axes("batch_normalization_test", x, axes)
    gamma, beta = found.expand(gamma, "gamma"), found.expand(beta, "beta")
    mean, var = found.expand(mean, "mean"), found.expand(var, "var")
    return (x - mean) * (gamma / sqrt(var + number(epsilon, x))) + beta


class _Axes:
    """The normalised dimensions, and the two forms in which parameters come."""

    def __init__(self, name: str, x: Any, axes: Any):
        self.name, self.ndim = name, x.type.ndim
        self.axes = self._resolve(axes)
        self.kept = [d for d in range(self.ndim) if d not in self.axes]
        self.short = False  # parameters come without the normalised dimensions

    def _resolve(self, axes: Any) -> tuple[int, ...]:
        if axes == "per-activation":
            return (0,)
        if axes == "spatial":
            return (0, *range(2, self.ndim))
        if isinstance(axes, int):
            axes = (axes,)
        if not isinstance(axes, Sequence) or isinstance(axes, str) or not axes:
            raise InvalidValue(f"{self.name}: axes must be 'per-activation', 'spatial' or a tuple, got {axes!r}")
        found = tuple(sorted(int(a) % self.ndim if -self.ndim <= a < self.ndim else self.ndim for a in axes))
        if len(set(found)) != len(found) or found[-1] >= self.ndim:
            raise InvalidValue(f"{self.name}: axes {axes!r} do not name different dimensions of {self.ndim}")
        return found

    def expand(self, p: Any, what: str) -> Any:
        """A parameter with all dimensions of the input."""
        p = as_tensor_variable(p)
        if p.type.ndim == self.ndim:
            return addbroadcast(p, *self.axes)
        if p.type.ndim != len(self.kept):
            raise InvalidValue(
                f"{self.name}: {what} must have {self.ndim} dimensions, or the {len(self.kept)} that are not"
                f" normalised; got {p} of type {p.type}"
            )
        self.short = True
        return dimshuffle(p, [self.kept.index(d) if d in self.kept else "x" for d in range(self.ndim)])

    def shrink(self, s: Any) -> Any:
        """A statistic in the form of the parameters."""
        return dimshuffle(s, self.kept) if self.short else s
