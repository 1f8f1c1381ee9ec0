"""Constants that a kernel reads from its table, so that one kernel serves all their values.

A learning rate, or one over the number of samples, is no reason to compile a kernel anew.
"""

from __future__ import annotations

from math import frexp, isfinite

import numpy as np

from tinygraph.program.expr import Expr, postorder

#: operations whose code does not get better by knowing an operand
_ARITHMETIC = frozenset("add sub mul div maximum minimum lt le gt ge select".split())


def table_numbers(e: Expr) -> set[int]:
    """Which constants of an expression, by ``id``, are read from the table: floats in arithmetic only.

    Powers of two stay in the code: a division by one is a multiplication.
    """
    inside: set[int] = set()
    elsewhere = {id(e)}
    for x in postorder(e):
        for a in x.args:
            if a.op == "const" and a.dtype[0] == "f":
                (inside if x.op in _ARITHMETIC and not _is_simple(a.attr) else elsewhere).add(id(a))
    return inside - elsewhere


def _is_simple(value: float) -> bool:
    return not isfinite(value) or value == 0 or abs(frexp(value)[0]) == 0.5


def bits_of(value: float, dtype: str) -> int:
    """A number as the table holds it."""
    return int(np.array(value, dtype).view(f"int{8 * np.dtype(dtype).itemsize}"))
