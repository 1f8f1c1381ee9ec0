"""The works that are measured, by name, with their sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recurrent:
    """A language model's training step: one-hot input, one hidden layer, softmax, plain gradient descent."""

    vocabulary: int
    hidden: int
    batch: int
    steps: int


LENET_BATCH = 500
NETWORK3_BATCH = 10
CNN_BATCH = 64
MLP_BATCH = 128
RNN_LARGE = Recurrent(65, 256, 32, 50)
RNN_SMALL = Recurrent(65, 128, 1, 50)
RNN_GROWING = (
    *(Recurrent(65, hidden, 32, 50) for hidden in (64, 256, 1024)),
    *(Recurrent(65, 128, 8, steps) for steps in (50, 500, 5000)),
    *(Recurrent(65, 128, batch, 50) for batch in (50, 500, 2000)),
)
ELEMENTS = 1_000_000
SOFTMAX = (4096, 1000)
REDUCED = (4096, 4096)
NORMALISED = (4096, 1024)


def images(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random images (n, 784) in float32 and labels (n,) in int32."""
    rng = np.random.default_rng(seed)
    return rng.random((n, 784), dtype=np.float32), rng.integers(0, 10, n).astype(np.int32)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed + sum(shape))
    return (rng.standard_normal(shape) / np.sqrt(max(np.prod(shape[:-1]), 1))).astype(np.float32)


def text(size: Recurrent, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Characters (steps, batch) and the ones that follow them."""
    rng = np.random.default_rng(seed)
    letters = rng.integers(0, size.vocabulary, (size.steps + 1, size.batch)).astype(np.int32)
    return letters[:-1], letters[1:]
