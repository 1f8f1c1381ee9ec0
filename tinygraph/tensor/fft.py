"""Fourier transforms of real data. Complex numbers are a last dimension of size 2: real and imaginary part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue
from tinygraph.graph.dims import Dim, Operand, is_int
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.variable import Variable
from tinygraph.tensor.linalg_op import MatrixOp, matrix

__all__ = ["IRFFTOp", "RFFTOp", "irfft", "rfft"]


def _as_pairs(z: np.ndarray, dtype: Any) -> np.ndarray:
    return np.stack([z.real, z.imag], axis=-1).astype(dtype)


def _as_complex(pairs: np.ndarray) -> np.ndarray:
    return pairs[..., 0] + 1j * pairs[..., 1]


class RFFTOp(MatrixOp):
    """Transform of real data over all dimensions but the first: (b, m..., n) -> (b, m..., n // 2 + 1, 2)."""

    __props__ = ()
    name = "rfft"

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(x.ndim >= 2 and x.is_float, "real data with a batch dimension in front", x)
        return [(x.dtype, [*x.shape[:-1], x.shape[-1] // 2 + 1, 2])]

    def forward(self, x: Any) -> Any:
        return _as_pairs(np.fft.rfftn(x, axes=tuple(range(1, x.ndim))), x.dtype)

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        """The transpose: the inverse transform without its scale, with half weight on what rfft leaves out once."""
        from tinygraph.tensor.shape import shape_i

        (x,), (g,) = inputs, grads
        n = shape_i(x, x.type.ndim - 1)
        return [_unscaled_inverse(_weighted(g, n, 0.5), n)]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0])]


class IRFFTOp(Op):
    """Inverse of RFFTOp without its scale: (b, m..., k, 2), integer scalar n -> (b, m..., n), k = n // 2 + 1."""

    __props__ = ()
    shape_inputs = (1,)

    def infer(self, z: Operand, n: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(z.ndim >= 3 and z.is_float and n.ndim == 0 and n.is_int, "pairs of numbers and a size", z, n)
        self.expect(not is_int(z.shape[-1]) or z.shape[-1] == 2, "a last dimension of size 2", z)
        return [(z.dtype, [*z.shape[:-2], n.scalar()])]

    def forward(self, z: Any, n: Any) -> Any:
        sizes = (*z.shape[1:-2], int(n))
        axes = tuple(range(1, z.ndim - 1))
        return np.fft.irfftn(_as_complex(z), sizes, axes=axes, norm="forward").astype(z.dtype)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [_weighted(RFFTOp()(grads[0]), inputs[1], 2.0), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [self(tangents[0], inputs[1])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        out = node.outputs[0]
        return b.routine("irfft", inputs, [(b.shape(out), out.type.dtype)], _irfft)


def _irfft(z: Any, n: Any, out: Any) -> None:
    np.copyto(out, np.fft.irfftn(_as_complex(z), out.shape[1:], axes=tuple(range(1, out.ndim)), norm="forward"))


def _unscaled_inverse(z: Any, n: Any) -> Any:
    return IRFFTOp()(z, n)


def _weighted(z: Any, n: Any, inner: float) -> Any:
    """``z`` with weight ``inner`` on the frequencies that stand for themselves and their mirror image.

    Those are all along the last transformed dimension but the first, and for even n the last.
    """
    from tinygraph.tensor.basic import as_tensor_variable, constant
    from tinygraph.tensor.creation import arange
    from tinygraph.tensor.maths import eq, or_, switch
    from tinygraph.tensor.shape import shape_i, shape_padright

    k = arange(shape_i(z, z.type.ndim - 2))
    once = or_(eq(k, 0), eq(2 * k, as_tensor_variable(n)))
    weight = switch(once, constant(1.0, dtype=z.type.dtype), constant(inner, dtype=z.type.dtype))
    return z * shape_padright(weight)


def _scale(norm: str | None, count: Any, inverse: bool) -> Any:
    """What a transform of ``count`` points is multiplied by."""
    if norm not in (None, "ortho", "no_norm"):
        raise InvalidValue(f"fft: norm must be None, 'ortho' or 'no_norm', got {norm!r}")
    if norm == "ortho":
        return count**-0.5
    return 1 / count if inverse and norm is None else None


def _count(x: Any) -> Any:
    """The number of points of a transform: the product of all sizes but the first."""
    from tinygraph.tensor.maths import cast_to
    from tinygraph.tensor.shape import shape_tuple

    total: Any = 1
    for n in shape_tuple(x)[1:]:
        total = n * total
    return float(total) if isinstance(total, int) else cast_to(total, x.type.dtype)


def rfft(inp: Any, norm: str | None = None) -> Any:
    """The Fourier transform of real data over all dimensions but the first.

    Shapes: (b, m..., n) -> (b, m..., n // 2 + 1, 2). ``norm``: None (no scale), 'ortho' (over the root of the number of
    points, so that the inverse is the transpose), 'no_norm' (no scale either way).
    """
    x = matrix(inp)
    found = RFFTOp()(x)
    scale = _scale(norm, _count(x), inverse=False)
    return found if scale is None else found * scale


def irfft(inp: Any, norm: str | None = None, is_odd: bool = False) -> Any:
    """The real data whose transform ``inp`` is; ``is_odd``: its last size is odd.

    Shapes: (b, m..., k, 2) -> (b, m..., n), n = 2 (k - 1), or 2 (k - 1) + 1. ``norm`` as in rfft; None divides by the
    number of points.
    """
    from tinygraph.tensor.shape import shape_tuple

    z = matrix(inp)
    if z.type.ndim < 3:
        raise InvalidValue(f"irfft: at least 3 dimensions are needed, got {z} of type {z.type}")
    n = (shape_tuple(z)[-2] - 1) * 2 + int(bool(is_odd))
    found = _unscaled_inverse(z, np.int64(n) if isinstance(n, int) else n)
    scale = _scale(norm, _count(found), inverse=True)
    return found if scale is None else found * scale
