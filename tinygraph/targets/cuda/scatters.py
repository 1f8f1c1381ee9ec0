"""Nests whose results meet at one place: writes at addresses read from memory, and overlapping windows.

Sums and the like are combined by atomics, in any order; integers come out the same every time, floats but for their
rounding. Where the order matters (the last write wins) or must not vary (``deterministic``), points that meet are first
linked in order, and each chain is followed by the threads of the axes that provably keep apart
(``scatter_ordered.cuh``). Where there are too many points to be compared with each other, or few, the axes along which
they meet run in order inside one thread.
"""

from __future__ import annotations

from math import prod
from textwrap import indent
from typing import NamedTuple

from tinygraph.lower.inline import remap
from tinygraph.program.expr import Expr, postorder
from tinygraph.program.instructions import Nest
from tinygraph.targets.cuda.kernel import Kernel, Scratch, Tuning, flat_launch, printed
from tinygraph.targets.cuda.points import ordered_axes, points, print_reduction
from tinygraph.targets.cuda.scalars import C_TYPES, FUNCTORS, combined
from tinygraph.targets.cuda.writer import Axes, Parameters, Statements, index_type


def without_repeats(nest: Nest) -> Nest:
    """The nest with parallel axes along which an accumulated result stays in place as reduction axes."""
    if not nest.accumulate or nest.combine is None or nest.out.dynamic is not None:
        return nest
    still = [k for k, (e, c, s) in enumerate(zip(nest.extents, nest.kinds, nest.out.strides, strict=True))
             if c == "p" and e != 1 and s == 0]  # fmt: skip
    if not still:
        return nest
    kept = [k for k, c in enumerate(nest.kinds) if c == "p" and k not in still]
    order = kept + still + [k for k, c in enumerate(nest.kinds) if c == "r"]
    axes = [order.index(k) for k in range(len(order))]
    out = nest.out._replace(strides=tuple(nest.out.strides[k] for k in order))
    kinds = "p" * len(kept) + "r" * (len(order) - len(kept))
    return Nest(tuple(nest.extents[k] for k in order), kinds, remap(nest.expr, axes, len(order)), out, nest.combine,
                True, origin=nest.origin, label=nest.label)  # fmt: skip


def meets(nest: Nest) -> bool:
    """Whether two points of the parallel axes may write one place."""
    if nest.out.dynamic is not None:
        return True
    n = nest.kinds.count("p")
    return not _apart([_Part(abs(s), e) for s, e in zip(nest.out.strides[:n], nest.extents[:n], strict=True)])


#: points that are linked, which takes a comparison for each two of them at worst
_LINKED = 1 << 16


class _Part(NamedTuple):
    """A term of an address: ``step`` times a number below ``size``."""

    step: int
    size: int


def _apart(parts: list[_Part]) -> bool:
    """Whether different numbers always give different addresses: digits of a number system."""
    reach = 0
    for step, size in sorted(p for p in parts if p.size != 1):
        if step <= reach:
            return False
        reach += step * (size - 1)
    return True


def _dynamic_parts(e: Expr | None, factor: int = 1) -> list[_Part] | None:
    """An address's dynamic part as terms of known range; None where one is not known."""
    if e is None:
        return []
    if e.op == "index":
        return [_Part(abs(factor), int(e.attr))]
    if e.op == "add":
        a, b = (_dynamic_parts(x, factor) for x in e.args)
        return None if a is None or b is None else a + b
    if e.op == "mul" and e.args[1].op == "const":
        return _dynamic_parts(e.args[0], factor * int(e.args[1].attr))
    return None


def _entangled(nest: Nest) -> list[int]:
    """The parallel axes that must run in order, because places along them may coincide."""
    n = nest.kinds.count("p")
    extents, out = nest.extents, nest.out
    varies = set()
    if out.dynamic is not None:
        for x in postorder(out.dynamic):
            if x.op == "axis":
                varies.add(x.attr)
            elif x.op == "load":
                varies |= {k for k, s in enumerate(x.attr.strides) if s}
    still = {k for k in range(n) if out.strides[k] == 0 and extents[k] != 1}
    serial = sorted((varies & set(range(n))) | still)
    dynamic = _dynamic_parts(out.dynamic)
    parts = [_Part(abs(out.strides[k]), extents[k]) for k in range(n) if k not in still]
    if dynamic is None or not _apart(parts + dynamic):
        return list(range(n))
    return serial


def print_scatter(nest: Nest, tuning: Tuning) -> list[Kernel]:
    """The kernels of one nest whose points may meet."""
    exact = nest.dtype not in ("float16", "float32", "float64")
    if nest.combine is not None and nest.accumulate and (exact or not tuning.deterministic):
        return [_atomic(nest, tuning)]
    serial = _entangled(nest)
    count = prod(nest.extents[k] for k in serial)
    return _linked(nest, serial, tuning) if 32 <= count <= _LINKED else [_in_order(nest, serial, tuning)]


def _atomic(nest: Nest, tuning: Tuning) -> Kernel:
    p = Parameters(index_type([nest]), {nest.out.buffer}, tuning.integers)
    n = nest.kinds.count("p")
    axes = Axes(ordered_axes([nest], n), [nest], "i")
    body = Statements(p, axes.names)
    lines, value = _value(nest, p, axes.names, body)
    place = body.place(nest.out, nest.extents)
    kind = C_TYPES[nest.dtype]
    update = (f"atomic_add(&{place}, ({kind})({value}));" if nest.combine == "add" and nest.dtype != "bool"
              else f"atomic_update(&{place}, ({kind})({value}), {FUNCTORS[nest.combine or '']});")  # fmt: skip
    text = [*axes.decode("i", p), *lines, *body.lines, update]
    return _kernel(p, points(nest), text, tuning)


def _kernel(p: Parameters, size: int, lines: list[str], tuning: Tuning) -> Kernel:
    grid, block = flat_launch(size, tuning)
    return printed("scatter", "elementwise.cuh", p, [("i64", size)], grid, block, parameters=p.text, index="i64",
                   definitions="", body="\n".join(p.prologue + lines))  # fmt: skip


def _value(nest: Nest, p: Parameters, names: dict[int, str | None], body: Statements) -> tuple[list[str], str]:
    """What a point contributes: statements before ``body``'s own, and an expression."""
    if "r" in nest.kinds:
        return print_reduction(nest, p, names, {}, "t")
    return [], body.value(nest.expr, nest.extents)


def _linked(nest: Nest, serial: list[int], tuning: Tuning) -> list[Kernel]:
    p = Parameters(index_type([nest]), {nest.out.buffer}, tuning.integers)
    n = nest.kinds.count("p")
    free, inner = Axes([k for k in range(n) if k not in serial], [nest], "i"), Axes(serial, [nest], "s")
    where = Statements(p, dict(inner.names), prefix="k")
    key = where.address(nest.out, nest.extents)
    names = {**free.names, **inner.names}
    body = Statements(p, names)
    lines, value = _value(nest, p, names, body)
    place = body.place(nest.out, nest.extents)
    kind = C_TYPES[nest.dtype]
    sums = nest.combine is not None and nest.accumulate
    values = {
        "type": kind, "place": place, "sums": "true" if sums else "false",
        "key": "\n".join([*p.prologue, *inner.decode("s", p), *where.lines, f"key = {key};"]),
        "serial": "\n".join(inner.decode("t", p)), "apart": "\n".join([*p.prologue, *free.decode("f", p)]),
        "body": "\n".join([*lines, *body.lines]),
        "combined": combined(nest.combine or "", nest.dtype, "total", value) if sums else f"({kind})({value})",
    }  # fmt: skip
    values["parameters"] = p.text  # with all that these statements needed
    scratch = Scratch(16 * inner.size)
    over, block = flat_launch(inner.size, tuning)
    all_of_them, _ = flat_launch(inner.size * free.size, tuning)
    template, count = "scatter_ordered.cuh", ("i64", inner.size)
    keys = printed("ordered", template, p, [count, scratch], over, block, "_keys", **values)
    links = printed("ordered", template, p, [], over, block, "_links", **values)
    links.arguments = [count, scratch]
    writes = printed("ordered", template, p, [count, ("i64", free.size), scratch], all_of_them, block, **values)
    return [keys, links, writes]


def _in_order(nest: Nest, serial: list[int], tuning: Tuning) -> Kernel:
    p = Parameters(index_type([nest]), {nest.out.buffer}, tuning.integers)
    n = nest.kinds.count("p")
    free = Axes([k for k in range(n) if k not in serial], [nest], "i")
    inner = Axes(serial, [nest], "s")
    names = {**free.names, **inner.names}
    body = Statements(p, names)
    lines, value = _value(nest, p, names, body)
    place = body.place(nest.out, nest.extents)
    if nest.combine is not None and nest.accumulate:
        value = combined(nest.combine, nest.dtype, place, value)
    loop = [*lines, *body.lines, f"{place} = {value};"]
    heads = [f"for (i64 {name} = 0; {name} < {p.number(size)}; ++{name}) {{" for name, size in inner.live]
    text = [*free.decode("i", p), *heads, *(indent(x, "    ") for x in loop), *["}"] * len(heads)]
    return _kernel(p, free.size if nest.points else 0, text, tuning)

