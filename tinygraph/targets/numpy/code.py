"""Python source under construction: lines, names, bound views and scratch memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygraph.program.expr import Access
from tinygraph.program.instructions import Buffer
from tinygraph.targets.numpy.views import is_whole, offset_text

ALIGN = 64


class Lines:
    """Indented source lines."""

    def __init__(self, indent: int = 1) -> None:
        self.text: list[str] = []
        self.indent = indent

    def add(self, line: str) -> None:
        self.text.append("    " * self.indent + line)

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.add(head)
        self.indent += 1
        before = len(self.text)
        yield
        if len(self.text) == before:
            self.add("pass")
        self.indent -= 1

    def __str__(self) -> str:
        return "\n".join(self.text) + "\n"


class Code:
    """The two printed functions of a program.

    ``bind(m)`` makes, once for each workspace, the views on planned memory; ``run`` computes. A view whose memory
    comes with the call (arguments, outputs, or an offset by a host integer) is made at the head of ``run``.
    """

    def __init__(self) -> None:
        self.bound: list[str] = []  # names that bind returns
        self.bind = Lines()
        self.head = Lines()
        self.body = Lines()
        self.views: dict[Any, str] = {}
        self.local_names: set[str] = set()
        self.scratch_size = 0
        self._scratch_top = 0
        self._free: dict[tuple[str, tuple[int, ...]], list[str]] = {}
        self.constants: dict[str, Any] = {}
        self._counter = 0

    def fresh(self, prefix: str) -> str:
        self._counter += 1
        return f"{prefix}{self._counter}"

    # -- views ----------------------------------------------------------------------------------------------------

    def view(self, access: Access, shape: Sequence[int]) -> str:
        """The name of a view of ``access`` with axes of sizes ``shape``."""
        shape = tuple(shape)
        strides = tuple(0 if d == 1 else s for d, s in zip(shape, access.strides, strict=True))
        key = (access.buffer.id, access.offset, access.params, shape, strides)
        name = self.views.get(key)
        if name is None:
            name = self.views[key] = self._make_view(access, shape, strides)
        return name

    def _make_view(self, access: Access, shape: tuple[int, ...], strides: tuple[int, ...]) -> str:
        buf = access.buffer
        source = buffer_name(buf)
        bound = buf.kind in ("temp", "const") and not access.params
        lines = self.bind if bound else self.head
        if bound:
            source = f"m[{buf.id}]"
        if is_whole(Access(buf, access.offset, strides, access.params), shape):
            text = source if len(shape) == 1 and bound else f"{source}.reshape({shape})"
        else:
            text = f"strided({source}, {offset_text(access)}, {shape}, {strides})"
        name = self.fresh("v" if bound else "a")
        lines.add(f"{name} = {text}")
        if bound:
            self.bound.append(name)
        return name

    # -- scratch --------------------------------------------------------------------------------------------------

    def take(self, dtype: str, shape: Sequence[int]) -> str:
        """The name of an array of scratch memory, valid until given back (or the group's end)."""
        key = (dtype, tuple(shape))
        free = self._free.get(key)
        if free:
            return free.pop()
        name = self.fresh("s")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self.bind.add(f"{name} = scratch(m, {self._scratch_top}, {tuple(shape)}, {dtype!r})")
        self.bound.append(name)
        self._scratch_top += -(-size // ALIGN) * ALIGN
        self.scratch_size = max(self.scratch_size, self._scratch_top)
        return name

    def give(self, name: str, dtype: str, shape: Sequence[int]) -> None:
        self._free.setdefault((dtype, tuple(shape)), []).append(name)

    def end_group(self) -> None:
        """Scratch memory starts anew."""
        self._scratch_top = 0
        self._free.clear()

    def constant(self, value: Any) -> str:
        """The name of a Python object available to the printed functions."""
        name = self.fresh("c")
        self.constants[name] = value
        return name


def buffer_name(buf: Buffer) -> str:
    """The name of a buffer's array inside ``run``."""
    if buf.kind in ("input", "shared", "output", "update"):
        return f"{buf.kind}{buf.slot}"
    if buf.kind == "dynamic":
        return f"d{buf.id}"
    return f"m{buf.id}"
