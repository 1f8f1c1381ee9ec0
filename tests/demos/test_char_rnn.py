"""The character model from the command line: learning, samples, resuming bit for bit, texts that cannot be used."""

import json
import re

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import checkpoint, cli, config, function
from tinygraph.demos import char_rnn
from tinygraph.demos.harness import pictures

RIDDLE = "she sells sea shells on the sea shore; the shells she sells are sea shells, she's sure.\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "riddle.txt"
    path.write_text(RIDDLE * 60, encoding="utf-8")
    return path


@pytest.fixture
def demo(tmp_path, capsys, monkeypatch):
    """Run the demo in ``tmp_path/out`` on a small network; its status, lines of output, lines of errors."""
    monkeypatch.setattr(pictures, "missing", lambda: "no pictures here")

    def run(*arguments, out="out"):
        argv = ["demo", "char-rnn", "--hidden", "24", "--seq-length", "20", "--batch-size", "8", "--sample", "30",
                "--learning-rate", "0.01", "--out", str(tmp_path / out), *map(str, arguments)]  # fmt: skip
        try:
            status = cli.main(argv)
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err.splitlines()

    return run


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_cell_learns(cell, demo, text, tmp_path):
    status, lines, errors = demo(
        "--text", text, "--cell", cell, "--steps", 150, "--json", tmp_path / "result.json"
    )
    assert status == 0 and errors == []
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["curve"][0][1] > result["bits_per_character"] and result["bits_per_character"] < 2.5
    assert re.fullmatch(r"\d\.\d{3} bits per character on held-out text after .* epochs in .* s", lines[-1])
    weights, texts = checkpoint.load(tmp_path / "out" / "char-rnn.safetensors")
    assert weights["layer0.U"].shape[0] == 24 and set(json.loads(texts["vocabulary"])) == set(RIDDLE)
    sample = (tmp_path / "out" / "sample.txt").read_text(encoding="utf-8")
    assert len(sample) == 1000 and set(sample) <= set(RIDDLE)


def test_samples_begin_with_the_prime(demo, text):
    _, lines, _ = demo("--text", text, "--steps", 5, "--prime", "she")
    assert any(line.startswith("  | she") for line in lines)


def test_resuming_is_as_if_never_stopped(demo, text, tmp_path):
    args = ("--text", text, "--layers", 2, "--optimizer", "adagrad")
    demo(*args, "--steps", 40, out="whole")
    demo(*args, "--steps", 20, out="parts")
    status, _, _ = demo(*args, "--steps", 40, "--resume", out="parts")
    assert status == 0
    (a, _), (b, _) = (checkpoint.load(tmp_path / d / "char-rnn.safetensors") for d in ("whole", "parts"))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_resuming_with_another_network_is_refused(demo, text):
    demo("--text", text, "--steps", 2)
    status, _, errors = demo("--text", text, "--steps", 4, "--resume", "--cell", "gru")
    assert status == 2 and "was written with cell lstm, cannot be resumed with gru" in errors[0]


@pytest.mark.parametrize("content, complaint", [
    (b"", "expected a text of at least"),
    (b"too short", "choose a smaller --seq-length"),
    (b"\xff\xfe\x00" * 400, "expected UTF-8 text"),
])  # fmt: skip
def test_texts_that_cannot_be_used(content, complaint, demo, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    status, _, errors = demo("--text", path)
    assert status == 2 and len(errors) == 1 and "bad.txt" in errors[0] and complaint in errors[0]


def test_a_missing_text(demo, tmp_path):
    status, _, errors = demo("--text", tmp_path / "nothing.txt")
    assert status == 2 and "nothing.txt" in errors[0]


def test_any_script(demo, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("白日依山尽,黄河入海流。Ωμέγα 🙂\n" * 80, encoding="utf-8")
    status, _, errors = demo("--text", path, "--steps", 3, "--prime", "黄河")
    assert status == 0 and errors == []
    status, _, errors = demo("--text", path, "--steps", 3, "--prime", "z")
    assert status == 2 and "'z' does not occur in" in errors[0]


def test_gates_against_plain_numpy():
    """One step of each cell, written out."""
    with config.change(floatX="float64"):
        rng = np.random.RandomState(0)
        x, h, c = rng.randn(1, 2, 3), rng.randn(2, 4), rng.randn(2, 4)
        sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
        for cell in ("rnn", "gru", "lstm"):
            layer = char_rnn.CELLS[cell](rng, 3, 4, cell)
            W, U, b = (p.get_value() for p in layer.params)
            states = [T.constant(h), T.constant(c)][: len(layer.state_names)]
            out, new = layer.output(T.constant(x), states)
            got = [function([], v)() for v in [out[0], *new]]
            xw, hu = x[0] @ W + b, h @ U
            p = lambda a, k: a[:, 4 * k : 4 * k + 4]  # noqa: E731
            if cell == "rnn":
                want = [np.tanh(xw + hu)]
            elif cell == "gru":
                z, r = sigmoid(p(xw, 0) + p(hu, 0)), sigmoid(p(xw, 1) + p(hu, 1))
                want = [z * h + (1 - z) * np.tanh(p(xw, 2) + r * p(hu, 2))]
            else:
                a = xw + hu
                c1 = sigmoid(p(a, 1)) * c + sigmoid(p(a, 0)) * np.tanh(p(a, 3))
                want = [sigmoid(p(a, 2)) * np.tanh(c1), c1]
            np.testing.assert_allclose(got[0], want[0])
            for g, w in zip(got[1:], want, strict=True):
                np.testing.assert_allclose(g, w)
