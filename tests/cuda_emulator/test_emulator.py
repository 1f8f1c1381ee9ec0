"""The emulator runs right programs right, and says what is wrong with wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_emulator import DeviceBuffer, Emulator, EmulatorError, missing_reason

pytestmark = pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason()))

ALL = "0xFFFFFFFFu"


def kernel(body, parameters="float* x, int n", seed=0, align=None, before=""):
    source = f'{before}\nextern "C" __global__ void k({parameters}) {{\n{body}\n}}'
    return Emulator(seed=seed, align=align).compile(source).function("k")


def each_seed():
    return pytest.mark.parametrize("seed", range(4))


@each_seed()
def test_grid_and_block_cover_three_dimensions(seed):
    body = """const unsigned int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    x[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + block * 100 + thread;"""
    x = np.zeros(2 * 3 * 2 * 4 * 3 * 2, "float32")
    kernel(body, seed=seed)((2, 3, 2), (4, 3, 2), (x, 0))
    block, thread = np.divmod(np.arange(x.size), 24)
    np.testing.assert_array_equal(x, 1 + block * 100 + thread)


@each_seed()
def test_shared_memory_and_barriers(seed):
    body = """__shared__ float tile[64];
    extern __shared__ float more[];
    tile[threadIdx.x] = x[threadIdx.x];
    more[63 - threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[63 - threadIdx.x] + more[threadIdx.x];"""
    x = np.arange(64, dtype="float32")
    kernel(body, seed=seed)((1,), (64,), (x, 0), shared_mem=256)
    np.testing.assert_array_equal(x, 2 * np.arange(64)[::-1])


@each_seed()
def test_warp_operations(seed):
    body = f"""const int lane = threadIdx.x % 32;
    x[0 * n + threadIdx.x] = __shfl_sync({ALL}, lane, 5);
    x[1 * n + threadIdx.x] = __shfl_up_sync({ALL}, lane, 3);
    x[2 * n + threadIdx.x] = __shfl_down_sync({ALL}, lane, 3, 8);
    x[3 * n + threadIdx.x] = __shfl_xor_sync({ALL}, (double)lane, 6);
    x[4 * n + threadIdx.x] = __popc(__ballot_sync({ALL}, lane < 7));
    x[5 * n + threadIdx.x] = __any_sync({ALL}, lane == 40) + 2 * __all_sync({ALL}, lane < 40);
    x[6 * n + threadIdx.x] = __syncthreads_count(threadIdx.x < 10);"""
    x = np.zeros((7, 64), "float32")
    kernel(body, seed=seed)((1,), (64,), (x, 64))
    lane = np.arange(64) % 32
    expected = [
        np.full(64, 5), np.where(lane < 3, lane, lane - 3), np.where(lane % 8 + 3 > 7, lane, lane + 3), lane ^ 6,
        np.full(64, 7), np.full(64, 2), np.full(64, 10),
    ]  # fmt: skip
    np.testing.assert_array_equal(x, expected)


def test_a_part_of_a_warp_may_have_left():
    body = "if (threadIdx.x >= 20) return;\nx[threadIdx.x] = __popc(__ballot_sync(0xFFFFFFFFu, 1));\n__syncthreads();"
    x = np.zeros(20, "float32")
    kernel(body)((1,), (40,), (x, 0))
    np.testing.assert_array_equal(x, [20] * 20)


@each_seed()
def test_atomics(seed):
    body = """atomicAdd(x, 1.0f);
    atomicMax((int*)(x + 1), (int)threadIdx.x);
    unsigned int* word = (unsigned int*)(x + 2);
    unsigned int old = *word, seen;
    do { seen = old; old = atomicCAS(word, seen, seen + 2); } while (old != seen);"""
    x = np.zeros(3, "float32")
    kernel(body, seed=seed)((3,), (50,), (x, 0))
    assert x[0] == 150 and x[1:].view("int32").tolist() == [49, 300]


def test_vector_types_and_conversions():
    body = """float4 v = *(const float4*)x;
    v = make_float4(v.w, v.z, v.y, v.x);
    *(float4*)x = v;
    x[4] = __uint_as_float(__float_as_uint(2.0f) + (1u << 23));
    x[5] = __umulhi(0x80000000u, 6u);
    x[6] = tg_half_to_float(tg_float_to_half(1.0f + 1.0f / 2048));
    x[7] = erfinvf(erff(0.7f));"""
    x = np.arange(8, dtype="float32")
    kernel(body, align=16)((1,), (1,), (x, 0))
    np.testing.assert_allclose(x, [3, 2, 1, 0, 4, 3, 1, 0.7], rtol=1e-6)


def test_half_conversion_is_numpys():
    body = "for (int i = 0; i < n; ++i) { h[i] = tg_float_to_half(x[i]); x[i] = tg_half_to_float(h[i]); }"
    rng = np.random.default_rng(0)
    scales = 2.0 ** rng.integers(-30, 20, 4000)
    x = np.concatenate(
        [
            rng.standard_normal(4000) * scales,
            [0, -0.0, np.inf, -np.inf, 65504, 65520, 65519.9, 2**-24, 2**-25],
        ]
    )
    x = x.astype("float32")
    with np.errstate(over="ignore"):
        expected = x.astype("float16")
    h, back = np.zeros(x.size, "uint16"), x.copy()
    kernel(body, "float* x, unsigned short* h, int n")((1,), (1,), (back, h, x.size))
    np.testing.assert_array_equal(h, expected.view("uint16"))
    np.testing.assert_array_equal(back, expected.astype("float32"))


# ---- wrong programs --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("index", ["n", "-1", "n + 100"])
@pytest.mark.parametrize("access", ["x[{0}] = 1;", "x[0] = x[{0}];"])
def test_accesses_outside_a_buffer_fault(index, access):
    x = np.ones(1024, "float32")  # a whole page: the byte before it is protected as well
    with pytest.raises(EmulatorError, match=r"outside any buffer.*block \(0, 0, 0\), thread \(0, 0, 0\)"):
        kernel(access.format(index))((1,), (1,), (x, 1024))


def test_a_write_just_outside_an_aligned_buffer_is_found():
    with pytest.raises(EmulatorError, match="just outside its 12"):
        kernel("x[n] = 1;", align=256)((1,), (1,), (np.ones(3, "float32"), 3))


def test_the_process_survives_a_fault_and_runs_on():
    x = np.ones(4, "float32")
    bad, good = kernel("x[n * 4096] = 1;"), kernel("x[threadIdx.x] += 1;")
    for _ in range(3):
        with pytest.raises(EmulatorError, match="outside"):
            bad((1,), (1,), (x, 4))
        good((1,), (4,), (x, 0))
    np.testing.assert_array_equal(x, [4] * 4)


def test_buffers_of_no_bytes_may_not_be_touched():
    with pytest.raises(EmulatorError, match="outside"):
        kernel("x[n] += 1;")((1,), (1,), (np.zeros(0, "float32"), 0))


def test_freed_memory_may_not_be_touched():
    buffer = DeviceBuffer(64)
    address = buffer.ptr
    buffer.free()
    with pytest.raises(EmulatorError, match="outside"):
        kernel("x[0] = 1;")((1,), (1,), (address, 0))


def test_memory_starts_as_nan():
    assert np.isnan(DeviceBuffer(40).get(10, "float32")).all()


MISSING_BARRIER = """__shared__ float tile[128];
    tile[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = tile[127 - threadIdx.x];"""


def test_a_missing_barrier_shows_under_any_seed():
    for seed in range(4):
        x = np.arange(128, dtype="float32")
        kernel(MISSING_BARRIER, seed=seed)((1,), (128,), (x, 0))
        assert not np.array_equal(x, np.arange(128)[::-1]), f"seed {seed}"


def test_a_missing_second_barrier_in_a_loop_shows():
    """Everything is written before it is read, but overwritten too early."""
    body = """__shared__ float tile[64];
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
        tile[threadIdx.x] = threadIdx.x + i;
        __syncthreads();
        sum += tile[63 - threadIdx.x];
    }
    x[threadIdx.x] = sum;"""
    expected = 4.0 * np.arange(64)[::-1] + 6
    wrong = 0
    for seed in range(3):
        x = np.zeros(64, "float32")
        kernel(body, seed=seed)((1,), (64,), (x, 0))
        wrong += not np.array_equal(x, expected)
    assert wrong


def test_unwritten_shared_memory_differs_between_seeds():
    results = []
    for seed in range(2):
        x = np.zeros(4, "float32")
        kernel("__shared__ float tile[4];\nx[threadIdx.x] = tile[threadIdx.x];", seed=seed)(
            (1,), (4,), (x, 0)
        )
        results.append(x)
    assert np.isnan(results[0]).all() and np.all(results[1] > 1e30)


def test_shared_memory_does_not_survive_from_block_to_block():
    body = "__shared__ float tile[1];\nif (blockIdx.x == 0) tile[0] = 1;\nx[blockIdx.x] = tile[0];"
    x = np.zeros(8, "float32")
    kernel(body)((8,), (1,), (x, 0))
    assert x[0] == 1 and np.isnan(x[1:]).all()


def test_divergent_barriers_are_reported():
    body = "if (threadIdx.x < 3)\n__syncthreads();\nelse\n__syncthreads();"
    with pytest.raises(EmulatorError, match="divergent barrier"):
        kernel(body)((1,), (32,), (np.zeros(1, "float32"), 0))


def test_a_barrier_that_a_warp_never_reaches_is_a_deadlock():
    body = f"if (threadIdx.x < 7) __syncthreads();\nelse __ballot_sync({ALL}, 1);"
    with pytest.raises(EmulatorError, match="deadlock: 7 threads at __syncthreads.*25 in a warp operation"):
        kernel(body)((1,), (32,), (np.zeros(1, "float32"), 0))


def test_a_lane_outside_the_mask_is_reported():
    with pytest.raises(EmulatorError, match="mask 0000000f excludes it"):
        kernel("__syncwarp(0xFu);")((1,), (32,), (np.zeros(1, "float32"), 0))


def test_writes_past_dynamic_shared_memory_fault():
    with pytest.raises(EmulatorError, match="outside"):
        kernel("extern __shared__ float tile[];\ntile[n] = 1;")(
            (1,), (1,), (np.zeros(1, "float32"), 16), shared_mem=64
        )


def test_integer_division_by_zero_is_reported():
    with pytest.raises(EmulatorError, match="integer division by zero"):
        kernel("x[0] = 5 / n;")((1,), (1,), (np.zeros(1, "float32"), 0))


def test_writes_through_const_are_reported():
    body = "const_cast<float*>(x)[0] = 1;"
    with pytest.raises(EmulatorError, match="is const, but was written"):
        kernel(body, "const float* x")((1,), (1,), (np.zeros(1, "float32"),))


# ---- wrong launches --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "grid, block, args, message",
    [
        ((1,), (1,), (np.zeros(1),), "k: expected 2 arguments, got 1"),
        ((1,), (1,), (np.zeros(1), np.int64(1)), "k: argument 1 takes 4 bytes of kind 'i', got int64"),
        ((1,), (1,), (np.zeros(1), np.float32(1)), "k: argument 1 takes 4 bytes of kind 'i', got float32"),
        ((1,), (1,), (np.zeros(1), 1.5), "k: argument 1 is an integer, got float"),
        ((1,), (1,), (np.zeros((4, 4))[:, 1], 1), "k: argument 0 is an array that is not contiguous"),
        (
            (1,),
            (1025,),
            (np.zeros(1), 1),
            "k: block (1025, 1, 1) with 0 bytes of shared memory cannot be launched",
        ),
        ((0,), (1,), (np.zeros(1), 1), "k: grid (0, 1, 1), block (1, 1, 1): CUDA refuses a size of 0"),
        ((1, 65536), (1,), (np.zeros(1), 1), "k: grid (1, 65536, 1) exceeds (2147483647, 65535, 65535)"),
    ],
)
def test_bad_launches(grid, block, args, message):
    with pytest.raises(EmulatorError) as caught:
        kernel("")(grid, block, args)
    assert str(caught.value) == message


def test_compiler_errors_name_the_line_of_the_source():
    with pytest.raises(EmulatorError, match=r"(?s)host compiler rejected.*mine.cu:7.*undeclared_name"):
        Emulator().compile('#line 7 "mine.cu"\nextern "C" __global__ void k() { undeclared_name = 1; }')


def test_unknown_kernels_are_named():
    module = Emulator().compile('extern "C" __global__ void one() {}\nextern "C" __global__ void two() {}')
    with pytest.raises(EmulatorError, match="no kernel 'three'; the source has one, two"):
        module.function("three")


def test_kernels_may_be_named_like_c_functions():
    x = np.zeros(1, "float32")
    Emulator().compile('extern "C" __global__ void div(float* x) { x[0] = 1; }').function("div")(
        (1,), (1,), (x,)
    )
    assert x[0] == 1


def test_macros_come_through_options():
    module = Emulator().compile(
        'extern "C" __global__ void k(float* x) { x[0] = VALUE; }', ["-DVALUE=3", "--use_fast_math"]
    )
    x = np.zeros(1, "float32")
    module.function("k")((1,), (1,), (x,))
    assert x[0] == 3


def test_an_array_given_twice_is_one_buffer():
    x = np.zeros(2, "float32")
    kernel("x[0] = 1;\ny[1] = x[0] + 1;", "float* x, float* y")((1,), (1,), (x, x))
    np.testing.assert_array_equal(x, [1, 2])
