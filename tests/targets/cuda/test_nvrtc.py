"""Reading the assembler's report, and errors of compilation."""

from __future__ import annotations

import pytest

from tinygraph.targets.cuda import nvrtc

needs_nvrtc = pytest.mark.skipif(
    not nvrtc.available(), reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)"
)

LOG = """mine.cu(3): warning #177-D: variable "s" was declared but never referenced
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_80'
ptxas info    : Function properties for first
ptxas         .     256 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 256 bytes cumulative stack size, 128 bytes smem, 372 bytes cmem[0]
ptxas info    : Compile time = 33.963 ms
ptxas info    : Compiling entry function 'second' for 'sm_80'
ptxas info    : Function properties for second
ptxas         .     16 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 255 registers, 372 bytes cmem[0]
"""


def test_usage_is_read_from_the_log():
    assert nvrtc.parse_usage(LOG) == {
        "first": nvrtc.KernelUsage(registers=40, stack=256, spill_stores=0, spill_loads=0, shared=128),
        "second": nvrtc.KernelUsage(registers=255, stack=16, spill_stores=16, spill_loads=24, shared=0),
    }
    assert [usage.spills for usage in nvrtc.parse_usage(LOG).values()] == [False, True]


@needs_nvrtc
def test_a_kernel_compiles_to_machine_code_with_its_usage():
    source = """extern "C" __global__ void reverse(float* x) {
        __shared__ float tile[64];
        tile[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        x[threadIdx.x] = tile[63 - threadIdx.x];
    }"""
    compiled = nvrtc.compile_source(source, "sm_75")
    assert compiled.cubin.startswith(b"\x7fELF")
    usage = compiled.usage["reverse"]
    assert usage.shared == 256 and 0 < usage.registers < 40 and not usage.spills


@needs_nvrtc
def test_errors_carry_the_log():
    with pytest.raises(nvrtc.CudaCompileError, match=r"(?s)mine.cu: NVRTC failed for sm_80.*undeclared"):
        nvrtc.compile_source('extern "C" __global__ void k() { undeclared = 1; }', name="mine.cu")


@needs_nvrtc
def test_version():
    assert nvrtc.version() >= (12, 0)


def test_absence_says_what_to_install(monkeypatch):
    def refuse(name):
        raise OSError(name)

    nvrtc.library.cache_clear()
    monkeypatch.setattr(nvrtc.ctypes, "CDLL", refuse)
    try:
        assert not nvrtc.available()
        with pytest.raises(nvrtc.NvrtcUnavailable, match="pip install nvidia-cuda-nvrtc-cu12"):
            nvrtc.library()
    finally:
        monkeypatch.undo()
        nvrtc.library.cache_clear()
