"""Printing a Program as a Python function over NumPy calls."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant
from tinygraph.program.expr import Access
from tinygraph.program.instructions import (
    Branch,
    Group,
    Host,
    Instruction,
    Loop,
    Nest,
    Program,
    Ref,
    Routine,
)
from tinygraph.targets.numpy.code import ALIGN, Code, Lines, buffer_name
from tinygraph.targets.numpy.nests import NestPrinter
from tinygraph.targets.results import is_big


class ProgramPrinter:
    """Prints ``bind`` and ``run`` of a program; see ``targets/numpy/code.py``."""

    def __init__(self, program: Program, tiles: dict[Group, int] | None = None):
        self.program = program
        self.tiles = tiles or {}
        self.code = Code()
        self.marks: list[tuple[str, Instruction]] = []
        for r in (*program.inputs, *program.shared):
            if not r.contiguous:
                steps = [(n - 1) * s for n, s in zip(r.shape, r.strides, strict=True)]
                self.code.uneven[r.buffer] = (sum(min(s, 0) for s in steps), sum(map(abs, steps)) + 1)
        for r in (*program.inputs, *program.shared, *program.outputs, *program.updates):
            if r.contiguous and r.buffer.kind != "temp" and r.buffer not in self.code.uneven:
                self.code.whole_shapes.setdefault(r.buffer, r.shape)

    def source(self) -> str:
        """The whole module's text."""
        timed = self.program.profile is not None
        if timed:
            self.code.body.add("clock = now()")
        for k, instruction in enumerate(self.program.instructions):
            self.instruction(instruction)
            if timed:
                self.code.body.add(f"clock = tick({k}, clock)")
        return self._assemble()

    # -- instructions ---------------------------------------------------------------------------------------------

    def instruction(self, i: Instruction) -> None:
        if not isinstance(i, Group):
            self.mark(i)
        if isinstance(i, Nest):
            self.group(Group([i], 1 if i.kinds.startswith("p") else 0), marked=False)
        elif isinstance(i, Group):
            self.group(i)
        elif isinstance(i, Routine):
            self.routine(i)
        elif isinstance(i, Host):
            self.host(i)
        elif isinstance(i, Loop):
            from tinygraph.targets.numpy.loops import print_loop

            print_loop(self, i)
        elif isinstance(i, Branch):
            self.branch(i)
        else:
            raise NotImplementedError(type(i).__name__)

    def mark(self, i: Instruction) -> None:
        """A comment above the lines of ``i``, by which errors find it again."""
        where = f"# {i.label}" + (f"  {i.origin}" if i.origin is not None else "")
        comment = where if i.label else "# copy"
        self.code.body.add(comment)
        self.marks.append((comment, i))

    def instruction_by_line(self, text: str) -> list[Instruction | None]:
        """For each line of the printed ``text`` the instruction that it is part of."""
        found: list[Instruction | None] = []
        marks = iter(self.marks)
        comment, following = next(marks, ("", None))
        current = None
        for line in text.splitlines():
            if following is not None and line.strip() == comment:
                current = following
                comment, following = next(marks, ("", None))
            found.append(current)
        return found

    def group(self, g: Group, marked: bool = True) -> None:
        for part in g.parts:
            self.group(part)
        if g.parts:
            return
        rows = self.tiles.get(g)
        if rows is None:
            printer = NestPrinter(self.code, None)
            for nest in g.nests:
                if marked:
                    self.mark(nest)
                printer.print(nest)
        else:
            private = {n.out.buffer: n.out.strides[0] for n in g.nests if n.out.buffer in g.private}
            with self.code.tiles(g.nests[0].extents[0], rows, private):
                printer = NestPrinter(self.code, rows, private)
                for nest in g.nests:
                    if marked:
                        self.mark(nest)
                    printer.print(nest)
        self.code.end_group()

    def array(self, r: Ref) -> str:
        """A Ref as an array of its own shape."""
        if r.buffer.kind == "dynamic" or r.dtype == "object":
            return buffer_name(r.buffer)
        return self.code.view(Access(r.buffer, r.offset, r.strides, r.params), r.shape)

    def routine(self, i: Routine) -> None:
        run = self.code.constant(i.run)
        args = [self.array(r) for r in (*i.inputs, *i.outputs)]
        args += [f"{k}={v!r}" for k, v in i.attrs.items()]
        self.code.body.add(f"{run}({', '.join(args)})")

    def host(self, i: Host) -> None:
        run = self.code.constant(HostCall(i.node, [r.buffer.kind == "dynamic" for r in i.outputs]))
        args = ", ".join(self.array(r) for r in i.inputs)
        results = [self.code.fresh("h") for _ in i.outputs]
        self.code.body.add(f"{', '.join(results)}, = {run}({args})")
        for name, r in zip(results, i.outputs, strict=True):
            if r.buffer.kind == "dynamic":
                self.code.body.add(f"{buffer_name(r.buffer)} = {name}")
            else:
                self.code.body.add(f"copyto({self.array(r)}, {name})")

    def branch(self, i: Branch) -> None:
        with self.code.body.block(f"if {self.array(i.condition)}:"):
            for step in i.then:
                self.instruction(step)
        with self.code.body.block("else:"):
            for step in i.otherwise:
                self.instruction(step)

    # -- putting it together --------------------------------------------------------------------------------------

    def results(self, p: Program) -> tuple[list[str], list[str]]:
        """What is handed back. An array that the run made and that is wanted twice is copied."""
        seen: set[str] = set()
        found: list[str] = []
        for r in (*p.outputs, *p.updates):
            name = self.array(r)
            if r.buffer.kind == "dynamic" and name in seen:
                self.code.constants["copy_of"] = copy.deepcopy
                name = f"copy_of({name})"
            seen.add(name)
            found.append(name)
        return found[: len(p.outputs)], found[len(p.outputs) :]

    def _assemble(self) -> str:
        p, code = self.program, self.code
        results = self.results(p)
        run = Lines()
        if code.bound:
            run.add(f"({', '.join(code.bound)},) = w")
        for kind, refs in (("input", p.inputs), ("shared", p.shared)):
            used = [f"{kind}{r.buffer.slot}" for r in refs]
            if used:
                run.add(f"{', '.join(used)}, = {kind}s")
        if p.params:
            run.add(f"{', '.join(p.params)}, = params")
        for r in p.outputs:
            if r.buffer.kind == "output":
                maker = f"result({r.buffer.slot}, " if is_big(r.shape, r.dtype) else "empty("
                run.add(f"output{r.buffer.slot} = {maker}{r.shape}, {r.dtype!r})")
        for k, r in enumerate(p.updates):
            if r.buffer.kind == "update":
                run.add(f"update{r.buffer.slot} = fresh({k}, {r.shape}, {r.dtype!r})")
        outs, news = (", ".join(x) + ("," if len(x) == 1 else "") for x in results)
        tail = f"    return ({outs}), ({news})\n"
        bind = Lines()
        for line in code.bind.text:
            bind.text.append(line)
        bind.add(f"return ({', '.join(code.bound)}{',' if len(code.bound) == 1 else ''})")
        head = str(code.head) if code.head.text else ""
        body = str(code.body) if code.body.text else ""
        return (
            f"def bind(m, scratch, threads):\n{bind}\n\n"
            f"def run(w, inputs, shareds, params, fresh):\n{str(run) if run.text else ''}{head}{body}{tail}"
        )


