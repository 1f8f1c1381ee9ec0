"""MNIST from its idx files: where they are looked for, how they are split, what is refused."""

import numpy as np
import pytest

from tinygraph.config import config
from tinygraph.datasets import load_images, mnist, write_idx
from tinygraph.errors import DataError


def write(root, train=12, test=4, suffix=".gz", **replace):
    """A small MNIST with random pixels; ``replace`` gives other arrays for some of the files."""
    rng = np.random.default_rng(1)
    root.mkdir(parents=True, exist_ok=True)
    arrays = {
        "train_images": rng.integers(0, 256, (train, 28, 28)).astype(np.uint8),
        "train_labels": (np.arange(train) % 10).astype(np.uint8),
        "test_images": rng.integers(0, 256, (test, 28, 28)).astype(np.uint8),
        "test_labels": (np.arange(test) % 10).astype(np.uint8),
    } | replace
    for name, array in zip(mnist.FILES, arrays.values(), strict=True):
        write_idx(root / f"{name}{suffix}", array)
    return arrays


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAPH_DATA", raising=False)
    monkeypatch.setattr(mnist, "user_cache_dir", lambda: tmp_path / "cache")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_parts(tmp_path, suffix, dtype):
    arrays = write(tmp_path, suffix=suffix)
    data = mnist.load(tmp_path, dtype)
    assert [len(split) for split in data.splits] == [10, 2, 4]
    assert data.train.x.shape == (10, 784) and data.train.x.dtype == dtype and data.train.y.dtype == np.int32
    want = arrays["train_images"].reshape(12, 784).astype(dtype) / np.dtype(dtype).type(255)
    np.testing.assert_array_equal(np.concatenate([data.train.x, data.valid.x]), want)
    np.testing.assert_array_equal(np.concatenate([data.train.y, data.valid.y]), arrays["train_labels"])
    np.testing.assert_array_equal(data.test.y, arrays["test_labels"])
    assert data.train.x.max() <= 1 and data.train.x.min() >= 0


def test_floatx_is_the_default_dtype(tmp_path):
    write(tmp_path)
    with config.change(floatX="float32"):
        assert mnist.load(tmp_path).test.x.dtype == np.float32


def test_dotted_names_are_found(tmp_path):
    write(tmp_path, suffix="")
    for name in mnist.FILES:
        (tmp_path / name).rename(tmp_path / name.replace("-idx", ".idx"))
    assert mnist.find(tmp_path) == tmp_path


def test_order_of_places(tmp_path, monkeypatch):
    assert mnist.find() is None
    write(tmp_path / "cache" / "data" / "mnist")
    assert mnist.find() == mnist.cache_directory()
    write(tmp_path / "environment" / "mnist")
    monkeypatch.setenv("TINYGRAPH_DATA", str(tmp_path / "environment"))
    assert mnist.find() == tmp_path / "environment" / "mnist"
    write(tmp_path / "argument")
    assert mnist.find(tmp_path / "argument") == tmp_path / "argument"


def test_without_mnist_the_digits_of_the_package_serve():
    assert load_images().name == "digits"


def test_incomplete_cache_is_passed_over(tmp_path):
    write(tmp_path / "cache" / "data" / "mnist")
    (mnist.cache_directory() / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load_images().name == "digits"


def test_named_places_must_hold_it(tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match="nowhere: expected a directory with MNIST's idx files, found no directory"
    ):
        load_images(tmp_path / "nowhere")
    write(tmp_path / "some")
    (tmp_path / "some" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        DataError, match="some: expected MNIST's idx files, .*; missing: t10k-labels-idx1-ubyte$"
    ):
        load_images(tmp_path / "some")
    monkeypatch.setenv("TINYGRAPH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere \(from TINYGRAPH_DATA\): expected a directory"):
        load_images()


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        (
            {"train_labels": np.zeros(3, np.uint8)},
            "train-labels.*: expected one label per image, found 3 for 12",
        ),
        ({"test_labels": np.full(4, 11, np.uint8)}, "t10k-labels.*: expected labels from 0 to 9, found 11"),
        (
            {"test_images": np.zeros((4, 9, 9), np.uint8)},
            r"t10k-images.*: expected uint8 images of shape \(28, 28\)",
        ),
        (
            {"test_images": np.zeros((4, 28, 28), np.int16)},
            "t10k-images.*: expected uint8 images .* found int16",
        ),
        (
            {"train_images": np.zeros(12, np.uint8)},
            "train-images.*: expected an idx file of 3 dimensions, found 1",
        ),
        ({"test_labels": np.zeros(4, np.int32)}, "t10k-labels.*: expected uint8 labels, found int32"),
        (
            {"test_images": np.zeros((0, 28, 28), np.uint8), "test_labels": np.zeros(0, np.uint8)},
            "t10k-images.*: expected at least one image",
        ),
    ],
)
def test_foreign_content_is_named(tmp_path, replace, message):
    write(tmp_path, **replace)
    with pytest.raises(DataError, match=message):
        mnist.load(tmp_path)


def test_truncated_file_is_named(tmp_path):
    write(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte.gz: expected a whole gzip file"):
        mnist.load(tmp_path)


def test_description(tmp_path):
    write(tmp_path)
    assert str(mnist.load(tmp_path)) == f"MNIST (10 train, 2 valid, 4 test) from {tmp_path}"
