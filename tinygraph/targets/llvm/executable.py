"""Running a program natively: kernels compiled by structure, memory laid out once, a machine to run them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinygraph.lower.columns import reduce_columns_with_rows
from tinygraph.lower.cost import cost
from tinygraph.lower.fuse import fuse
from tinygraph.lower.order import gather_results, reduce_soon
from tinygraph.lower.picked import resolve
from tinygraph.lower.plan import MemoryPlan, plan_memory
from tinygraph.lower.sink import sink_into_loops
from tinygraph.lower.tables import multiply_tables
from tinygraph.lower.tall import reduce_tall_tables
from tinygraph.program.contraction import is_contraction, is_product
from tinygraph.program.instructions import (
    Branch,
    Group,
    Host,
    Instruction,
    Loop,
    Nest,
    Program,
)
from tinygraph.program.titles import title
from tinygraph.targets.llvm import gemm, panels
from tinygraph.targets.llvm import machine as vm
from tinygraph.targets.llvm.checked import CheckedWorkspace
from tinygraph.targets.llvm.collapse import collapsed
from tinygraph.targets.llvm.gemm import OwnProduct, own_share
from tinygraph.targets.llvm.input_gradients import gather
from tinygraph.targets.llvm.kernel import Kernel
from tinygraph.targets.llvm.packing import Pack, Packed, pack_products
from tinygraph.targets.llvm.panel_copies import layout, pack_text
from tinygraph.targets.llvm.parts import in_parts
from tinygraph.targets.llvm.pooled import PooledGradient, use_places
from tinygraph.targets.llvm.printed import kernel, table_kernel
from tinygraph.targets.llvm.products import as_product, product_text
from tinygraph.targets.llvm.setters import setter_text
from tinygraph.targets.llvm.sharing import shared_rows
from tinygraph.targets.llvm.streams import in_streams
from tinygraph.targets.llvm.tiles import schedule
from tinygraph.targets.llvm.weight_gradients import sort_columns
from tinygraph.targets.llvm.workspace import CallPrinter, NativeStep, Workspace
from tinygraph.targets.numpy.printer import HostCall

#: scalar operations below which a kernel runs in the calling thread
_SERIAL_BELOW = 200_000
#: scalar operations that one share of a parallel kernel should have
_SHARE = 50_000
#: shares of a kernel that each thread makes at most; fewer of those that each begin with preparations
_SHARES, _COSTLY_SHARES = 32, 8
#: how much longer a share should take than what comes before its first iteration
_SETUP = 10
#: scalar operations of the longest share: Ctrl-C, which is heard between shares, waits for no more
_LONGEST_SHARE = 100_000_000
#: bytes that one share of a group's parts should touch
_SHARE_BYTES = 128 << 10
#: multiplications from and up to which a product is printed rather than left to BLAS
_SMALL_PRODUCTS = 4096, 3_000_000
#: multiplications from which on threads share a product
_LARGE_PRODUCT = 1_000_000
#: multiplications of one share of a product, which nothing can interrupt: some tenths of a second
_UNINTERRUPTED = 16_000_000_000

#: scalar operations that one step of a loop stands for, besides its kernels
_STEP = 20

_libraries: dict[str, Any] = {}


@dataclass(eq=False)
class Call:
    """A kernel with the numbers of its table."""

    library: Any
    slots: list[Any]
    part: Group


#: a kernel with the iterations, from the first up to the last, that one thread makes
Share = tuple[Call, int, int]


def load(text: str | Callable[[], str], digest: str | None = None) -> Any:
    """The library with ``kernel`` made from a module's text, which ``digest`` names; each once in a process."""
    name = digest or str(text)
    found = _libraries.get(name)
    if found is None:
        found = _libraries[name] = _engine().load(text, ["kernel"], key=digest)
    return found


def _engine() -> Any:
    from tinygraph.targets.llvm.blas import find_blas

    engine = vm.engine()
    blas = find_blas()
    if blas is not None and not any(name.startswith("tinygraph_cblas") for name in engine.symbols):
        engine.symbols.update(blas.symbols)
    return engine


def may_group(a: Nest, b: Nest) -> bool:
    """Products that BLAS runs stay alone; other contractions may follow what clears their result, and be read from."""
    if is_product(b):
        clears = a.expr.op == "const" and a.combine is None and a.out.buffer is b.out.buffer
        return clears and _is_tiled(b)
    return not is_product(a) or _is_tiled(a)


