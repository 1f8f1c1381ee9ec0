"""1,797 real handwritten digits that come with the package, resampled from 8x8 to 28x28 pixels.

Source: the test part of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (CC BY 4.0): the images that scikit-learn ships as ``load_digits``. Their order goes by writer;
they are shuffled, always in the same way, so that every hand is in every part.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygraph.datasets.idx import read_idx
from tinygraph.datasets.images import ImageData, check_labels, make_split
from tinygraph.errors import DataError

DIRECTORY = Path(__file__).parent / "files"
CLASSES = 10
WHITE = 16
VALID = TEST = 300


def raw() -> tuple[np.ndarray, np.ndarray]:
    """The digits as they come: uint8 images (1797, 8, 8) from 0 to 16, and uint8 labels (1797,)."""
    path = DIRECTORY / "digits-images-idx3-ubyte.gz"
    images = read_idx(path, ndim=3)
    labels = read_idx(DIRECTORY / "digits-labels-idx1-ubyte.gz", ndim=1)
    if images.shape[1:] != (8, 8):
        raise DataError(f"{path}: expected images of 8x8 pixels, found {images.shape[1:]}")
    check_labels(str(path), images, labels, CLASSES)
    return images, labels


def load(size: int = 28, dtype: str | None = None) -> ImageData:
    """The digits as images of ``size`` by ``size`` pixels from 0 to 1, in ``dtype`` (default: floatX)."""
    images, labels = raw()
    n = len(images)
    order = np.random.RandomState(0).permutation(n)  # of all generators, the one whose draws never change
    images, labels = resize(images[order], (size, size)), labels[order]
    parts = (slice(0, n - VALID - TEST), slice(n - VALID - TEST, n - TEST), slice(n - TEST, n))
    train, valid, test = (make_split(images[part], labels[part], WHITE, dtype) for part in parts)
    return ImageData("digits", train, valid, test, (size, size), CLASSES, "the package (UCI optical digits)")


def resize(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation of ``images`` (n, height, width) to (n, *shape), float64.

    Pixels are squares, so sample centres sit at half-integers; beyond the outermost centres the border's value
    holds. Both axes at once are two matrix products, because interpolation is linear and separable.
    """
    rows = _interpolation(images.shape[1], shape[0])
    columns = _interpolation(images.shape[2], shape[1])
    return rows @ images.astype(np.float64) @ columns.T


def _interpolation(old: int, new: int) -> np.ndarray:
    """The (new, old) matrix of linear interpolation from ``old`` samples to ``new``."""
    centre = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    left = np.minimum(centre.astype(int), max(old - 2, 0))
    fraction = centre - left
    matrix = np.zeros((new, old))
    matrix[np.arange(new), left] = 1 - fraction
    matrix[np.arange(new), np.minimum(left + 1, old - 1)] += fraction
    return matrix
