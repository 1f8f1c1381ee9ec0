"""The demos from the command line, on a few hundred real digits: results, resuming, Ctrl-C, errors."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph import checkpoint, cli
from tinygraph.datasets import digits, mnist, write_idx
from tinygraph.demos.harness import pictures
from tinygraph.demos.lenet import LeNet
from tinygraph.demos.logistic import LogisticRegression
from tinygraph.demos.mlp import dropout
from tinygraph.random import RandomStreams

NAMES = ("lenet", "mlp", "logistic")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A directory like MNIST's with 250 training, 50 validation and 75 test images of the digits."""
    root = tmp_path_factory.mktemp("mnist")
    order = np.random.RandomState(0).permutation(1797)
    images, labels = (array[order] for array in digits.raw())
    images = np.rint(digits.resize(images, (28, 28)) * (255 / 16)).astype(np.uint8)
    for (image_name, label_name), part in zip(
        (mnist.FILES[:2], mnist.FILES[2:]), (slice(0, 300), slice(300, 375)), strict=True
    ):
        write_idx(root / image_name, images[part])
        write_idx(root / f"{label_name}.gz", labels[part])
    return root


DRAW_ALL = pictures.draw_all


@pytest.fixture
def demo(data, tmp_path, capsys, monkeypatch):
    """Run a demo in ``tmp_path/out``, without pictures; returns its status, lines of output, and lines of errors."""
    monkeypatch.setattr(pictures, "draw_all", lambda *args: None)

    def run(name, *arguments, out="out"):
        argv = [
            "demo",
            name,
            "--data",
            str(data),
            "--batch-size",
            "25",
            "--out",
            str(tmp_path / out),
            *arguments,
        ]
        try:
            status = cli.main(argv)
        except SystemExit as exit:
            status = exit.code
        output = capsys.readouterr()
        return status, output.out.splitlines(), output.err.splitlines()

    return run


SHAPES = {
    "lenet": {
        "layer0.W": (20, 1, 5, 5), "layer0.b": (20,), "layer1.W": (50, 20, 5, 5), "layer1.b": (50,),
        "layer2.W": (800, 500), "layer2.b": (500,), "layer3.W": (500, 10), "layer3.b": (10,),
    },
    "mlp": {
        "hidden1.W": (784, 625), "hidden1.b": (625,), "hidden2.W": (625, 625), "hidden2.b": (625,),
        "output.W": (625, 10), "output.b": (10,),
    },
    "logistic": {"output.W": (784, 10), "output.b": (10,)},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_run(demo, tmp_path, name):
    status, lines, errors = demo(name, "--epochs", "2", "--json", str(tmp_path / "r.json"))
    assert status == 0 and not errors
    assert re.fullmatch(r"test error \d+\.\d\d % \(\d+ of 75 digits\) after 2 epochs in \d+\.\d s", lines[-1])
    assert sum(line.startswith("epoch ") for line in lines) == 2
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["demo"], result["test_images"], result["iterations"]) == (name, 75, 20)
    arrays, _ = checkpoint.load(tmp_path / "out" / f"{name}.safetensors")
    assert {key: array.shape for key, array in arrays.items()} == SHAPES[name]
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("name", NAMES)
def test_its_pictures(demo, tmp_path, monkeypatch, name):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(pictures, "draw_all", DRAW_ALL)
    demo(name, "--epochs", "1")
    for picture in ("curve", "filters", "misclassified", "confusion"):
        assert (tmp_path / "out" / f"{picture}.png").read_bytes().startswith(b"\x89PNG"), picture


@pytest.mark.parametrize("name", NAMES)
def test_resuming_is_bit_for_bit(demo, tmp_path, name):
    demo(name, "--epochs", "2", out="straight")
    demo(name, "--epochs", "1", out="twice")
    assert demo(name, "--epochs", "2", "--resume", out="twice")[0] == 0
    straight, twice = (
        checkpoint.load(tmp_path / out / "checkpoint.safetensors") for out in ("straight", "twice")
    )
    assert straight[0].keys() == twice[0].keys()
    for key, array in straight[0].items():
        assert array.tobytes() == twice[0][key].tobytes(), key
    assert json.loads(straight[1]["history"])["errors"] == json.loads(twice[1]["history"])["errors"]


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(demo, tmp_path, name):
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        demo(name, "--epochs", "1", "--seed", seed, out=out)
    a, b, c = (checkpoint.load(tmp_path / out / f"{name}.safetensors")[0] for out in "abc")
    assert all(a[key].tobytes() == b[key].tobytes() for key in a)
    if name != "logistic":  # which starts at zero, whatever the seed
        assert any(a[key].tobytes() != c[key].tobytes() for key in a)


def test_lenet_learns(demo, tmp_path):
    demo("lenet", "--epochs", "12", "--json", str(tmp_path / "r.json"))
    assert json.loads((tmp_path / "r.json").read_text())["test_error"] < 0.15


