"""The programs of Theano's time, rebuilt: their parts against NumPy, and a few steps of each."""

import json

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tests.benchmarks import numpy_cnn as by_hand
from tinygraph import cli
from tinygraph.demos import moons, network3, numpy_cnn, scan_examples, tf_cnn
from tinygraph.demos.harness import pictures


def last_line(capsys, *arguments):
    assert cli.main(["demo", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("name", ["numpy-cnn", "tf-cnn", "pytorch-mnist"])
def test_two_epochs_make_fewer_errors_than_one(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pictures, "draw_all", lambda *args: None)
    extra = ["--filters", "2"] if name == "tf-cnn" else []
    cli.main(
        ["demo", name, "--epochs", "2", "--out", str(tmp_path), "--json", str(tmp_path / "r.json"), *extra]
    )
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["curve"][1][1] < found["curve"][0][1] < 0.9
    assert "after 2 epochs" in capsys.readouterr().out.splitlines()[-1]


def test_a_rung_of_network3(tmp_path, capsys):
    line = last_line(capsys, "network3", "--epochs", 2, "--batch-size", 10, "--json", tmp_path / "r.json",
                     "--picture", tmp_path / "r.png")  # fmt: skip
    assert line.startswith("test accuracy")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["rung"] == 1 and len(found["curves"][0]) == 2
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_expanded_data_are_the_images_and_four_moved_ones():
    x = np.arange(2 * 3 * 3, dtype="float32").reshape(2, 9) + 1
    many, labels = network3.expanded(x, np.array([7, 8]), (3, 3), np.random.RandomState(0))
    assert len(many) == 10 and sorted(labels) == [7] * 5 + [8] * 5
    wanted = [x[0].reshape(3, 3), *(np.zeros((3, 3)) for _ in range(4))]
    image = wanted[0]
    wanted[1][1:], wanted[2][:-1] = image[:-1], image[1:]
    wanted[3][:, 1:], wanted[4][:, :-1] = image[:, :-1], image[:, 1:]
    found = many[labels == 7].reshape(-1, 3, 3)
    assert all(any((w == f).all() for f in found) for w in wanted)


def test_channels_last_convolution():
    rng = np.random.RandomState(0)
    x, w = rng.randn(2, 6, 6, 3), rng.randn(4, 3, 3, 3)
    a, b = T.dtensor4(), T.dtensor4()
    found = tinygraph.function([a, b], numpy_cnn.conv_nhwc(a, b))(x, w)
    wanted = sum(
        np.einsum("nhwc,fc->nhwf", x[:, i : i + 4, j : j + 4], w[:, i, j]) for i in range(3) for j in range(3)
    )
    assert np.allclose(found, wanted)
    assert np.allclose(tinygraph.function([a], numpy_cnn.max_pool_nhwc(a))(x),
                       x.reshape(2, 3, 2, 3, 2, 3).max(axis=(2, 4)))  # fmt: skip


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_the_network_written_by_hand_has_the_gradients_of_the_compiled_one(target):
    if target == "llvm":
        pytest.importorskip("llvmlite")
    rng, values = np.random.default_rng(2), by_hand.parameters()
    x, y = rng.random((3, 28, 28, 1)), rng.integers(0, 10, 3)
    cost, grads = by_hand.gradients(x, y, values)
    found = by_hand.compiled(target, "float64", values)(x, y)
    for wanted, value in zip([cost, *grads], found, strict=True):
        assert np.abs(wanted).max() > 0
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


def test_truncated_normal_numbers():
    values = tf_cnn.truncated_normal(np.random.RandomState(0), (1000,), 0.5)
    assert np.abs(values).max() <= 1 and abs(values.std() - 0.5 * 0.88) < 0.03


def test_moons(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    line = last_line(capsys, "moons", "--steps", 1500, "--out", tmp_path)
    assert float(line.split()[-1].rstrip("%")) > 93
    assert (tmp_path / "boundary.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("data", ["circles", "classes"])
def test_points_that_scikit_learn_makes(data, tmp_path, capsys):
    pytest.importorskip("sklearn")
    line = last_line(capsys, "moons", "--data", data, "--steps", 1500, "--out", tmp_path)
    assert float(line.split()[-1].rstrip("%")) > 90


@pytest.mark.parametrize("steps", [1, 9])
def test_every_scan_example_agrees_with_a_loop_in_python(steps, capsys):
    line = last_line(capsys, "scan-examples", "--steps", steps)
    assert line == f"{len(scan_examples.EXAMPLES)} of {len(scan_examples.EXAMPLES)} loops agree with Python's"


def test_the_points_of_moons():
    x, y = moons.make_moons(np.random.RandomState(0), 500, noise=0)
    assert np.allclose(((x - np.where(y[:, None], [1, 0.5], [0, 0])) ** 2).sum(1), 1)
