"""A lowered program: buffers, and the few kinds of instructions that fill them.

``Nest``     one loop nest, ``out[map] = reduce(expr over reduction axes)``
``Group``    nests that share their outer loops, so that what passes between them stays in cache or in registers
``Routine``  a library call: sort, linear algebra, prefix sums
``Loop``     a program run once per step (scan)
``Branch``   one of two programs (ifelse)
``Host``     an op run in Python on arrays; also all work whose shapes only the data decide

Views are not instructions: a ``Ref`` is a buffer seen through an offset and strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygraph.program.expr import Access, Expr

#: reduction combiners; "argmax" and "argmin" give the position in row-major order, the first of equals
COMBINERS = ("add", "mul", "minimum", "maximum", "and", "or", "xor", "argmax", "argmin")


@dataclass(eq=False)
class Buffer:
    """A block of memory.

    ``kind``: input, shared, const, temp (planned, reused), output (fresh at each call), update (becomes a shared
    variable's value), dynamic (an array that a Host instruction makes, of a shape only the run knows).
    ``size`` counts elements.
    """

    id: int
    dtype: str
    size: int
    kind: str
    name: str = ""
    data: Any = None  # the array of a const
    slot: int = -1  # position among inputs, shared variables, outputs or updates

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __repr__(self) -> str:
        return f"{self.kind[0]}{self.id}"


@dataclass(eq=False)
class Ref:
    """A buffer seen as an array: ``offset`` and ``strides`` in elements; ``params`` move the offset at run time."""

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    params: tuple[tuple[str, int], ...] = ()

    @property
    def dtype(self) -> str:
        return self.buffer.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def contiguous(self) -> bool:
        """Whether elements lie in C order without gaps (dimensions of size 1 do not matter)."""
        expected = 1
        for d, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if d != 1 and s != expected:
                return self.size == 0
            expected *= d
        return True

    @property
    def whole(self) -> bool:
        """Whether this is its buffer, all of it, in order."""
        return self.offset == 0 and not self.params and self.size == self.buffer.size and self.contiguous


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array."""
    out = []
    step = 1
    for d in reversed(shape):
        out.append(step)
        step *= max(d, 1)
    return tuple(reversed(out))


class Source(NamedTuple):
    """A node, and the shapes of its inputs (None where the run decides)."""

    node: Any
    shapes: tuple[tuple[int, ...] | None, ...]

    def text(self) -> str:
        """``Op(a, b) with inputs float64(3, 4), int64(?)`` and the user's line."""
        node = self.node
        kinds = [
            f"{v.type.dtype}({', '.join(map(str, s))})" if s is not None and v.type.dtype else str(v.type)
            for v, s in zip(node.inputs, self.shapes, strict=True)
        ]
        where = f"\n  built at {node.origin.text()}" if node.origin is not None else ""
        return f"  in {node.op}({', '.join(map(str, node.inputs))}) with inputs {', '.join(kinds)}{where}"


class Bound(int):
    """The size that an index is checked against, knowing the node whose index it is."""

    source: Source | None = None


@dataclass(eq=False)
class Instruction:
    """Base: ``origin`` is the user's line, ``label`` the op's name, both for errors and profiles.

    ``source``: the node that the instruction computes, with the shapes of its inputs (a ``Source``), for errors.
    """

    origin: Any = field(default=None, kw_only=True)
    label: str = field(default="", kw_only=True)
    source: Any = field(default=None, kw_only=True)

    @property
    def role(self) -> str:
        """What an instruction does for the op that ``label`` names, where it is not the op's own work."""
        return ""

    def own_cost(self) -> tuple[int, int] | None:
        """``(flops, bytes)`` of one run, for instructions of a target's own; None where ``lower.cost`` counts them."""
        return None

    def reads(self) -> list[Buffer]:
        raise NotImplementedError

    def writes(self) -> list[Buffer]:
        raise NotImplementedError


@dataclass(eq=False)
class Nest(Instruction):
    """``out[access] = combine over the reduction axes of expr``.

    ``extents`` and ``kinds`` ('p' parallel, 'r' reduction) describe the axes, outermost first. ``combine`` None means
    a plain store (then all axes are parallel). ``accumulate``: ``out`` holds a value already, which takes part (its
    access may then send several points to one element: a scatter; with ``combine`` None the last one in order wins).
    ``made_of``: the nests, as ops wrote them, that fusion put into this one's expression, its own first form included.
    """

    extents: tuple[int, ...]
    kinds: str
    expr: Expr
    out: Access
    combine: str | None = None
    accumulate: bool = False
    made_of: tuple[Nest, ...] = ()

    @property
    def points(self) -> int:
        n = 1
        for e in self.extents:
            n *= e
        return n

    @property
    def dtype(self) -> str:
        return self.out.buffer.dtype

    @property
    def role(self) -> str:
        return {"load": "copy", "const": "fill"}.get(self.expr.op, "") if self.combine is None else ""

    def accesses(self) -> list[Access]:
        from tinygraph.program.expr import loads

        found = [x.attr for x in loads(self.expr)]
        if self.out.dynamic is not None:
            found += [x.attr for x in loads(self.out.dynamic)]
        return found

    def reads(self) -> list[Buffer]:
        found = [a.buffer for a in self.accesses()]
        return found + [self.out.buffer] if self.accumulate else found

    def writes(self) -> list[Buffer]:
        return [self.out.buffer]


@dataclass(eq=False)
class Group(Instruction):
    """Nests run together, in order, inside ``outer`` shared loops (each nest's first ``outer`` axes).

    ``private``: buffers that nothing outside the group reads; a target keeps of them only what one pass through the
    shared loops needs. ``parts``: groups of elementwise nests with sizes of their own, none of which touches what
    another writes, run as one instruction; then ``nests`` are theirs, in order, and share no loops.
    """

    nests: list[Nest]
    outer: int
    private: set[Buffer] = field(default_factory=set)
    parts: list[Group] = field(default_factory=list)

    def reads(self) -> list[Buffer]:
        return [b for n in self.nests for b in n.reads() if b not in self.private]

    def writes(self) -> list[Buffer]:
        return [b for n in self.nests for b in n.writes() if b not in self.private]


@dataclass(eq=False)
class Routine(Instruction):
    """A library call ``name(inputs) -> outputs`` with fixed ``attrs``; ``run`` is its NumPy form, writing outputs."""

    name: str
    inputs: list[Ref]
    outputs: list[Ref]
    attrs: dict[str, Any] = field(default_factory=dict)
    run: Any = None

    def reads(self) -> list[Buffer]:
        return [r.buffer for r in self.inputs]

    def writes(self) -> list[Buffer]:
        return [r.buffer for r in self.outputs]


@dataclass(eq=False)
class Host(Instruction):
    """``node.op.evaluate`` on arrays. Outputs of kind "dynamic" take whatever shape comes; others are checked."""

    node: Any
    inputs: list[Ref]
    outputs: list[Ref]

    def reads(self) -> list[Buffer]:
        return [r.buffer for r in self.inputs]

    def writes(self) -> list[Buffer]:
        return [r.buffer for r in self.outputs]


@dataclass(eq=False)
class Loop(Instruction):
    """``body`` run for ``counter`` = 0 .. steps-1 (a host integer parameter of the body), down if ``backwards``.

    The body works on the outer program's buffers: sequences, states and outputs are Refs whose params contain the
    counter, or a name in ``body_params``: an expression of the counter alone, such as a position in a ring buffer.
    ``limit``: an int64 scalar, known only while running; the counter stays below it too. ``until``: a boolean scalar,
    read after each step, that ends the loop when true. ``steps_taken``: an int64 scalar that receives the count.
    """

    steps: int
    counter: str
    body: list[Instruction]
    body_params: dict[str, Expr] = field(default_factory=dict)
    until: Ref | None = None
    steps_taken: Ref | None = None
    limit: Ref | None = None
    backwards: bool = False

    def reads(self) -> list[Buffer]:
        found = [b for i in self.body for b in i.reads()]
        return found + [r.buffer for r in (self.until, self.limit) if r is not None]

    def writes(self) -> list[Buffer]:
        found = [b for i in self.body for b in i.writes()]
        return found + ([self.steps_taken.buffer] if self.steps_taken is not None else [])


@dataclass(eq=False)
class Branch(Instruction):
    """Run ``then`` if the scalar ``condition`` is true, else ``otherwise``; both write the same outputs."""

    condition: Ref
    then: list[Instruction]
    otherwise: list[Instruction]

    def reads(self) -> list[Buffer]:
        return [self.condition.buffer] + [b for i in self.then + self.otherwise for b in i.reads()]

    def writes(self) -> list[Buffer]:
        return [b for i in self.then + self.otherwise for b in i.writes()]


@dataclass(eq=False)
class Program:
    """Everything a target needs to print and run one function at one set of shapes.

    ``params`` are host integers by name, as expressions of the call's inputs, computed before the program starts.
    ``outputs`` and ``updates`` are Refs of whole fresh buffers, or of a dynamic one.
    """

    name: str
    inputs: list[Ref]
    shared: list[Ref]
    constants: list[Buffer]
    instructions: list[Instruction]
    outputs: list[Ref]
    updates: list[Ref]
    params: dict[str, Expr]
    buffers: list[Buffer]
    #: what times the instructions: an object with ``register(program) -> record(instruction, begin, end)``, or None
    profile: Any = None
    #: bytes that the instructions read and wrote before fusion; known where there is a profile
    unfused_bytes: int | None = None
    borrowed: tuple[bool, ...] = ()  # outputs that the caller takes as they lie: views of ours, or on the device

    def temporaries(self) -> list[Buffer]:
        return [b for b in self.buffers if b.kind == "temp"]
