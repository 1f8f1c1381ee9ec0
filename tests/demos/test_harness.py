"""The training loop around any classifier: stopping, checkpoints, resuming bit for bit, Ctrl-C, the report.

The classifier here is softmax regression in NumPy, so these tests are about the loop alone.
"""

import argparse
import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from tinygraph import checkpoint
from tinygraph.datasets import ImageData, Split
from tinygraph.demos.harness import (
    Classifier,
    EarlyStopping,
    add_training_arguments,
    pictures,
    train_classifier,
)
from tinygraph.demos.harness.classifier import CHECKPOINT, batch_size_for
from tinygraph.demos.harness.stopping import deferred_interrupt
from tinygraph.errors import DataError, InvalidValue

CLASSES, SIDE, BATCH = 3, 4, 8
DRAW_ALL = pictures.draw_all


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing takes longer than everything else here; the tests of pictures put it back."""
    monkeypatch.setattr(pictures, "draw_all", lambda *args: None)


class Value:
    """What the loop needs of a shared variable."""

    def __init__(self, value, name):
        self.array, self.name = np.array(value), name

    def get_value(self, borrow=False):
        return self.array if borrow else self.array.copy()

    def set_value(self, value):
        self.array = np.array(value)


def images():
    """Three classes of noisy 4x4 images; 50 + 20 + 21 of them, so that no split is a whole number of batches."""
    rng = np.random.default_rng(0)
    centres = rng.random((CLASSES, SIDE * SIDE))

    def split(n):
        y = rng.integers(0, CLASSES, n).astype(np.int32)
        return Split((centres[y] + 2.0 * rng.random((n, SIDE * SIDE))).astype(np.float32), y)

    return ImageData("blobs", split(50), split(20), split(21), (SIDE, SIDE), CLASSES, "a generator")


def make_model(data, before=lambda step: None):
    W = Value(np.zeros((SIDE * SIDE, CLASSES)), "W")
    steps = Value(0, "steps")

    def scores(x):
        z = x @ W.array
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def train(index):
        before(int(steps.array))
        part = slice(index * BATCH, (index + 1) * BATCH)
        x, y = data.train.x[part], data.train.y[part]
        assert len(x) == BATCH
        p = scores(x)
        W.array = W.array - 0.5 / (1 + 0.1 * steps.array) * x.T @ (p - np.eye(CLASSES)[y]) / BATCH
        steps.array = steps.array + 1
        return -np.log(p[np.arange(BATCH), y]).mean()

    def predictor(split):
        return lambda index: scores(split.x[index * BATCH : (index + 1) * BATCH]).argmax(axis=1)

    return Classifier(
        "blobs", data, BATCH, train, predictor(data.valid), predictor(data.test), [W], [steps],
        filters=lambda: W.array.T.reshape(CLASSES, SIDE, SIDE),
    )  # fmt: skip


def arguments(out, **changes):
    defaults = {
        "out": out,
        "resume": False,
        "json": None,
        "seed": 1,
        "learning_rate": 0.5,
        "floatX": "float32",
    }
    return SimpleNamespace(**(defaults | changes))


@pytest.fixture
def data():
    return images()


def test_what_is_left_behind(tmp_path, data, capsys):
    out = tmp_path / "deep" / "out"
    model = make_model(data)
    assert train_classifier(model, arguments(out, json=tmp_path / "r.json"), epochs=10) == 0
    assert {path.name for path in out.iterdir()} >= {CHECKPOINT, "blobs.safetensors"}
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["epochs"], result["iterations"], result["interrupted"]) == (10, 60, False)
    assert len(result["curve"]) == 10 and result["validation_error"] == min(
        error for _, error in result["curve"]
    )
    wrong = (np.concatenate([model.test(i) for i in range(3)]) != data.test.y).sum()
    assert result["test_errors"] == wrong and result["test_error"] == wrong / 21
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"test error {100 * wrong / 21:.2f} % ({wrong} of 21 digits) after 10 epochs in ")


def test_the_best_parameters_are_the_ones_kept(tmp_path, data):
    model = make_model(data)
    at_epoch_two = {}

    def validate(index):  # flawless after the second epoch, at no other time
        truth = data.valid.y[index * BATCH : (index + 1) * BATCH]
        if model.state[0].array != 12:
            return (truth + 1) % CLASSES
        at_epoch_two["W"] = model.params[0].get_value()
        return truth

    model.validate = validate
    train_classifier(model, arguments(tmp_path), epochs=5)
    kept = checkpoint.load(tmp_path / "blobs.safetensors")[0]["W"]
    np.testing.assert_array_equal(kept, at_epoch_two["W"])
    np.testing.assert_array_equal(kept, model.params[0].array)
    assert (checkpoint.load(tmp_path / CHECKPOINT)[0]["000.W"] != kept).any()


def run_to(out, data, epochs, **changes):
    model = make_model(data, before=changes.pop("before", lambda step: None))
    status = train_classifier(model, arguments(out, **changes), epochs)
    arrays, metadata = checkpoint.load(out / CHECKPOINT)
    history = json.loads(metadata["history"])
    del history["seconds"]
    return status, {name: array.tobytes() for name, array in arrays.items()}, history


def test_resuming_is_bit_for_bit(tmp_path, data):
    straight = run_to(tmp_path / "straight", data, 6)
    run_to(tmp_path / "twice", data, 2)
    assert run_to(tmp_path / "twice", data, 6, resume=True) == straight


def test_ctrl_c_in_the_middle_of_an_epoch_loses_nothing(tmp_path, data, capsys):
    straight = run_to(tmp_path / "straight", data, 6)

    def press(step):
        if step == 15:
            os.kill(os.getpid(), signal.SIGINT)

    status, _, history = run_to(tmp_path / "cut", data, 6, before=press)
    assert status == 130 and history["iteration"] == 16
    output = capsys.readouterr().out.splitlines()
    assert output[-3].startswith("stopped by Ctrl-C; --resume goes on from") and output[-1].startswith(
        "test error"
    )
    assert run_to(tmp_path / "cut", data, 6, resume=True) == straight


def test_a_finished_run_resumes_to_itself(tmp_path, data):
    first = run_to(tmp_path, data, 3)
    assert run_to(tmp_path, data, 3, resume=True) == first


def test_resuming_with_nothing_there(tmp_path, data):
    with pytest.raises(DataError, match=f"{CHECKPOINT}: expected a readable safetensors file: No such file"):
        run_to(tmp_path, data, 3, resume=True)


@pytest.mark.parametrize(("name", "value"), [("seed", 2), ("learning_rate", 0.25), ("floatX", "float64")])
def test_resuming_under_other_settings_is_refused(tmp_path, data, name, value):
    run_to(tmp_path, data, 1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(InvalidValue, match=f"was written with {name} .*, cannot be resumed with {value}"):
        run_to(tmp_path, data, 3, resume=True, **{name: value})
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_foreign_checkpoints_are_refused(tmp_path, data):
    checkpoint.save(tmp_path / CHECKPOINT, {"a": np.zeros(3)})
    with pytest.raises(
        DataError, match=f"{CHECKPOINT}: expected a checkpoint of the blobs demo: 'history' is missing"
    ):
        run_to(tmp_path, data, 3, resume=True)


def test_a_cost_that_is_not_finite_stops_the_run(tmp_path, data):
    model = make_model(data)
    model.train = lambda index: float("nan")
    with pytest.raises(InvalidValue, match="the cost became nan at batch 1; try a smaller --learning-rate"):
        train_classifier(model, arguments(tmp_path), 3)


def test_batch_size(data):
    assert batch_size_for(data, None, 20) == 20 and batch_size_for(data, 50, 20) == 50
    with pytest.raises(InvalidValue, match="--batch-size 51: there are only 50 training images"):
        batch_size_for(data, 51, 20)


def test_patience_by_hand():
    stopping = EarlyStopping(patience=10, increase=2, threshold=0.9)
    assert stopping.improved(0.5, 4) and stopping.patience == 10
    assert stopping.improved(0.49, 8) and stopping.patience == 10  # better, but not clearly
    assert not stopping.improved(0.49, 9)
    assert not stopping.exhausted(9) and stopping.exhausted(10)
    assert stopping.improved(0.3, 9) and stopping.patience == 18
    assert not stopping.improved(float("nan"), 10)
    assert (stopping.best_error, stopping.best_iteration) == (0.3, 9)


def test_patience_ends_training(tmp_path, data, monkeypatch):
    model = make_model(data)
    model.validate = lambda index: np.zeros(len(data.valid.x[index * BATCH : (index + 1) * BATCH]))
    monkeypatch.setattr(EarlyStopping.__init__, "__defaults__", (20, 2, 0.995, float("inf"), -1))
    train_classifier(model, arguments(tmp_path), 50)
    assert json.loads(checkpoint.load(tmp_path / CHECKPOINT)[1]["history"])["iteration"] == 21


def test_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_pictures(tmp_path, data, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(pictures, "draw_all", DRAW_ALL)
    train_classifier(make_model(data), arguments(tmp_path), epochs=3)
    for name in ("curve", "filters", "misclassified", "confusion"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name


def test_without_matplotlib_a_line_says_what_to_install(tmp_path, data, monkeypatch, capsys):
    monkeypatch.setattr(pictures.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(pictures, "draw_all", DRAW_ALL)
    train_classifier(make_model(data), arguments(tmp_path), epochs=1)
    assert 'for pictures: pip install "tinygraph[viz]"' in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


def test_confusion_counts():
    truth, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])
    np.testing.assert_array_equal(
        pictures.confusion_counts(truth, predicted, 3), [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--learning-rate", "nan"], "--learning-rate: expected a positive, finite number, got 'nan'"),
        (["--learning-rate", "-1"], "--learning-rate: expected a positive, finite number, got '-1'"),
        (["--epochs", "-3"], "--epochs: expected a whole number of at least 1, got '-3'"),
        (["--batch-size", "0"], "--batch-size: expected a whole number of at least 1, got '0'"),
        (["--seed", "x"], "--seed: expected a whole number from 0 to 4294967295, got 'x'"),
        (["--target", "abacus"], "--target: invalid choice: 'abacus'"),
        (["--out", __file__], "--out: expected a directory to write to, found a file"),
        (["--json", "/no/where/x.json"], "--json: expected a file to write, there is no directory"),
    ],
)
def test_arguments_that_are_refused(argv, message):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_training_arguments(parser, "blobs", learning_rate=0.1, epochs="1", batch_size="1")
    with pytest.raises(argparse.ArgumentError) as raised:
        parser.parse_args(argv)
    assert message in str(raised.value)
