"""The GPU's benchmark script works: tiny sizes on the emulator."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def test_the_script_writes_a_table_and_json(device, tmp_path, capsys, monkeypatch):
    from tests.benchmarks import gpu

    monkeypatch.setattr(gpu, "start_device", lambda emulated: device)
    monkeypatch.setattr(gpu, "peers", lambda work, compiled: {"PyTorch eager": lambda: None})
    found = gpu.main(["--emulated", "--only", "elementwise", "--json", str(tmp_path / "out.json")])
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert found["gpu"] == "emulator" and found["call overhead us"] > 0
    assert set(found["works"]["elementwise"]) == {"tinygraph cuda", "PyTorch eager"}
    assert "of the copy bandwidth" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["lenet", "network3", "mlp", "rnn", "lstm", "elementwise", "softmax_cross_entropy",
                                  "convolution", "convolution_to_filters", "convolution_to_input"])  # fmt: skip
def test_every_work_is_one_of_ours(name):
    from tests.benchmarks import gpu, gpu_tinygraph

    assert any(w.function == name for w in gpu.FULL.values()) and callable(getattr(gpu_tinygraph, name))
