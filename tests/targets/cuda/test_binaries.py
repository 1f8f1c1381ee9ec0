"""Machine code through CuPy's NVRTC, kept on disk."""

import types

import pytest

from tinygraph.config import config
from tinygraph.targets.cuda import nvrtc
from tinygraph.targets.cuda.binaries import binary

SOURCE = 'extern "C" __global__ void k(float* x) { x[0] = x[1] * x[2]; }'


def module(supported=(80, 90), fails=False):
    """As much of ``cupy.cuda.nvrtc`` as is used; ``calls`` are the options of each compilation."""
    calls = []

    def compile_program(program, options):
        calls.append(options)
        if fails:
            raise KeyError("NVRTC_ERROR_COMPILATION")

    return types.SimpleNamespace(
        calls=calls, getSupportedArchs=lambda: supported, getVersion=lambda: (12, 4), NVRTCError=KeyError,
        createProgram=lambda source, name, headers, names: 7, compileProgram=compile_program,
        getCUBIN=lambda program: b"machine code", getPTX=lambda program: b"portable code",
        getProgramLog=lambda program: "x is undefined", destroyProgram=lambda program: None)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path):
    with config.change(cache_dir=str(tmp_path)):
        yield


def test_what_was_compiled_once_comes_from_the_disk():
    first, second = module(), module()
    assert binary(first, SOURCE, "sm_90", ("--fmad=false",)) == binary(second, SOURCE, "sm_90", ("--fmad=false",))
    assert len(first.calls) == 1 and not second.calls
    binary(second, SOURCE, "sm_90", ())
    binary(second, SOURCE, "sm_80", ())
    assert len(second.calls) == 2


def test_denormals_are_kept():
    """No option asks to flush them, which CuPy's own compilation does."""
    found = module()
    binary(found, SOURCE, "sm_90")
    assert not any("ftz" in option for option in found.calls[0])


def test_a_gpu_newer_than_nvrtc_gets_portable_code():
    found = module()
    assert binary(found, SOURCE, "sm_120") == b"portable code"
    assert found.calls[0][0] == "--gpu-architecture=compute_90"


def test_errors_carry_the_log():
    with pytest.raises(nvrtc.CudaCompileError, match="x is undefined"):
        binary(module(fails=True), SOURCE, "sm_80")
