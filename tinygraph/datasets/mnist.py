"""MNIST: 70,000 handwritten digits of 28 by 28 pixels, in its four idx files.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998. The training file is cut in two, 50,000 to train on and 10,000 to choose by,
as the deep learning tutorials of the University of Montreal did.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinygraph.config import user_cache_dir
from tinygraph.datasets.idx import read_idx
from tinygraph.datasets.images import ImageData, check_labels, make_split
from tinygraph.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASSES = 10
IMAGE_SHAPE = (28, 28)
_VALIDATION = 1 / 6  # of the training file: 10,000 of 60,000


def cache_directory() -> Path:
    """Where ``tinygraph data fetch mnist`` puts the files."""
    return user_cache_dir() / "data" / "mnist"


def find(
    directory: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Path | None:
    """The directory that holds MNIST, or None if nobody named one and the cache has none.

    Looked for in ``directory``, then ``$TINYGRAPH_DATA`` (each itself, or a folder ``mnist`` in it), then the
    per-user cache. Raises DataError if a place that was named lacks a file.
    """
    named = directory if directory is not None else environ.get("TINYGRAPH_DATA") or None
    if named is None:
        cache = cache_directory()
        return cache if not _missing(cache) else None
    origin = "" if directory is not None else " (from TINYGRAPH_DATA)"
    root = Path(named).expanduser()
    if not root.is_dir():
        raise DataError(f"{root}{origin}: expected a directory with MNIST's idx files, found no directory")
    for place in (root, root / "mnist"):
        if not _missing(place):
            return place
    raise DataError(
        f"{root}{origin}: expected MNIST's idx files, gzipped or not; missing: {', '.join(_missing(root))}"
    )


def load(directory: str | os.PathLike[str], dtype: str | None = None) -> ImageData:
    """MNIST from the idx files in ``directory``; pixels from 0 to 1 in ``dtype`` (default: floatX).

    Raises DataError, naming the file and what was expected, where one is missing, damaged, or something else.
    """
    root = Path(directory)
    images, labels = _pair(root, FILES[0], FILES[1])
    test_images, test_labels = _pair(root, FILES[2], FILES[3])
    cut = len(images) - round(len(images) * _VALIDATION)
    return ImageData(
        name="MNIST",
        train=make_split(images[:cut], labels[:cut], 255, dtype),
        valid=make_split(images[cut:], labels[cut:], 255, dtype),
        test=make_split(test_images, test_labels, 255, dtype),
        image_shape=IMAGE_SHAPE,
        classes=CLASSES,
        source=str(root),
    )


def _missing(root: Path) -> list[str]:
    return [name for name in FILES if _path(root, name) is None]


def _path(root: Path, name: str) -> Path | None:
    """The file called ``name``, gzipped or not, also as some archives spell it (``-images.idx3-ubyte``)."""
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        path = root / candidate
        if path.is_file():
            return path
    return None


def _pair(root: Path, image_name: str, label_name: str) -> tuple[np.ndarray, np.ndarray]:
    image_path, label_path = _path(root, image_name), _path(root, label_name)
    if image_path is None or label_path is None:
        raise DataError(
            f"{root}: expected MNIST's idx files, gzipped or not; missing: {', '.join(_missing(root))}"
        )
    images, labels = read_idx(image_path, ndim=3), read_idx(label_path, ndim=1)
    if images.shape[1:] != IMAGE_SHAPE or images.dtype != np.uint8:
        raise DataError(
            f"{image_path}: expected uint8 images of shape {IMAGE_SHAPE}, found {images.dtype} of {images.shape[1:]}"
        )
    if labels.dtype != np.uint8:
        raise DataError(f"{label_path}: expected uint8 labels, found {labels.dtype}")
    if not len(images):
        raise DataError(f"{image_path}: expected at least one image, found none")
    check_labels(str(label_path), images, labels, CLASSES)
    return images, labels
