"""Groups in which several passes go over each row, softmax and its like: a row of threads for each row."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from textwrap import indent

from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.kernel import Kernel, Tuning, covering, flat_launch, printed
from tinygraph.targets.cuda.points import finish, ordered_axes, print_nest, start, total_type
from tinygraph.targets.cuda.scalars import FUNCTORS, accumulator, combined
from tinygraph.targets.cuda.writer import Access, Axes, Parameters, Statements, index_type

#: rows of at most so many elements (the windows of a pool, say) go to one thread each, where there are this many
_TINY, _MANY = 16, 1024
#: rows of so many elements get blocks that are wider by this factor
_LONG, _WIDE = 8192, 4


def print_rows(nests: Sequence[Nest], outer: int, unstored: set[Buffer], tuning: Tuning) -> Kernel:
    """One kernel; each nest's axes after the first ``outer`` are either all parallel or all reduced."""
    count = prod(nests[0].extents[:outer])
    if count >= _MANY and max(prod(n.extents[outer:]) for n in nests) <= _TINY:
        return _by_threads(nests, outer, unstored, tuning, count)
    p = Parameters(index_type(nests), {x.out.buffer for x in nests}, tuning.integers)
    rows = Axes(range(outer), nests, "k")
    registers: dict[Access, str] = {}
    lines = rows.decode("k", p)
    longest = 1
    for position, nest in enumerate(nests):
        inner = Axes(range(outer, len(nest.extents)), [nest], f"r{position}_")
        longest = max(longest, inner.size)
        store = nest.out.buffer not in unstored
        lines += _pass(nest, p, rows, inner, registers, f"t{position}", store)
        if _must_wait(nest, nests[position + 1 :], store):
            lines.append("__syncthreads();")
    width = 32
    # few long rows at a time: what a pass has read, the next one finds in the cache
    while width < tuning.threads * (_WIDE if longest >= _LONG else 1) and width * 2 < longest:
        width *= 2
    per_block = max(1, tuning.threads // width)
    body = "\n".join(p.prologue + lines)
    return printed("rows", "rows.cuh", p, [("i64", count)], covering(count, per_block, tuning), (width, per_block),
                   parameters=p.text, definitions="", threads=width * per_block, scratch_type=_scratch(nests),
                   body=body)  # fmt: skip


def _by_threads(nests: Sequence[Nest], outer: int, unstored: set[Buffer], tuning: Tuning, count: int) -> Kernel:
    """The same with one thread to a row."""
    p = Parameters(index_type(nests), {x.out.buffer for x in nests}, tuning.integers)
    rows = Axes(ordered_axes(nests, outer), nests, "k")
    registers: dict[Access, str] = {}
    lines = rows.decode("i", p)
    for position, nest in enumerate(nests):
        store, name = nest.out.buffer not in unstored, f"t{position}"
        inner = Axes(range(outer, len(nest.extents)), [nest], f"r{position}_")
        if "r" in nest.kinds or not inner.live:
            lines += print_nest(nest, p, rows.names, registers, name, store)
            continue
        body = print_nest(nest, p, {**rows.names, **inner.names}, dict(registers), name, store)
        heads = [f"for (int {r} = 0; {r} < {size}; ++{r}) {{" for r, size in inner.live]
        lines += [*heads, *(indent(line, "    ") for line in body), *["}"] * len(heads)]
        for a in [a for a in registers if a.buffer is nest.out.buffer]:
            del registers[a]
    grid, block = flat_launch(count, tuning)
    return printed("rows", "elementwise.cuh", p, [("i64", count)], grid, block, parameters=p.text, index=p.index,
                   definitions="", body="\n".join(p.prologue + lines))  # fmt: skip


def _must_wait(nest: Nest, later: Sequence[Nest], store: bool) -> bool:
    """Whether other threads' parts of a later nest touch what this one writes, or write what it reads."""
    reads = {a.buffer for a in nest.accesses()}
    return any((store and _touches(other, nest.out.buffer)) or other.out.buffer in reads for other in later)


def _touches(nest: Nest, buffer: Buffer) -> bool:
    return nest.out.buffer is buffer or any(a.buffer is buffer for a in nest.accesses())


def _scratch(nests: Sequence[Nest]) -> str:
    """The largest type that is reduced."""
    kinds = {total_type(n) for n in nests if "r" in n.kinds} or {"float"}
    return max(kinds, key=lambda kind: (kind.startswith("Found"), "double" in kind or "64" in kind))


def _pass(nest: Nest, p: Parameters, rows: Axes, inner: Axes, registers: dict[Access, str], name: str,
          store: bool) -> list[str]:  # fmt: skip
    """One nest's work on row ``k``."""
    if "r" in nest.kinds:
        return _total(nest, p, rows, inner, registers, name, store)
    if not inner.live:  # a single value for the row: every thread has it, one stores it
        return _alone(nest, p, rows, registers, name, store)
    loop = Statements(p, {**rows.names, **inner.names}, dict(registers), f"{name}_")
    value = loop.value(nest.expr, nest.extents)
    body = [*inner.decode("r", p), *loop.lines, *finish(nest, p, loop, value, name, store)]
    for a in [a for a in registers if a.buffer is nest.out.buffer]:
        del registers[a]
    return [_loop_head(inner.size, p), *(indent(line, "    ") for line in body), "}"]


def _loop_head(size: int, p: Parameters) -> str:
    unrolled = 8 if size >= _LONG else 4  # loads in flight are what a pass waits for
    head = f"for (i64 r = threadIdx.x; r < (inside ? {p.number(size)} : 0); r += blockDim.x) {{"
    return f"#pragma unroll {unrolled}\n{head}"


def _alone(nest: Nest, p: Parameters, rows: Axes, registers: dict[Access, str], name: str, store: bool) -> list[str]:
    body = Statements(p, rows.names, registers, f"{name}_")
    value = body.value(nest.expr, nest.extents)
    stored = finish(nest, p, body, value, name, store)
    return body.lines + _guarded(stored)


def _guarded(lines: list[str]) -> list[str]:
    """Only one thread of a row that exists stores."""
    return [line if line.startswith("const ") else f"if (inside && threadIdx.x == 0) {line}" for line in lines]


def _total(nest: Nest, p: Parameters, rows: Axes, inner: Axes, registers: dict[Access, str], name: str,
           store: bool) -> list[str]:  # fmt: skip
    """A reduction of the row; every thread gets the result."""
    dtype, arg = nest.expr.dtype, nest.combine in ("argmax", "argmin")
    kind, total = total_type(nest), f"{name}_sum"
    loop = Statements(p, {**rows.names, **inner.names}, dict(registers), f"{name}_")
    value = loop.value(nest.expr, nest.extents)
    functor = FUNCTORS[nest.combine or ""]
    step = (f"{functor}({total}, Found<{accumulator(dtype)}>{{{value}, r}})" if arg
            else combined(nest.combine or "", dtype, total, value))  # fmt: skip
    lines = [f"{kind} {total} = {start(nest)};", _loop_head(_size(nest), p)]
    lines += [indent(line, "    ") for line in [*inner.decode("r", p), *loop.lines, f"{total} = {step};"]]
    lines += ["}", f"{total} = row_reduce({total}, {functor}, ({kind}*)scratch);"]
    body = Statements(p, rows.names, registers, f"{name}_f")
    return lines + _guarded(finish(nest, p, body, f"{total}.index" if arg else total, name, store))


def _size(nest: Nest) -> int:
    size = 1
    for e, kind in zip(nest.extents, nest.kinds, strict=True):
        size *= e if kind == "r" else 1
    return size
