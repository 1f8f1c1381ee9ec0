"""Kernels and programs that are wrong on purpose: ``config.bounds_check`` says what they would have accessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.targets.llvm.kinds_of_kernels import KINDS
from tinygraph import config
from tinygraph.errors import OutOfBuffer
from tinygraph.targets.llvm import executable, gemm, pooled_kernels, printed
from tinygraph.targets.llvm import machine as vm
from tinygraph.targets.llvm.checks import CheckedBuilder


@pytest.fixture(autouse=True)
def checked() -> Iterator[None]:
    with config.change(bounds_check=True, threads=2):
        yield


def fails(kind: str, message: str) -> None:
    """The program's first call raises, names the line, and leaves its shared variables alone."""
    f, values, shareds = KINDS[kind]()
    before = [s.get_value() for s in shareds]
    with pytest.raises(OutOfBuffer, match=message) as caught:
        f(*values)
    assert "kinds_of_kernels.py" in "".join(caught.value.__notes__)
    for s, value in zip(shareds, before, strict=True):
        np.testing.assert_array_equal(s.get_value(), value)


# -- numbers in a kernel's table ----------------------------------------------------------------------------------------


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``spoiled(name, change)``: kernels whose module has that name get ``change(slots, iterations)`` of what is right."""

    def spoil(name: str, change: Callable[[list[Any], int], int | None]) -> None:
        right = executable.LlvmExecutable._kernel

        def wrong(self: Any, library: Any, slots: list[Any], extent: int, grain: int, i: Any) -> None:
            if f'"{name}"' in library.ir_text().split("\n", 1)[0]:
                slots = list(slots)
                extent = change(slots, extent) or extent
            right(self, library, slots, extent, grain, i)

        monkeypatch.setattr(executable.LlvmExecutable, "_kernel", wrong)

    return spoil


def start_moved(operand: int, by: int) -> Callable[[list[Any], int], None]:
    """An operand begins ``by`` elements off: its offset stands behind its buffer."""

    def change(slots: list[Any], _: int) -> None:
        at = [k for k, s in enumerate(slots) if isinstance(s, tuple) and s[0] == "buffer"][operand]
        slots[at + 1] += by

    return change


def number_grown(k: int) -> Callable[[list[Any], int], None]:
    def change(slots: list[Any], _: int) -> None:
        slots[k] += 1

    return change


@pytest.mark.parametrize("by", [-1, 1, 1_000_000])
@pytest.mark.parametrize("operand", [0, 1, 2])
@pytest.mark.parametrize("kind, name", [("products by blas", "product_float32"), ("products by blas", "product_float64"),
                                        ("products of our own", "product")])  # fmt: skip
def test_products_that_begin_elsewhere(spoiled, kind, name, operand, by):
    spoiled(name, start_moved(operand, by))
    fails(kind, rf"Dot: a {'write' if operand == 2 else 'read'} -?\d+ bytes from the start of" if "32" in name else "a ")


@pytest.mark.parametrize("by", [-1, 1_000_000])
@pytest.mark.parametrize("name, operand", [("panels_product", 0), ("panels_product", 1), ("panels_product", 2),
                                           ("panels_pack", 0), ("panels_pack", 1)])  # fmt: skip
@pytest.mark.parametrize("kind", ["loops over rows of their own", "loops in one thread"])
def test_packed_products_that_begin_elsewhere(spoiled, kind, name, operand, by):
    spoiled(name, start_moved(operand, by))
    fails(kind, r"a (read|write) -?\d+ bytes from the start of \w+ buffer")


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("kind, name", [("products by blas", "product_float32"), ("products of our own", "product"),
                                        ("loops in one thread", "panels_product"), ("loops in one thread", "panels_pack")])  # fmt: skip
def test_products_of_other_sizes(spoiled, kind, name, which):
    """Columns, inner size, steps from line to line; and more rows, or panels, than there are."""
    numbers = {"product_float32": (1, 2, 4, 6), "product": (1, 2, 3, 4), "panels_product": (0, 1, 2, 4),
               "panels_pack": (0, 1, 2, 2)}[name]  # fmt: skip
    spoiled(name, number_grown(numbers[which]))
    fails(kind, r"a (read|write) -?\d+ bytes from the start of \w+ buffer")


@pytest.mark.parametrize("kind, name", [("products by blas", "product_float32"), ("loops in one thread", "panels_product"),
    ("loops in one thread", "panels_pack"), ("elementwise work of many threads", "kernel"), ("draws", "kernel"),
    ("products in tiles", "kernel"), ("convolutions", "kernel"), ("convolutions by winograd", "kernel"),
    ("convolutions", "pooled_weights"), ("convolutions", "pooled_inputs"), ("rows by number", "kernel")])  # fmt: skip
def test_more_iterations_than_there_are(spoiled, kind, name):
    spoiled(name, lambda slots, extent: extent + 1000)
    fails(kind, r"a (read|write) -?\d+ bytes from the start of \w+ buffer")


@pytest.mark.parametrize("name", ["pooled_weights", "pooled_inputs"])
@pytest.mark.parametrize("number", [4, 5])
def test_gradients_under_pools_that_begin_elsewhere(spoiled, name, number):
    """Places of the maxima, and gradients."""

    def change(slots: list[Any], _: int) -> None:
        slots[number] += 100_000

    spoiled(name, change)
    fails("convolutions", r"a read \d+ bytes from the start of \w+ buffer")


# -- instructions of the machine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, operation", [("loops in one thread", vm.LOOP), ("loops over rows of their own", vm.LOOP),
                                             ("loops over rows of their own", vm.SHARE)])  # fmt: skip
def test_loops_of_too_many_turns(monkeypatch, kind, operation):
    right = executable.LlvmExecutable.__init__

    def wrong(self: Any, *args: Any, **more: Any) -> None:
        right(self, *args, **more)
        places = [at for at in range(0, len(self.code), vm.WIDTH) if self.code[at] == operation]
        assert places
        for at in places:
            self.code[at + 2] += 64

    monkeypatch.setattr(executable.LlvmExecutable, "__init__", wrong)
    fails(kind, r"a (read|write) -?\d+ bytes from the start of \w+ buffer")


def test_shares_of_parts_that_are_too_long(monkeypatch):
    right = executable.LlvmExecutable._together

    def wrong(self: Any, shares: Any, i: Any) -> None:
        right(self, [(call, first, last + 1000) for call, first, last in shares], i)

    monkeypatch.setattr(executable.LlvmExecutable, "_together", wrong)
    fails("steps with all their updates", r"a (read|write) \d+ bytes from the start of \w+ buffer")


# -- scratch memory, and numbers of rows ---------------------------------------------------------------------------------


@pytest.fixture
def printed_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels are printed each time, and never stored."""
    monkeypatch.setattr(vm.engine(), "cache", None)
    monkeypatch.setattr(printed, "_kernels", {})
    yield
    forget()


