"""What instructions are called in profiles and in front of their code: the ops whose work they do, all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tinygraph.program.instructions import Group, Instruction, Nest

#: ops that a title names one by one
_NAMED = 6


def title(i: Instruction) -> str:
    """The ops that an instruction computes, in order, each once; of copies and the like, what they do for the op.

    ``ConvForward + MaxPool + Elemwise{tanh}``, ``ConvGradWeights (copy)``.
    """
    if isinstance(i, Group) and len(i.nests) > 1:
        works = [n for n in i.nests if not n.role] or i.nests
        helpers = [n for n in i.nests if n.role and not any(n.label in w.label for w in works)]
        names = list(dict.fromkeys(name for n in i.nests if n in works or n in helpers for name in _names(n)))
    else:
        names = list(dict.fromkeys(_names(i.nests[0] if isinstance(i, Group) and i.nests else i)))
    more = len(names) - _NAMED
    if more > 1:
        names = [*names[:_NAMED], f"{more} more"]
    return " + ".join(names) or type(i).__name__


def _names(i: Instruction) -> Iterator[str]:
    """The parts of a label, those that inlining joined, and at the last what the instruction does for it."""
    parts = _split(i.label)
    if i.role:
        parts[-1] = f"{parts[-1]} ({i.role})".strip()
    yield from (p for p in parts if p)


def _split(label: str) -> list[str]:
    """A label at its outer plus signs: those within braces belong to a parameter."""
    return re.split(r" \+ (?![^{]*\})", label)


def op_class(name: str) -> str:
    """The class of the op that a name of a title begins with: ``Elemwise`` of ``Elemwise{tanh}``."""
    return re.split(r"[{ ]", name, maxsplit=1)[0]


def main_op(i: Instruction, weight: dict[Nest, int]) -> str:
    """The class of the op that most of an instruction's work is for, by the ``weight`` of its nests."""
    if isinstance(i, Group) and i.nests:
        i = max(i.nests, key=lambda n: weight.get(n, 0))
    return op_class(i.label) or type(i).__name__
