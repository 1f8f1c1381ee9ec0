"""Choosing a device, what is said when it is not there, and what happens when its memory is full."""

import subprocess
import sys

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.config import config
from tinygraph.targets.cuda import cupy_device
from tinygraph.targets.cuda.device import DeviceUnavailable, OutOfDeviceMemory, installed


def test_the_switch_moves_a_program_without_a_change(device):
    with config.change(device="cuda"):
        s = tinygraph.shared(np.arange(3.0))
        f = tinygraph.function([], s.sum(), updates=[(s, 2 * s)])
    assert float(f()) == 3 and device.is_array(s.container.value)
    assert s.get_value().tolist() == [0, 2, 4]


def test_a_function_moves_between_devices(device):
    from cuda_emulator.device import EmulatedDevice

    s = tinygraph.shared(np.ones(2))
    with installed("cuda:1", EmulatedDevice(name="cuda:1")):
        functions = []
        for name in ("cuda:0", "cuda:1"):
            with config.change(device=name):
                functions.append(tinygraph.function([], s.sum(), updates=[(s, s * 3)]))
        assert [float(f()) for f in functions + functions] == [2, 6, 18, 54]


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cupy_device.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceUnavailable, match=r"'cuda:1' needs CuPy.*pip install \"tinygraph\[cuda12\]\""):
        cupy_device.CupyDevice(1)


class FakeCupy:
    """As much of CuPy as looking for a GPU takes."""

    class cuda:  # noqa: N801
        class runtime:  # noqa: N801
            @staticmethod
            def getDeviceCount():  # noqa: N802
                raise RuntimeError("cudaErrorInsufficientDriver: too old\nmore")


def test_without_a_driver_the_error_gives_its_reason(monkeypatch):
    monkeypatch.setattr(cupy_device.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy)
    with pytest.raises(DeviceUnavailable, match=r"no GPU it can use \(cudaErrorInsufficientDriver: too old\)"):
        cupy_device.import_cupy("cuda:0")


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cupy_device.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy)
    monkeypatch.setattr(FakeCupy.cuda.runtime, "getDeviceCount", staticmethod(lambda: 2))
    with pytest.raises(DeviceUnavailable, match="'cuda:5': the GPUs of this machine are cuda:0 to cuda:1"):
        cupy_device.CupyDevice(5)


def test_full_memory_lists_the_largest_buffers_and_changes_nothing(device):
    x, s = T.fmatrix("x"), tinygraph.shared(np.zeros(2), "s")
    f = tinygraph.function([x], T.dot(x, x).sum(), updates=[(s, s + 1)], mode=Mode(target="cuda"))
    f(np.ones((4, 4), "float32"))
    device.capacity = 2000
    with pytest.raises(OutOfDeviceMemory) as caught:
        f(np.ones((40, 40), "float32"))
    message = str(caught.value)
    assert "largest buffers" in message and "6400 bytes  input x  float32[1600]" in message
    assert s.get_value().tolist() == [1, 1]
    device.capacity = None
    f(np.ones((40, 40), "float32"))
    assert s.get_value().tolist() == [2, 2]


def test_the_third_call_is_a_replay(device):
    x, w = T.fvector("x"), tinygraph.shared(np.zeros(3, "float32"))
    f = tinygraph.function([x], (w * x).sum(), updates=[(w, w + x)], mode=Mode(target="cuda"))
    found = [float(f(np.full(3, k, "float32"))) for k in range(8)]
    assert found == [3 * k * sum(range(k)) for k in range(8)]
    assert device.replays == 6, "each of the two addresses of w is seen once, then captured, and replayed from then on"


def test_one_captured_call_serves_every_mini_batch(device):
    i = T.lscalar("i")
    rng = np.random.default_rng(0)
    data, w = tinygraph.shared(rng.random((30, 4))), tinygraph.shared(rng.random((4, 3)))
    batch = data[i * 5 : (i + 1) * 5]
    f = tinygraph.function([i], [T.dot(batch, w), batch.sum(axis=1)], mode=Mode(target="cuda"))
    for k in range(6):
        product, sums = f(k)
        given = data.get_value()[5 * k : 5 * k + 5]
        np.testing.assert_allclose(product, given @ w.get_value())
        np.testing.assert_allclose(sums, given.sum(axis=1))
    assert device.replays == 5


def test_a_profile_times_every_instruction(device):
    x = T.dmatrix("x")
    f = tinygraph.function([x], T.dot(T.tanh(x), x).sum(axis=0), mode=Mode(target="cuda"), profile=True)
    f(np.ones((3, 3)))
    f(np.ones((3, 3)))
    assert [(e.calls, e.seconds > 0) for e in f.profile.entries.values()] == [(2, True)] * 3


def test_nothing_of_cupy_is_loaded_before_it_is_needed():
    code = "import sys, tinygraph, tinygraph.targets.cuda.device; print('cupy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("name, attrs", [("sort", {"axis": 1}), ("argsort", {"axis": 0}), ("cumsum", {"axis": 1}),
                                         ("cumprod", {"axis": 0}), ("det", {})])  # fmt: skip
def test_routines_mean_what_numpy_does(name, attrs):
    """CuPy's functions have NumPy's signatures, so the table is checked with NumPy in CuPy's place."""
    from tinygraph.targets.cuda.routines import ROUTINES

    x = np.random.default_rng(0).random((4, 4))
    out = np.empty(() if name == "det" else (4, 4), "int64" if name == "argsort" else "float64")
    ROUTINES[name](np, [x], [out], attrs)
    function = np.linalg.det if name == "det" else getattr(np, name)
    np.testing.assert_allclose(out, function(x, **attrs))