def _is_small(product: Any, n: Nest) -> bool:
    """Whether a product is better off without BLAS, whose preparations take longer than the work."""
    least, most = _SMALL_PRODUCTS
    return least <= product.work <= most and schedule(n, 0, _engine().target.vector_bits) is not None


def _is_tiled(n: Nest) -> bool:
    return as_product(n) is None and schedule(n, 1, _engine().target.vector_bits) is not None


class LlvmExecutable:
    """A program compiled to machine code. Calls from several threads each take a workspace of their own.

    ``checked``: kernels compare every access with the extent of its buffer, and every buffer lies between guards.
    """

    def __init__(self, program: Program, threads: int = 1, checked: bool = False):
        self.checked = checked
        use_places(program, _engine().target.vector_bits)
        gather(program)
        sort_columns(program)
        multiply_tables(program)
        sink_into_loops(program)
        resolve(program)
        fuse(program, may_group)
        reduce_columns_with_rows(program)
        reduce_tall_tables(program)
        gather_results(program, reductions=True)
        self.program = program
        self.machine = vm.machine()
        self.threads = self.machine.pool.at_least(threads)
        self.param_index = {name: i for i, name in enumerate(program.params)}
        #: contexts to build in each workspace: (positions in code of the context's address, table's numbers, for what)
        self.contexts: list[tuple[Sequence[int], list[Any], Instruction]] = []
        self.code: list[int] = [vm.STOP, self.threads, *[0] * (vm.WIDTH - 2)]
        #: rows of the loop being printed that threads share, 0 outside of such loops; where in the code these begin
        self.rows = 0
        self.shares: list[int] = []
        self.origin_of: dict[int, Instruction] = {}
        #: the libraries that the code calls, with what each of them is for
        self.texts: dict[Any, list[str]] = {}
        self.scratch = 0
        self.uses_blas = False
        self.work = 0
        #: what a failing kernel reports the number of: buffers as in the table, then sizes that indices are checked
        #: against, and buffers that kernels keep in scratch memory
        self.bounds: list[Any] = []
        parts = [p for i in program.instructions for p in in_parts(self._prepared(i), program)]
        program.instructions = [in_streams(p) for p in parts]
        reduce_soon(program)
        pack_products(program, _engine().target.vector_bits)
        self.plan: MemoryPlan = plan_memory(program)
        self.table_index = {b: k for k, b in enumerate(program.buffers)}
        self.bounds += program.buffers
        #: for profiles: ``record(instruction, begin, end)``
        self.record = program.profile.register(program) if program.profile is not None else None
        #: whether each instruction is a step of its own: ``steps`` then has a list for each
        self.apart = self.record is not None or checked
        #: for profiles, of each native loop the kernels: where in the code, the instruction, the rows of a share
        self.timed: dict[int, list[tuple[int, Instruction, int]]] = {}
        if not self.apart:
            self.steps = self._block(program.instructions)
        else:
            self.steps = [self._apart(k, i) for k, i in enumerate(program.instructions)]
        for at in self.shares:
            self.code[at + 1] = len(self.param_index) + 1
        self.call_printer = CallPrinter(self)
        self._pool: list[Workspace] = []

    # -- compiling ------------------------------------------------------------------------------------------------

    def _prepared(self, i: Instruction) -> Instruction:
        """Groups with merged axes; done before memory is planned."""
        if isinstance(i, Group) and i.parts:
            parts = [p for p in map(self._prepared, i.parts) if isinstance(p, Group)]
            return replace(i, parts=parts, nests=[n for p in parts for n in p.nests])
        if isinstance(i, Group):
            if len(i.nests) > 1 and any(is_product(n) for n in i.nests):
                i.outer = 1  # the contraction's other axes are for its tiles
            return collapsed(i) if not (len(i.nests) == 1 and as_product(i.nests[0])) else i
        if isinstance(i, Loop):
            i.body = [self._prepared(x) for x in i.body]
        elif isinstance(i, Branch):
            i.then = [self._prepared(x) for x in i.then]
            i.otherwise = [self._prepared(x) for x in i.otherwise]
        return i

    def _apart(self, k: int, i: Instruction) -> list[Any]:
        """The steps of instruction ``k``; in profiles, a loop's kernels are timed one by one."""
        if self.record is None or not isinstance(i, Loop) or not _is_native(i) or not vm.COUNTS_TICKS:
            return self._block([i])
        first = len(self.code)
        steps = self._block([i])
        kernels = [at for at in self.origin_of if at >= first and self.code[at] == vm.KERNEL]
        rows = next((self.code[at + 2] for at in self.origin_of if at >= first and self.code[at] == vm.SHARE), 1)
        self.timed[k] = [(at, self.origin_of[at], rows if self.code[at + 5] else 1) for at in kernels]
        for at in kernels:
            self.code[at + vm.RUNS] = 1
        return steps

    def _block(self, block: Sequence[Instruction]) -> list[Any]:
        """Steps: stretches of native code, and instructions that need Python."""
        steps: list[Any] = []
        native: NativeStep | None = None
        for i in block:
            if _is_native(i):
                if native is None:
                    native = NativeStep(len(self.code))
                    steps.append(native)
                self._emit(i)
                continue
            if native is not None:
                self._instruction(vm.STOP)
                native = None
            steps.append(self._python_step(i))
        if native is not None:
            self._instruction(vm.STOP)
        return steps

    def _python_step(self, i: Instruction) -> Any:
        if isinstance(i, Loop):
            self._param(i.counter)
            for name in i.body_params:
                self._param(name)
            return (i, self._block(i.body), _python_setter(i))
        if isinstance(i, Branch):
            return (i, self._block(i.then), self._block(i.otherwise))
        if isinstance(i, Host):
            return (i, HostCall(i.node, [r.buffer.kind == "dynamic" for r in i.outputs]))
        return (i, None)

    def _instruction(self, *numbers: int) -> int:
        at = len(self.code)
        self.code += [*numbers, *[0] * (vm.WIDTH - len(numbers))]
        return at

    def _param(self, name: str) -> int:
        return self.param_index.setdefault(name, len(self.param_index))

    def _emit(self, i: Instruction) -> None:
        if isinstance(i, Nest):
            i = Group([i], 1 if i.kinds.startswith("p") else 0, origin=i.origin, label=i.label)
        if isinstance(i, Group):
            self._group(i)
        elif isinstance(i, Loop):
            self._shared_loop(i)
        elif isinstance(i, Pack):
            library = self._table_kernel(pack_text, i.panels.dtype, i.shape, layout(*i.strides))
            self._kernel(library, i.slots(), i.extent, int(10 * i.panels.size > _SERIAL_BELOW and self.threads > 1), i)
        elif isinstance(i, Packed):
            self._packed(i)
        elif isinstance(i, PooledGradient):
            self._pooled(i)
        else:
            raise NotImplementedError(type(i).__name__)

    def _group(self, g: Group) -> None:
        if all(n.points == 0 and n.combine is None for n in g.nests):
            return
        if g.parts:
            self._together([share for p in g.parts for share in self._shares(p, g)], g)
            return
        product = as_product(g.nests[0]) if len(g.nests) == 1 else None
        if product is not None and product.work > 0 and not _is_small(product, g.nests[0]):
            shares = self.threads * -(-product.work // (self.threads * _UNINTERRUPTED))
            shares = shares if product.work > _LARGE_PRODUCT else 1
            share = own_share(product, _engine().target.vector_bits, shares) if not self.rows else None
            if share is not None:
                self._own_product(OwnProduct(product, share), product.work, g)
                return
            self.uses_blas = True
            grain = -(-product.rows // shares) if shares > 1 else 0
            self._kernel(load(product_text(product.dtype, self.checked)), product.slots, product.rows, grain, g)
            self.work += product.work // 8
            return
        printed, library = self._printed(g)
        self._kernel(library, printed.slots, printed.extent, self._grain(printed, g), g)

    def _grain(self, printed: Kernel, g: Group) -> int:
        """Iterations of a share of a group's kernel, or 0 where one thread makes all of them in one go."""
        extent, threads, work = printed.extent, self.threads, self._weight(g)
        if not printed.parallel or extent <= 1 or work <= (_SERIAL_BELOW if threads > 1 else _LONGEST_SHARE):
            return 0
        per_row = max(1, work // extent)
        grain = max(1, min(-(-extent // threads), max(_SHARE // per_row, 1)))
        most = threads * (_COSTLY_SHARES if any(is_contraction(n) for n in g.nests) else _SHARES)
        if extent // grain > most:
            grain = -(-extent // most)
        grain = min(grain, max(_LONGEST_SHARE // per_row, 1))
        if printed.exact or extent > 4 * printed.step * threads:
            grain = -(-grain // printed.step) * printed.step
        return max(grain, min(-(-extent // threads), _SETUP * printed.setup // per_row))

    def _printed(self, g: Group) -> tuple[Kernel, Any]:
        """A group's kernel, and the library that it is in."""
        printed, digest = kernel(g, _engine(), self.checked)
        library = load(printed.text, digest)
        self.scratch = max(self.scratch, printed.scratch)
        self.work += self._weight(g)
        return printed, library

    def _shares(self, part: Group, whole: Group) -> list[Share]:
        """A part of a group in shares of about as many bytes as those of the other parts."""
        printed, library = self._printed(part)
        self._show(title(part), library)
        call = Call(library, printed.slots, part)
        if not printed.parallel:
            return [(call, 0, 1)]
        most = max(cost(whole)[1] // (4 * self.threads), _SHARE_BYTES)
        rows = max(1, -(-printed.extent // max(1, round(cost(part)[1] / most))))
        if printed.exact or printed.extent > 4 * printed.step:
            rows = -(-rows // printed.step) * printed.step
        return [(call, a, min(a + rows, printed.extent)) for a in range(0, printed.extent, rows)]

    def _together(self, shares: list[Share], i: Instruction) -> None:
        """Shares of kernels' iterations, in any order and by any thread."""
        parallel = self.threads > 1 and len(shares) > 1 and self._weight(i) > _SERIAL_BELOW
        at = self._instruction(vm.TOGETHER, len(shares), int(parallel), 0)
        self.origin_of[at] = i
        positions: dict[Call, list[int]] = {}
        for one, first, last in shares:
            here = self._instruction(one.library.address("kernel"), 0, first, last)
            positions.setdefault(one, []).append(here + 1)
        for one, places in positions.items():
            self.contexts.append((places, one.slots, one.part))
        self.code[at + 3] = len(self.code)

    def _table_kernel(self, printer: Callable[..., str], *arguments: object) -> Any:
        """The library with the kernel that ``printer`` prints, and prints only if the disk does not hold it."""
        return load(*table_kernel(_engine(), printer, *arguments, self.checked))

    def _own_product(self, p: OwnProduct, work: int, g: Group) -> None:
        library = self._table_kernel(gemm.product_text, *p.kind)
        self.scratch = max(self.scratch, p.scratch)
        self.work += work // 8
        self._kernel(library, p.slots, p.parts, int(p.parts > 1), g)

    def _packed(self, i: Packed) -> None:
        library = self._table_kernel(panels.product_text, i.nest.dtype, i.pack.shape, i.nest.accumulate)
        self.work += i.nest.points // 8
        rows = i.matrices.rows
        large = i.nest.points > _LARGE_PRODUCT and self.threads > 1
        self._kernel(library, i.slots(), rows, -(-rows // self.threads) if large else 0, i)

    def _pooled(self, i: PooledGradient) -> None:
        library = load(i.text(self.checked))
        self.scratch = max(self.scratch, i.scratch)
        self.work += i.work
        shared = self.threads > 1 and i.work > _SERIAL_BELOW
        grain = -(-i.extent // (2 * self.threads)) if shared else 0
        self._kernel(library, i.slots(), i.extent, grain, i)

    def _kernel(self, library: Any, slots: list[Any], extent: int, grain: int, i: Instruction) -> None:
        self._show(title(i), library)
        unit = extent // self.rows if self.rows else 0
        at = self._instruction(vm.KERNEL, library.address("kernel"), 0, extent, grain, unit)
        self.origin_of[at] = i
        self.contexts.append(([at + 2], slots, i))

    def _show(self, name: str, library: Any) -> None:
        """Keep a library, and show it under this name among others."""
        names = self.texts.setdefault(library, [])
        if name not in names:
            names.append(name)

    def _shared_loop(self, i: Loop) -> None:
        """A loop whose rows the threads share out; one whose rows depend on each other runs its kernels in parallel."""
        rows = shared_rows(i) if self.threads > 1 and not self.rows and self._weight(i) > _SERIAL_BELOW else 1
        if rows == 1:
            self._loop(i)
            return
        grain = -(-rows // self.threads)
        if grain >= 64:
            grain = -(-grain // 16) * 16
        at = self._instruction(vm.SHARE, 0, rows, grain, 0)
        self.origin_of[at] = i
        self.shares.append(at)
        self.rows = rows
        self._loop(i)
        self.rows = 0
        self._instruction(vm.STOP)
        self.code[at + 4] = len(self.code)

    def _weight(self, i: Instruction) -> int:
        """Scalar operations, roughly."""
        if isinstance(i, Loop):
            return i.steps * sum(self._weight(x) for x in i.body)
        if isinstance(i, Packed):
            return i.nest.points
        return sum(n.points * n.expr.weight for n in i.nests) if isinstance(i, Group) else 0

    def _loop(self, i: Loop) -> None:
        counter = self._param(i.counter)
        for name in i.body_params:
            self._param(name)
        left = self._param(f"{i.counter} left")
        self._param(f"{i.counter} taken")
        setter = 0
        if i.body_params:
            library = load(setter_text(i.body_params, self.param_index))
            self._show(f"{title(i)} (what changes from step to step)", library)
            setter = library.address("kernel")
        limit = self.table_index[i.limit.buffer] + 1 if i.limit is not None else 0
        head = self._instruction(vm.LOOP, counter, i.steps, 0, setter, limit, int(i.backwards), left)
        first, before = len(self.code), self.work
        for x in i.body:
            self._emit(x)
        self.work = before + (self.work - before + _STEP) * i.steps
        until = self.table_index[i.until.buffer] + 1 if i.until is not None else 0
        self._instruction(vm.END_LOOP, first, counter, until, setter, -1 if i.backwards else 1, left)
        self.code[head + 3] = len(self.code)
        if i.steps_taken is not None:
            self._instruction(vm.COUNT, self.table_index[i.steps_taken.buffer], left + 1)

    # -- running --------------------------------------------------------------------------------------------------

    @property
    def call(self) -> Callable[..., tuple]:
        """``call(inputs, shareds, params, fresh) -> (outputs, updates)``, all of them fresh arrays."""
        pool = self._pool
        pop, push = pool.pop, pool.append
        workspace = CheckedWorkspace if self.checked else Workspace

        def call(inputs: Any, shareds: Any, params: Any, fresh: Callable[..., Any]) -> tuple:
            try:
                w = pop()
            except IndexError:
                w = workspace(self)
            try:
                return w.run(inputs, shareds, params, fresh)
            finally:
                push(w)

        return call

    def bound_number(self, bound: Any) -> int:
        """The number under which a failing kernel reports what an index, or an access, was checked against."""
        self.bounds.append(bound)
        return len(self.bounds) - 1

    def source(self, kind: str = "ir") -> str:
        """The kernels, each after what it is for: ``"ir"`` as printed, ``"optimised"``, or ``"asm"``."""
        parts = []
        for library, names in self.texts.items():
            text = library.asm_text() if kind == "asm" else library.ir_text(optimized=kind == "optimised")
            parts.append("".join(f"; {name}\n" for name in names) + text)
        return "\n".join(parts)

    def failed_at(self, error: BaseException) -> Any:
        """Where in the graph a call failed: the ``Source`` of what was running, or None."""
        return getattr(error, "_source", None)

    def free(self) -> None:
        """Give the workspaces' memory back."""
        self._pool.clear()


def _is_native(i: Instruction) -> bool:
    if isinstance(i, Loop):
        refs = [r for r in (i.until, i.limit, i.steps_taken) if r is not None]
        return all(_is_native(x) for x in i.body) and all(r.offset == 0 and not r.params for r in refs)
    return isinstance(i, (Nest, Group, Pack, Packed, PooledGradient))


def _python_setter(i: Loop) -> Callable[[int], dict[str, int]]:
    from tinygraph.lower.host import PythonPrinter

    printer = PythonPrinter()
    names = {name: printer.name(e) for name, e in i.body_params.items()}
    body = "".join(f"    {line}\n" for line in printer.lines)
    text = f"def set({i.counter}):\n{body}    return {{{', '.join(f'{k!r}: {v}' for k, v in names.items())}}}\n"
    space: dict[str, Any] = {}
    exec(text, space)
    return space["set"]
