"""What ``tinygraph doctor`` measures of a GPU: small sizes on the emulator."""

from tinygraph import doctor
from tinygraph.targets.cuda import cupy_device, measure
from tinygraph.targets.cuda import device as devices


def test_rates_are_positive(device):
    assert measure.gemm_rate(device, "float32", 8) > 0 and measure.gemm_rate(device, "float16", 8) > 0
    assert measure.copy_bandwidth(device, 4096) > 0
    assert measure.call_seconds(device, 3) > 0


def test_doctor_lists_every_gpu(device, monkeypatch):
    monkeypatch.setattr(measure, "gemm_rate", lambda d, dtype: {"float32": 3e9, "float64": 2e9, "float16": 9e9}[dtype])
    monkeypatch.setattr(measure, "copy_bandwidth", lambda d: 5e9)
    monkeypatch.setattr(measure, "call_seconds", lambda d: 2e-6)
    assert [" ".join(line.split()) for line in doctor.gpu_lines()] == [
        "cuda:0 gemm float32 3.0 GFLOP/s", "cuda:0 gemm float64 2.0 GFLOP/s", "cuda:0 gemm float16 9.0 GFLOP/s",
        "cuda:0 copy 5.0 GB/s read and written", "cuda:0 empty call 2.0 us",
    ]  # fmt: skip


def test_without_cupy_there_is_no_gpu_to_measure(monkeypatch):
    monkeypatch.setattr(devices, "_INSTALLED", {})
    monkeypatch.setattr(cupy_device.importlib.util, "find_spec", lambda name: None)
    assert devices.usable() == [] and doctor.gpu_lines() == []
