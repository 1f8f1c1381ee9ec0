"""The three convolution kernels against sums over filter taps in NumPy, in float64."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import pytest
from on_emulator import c_type, ceil_div, from_bf16, needs_emulator, out, run, to_bf16

pytestmark = needs_emulator


@dataclass(frozen=True)
class Geometry:
    """The kernels' geometry arguments after the batch, in order (kernels/convolution.cuh)."""

    channels: int
    height: int
    width: int
    filters: int
    rows: int
    columns: int
    out_height: int
    out_width: int
    groups: int = 1
    stride_h: int = 1
    stride_w: int = 1
    pad_h: int = 0
    pad_w: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    flip: int = 0


def geometry(channels, size, filters, taps, groups=1, stride=(1, 1), pad=(0, 0), dilation=(1, 1), flip=0):
    """Derive the output size; padding is the same on both sides."""
    extent = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(size, pad, dilation, taps, stride)
    ]
    return Geometry(channels, *size, filters, *taps, *extent, groups, *stride, *pad, *dilation, flip)


CASES = {
    "lenet": (2, geometry(1, (12, 11), 5, (5, 5), flip=1)),
    "one_by_one": (3, geometry(7, (5, 3), 9, (1, 1))),
    "same": (2, geometry(3, (7, 6), 4, (3, 3), pad=(1, 1))),
    "full": (1, geometry(2, (4, 5), 3, (3, 2), pad=(2, 1), flip=1)),
    "strided": (2, geometry(3, (9, 10), 4, (3, 2), stride=(2, 3))),
    "dilated": (2, geometry(2, (11, 9), 3, (3, 3), dilation=(2, 3), pad=(2, 1))),
    "grouped": (2, geometry(6, (6, 7), 4, (3, 3), groups=2, pad=(1, 0), stride=(1, 2), flip=1)),
    "depthwise": (1, geometry(5, (8, 5), 10, (3, 3), groups=5, dilation=(2, 1))),
    "many_channels": (1, geometry(37, (6, 6), 70, (3, 3), pad=(1, 1))),
    "row": (2, geometry(3, (1, 17), 2, (1, 4), stride=(1, 2), pad=(0, 3))),
    "no_images": (0, geometry(2, (5, 5), 3, (2, 2))),
}


def patches(x, g):
    """Yield (r, s, what tap (r, s) sees of x): (batch, channels, out_height, out_width), zero in the padding."""
    below = (g.out_height - 1) * g.stride_h + (g.rows - 1) * g.dilation_h + 1
    right = (g.out_width - 1) * g.stride_w + (g.columns - 1) * g.dilation_w + 1
    padded = np.zeros((*x.shape[:2], max(below, g.height + g.pad_h), max(right, g.width + g.pad_w)))
    padded[:, :, g.pad_h : g.pad_h + g.height, g.pad_w : g.pad_w + g.width] = x
    for r in range(g.rows):
        for s in range(g.columns):
            i, j = r * g.dilation_h, s * g.dilation_w
            rows = slice(i, i + (g.out_height - 1) * g.stride_h + 1, g.stride_h)
            yield r, s, padded[:, :, rows, j : j + (g.out_width - 1) * g.stride_w + 1 : g.stride_w]


def mirrored(w, g):
    return w[:, :, ::-1, ::-1] if g.flip else w


def forward(x, w, g):
    w, split = mirrored(w, g), lambda a, axis: np.split(a, g.groups, axis)
    y = np.zeros((x.shape[0], g.filters, g.out_height, g.out_width))
    for r, s, seen in patches(x.astype("float64"), g):
        pieces = zip(split(seen, 1), split(w[:, :, r, s], 0))
        y += np.concatenate([np.einsum("ncij,fc->nfij", a, b) for a, b in pieces], 1)
    return y


