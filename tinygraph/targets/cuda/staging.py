"""Operands of products that begin where a host integer says, a mini-batch of a data set say, copied to a fixed place.

A captured call tells cuBLAS addresses. With the slice copied first, by a kernel that reads the integer itself, one
captured call serves every mini-batch; the copy is small beside the product.
"""

from __future__ import annotations

from typing import Any

from tinygraph.program.expr import Access, Expr, load
from tinygraph.program.instructions import Buffer, Group, Instruction, Nest, Program
from tinygraph.targets.cuda.products import is_product


def stage(program: Program) -> None:
    """Rewrite the program's products (not those in loops) so that their operands lie at fixed addresses."""
    names = set(program.params)
    out: list[Instruction] = []
    known: dict[Any, Buffer] = {}
    for i in program.instructions:
        if isinstance(i, Group) and is_product(i.nests[0]):
            out += _staged(program, i, names, known)
        else:
            out.append(i)
    program.instructions = out


def _staged(program: Program, group: Group, names: set[str], known: dict[Any, Buffer]) -> list[Instruction]:
    nest = group.nests[0]
    copies: list[Instruction] = []
    factors: list[Expr] = []
    for x in nest.expr.args:
        if not any(name in names for name, _ in x.attr.params):
            factors.append(x)
            continue
        copy, access = _copied(program, nest, x.attr, known)
        if copy is not None:
            copies.append(Group([copy], len(copy.extents), origin=nest.origin, label="copy"))
        factors.append(load(access, x.dtype))
    if any(x is not y for x, y in zip(factors, nest.expr.args, strict=True)):
        product = Expr("mul", tuple(factors), nest.dtype)
        group.nests[0] = Nest(nest.extents, nest.kinds, product, nest.out, nest.combine, nest.accumulate,
                              origin=nest.origin, label=nest.label)  # fmt: skip
        group.nests[0].source = nest.source
    return [*copies, group]


def _copied(program: Program, nest: Nest, a: Access, known: dict[Any, Buffer]) -> tuple[Nest | None, Access]:
    """A nest that copies what the operand reads into a new buffer, and the operand's access to that.

    What no call writes, a data set say, is copied once for all products that read the same of it.
    """
    span = 1 + sum(abs(s) * (e - 1) for s, e in zip(a.strides, nest.extents, strict=True))
    first = a.offset + sum(min(s, 0) * (e - 1) for s, e in zip(a.strides, nest.extents, strict=True))
    key = (a.buffer, first, span, a.params) if a.buffer.kind in ("input", "shared", "const") else None
    if key in known:
        return None, Access(known[key], a.offset - first, a.strides)
    buffer = Buffer(len(program.buffers), a.buffer.dtype, span, "temp")
    program.buffers.append(buffer)
    if key is not None:
        known[key] = buffer
    source, target = Access(a.buffer, first, (1,), a.params), Access(buffer, 0, (1,))
    copy = Nest((span,), "p", load(source, a.buffer.dtype), target, origin=nest.origin, label="copy")
    copy.source = nest.source
    return copy, Access(buffer, a.offset - first, a.strides)
