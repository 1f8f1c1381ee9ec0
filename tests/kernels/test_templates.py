"""The templates that generated loop nests are printed into: elementwise, packed, reductions, rows."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import RUNS, DeviceBuffer, build, launch, needs_emulator, out

from tinygraph.targets.cuda import kernels

pytestmark = needs_emulator


def elementwise(index="i64"):
    """y = x + row for x of shape (m, n), read through a transposed view."""
    return kernels.render(
        "elementwise.cuh", name="add_row", index=index, definitions="",
        parameters="const float* x, const float* row, float* y, int m, int n",
        body="const int r = (int)(i / n), c = (int)(i % n);\ny[i] = x[c * m + r] + row[c];",
    )  # fmt: skip


def packed(width):
    return kernels.render(
        "elementwise_packed.cuh", name="scale", width=width, definitions="",
        parameters="const float* __restrict__ x, float* __restrict__ y, float a",
        aligned=f"is_aligned<{width}>(x) && is_aligned<{width}>(y)",
        loads=f"const Pack<float, {width}> xs = load_pack<{width}>(x + i);\nPack<float, {width}> ys;",
        lane="ys.lane[lane] = a * xs.lane[lane];", stores="store_pack(y + i, ys);", body="y[i] = a * x[i];",
    )  # fmt: skip


def squares(name="total", finish="y[k] = 0.5f * value + bias[k];"):
    """Sum of squares of x[kept][reduced], or of its transpose when by_column."""
    return kernels.render(
        "reduce.cuh", name=name, definitions="", value_type="float", identity="0.0f", combine="a + b",
        parameters="const float* x, const float* bias, float* y, i64 step_k, i64 step_r",
        element="const float element = x[k * step_k + r * step_r];\nvalue = element * element;", finish=finish,
    )  # fmt: skip


@pytest.mark.parametrize("index", ["i64", "int"])
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (100, 13), (0, 5), (5, 0)])
def test_elementwise_with_strides_and_a_broadcast(shape, index):
    x = np.random.default_rng(0).random(shape).astype("float32")
    row = np.arange(shape[1], dtype="float32")
    args = (np.int64(x.size), x.T.copy(), row, out(shape), *shape)
    (y,) = launch(elementwise(index), "add_row", 2, 128, args)
    np.testing.assert_array_equal(y, x + row)


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 64, 1021])
def test_packs_and_the_rest(n, width):
    x = np.random.default_rng(0).random(n).astype("float32")
    (y,) = launch(packed(width), "scale", 2, 32, (np.int64(n), x, out(n), np.float32(3)))
    np.testing.assert_array_equal(y, x * np.float32(3))


@pytest.mark.parametrize("offset_x, offset_y", [(0, 0), (1, 0), (0, 1), (3, 3), (4, 8)])
def test_views_may_start_anywhere(offset_x, offset_y):
    n = 101
    x = np.random.default_rng(0).random(n).astype("float32")
    for seed, _ in RUNS:
        whole_x, whole_y = DeviceBuffer(4 * (n + offset_x), 4), DeviceBuffer(4 * (n + offset_y), 4)
        whole_x.put(np.concatenate([np.zeros(offset_x, "float32"), x]))
        args = (np.int64(n), whole_x.ptr + 4 * offset_x, whole_y.ptr + 4 * offset_y, np.float32(2))
        build(packed(4), seed, None).function("scale")((3,), (32,), args)
        np.testing.assert_array_equal(whole_y.get(n + offset_y, "float32")[offset_y:], 2 * x)


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("kept, reduced", [(5, 300), (70, 11), (1, 1), (3, 0), (0, 3)])
def test_reduction_with_an_epilogue(kept, reduced, layout, splits):
    rng = np.random.default_rng(0)
    x, bias = rng.random((kept, reduced)).astype("float32"), rng.random(kept).astype("float32")
    stored, steps = (x, (reduced, 1)) if layout == "rows" else (x.T.copy(), (1, kept))
    rest = (stored, bias, out(kept), np.int64(steps[0]), np.int64(steps[1]))
    partial = None if splits == 1 else out((splits, kept))
    block = (64, 2) if layout == "rows" else (32, 8)
    found = launch(
        squares(), f"total_{layout}", (2, splits), block, (np.int64(kept), np.int64(reduced), partial, *rest)
    )
    y = found[-1]
    if splits > 1:
        (y,) = launch(squares(), "total_finish", 1, 64, (np.int64(kept), splits, found[0], *rest))
    np.testing.assert_allclose(y, 0.5 * (x.astype("float64") ** 2).sum(1) + bias, rtol=1e-5)


def test_rows_computes_softmax_as_one_nest():
    source = kernels.render(
        "rows.cuh", name="softmax_nest", threads=128, scratch_type="float", definitions="",
        parameters="const float* x, float* y, i64 size",
        body="""
float largest = Limits<float>::lowest();
for (i64 r = threadIdx.x; inside && r < size; r += blockDim.x) largest = Maximum()(largest, x[k * size + r]);
largest = row_reduce(largest, Maximum(), scratch);
float sum = 0.0f;
for (i64 r = threadIdx.x; inside && r < size; r += blockDim.x) sum += expf(x[k * size + r] - largest);
sum = row_reduce(sum, Sum(), scratch);
for (i64 r = threadIdx.x; inside && r < size; r += blockDim.x) y[k * size + r] = expf(x[k * size + r] - largest) / sum;
""",
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((7, 100)).astype("float32")
    (y,) = launch(source, "softmax_nest", 2, (64, 2), (np.int64(7), x, out(x.shape), np.int64(100)))
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)


def test_several_templates_share_one_source():
    parts = [kernels.render("elementwise.cuh", expanded=False, name=f"fill_{i}", index="i64",
                            definitions="", parameters="float* y",
                            body=f"y[i] = {i}.0f;") for i in range(3)]  # fmt: skip
    source = kernels.expand("\n".join(parts))
    assert source.count("struct Words") == 1
    for i in range(3):
        (y,) = launch(source, f"fill_{i}", 1, 32, (np.int64(5), out(5)))
        np.testing.assert_array_equal(y, [i] * 5)


GENERATED = {
    "elementwise": elementwise(),
    "packed": packed(4),
    "reduce": squares(),
}
