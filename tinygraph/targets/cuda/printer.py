"""Printing a Program as CUDA C kernels and the list of steps that launches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinygraph.program.expr import postorder
from tinygraph.program.instructions import Branch, Group, Host, Instruction, Loop, Nest, Program, Routine
from tinygraph.program.text import instruction_lines, nest_text
from tinygraph.targets.cuda.contractions import print_contraction
from tinygraph.targets.cuda.device import Device
from tinygraph.targets.cuda.kernel import Kernel, Tuning, assembled
from tinygraph.targets.cuda.packs import packs, print_packs
from tinygraph.targets.cuda.points import points, print_points, print_sections
from tinygraph.targets.cuda.prefix import print_prefix
from tinygraph.targets.cuda.products import as_gemm
from tinygraph.targets.cuda.reductions import print_reduce
from tinygraph.targets.cuda.rows import print_rows
from tinygraph.targets.cuda.scatters import print_scatter
from tinygraph.targets.cuda.schedule import Run, schedule
from tinygraph.targets.cuda.steps import BranchStep, HostStep, Launch, LoopStep, Product, RoutineStep, Step
from tinygraph.targets.cuda.writer import Scratch, expressions

#: a launch takes 4096 bytes of arguments, before CUDA 12.1 and on older devices
_MOST_ARGUMENTS = 4096 // 8


class ProgramPrinter:
    """The steps of a program, its kernels printed but not compiled."""

    def __init__(self, program: Program, device: Device, tuning: Tuning):
        self.program = program
        self.device = device
        self.tuning = tuning
        self.runs = schedule(program.instructions, tuning)
        #: the steps of each instruction of the program
        self.parts = [self._instruction(i) for i in program.instructions]
        self.steps = [step for part in self.parts for step in part]

    def _block(self, block: Sequence[Instruction]) -> list[Step]:
        return [step for i in block for step in self._instruction(i)]

    def _instruction(self, i: Instruction) -> list[Step]:
        if isinstance(i, Group) and i.parts:
            return self._together([r for p in i.parts for r in self.runs[p]])
        if i in self.runs:
            return [step for r in self.runs[i] for step in self._run(r)]
        if isinstance(i, Routine):
            prefix = print_prefix(i, self.tuning)
            if prefix is None:
                return [RoutineStep(i, self.device.routine(i.name))]
            found, macros = prefix
            text = instruction_lines(i)
            return [Launch(k, text if j == 0 else [], i.source, macros) for j, k in enumerate(found)]
        if isinstance(i, Host):
            return [HostStep(i)]
        if isinstance(i, Loop):
            return [LoopStep(i, self._block(i.body))]
        if isinstance(i, Branch):
            return [BranchStep(i, self._block(i.then), self._block(i.otherwise))]
        raise NotImplementedError(type(i).__name__)

    def _run(self, r: Run) -> list[Step]:
        comment = _comment(r)
        macros: dict[str, object] = {}
        if r.form != "rows" and points(r.nests[0]) == 0:
            return []
        if r.form == "points":
            width = packs(r.nests) if not self._moved(r) else 0
            found = [print_packs(r.nests, r.unstored, width, self.tuning) if width > 1
                     else print_points(r.nests, r.unstored, self.tuning)]  # fmt: skip
        elif r.form == "reduce":
            found = print_reduce(r.nests, r.unstored, self.tuning)
        elif r.form == "rows":
            found = [print_rows(r.nests, r.outer, r.unstored, self.tuning)]
        elif r.form == "scatter":
            found = print_scatter(r.nests[0], self.tuning)
        else:
            assert r.roles is not None
            gemm = as_gemm(r.nests[0], r.roles, self.tuning)
            if gemm is not None:
                return [Product(gemm, comment)]
            found, macros = print_contraction(r.nests[0], r.roles, self.tuning, r.nests[1:], r.unstored)
        return self._launches(r.nests, found, comment, macros)

    def _together(self, runs: Sequence[Run]) -> list[Step]:
        """One launch for runs of points; those without any are left out."""
        runs = [r for r in runs if points(r.nests[0])]
        if len(runs) < 2:
            return [step for r in runs for step in self._run(r)]
        kernel = print_sections([(r.nests, r.unstored) for r in runs], self.tuning)
        if len(kernel.arguments) > _MOST_ARGUMENTS:
            half = len(runs) // 2
            return [*self._together(runs[:half]), *self._together(runs[half:])]
        nests = [n for r in runs for n in r.nests]
        return self._launches(nests, [kernel], [line for r in runs for line in _comment(r)], {})

    def _launches(self, nests: Sequence[Nest], found: Sequence[Kernel], comment: list[str],
                  macros: dict[str, object]) -> list[Step]:  # fmt: skip
        source = next((n.source for n in nests if n.source is not None), None)
        launches = [Launch(k, comment if j == 0 else [], source, macros) for j, k in enumerate(found)]
        for x in launches:
            x.bounds = [e.attr for n in nests for root in expressions(n) for e in postorder(root) if e.op == "index"]
        return list(launches)

    def _moved(self, r: Run) -> bool:
        """Whether a pointer is computed from the call's integers, inside the kernel's body."""
        accesses = [a for n in r.nests for a in [*n.accesses(), n.out]]
        return any(name in self.tuning.integers for a in accesses for name, _ in a.params)

    # -- what was printed -----------------------------------------------------------------------------------------

    def launches(self) -> list[Launch]:
        """Every launch, those inside loops and branches included."""
        return [s for s in _leaves(self.steps) if isinstance(s, Launch)]

    def baked(self) -> set[str]:
        """Host integers that decide arguments of a launch or product, loops' own included."""
        return {name for step in _leaves(self.steps) for name in step.integers()}

    def scratch(self) -> int:
        """Bytes of the memory that launches use one after another."""
        sizes = [a.nbytes for x in self.launches() for a in x.kernel.arguments if isinstance(a, Scratch)]
        return max(sizes, default=0)

    def source(self) -> str:
        """The kernels as CUDA C, after the steps that launch them."""
        lines = [f"// {self.program.name}"]
        lines += [f"//   {line}" for step in self.steps for line in step.lines()]
        texts: dict[str, Kernel] = {}
        for x in self.launches():
            texts.setdefault(x.kernel.text, x.kernel)
        return "\n".join(lines) + "\n\n" + assembled(list(texts))


def _comment(r: Run) -> list[str]:
    """The nests of a run, each with the user's line."""
    return [f"{nest_text(n)}{f'  {n.origin}' if n.origin is not None else ''}" for n in r.nests]


def _leaves(steps: Sequence[Step]) -> Iterator[Step]:
    for s in steps:
        if isinstance(s, LoopStep):
            yield from _leaves(s.body)
        elif isinstance(s, BranchStep):
            yield from _leaves([*s.then, *s.otherwise])
        else:
            yield s
