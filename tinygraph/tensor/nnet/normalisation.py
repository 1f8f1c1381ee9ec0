"""Normalisation within one example, and dropout."""

from __future__ import annotations

from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.maths import cast_to, pow, sqr, sqrt
from tinygraph.tensor.nnet.numbers import number
from tinygraph.tensor.nnet.windows import per_axis
from tinygraph.tensor.reduce import mean as mean_over
from tinygraph.tensor.reduce import reduced_axes
from tinygraph.tensor.shape import moveaxis, shape_tuple


def layer_normalization(x: Any, gamma: Any = None, beta: Any = None, axes: Any = -1, epsilon: Any = 1e-5) -> Any:
    """``(x - mean) / sqrt(var + epsilon) * gamma + beta``, statistics over ``axes`` of each example.

    Shapes: (...) -> the same; ``gamma`` and ``beta`` broadcast. Source: J. Ba, J. Kiros, G. Hinton, 2016.
    """
    x = as_tensor_variable(x)
    over = reduced_axes(axes, x.type.ndim)
    centred = x - mean_over(x, axis=over, keepdims=True)
    out = centred / sqrt(mean_over(sqr(centred), axis=over, keepdims=True) + number(epsilon, x))
    out = out if gamma is None else out * gamma
    return out if beta is None else out + beta


def local_response_normalization(x: Any, alpha: Any = 1e-4, k: Any = 2, beta: Any = 0.75, n: int = 5) -> Any:
    """``x / (k + alpha * s) ** beta``, where ``s`` sums the squares of ``n`` neighbouring channels.

    Shapes: (batch, channels, ...) -> the same; ``n`` is odd, and there are zeros beyond the first and last channel.
    Source: A. Krizhevsky, I. Sutskever, G. Hinton, 2012, section 3.3.
    """
    from tinygraph.tensor.signal.averaging import SumPool

    x = as_tensor_variable(x)
    (n,) = per_axis(n, 1, "local_response_normalization: n")
    if n % 2 == 0:
        raise InvalidValue(f"local_response_normalization: n must be odd, got {n}")
    if x.type.ndim < 2:
        raise InvalidValue(f"local_response_normalization: expected (batch, channels, ...), got {x} of type {x.type}")
    squares = moveaxis(sqr(x), 1, -1)
    sums = moveaxis(SumPool((n,), (1,), (n // 2,), True)(squares), -1, 1)
    return x / pow(sums * number(alpha, x) + number(k, x), number(beta, x))


def dropout(x: Any, p: Any = 0.5, srng: Any = None, rescale: bool = True, shared_axes: tuple[int, ...] = ()) -> Any:
    """``x`` with each element set to 0 with probability ``p``, the others divided by ``1 - p`` if ``rescale``.

    ``srng``: a random stream (by default a new one, seeded by the configuration); ``shared_axes``: dimensions along
    which elements live or die together. Source: N. Srivastava and others, 2014.
    """
    x = as_tensor_variable(x)
    if isinstance(p, (int, float)):
        if not 0 <= p < 1:
            raise InvalidValue(f"dropout: p must lie in 0 <= p < 1, got {p}")
        if p == 0:
            return x
    if srng is None:
        from tinygraph.random.streams import RandomStreams

        srng = RandomStreams()
    together = reduced_axes(shared_axes, x.type.ndim) if shared_axes else ()
    size = tuple(1 if i in together else d for i, d in enumerate(shape_tuple(x)))
    keep = 1 - number(p, x)
    mask = cast_to(srng.binomial(size=size, n=1, p=keep), x.type.dtype)
    return x * mask / cast_to(keep, x.type.dtype) if rescale else x * mask


layer_norm = layer_normalization
local_response_normalisation = local_response_normalization
