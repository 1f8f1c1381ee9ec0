"""Implicit gemm: every kind of product, tile, and share of a sum, on a convolution with gaps, dilation and padding."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import from_bf16, launch, needs_emulator, out, to_bf16

from tinygraph.targets.cuda import kernels

pytestmark = needs_emulator

# x (2, 3, 9, 8), w (5, 3, 3, 2), stride (2, 1), dilation (1, 2), a border of 1: y (2, 5, 5, 8)
SIZES = (2 * 5 * 8, 5, 3 * 3 * 2)


def convolution(type_="float", value="float"):
    """The text of the kernel, as the target would print it for a nest with a border."""
    return kernels.render(
        "contraction.cuh", name="conv", type=type_, value=value,
        left_row_fields="Index i, j;", left_column_fields="Index r, s;", left_k_fastest="false",
        left_row="return {m / 40 * 216, m / 8 % 5 * 2 - 1, m % 8 - 1};",
        left_column="return {k / 6 * 72, k / 2 % 3, k % 2 * 2};",
        left_at="""
const Index i = row.i + column.r, j = row.j + column.s;
if (i < 0 || i >= 9 || j < 0 || j >= 8) return 0;
return x[row.base + column.base + i * 8 + j];""",
        right_row="return {m * 18};", right_column="return {k};", right_k_fastest="true",
        store=f"x[m / 40 * 200 + n * 40 + m % 40] = ({type_})*value;",
        parameters="", store_fields="", store_values="",
        left_shift="0", right_shift="0", out_shift="0",
    )  # fmt: skip


def expected(x, w):
    padded = np.zeros((2, 3, 11, 10))
    padded[:, :, 1:10, 1:9] = x
    y = np.zeros((2, 5, 5, 8))
    for r in range(3):
        for s in range(2):
            patch = padded[:, :, r : r + 9 : 2, 2 * s : 2 * s + 8]
            y += np.einsum("ncij,fc->nfij", patch, w[:, :, r, s])
    return y


def convolve(x, w, macros, splits=1, type_="float", value="float", dtype="float32"):
    source = kernels.defines({"TG_T": type_, **macros}) + convolution(type_, value)
    m, n, k = SIZES
    tile_m, tile_n = macros.get("TILE_M", 64), macros.get("TILE_N", 64)
    grid = (-(-m // tile_m) * -(-n // tile_n), 1, splits)
    shares = out((splits, m, n), "float64" if value == "double" else "float32") if splits > 1 else None
    found = launch(source, "conv", grid, 256, (m, n, k, splits, shares, x, w, out((2, 5, 5, 8), dtype)))
    if splits > 1:
        found = launch(source, "conv_finish", 2, 64, (1, m, n, splits, found[0], out((2, 5, 5, 8), dtype)))
    return found[-1]


def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 3, 9, 8)).astype("float32"), rng.standard_normal((5, 3, 3, 2)).astype("float32")


@pytest.mark.parametrize("tile", [(32, 32), (64, 32), (128, 128)])
@pytest.mark.parametrize("splits", [1, 3])
def test_tiles_and_shares(tile, splits):
    x, w = data()
    y = convolve(x, w, {"TILE_M": tile[0], "TILE_N": tile[1], "TG_INDEX": "int"}, splits)
    np.testing.assert_allclose(y, expected(x, w), rtol=1e-4, atol=1e-4)


def test_double_precision():
    x, w = (a.astype("float64") for a in data())
    y = convolve(x, w, {}, type_="double", value="double", dtype="float64")
    np.testing.assert_allclose(y, expected(x, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tile", [(32, 32), (128, 64)])
def test_tf32_keeps_ten_bits_of_each_factor(tile):
    x, w = data()
    y = convolve(x, w, {"TG_MMA": 1, "TILE_M": tile[0], "TILE_N": tile[1]})

    def rounded(a):
        return ((a.view("uint32") + 0x1000) & ~np.uint32(0x1FFF)).view("float32")

    np.testing.assert_allclose(y, expected(rounded(x), rounded(w)), rtol=1e-5, atol=1e-5)
    assert np.abs(y - expected(x, w)).max() > 1e-5, "the factors were rounded"


@pytest.mark.parametrize("splits", [1, 2])
def test_half_precision_is_summed_in_float(splits):
    x, w = (a.astype("float16") for a in data())
    y = convolve(x, w, {"TG_MMA": 2}, splits, "half_t", "float", "float16")
    np.testing.assert_allclose(y.astype("float64"), expected(x, w), rtol=1e-3, atol=1e-3)


def test_bfloat16():
    x, w = (to_bf16(a) for a in data())
    y = convolve(x, w, {"TG_MMA": 3}, 1, "bf16_t", "float", "uint16")
    np.testing.assert_allclose(from_bf16(y), expected(from_bf16(x), from_bf16(w)), rtol=1e-2, atol=1e-2)
