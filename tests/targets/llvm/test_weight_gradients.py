"""Strided convolutions' gradients to their filters, against NumPy's sums tap by tap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import executable, printed, weight_gradients

pytest.importorskip("llvmlite")

#: images, filters, subsample, border, dilation, groups
GEOMETRIES: list[Any] = [
    ((2, 8, 11, 34), (12, 8, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((1, 9, 14, 52), (8, 9, 4, 5), (2, 3), (0, 2), (1, 1), 1),
    ((3, 8, 13, 36), (16, 4, 3, 2), (1, 2), (2, 0), (1, 1), 2),
    ((2, 8, 15, 44), (8, 8, 3, 4), (3, 2), (1, 0), (2, 3), 1),
    ((4, 8, 9, 40), (8, 8, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((4, 16, 12, 34), (16, 1, 3, 3), (2, 2), (1, 1), (1, 1), 16),
]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The nests that are replaced meanwhile; nothing is taken from caches."""
    found: list[Any] = []

    def spy(program: Any) -> None:
        before = set(program.instructions)
        weight_gradients.sort_columns(program)
        found.extend(i for i in before - set(program.instructions) if isinstance(i, Nest))

    monkeypatch.setattr(executable, "sort_columns", spy)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable._engine(), "cache", None)
    return found


def summed(x: np.ndarray, g: np.ndarray, shape: Any, geometry: Any) -> np.ndarray:
    """Tap by tap, in float64; filters are not flipped."""
    _, _, (sy, sx), (py, px), (dy, dx), groups = geometry
    x = np.pad(x.astype("float64"), ((0, 0), (0, 0), (py, py), (px, px)))
    out = np.zeros(shape)
    rows, columns = g.shape[2:]
    for k in range(shape[2]):
        for m in range(shape[3]):
            part = x[:, :, k * dy : k * dy + (rows - 1) * sy + 1 : sy, m * dx : m * dx + (columns - 1) * sx + 1 : sx]
            pairs = zip(np.split(g, groups, 1), np.split(part, groups, 1), strict=True)
            out[:, :, k, m] = np.concatenate([np.einsum("nfyx,ncyx->fc", a, b) for a, b in pairs])
    return out


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_tap_is_the_sum_of_its_products(geometry, checked, replaced):
    images, filters, subsample, border, dilation, groups = geometry
    x, w, g = T.ftensor4("x"), T.ftensor4("w"), T.ftensor4("g")
    y = T.nnet.conv2d(x, w, subsample=subsample, border_mode=border, filter_dilation=dilation, num_groups=groups,
                      filter_flip=False)  # fmt: skip
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype("float32") for s in (images, filters))
    c = rng.standard_normal(y.eval({x: a, w: b}).shape).astype("float32")
    with config.change(bounds_check=checked):
        f = function([x, w, g], grad(None, w, known_grads={y: g}), mode=Mode(target="llvm"), on_unused_input="ignore")
        found = f(a, b, c)
    expected = summed(a, c, filters, geometry)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert replaced
