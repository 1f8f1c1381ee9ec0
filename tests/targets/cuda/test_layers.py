"""The suite's convolutional layers on the emulator; their kernels through NVRTC."""

import pytest
from cuda_suite.layers import *  # noqa: F403
from cuda_suite.layers import CUDA, T, given, layer, tinygraph

from tinygraph.targets.cuda import contractions, modules, nvrtc

needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12)")


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_75", pytest.param("sm_80", marks=pytest.mark.slow), "sm_90"])
@pytest.mark.parametrize("tile", [(128, 64), (64, 64), pytest.param((128, 128), marks=pytest.mark.slow)], ids=str)
def test_a_layers_kernel_keeps_its_tile_in_registers(device, monkeypatch, tile, arch):
    monkeypatch.setattr(contractions, "tiling", lambda *args: (*tile, 1))
    inputs, y = layer()
    f = tinygraph.function(inputs, [y, *T.grad((y**2).sum(), inputs)], mode=CUDA)
    f(*given())
    (program,) = f._programs.values()
    layers = [s for s in modules.sources(program.executable.printer.launches()) if "#define TILE_WINDOW 4" in s[0]]
    assert layers
    for source, options in layers:
        for name, usage in nvrtc.compile_source(source, arch, options).usage.items():
            assert not usage.spills and not usage.stack, name
