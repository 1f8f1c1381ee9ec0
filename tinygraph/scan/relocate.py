"""Letting a step compute its results where they are kept, instead of copying them there."""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.lower.builder import Array, Builder
from tinygraph.program.expr import Access, Expr, load, rebuild
from tinygraph.program.instructions import (
    Branch,
    Buffer,
    Group,
    Host,
    Instruction,
    Loop,
    Nest,
    Ref,
    Routine,
)


def relocate(body: Builder, results: Sequence[Array], targets: Sequence[Ref]) -> None:
    """Make each of ``results`` lie at its target after a step: by exchanging its buffer, else by a copy at the end."""
    written = {buffer for i in body.instructions for buffer in i.writes()}
    places: dict[Buffer, Ref] = {}
    copies: list[tuple[Array, Ref]] = []
    for x, target in zip(results, targets, strict=True):
        ref = None if x.value is not None else x.ref
        movable = ref is not None and ref.buffer.kind == "temp" and ref.whole and ref.buffer in written
        if movable and ref.buffer not in body.pinned and ref.buffer not in places:  # type: ignore[union-attr]
            places[ref.buffer] = target  # type: ignore[union-attr]
        else:
            copies.append((x, target))
    for x, target in copies:
        axes = body.axes(*x.shape)
        body.store_to(Array(target.shape, x.dtype, target).at(tuple(axes)), x[tuple(axes)], axes=axes)
    for i in body.instructions:
        move_buffers(i, places)


def move_buffers(i: Instruction, places: dict[Buffer, Ref]) -> None:
    """Rewrite an instruction so that each buffer in ``places`` is found at its place, laid out as before."""
    if not places:
        return
    if isinstance(i, Nest):
        i.expr = _moved_expr(i.expr, places)
        i.out = _moved_access(i.out, places)
    elif isinstance(i, Group):
        for n in i.nests:
            move_buffers(n, places)
    elif isinstance(i, (Routine, Host)):
        i.inputs = [_moved_ref(r, places) for r in i.inputs]
        i.outputs = [_moved_ref(r, places) for r in i.outputs]
    elif isinstance(i, Loop):
        i.until, i.steps_taken, i.limit = (
            None if r is None else _moved_ref(r, places) for r in (i.until, i.steps_taken, i.limit)
        )
        for inner in i.body:
            move_buffers(inner, places)
    elif isinstance(i, Branch):
        i.condition = _moved_ref(i.condition, places)
        for inner in (*i.then, *i.otherwise):
            move_buffers(inner, places)


def _moved_expr(e: Expr, places: dict[Buffer, Ref]) -> Expr:
    return rebuild(e, lambda x: load(_moved_access(x.attr, places), x.dtype) if x.op == "load" else x)


def _moved_access(a: Access, places: dict[Buffer, Ref]) -> Access:
    dynamic = None if a.dynamic is None else _moved_expr(a.dynamic, places)
    place = places.get(a.buffer)
    if place is None:
        return a if dynamic is a.dynamic else a._replace(dynamic=dynamic)
    return Access(place.buffer, a.offset + place.offset, a.strides, _added(a.params, place.params), dynamic)


def _moved_ref(r: Ref, places: dict[Buffer, Ref]) -> Ref:
    place = places.get(r.buffer)
    if place is None:
        return r
    return Ref(place.buffer, r.shape, r.strides, r.offset + place.offset, _added(r.params, place.params))


def _added(a: tuple[tuple[str, int], ...], b: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    total = dict(a)
    for name, k in b:
        total[name] = total.get(name, 0) + k
    return tuple(total.items())
