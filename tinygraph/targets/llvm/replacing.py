"""Nests of a program that other instructions take the place of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygraph.program.instructions import Instruction, Nest, Program


def replace_nests(program: Program, made: Callable[[Program, Nest], Sequence[Instruction] | None]) -> None:
    """Put ``made(program, nest)`` in the place of each nest for which that is not None."""
    for i in list(program.instructions):
        found = made(program, i) if isinstance(i, Nest) else None
        if found is not None:
            for m in found:
                m.origin, m.label, m.source = i.origin, i.label, i.source
            at = program.instructions.index(i)
            program.instructions[at : at + 1] = found
