"""A pytest plugin with which everything that runs on the emulated GPU is compiled by NVRTC as well.

    python -m pytest -p cuda_emulator.nvrtc_too tests/targets/cuda      (with tests/ on PYTHONPATH)

Each source is compiled once for each of sm_75, sm_80 and sm_90 (or those named in ``TINYGRAPH_NVRTC``, comma separated);
one that NVRTC refuses fails the test that printed it. The summary lists what was compiled, and the kernels that spill.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

ARCHITECTURES = os.environ.get("TINYGRAPH_NVRTC", "sm_75,sm_80,sm_90").split(",")

_usage: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}


@pytest.fixture(autouse=True)
def _nvrtc_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda_emulator.device import EmulatedDevice

    build = EmulatedDevice.compile

    def compile_twice(self: EmulatedDevice, source: str, options: Any = ()) -> Any:
        compile_for_all(source, tuple(options))
        return build(self, source, options)

    monkeypatch.setattr(EmulatedDevice, "compile", compile_twice)


def compile_for_all(source: str, options: tuple[str, ...]) -> None:
    """Compile a source for every architecture, unless that was done. Raises: CudaCompileError."""
    from tinygraph.targets.cuda import nvrtc

    for arch in ARCHITECTURES:
        key = (source, arch, options)
        if key not in _usage:
            _usage[key] = nvrtc.compile_source(source, arch, options).usage


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much was compiled, and what spills."""
    terminalreporter.section("NVRTC")
    kernels = sum(len(found) for found in _usage.values()) // len(ARCHITECTURES)
    sources = len({(source, options) for source, _, options in _usage})
    terminalreporter.line(f"{sources} sources, {kernels} kernels, each for {', '.join(ARCHITECTURES)}")
    for (_, arch, _), found in _usage.items():
        for name, usage in found.items():
            if usage.spills:
                terminalreporter.line(f"{name} on {arch} spills {usage.spill_stores} bytes")