def forget() -> None:
    """All texts of kernels that have been printed."""
    printed._kernels.clear()
    for text in (gemm.product_text, pooled_kernels.weights_text, pooled_kernels.inputs_text):
        text.cache_clear()


@pytest.mark.parametrize(
    "kind",
    ["products of our own", *(pytest.param(k, marks=pytest.mark.slow) for k in ("convolutions", "convolutions by winograd"))],
)
def test_each_piece_of_scratch_memory_that_is_too_short(printed_anew, monkeypatch, kind):
    right, pieces, short = CheckedBuilder.guard_scratch, [0], [0]

    def wrong(self: Any, pointer: Any, size: Any, top: Any = None) -> None:
        pieces[0] += 1
        right(self, pointer, 1 if pieces[0] == short[0] + 1 else size, top)

    monkeypatch.setattr(CheckedBuilder, "guard_scratch", wrong)
    while not short[0] or short[0] < pieces[0]:
        forget()
        pieces[0] = 0
        fails(kind, r"a (read|write) -?\d+ bytes from the start of scratch memory of 1 bytes")
        short[0] += 1


def test_numbers_of_rows_that_nobody_has_compared_with_a_size(printed_anew, monkeypatch):
    monkeypatch.setattr(printed.KernelPrinter, "_checked", lambda self, x, i, width: i)
    fails("rows by number", r"a read -80 bytes from the start of (in|out)put buffer")