@pytest.mark.parametrize("size", [1, 30])
def test_other_batch_sizes(demo, size):
    # 250 is no multiple of 30: what is left over is not trained on, but every test digit is tested.
    status, lines, _ = demo("logistic", "--epochs", "1", "--batch-size", str(size))
    assert status == 0 and "of 75 digits" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--learning-rate", "nan"],
            "tinygraph demo lenet: error: argument --learning-rate: expected a positive",
        ),
        (["--epochs", "-1"], "tinygraph demo lenet: error: argument --epochs: expected a whole number"),
        (["--batch-size", "251"], "tinygraph: error: --batch-size 251: there are only 250 training images"),
        (["--data", "/no/where"], "tinygraph: error: /no/where: expected a directory with MNIST's idx files"),
        (["--resume"], "tinygraph: error: .*checkpoint.safetensors: expected a readable safetensors file"),
        (["--seed", str(2**32)], "tinygraph demo lenet: error: argument --seed: expected a whole number"),
        (
            ["--out", __file__],
            "tinygraph demo lenet: error: argument --out: expected a directory to write to",
        ),
    ],
)
def test_errors_are_one_line(demo, arguments, message):
    status, _, errors = demo("lenet", *arguments)
    assert status == 2 and len(errors) == 1 and re.match(message, errors[0])


def test_ctrl_c_saves_what_was_learnt(data, tmp_path):
    command = [
        sys.executable,
        "-u",
        "-m",
        "tinygraph",
        "demo",
        "logistic",
        "--data",
        str(data),
        "--batch-size",
        "5",
    ]
    command += ["--epochs", "100000", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("epoch 2,"):
                process.send_signal(signal.SIGINT)
                break
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and not errors
    assert "stopped by Ctrl-C" in output and output.splitlines()[-1].startswith("test error")
    assert (tmp_path / "checkpoint.safetensors").exists() and (tmp_path / "logistic.safetensors").exists()


# -- the models -----------------------------------------------------------------------------------------------


def lenet_by_hand(x, params):
    """The forward pass in NumPy: flipped filters, as a convolution has them, and pooling before the bias."""
    W3, b3, W2, b2, W1, b1, W0, b0 = params
    maps = x.reshape(-1, 1, 28, 28)
    for W, b in ((W0, b0), (W1, b1)):
        windows = np.lib.stride_tricks.sliding_window_view(maps, W.shape[2:], axis=(2, 3))
        convolved = np.einsum("ncyxij,fcij->nfyx", windows, W[:, :, ::-1, ::-1])
        n, f, h, w = convolved.shape
        pooled = convolved.reshape(n, f, h // 2, 2, w // 2, 2).max(axis=(3, 5))
        maps = np.tanh(pooled + b[:, None, None])
    z = np.tanh(maps.reshape(len(x), -1) @ W2 + b2) @ W3 + b3
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_lenet_computes_what_it_should():
    rng = np.random.RandomState(1)
    x, y = T.matrix("x"), T.ivector("y")
    network = LeNet(rng, x)
    for param in network.params:
        param.set_value(rng.uniform(-0.2, 0.2, param.get_value().shape))
    images, classes = rng.rand(3, 784), np.array([1, 9, 4], np.int32)
    f = tinygraph.function([x, y], [network.layer3.p_y_given_x, network.cost(y), network.layer3.errors(y)])
    p, cost, errors = f(images, classes)
    want = lenet_by_hand(images, [param.get_value() for param in network.params])
    np.testing.assert_allclose(p, want, rtol=1e-9)
    np.testing.assert_allclose(cost, -np.log(want[np.arange(3), classes]).mean(), rtol=1e-9)
    assert errors == np.mean(want.argmax(axis=1) != classes)


def test_the_loss_is_safe_from_overflow():
    x, y = T.matrix("x"), T.ivector("y")
    layer = LogisticRegression(x, 2, 2)
    layer.W.set_value(np.array([[1e4, -1e4], [0.0, 0.0]]))
    cost = layer.negative_log_likelihood(y)
    f = tinygraph.function([x, y], [cost, *T.grad(cost, layer.params)])
    cost, dW, db = f(np.array([[1.0, 0.0]]), np.array([1], np.int32))
    assert cost == 2e4
    np.testing.assert_array_equal(dW, [[1, -1], [0, 0]])
    np.testing.assert_array_equal(db, [1, -1])


def test_dropout_keeps_the_mean():
    f = tinygraph.function([], dropout(RandomStreams(3), T.ones((200, 300)), 0.25))
    first, second = f(), f()
    assert set(np.unique(first)) == {0, 1 / 0.75}
    assert abs(first.mean() - 1) < 5 * np.sqrt(0.25 / 0.75 / first.size)
    assert (first != second).any()


def test_no_dropout_is_nothing():
    x = T.matrix("x")
    assert dropout(None, x, 0) is x
