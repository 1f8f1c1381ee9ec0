"""Checking rewrites numerically: every replaced value is evaluated before and after; the first rule that lies is named.

A value is computed once by the reference evaluator and kept, so checking a compilation costs about one evaluation of
the graph without passes and one of everything that rules built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import RewriteError
from tinygraph.graph.fgraph import OUTPUT, FunctionGraph
from tinygraph.graph.variable import Variable
from tinygraph.passes.reference import evaluate
from tinygraph.passes.rewrite import RULES

#: relative to the largest magnitude in the array, per dtype; rewrites may add up in another order
TOLERANCE = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-9}


class Checker:
    """Observes a graph and compares both sides of each replacement on the values given for its inputs.

    ``allow_improvement``: rules marked "improves" may be finite where the original was not.
    ``checked`` counts the comparisons. Raises RewriteError, with both expressions, from within the replacement.
    """

    def __init__(self, fgraph: FunctionGraph, inputs: Sequence[Any] | Mapping[Variable, Any]):
        pairs = inputs.items() if isinstance(inputs, Mapping) else zip(fgraph.inputs, inputs, strict=True)
        self.fgraph = fgraph
        self.givens = {v: v.type.filter(x, allow_downcast=True) for v, x in pairs}
        self.values: dict[Variable, Any] = {}
        self.checked = 0
        fgraph.observers.append(self._before_replace)

    def remove(self) -> None:
        """Stop observing."""
        if self._before_replace in self.fgraph.observers:
            self.fgraph.observers.remove(self._before_replace)

    def _before_replace(self, fgraph: FunctionGraph, old: Variable, new: Variable, reason: str) -> None:
        before, after = evaluate([old, new], self.givens, self.values)
        self.checked += 1
        known = RULES.get(reason)
        improves = known is not None and known.numerics in ("improves", "fast_math")
        why = difference(before, after, improves, self._scale(old))
        if why is not None:
            raise RewriteError(_message(reason, old, new, why))
        if not _identical(before, after):
            self._forget_downstream(old)

    def _scale(self, old: Variable) -> float:
        """The largest magnitude among the operands: rounding is relative to them where they cancel."""
        operands = old.owner.inputs if old.owner is not None else []
        known = [self.values.get(v, getattr(v, "data", None)) for v in operands]
        return max((_magnitude(np.asarray(x)) for x in known if isinstance(x, (np.ndarray, np.generic))), default=0.0)

    def _forget_downstream(self, old: Variable) -> None:
        """What was computed from the old value is stale where the new one is better."""
        stack, seen = [old], {old}
        while stack:
            v = stack.pop()
            for user, _ in self.fgraph.clients.get(v, ()):
                if user is OUTPUT:
                    continue
                for out in user.outputs:
                    if out not in seen:
                        seen.add(out)
                        self.values.pop(out, None)
                        stack.append(out)


def _magnitude(x: np.ndarray) -> float:
    if x.dtype.kind != "f" or not x.size:
        return 0.0
    return float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0))


def difference(before: Any, after: Any, improves: bool = False, operands: float = 0.0) -> str | None:
    """How two values of one expression differ, or None.

    ``improves``: they may where the first is not finite. ``operands``: magnitude of what the value was computed from.
    """
    if not isinstance(before, np.ndarray) and not np.isscalar(before):
        return None
    a, b = np.asarray(before), np.asarray(after)
    if a.dtype != b.dtype:
        return f"the dtype was {a.dtype} and becomes {b.dtype}"
    if a.shape != b.shape:
        return f"the shape was {a.shape} and becomes {b.shape}"
    wrong = a != b if a.dtype.kind != "f" else _wrong(a, b, improves, operands)
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"at {at or '()'} the value was {a[at]!s} and becomes {b[at]!s} ({int(wrong.sum())} of {wrong.size} differ)"


def _wrong(a: np.ndarray, b: np.ndarray, improves: bool, operands: float) -> np.ndarray:
    """Where two float arrays of one shape differ by more than rounding explains."""
    finite = np.isfinite(a)
    scale = max(_magnitude(a), operands)
    tolerance = TOLERANCE[a.dtype.name]
    bound = tolerance * np.maximum(np.abs(np.where(finite, a, 0)), max(scale, 1e-30) * 1e-3)
    if improves:  # an exact formula differs from a naive one by the naive one's error, of the order of its terms
        bound = np.maximum(bound, tolerance * max(scale, 1.0))
    with np.errstate(all="ignore"):
        close = np.abs(np.where(finite, b, 0) - np.where(finite, a, 0)) <= bound
    wrong = finite & ~(close & np.isfinite(b))
    if not improves:
        return wrong | ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    # a softmax with an infinity in it is nan throughout, where the naive one has a nan among zeros
    return wrong if finite.all() else wrong & ~np.isnan(b)


def _identical(a: Any, b: Any) -> bool:
    try:
        return bool(np.array_equal(a, b, equal_nan=True))
    except TypeError:
        return bool(np.array_equal(a, b))


def _message(reason: str, old: Variable, new: Variable, why: str) -> str:
    from tinygraph.printing.ssa import ssa  # printing stands above the passes

    where = f"\nbuilt at {old.origin.text()}" if old.origin is not None else ""
    return f"rewrite {reason!r} changed a result: {why}{where}\nbefore:\n{ssa(old)}\nafter:\n{ssa(new)}"
