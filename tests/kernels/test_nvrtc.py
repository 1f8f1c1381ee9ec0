"""NVRTC compiles every kernel for every supported architecture; hand-tuned ones keep everything in registers."""

from __future__ import annotations

import pytest
from test_templates import GENERATED

from tinygraph.targets.cuda import kernels, nvrtc

pytestmark = pytest.mark.skipif(
    not nvrtc.available(), reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)"
)

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]

CONVOLUTION = [
    {}, {"TG_T": "double"}, {"TG_MMA": 1}, {"TG_MMA": 2, "TG_T": "half_t"}, {"TG_MMA": 3, "TG_T": "bf16_t"},
]  # fmt: skip
# Every kernel file with the variants that take different code paths.
VARIANTS = {
    "conv_forward.cu": [
        *CONVOLUTION,
        {"TILE_M": 128, "TILE_N": 128}, {"TILE_M": 128, "TILE_N": 128, "TG_MMA": 1},
        {"TILE_N": 32}, {"TILE_N": 16}, {"TILE_M": 128, "TILE_N": 32, "TG_MMA": 1},
        {"TG_CONV": "{20, 12, 12, 50, 5, 5, 8, 8, 1, 1, 1, 0, 0, 1, 1, 1}", "TG_INDEX": "int"},
    ],
    "conv_backward_input.cu": CONVOLUTION,
    "conv_backward_weights.cu": CONVOLUTION,
    "pooling.cu": [{"TG_POOL": 0}, {"TG_POOL": 1, "TG_T": "half_t"}, {"TG_POOL": 2, "TG_T": "double"}],
    "softmax.cu": [{}, {"TG_T": "half_t"}, {"TG_T": "double"}],
    "cross_entropy.cu": [{}, {"TG_T": "bf16_t"}, {"TG_T": "double", "TG_LABEL": "int"}],
    "reduction.cu": [
        {"TG_REDUCE": kind, "TG_T": dtype, "TG_VALUE": value}
        for kind, dtype, value in [
            (0, "float", "float"), (0, "half_t", "float"), (1, "double", "double"), (2, "int", "int"),
            (3, "bool", "bool"), (4, "float", "float"), (5, "half_t", "float"),
        ]
    ],
    "prefix_scan.cu": [{"TG_SCAN": 0}, {"TG_SCAN": 1, "TG_T": "double"}, {"TG_T": "i64"}],
    "gather.cu": [{}, {"TG_T": "half_t"}, {"TG_T": "bf16_t"}, {"TG_T": "double", "TG_LABEL": "int"}, {"TG_T": "i64"}],
    "random.cu": [{}, {"TG_T": "double"}, {"TG_T": "half_t"}],
    "layer_norm.cu": [{}, {"TG_T": "half_t"}, {"TG_T": "double"}],
    "batch_norm.cu": [{}, {"TG_T": "half_t"}, {"TG_T": "double"}],
    "updates.cu": [{}, {"TG_T": "half_t"}, {"TG_T": "double"}],
}  # fmt: skip


def label(macros):
    return "-".join(f"{name}={value}" for name, value in macros.items())[:50] or "default"


def test_no_kernel_file_is_left_out():
    assert sorted(VARIANTS) == sorted(path.name for path in kernels.folder().glob("*.cu"))


def every_kernel():
    """One variant of each file on one architecture always, all of them (minutes) among the slow tests."""
    for file, variants in VARIANTS.items():
        for macros in variants:
            for arch in ARCHITECTURES:
                quick = macros is variants[0] and arch == "sm_80"
                marks = () if quick else pytest.mark.slow
                yield pytest.param(file, macros, arch, id=f"{file}-{label(macros)}-{arch}", marks=marks)


@pytest.mark.parametrize("file, macros, arch", list(every_kernel()))
def test_compiles_without_spills(file, macros, arch):
    source = kernels.source(file, macros)
    compiled = nvrtc.compile_source(source, arch, name=file)
    assert compiled.cubin.startswith(b"\x7fELF")
    assert sorted(compiled.usage) == sorted(kernels.kernel_names(source))
    spilled = {name: usage for name, usage in compiled.usage.items() if usage.spills}
    assert not spilled
    assert "warning" not in compiled.log


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", GENERATED)
def test_templates_compile(name, arch):
    compiled = nvrtc.compile_source(GENERATED[name], arch)
    assert set(compiled.usage) == set(kernels.kernel_names(GENERATED[name]))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_intrinsics_and_atomics_compile(arch):
    body = """y[i] = op_digamma(op_pow(op_mod(x[i], 2.0f), op_floordiv(x[i], 3.0f))) + op_cast<int>(op_sigmoid(x[i]));
atomic_add((half_t*)y + i, half_t(1.0f));
atomic_update((signed char*)y + i, (signed char)3, AtomicSum());
y[i] += (float)op_mod((int)i, 7) + op_shl((short)1, (short)i) + op_erfcinv((double)x[i]) + philox_word(1, i, 2, 3);"""
    source = kernels.render(
        "elementwise.cuh", name="everything", index="int", parameters="const float* x, float* y", body=body,
        definitions='#include "intrinsics.cuh"\n#include "atomics.cuh"',
    )  # fmt: skip
    assert nvrtc.compile_source(source, arch).usage["everything"].registers > 0


def test_the_spill_check_can_fail():
    source = kernels.expand("""#include "index.cuh"
    extern "C" __global__ void __launch_bounds__(1024, 2) greedy(const float* x, float* y, int n) {
        float values[200];
        #pragma unroll
        for (int i = 0; i < 200; ++i) values[i] = x[i * n + threadIdx.x];
        float sum = 0.0f;
        #pragma unroll
        for (int i = 0; i < 200; ++i) { sum += values[199 - i] * values[i]; y[i * n + threadIdx.x] = sum; }
    }""")
    usage = nvrtc.compile_source(source, "sm_80").usage["greedy"]
    assert usage.spills and usage.registers <= 32
