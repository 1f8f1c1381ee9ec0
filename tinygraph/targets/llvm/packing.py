"""Products inside loops whose right operand stays the same: it is packed into panels once, before the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Buffer, Group, Instruction, Loop, Nest, Program
from tinygraph.program.text import nest_text
from tinygraph.targets.llvm import panels
from tinygraph.targets.numpy.contraction import plan
from tinygraph.targets.numpy.views import merge_axes

#: fewer multiplications, or fewer rows, are left to other kernels
_LEAST_WORK, _LEAST_ROWS = 2048, 2
#: the place of a buffer's first element, in a kernel's table
_START = [0, *[("param", None), 0] * panels.PARAMS]


@dataclass(eq=False, repr=False)
class Pack(Instruction):
    """The panels of a matrix (inner x columns) that lies at ``matrix`` with ``strides``."""

    matrix: Access
    inner: int
    columns: int
    strides: tuple[int, int]
    shape: panels.Shape
    panels: Buffer

    def __repr__(self) -> str:
        return f"{self.panels} = panels of {self.matrix.buffer}"

    def reads(self) -> list[Buffer]:
        return [self.matrix.buffer]

    def writes(self) -> list[Buffer]:
        return [self.panels]

    @property
    def role(self) -> str:
        return "packed into panels"

    def own_cost(self) -> tuple[int, int]:
        return 0, self.inner * self.columns * self.matrix.buffer.itemsize + self.panels.nbytes

    @property
    def key(self) -> tuple:
        """What two packs have in common that make the same panels."""
        return self.matrix, self.inner, self.columns, self.strides, self.shape

    @property
    def extent(self) -> int:
        """How many panels there are."""
        return -(-self.columns // self.shape.width)

    def slots(self) -> list[Any]:
        lines = self.shape.lines(self.inner)
        return [self.columns, self.inner, *self.strides, lines, *_place(self.matrix), ("buffer", self.panels), *_START]


@dataclass(eq=False, repr=False)
class Packed(Instruction):
    """The product ``nest``, its right operand in panels."""

    nest: Nest
    matrices: Matrices
    pack: Pack

    def __repr__(self) -> str:
        return f"with {self.pack.panels}: {nest_text(self.nest)}"

    def reads(self) -> list[Buffer]:
        own = [self.nest.out.buffer] if self.nest.accumulate else []
        return [self.matrices.left.buffer, self.pack.panels, *own]

    def writes(self) -> list[Buffer]:
        return [self.nest.out.buffer]

    @property
    def role(self) -> str:
        return "with packed panels"

    def own_cost(self) -> tuple[int, int]:
        m = self.matrices
        elements = m.rows * m.inner + m.rows * m.columns * (1 + self.nest.accumulate)
        return 2 * self.nest.points, elements * self.nest.out.buffer.itemsize + self.pack.panels.nbytes

    def slots(self) -> list[Any]:
        m, lines = self.matrices, self.pack.shape.lines(self.matrices.inner)
        places = [*_place(m.left), ("buffer", self.pack.panels), *_START, *_place(self.nest.out)]
        return [m.columns, m.inner, *m.left_steps, m.out_step, lines, *places]


def _place(a: Access) -> list[Any]:
    moves = [*a.params, *[(None, 0)] * (panels.PARAMS - len(a.params))]
    return [("buffer", a.buffer), a.offset, *[x for name, k in moves for x in (("param", name), k)]]


def pack_products(program: Program, bits: int) -> None:
    """Let the products in the program's loops read panels, packed before the outermost loop that leaves them alone."""
    program.instructions = _packing(program.instructions, program, bits)


def _packing(block: Sequence[Instruction], program: Program, bits: int) -> list[Instruction]:
    out: list[Instruction] = []
    for i in block:
        if isinstance(i, Loop):
            i.body = _packing(i.body, program, bits)
            out += _hoisted(i, program, bits)
        out.append(i)
    return out


def _hoisted(loop: Loop, program: Program, bits: int) -> list[Pack]:
    """Takes the packing of what ``loop`` does not change out of its body, in which products are made to use it."""
    fixed = _Fixed(set(loop.writes()), {loop.counter, *loop.body_params}, program, bits)
    body: list[Instruction] = []
    for i in loop.body:
        if isinstance(i, Pack) and fixed.holds(i.matrix):
            fixed.packs.append(i)
            continue
        if isinstance(i, Group) and len(i.nests) == 1:
            body.append(fixed.packed(i) or i)
        else:
            body.append(i)
    loop.body = body
    return fixed.packs


class _Fixed:
    """What a loop leaves as it is."""

    def __init__(self, written: set[Buffer], moving: set[str], program: Program, bits: int):
        self.written, self.moving, self.program, self.bits = written, moving, program, bits
        self.packs: list[Pack] = []

    def holds(self, a: Access) -> bool:
        return a.buffer not in self.written and not any(name in self.moving for name, _ in a.params)

    def packed(self, g: Group) -> Packed | None:
        """The group's one product with its right operand packed, if that is fixed and it pays."""
        nest = g.nests[0]
        found = matrices(nest)
        if found is None or not self.holds(found.right):
            return None
        if found.rows < _LEAST_ROWS or nest.points < _LEAST_WORK:
            return None
        shape = panels.best_shape(nest.dtype, self.bits, found.rows, found.columns)
        size = -(-found.columns // shape.width) * shape.width * shape.lines(found.inner)
        buffer = Buffer(1 + max(b.id for b in self.program.buffers), nest.dtype, size, "temp")
        pack = Pack(found.right, found.inner, found.columns, found.right_steps, shape, buffer, origin=g.origin,
                    label=g.label, source=nest.source)  # fmt: skip
        known = next((p for p in self.packs if p.key == pack.key), None)
        if known is None:
            self.packs.append(pack)
            self.program.buffers.append(buffer)
        return Packed(nest, found, known or pack, origin=g.origin, label=g.label, source=nest.source)


@dataclass
class Matrices:
    """A nest as ``out = left @ right``: sizes, and steps in elements (row, inner), (inner, column) and (row)."""

    left: Access
    right: Access
    rows: int
    inner: int
    columns: int
    left_steps: tuple[int, int]
    right_steps: tuple[int, int]
    out_step: int
    row_axes: tuple[int, ...]


def matrices(nest: Nest) -> Matrices | None:
    """The product that the nest is, with columns that lie side by side in ``out``; None if it is none."""
    if not is_contraction(nest) or nest.out.dynamic is not None:
        return None
    found = plan(nest)
    if found is None or found.loop or any(len(a.params) > panels.PARAMS for a in (*nest.accesses(), nest.out)):
        return None
    left, right, rows, columns = found.left.access, found.right.access, found.rows, found.columns
    if columns and _step(nest, nest.out, columns) != 1:
        left, right, rows, columns = right, left, columns, rows
    steps = [_step(nest, left, rows), _step(nest, left, found.inner), _step(nest, right, found.inner),
             _step(nest, right, columns), _step(nest, nest.out, rows)]  # fmt: skip
    if None in steps or not rows or _step(nest, nest.out, columns) != 1:
        return None
    row, left_inner, right_inner, column, out_row = (s or 0 for s in steps)
    m, k, n = (prod(nest.extents[x] for x in axes) for axes in (rows, found.inner, columns))
    return Matrices(left, right, m, k, n, (row, left_inner), (right_inner, column), out_row, tuple(rows))


def _step(nest: Nest, a: Access, axes: Sequence[int]) -> int | None:
    """The one step that takes ``a`` along all of ``axes`` in order, if there is one."""
    return merge_axes([nest.extents[k] for k in axes], [a.strides[k] for k in axes])
