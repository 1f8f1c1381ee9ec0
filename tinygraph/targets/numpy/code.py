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

    ``bind(m, scratch, threads)`` makes, once for each workspace, the views on planned memory; ``run`` computes. A view
    whose memory comes with the call (arguments, outputs, or an offset by a host integer) is made at the head of
    ``run``. A group that runs in tiles has scratch memory of its own for each thread (``tiles``).
    """

    def __init__(self) -> None:
        self.bound: list[str] = []  # names that bind returns
        self.bind = Lines()
        self.head = Lines()
        self.body = Lines()
        self.views: dict[Any, str] = {}
        self.scratch_size = 0
        self._scratch_top = 0
        self._free: dict[tuple[str, tuple[int, ...]], list[str]] = {}
        self.constants: dict[str, Any] = {}
        self._counter = 0
        #: while a tiled group is printed: its scratch names and the lines that make them
        self.tile_bound: list[str] | None = None
        self.tile_bind = Lines(2)
        self.before_tiles: list[str] = []
        self.private: dict[Buffer, tuple[str, int, int]] = {}
        #: shapes of the arrays that come with a call
        self.whole_shapes: dict[Buffer, tuple[int, ...]] = {}
        #: those that are not in C order: their lowest address, from the first element, and how many elements they span
        self.uneven: dict[Buffer, tuple[int, int]] = {}
        #: the loops whose bodies are being printed, outermost first (see ``targets/numpy/loops.py``)
        self.loops: list[Any] = []
        #: the lines that check indices, and what they check against
        self.bounds: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        self._counter += 1
        return f"{prefix}{self._counter}"

    # -- views ----------------------------------------------------------------------------------------------------

    def view(self, access: Access, shape: Sequence[int]) -> str:
        """The name of a view of ``access`` with axes of sizes ``shape``."""
        shape = tuple(shape)
        if access.buffer in self.private:
            return self._private_view(access, shape)
        strides = tuple(0 if d == 1 else s for d, s in zip(shape, access.strides, strict=True))
        key = (access.buffer.id, access.offset, access.params, shape, strides)
        name = self.views.get(key)
        if name is None:
            scope = next((s for s in reversed(self.loops) if s.moves(access)), None)
            if scope is not None:
                name = scope.view(self, access._replace(strides=strides), shape)
            else:
                name = self._make_view(access, shape, strides)
            self.views[key] = name
        return name

    def _make_view(self, access: Access, shape: tuple[int, ...], strides: tuple[int, ...]) -> str:
        buf = access.buffer
        source = buffer_name(buf)
        bound = buf.kind in ("temp", "const") and not access.params
        lines = self.bind if bound else self.head
        if bound:
            source = f"m[{buf.id}]"
        elif buf.kind in ("temp", "const"):
            self._bind_memory(buf)
        if buf not in self.uneven and is_whole(Access(buf, access.offset, strides, access.params), shape):
            if shape == (self.whole_shapes.get(buf) if not bound else (buf.size,)):
                if not bound:
                    return source
                text = source
            else:
                text = f"{source}.reshape({shape})"
        else:
            text = f"strided({source}, {offset_text(access)}, {shape}, {strides})"
        name = self.fresh("v" if bound else "a")
        lines.add(f"{name} = {text}")
        if bound:
            self.bound.append(name)
        return name

    def _bind_memory(self, buf: Buffer) -> None:
        """Let ``run`` see all of a planned buffer: where its part lies comes with the call."""
        name = buffer_name(buf)
        if name not in self.bound:
            self.bind.add(f"{name} = m[{buf.id}]")
            self.bound.append(name)

    # -- scratch --------------------------------------------------------------------------------------------------

    def take(self, dtype: str, shape: Sequence[int]) -> str:
        """The name of an array of scratch memory, valid until given back (or the group's end)."""
        key = (dtype, tuple(shape))
        free = self._free.get(key)
        if free:
            return free.pop()
        name = self.fresh("s")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if self.tile_bound is None:
            self.bind.add(f"{name} = scratch(0, {self._scratch_top}, {tuple(shape)}, {dtype!r})")
            self.bound.append(name)
        else:
            self.tile_bind.add(f"{name} = scratch(thread, {self._scratch_top}, {tuple(shape)}, {dtype!r})")
            self.tile_bound.append(name)
        self._scratch_top += -(-size // ALIGN) * ALIGN
        self.scratch_size = max(self.scratch_size, self._scratch_top)
        return name

    def give(self, name: str, dtype: str, shape: Sequence[int]) -> None:
        self._free.setdefault((dtype, tuple(shape)), []).append(name)

    def end_group(self) -> None:
        """Scratch memory starts anew."""
        self._scratch_top = 0
        self._free.clear()

    @contextlib.contextmanager
    def tiles(self, n: int, rows: int, private: dict[Buffer, int]) -> Iterator[str]:
        """A group run in tiles of ``rows`` out of ``n``, spread over threads.

        Everything added to ``body`` inside is the work on rows ``lo .. hi``. ``private`` buffers (with the number of
        elements of one row) live in scratch memory, a tile of each. Gives NAME: ``NAME_z`` holds each thread's scratch
        memory; lines put in ``before_tiles`` run before the threads start.
        """
        name, saved, views = self.fresh("g"), self.body, dict(self.views)
        self.tile_bound, self.tile_bind, self.body = [], Lines(2), Lines(saved.indent + 2)
        self.private = {b: (self.take(b.dtype, (rows * row,)), rows, row) for b, row in private.items()}
        yield name
        body, self.body = self.body, saved
        names = ", ".join(self.tile_bound) + ("," if len(self.tile_bound) == 1 else "")
        with self.bind.block(f"def {name}_scratch(thread):"):
            self.bind.text += self.tile_bind.text
            self.bind.add(f"return ({names})")
        self.bind.add(f"{name}_z = [{name}_scratch(t) for t in threads]")
        self.bound.append(f"{name}_z")
        with self.body.block(f"def {name}(first, last, z):"):
            if self.tile_bound:
                self.body.add(f"({names}) = z")
            with self.body.block(f"for lo in range(first, last, {rows}):"):
                self.body.add(f"hi = min(lo + {rows}, last)")
                self.body.text += body.text
        for line in self.before_tiles:
            self.body.add(line)
        self.before_tiles = []
        self.body.add(f"parallel({name}, {n}, {rows}, {name}_z)")
        self.tile_bound, self.private = None, {}
        self.views = {k: v for k, v in self.views.items() if k in views or k[0] != "private"}

    def _private_view(self, access: Access, shape: tuple[int, ...]) -> str:
        """A view of a private buffer's tile, made with the group's scratch memory."""
        assert self.tile_bound is not None
        base, rows, row = self.private[access.buffer]
        shape = tuple(min(d, rows) if s >= row and row else d for d, s in zip(shape, access.strides, strict=True))
        strides = tuple(0 if d == 1 else s for d, s in zip(shape, access.strides, strict=True))
        key = ("private", access.buffer.id, access.offset, shape, strides)
        name = self.views.get(key)
        if name is None:
            name = self.views[key] = self.fresh("x")
            self.tile_bind.add(f"{name} = strided({base}, {access.offset}, {shape}, {strides})")
            self.tile_bound.append(name)
        return name

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
