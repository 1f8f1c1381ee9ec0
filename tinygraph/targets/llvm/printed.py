"""Kernels that need no printing: what a group's printed function is called with, kept by the group's description.

Printing takes longer than linking what the disk holds. So beside the object code, which is kept by the text it was
compiled from, the cache holds for each group described here the text's digest and the numbers of the kernel's table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Set
from functools import cache
from pathlib import Path
from typing import Any

from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import Buffer, Group
from tinygraph.targets.llvm.cache import content_key
from tinygraph.targets.llvm.engine import Engine
from tinygraph.targets.llvm.kernel import Kernel, KernelPrinter
from tinygraph.targets.llvm.numbers import bits_of, table_numbers

_kernels: dict[str, dict[str, Any]] = {}
#: the text that was last printed for its digest, by the digest: who asks for it asks next
_fresh: dict[str, str] = {}


def kernel(group: Group, engine: Engine, checked: bool = False) -> tuple[Kernel, str]:
    """The group's kernel, and the digest of its text; ``Kernel.text`` is a function that prints it."""
    names = Names()
    description = names.group(group) + (" checked" if checked else "")

    def printer() -> KernelPrinter:
        target = engine.target
        return KernelPrinter(
            group, target.vector_bits, triple=target.triple, features=target.features, checked=checked
        )

    def text() -> str:
        return _fresh.pop(record["digest"], None) or printer().print().text

    record: Any = _kernels.get(description)
    if record is None:
        record = _kernels[description] = _stored(description, names, printer, engine)
    slots = [names.slot(s) for s in record["slots"]]
    made = Kernel(text, slots, record["extent"], record["parallel"], record["scratch"], record["step"], record["exact"],
                  record["setup"])  # fmt: skip
    return made, record["digest"]


def _stored(description: str, names: Names, printer: Callable[[], KernelPrinter], engine: Engine) -> dict[str, Any]:
    """The record of a group from the disk; printed if it is not there."""
    key = content_key("printed", _version(), engine.target, description)
    found = engine.cache.get(key) if engine.cache is not None else None
    if found is not None:
        record: dict[str, Any] = json.loads(found)
        return record
    k = printer().print()
    record = {
        "digest": hashlib.sha256(k.text.encode()).hexdigest(), "slots": [names.as_data(s) for s in k.slots],
        "extent": k.extent, "parallel": k.parallel, "scratch": k.scratch, "step": k.step, "exact": k.exact,
        "setup": k.setup,
    }  # fmt: skip
    _fresh.clear()
    _fresh[record["digest"]] = k.text
    if engine.cache is not None:
        engine.cache.put(key, json.dumps(record).encode())
    return record


def table_kernel(engine: Engine, printer: Callable[..., str], *arguments: object) -> tuple[Callable[[], str], str]:
    """What prints a kernel with all its sizes in a table, and the digest of the text ``printer(*arguments)``."""

    def text() -> str:
        return printer(*arguments)

    def digest() -> str:
        return hashlib.sha256(text().encode()).hexdigest()

    if engine.cache is None:
        return text, digest()
    key = content_key("table", _version(), printer.__module__, arguments)
    found = engine.cache.get(key)
    if found is None:
        found = digest().encode()
        engine.cache.put(key, found)
    return text, found.decode()


@cache
def _version() -> str:
    """A digest of the code that prints."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *here.parent.parent.joinpath("program").glob("*.py")])
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files)).hexdigest()


class Names:
    """Numbers for a group's buffers, checked indices and constants, in order of appearance."""

    def __init__(self) -> None:
        self.buffers: dict[Buffer, int] = {}
        self.bounds: list[Any] = []
        self.numbers: dict[tuple[str, float], int] = {}  # constants that are no part of the code, by type and value

    def group(self, g: Group) -> str:
        """Everything that a group's kernel depends on."""
        parts = []
        for n in g.nests:
            parts.append(repr((n.extents, n.kinds, n.combine, n.accumulate)))
            parts.append(self._expression(n.expr, table_numbers(n.expr)))
            parts.append(self._access(n.out))
        private = sorted(self.buffers[b] for b in g.private if b in self.buffers)
        return f"{g.outer} {private} " + ";".join(parts)

    def _buffer(self, b: Buffer) -> int:
        return self.buffers.setdefault(b, len(self.buffers))

    def _access(self, a: Access) -> str:
        dynamic = "" if a.dynamic is None else self._expression(a.dynamic)
        return f"{self._buffer(a.buffer)}:{a.buffer.dtype}+{a.offset}{a.strides}{a.params}[{dynamic}]"

    def _expression(self, e: Expr, numbers: Set[int] = frozenset()) -> str:
        number: dict[int, int] = {}
        parts = []
        for x in postorder(e):
            number[id(x)] = len(number)
            attr = ""
            if x.op == "load":
                attr = self._access(x.attr)
            elif x.op == "index":
                attr = f"{int(x.attr)}"
                self.bounds.append(x.attr)
            elif id(x) in numbers:
                attr = f"#{self.numbers.setdefault((x.dtype, x.attr), len(self.numbers))}"
            elif x.attr is not None:
                attr = repr(x.attr)
            parts.append(f"{x.op}.{x.dtype}({','.join(str(number[id(a)]) for a in x.args)}){attr}")
        return " ".join(parts)

    def as_data(self, s: Any) -> Any:
        """A number of the kernel's table without reference to this program's objects."""
        if not isinstance(s, tuple):
            return int(s)
        kind, what = s
        if kind in ("buffer", "private"):
            return [kind, self.buffers[what]]
        if kind == "number":
            return [kind, self.numbers[what]]
        if kind == "bound":
            return [kind, next(k for k, b in enumerate(self.bounds) if b is what)]
        return [kind, what]

    def slot(self, data: Any) -> Any:
        """The other way around, with this program's objects."""
        if not isinstance(data, list):
            return data
        kind, what = data
        if kind in ("buffer", "private"):
            return kind, list(self.buffers)[what]
        if kind == "number":
            dtype, value = list(self.numbers)[what]
            return bits_of(value, dtype)
        return kind, self.bounds[what] if kind == "bound" else what
