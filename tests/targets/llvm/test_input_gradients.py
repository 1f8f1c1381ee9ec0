"""Convolutions' gradients to their images, made as sums for each element, against NumPy's scattered products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import executable, input_gradients, printed
from tinygraph.targets.llvm.input_gradients import Along

pytest.importorskip("llvmlite")

#: images, filters, subsample, border, dilation, groups
GEOMETRIES: list[Any] = [
    ((2, 8, 11, 12), (12, 8, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 8, 11, 12), (12, 8, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((2, 9, 14, 19), (8, 9, 4, 5), (2, 3), (0, 2), (1, 1), 1),
    ((2, 8, 13, 17), (16, 4, 3, 2), (2, 1), (2, 0), (1, 1), 2),
    ((2, 8, 15, 16), (8, 8, 3, 3), (3, 2), (1, 0), (2, 1), 1),
    ((2, 8, 15, 16), (8, 8, 3, 3), (2, 1), (0, 1), (1, 3), 1),
    ((2, 8, 9, 30), (8, 8, 1, 3), (2, 1), (0, 1), (1, 1), 1),
    ((5, 16, 12, 12), (16, 1, 3, 3), (2, 2), (1, 1), (1, 1), 16),
]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The nests that are replaced meanwhile; nothing is taken from caches."""
    found: list[Any] = []

    def spy(program: Any) -> None:
        before = set(program.instructions)
        original(program)
        found.extend(i for i in before - set(program.instructions) if isinstance(i, Nest))

    original = input_gradients.gather
    monkeypatch.setattr(executable, "gather", spy)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable._engine(), "cache", None)
    return found


def scattered(g: np.ndarray, w: np.ndarray, images: Any, geometry: Any) -> np.ndarray:
    """Every product added where it belongs, tap by tap, in float64; filters are not flipped."""
    _, _, (sy, sx), (py, px), (dy, dx), groups = geometry
    n, c, height, width = images
    out = np.zeros((n, c, height + 2 * py, width + 2 * px))
    rows, columns = g.shape[2:]
    for k in range(w.shape[2]):
        for m in range(w.shape[3]):
            place = out[:, :, k * dy : k * dy + (rows - 1) * sy + 1 : sy, m * dx : m * dx + (columns - 1) * sx + 1 : sx]
            pairs = zip(np.split(g, groups, 1), np.split(w[:, :, k, m], groups, 0), strict=True)
            place += np.concatenate([np.einsum("nfyx,fc->ncyx", a, b) for a, b in pairs], 1)
    return out[:, :, py : py + height, px : px + width]


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_element_is_the_sum_of_its_products(geometry, checked, replaced):
    images, filters, subsample, border, dilation, groups = geometry
    x, w, g = T.ftensor4("x"), T.ftensor4("w"), T.ftensor4("g")
    y = T.nnet.conv2d(x, w, subsample=subsample, border_mode=border, filter_dilation=dilation, num_groups=groups,
                      filter_flip=False)  # fmt: skip
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype("float32") for s in (images, filters))
    c = rng.standard_normal(y.eval({x: a, w: b}).shape).astype("float32")
    with config.change(bounds_check=checked):
        f = function([x, w, g], grad(None, x, known_grads={y: g}), mode=Mode(target="llvm"), on_unused_input="ignore")
        found = f(a, b, c)
    expected = scattered(c, b, images, geometry)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert replaced


def test_strides_that_dilations_share_a_divisor_with_leave_products_scattered(replaced):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w, subsample=(2, 2), filter_dilation=(2, 2))
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype("float32") for s in ((2, 8, 15, 16), (8, 8, 3, 3)))
    cost = T.sum(y**2)
    found, other = (function([x, w], grad(cost, x), mode=Mode(target=t))(a, b) for t in ("llvm", "numpy"))
    np.testing.assert_allclose(found, other, rtol=1e-3, atol=1e-3)
    assert not replaced


def test_a_gradient_that_is_added_to_another_stays_right(replaced):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w, filter_flip=False)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype("float32") for s in ((2, 8, 11, 12), (12, 8, 3, 3)))
    cost = T.sum(y**2) + T.sum(x**3)
    found, other = (function([x, w], grad(cost, x), mode=Mode(target=t))(a, b) for t in ("llvm", "numpy"))
    np.testing.assert_allclose(found, other, rtol=1e-3, atol=1e-3)
    assert replaced


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_remainders_meet_every_pair_of_position_and_tap_once(stride, step, size):
    along = Along(5, size, 1, stride, step)
    if np.gcd(stride, step) != 1:
        return  # a common divisor goes into the unit
    met = {
        (j - p.shift - step * m, p.tap + stride * m): stride * j + p.remainder
        for p in along.phases for j in range(p.number) for m in range(p.taps)
    }  # fmt: skip
    before, behind = along.border
    for y in range(5):
        for k in range(size):
            assert met.pop((y, k)) == stride * y + step * k
    assert all(y < 0 or y >= 5 for y, _ in met)  # what is left lies in the border
    assert all(-before <= y < 5 + behind for y, _ in met)
