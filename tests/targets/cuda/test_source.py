"""What is printed: golden kernels, one form of work each, and text that does not depend on sizes."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode


def kernel_of(f):
    """The text of the only kernel, without its name's digits and the list of steps."""
    text = f.source()
    lines = [x for x in text.split("\n") if not x.startswith(("//", "#include")) and x.strip()]
    name = next(x for x in text.split("\n") if "<<<" in x).split("<<<")[0].split()[-1]
    return "\n".join(lines).replace(name, name.split("_")[0])


def compiled(inputs, outputs, *args):
    f = tinygraph.function(inputs, outputs, mode=Mode(target="cuda"))
    f(*args)
    return f


def ones(*shape):
    return np.ones(shape, "float32")


def test_fused_elementwise_work_is_one_kernel_with_two_stores(device):
    x, b = T.fmatrix("x"), T.fvector("b")
    y = T.tanh(x + b)
    assert kernel_of(compiled([x, b], [y, y * y], ones(4, 3), ones(3))) == """\
extern "C" __global__ void __launch_bounds__(256) points(i64 size, int n0, const float* __restrict__ x1, const float* __restrict__ x2, float* x3, float* x4) {
    for (i64 flat = grid_thread(); flat < size; flat += grid_threads()) {
        const int i = (int)flat;
        const int i1 = (int)i % n0;
        const int i0 = (int)i / n0;
        const float t0 = op_tanh((x1[i0 * n0 + i1] + x2[i1]));
        x3[i0 * n0 + i1] = t0;
        const float t1 = (t0 * t0);
        x4[i0 * n0 + i1] = t1;
    }
}"""  # fmt: skip


def test_contiguous_operands_move_sixteen_bytes_at_a_time(device):
    x, y = T.ftensor3("x"), T.ftensor3("y")
    assert kernel_of(compiled([x, y], x - 2 * y, ones(2, 3, 4), ones(2, 3, 4))) == """\
extern "C" __global__ void __launch_bounds__(256) packs(i64 size, const float* __restrict__ x0, const float* __restrict__ x1, float* x2) {
    const i64 packs = (is_aligned<4>(x0) && is_aligned<4>(x1) && is_aligned<4>(x2)) ? size / 4 : 0;
    for (i64 pack = grid_thread(); pack < packs; pack += grid_threads()) {
        const i64 i = pack * 4;
        const Pack<float, 4> in0 = load_pack<4>(x0 + i);
        const Pack<float, 4> in1 = load_pack<4>(x1 + i);
        Pack<float, 4> out0;
#pragma unroll
        for (int lane = 0; lane < 4; ++lane) {
            const float t0 = (in0.lane[lane] - (2.0f * in1.lane[lane]));
            out0.lane[lane] = t0;
        }
        store_pack(x2 + i, out0);
    }
    for (i64 i = packs * 4 + grid_thread(); i < size; i += grid_threads()) {
        const float t0 = (x0[i] - (2.0f * x1[i]));
        x2[i] = t0;
    }
}"""  # fmt: skip


def test_a_view_by_a_host_integer_reads_it_from_memory(device):
    x, i = T.fvector("x"), T.lscalar("i")
    text = kernel_of(compiled([x, i], T.exp(x[i : i + 5]), ones(9), 2))
    assert "const i64* __restrict__ call" in text and "= call[0];" in text
    assert "const float* __restrict__ x0 = y0 + p" in text


def test_softmax_is_one_kernel_that_keeps_its_totals_in_registers(device):
    x = T.fmatrix("x")
    text = kernel_of(compiled([x], T.nnet.softmax(x), ones(8, 40)))
    assert text.count("__global__") == 1 and text.startswith('extern "C" __global__ void __launch_bounds__(64, 1) rows(i64 count')
    assert text.count("row_reduce") == 2
    assert "t0_sum = row_reduce(t0_sum, Maximum(), (float*)scratch);\n        const float t0 = t0_sum;" in text
    assert "op_exp((x0[k0 * n1 + r1_0] - t0))" in text


def test_pooling_is_a_loop_in_each_thread(device):
    from tinygraph.tensor.signal.pool import pool_2d

    x = T.ftensor4("x")
    text = kernel_of(compiled([x], pool_2d(x, (2, 2), ignore_border=True), ones(1, 2, 6, 4)))
    assert "for (int t0_r0 = 0; t0_r0 < 2; ++t0_r0) {" in text and "op_maximum<float>(t0_sum," in text


def test_a_product_is_left_to_the_library_and_a_convolution_is_not(device):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    text = compiled([x, w], T.nnet.conv2d(x, w), ones(2, 1, 6, 6), ones(3, 1, 3, 3)).source()
    assert '#include "tile.cuh"' in text and "implicit_gemm<float>(left, right, store" in text
    a = T.fmatrix("a")
    text = compiled([a], T.dot(a, a), ones(3, 3)).source()
    assert "gemm float32: 1 x (3 x 3 = 3 x 3 times 3 x 3)" in text and "__global__" not in text


def test_other_sizes_compile_nothing(device):
    x, b = T.fmatrix("x"), T.fvector("b")
    f = compiled([x, b], [T.exp(x + b).sum(axis=1), x * b], ones(40, 50), ones(50))
    before = len(device.sources)
    f(ones(60, 45), ones(45))
    assert len(device.sources) == before


def test_a_dimension_beyond_31_bits_is_indexed_with_64():
    from tinygraph.program.expr import Access, load
    from tinygraph.program.instructions import Buffer, Nest
    from tinygraph.targets.cuda.writer import index_type

    def copy(size):
        a, b = Buffer(0, "int8", size, "input"), Buffer(1, "int8", size, "output")
        return Nest((size,), "p", load(Access(a, 0, (1,)), "int8"), Access(b, 0, (1,)))

    assert [index_type([copy(n)]) for n in (2**31 - 1, 2**31)] == ["int", "i64"]


@pytest.mark.parametrize("value, dtype, text", [
    (1.5, "float32", "1.5f"), (-0.0, "float64", "(-0.0)"), (float("nan"), "float32", "Limits<float>::nan()"),
    (float("-inf"), "float64", "Limits<double>::lowest()"), (-3, "int32", "(-3)"), (True, "bool", "true"),
    (-(2**63), "int64", "(-9223372036854775807ll - 1)"), (7, "uint8", "(unsigned char)7"), (1, "uint64", "1ull"),
])  # fmt: skip
def test_literals(value, dtype, text):
    from tinygraph.targets.cuda.scalars import literal

    assert literal(value, dtype) == text
