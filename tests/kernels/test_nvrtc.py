"""NVRTC compiles every kernel for every supported architecture; hand-tuned ones keep everything in registers."""

from __future__ import annotations

import pytest
from test_contraction import convolution
from test_templates import GENERATED

from tinygraph.targets.cuda import kernels, nvrtc

pytestmark = pytest.mark.skipif(
    not nvrtc.available(), reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)"
)

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]

TYPES = [
    ("float", "float", {}), ("double", "double", {"TG_T": "double"}), ("float", "float", {"TG_MMA": 1}),
    ("half_t", "float", {"TG_MMA": 2, "TG_T": "half_t"}), ("bf16_t", "float", {"TG_MMA": 3, "TG_T": "bf16_t"}),
    ("float", "float", {"TG_MMA": 3}),
]  # fmt: skip
TILES = [(m, n) for m in (128, 64, 32) for n in (128, 64, 32)]
#: every tile of every kind of product that the target asks for
CONTRACTIONS = [
    (type_, value, {**macros, "TILE_M": m, "TILE_N": n, "TG_INDEX": "int"})
    for type_, value, macros in TYPES
    for m, n in TILES
    if type_ != "double" or max(m, n) <= 64
]
# Every kernel file with the variants that take different code paths.
VARIANTS = {
    "prefix_scan.cu": [{"TG_SCAN": 0}, {"TG_SCAN": 1, "TG_T": "double"}, {"TG_T": "int", "TG_OUT": "i64"}],
}


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


def contractions():
    for type_, value, macros in CONTRACTIONS:
        for arch in ARCHITECTURES:
            quick = arch == "sm_80" and (macros["TILE_M"], macros["TILE_N"]) in ((128, 64), (32, 32))
            marks = () if quick else pytest.mark.slow
            yield pytest.param(type_, value, macros, arch, id=f"{type_}-{label(macros)}-{arch}", marks=marks)


@pytest.mark.parametrize("type_, value, macros, arch", list(contractions()))
def test_implicit_gemm_keeps_its_tile_in_registers(type_, value, macros, arch):
    source = kernels.defines({"TG_T": type_, **macros}) + convolution(type_, value)
    for name, usage in nvrtc.compile_source(source, arch).usage.items():
        assert not usage.spills, name
        blocks = 1 if type_ == "double" or macros["TILE_M"] * macros["TILE_N"] > 64 * 64 else 2
        assert usage.registers <= 65536 // (256 * blocks), name


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
