"""Text of one kernel under construction: its parameters, its index arithmetic, and the statements of its body.

Sizes, strides and addresses are parameters, so that one kernel serves every size; its text, and with it the compiled
code, depends on structure alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygraph.program.expr import Access, Expr, loads, postorder
from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.scalars import C_TYPES, literal, operation

#: an expression is given a name of its own when its text grows beyond this
_LINE = 70


@dataclass(frozen=True)
class Pointer:
    """An argument: the address of an element, in bytes from the buffer's first, moved by host integers."""

    buffer: Buffer
    offset: int = 0
    params: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class HostNumber:
    """An argument: a host integer by name."""

    name: str


@dataclass(frozen=True)
class CallIntegers:
    """An argument: the address of the call's host integers, in the program's order."""


@dataclass(frozen=True)
class ErrorWords:
    """An argument: the three words into which a bad index is noted."""


@dataclass(frozen=True)
class Scratch:
    """An argument: memory that only this launch uses."""

    nbytes: int


@dataclass
class Parameters:
    """A kernel's parameters in order: C declarations, and what each launch passes for them."""

    index: str = "i64"  # the C type of sizes and strides
    written: set[Buffer] = field(default_factory=set)
    #: host integers that each call brings: kernels read them from memory, so that a captured call serves all values
    integers: tuple[str, ...] = ()
    #: what names start with, where several bodies share a kernel
    prefix: str = ""
    #: statements that a body starts with
    prologue: list[str] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)
    _names: dict[Any, str] = field(default_factory=dict)

    def _add(self, key: Any, name: str, declaration: str, argument: Any) -> str:
        self._names[key] = name
        self.declared.append(declaration)
        self.arguments.append(argument)
        return name

    def pointer(self, a: Access) -> str:
        """The name of a pointer to the access's first element."""
        key = (a.buffer, a.offset, a.params)
        if key in self._names:
            return self._names[key]
        size = a.buffer.itemsize
        loop = tuple((name, k * size) for name, k in a.params if name not in self.integers)
        moves = [(name, k) for name, k in a.params if name in self.integers]
        number = len(self._names)
        name = f"{self.prefix}{'y' if moves else 'x'}{number}"
        kind = f"{C_TYPES[a.buffer.dtype]}*"
        kind = kind if a.buffer in self.written else f"const {kind} __restrict__"
        self._add(key, name, f"{kind} {name}", Pointer(a.buffer, a.offset * size, loop))
        if moves:
            shift = " + ".join(f"{self.host(p)} * {self.number(k)}" for p, k in moves)
            self.prologue.append(f"{kind} {self.prefix}x{number} = {name} + {shift};")
            self._names[key] = f"{self.prefix}x{number}"
        return self._names[key]

    def number(self, value: int) -> str:
        """A size or stride, as a parameter unless it is 0 or 1."""
        if value in (0, 1):
            return str(value)
        key = ("number", value)
        if key in self._names:
            return self._names[key]
        name = f"{self.prefix}n{len(self._names)}"
        return self._add(key, name, f"{self.index} {name}", (self.index, value))

    def host(self, name: str) -> str:
        """A host integer that the computation itself uses."""
        key = ("host", name)
        if key in self._names:
            return self._names[key]
        text = f"{self.prefix}p{len(self._names)}"
        if name not in self.integers:
            return self._add(key, text, f"i64 {text}", HostNumber(name))
        if "call" not in self._names:
            self._add("call", f"{self.prefix}call", f"const i64* __restrict__ {self.prefix}call", CallIntegers())
        self._names[key] = text
        self.prologue.append(f"const i64 {text} = {self._names['call']}[{self.integers.index(name)}];")
        return text

    def error(self) -> str:
        return self._names.get("error") or self._add(
            "error", f"{self.prefix}error", f"i64* {self.prefix}error", ErrorWords()
        )

    @property
    def text(self) -> str:
        return ", ".join(self.declared) or "int unused"

    @property
    def values(self) -> list[Any]:
        return self.arguments if self.declared else [("int", 0)]


def index_type(nests: Sequence[Nest]) -> str:
    """``int`` where no index or address of the nests leaves 31 bits, else ``i64``."""
    reach = 0
    for n in nests:
        reach = max(reach, n.points)
        for a in [*n.accesses(), n.out]:
            reach = max(reach, sum(abs(s) * e for s, e in zip(a.strides, n.extents, strict=True)))
            if a.dynamic is not None:
                reach = max(reach, a.buffer.size)
    return "int" if reach < 2**31 else "i64"


def normal(a: Access, extents: Sequence[int]) -> Access:
    """The access without strides of axes of one step, and none after the last: equal places are equal objects."""
    strides = [0 if e == 1 else s for s, e in zip(a.strides, extents, strict=True)]
    while strides and strides[-1] == 0:
        strides.pop()
    return a._replace(strides=tuple(strides))


