"""Copies that turn rows into columns, against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function
from tinygraph.targets.llvm import executable, printed
from tinygraph.targets.llvm.engine import Target
from tinygraph.targets.llvm.transposed import turn

pytest.importorskip("llvmlite")

#: shapes, and the order that their axes come in
COPIES: list[Any] = [
    ((20, 144), (1, 0)),
    ((4, 4), (1, 0)),
    ((37, 53), (1, 0)),
    ((3, 20, 12, 12), (0, 2, 3, 1)),
    ((3, 12, 12, 20), (0, 3, 1, 2)),
    ((5, 6, 7, 8), (3, 2, 1, 0)),
    ((2, 50, 17), (0, 2, 1)),
    ((2, 3, 19), (0, 2, 1)),
]


def transposing(dtype: str, axes: tuple[int, ...]) -> Any:
    x = T.tensor(dtype, shape=(None,) * len(axes))
    return function([x], x.transpose(axes).copy(), mode=Mode(target="llvm"))


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every copy that the printer finds meanwhile; nothing is taken from caches."""
    found: list[Any] = []

    def spy(*args: Any) -> Any:
        t = turn(*args)
        found.extend([t] if t is not None else [])
        return t

    monkeypatch.setattr("tinygraph.targets.llvm.kernel.turn", spy)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable._engine(), "cache", None)
    return found


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("shape, axes", COPIES)
def test_rows_become_columns(shape, axes, dtype):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    assert (transposing(dtype, axes)(x) == x.transpose(axes)).all()


@pytest.mark.parametrize("bits", [128, 256])
def test_narrow_vectors(bits, turns, monkeypatch):
    monkeypatch.setattr(Target, "vector_bits", property(lambda self: bits))
    for shape, axes in COPIES[:4]:
        x = np.arange(np.prod(shape)).reshape(shape).astype("float32")
        assert (transposing("float32", axes)(x) == x.transpose(axes)).all()
    assert turns


def test_nothing_outside_of_the_arrays_is_touched(turns):
    with config.change(bounds_check=True):
        for shape, axes in COPIES:
            x = np.arange(np.prod(shape)).reshape(shape).astype("float32")
            assert (transposing("float32", axes)(x) == x.transpose(axes)).all()
    assert turns


def test_another_size_builds_no_kernel(turns):
    f = transposing("float32", (1, 0))
    f(np.zeros((40, 60), "float32"))
    before = set(executable._libraries)
    x = np.random.default_rng(0).random((70, 90), dtype=np.float32)
    assert (f(x) == x.T).all()
    assert set(executable._libraries) == before


def test_no_copy_is_turned_that_has_nothing_to_turn(turns):
    x = T.fmatrix()
    values = np.random.default_rng(0).random((40, 3), dtype=np.float32)
    found = function([x], [x.T.copy(), (x + 1).copy(), T.sqr(x).T.copy()], mode=Mode(target="llvm"))(values)
    for a, b in zip(found, (values.T, values + 1, values.T**2), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not turns
