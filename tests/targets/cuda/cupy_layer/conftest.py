"""``CupyDevice`` itself, on a CuPy whose streams do their work late."""

import sys

import pytest


@pytest.fixture(params=[1, 2])
def device(request, monkeypatch, tmp_path):
    """CupyDevice over the stand-in; the seed orders what its streams do."""
    from cuda_emulator import cupy_stand_in, missing_reason

    from tinygraph.config import config
    from tinygraph.targets.cuda import cupy_device
    from tinygraph.targets.cuda.device import installed

    if reason := missing_reason():
        pytest.skip(reason)
    cupy = cupy_stand_in.stand_in(request.param)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cupy_device, "Handle", type("Handle", (cupy_stand_in.Handle,), {"engine": cupy.engine}))
    monkeypatch.setattr(cupy_device, "WORKSPACE_BYTES", 512)
    found = cupy_device.CupyDevice(0)
    monkeypatch.setattr(found, "blocks", 3)
    monkeypatch.setattr(found, "threads", 64)
    with config.change(cache_dir=str(tmp_path)), installed("cuda", found):
        yield found
