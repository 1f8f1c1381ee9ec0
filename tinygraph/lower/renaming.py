"""Other buffers in place of some, throughout a program's instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import Branch, Buffer, Group, Host, Instruction, Loop, Nest, Ref, Routine


def rename(block: Sequence[Instruction], moved: Mapping[Buffer, Buffer]) -> None:
    """Let the instructions, and those inside them, read and write ``moved[b]`` wherever they say ``b``."""
    for i in block:
        if isinstance(i, Nest):
            i.expr = renamed(i.expr, moved)
            i.out = _access(i.out, moved)
        elif isinstance(i, Group):
            rename(i.nests, moved)
        elif isinstance(i, Loop):
            rename(i.body, moved)
            _refs([r for r in (i.until, i.limit, i.steps_taken) if r is not None], moved)
        elif isinstance(i, Branch):
            _refs([i.condition], moved)
            rename(i.then, moved)
            rename(i.otherwise, moved)
        elif isinstance(i, (Routine, Host)):
            _refs([*i.inputs, *i.outputs], moved)


def renamed(e: Expr, moved: Mapping[Buffer, Buffer]) -> Expr:
    """The expression with its loads renamed; itself where nothing changes."""
    new: dict[int, Expr] = {}
    for x in postorder(e):
        if x.op == "load":
            there = _access(x.attr, moved)
            new[id(x)] = x if there is x.attr else Expr("load", (), x.dtype, there)
        else:
            args = tuple([new[id(a)] for a in x.args])
            same = all([p is q for p, q in zip(args, x.args, strict=True)])
            new[id(x)] = x if same else Expr(x.op, args, x.dtype, x.attr)
    return new[id(e)]


def _access(a: Access, moved: Mapping[Buffer, Buffer]) -> Access:
    dynamic = None if a.dynamic is None else renamed(a.dynamic, moved)
    if a.buffer not in moved and dynamic is a.dynamic:
        return a
    return a._replace(buffer=moved.get(a.buffer, a.buffer), dynamic=dynamic)


def _refs(refs: Sequence[Ref], moved: Mapping[Buffer, Buffer]) -> None:
    for r in refs:
        r.buffer = moved.get(r.buffer, r.buffer)