class HostCall:
    """A node run in Python.

    It may write over its own copies of what its ``destroy_map`` names. Its results are checked against what was
    announced, and what it returns is never the memory of an argument, which belongs to someone else.
    """

    def __init__(self, node: Any, dynamic: list[bool]):
        self.node = node
        self.dynamic = dynamic
        self.destroyed = sorted({i for inputs in node.op.destroy_map.values() for i in inputs})
        self.objects = {i: v.data for i, v in enumerate(node.inputs)
                        if isinstance(v, Constant) and not isinstance(v.type, TensorType)}  # fmt: skip

    def __call__(self, *inputs: Any) -> list[Any]:
        if self.objects:
            inputs = tuple(self.objects.get(i, x) for i, x in enumerate(inputs))
        if self.destroyed:
            inputs = tuple(copy.deepcopy(x) if i in self.destroyed else x for i, x in enumerate(inputs))
        try:
            results = self.node.op.evaluate(self.node, inputs)
            for k, (out, free) in enumerate(zip(self.node.outputs, self.dynamic, strict=True)):
                if results[k] is None and out.type.dtype is not None:
                    raise TypeError(f"{self.node.op}: perform left output {k} empty")
                if isinstance(out.type, TensorType):
                    results[k] = out.type.filter(np.asarray(results[k]), strict=True)
                if free and any(_same_memory(results[k], x) for x in inputs):
                    results[k] = copy.deepcopy(results[k])
        except Exception as error:
            raise with_node(error, self.node, inputs) from error
        return results


def _same_memory(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.may_share_memory(a, b)
    return a is b and not isinstance(a, (int, float, str, tuple, bool, type(None)))


def with_node(error: Exception, node: Any, inputs: Any) -> Exception:
    """The error with the node, its inputs' shapes and the user's line added as a note."""
    shapes = ", ".join(f"{getattr(x, 'dtype', type(x).__name__)}{getattr(x, 'shape', '')}" for x in inputs)
    error.add_note(f"  in {node.op} with inputs {shapes}")
    if node.origin is not None:
        error.add_note(f"  built at {node.origin.text()}")
    return error


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN
