"""Printing loops: a Python ``for`` over arrays that were made before it.

What a step reads and writes moves with the counter. Making a view costs as much as a small NumPy call, so the views of
all steps are made together, once for each workspace (or at the head of the call where the memory comes with it), as
lists through which one ``zip`` runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.lower.host import PythonPrinter
from tinygraph.program.expr import Access
from tinygraph.program.instructions import Loop
from tinygraph.targets.numpy.code import Lines

if TYPE_CHECKING:
    from tinygraph.targets.numpy.code import Code
    from tinygraph.targets.numpy.printer import ProgramPrinter


def rows(x: np.ndarray) -> list[np.ndarray]:
    """The rows of ``x`` as views, those of a vector as arrays without dimensions."""
    return list(x) if x.ndim > 1 else [x[i, ...] for i in range(len(x))]


class LoopScope:
    """A loop whose body is being printed, and the lists of views that it runs through."""

    def __init__(self, loop: Loop, indent: int):
        self.loop = loop
        self.lists: list[tuple[str, str]] = []  # (name inside the loop, name of the list)
        self.before = Lines(indent)
        self.names = {loop.counter, *loop.body_params}
        self.order = range(loop.steps - 1, -1, -1) if loop.backwards else range(loop.steps)
        self._positions: dict[str, list[int]] = {}

    def moves(self, access: Access) -> bool:
        return any(name in self.names for name, _ in access.params)

    def positions(self, name: str) -> list[int]:
        """The value of a parameter of the body at each step, by counter."""
        if name == self.loop.counter:
            return list(range(self.loop.steps))
        found = self._positions.get(name)
        if found is None:
            value = _function_of(self.loop.counter, self.loop.body_params[name])
            found = self._positions[name] = [value(t) for t in range(self.loop.steps)]
        return found

    def view(self, code: Code, access: Access, shape: tuple[int, ...]) -> str:
        """The name, inside the loop, of a view that moves with the counter."""
        mine = [(name, k) for name, k in access.params if name in self.names]
        others = tuple(p for p in access.params if p[0] not in self.names)
        at = [
            sum(k * p for (_, k), p in zip(mine, ps, strict=True))
            for ps in zip(*(self.positions(n) for n, _ in mine))
        ]
        step = _common_step(at)
        count = (max(at) - min(at)) // step + 1 if at else 0
        first = min(at, default=0)
        base_access = Access(access.buffer, access.offset + first, (step, *access.strides), others)
        base = code.view(base_access, (count, *shape))
        index = [(a - first) // step for a in at]
        text = f"rows({base})"
        if self.loop.limit is None and self.loop.backwards:
            index = index[::-1]
        if index == list(range(count))[::-1] and count > 1:
            text += "[::-1]"
        elif index != list(range(count)):
            text = f"[r[i] for r in [{text}] for i in {code.constant(index)}]"
        name, item = code.fresh("l"), code.fresh("x")
        bound = access.buffer.kind in ("temp", "const") and not others
        outer = any(s.moves(base_access) for s in code.loops if s is not self)
        lines = code.bind if bound else self.before if outer else code.head
        lines.add(f"{name} = {text}")
        if bound:
            code.bound.append(name)
        self.lists.append((item, name))
        return item


def _function_of(counter: str, e: Any) -> Any:
    """A Python function of the counter for a body parameter."""
    printer = PythonPrinter()
    result = printer.name(e)
    lines = "".join(f"    {line}\n" for line in printer.lines)
    space: dict[str, Any] = {}
    exec(f"def value({counter}):\n{lines}    return {result}\n", space)
    return space["value"]


def _common_step(at: Sequence[int]) -> int:
    """The largest step, in elements, in which all positions lie."""
    step = 0
    for a in at:
        step = int(np.gcd(step, abs(a - at[0])))
    return step or 1


def print_loop(p: ProgramPrinter, loop: Loop) -> None:
    """Print ``loop`` into the printer's body."""
    code = p.code
    outside = code.body
    scope = LoopScope(loop, outside.indent)
    code.loops.append(scope)
    code.body = Lines(outside.indent + 1)
    for i in loop.body:
        p.instruction(i)
    if loop.until is not None:
        code.body.add(f"if {p.array(loop.until)}: break")
    inside, code.body = code.body, outside
    code.loops.pop()
    _print_names(scope, inside)
    outside.text += scope.before.text
    _print_head(p, scope, inside)


def _print_names(scope: LoopScope, inside: Lines) -> None:
    """Where the body uses the counter or a parameter as a number, let the loop supply it."""
    text = str(inside)
    loop = scope.loop
    lines = [f"{name} = {{}}" for name in loop.body_params if re.search(rf"\b{name}\b", text)]
    heads = Lines(inside.indent)
    for line in lines:
        name = line.split(" = ")[0]
        printer = PythonPrinter()
        result = printer.name(loop.body_params[name])
        for step in printer.lines:
            heads.add(step)
        heads.add(f"{name} = {result}")
    inside.text[:0] = heads.text
    if lines or re.search(rf"\b{loop.counter}\b", text):
        order = "range" if scope.loop.limit is not None or not loop.backwards else "reversed(range"
        tail = ")" if order == "range" else "))"
        scope.lists.append((loop.counter, f"{order}({loop.steps}{tail}"))


def _print_head(p: ProgramPrinter, scope: LoopScope, inside: Lines) -> None:
    loop, out = scope.loop, p.code.body
    lists = [name for _, name in scope.lists]
    bound = str(loop.steps)
    if loop.limit is not None:
        bound, part = p.code.fresh("n"), p.code.fresh("n")
        out.add(f"{bound} = min({loop.steps}, max(0, int({p.array(loop.limit)})))")
        cut = (
            f"(slice({bound} - 1, None, -1) if {bound} else slice(0))"
            if loop.backwards
            else f"slice({bound})"
        )
        out.add(f"{part} = {cut}")
        lists = [f"{name}[{part}]" for name in lists]
    names = ", ".join(item for item, _ in scope.lists)
    if lists:
        source, target = f"zip({', '.join(lists)})", f"({names},)"
    else:
        source, target = f"range({bound})", "_"
    taken = p.code.fresh("n")
    if loop.steps_taken is not None:
        out.add(f"{taken} = 0")
        source, target = f"enumerate({source}, 1)", f"{taken}, {target}"
    with out.block(f"for {target} in {source}:"):
        out.text += inside.text
    if loop.steps_taken is not None:
        out.add(f"{p.array(loop.steps_taken)}[...] = {taken}")
