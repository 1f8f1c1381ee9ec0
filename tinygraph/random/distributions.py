"""Distributions as functions ``(state, ...) -> (next state, sample)``, composed of one draw and elementwise work.

Sizes: ``size`` is None (the parameters' shape), a number, a tuple, or a symbolic vector. Dtypes: floats default to
``config.floatX``, upcast by the parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygraph import tensor as T  # noqa: N812
from tinygraph.config import config
from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.graph.tensortype import FLOAT_DTYPES
from tinygraph.graph.variable import Constant
from tinygraph.random import exact
from tinygraph.random.draw import Draw
from tinygraph.random.host import HostDraw
from tinygraph.random.sizes import product, sizes_of
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import upcast

Pair = tuple[Any, Any]

#: a multinomial of at most this many trials is drawn trial by trial in the graph, others in Python
_TRIALS = 16


def _params(*values: Any) -> list[Any]:
    return [as_tensor_variable(v) for v in values]


def _float_dtype(dtype: Any, *params: Any) -> str:
    if dtype is None:
        floats = [p.type.dtype for p in params if p.type.dtype[0] == "f"]
        return upcast(config.floatX, *floats)
    dtype = config.floatX if dtype == "floatX" else np.dtype(dtype).name
    if dtype not in FLOAT_DTYPES:
        raise TypeMismatch(f"a sample of real numbers must be of a float dtype, got {dtype!r}")
    return dtype


def _wide(dtype: str) -> str:
    """The dtype in which a distribution is computed: 16-bit floats are too coarse for its tails."""
    return "float32" if dtype == "float16" else dtype


def _draw(state: Any, kind: str, sizes: Any) -> Pair:
    return tuple(Draw(kind).make_node(state, *sizes).outputs)  # type: ignore[return-value]


def uniform(state: Any, size: Any = None, low: Any = 0.0, high: Any = 1.0, ndim: int | None = None,
            dtype: Any = None) -> Pair:  # fmt: skip
    """Real numbers between ``low`` and ``high``, multiples of 2**-24 (float32) or 2**-53 (float64) of the distance."""
    lo, hi = _params(low, high)
    dtype = _float_dtype(dtype, lo, hi)
    following, u = _draw(state, dtype, sizes_of(size, ndim, [lo, hi]))
    if _is(lo, 0) and _is(hi, 1):
        return following, u
    sample = T.cast(lo + u * (hi - lo), dtype)
    if isinstance(lo, Constant) and isinstance(hi, Constant) and (lo.data < hi.data).all():
        kind = np.dtype(dtype).type  # the largest number below ``high``: the sum may have been rounded up to it
        sample = T.minimum(sample, np.nextafter(hi.data.astype(kind), kind(-np.inf)))
    return following, sample


def _is(v: Any, number: float) -> bool:
    return isinstance(v, Constant) and v.data.ndim == 0 and v.data == number


def normal(state: Any, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None,
           dtype: Any = None) -> Pair:  # fmt: skip
    """Normal deviates with mean ``avg`` and standard deviation ``std``.

    The first half are ``r cos(t)``, the second ``r sin(t)`` with ``r = sqrt(-2 log(1 - u))``, ``t = 2 pi v``.
    Source: G. Box, M. Muller, A note on the generation of random normal deviates, 1958.
    """
    mean, deviation = _params(avg, std)
    dtype = _float_dtype(dtype, mean, deviation)
    sizes = sizes_of(size, ndim, [mean, deviation])
    count = product(sizes)
    half = (count + 1) // 2
    wide = _wide(dtype)
    following, uv = _draw(state, wide, (2, half))
    one, minus_two = T.constant(1, dtype=wide), T.constant(-2, dtype=wide)
    r = T.sqrt(minus_two * exact.log(one - uv[0], wide))
    cos, sin = exact.cos_sin(uv[1], wide)
    both = T.concatenate([r * cos, r * sin])
    z = both.reshape(sizes) if isinstance(count, int) and count % 2 == 0 else both[:count].reshape(sizes)
    return following, _scaled(z, mean, deviation, dtype)


def _scaled(z: Any, avg: Any, std: Any, dtype: str) -> Any:
    z = T.cast(z, dtype)
    if not _is(std, 1):
        z = z * std
    if not _is(avg, 0):
        z = z + avg
    return T.cast(z, dtype)


def truncated_normal(state: Any, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None,
                     dtype: Any = None) -> Pair:  # fmt: skip
    """Normal deviates no further than two standard deviations from the mean, by inverting the distribution function."""
    mean, deviation = _params(avg, std)
    dtype = _float_dtype(dtype, mean, deviation)
    wide = _wide(dtype)
    following, u = _draw(state, wide, sizes_of(size, ndim, [mean, deviation]))

    def number(value: float) -> Any:
        return T.constant(value, dtype=wide)

    # u lies in the middle of its cell, so that both ends are treated alike
    step = {"float64": 2.0**-54, "float32": 2.0**-25}[wide]
    inside = (number(2) * u + number(2 * step - 1)) * number(math.erf(math.sqrt(2)))
    z = exact.erfinv(inside, wide) * number(math.sqrt(2))
    return following, _scaled(z, mean, deviation, dtype)


def exponential(state: Any, size: Any = None, scale: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Pair:
    """Waiting times with mean ``scale``."""
    (mean,) = _params(scale)
    dtype = _float_dtype(dtype, mean)
    wide = _wide(dtype)
    following, u = _draw(state, wide, sizes_of(size, ndim, [mean]))
    waited = -exact.log(T.constant(1, dtype=wide) - u, wide)
    return following, _scaled(waited, as_tensor_variable(0), mean, dtype)


def binomial(state: Any, size: Any = None, n: Any = 1, p: Any = 0.5, ndim: int | None = None, dtype: Any = "int64",
             prob: Any = None) -> Pair:  # fmt: skip
    """The number of successes in ``n`` trials of probability ``p`` (``prob`` is its older name)."""
    trials, chance = _params(n, p if prob is None else prob)
    sizes = sizes_of(size, ndim, [trials, chance])
    dtype = config.floatX if dtype == "floatX" else dtype
    if _is(trials, 1):
        following, u = _draw(state, "float32", sizes)
        return following, T.cast(T.lt(u, T.cast(chance, "float32")), dtype)
    return _on_host("binomial", state, sizes, [trials, chance], dtype)


def _on_host(name: str, state: Any, sizes: Any, params: Any, dtype: Any) -> Pair:
    return tuple(HostDraw(name, len(sizes), np.dtype(dtype).name).make_node(state, *sizes, *params).outputs)  # type: ignore


def poisson(state: Any, size: Any = None, lam: Any = 1.0, ndim: int | None = None, dtype: Any = "int64") -> Pair:
    """Counts with mean ``lam``."""
    params = _params(1.0 if lam is None else lam)
    return _on_host("poisson", state, sizes_of(size, ndim, params), params, dtype)


def gamma(state: Any, size: Any = None, shape: Any = 1.0, scale: Any = 1.0, ndim: int | None = None,
          dtype: Any = None) -> Pair:  # fmt: skip
    """Gamma deviates with the given shape parameter and scale."""
    params = _params(shape, scale)
    return _on_host("gamma", state, sizes_of(size, ndim, params), params, _float_dtype(dtype, *params))


def beta(state: Any, size: Any = None, a: Any = 1.0, b: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Pair:
    """Beta deviates, in [0, 1]."""
    params = _params(a, b)
    return _on_host("beta", state, sizes_of(size, ndim, params), params, _float_dtype(dtype, *params))


def random_integers(state: Any, size: Any = None, low: Any = 0, high: Any = 1, ndim: int | None = None,
                    dtype: Any = "int64") -> Pair:  # fmt: skip
    """Integers from ``low`` to ``high``, both included."""
    lo, hi = _params(low, high)
    for v in (lo, hi):
        if v.type.dtype[0] == "f":
            raise TypeMismatch(f"random_integers: the bounds must be integers, got {v} of type {v.type}")
    sizes = sizes_of(size, ndim, [lo, hi])
    following, u = _draw(state, "float64", sizes)  # 53 bits: no number of a smaller range is visibly preferred
    span = T.cast(hi, "int64") - T.cast(lo, "int64") + 1
    return following, T.cast(T.cast(T.floor(u * span), "int64") + lo, dtype)


def permutation(state: Any, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: Any = "int64") -> Pair:
    """Orders of the numbers 0 .. n-1: shape ``size + (n,)``."""
    (count,) = sizes_of(n)
    sizes = () if size is None else sizes_of(size, ndim)
    following, u = _draw(state, "float64", (*sizes, count))
    return following, T.cast(T.argsort(u, axis=-1), dtype)


def shuffle_row_elements(state: Any, input: Any) -> Pair:
    """``input`` with the elements of each row (its last dimension) in random order, each row in its own."""
    x = as_tensor_variable(input)
    if x.type.ndim == 0:
        raise ShapeMismatch(f"shuffle_row_elements: expected at least one dimension, got {x} of type {x.type}")
    following, u = _draw(state, "float64", T.shape_tuple(x))
    return following, T.take_along_axis(x, T.argsort(u, axis=-1), axis=-1)


def _which(u: Any, pvals: Any) -> Any:
    """The category of each ``u`` in [0, 1), by weights ``pvals``, both along the last dimension.

    The weights become whole numbers first: those add up to the same in any order, so that all targets draw alike.
    """
    weights = T.cast(pvals, "float64")
    largest = T.max(weights, axis=-1, keepdims=True)
    unit = T.switch(T.gt(largest, 0), largest, 1)
    whole = T.cast(T.floor(weights / unit * (2.0**62 / T.cast(pvals.shape[-1], "float64"))), "int64")
    total: Any = T.cast(T.cumsum(whole, axis=-1), "float64")
    return T.sum(T.ge(u * total[..., -1:], total[..., :-1]), axis=-1)


def multinomial(state: Any, size: Any = None, n: Any = 1, pvals: Any = (0.5, 0.5), ndim: int | None = None,
                dtype: Any = "int64") -> Pair:  # fmt: skip
    """How often each category comes up in ``n`` trials: shape ``size + (categories,)``.

    ``pvals``: probabilities along the last dimension; ``size`` defaults to its other dimensions (and those of ``n``).
    """
    trials, p = _params(n, pvals)
    if p.type.ndim == 0 or p.type.dtype[0] != "f":
        raise TypeMismatch(f"multinomial: pvals must be floats with at least one dimension, got {p} of type {p.type}")
    sizes = sizes_of(size, ndim, [trials, p[..., 0]])
    dtype = config.floatX if dtype == "floatX" else dtype
    if not isinstance(trials, Constant) or trials.data.ndim or not 0 < trials.data <= _TRIALS:
        return _on_host("multinomial", state, sizes, [trials, p], dtype)
    count = int(trials.data)
    following, u = _draw(state, "float64", (*sizes, count, 1))
    chosen = _which(u, T.shape_padaxis(p, p.type.ndim - 1))
    hits = T.eq(T.shape_padright(chosen), T.arange(p.shape[-1]))
    return following, T.cast(hits[..., 0, :] if count == 1 else T.sum(hits, axis=-2), dtype)


def _clocks(state: Any, sizes: Any, weights: Any) -> Pair:
    """Categories in the order in which exponential clocks of rates ``weights`` ring: drawing without replacement.

    Source: P. Efraimidis, P. Spirakis, Weighted random sampling with a reservoir, 2006.
    """
    following, u = _draw(state, "float64", sizes)
    times = -exact.log(T.constant(1, dtype="float64") - u, "float64")
    if weights is not None:
        w = T.cast(weights, "float64")
        times = T.switch(T.gt(w, 0), times / T.switch(T.gt(w, 0), w, 1), np.inf)
    return following, T.argsort(times, axis=-1)


def choice(state: Any, size: Any = None, a: Any = 2, replace: bool = True, p: Any = None, ndim: int | None = None,
           dtype: Any = "int64") -> Pair:  # fmt: skip
    """Elements of ``a``, a vector, or numbers 0 .. a-1, with probabilities ``p`` (by default all the same)."""
    values = as_tensor_variable(a)
    if values.type.ndim > 1:
        raise ShapeMismatch(f"choice: a must be a number or a vector, got {values} of type {values.type}")
    count = values if values.type.ndim == 0 else values.shape[0]
    weights = None if p is None else as_tensor_variable(p)
    if weights is not None and weights.type.ndim != 1:
        raise ShapeMismatch(f"choice: p must be a vector, got {weights} of type {weights.type}")
    sizes = sizes_of(() if size is None else size, ndim)
    if not replace:
        following, order = _clocks(state, (count,), weights)
        index = _first(order, product(sizes), "choice").reshape(sizes)
    elif weights is None:
        following, index = random_integers(state, sizes, 0, count - 1)
    else:
        following, u = _draw(state, "float64", (*sizes, 1))
        index = _which(u, weights)
    if values.type.ndim == 1:
        return following, values[index]
    return following, T.cast(index, dtype)


def _first(order: Any, k: Any, name: str) -> Any:
    """The first ``k`` along the last dimension, which must be as long as that."""
    length = order.type.shape[-1]
    if isinstance(k, int) and length is not None and k > length:
        raise InvalidValue(f"{name}: cannot take {k} of {length} without replacement")
    taken = order[..., T.arange(k)] if not isinstance(k, int) or length is None else order[..., :k]
    return taken  # an index past the end raises at the call, which a slice would not


def choice_by_row(state: Any, size: Any = 1, a: Any = None, replace: bool = True, p: Any = None,
                  ndim: int | None = None, dtype: Any = "int64") -> Pair:  # fmt: skip
    """``size`` categories for each row of the matrix ``p`` of probabilities: shape ``(rows, size)``."""
    if a is not None:
        raise InvalidValue("choice with a matrix p draws the numbers of its columns; a must be None")
    weights = as_tensor_variable(p)
    if weights.type.ndim != 2:
        raise ShapeMismatch(f"choice: p must be a matrix, got {weights} of type {weights.type}")
    (count,) = sizes_of(size)
    rows, columns = T.shape_tuple(weights)
    if replace:
        following, u = _draw(state, "float64", (rows, count, 1))
        return following, T.cast(_which(u, weights.dimshuffle(0, "x", 1)), dtype)
    following, order = _clocks(state, (rows, columns), weights)
    return following, T.cast(_first(order, count, "choice"), dtype)