def backward_weights(x, dy, g):
    dw = np.zeros((g.filters, g.channels // g.groups, g.rows, g.columns))
    for r, s, seen in patches(x.astype("float64"), g):
        pieces = zip(np.split(seen, g.groups, 1), np.split(dy, g.groups, 1))
        dw[:, :, r, s] = np.concatenate([np.einsum("ncij,nfij->fc", a, b) for a, b in pieces], 0)
    return mirrored(dw, g)


def backward_input(dy, w, g):
    """The transpose of `forward`: each output pixel is spread over the input pixels it was made from."""
    w = mirrored(w.astype("float64"), g)
    dx = np.zeros((dy.shape[0], g.channels, g.height, g.width))
    for i, j, r, s in np.ndindex(g.out_height, g.out_width, g.rows, g.columns):
        h = i * g.stride_h + r * g.dilation_h - g.pad_h
        v = j * g.stride_w + s * g.dilation_w - g.pad_w
        if 0 <= h < g.height and 0 <= v < g.width:
            pieces = zip(np.split(dy[:, :, i, j], g.groups, 1), np.split(w[:, :, r, s], g.groups, 0))
            dx[:, :, h, v] += np.concatenate([a @ b for a, b in pieces], 1)
    return dx


def arrays(batch, g, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, g.channels, g.height, g.width)).astype("float32")
    w = rng.standard_normal((g.filters, g.channels // g.groups, g.rows, g.columns)).astype("float32")
    dy = rng.standard_normal((batch, g.filters, g.out_height, g.out_width)).astype("float32")
    return x, w, dy


def tiles(m, n, planes, tile=(64, 64)):
    """Return the launch grid, of at least one block: CUDA refuses an empty one."""
    return max(1, ceil_div(m, tile[0])), ceil_div(n, tile[1]), planes


def run_forward(x, w, bias, g, macros=None, tile=(64, 64)):
    y = out((x.shape[0], g.filters, g.out_height, g.out_width), x.dtype)
    grid = tiles(x.shape[0] * g.out_height * g.out_width, g.filters // g.groups, g.groups, tile)
    return run(
        "conv_forward.cu", "conv_forward", grid, 256, (x, w, bias, y, x.shape[0], *astuple(g)), macros
    )[0]


def run_backward_input(dy, w, g, macros=None):
    dx = out((dy.shape[0], g.channels, g.height, g.width), dy.dtype)
    grid = tiles(dy.shape[0] * g.height * g.width, g.channels // g.groups, g.groups)
    return run(
        "conv_backward_input.cu",
        "conv_backward_input",
        grid,
        256,
        (dy, w, dx, dy.shape[0], *astuple(g)),
        macros,
    )[0]


def run_backward_weights(x, dy, g, splits, macros=None):
    shape = (g.filters, g.channels // g.groups, g.rows, g.columns)
    accumulator = np.float64 if x.dtype == np.float64 else np.float32
    grid = tiles(g.filters // g.groups, shape[1] * shape[2] * shape[3], g.groups * splits)
    args = (x, dy, out((splits, *shape), accumulator), splits, x.shape[0], *astuple(g))
    partial = run("conv_backward_weights.cu", "conv_backward_weights", grid, 256, args, macros)[0]
    dw = out(shape, x.dtype)
    return run(
        "conv_backward_weights.cu",
        "conv_add_partials",
        2,
        128,
        (partial, dw, np.int64(dw.size), splits),
        macros,
    )[0]


@pytest.mark.parametrize("case", CASES)
def test_forward(case):
    batch, g = CASES[case]
    x, w, _ = arrays(batch, g)
    bias = np.linspace(-1, 1, g.filters, dtype="float32")
    expected = forward(x, w, g) + bias[:, None, None]
    np.testing.assert_allclose(run_forward(x, w, bias, g), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_backward_input(case):
    batch, g = CASES[case]
    _, w, dy = arrays(batch, g)
    np.testing.assert_allclose(run_backward_input(dy, w, g), backward_input(dy, w, g), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_backward_weights(case, splits):
    batch, g = CASES[case]
    x, _, dy = arrays(batch, g)
    np.testing.assert_allclose(
        run_backward_weights(x, dy, g, splits), backward_weights(x, dy, g), rtol=1e-4, atol=1e-4
    )


def test_constant_geometry_replaces_the_arguments():
    batch, g = CASES["grouped"]
    x, w, dy = arrays(batch, g)
    macros = {"TG_CONV": "{" + ", ".join(map(str, astuple(g))) + "}", "TG_INDEX": "int"}
    np.testing.assert_allclose(run_forward(x, w, None, g, macros), forward(x, w, g), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        run_backward_input(dy, w, g, macros), backward_input(dy, w, g), rtol=1e-4, atol=1e-4
    )
    found = run_backward_weights(x, dy, g, 2, macros)
    np.testing.assert_allclose(found, backward_weights(x, dy, g), rtol=1e-4, atol=1e-4)


def test_double_precision():
    batch, g = CASES["dilated"]
    x, w, dy = (a.astype("float64") for a in arrays(batch, g))
    macros = {"TG_T": "double"}
    np.testing.assert_allclose(run_forward(x, w, None, g, macros), forward(x, w, g), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        run_backward_weights(x, dy, g, 2, macros), backward_weights(x, dy, g), rtol=1e-12, atol=1e-12
    )


TILES = [
    ((m, n), mma)
    for m in (16, 32, 64, 128)
    for n in (16, 32, 128)
    for mma in (0, 1)
    if not (mma and 16 in (m, n))
]


@pytest.mark.parametrize("tile, mma", TILES[::2], ids=str)
def test_other_tiles(tile, mma):
    """Eight warps of tensor cores need 32 at least in both directions."""
    g = geometry(3, (13, 12), 70, (3, 3), pad=(1, 1))
    x, w, _ = arrays(2, g)
    found = run_forward(x, w, None, g, {"TILE_M": tile[0], "TILE_N": tile[1], "TG_MMA": mma}, tile)
    tolerance = 5e-2 if mma else 1e-4
    np.testing.assert_allclose(found, forward(x, w, g), rtol=tolerance, atol=tolerance)


def test_epilogue_is_applied_after_the_bias():
    batch, g = CASES["same"]
    x, w, _ = arrays(batch, g)
    bias = np.linspace(-1, 1, g.filters, dtype="float32")
    found = run_forward(x, w, bias, g, {"TG_EPILOGUE(value, filter)": "tanhf(value)"})
    np.testing.assert_allclose(found, np.tanh(forward(x, w, g) + bias[:, None, None]), rtol=1e-4, atol=1e-5)


# Relative spacing of the operands' format; a sum of k products errs by at most about this times the sum of magnitudes.
UNIT = {"1": 2.0**-11, "2": 2.0**-11, "3": 2.0**-8}


@pytest.mark.parametrize("kind", ["1", "2", "3"], ids=["tf32", "fp16", "bf16"])
@pytest.mark.parametrize("case", ["grouped", "many_channels", "dilated"])
def test_tensor_cores_round_operands_only(case, kind):
    """float32 in memory; each operand rounded once, sums in float32."""
    batch, g = CASES[case]
    x, w, dy = arrays(batch, g)
    macros = {"TG_MMA": kind}
    for found, expected, scale in (
        (run_forward(x, w, None, g, macros), forward(x, w, g), forward(abs(x), abs(w), g)),
        (run_backward_input(dy, w, g, macros), backward_input(dy, w, g), backward_input(abs(dy), abs(w), g)),
        (
            run_backward_weights(x, dy, g, 2, macros),
            backward_weights(x, dy, g),
            backward_weights(abs(x), abs(dy), g),
        ),
    ):
        assert np.all(abs(found - expected) <= 2.5 * UNIT[kind] * scale + 1e-5)
        assert abs(found - expected).max() > 1e-6, "rounding must show: these were not tensor-core products"


@pytest.mark.parametrize("mma", [0, 2], ids=["cuda_cores", "tensor_cores"])
def test_half_in_memory(mma):
    batch, g = CASES["same"]
    x, w, _ = (a.astype("float16") for a in arrays(batch, g))
    found = run_forward(x, w, None, g, {"TG_T": c_type("float16"), "TG_MMA": mma})
    np.testing.assert_allclose(found, forward(x, w, g), rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("mma", [0, 3], ids=["cuda_cores", "tensor_cores"])
def test_bfloat16_in_memory(mma):
    batch, g = CASES["same"]
    x, w, _ = (to_bf16(a) for a in arrays(batch, g))
    found = run_forward(x, w, None, g, {"TG_T": "bf16_t", "TG_MMA": mma})
    np.testing.assert_allclose(from_bf16(found), forward(from_bf16(x), from_bf16(w), g), rtol=1e-2, atol=5e-2)
