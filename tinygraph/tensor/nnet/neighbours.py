"""Images as rows of patches, and back: ``images2neibs`` and ``neibs2images``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.graph.dims import Dim, Operand, is_int
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.elemwise import zero_gradient
from tinygraph.tensor.join import concatenate
from tinygraph.tensor.nnet.windows import per_axis
from tinygraph.tensor.shape import dimshuffle, reshape
from tinygraph.tensor.signal.windowed import Windowed, spatial_sizes


class Unfold(Windowed):
    """All windows of an image: (..., spatial) -> (..., positions, window sizes). ``exact``: they must tile it."""

    __props__ = ("ws", "stride", "pad", "ignore_border", "exact")

    def __init__(self, ws: Sequence[int], stride: Sequence[int], pad: Sequence[int], ignore_border: bool = True,
                 exact: bool = False):  # fmt: skip
        super().__init__(ws, stride, pad, ignore_border)
        self.exact = exact

    def sibling(self, cls: Any) -> Any:
        return cls(self.ws, self.stride, self.pad, self.ignore_border, self.exact)

    def infer(self, x: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        shape = self.pooled_shape(x)
        if self.exact:
            for n, w, s in zip(x.shape[x.ndim - self.rank :], self.ws, self.stride, strict=True):
                if is_int(n) and (n < w or (n - w) % s):
                    what = f"sizes that windows of {list(self.ws)} at steps of {list(self.stride)} cover exactly"
                    self.expect(False, what, x, error=ShapeMismatch)
        return [(x.dtype, [*shape, *self.ws])]

    def forward(self, x: Any) -> Any:
        return self.windows(x, 0).copy()

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        (x,) = inputs
        if x.type.dtype[0] != "f":
            return [zero_gradient(x)]
        return [self.sibling(Fold)(grads[0], spatial_sizes(x, self.rank))]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        (x,) = inputs
        pooled = b.shape(node.outputs[0])[: x.ndim]
        x = self.padded(b, x, pooled[x.ndim - self.rank :], 0)
        out, window, meet = self.axes(b, pooled)
        return [b.store(x[tuple(meet)], into=(*out, *window))]


class Fold(Unfold):
    """Windows added up at their places in an image: the transpose of ``Unfold``.

    Inputs: (..., positions, window sizes), the image's spatial sizes -> (..., spatial).
    """

    shape_inputs = (1,)

    def infer(self, g: Operand, sizes: Operand) -> list[tuple[str, Sequence[Dim]]]:  # type: ignore[override]
        pooled = Operand(g.dtype, tuple(g.shape[: g.ndim - self.rank]), None, g.var)
        return [(g.dtype, self.full_shape(pooled, sizes))]

    def forward(self, g: Any, sizes: Any) -> Any:
        lead = g.ndim - 2 * self.rank
        return self.unpooled((*g.shape[:lead], *(int(n) for n in sizes)), g)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [self.sibling(Unfold)(grads[0]), None]

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None if tangents[0] is None else self(tangents[0], inputs[1])]

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        g = inputs[0]

        def value(out: Sequence[Any], window: Sequence[Any]) -> Expr:
            return g[(*out, *window)]

        return [self.spread(b, b.shape(node.outputs[0]), g.shape[: g.ndim - self.rank], g.dtype, value)]


_MODES = ("valid", "ignore_borders", "wrap_centered", "half", "full")


def images2neibs(ten4: Any, neib_shape: Any, neib_step: Any = None, mode: str = "valid") -> Any:
    """Patches of each image as rows.

    Shapes: (batch, channels, rows, columns) -> (batch * channels * patches, patch rows * patch columns), patches in
    row-major order.

    Parameters
    ----------
    neib_shape, neib_step : patch size and steps between patches, two integers each; by default patches do not overlap
    mode : "valid" (patches must cover the image exactly), "ignore_borders", "half" or "full" (patches over an image
        with zeros around, half a patch or all but one point of it), "wrap_centered" (patches of odd size centred at
        every step, the image wrapping round)

    Raises InvalidValue, ShapeMismatch.
    """
    x = as_tensor_variable(ten4)
    if x.type.ndim != 4:
        raise InvalidValue(f"images2neibs: expected a tensor of 4 dimensions, got {x} of type {x.type}")
    if mode not in _MODES:
        raise InvalidValue(f"images2neibs: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    size = per_axis(neib_shape, 2, "images2neibs: neib_shape")
    step = size if neib_step is None else per_axis(neib_step, 2, "images2neibs: neib_step")
    pad = (0, 0)
    if mode == "half":
        pad = (size[0] // 2, size[1] // 2)
    elif mode == "full":
        pad = (size[0] - 1, size[1] - 1)
    elif mode == "wrap_centered":
        if size[0] % 2 == 0 or size[1] % 2 == 0:
            raise InvalidValue(f"images2neibs: 'wrap_centered' needs patches of odd size, got {size}")
        x = _wrapped(_wrapped(x, 2, size[0] // 2), 3, size[1] // 2)
    patches = Unfold(size, step, pad, True, mode == "valid")(x)
    return reshape(patches, (-1, size[0] * size[1]), ndim=2)


def _wrapped(x: Any, axis: int, n: int) -> Any:
    """``x`` with its last ``n`` entries put before it, and its first ``n`` after it."""
    if n == 0:
        return x
    lead = (slice(None),) * axis
    return concatenate([x[(*lead, slice(-n, None))], x, x[(*lead, slice(None, n))]], axis=axis)


def neibs2images(neibs: Any, neib_shape: Any, original_shape: Any, mode: str = "valid") -> Any:
    """The inverse of ``images2neibs`` for patches that do not overlap; with "ignore_borders" the border is zeros.

    Shapes: (patches, patch size) -> ``original_shape``, four sizes (numbers, scalars, or a vector).
    """
    if mode not in ("valid", "ignore_borders"):
        raise InvalidValue(f"neibs2images: mode must be 'valid' or 'ignore_borders', got {mode!r}")
    rows, columns = per_axis(neib_shape, 2, "neibs2images: neib_shape")
    sizes = [original_shape[i] for i in range(4)]
    grid = (*sizes[:2], sizes[2] // rows, sizes[3] // columns, rows, columns)
    patches = reshape(as_tensor_variable(neibs), grid, ndim=6)
    if mode == "valid":
        return reshape(dimshuffle(patches, (0, 1, 2, 4, 3, 5)), sizes, ndim=4)
    from tinygraph.tensor.join import make_vector

    return Fold((rows, columns), (rows, columns), (0, 0))(patches, make_vector(sizes[2:]))


class Images2Neibs:
    """``images2neibs`` with its mode fixed first: ``Images2Neibs(mode)(ten4, neib_shape, neib_step)``."""

    def __init__(self, mode: str = "valid"):
        self.mode = mode

    def __call__(self, ten4: Any, neib_shape: Any, neib_step: Any = None) -> Any:
        return images2neibs(ten4, neib_shape, neib_step, self.mode)


__all__ = ["Fold", "Images2Neibs", "Unfold", "images2neibs", "neibs2images"]
