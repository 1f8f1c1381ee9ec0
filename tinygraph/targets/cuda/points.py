"""Elementwise kernels: one thread per point, any number of nests over the same points, short reductions inside."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from tinygraph.program.instructions import Buffer, Nest
from tinygraph.program.reduction import identity
from tinygraph.targets.cuda.kernel import Kernel, Tuning, flat_launch, printed
from tinygraph.targets.cuda.scalars import C_TYPES, FUNCTORS, accumulator, combined, literal
from tinygraph.targets.cuda.writer import Access, Axes, Parameters, Statements, index_type, normal


def print_points(nests: Sequence[Nest], unstored: set[Buffer], tuning: Tuning) -> Kernel:
    """One kernel for nests with the same parallel sizes; values in ``unstored`` buffers live in registers only."""
    p, body = _body(nests, unstored, tuning, "")
    size = points(nests[0])
    grid, block = flat_launch(size, tuning)
    return printed("points", "elementwise.cuh", p, [("i64", size)], grid, block,
                   parameters=p.text, index=p.index, definitions="", body=body)  # fmt: skip


def print_sections(runs: Sequence[tuple[Sequence[Nest], set[Buffer]]], tuning: Tuning) -> Kernel:
    """One kernel for several lots of nests that do not touch each other's results, each with blocks of its own."""
    shared, blocks = Parameters(), 0
    text: list[str] = []
    _, block = flat_launch(1, tuning)
    for position, (nests, unstored) in enumerate(runs):
        prefix = f"s{position}_"
        p, body = _body(nests, unstored, tuning, prefix)
        size = points(nests[0])
        (grid,), _ = flat_launch(size, tuning)
        shared.declared += [f"int {prefix}first, int {prefix}end, i64 {prefix}size", *p.declared]
        shared.arguments += [("int", blocks), ("int", blocks + grid), ("i64", size), *p.arguments]
        blocks += grid
        text += [f"SECTION({prefix}first, {prefix}end, {prefix}size) {{", f"    const {p.index} i = ({p.index})flat;",
                 indent(body, "    "), "}"]  # fmt: skip
    return printed("together", "elementwise_many.cuh", shared, [], (blocks,), block, parameters=shared.text,
                   sections="\n".join(text))  # fmt: skip


def _body(nests: Sequence[Nest], unstored: set[Buffer], tuning: Tuning, prefix: str) -> tuple[Parameters, str]:
    """The statements for point ``i`` of some nests, and the parameters that they use."""
    n = nests[0].kinds.count("p")
    p = Parameters(index_type(nests), {x.out.buffer for x in nests}, tuning.integers, prefix)
    axes = Axes(ordered_axes(nests, n), nests, "i")
    registers: dict[Access, str] = {}
    lines = [line for line in axes.decode("i", p) if line != f"const {p.index} i0 = ({p.index})i;"]
    renamed = {k: ("i" if name == "i0" and len(axes.live) == 1 else name) for k, name in axes.names.items()}
    for position, nest in enumerate(nests):
        lines += print_nest(nest, p, renamed, registers, f"t{position}", nest.out.buffer not in unstored)
    return p, "\n".join(p.prologue + lines)


def points(nest: Nest) -> int:
    """The number of points of the parallel axes."""
    size = 1
    for e, kind in zip(nest.extents, nest.kinds, strict=True):
        size *= e if kind == "p" else 1
    return size


def ordered_axes(nests: Sequence[Nest], n: int) -> list[int]:
    """The parallel axes, those along which results lie far apart first: neighbouring threads write neighbours."""
    largest = max(nests, key=lambda x: sum(1 for s in x.out.strides[:n] if s))
    return sorted(range(n), key=lambda k: -abs(largest.out.strides[k]))


def print_nest(nest: Nest, p: Parameters, axes: dict[int, str | None], registers: dict[Access, str], name: str,
               store: bool) -> list[str]:  # fmt: skip
    """Statements that compute one point of ``nest`` into the variable ``name`` and store it."""
    body = Statements(p, axes, registers, f"{name}_")
    if "r" in nest.kinds and nest.combine is not None:
        lines, value = print_reduction(nest, p, axes, registers, name)
        body.lines += lines
    else:
        value = body.value(nest.expr, nest.extents)
    return body.lines + finish(nest, p, body, value, name, store)


def finish(nest: Nest, p: Parameters, body: Statements, value: str, name: str, store: bool) -> list[str]:
    """Statements that give ``value`` its variable and its place; later loads of that place find the variable."""
    count = len(body.lines)
    place = body.place(nest.out, nest.extents) if store else ""
    lines = body.lines[count:]
    del body.lines[count:]
    kind = C_TYPES[nest.dtype]
    if nest.accumulate and nest.combine is not None:
        value = combined(nest.combine, nest.dtype, place, value)
    lines.append(f"const {kind} {name} = {value};")
    if store:
        lines.append(f"{place} = {name};")
    registers = body.registers
    for a in [a for a in registers if a.buffer is nest.out.buffer]:
        del registers[a]  # this store may have changed it
    if nest.out.dynamic is None:
        registers[normal(nest.out, nest.extents)] = name
    return lines


def print_reduction(nest: Nest, p: Parameters, axes: dict[int, str | None], registers: dict[Access, str],
                    name: str) -> tuple[list[str], str]:  # fmt: skip
    """A short reduction as loops in one thread: statements, and the expression of its result."""
    n = nest.kinds.count("p")
    inner = Axes(range(n, len(nest.extents)), [nest], f"{name}_r")
    loop = Statements(p, {**axes, **inner.names}, registers, f"{name}_w")
    value = loop.value(nest.expr, nest.extents)
    arg = nest.combine in ("argmax", "argmin")
    dtype = nest.expr.dtype
    kind = accumulator(dtype)
    total = f"{name}_sum"
    lines = [f"{total_type(nest)} {total} = {start(nest)};"]
    if nest.points == 0:
        return lines, f"{total}.index" if arg else total
    for variable, size in inner.live:
        lines.append(f"for (int {variable} = 0; {variable} < {size}; ++{variable}) {{")
    depth = "    " * len(inner.live)
    lines += [indent(line, depth) for line in loop.lines]
    if arg:
        place = position(nest, inner.live)
        lines.append(f"{depth}{total} = {FUNCTORS[nest.combine or '']}({total}, Found<{kind}>{{{value}, {place}}});")
    else:
        lines.append(f"{depth}{total} = {combined(nest.combine or '', dtype, total, value)};")
    lines += ["    " * k + "}" for k in reversed(range(len(inner.live)))]
    return lines, f"{total}.index" if arg else total


def position(nest: Nest, live: Sequence[tuple[str, int]]) -> str:
    """The number of a point of the reduction axes in row-major order."""
    terms, step = [], 1
    for variable, size in reversed(live):
        terms.append(variable if step == 1 else f"{variable} * {step}")
        step *= size
    return f"(i64)({' + '.join(reversed(terms)) or '0'})"


def total_type(nest: Nest) -> str:
    """The C type that a reduction runs in."""
    kind = accumulator(nest.expr.dtype)
    return f"Found<{kind}>" if nest.combine in ("argmax", "argmin") else kind


def start(nest: Nest) -> str:
    """The value that a reduction starts from."""
    combine = nest.combine or ""
    if combine.startswith("arg"):
        return f"{total_type(nest)}{{0, -1}}"
    dtype = "float32" if nest.expr.dtype == "float16" else nest.expr.dtype
    return literal(identity(combine, dtype), dtype)
