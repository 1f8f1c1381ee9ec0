"""Updates that a loop makes of shared variables, remembered at the histories that hold the new values.

``scan`` returns these updates; a caller who forgets to pass them on still gets them: ``function`` asks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygraph.errors import InvalidUpdate
from tinygraph.graph.op import Apply
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.variable import Variable
from tinygraph.scan.op import Scan


def mark_update(history: Variable, shared: SharedVariable, loop: Any) -> None:
    """The newest row of ``history`` is the value of ``shared`` after ``loop`` (any object that stands for it)."""
    history.tag.update_of = (shared, loop)


def newest(history: Any) -> Any:
    """The last row made, also where ``until`` decides which that is."""
    op, outputs = history.owner.op, history.owner.outputs
    state = op.spec.states[history.index]
    if op.spec.until and state.keep is None:
        return history[outputs[-1] + (state.depth - 1)]
    return history[-1]


def pending_updates(nodes: Iterable[Apply]) -> dict[SharedVariable, Variable]:
    """Shared variables and their new values, of all loops among ``nodes``.

    Raises InvalidUpdate where two loops update one variable.
    """
    found: dict[SharedVariable, Variable] = {}
    loops: dict[SharedVariable, Any] = {}
    for node in nodes:
        if not isinstance(node.op, Scan):
            continue
        for history in node.outputs[: len(node.op.spec.states)]:
            mark = history.__dict__.get("_tag") and history.tag.__dict__.get("update_of")
            if not mark:
                continue
            shared, loop = mark
            if loops.setdefault(shared, loop) is not loop:
                raise InvalidUpdate(
                    f"two loops update the shared variable {shared}; pass the update that is meant in updates=, "
                    f"or let the "
                    "second loop start from the first one's result"
                )
            if shared not in found:
                found[shared] = newest(history)
    return found
