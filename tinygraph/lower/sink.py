"""Cheap elementwise nests whose rows only a loop's steps read move into the loop: a row at the step that reads it.

before -> after::

    d[t, i] = 1 - h[t, i]                             loop over t:
    loop over t:                             ->           e[i] = 1 - h[t, i]
        g[i] = d[t, i] * g[i]                             g[i] = e[i] * g[i]

Passes on the graph take such work out of loops, where a step is a round of Python calls. Native steps cost next to
nothing, and here the result of all steps would be written to memory and read again: fusion lets ``e`` stay in a
register. Rows gathered by index move likewise, and so stay in the cache that holds their table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinygraph.lower.cost import operations
from tinygraph.lower.overwritten import fills
from tinygraph.program.expr import Access, Expr, load, loads, postorder
from tinygraph.program.instructions import Branch, Buffer, Instruction, Loop, Nest, Program

#: scalar operations for an element, up to which threads would not gain by sharing all rows out before the loop
_OPERATIONS = 8
#: host integers that may move one operand
_PARAMS = 2


def sink_into_loops(program: Program) -> None:
    """Move them, in place, in the program and in its loops; before fusion."""
    kept = {r.buffer for r in (*program.outputs, *program.updates)}
    program.instructions = _sunk(program.instructions, program, kept)


def _sunk(block: list[Instruction], program: Program, kept: set[Buffer]) -> list[Instruction]:
    last_write = {b: at for at, i in enumerate(block) for b in i.writes()}
    writers: dict[Buffer, int] = {}
    readers: dict[Buffer, list[Instruction]] = {}
    for i in block:
        for b in set(i.writes()):
            writers[b] = writers.get(b, 0) + 1
        for b in set(i.reads()):
            readers.setdefault(b, []).append(i)
    out: list[Instruction] = []
    for at in reversed(range(len(block))):
        i = block[at]
        if isinstance(i, Nest) and i.out.buffer not in kept and writers[i.out.buffer] == 1:
            found = readers.get(i.out.buffer, [])
            loop = found[0] if len(found) == 1 else None
            steady = all(last_write.get(b, -1) < at for b in i.reads())
            if isinstance(loop, Loop) and steady and _into(loop, i, program):
                for b in set(i.reads()):
                    readers[b] = [x for x in readers[b] if x is not i]
                    if loop not in readers[b]:
                        readers[b].append(loop)
                continue
        elif isinstance(i, Loop):
            i.body = _sunk(i.body, program, kept)
        elif isinstance(i, Branch):
            i.then, i.otherwise = (_sunk(x, program, kept) for x in (i.then, i.otherwise))
        out.append(i)
    return out[::-1]


def _into(loop: Loop, n: Nest, program: Program) -> bool:
    """Let the loop compute a row of ``n`` at each step, if that can be and pays; whether it does."""
    size = _row(loop, n)
    if size is None:
        return False
    row = Buffer(1 + max(b.id for b in program.buffers), n.out.buffer.dtype, size, "temp")
    made = _at_step(loop, n, row)
    if made is None:
        return False
    program.buffers.append(row)
    loop.body = [made, *[_reading(i, n.out.buffer, row) if isinstance(i, Nest) else i for i in loop.body]]
    return True


def _row(loop: Loop, n: Nest) -> int | None:
    """How many elements of ``n``'s result a step of the loop reads; None unless each step reads the row of its own."""
    b = n.out.buffer
    if b.kind != "temp" or n.combine is not None or n.accumulate or n.out.dynamic is not None or n.out.params:
        return None
    if operations(n.expr) > _OPERATIONS or n.out.offset or not fills(n):
        return None
    if any(r is not None and r.buffer is b for r in (loop.until, loop.limit)):
        return None
    sizes: set[int] = set()
    for i in loop.body:
        if b not in i.reads():
            continue
        if not isinstance(i, Nest):
            return None
        plain = [x.attr for x in postorder(i.expr) if x.op == "load" and x.attr.buffer is b]
        if {*plain} != {a for a in i.accesses() if a.buffer is b}:
            return None  # within an address
        for a in plain:
            if a.dynamic is not None or len(a.params) != 1 or a.params[0][0] != loop.counter or a.offset < 0:
                return None
            size = a.params[0][1]
            reach = a.offset + sum(max(s, 0) * (e - 1) for s, e in zip(a.strides, i.extents, strict=True))
            if reach >= size or any(s < 0 for s in a.strides):
                return None
            sizes.add(size)
    return sizes.pop() if len(sizes) == 1 else None


def _at_step(loop: Loop, n: Nest, row: Buffer) -> Nest | None:
    """What ``n`` computes for one step, into ``row``."""
    live = [k for k, e in enumerate(n.extents) if e > 1]
    if not live or any(x.op in ("axis", "philox") for x in postorder(n.expr)):
        return None
    k = max(live, key=lambda k: n.out.strides[k])  # the rows', perhaps with outer axes of the row itself
    steps, rest = divmod(n.out.buffer.size, row.size)
    inside, uneven = divmod(row.size, n.out.strides[k])
    if rest or uneven or inside * steps != n.extents[k] or inside == 0 or steps < loop.steps:
        return None
    if any(x.op == "axis" for y in loads(n.expr) if y.attr.dynamic is not None for x in postorder(y.attr.dynamic)):
        return None

    def stay(strides: Sequence[int]) -> tuple[int, ...]:
        return tuple(s for j, s in enumerate(strides) if j != k or inside > 1)

    def access(a: Access) -> Access:
        dynamic = None if a.dynamic is None else expression(a.dynamic)
        params = (*a.params, (loop.counter, a.strides[k] * inside)) if a.strides[k] else a.params
        return Access(a.buffer, a.offset, stay(a.strides), params, dynamic)

    def expression(e: Expr) -> Expr:
        memo: dict[int, Expr] = {}
        for x in postorder(e):
            if x.op == "load":
                memo[id(x)] = load(access(x.attr), x.dtype)
            else:
                memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
        return memo[id(e)]

    extents = [inside if j == k else e for j, e in enumerate(n.extents)]
    made = replace(n, extents=stay(extents), kinds="p" * len(stay(extents)), expr=expression(n.expr),
                   out=Access(row, 0, stay(n.out.strides)))  # fmt: skip
    return made if all(len(x.attr.params) <= _PARAMS for x in loads(made.expr)) else None


def _reading(n: Nest, b: Buffer, row: Buffer) -> Nest:
    """``n``, which reads this step's row of ``b`` from ``row``."""
    if b not in n.reads():
        return n
    memo: dict[int, Expr] = {}
    for x in postorder(n.expr):
        if x.op == "load":
            a = x.attr
            memo[id(x)] = load(Access(row, a.offset, a.strides), x.dtype) if a.buffer is b else x
        else:
            memo[id(x)] = Expr(x.op, tuple(memo[id(a)] for a in x.args), x.dtype, x.attr) if x.args else x
    return replace(n, expr=memo[id(n.expr)])
