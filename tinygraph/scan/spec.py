"""What a loop consists of: sequences, states with their taps, outputs, invariants.

A loop of ``T`` steps works on these arrays:

- a *sequence* has ``T`` rows or more; step ``t`` reads row ``t``;
- a *state* with taps ``k1, k2, ..`` and depth ``D = max(k)`` lives in a history of ``D + T`` rows. The first ``D`` are
  its initial values, step ``t`` reads the values made ``k`` steps before it and appends a new one;
- an *output* gets one row from each step;
- an *invariant* (non-sequence) is the same at every step.

``backwards`` turns time around: steps run from ``T - 1`` to ``0``, sequences and outputs keep their order, and a
history holds its initial values in the *last* ``D`` rows, so that the value made at time ``t`` is row ``t``. The
gradient of a loop is such a loop; so nothing is ever reversed in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


class until:  # noqa: N801 - Theano's name
    """Returned by a step function, last: the loop ends after the first step at which ``condition`` is true."""

    def __init__(self, condition: Any):
        from tinygraph.errors import TypeMismatch
        from tinygraph.tensor.basic import as_tensor_variable

        self.condition = as_tensor_variable(condition)
        if self.condition.type.ndim != 0:
            raise TypeMismatch(
                f"until() takes a scalar condition, got {self.condition} of type {self.condition.type}"
            )


@dataclass(frozen=True)
class State:
    """A value that steps hand on. ``taps``: how many steps back each reading lies, in the order of the inner inputs.

    ``keep``: how many of the newest rows of its history are returned (at least its depth); None: all of them.
    """

    taps: tuple[int, ...]
    keep: int | None = None
    depth: int = 1

    @property
    def ring(self) -> int:
        """Rows that a ring buffer needs: what is read or returned, and one to write."""
        return max(self.keep or 0, self.depth + 1)


@dataclass(frozen=True)
class ScanSpec:
    """The form of a loop; the order of inner inputs is sequences, state readings (state by state), invariants."""

    n_seqs: int
    states: tuple[State, ...]
    #: for each output how many of its last rows are returned; None: all
    outs: tuple[int | None, ...]
    n_nonseqs: int
    #: the last inner output ends the loop when true; a last outer output counts the steps taken
    until: bool = False
    #: a second outer input, a number known only while running, bounds the steps (the gradient of ``until`` loops)
    limited: bool = False
    backwards: bool = False
    #: steps that the gradient goes back, -1 for all
    truncate: int = -1
    #: the gradient recomputes everything within a step from the states, instead of keeping it
    recompute: bool = False
    #: fewer steps than this are an error: rows that do not exist are asked for
    at_least: int = 0
    name: str = field(default="", compare=False)

    @property
    def n_taps(self) -> int:
        return sum(len(s.taps) for s in self.states)

    @property
    def n_inner_inputs(self) -> int:
        return self.n_seqs + self.n_taps + self.n_nonseqs

    @property
    def label(self) -> str:
        """How errors call the loop."""
        return f"scan {self.name!r}" if self.name else "scan"

    def with_(self, **changes: Any) -> ScanSpec:
        return replace(self, **changes)