class Axes:
    """Some axes of a nest (or of several with the same sizes) under names, neighbours merged where memory allows.

    ``names[k]`` is the C variable of axis ``k``, or None where it is merged into a later one; ``live`` lists pairs
    (variable, size), outermost first.
    """

    def __init__(self, axes: Sequence[int], nests: Sequence[Nest], prefix: str, taken: int = 0):
        extents = nests[0].extents
        fixed = {x.attr for n in nests for e in expressions(n) for x in postorder(e) if x.op == "axis"}
        strides = [a.strides for n in nests for a in [*n.accesses(), n.out]]
        groups: list[list[int]] = []
        for k in axes:
            if extents[k] == 1 and k not in fixed:
                continue
            if groups and k not in fixed and groups[-1][-1] not in fixed and all(
                _stride(s, groups[-1][-1]) == _stride(s, k) * extents[k] for s in strides
            ):
                groups[-1].append(k)
            else:
                groups.append([k])
        self.names: dict[int, str | None] = dict.fromkeys(axes)
        self.live: list[tuple[str, int]] = []
        for g in groups:
            name = f"{prefix}{taken + len(self.live)}"
            size = 1
            for k in g:
                size *= extents[k]
            self.names[g[-1]] = name
            self.live.append((name, size))

    @property
    def size(self) -> int:
        n = 1
        for _, e in self.live:
            n *= e
        return n

    def decode(self, flat: str, p: Parameters) -> list[str]:
        """Statements that set the variables from a flat index; none where there is a single one."""
        if not self.live:
            return []
        if len(self.live) == 1:
            return [f"const {p.index} {self.live[0][0]} = ({p.index}){flat};"]
        lines, rest = [], f"({p.index}){flat}"
        for position, (name, size) in reversed(list(enumerate(self.live))):
            if position == 0:
                lines.append(f"const {p.index} {name} = {rest};")
                continue
            n = p.number(size)
            lines.append(f"const {p.index} {name} = {rest} % {n};")
            if position > 1:
                lines.append(f"const {p.index} {name}q = {rest} / {n};")
                rest = f"{name}q"
            else:
                rest = f"{rest} / {n}"
        return lines


def _stride(strides: Sequence[int], k: int) -> int:
    """The stride along axis ``k``; nests may have further axes than these, or fewer."""
    return strides[k] if k < len(strides) else 0


def expressions(n: Nest) -> list[Expr]:
    """Every expression that a nest evaluates, addresses included."""
    found = [n.expr] + ([n.out.dynamic] if n.out.dynamic is not None else [])
    for e in list(found):
        found += [x.attr.dynamic for x in loads(e) if x.attr.dynamic is not None]
    return found


class Statements:
    """Statements that evaluate expressions at one point; ``axes`` name the point's indices.

    ``registers``: values that lie in C variables, by the access that would load them.
    """

    def __init__(self, p: Parameters, axes: dict[int, str | None], registers: dict[Access, str] | None = None,
                 prefix: str = "v"):  # fmt: skip
        self.p = p
        self.axes = axes
        self.registers = {} if registers is None else registers
        self.prefix = prefix
        self.lines: list[str] = []
        self.memo: dict[int, str] = {}
        self.kept: list[Expr] = []  # what memo's keys stand for
        self._count = 0

    def fresh(self) -> str:
        self._count += 1
        return f"{self.prefix}{self._count}"

    def address(self, a: Access, extents: Sequence[int]) -> str:
        """The element's position from the pointer of the access."""
        terms = []
        for k, s in enumerate(a.strides):
            name = self.axes.get(k)
            if s == 0 or name is None or extents[k] == 1:
                continue
            terms.append(name if s == 1 else f"{name} * {self.p.number(s)}")
        if a.dynamic is not None:
            terms.append(self.value(a.dynamic, extents))
        return " + ".join(terms) or "0"

    def place(self, a: Access, extents: Sequence[int]) -> str:
        """The element as a C expression that can be assigned to."""
        return f"{self.p.pointer(a)}[{self.address(a, extents)}]"

    def value(self, e: Expr, extents: Sequence[int]) -> str:
        """The C expression of ``e``'s value; statements that it needs are added."""
        order = postorder(e)
        uses: dict[int, int] = {}
        for x in order:
            for a in x.args:
                uses[id(a)] = uses.get(id(a), 0) + 1
        for x in order:
            if id(x) in self.memo:
                continue
            text = self._node(x, extents)
            simple = not x.args and x.op != "load"
            if not simple and not text.isidentifier() and (uses.get(id(x), 1) > 1 or len(text) > _LINE):
                name = self.fresh()
                self.lines.append(f"const {C_TYPES[x.dtype]} {name} = {text};")
                text = name
            self.memo[id(x)] = text
            self.kept.append(x)
        return self.memo[id(e)]

    def _node(self, x: Expr, extents: Sequence[int]) -> str:
        if x.op == "load":
            known = self.registers.get(normal(x.attr, extents))
            return known if known is not None else self.place(x.attr, extents)
        if x.op == "const":
            return literal(x.attr, x.dtype)
        if x.op == "axis":
            name = self.axes.get(x.attr)
            return "(i64)0" if name is None else f"(i64){name}"
        if x.op == "param":
            return self.p.host(x.attr)
        error = self.p.error() if x.op == "index" else ""
        return operation(x, [self.memo[id(a)] for a in x.args], error)
