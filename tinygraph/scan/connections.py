"""Which inputs of a loop the gradient of which output reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygraph.graph.variable import Variable

if TYPE_CHECKING:
    from tinygraph.scan.op import Scan


def inner_reach(op: Scan) -> list[set[int]]:
    """For each inner output the positions of the inner inputs that it depends on differentiably, within one step."""
    reach: dict[Variable, set[int]] = {v: {i} for i, v in enumerate(op.inner.inputs)}
    for node in op.inner.nodes:
        hit = [(i, reach[v]) for i, v in enumerate(node.inputs) if reach.get(v)]
        if not hit:
            continue
        pattern = node.op.connection_pattern(node)
        for k, out in enumerate(node.outputs):
            found: set[int] = set()
            for i, positions in hit:
                if pattern[i][k]:
                    found |= positions
            reach[out] = found
    return [reach.get(v, set()) for v in op.inner.outputs]


def connection_pattern(op: Scan) -> list[list[bool]]:
    """``[outer input][outer output]``, dependencies carried on by states included."""
    spec = op.spec
    n_states = len(spec.states)
    reach = inner_reach(op)
    state_of: dict[int, int] = {}  # inner position of a reading -> its state
    at = spec.n_seqs
    for k, s in enumerate(spec.states):
        for _ in s.taps:
            state_of[at] = k
            at += 1
    through = [{state_of[i] for i in positions if i in state_of} | ({k} if k < n_states else set())
               for k, positions in enumerate(reach)]  # fmt: skip
    changed = True
    while changed:
        changed = False
        for states in through:
            more = set().union(*(through[s] for s in states)) - states
            if more:
                states |= more
                changed = True
    total = [
        set(positions).union(*(reach[s] for s in states))
        for positions, states in zip(reach, through, strict=True)
    ]
    n_out = n_states + len(spec.outs)
    first_nonseq = spec.n_seqs + spec.n_taps
    rows: list[list[bool]] = [[False] * (n_out + spec.until) for _ in range(1 + spec.limited)]
    tail = [False] * spec.until
    rows += [[i in total[k] for k in range(n_out)] + tail for i in range(spec.n_seqs)]
    rows += [[s in through[k] for k in range(n_out)] + tail for s in range(n_states)]
    rows += [[first_nonseq + i in total[k] for k in range(n_out)] + tail for i in range(spec.n_nonseqs)]
    return rows
