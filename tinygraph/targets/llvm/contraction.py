"""Printing a contraction by its schedule: tiles of results in registers, sizes and strides in the code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from llvmlite import ir

from tinygraph.program.expr import Access
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.scalars import I1, I32, I64, constant, splat
from tinygraph.targets.llvm.tiles import Schedule

#: multiplications of vectors written out in the innermost loop
_UNROLLED = 160


class Part(NamedTuple):
    """A stretch of an axis: ``first`` to ``last`` in steps of ``size`` (numbers, or values known while running)."""

    first: Any
    last: Any
    size: int
    tail: int = 0  # lanes in use in the stretch's last vector, 0 for all


class Contraction:
    """Prints one nest from the loop at ``depth`` on. ``printer`` is the printer of the group that it belongs to."""

    def __init__(self, printer: Any, nest: Nest, depth: int, s: Schedule):
        self.p, self.nest, self.s, self.depth = printer, nest, s, depth
        self.b: ir.IRBuilder = printer.b
        self.memory = scalars.memory_type(nest.dtype)
        self.size = 4 if nest.dtype == "float32" else 8
        self.type = ir.VectorType(self.memory, s.lanes)
        self.axes = range(depth, len(nest.extents))

    def print(self, first: ir.Value | None = None, last: ir.Value | None = None) -> None:
        """The whole; ``first`` and ``last`` bound the loop at ``depth``."""
        p = self.p
        start = {a: p._offset(a) for a in (self.s.first, self.s.second, self.nest.out)}
        span = None if first is None else (first, last)
        s = self.s
        if not s.block:
            self._outer(start, span, None, None)
            return
        n, block = p._slot(self.nest.extents[s.block_axis]), ir.Constant(I64, s.block)

        def blocks(i: ir.Value) -> None:
            clear = self.b.icmp_signed("==", i, ir.Constant(I64, 0))
            left = self.b.sub(n, i)
            size = self.b.select(self.b.icmp_signed("<", left, block), left, block)
            self._outer(self._moved(start, s.block_axis, i), span, size, clear)

        p._loop(ir.Constant(I64, 0), n, s.block, blocks)

    # -- loops over results ---------------------------------------------------------------------------------------

    def _outer(
        self, offsets: dict[Access, ir.Value], span: Any, block: ir.Value | None, clear: ir.Value | None
    ) -> None:
        axes = [k for k in self.axes if self.nest.kinds[k] == "p"]
        self._walk(axes, 0, offsets, {}, span, lambda o, parts: self._tile(o, parts, block, clear))

    def _walk(
        self, axes: Sequence[int], at: int, offsets: dict[Access, ir.Value], parts: dict[int, Part], span: Any,
        body: Callable[[dict[Access, ir.Value], dict[int, Part]], None],
    ) -> None:  # fmt: skip
        if at == len(axes):
            body(offsets, parts)
            return
        k = axes[at]
        unit = self._unit(k)
        for part in self._parts(k, span if k == self.depth else None):
            step = part.size * unit

            def inside(i: ir.Value, part: Part = part) -> None:
                self._walk(axes, at + 1, self._moved(offsets, k, i), {**parts, k: part}, span, body)

            if isinstance(part.first, int) and part.last - part.first <= step:
                inside(ir.Constant(I64, part.first))
            else:
                self.p._loop(_number(part.first), _number(part.last), step, inside)

    def _unit(self, k: int) -> int:
        """Elements along an axis in one vector."""
        if self.s.parallel and k == self.s.vector_axis:
            return self.s.width
        return self.s.rows if self.s.parallel and k == self.s.row_axis else 1

    def _parts(self, k: int, span: Any) -> Iterator[Part]:
        extent, unit = self.nest.extents[k], self._unit(k)
        size = self.s.tile.get(k, 1)
        if span is not None:
            yield from self._running_parts(k, span, size)
            return
        step = size * unit
        whole = extent // step * step
        if whole:
            yield Part(0, whole, size)
        left = extent - whole
        if left:
            yield Part(whole, extent, -(-left // unit), left % unit)

    def _running_parts(self, k: int, span: Any, size: int) -> Iterator[Part]:
        """The parts of the axis that threads share: whole tiles, then results by themselves, however many there are."""
        first, last = span
        unit = self._unit(k)
        step = size * unit
        if step == 1:
            yield Part(first, last, 1)
            return
        b = self.b
        whole = b.add(first, b.mul(b.sdiv(b.sub(last, first), ir.Constant(I64, step)), ir.Constant(I64, step)))
        yield Part(first, whole, size)
        left = self.nest.extents[k] % step
        if unit == 1:
            yield Part(whole, last, 1)
        elif left:
            yield Part(whole, last, -(-left // unit), left % unit)

    def _moved(self, offsets: dict[Access, ir.Value], k: int, i: ir.Value) -> dict[Access, ir.Value]:
        out = {}
        for a, o in offsets.items():
            s = self._stride(a, k)
            out[a] = o if not s else self.b.add(o, i if s == 1 else self.b.mul(i, ir.Constant(I64, s)))
        return out

    def _stride(self, a: Access, k: int) -> int:
        return 0 if k < self.p.fixed(a.buffer) else a.strides[k]

    # -- a tile of results ----------------------------------------------------------------------------------------

    def _tile(
        self, offsets: dict[Access, ir.Value], parts: dict[int, Part], block: ir.Value | None, clear: ir.Value | None
    ) -> None:
        b, s = self.b, self.s
        first = [*product(*[[(k, j) for j in range(parts[k].size)] for k, _ in s.first_tile])]
        second = [*product(*[[(k, j) for j in range(parts[k].size)] for k, _ in s.second_tile])]
        tail = parts[s.vector_axis].tail if s.parallel else 0
        alone = s.vector_axis not in dict(s.first_tile)

        def partial(point: Any) -> int:
            """Lanes in use of the vectors at this point of the tile, 0 for all."""
            at = dict(point).get(s.vector_axis, 0)
            return tail if alone or at == parts[s.vector_axis].size - 1 else 0

        cells = {}
        for x, y in product(first, second):
            cells[x, y] = self.p.top.alloca(self.type)
            b.store(constant(0, self.nest.dtype, s.lanes), cells[x, y])

        def term(o: dict[Access, ir.Value], mask: int, sums: dict[Any, ir.Value]) -> None:
            seconds: dict[Any, ir.Value] = {}
            vectors = [self._vector(s.first, o, x, partial(x) if s.parallel else mask) for x in first]
            for y in second:
                seconds[y] = self._scalar(o, y) if s.parallel else self._vector(s.second, o, y, mask)
                for x, v in zip(first, vectors, strict=True):
                    sums[x, y] = scalars.intrinsic(b, "fma", [v, seconds[y], sums[x, y]])

        reduced = [k for k in self.axes if self.nest.kinds[k] == "r"]
        self._reduce(reduced, offsets, block, cells, term)
        if s.parallel:
            for (x, y), c in cells.items():
                self._store_vector(offsets, (*x, *y), b.load(c, typ=self.type), partial(x))
        else:
            self._store_sums(offsets, cells, clear)

    def _reduce(
        self, axes: Sequence[int], offsets: dict[Access, ir.Value], block: ir.Value | None, cells: dict[Any, ir.Value],
        term: Callable[[dict[Access, ir.Value], int, dict[Any, ir.Value]], None],
    ) -> None:  # fmt: skip
        """The loops of the sum, the vector's and its rows' axis innermost; short ones written out."""
        s = self.s
        axes = sorted(axes, key=lambda k: (k == s.vector_axis, k))
        counts = {k: self.nest.extents[k] for k in axes}
        steps = {k: s.width if k == s.vector_axis else s.rows if k == s.row_axis else 1 for k in axes}
        flat = self._written_out(axes, steps, len(cells))

        def written_out(at: int, o: dict[Access, ir.Value], mask: int) -> None:
            """What has no loop any more, with the sums in registers."""
            sums = {key: self.b.load(c, typ=self.type) for key, c in cells.items()}
            straight(at, o, mask, sums)
            for key, c in cells.items():
                self.b.store(sums[key], c)

        def straight(at: int, o: dict[Access, ir.Value], mask: int, sums: dict[Any, ir.Value]) -> None:
            if at == len(axes):
                term(o, mask, sums)
                return
            k = axes[at]
            n, step = counts[k], steps[k]
            for i in range(0, n, step):
                straight(at + 1, self._moved(o, k, ir.Constant(I64, i)), n - i if n - i < step else mask, sums)

        def walk(at: int, o: dict[Access, ir.Value], mask: int) -> None:
            if at == len(axes) or axes[at] in flat:
                written_out(at, o, mask)
                return
            k = axes[at]
            if k == s.block_axis:
                assert block is not None
                self.p._loop(ir.Constant(I64, 0), block, 1, lambda i: walk(at + 1, self._moved(o, k, i), mask))
                return
            n, step = counts[k], steps[k]
            whole = n - n % step
            if whole:
                self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, whole), step,
                             lambda i: walk(at + 1, self._moved(o, k, i), mask))  # fmt: skip
            if n % step:
                walk(at + 1, self._moved(o, k, ir.Constant(I64, whole)), n - whole)

        walk(0, offsets, 0)

    def _written_out(self, axes: Sequence[int], steps: dict[int, int], weight: int) -> set[int]:
        """The innermost axes of the sum without loops: together not more than ``_UNROLLED`` multiplications."""
        flat: set[int] = set()
        for k in reversed(axes):
            weight *= -(-self.nest.extents[k] // steps[k])
            if weight > _UNROLLED or k == self.s.block_axis:
                break
            flat.add(k)
        return flat

    # -- memory ---------------------------------------------------------------------------------------------------

    def _at(
        self, a: Access, offsets: dict[Access, ir.Value], point: Sequence[tuple[int, int]], more: int = 0
    ) -> ir.Value:
        distance = more + sum(self._stride(a, k) * j * self._unit(k) for k, j in point)
        o = offsets[a] if not distance else self.b.add(offsets[a], ir.Constant(I64, distance))
        return self.b.gep(self.p.pointer(a.buffer), [o], source_etype=self.memory)

    def _scalar(self, offsets: dict[Access, ir.Value], point: Any) -> ir.Value:
        at = self._at(self.s.second, offsets, point)
        return splat(self.b, self.b.load(at, align=self.size, typ=self.memory), self.s.lanes)

    def _vector(self, a: Access, offsets: dict[Access, ir.Value], point: Any, used: int) -> ir.Value:
        """``rows`` stretches of ``width`` neighbours as one vector; lanes from ``used`` on hold 0."""
        s = self.s
        if s.rows == 1 or self._stride(a, s.row_axis) == s.width:
            return self._load(self._at(a, offsets, point), self.type, used)
        part = ir.VectorType(self.memory, s.width)
        step = self._stride(a, s.row_axis)
        pieces = [self._load(self._at(a, offsets, point, r * step), part, used) for r in range(s.rows)]
        while len(pieces) > 1:
            pieces = [_joined(self.b, x, y) for x, y in zip(pieces[::2], pieces[1::2], strict=True)]
        return pieces[0]

    def _load(self, at: ir.Value, kind: ir.VectorType, used: int) -> ir.Value:
        if not used:
            return self.b.load(at, align=self.size, typ=kind)
        self.p.mask = _first_lanes(kind.count, used)
        out = self.p._masked_load(at, kind, self.nest.dtype)
        self.p.mask = None
        return out

    def _store_vector(self, offsets: dict[Access, ir.Value], point: Any, value: ir.Value, used: int) -> None:
        b, s, out = self.b, self.s, self.nest.out
        step = self._stride(out, s.row_axis) if s.rows > 1 else 0
        for r in range(s.rows):
            at = self._at(out, offsets, point, r * step)
            lanes = list(range(r * s.width, (r + 1) * s.width))
            part = value if s.rows == 1 else b.shuffle_vector(value, value, _positions(lanes))
            if self.nest.accumulate:
                part = b.fadd(self._load(at, part.type, used), part)
            if used:
                self.p.mask = _first_lanes(part.type.count, used)
                self.p._masked_store(at, part, self.nest.dtype)
                self.p.mask = None
            else:
                b.store(part, at, align=self.size)

    def _store_sums(self, offsets: dict[Access, ir.Value], cells: dict[Any, ir.Value], clear: ir.Value | None) -> None:
        """The sums over the lanes of each accumulator, added to what earlier blocks left."""
        b, lanes = self.b, self.s.lanes
        items = list(cells.items())
        for begin in range(0, len(items), lanes):
            some = items[begin : begin + lanes]
            sums = _sums(b, [b.load(c, typ=self.type) for _, c in some], lanes)
            for j, ((x, y), _) in enumerate(some):
                at = self._at(self.nest.out, offsets, (*x, *y))
                value = b.extract_element(sums, ir.Constant(I32, j))
                if self.nest.accumulate or clear is not None:
                    old = b.load(at, align=self.size, typ=self.memory)
                    if clear is not None and not self.nest.accumulate:
                        old = b.select(clear, constant(0, self.nest.dtype), old)
                    value = b.fadd(old, value)
                b.store(value, at, align=self.size)


def _number(n: Any) -> ir.Value:
    return ir.Constant(I64, n) if isinstance(n, int) else n


def _positions(lanes: Sequence[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))


def _first_lanes(lanes: int, used: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(I1, lanes), [int(i < used) for i in range(lanes)])


def _joined(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.shuffle_vector(x, y, _positions(range(2 * x.type.count)))


def _sums(b: ir.IRBuilder, vectors: list[ir.Value], lanes: int) -> ir.Value:
    """One vector whose lane ``j`` is the sum of the lanes of ``vectors[j]``: neighbours added, level by level."""
    even, odd = _positions(range(0, 2 * lanes, 2)), _positions(range(1, 2 * lanes, 2))
    for _ in range(lanes.bit_length() - 1):
        if len(vectors) % 2:
            vectors.append(vectors[-1])
        vectors = [b.fadd(b.shuffle_vector(x, y, even), b.shuffle_vector(x, y, odd))
                   for x, y in zip(vectors[::2], vectors[1::2], strict=True)]  # fmt: skip
    return vectors[0]
