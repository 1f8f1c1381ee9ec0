"""What an image data set is here: three parts, each a matrix of flattened images and a vector of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Split:
    """Examples: ``x`` of shape (n, pixels), floating, 0 to 1; ``y`` of shape (n,), int32 classes."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.x, self.y))

    def shared(self, name: str = "") -> tuple[Any, Any]:
        """``x`` and ``y`` as shared variables, for ``givens`` that slice mini-batches out of them."""
        from tinygraph import shared  # here, so that reading data does not load the compiler

        return (
            shared(self.x, name=f"{name}_x" if name else "x", borrow=True),
            shared(self.y, name=f"{name}_y" if name else "y", borrow=True),
        )


@dataclass(frozen=True)
class ImageData:
    """Images of one size with their classes, in three parts; ``source`` says where they came from."""

    name: str
    train: Split
    valid: Split
    test: Split
    image_shape: tuple[int, int]
    classes: int
    source: str

    def __str__(self) -> str:
        parts = ", ".join(
            f"{len(split):,} {name}"
            for name, split in zip(("train", "valid", "test"), self.splits, strict=True)
        )
        return f"{self.name} ({parts}) from {self.source}"

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """The parts to train on, to choose by, and to report on."""
        return self.train, self.valid, self.test


def make_split(images: np.ndarray, labels: np.ndarray, white: float, dtype: str | None = None) -> Split:
    """A Split of whole-number ``images`` (n, height, width), in which ``white`` becomes 1."""
    dtype = dtype or config.floatX
    x = images.reshape(len(images), -1).astype(dtype)
    x /= np.dtype(dtype).type(white)
    return Split(x, labels.astype(np.int32))


def check_labels(where: str, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raise DataError unless there is one label per image, each a class."""
    if len(images) != len(labels):
        raise DataError(
            f"{where}: expected one label per image, found {len(labels)} for {len(images)} images"
        )
    if len(labels) and int(labels.max()) >= classes:
        raise DataError(f"{where}: expected labels from 0 to {classes - 1}, found {int(labels.max())}")
