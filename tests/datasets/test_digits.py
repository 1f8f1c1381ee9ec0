"""The digits that come with the package, and the interpolation that brings them to 28x28."""

import numpy as np
import pytest

from tinygraph.datasets import digits


def test_they_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    want = datasets.load_digits()
    images, labels = digits.raw()
    np.testing.assert_array_equal(images, want.images.astype(np.uint8))
    np.testing.assert_array_equal(labels, want.target)


def test_parts():
    data = digits.load(dtype="float32")
    assert [len(split) for split in data.splits] == [1197, 300, 300]
    assert data.train.x.shape == (1197, 784) and data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int32
    for split in data.splits:
        assert 0 <= split.x.min() and split.x.max() <= 1
        assert np.bincount(split.y, minlength=10).min() >= 20


def test_the_parts_hold_each_digit_once():
    images, labels = digits.raw()
    data = digits.load(size=8, dtype="float64")
    found = [
        ((x * 16).astype(np.uint8).tobytes(), y) for split in data.splits for x, y in zip(*split, strict=True)
    ]
    assert sorted(found) == sorted((x.tobytes(), y) for x, y in zip(images, labels, strict=True))


def test_the_shuffle_never_changes():
    assert digits.load().test.y[:8].tolist() == [8, 8, 2, 2, 2, 9, 8, 8]


def test_resize_keeps_constants_and_the_identity():
    np.testing.assert_allclose(digits.resize(np.full((2, 8, 8), 5.0), (28, 28)), 5.0)
    images = np.random.default_rng(0).random((2, 6, 9))
    np.testing.assert_array_equal(digits.resize(images, (6, 9)), images)


def test_resize_by_hand():
    # 2 -> 4: centres at -0.25, 0.25, 0.75, 1.25 of the old grid, held at the border
    image = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    row = np.array([0, 0.25, 0.75, 1])
    np.testing.assert_allclose(digits.resize(image, (4, 4))[0], row[None, :] + 2 * row[:, None])
    np.testing.assert_allclose(digits.resize(np.array([[[7.0]]]), (2, 3)), np.full((1, 2, 3), 7.0))


def test_resize_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = np.random.default_rng(0).random((2, 8, 8))
    want = np.stack([ndimage.zoom(image, 3.5, order=1, mode="nearest", grid_mode=True) for image in images])
    np.testing.assert_allclose(digits.resize(images, (28, 28)), want, atol=1e-12)
