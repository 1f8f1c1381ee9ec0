"""Under ``config.bounds_check`` no kernel of any kind has an access that is not compared with its memory's extent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from tests.targets.llvm.kinds_of_kernels import KINDS, build, built
from tinygraph.errors import OutOfBuffer
from tinygraph.targets.llvm import machine as vm
from tinygraph.targets.llvm.checked import PATTERN, CheckedWorkspace
from tinygraph.targets.llvm.checks import BAD_READ, SCRATCH, CheckedBuilder
from tinygraph.targets.llvm.machine import address_of
from tinygraph.targets.llvm.panels import BODY
from tinygraph.targets.llvm.scalars import I64, PTR
from tinygraph.targets.llvm.workspace import described

# -- what is printed --------------------------------------------------------------------------------------------------


class Accesses:
    """The loads and stores of the function ``kernel`` of a module: how many there are, and those that nothing checks."""

    def __init__(self, text: str):
        self.count, self.unchecked = 0, []
        head, *lines = text[text.index('define void @"kernel"') :].split("\n")
        self.context = re.findall(r'%"([^"]+)"', head)[0]
        self.made: dict[str, tuple[str, str, str]] = {}  # a value: the operation, what pointer it is of, its line
        pointer_of: dict[str, str] = {}  # numbers that are addresses, each with its pointer
        compared: set[str] = set()
        for line in lines[: lines.index("}")]:
            result, operation, rest = self._read(line)
            pointers, values = re.findall(r'ptr %"([^"]+)"', rest), re.findall(r'%"([^"]+)"', rest)
            self.made[result] = operation, pointers[0] if pointers else "", rest
            if operation == "ptrtoint":
                pointer_of[result] = pointers[0]
            for value in set(values) & set(pointer_of):
                if operation == "add":
                    pointer_of[result] = pointer_of[value]
                elif operation == "icmp":
                    compared.add(pointer_of[value])
            accessed = {"load": pointers[:1], "store": pointers[-1:], "call": pointers}.get(operation, [])
            if "@llvm.prefetch." in rest.replace('"', ""):
                continue
            for pointer in accessed:
                if self._leads_to(pointer) == "memory":
                    self.count += 1
                    self.unchecked += [line] if pointer not in compared else []

    @staticmethod
    def _read(line: str) -> tuple[str, str, str]:
        """Result, operation and the rest of an instruction."""
        found = re.match(r'\s*(?:%"([^"]+)" = )?(\w+)(.*)', line)
        return (found[1] or "", found[2], found[3]) if found else ("", "", "")

    def _leads_to(self, name: str) -> str:
        """A local variable, the kernel's context, a table of numbers that this points to, or memory."""
        if name == self.context:
            return "context"
        operation, source, _ = self.made[name]
        if operation == "alloca":
            return "local"
        if operation not in ("getelementptr", "load"):
            return "memory"
        base = self._leads_to(source)
        if operation == "getelementptr":
            return "memory" if base == "local" else base
        scratch = self.made.get(source, ("", "", ""))[2].endswith(", i64 3")
        return "table" if base == "context" and not scratch else "memory"


@pytest.mark.parametrize("kind", KINDS)
def test_no_access_is_printed_without_a_comparison(kind):
    found = [Accesses(text) for text in built(kind).texts if '"setter"' not in text]
    assert not [line for a in found for line in a.unchecked]
    assert found and all(a.count for a in found)


def test_an_unchecked_kernel_is_seen_as_such():
    assert all(Accesses(text).unchecked for text in build("reductions", bounds_check=False).texts)


def test_the_programs_have_every_kind_of_kernel():
    every = [built(kind) for kind in KINDS]
    assert {text.split('"')[1] for b in every for text in b.texts} == {  # ; ModuleID = "name"
        "kernel", "product", "product_float32", "product_float64", "panels_product", "panels_pack", "pooled_weights",
        "pooled_inputs", "setter",
    }  # fmt: skip
    instructions = {b.executable.code[at] for b in every for at in b.executable.origin_of}
    assert instructions == {vm.KERNEL, vm.SHARE, vm.TOGETHER}


def test_an_access_from_who_knows_where_cannot_be_printed():
    module = ir.Module()
    function = ir.Function(module, BODY, "kernel")
    b = CheckedBuilder(function.append_basic_block())
    context, scratch = function.args[0], ir.Constant(I64, 3)
    unknown = b.load(b.gep(context, [scratch], source_etype=I64), typ=PTR)
    other = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR]), "other")
    for access in (
        lambda: b.load(unknown, typ=I64),
        lambda: b.store(ir.Constant(I64, 0), b.gep(unknown, [scratch], source_etype=I64)),
        lambda: b.call(other, [unknown]),
    ):
        with pytest.raises(ValueError, match="checked kernel"):
            access()
    b.guard_scratch(unknown, 8)
    b.load(unknown, typ=I64)


# -- what is compared with what ---------------------------------------------------------------------------------------


@contextmanager
def emptied(w: Any, context: np.ndarray, k: int) -> Iterator[None]:
    """To the kernel with this context, buffer ``k`` has no room at all meanwhile."""
    extents, right = w.extents.copy(), w._set_extent

    def set_extent(i: int, array: np.ndarray) -> None:
        right(i, array)
        extents[:] = w.extents
        extents[k, 1] = extents[k, 0]

    w._set_extent, before, context[6] = set_extent, context[6], address_of(extents)
    extents[k, 1] = extents[k, 0]
    yield
    w._set_extent, context[6] = right, before


@pytest.mark.parametrize("kind", KINDS)
def test_every_kernel_compares_with_every_buffer_that_it_is_given(kind):
    f, values, shared, x, _ = built(kind)
    (w,) = x._pool
    before = [s.get_value() for s in shared]
    tried = 0
    for (_, slots, i), context in zip(x.contexts, w.kept[1::2], strict=True):
        for buffer in dict.fromkeys(s[1] for s in slots if isinstance(s, tuple) and s[0] == "buffer"):
            expected = rf"a (read|write) \d+ bytes from the start of {re.escape(described(buffer))} of 0 bytes"
            with emptied(w, context, x.table_index[buffer]), pytest.raises(OutOfBuffer, match=expected) as caught:
                f(*values)
            if i.origin is not None:  # a mere copy of a result is no line's work
                assert "kinds_of_kernels.py" in "".join(caught.value.__notes__)
            tried += 1
    for s, value in zip(shared, before, strict=True):
        np.testing.assert_array_equal(s.get_value(), value)
    assert tried >= 2
    f(*values)
    for s, value in zip(shared, before, strict=True):
        s.set_value(value)


def test_once_one_has_failed_no_kernel_does_anything(monkeypatch):
    made = []
    empty = CheckedWorkspace._empty

    def noted(self, shape, dtype):
        made.append(empty(self, shape, dtype))
        return made[-1]

    monkeypatch.setattr(CheckedWorkspace, "_empty", noted)
    for kind in KINDS:
        b = build(kind)
        (w,) = b.executable._pool
        made.clear()
        w.error[:] = BAD_READ, 12, 8, SCRATCH, 0
        with pytest.raises(OutOfBuffer, match="a read 12 bytes from the start of scratch memory of 8 bytes"):
            b.f(*b.values)
        assert made and all(set(a.tobytes()) <= {PATTERN} for a in made)
