"""Data for the demos and tests: MNIST, real digits that need no download, text. No pickles are read."""

from __future__ import annotations

import os

from tinygraph.datasets import digits, mnist
from tinygraph.datasets.fetch import fetch_mnist
from tinygraph.datasets.idx import read_idx, write_idx
from tinygraph.datasets.images import ImageData, Split
from tinygraph.datasets.text import Corpus, load_text, standard_library

__all__ = [
    "Corpus",
    "ImageData",
    "Split",
    "fetch_mnist",
    "load_images",
    "load_text",
    "read_idx",
    "standard_library",
    "write_idx",
]


def load_images(directory: str | os.PathLike[str] | None = None, dtype: str | None = None) -> ImageData:
    """MNIST where it can be found, else the digits that come with the package, as 28x28 images.

    MNIST is looked for in ``directory``, then ``$TINYGRAPH_DATA``, then where ``tinygraph data fetch mnist`` puts
    it. A directory that was named and does not hold it is a DataError.
    """
    found = mnist.find(directory)
    return digits.load(dtype=dtype) if found is None else mnist.load(found, dtype)
