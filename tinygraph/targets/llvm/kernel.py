"""Printing a group of loop nests as one LLVM function.

``void kernel(ptr context, i64 begin, i64 end, i64 thread)`` runs iterations ``begin .. end`` of the group's first
loop. Sizes, strides and offsets are read from a table, so that one kernel serves all shapes of a structure; only
strides 0 and 1 and very small sizes are part of the code. See ``machine.py`` for the context's layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from tinygraph.program.expr import Access, Expr, loads, postorder
from tinygraph.program.instructions import Buffer, Group, Nest
from tinygraph.program.reduction import identity
from tinygraph.targets.llvm import philox, scalars, tiles, vmath
from tinygraph.targets.llvm.contraction import Contraction
from tinygraph.targets.llvm.looptree import (
    Leaf,
    Loop,
    build,
    choose_vector_axes,
    has_vector_above,
    moving_axes,
    unstored,
)
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, constant, splat

BODY = ir.FunctionType(ir.VoidType(), [PTR, I64, I64, I64])
#: loops of at most this many iterations are written out
UNROLL = 4
#: terms that one accumulator adds up before its sum goes to a compensated total
_TERMS = 128
#: expressions heavier than this are printed once, with a mask, rather than for full and partial vectors
_HEAVY = 60


class Slots:
    """Numbers that a kernel reads from its table instead of having them in its code."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1


class Kernel:
    """The printed function and what it needs to be called."""

    def __init__(
        self, text: Any, slots: list[Any], extent: int, parallel: bool, scratch: int, step: int, exact: bool = False
    ):  # fmt: skip
        self.text = text
        self.slots = slots  # ints, or ("buffer", Buffer), ("param", name), ("bound", size that an index is checked against)
        self.extent = extent  # iterations of the first loop
        self.parallel = parallel
        self.scratch = scratch  # bytes of scratch memory for each thread
        self.step = step  # shares of the first loop are best multiples of it
        self.exact = exact  # and must be


class KernelPrinter:
    """Prints one group. ``bits``: width of a vector register."""

    def __init__(self, group: Group, bits: int, name: str = "kernel", triple: str = "", features: str = ""):
        self.group = group
        self.module = ir.Module(name=name)
        if features:
            vmath.allow_features(self.module, triple, features)
        self.function = ir.Function(self.module, BODY, name)
        self.context, self.begin, self.end, self.thread = self.function.args
        self.entry = self.function.append_basic_block("entry")
        self.top = ir.IRBuilder(self.entry)  # allocas and loads of the table
        start = self.function.append_basic_block("start")
        self.b = ir.IRBuilder(start)
        self.slots = Slots()
        self.lanes = self._lanes(bits)
        self.tree = build(group.nests, group.outer)
        self.tiled = self._schedules(self.tree, bits)
        choose_vector_axes(self.tree, self.lanes, set(self.tiled))
        self.skipped = unstored(self.tree, group.private)
        self._wide_private = has_vector_above(self.tree, group.outer)
        self.scratch = 0
        self._places: dict[Buffer, int] = {}
        self._pointers: dict[Buffer, ir.Value] = {}
        self._numbers: dict[Any, ir.Value] = {}
        self.values: dict[int, ir.Value] = {}  # expression nodes computed so far
        self.stored: dict[Access, ir.Value] = {}  # forwarded within a leaf
        self.offsets: dict[Access, ir.Value] = {}
        self.axes: dict[int, ir.Value] = {}  # loop counters by depth
        self.vector_depth: int | None = None
        self.mask: ir.Value | None = None
        self.accumulators: dict[Nest, tuple[ir.Value, ...]] = {}
        self.totals: dict[Nest, tuple[ir.Value, ir.Value]] = {}  # of long sums: the total, and its rounding errors' sum
        self._in_parts: set[Nest] = set()  # reductions whose lanes are parts of one result
        self._moving: dict[int, set[int]] = {}
        self._accesses: dict[Nest, list[Access]] = {}

    def _schedules(self, nodes: Sequence[Loop | Leaf], bits: int) -> dict[Nest, tiles.Schedule]:
        """How to print the contractions, from where they share no loop with other nests."""
        found: dict[Nest, tiles.Schedule] = {}
        for node in nodes:
            if isinstance(node, Leaf):
                continue
            if len(node.nests) > 1:
                found.update(self._schedules(node.children, bits))
                continue
            s = tiles.schedule(node.nests[0], node.depth, bits)
            if s is not None:
                found[node.nests[0]] = s
        return found

    def _lanes(self, bits: int) -> int:
        widest = 4
        for nest in self.group.nests:
            for x in [nest.expr, *loads(nest.expr)]:
                widest = max(widest, np.dtype(x.dtype).itemsize)
            if any(x.op in ("axis", "index") or x.dtype in ("int64", "float64") for x in postorder(nest.expr)):
                widest = 8
        return max(2, bits // (8 * widest))

    # -- the whole ------------------------------------------------------------------------------------------------

    def print(self) -> Kernel:
        parallel = self._parallel()
        table = self._context_pointer(0)
        self._table, self._params, self._args = table, self._context_pointer(1), self._context_pointer(2)
        for node in self.tree:
            self._node(node, parallel)
        self.b.ret_void()
        self.top.branch(self.function.basic_blocks[1])
        first = self.group.nests[0]
        extent = first.extents[0] if parallel else 1
        step, exact = self.lanes, False
        if parallel and first in self.tiled and len(self.group.nests) == 1:
            s = self.tiled[first]
            step = s.tile.get(0, 1) * (s.width if s.vector_axis == 0 else s.rows if s.row_axis == 0 else 1)
            exact = True
        return Kernel(str(self.module), self.slots.values, extent, parallel, self.scratch, step, exact)

    def _parallel(self) -> bool:
        """Whether iterations of the one outermost loop are independent of each other."""
        if len(self.tree) != 1 or not isinstance(self.tree[0], Loop):
            return False
        for nest in self.group.nests:
            if nest.kinds[0] != "p" or nest.out.dynamic is not None:
                return False
            if nest.extents[0] > 1 and not _separate(nest):
                return False
        return True

    # -- table ----------------------------------------------------------------------------------------------------

    def _context_pointer(self, index: int) -> ir.Value:
        at = self.top.gep(self.context, [ir.Constant(I64, index)], source_etype=I64)
        return self.top.load(at, typ=PTR)

    def _context_number(self, index: int) -> ir.Value:
        at = self.top.gep(self.context, [ir.Constant(I64, index)], source_etype=I64)
        return self.top.load(at, typ=I64)

    def _slot(self, value: Any) -> ir.Value:
        at = self.top.gep(self._args, [ir.Constant(I64, self.slots.add(value))], source_etype=I64)
        return self.top.load(at, typ=I64)

    def size(self, n: int, key: Any = None) -> ir.Value:
        """A loop's extent: a constant if very small, else from the table."""
        if n <= UNROLL:
            return ir.Constant(I64, n)
        key = ("size", key)
        if key not in self._numbers:
            self._numbers[key] = self._slot(n)
        return self._numbers[key]

    def stride(self, a: Access, k: int) -> ir.Value | None:
        """The stride of an access along an axis; None for 0."""
        s = 0 if self._is_private(a.buffer) and k < self.group.outer else a.strides[k]
        if s == 0:
            return None
        if s == 1:
            return ir.Constant(I64, 1)
        key = ("stride", a, k)
        if key not in self._numbers:
            self._numbers[key] = self._slot(s)
        return self._numbers[key]

    def _is_private(self, buffer: Buffer) -> bool:
        return buffer in self.group.private

    def pointer(self, buffer: Buffer) -> ir.Value:
        """Where the buffer starts."""
        if buffer not in self._pointers:
            if self._is_private(buffer):
                self._pointers[buffer] = self._private_pointer(buffer)
            else:
                index = self._slot(("buffer", buffer))
                at = self.top.gep(self._table, [index], source_etype=I64)
                self._pointers[buffer] = self.top.load(at, typ=PTR)
        return self._pointers[buffer]

    def _private_pointer(self, buffer: Buffer) -> ir.Value:
        """A place in the thread's scratch memory, large enough for one pass of the shared loops."""
        low, high = 0, 0
        for nest in self.group.nests:
            for a in [*nest.accesses(), nest.out]:
                if a.buffer is buffer:
                    reach = [s * (e - 1) for s, e in zip(a.strides, nest.extents, strict=True)][self.group.outer :]
                    low = min(low, a.offset + sum(min(r, 0) for r in reach))
                    high = max(high, a.offset + sum(max(r, 0) for r in reach))
        start = self.scratch
        # with the vector axis among the shared loops every element is a vector: one value for each lane
        self.scratch += -(-((high - low + 1) * buffer.itemsize * self.lanes) // 64) * 64 + 64
        base, step = self._context_pointer(3), self._context_number(4)
        mine = self.top.gep(base, [self.top.mul(self.thread, step)], source_etype=I8)
        at = self._slot(start - low * buffer.itemsize * (self.lanes if self._wide_private else 1))
        return self.top.gep(mine, [at], source_etype=I8)

    def _in_lanes(self, a: Access) -> bool:
        """Whether the access is to private memory that holds a vector for each element."""
        return self._wide_private and self._is_private(a.buffer)

    # -- loops ----------------------------------------------------------------------------------------------------

    def _node(self, node: Loop | Leaf, parallel: bool = False) -> None:
        if isinstance(node, Leaf):
            self._leaf(node)
            return
        if len(node.nests) == 1 and node.nests[0] in self.tiled:
            nest = node.nests[0]
            span = (self.begin, self.end) if parallel else (None, None)
            Contraction(self, nest, node.depth, self.tiled[nest]).print(*span)
            return
        saved = dict(self.values), dict(self.offsets)
        self._hoist(node)
        starting = [n for n in node.nests if n.combine is not None and n.kinds[node.depth] == "r"
                    and (node.depth == 0 or n.kinds[node.depth - 1] == "p")]  # fmt: skip
        for nest in starting:
            self._start_reduction(nest, node)
        n = self.size(node.extent, (node.nests[0], node.depth))
        first, last = (self.begin, self.end) if parallel else (ir.Constant(I64, 0), n)
        if any(n in self.totals and node.depth == _emptied_at(n) for n in node.nests):
            self._summing_loop(node, first, last)
        elif node.vector:
            self._vector_loop(node, first, last)
        elif node.extent <= UNROLL and not parallel:
            for i in range(node.extent):
                self._iteration(node, ir.Constant(I64, i))
        else:
            self._loop(first, last, 1, lambda i: self._iteration(node, i))
        for nest in starting:
            self._finish_reduction(nest, node)
        self.values, self.offsets = saved

    def _loop(self, first: ir.Value, last: ir.Value, step: int, body: Callable[[ir.Value], None]) -> None:
        b = self.b
        before = b.block
        inside, after = b.append_basic_block("loop"), b.append_basic_block("after")
        b.cbranch(b.icmp_signed("<", first, last), inside, after)
        b.position_at_end(inside)
        i = b.phi(I64)
        i.add_incoming(first, before)
        body(i)
        following = b.add(i, ir.Constant(I64, step))
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, last), inside, after)
        b.position_at_end(after)

    def _summing_loop(self, node: Loop, first: ir.Value, last: ir.Value) -> None:
        """A loop of long sums in blocks that each end with the accumulators' emptying."""
        b = self.b
        emptied = [n for n in node.nests if n in self.totals and node.depth == _emptied_at(n)]
        inner = min(_reduced(n, node.depth + 1) for n in emptied)
        length = ir.Constant(I64, max(1, _TERMS // max(inner, 1)) * (self.lanes if node.vector else 1))

        def block(i: ir.Value) -> None:
            end = b.add(i, length)
            end = b.select(b.icmp_signed("<", end, last), end, last)
            if node.vector:
                self._vector_loop(node, i, end)
            else:
                self._loop(i, end, 1, lambda j: self._iteration(node, j))
            for nest in emptied:
                self._empty(nest)

        self._loop(first, last, length.constant, block)

    def _vector_loop(self, node: Loop, first: ir.Value, last: ir.Value) -> None:
        """Full vectors, then what is left under a mask (heavy expressions: everything under a mask)."""
        b, lanes = self.b, self.lanes
        self.vector_depth = node.depth

        def masked(i: ir.Value) -> None:
            left = b.sub(last, i)
            steps = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
            self.mask = b.icmp_signed("<", steps, splat(b, left, lanes))
            self._iteration(node, i)
            self.mask = None

        if sum(n.expr.weight for n in node.nests) > _HEAVY:
            self._loop(first, last, lanes, masked)
        else:
            span = b.sub(last, first)
            whole = b.add(first, b.and_(span, ir.Constant(I64, -lanes)))
            self._loop(first, whole, lanes, lambda i: self._iteration(node, i))
            self._loop(whole, last, lanes, masked)
        self.vector_depth = None

    def _iteration(self, node: Loop, i: ir.Value) -> None:
        """One pass of the loop's body with the counter at ``i``."""
        saved = dict(self.values), dict(self.offsets)
        self.axes[node.depth] = i
        for nest in node.nests:
            for a in self.accesses(nest):
                self._advance(a, node.depth, i)
        for child in node.children:
            self._node(child)
        self.values, self.offsets = saved

    def accesses(self, nest: Nest) -> list[Access]:
        if nest not in self._accesses:
            self._accesses[nest] = list(dict.fromkeys([*nest.accesses(), nest.out]))
        return self._accesses[nest]

    def _advance(self, a: Access, depth: int, i: ir.Value) -> None:
        """Move the access's offset along an axis, once for each counter value."""
        key = (a, depth)
        if self.offsets.get(key) is i:  # type: ignore[call-overload]
            return
        step = self.stride(a, depth) if depth < len(a.strides) else None
        if step is not None:
            moved = i if isinstance(step, ir.Constant) else self.b.mul(i, step)
            if not (isinstance(i, ir.Constant) and i.constant == 0):
                self.offsets[a] = self.b.add(self._offset(a), moved)
        self.offsets[key] = i  # type: ignore[index]

    def _offset(self, a: Access) -> ir.Value:
        """The access's element number as far as the loops around have moved it."""
        if a not in self.offsets:
            self.offsets[a] = self._start(a)
        return self.offsets[a]

    def _start(self, a: Access) -> ir.Value:
        key = ("start", a)
        if key not in self._numbers:
            value: ir.Value = ir.Constant(I64, 0) if a.offset == 0 else self._slot(a.offset)
            for name, coef in a.params:
                index = self._slot(("param", name))
                number = self.top.load(self.top.gep(self._params, [index], source_etype=I64), typ=I64)
                value = self.top.add(value, self.top.mul(number, self._slot(coef)))
            self._numbers[key] = value
        return self._numbers[key]

    # -- hoisting -------------------------------------------------------------------------------------------------

    def moving(self, e: Expr) -> set[int]:
        if id(e) not in self._moving:
            self._moving[id(e)] = moving_axes(e)
        return self._moving[id(e)]

    def _hoist(self, node: Loop) -> None:
        """Compute before the loop what does not change in it."""
        written = {n.out.buffer for n in node.nests}
        for nest in node.nests:
            for e in [nest.expr, *([nest.out.dynamic] if nest.out.dynamic is not None else [])]:
                self._hoist_parts(e, node.depth, written)

    def _hoist_parts(self, e: Expr, depth: int, written: set[Buffer]) -> None:
        stack = [e]
        seen: set[int] = set()
        while stack:
            x = stack.pop()
            if id(x) in seen or id(x) in self.values or x.op in ("const",):
                continue
            seen.add(id(x))
            fixed = all(k < depth for k in self.moving(x))
            clean = not any(y.attr.buffer in written for y in loads(x))
            if fixed and clean:
                self.value(x)
            else:
                stack.extend(x.args)

    # -- statements -----------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf) -> None:
        saved = dict(self.values)
        self.stored = {}
        for nest in leaf.nests:
            value = self.value(nest.expr)
            if nest.combine is not None and nest in self.accumulators:
                self._accumulate(nest, value)
            else:
                self._store(nest, value)
        self.stored = {}
        self.values = saved

    def _store(self, nest: Nest, value: ir.Value) -> None:
        a = nest.out
        value = scalars.convert(self.b, value, nest.expr.dtype, a.buffer.dtype, self._width(value))
        if nest.combine is not None:  # out = out combine value
            old = self._read(a, a.buffer.dtype)
            width = max(self._width(old), self._width(value))
            old, value = splat(self.b, old, width), splat(self.b, value, width)
            value = scalars.combine(self.b, nest.combine, old, value, a.buffer.dtype, width)
        if a.dynamic is None:
            self.stored[a] = value
        if a.buffer not in self.skipped:
            self._write(a, value)

    @staticmethod
    def _width(v: ir.Value) -> int:
        return v.type.count if isinstance(v.type, ir.VectorType) else 0

    # -- reductions -----------------------------------------------------------------------------------------------

    def _reduction_width(self, nest: Nest, node: Loop) -> int:
        """Lanes of the accumulator: it is a vector in a vector loop around it, or if its own loops hold one."""
        return self.lanes if self.vector_depth is not None or _has_vector(node, nest) else 0

    def _start_reduction(self, nest: Nest, node: Loop) -> None:
        width = self._reduction_width(nest, node)
        dtype = nest.expr.dtype
        assert nest.combine is not None
        if nest.combine.startswith("arg"):
            worst = identity("maximum" if nest.combine == "argmax" else "minimum", dtype)
            # where every lane has a result of its own, position 0 stands until something better comes
            first = -1 if width and self.vector_depth is None else 0
            starts = [constant(worst, dtype, width), constant(first, self._position_dtype(nest), width)]
        else:
            starts = [constant(identity(nest.combine, dtype), dtype, width)]
        cells = []
        for s in starts:
            cell = self.top.alloca(s.type)
            self.b.store(s, cell)
            cells.append(cell)
        self.accumulators[nest] = tuple(cells)
        if width and self.vector_depth is None:
            self._in_parts.add(nest)
        if nest.combine == "add" and dtype in ("float32", "float64") and _reduced(nest) > _TERMS:
            self.totals[nest] = (self.top.alloca(starts[0].type), self.top.alloca(starts[0].type))
            for cell in self.totals[nest]:
                self.b.store(constant(0, dtype, width), cell)

    def _empty(self, nest: Nest) -> None:
        """Move an accumulator's sum to the total, keeping what rounding loses (Knuth's two-sum)."""
        b, (total, lost), cell = self.b, self.totals[nest], self.accumulators[nest][0]
        t = cell.allocated_type
        old, more = b.load(total, typ=t), b.load(cell, typ=t)
        new = b.fadd(old, more)
        part = b.fsub(new, old)
        error = b.fadd(b.fsub(old, b.fsub(new, part)), b.fsub(more, part))
        b.store(new, total)
        b.store(b.fadd(b.load(lost, typ=t), error), lost)
        b.store(constant(0, nest.expr.dtype, self._width(new)), cell)

    def _total(self, nest: Nest) -> ir.Value:
        b, (total, lost) = self.b, self.totals.pop(nest)
        t = total.allocated_type
        sum_, error = b.load(total, typ=t), b.load(lost, typ=t)
        known = b.fcmp_ordered("ord", error, error)  # of infinite sums it is not
        return b.fadd(sum_, b.select(known, error, constant(0, nest.expr.dtype, self._width(sum_))))

    @staticmethod
    def _position_dtype(nest: Nest) -> str:
        """Positions of argmax and argmin are kept as short integers where they fit."""
        return "int32" if _reduced(nest) < 1 << 31 else "int64"

    def _accumulate(self, nest: Nest, value: ir.Value) -> None:
        b, dtype = self.b, nest.expr.dtype
        cells = self.accumulators[nest]
        old = b.load(cells[0], typ=cells[0].allocated_type)
        width = self._width(old)
        value = splat(b, value, width)
        assert nest.combine is not None
        if nest.combine.startswith("arg"):
            self._accumulate_position(nest, value, old, width)
            return
        new = self._fused(nest, old, width)
        if new is None:
            new = scalars.combine(b, nest.combine, old, value, dtype, width)
        if self.mask is not None:
            new = b.select(self.mask, new, old)
        b.store(new, cells[0])

    def _fused(self, nest: Nest, old: ir.Value, width: int) -> ir.Value | None:
        """A sum of products as one fused operation for each term."""
        e = nest.expr
        if nest.combine != "add" or e.op != "mul" or e.dtype not in ("float32", "float64"):
            return None
        x, y = (splat(self.b, self.values[id(a)], width) for a in e.args)
        return scalars.intrinsic(self.b, "fma", [x, y, old])

    def _accumulate_position(self, nest: Nest, value: ir.Value, old: ir.Value, width: int) -> None:
        """Keep the better value and its position; of equal values the earlier one, of nans the first."""
        b, cells, dtype = self.b, self.accumulators[nest], nest.expr.dtype
        where = b.load(cells[1], typ=cells[1].allocated_type)
        position = scalars.convert(b, self._position(nest, width), "int64", self._position_dtype(nest), width)
        better = _better(b, nest.combine, value, old, dtype)  # type: ignore[arg-type]
        if width and nest in self._in_parts:
            better = b.or_(better, b.icmp_signed("<", where, constant(0, self._position_dtype(nest), width)))
        if self.mask is not None:
            better = b.and_(better, self.mask)
        b.store(b.select(better, value, old), cells[0])
        b.store(b.select(better, position, where), cells[1])

    def _position(self, nest: Nest, width: int) -> ir.Value:
        """Row-major number of the point within the reduction axes."""
        b = self.b
        total: ir.Value | None = None
        for k, kind in enumerate(nest.kinds):
            if kind != "r":
                continue
            i = self._counter(k, width)
            if total is None:
                total = i
            else:
                n = splat(b, self.size(nest.extents[k], (nest, k)), width)
                total = b.add(b.mul(total, n), i)
        assert total is not None
        return total

    def _counter(self, depth: int, width: int) -> ir.Value:
        """The loop counter of an axis, one number for each lane."""
        i = splat(self.b, self.axes[depth], width)
        if depth == self.vector_depth and width:
            steps = ir.Constant(ir.VectorType(I64, width), list(range(width)))
            i = self.b.add(i, steps)
        return i

    def _finish_reduction(self, nest: Nest, node: Loop) -> None:
        b, dtype = self.b, nest.expr.dtype
        if nest in self.totals:
            values = [self._total(nest)]
            self.accumulators.pop(nest)
        else:
            values = [b.load(c, typ=c.allocated_type) for c in self.accumulators.pop(nest)]
        assert nest.combine is not None
        if self._width(values[0]) and self.vector_depth is None:  # lanes are parts of one result
            values = self._horizontal(nest, values)
        result = values[-1] if nest.combine.startswith("arg") else values[0]
        source = self._position_dtype(nest) if nest.combine.startswith("arg") else dtype
        a = nest.out
        result = scalars.convert(b, result, source, a.buffer.dtype, self._width(result))
        if nest.accumulate:
            old = self._read(a, a.buffer.dtype)
            width = max(self._width(old), self._width(result))
            result = scalars.combine(b, nest.combine, splat(b, old, width), splat(b, result, width), a.buffer.dtype, width)
        self._write(a, result)

    def _horizontal(self, nest: Nest, values: Sequence[ir.Value]) -> list[ir.Value]:
        b, dtype = self.b, nest.expr.dtype
        if nest.combine.startswith("arg"):  # type: ignore[union-attr]
            return self._best_lane(nest, values)
        v = values[0]
        width = self._width(v)
        while width > 1:
            width //= 2
            low = b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, width), list(range(width))))
            high = b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, width), list(range(width, 2 * width))))
            v = scalars.combine(b, nest.combine, low, high, dtype, width)  # type: ignore[arg-type]
        return [b.extract_element(v, ir.Constant(I32, 0))]

    def _best_lane(self, nest: Nest, values: Sequence[ir.Value]) -> list[ir.Value]:
        b, dtype = self.b, nest.expr.dtype
        best: list[ir.Value] = []
        for lane in range(self.lanes):
            v, p = (b.extract_element(x, ir.Constant(I32, lane)) for x in values)
            if not best:
                best = [v, p]
                continue
            used = b.icmp_signed(">=", p, ir.Constant(p.type, 0))
            wins = _better(b, nest.combine, v, best[0], dtype)  # type: ignore[arg-type]
            loses = _better(b, nest.combine, best[0], v, dtype)  # type: ignore[arg-type]
            earlier = b.and_(b.not_(loses), b.icmp_signed("<", p, best[1]))
            take = b.and_(used, b.or_(wins, earlier))
            best = [b.select(take, v, best[0]), b.select(take, p, best[1])]
        return best

    # -- expressions ----------------------------------------------------------------------------------------------

    def value(self, e: Expr) -> ir.Value:
        """The value of an expression here; parts computed before are reused."""
        for x in postorder(e):
            if id(x) not in self.values:
                self.values[id(x)] = self._value(x)
        return self.values[id(e)]

    def _value(self, x: Expr) -> ir.Value:
        b = self.b
        if x.op == "const":
            return constant(x.attr, x.dtype)
        if x.op == "param":
            index = self._slot(("param", x.attr))
            return b.load(b.gep(self._params, [index], source_etype=I64), typ=I64)
        if x.op == "axis":
            return self._counter(x.attr, self.lanes if x.attr == self.vector_depth else 0)
        if x.op == "load":
            return self._read(x.attr, x.dtype)
        args = [self.values[id(a)] for a in x.args]
        width = max([self._width(a) for a in args], default=0)
        args = [splat(b, a, width) for a in args]
        if x.op == "index":
            return self._checked(x, args[0], width)
        if x.op == "philox":
            wide = ir.VectorType(I64, width) if width else I64
            counter, element = (b.zext(a, wide) if _bits(a) < 64 else a for a in args[2:])
            return philox.word(b, args[0], args[1], counter, element, width)
        return scalars.operation(b, x, args, width)

    def _checked(self, x: Expr, i: ir.Value, width: int) -> ir.Value:
        """An index counted from the front; one out of range is recorded and read as 0."""
        b = self.b
        n = splat(b, self.size(x.attr, ("index", id(x))), width)
        wrapped = b.select(b.icmp_signed("<", i, constant(0, "int64", width)), b.add(i, n), i)
        bad = b.icmp_unsigned(">=", wrapped, n)
        if width and self.mask is not None:
            bad = b.and_(bad, self.mask)
        some = scalars.intrinsic(b, "vector.reduce.or", [bad], I1) if width else bad
        error = self._context_pointer(5)
        with b.if_then(some, likely=False):
            lane = i
            if width:
                lane = b.extract_element(i, ir.Constant(I32, 0))
                for k in range(1, width):
                    hit = b.extract_element(bad, ir.Constant(I32, k))
                    lane = b.select(hit, b.extract_element(i, ir.Constant(I32, k)), lane)
            size = b.extract_element(n, ir.Constant(I32, 0)) if width else n
            check = self._slot(("bound", x.attr))
            for k, v in enumerate((ir.Constant(I64, 1), lane, size, check)):
                b.store(v, b.gep(error, [ir.Constant(I64, k)], source_etype=I64))
        return b.select(bad, constant(0, "int64", width), wrapped)

    # -- memory ---------------------------------------------------------------------------------------------------

    def _vector_step(self, a: Access) -> int | None:
        """The access's stride along the vector axis, None outside of one or where it does not move."""
        if self.vector_depth is None or self.vector_depth >= len(a.strides):
            return None
        s = a.strides[self.vector_depth]
        if self._is_private(a.buffer) and self.vector_depth < self.group.outer:
            s = 0
        return s or None

    def _read(self, a: Access, dtype: str) -> ir.Value:
        if a in self.stored:
            return self.stored[a]
        b, step = self.b, self._vector_step(a)
        base, offset = self.pointer(a.buffer), self._offset(a)
        memory = scalars.memory_type(dtype)
        if self._in_lanes(a):
            return self._read_lanes(a, base, offset, dtype)
        if a.dynamic is not None:
            index = self.value(a.dynamic)
            width = max(self._width(index), self.lanes if step is not None else 0)
            index = b.add(splat(b, offset, width), splat(b, index, width)) if width else b.add(offset, index)
            if step is not None:
                index = b.add(index, self._lane_steps(a))
            return self._gather(base, index, dtype, width)
        if step is None:
            at = b.gep(base, [offset], source_etype=memory)
            return self._loaded(b.load(at, align=_align(dtype), typ=memory), dtype, 0)
        if step == 1:
            at = b.gep(base, [offset], source_etype=memory)
            t = ir.VectorType(memory, self.lanes)
            if self.mask is None:
                return self._loaded(b.load(at, align=_align(dtype), typ=t), dtype, self.lanes)
            return self._loaded(self._masked_load(at, t, dtype), dtype, self.lanes)
        if step == 2:
            return self._read_every_second(base, offset, dtype)
        index = b.add(splat(b, offset, self.lanes), self._lane_steps(a))
        return self._gather(base, index, dtype, self.lanes)

    def _read_every_second(self, base: ir.Value, offset: ir.Value, dtype: str) -> ir.Value:
        """Two vectors of neighbours, of which every second element is kept; nothing behind the last is touched."""
        b, lanes, memory = self.b, self.lanes, scalars.memory_type(dtype)
        t, saved = ir.VectorType(memory, lanes), self.mask
        pieces = []
        for k in range(2):
            at = b.gep(base, [b.add(offset, ir.Constant(I64, k * lanes))], source_etype=memory)
            lane = [(k * lanes + i) // 2 if (k * lanes + i) % 2 == 0 else lanes for i in range(lanes)]
            needed: ir.Value = ir.Constant(ir.VectorType(I1, lanes), [int(j < lanes) for j in lane])
            if saved is not None:
                ends = ir.Constant(ir.VectorType(I32, lanes), [min(j, lanes - 1) for j in lane])
                needed = b.and_(needed, b.shuffle_vector(saved, saved, ends))
            self.mask = needed
            pieces.append(self._masked_load(at, t, dtype))
        self.mask = saved
        even = ir.Constant(ir.VectorType(I32, lanes), list(range(0, 2 * lanes, 2)))
        return self._loaded(b.shuffle_vector(pieces[0], pieces[1], even), dtype, lanes)

    def _read_lanes(self, a: Access, base: ir.Value, offset: ir.Value, dtype: str) -> ir.Value:
        """A vector from private memory that keeps one for each element."""
        b, lanes, memory = self.b, self.lanes, scalars.memory_type(dtype)
        if a.dynamic is not None:
            index = self.value(a.dynamic)
            index = b.add(splat(b, offset, lanes), splat(b, index, lanes))
            steps = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
            return self._gather(base, b.add(b.mul(index, constant(lanes, "int64", lanes)), steps), dtype, lanes)
        at = b.gep(base, [b.mul(offset, ir.Constant(I64, lanes))], source_etype=memory)
        return self._loaded(b.load(at, align=_align(dtype), typ=ir.VectorType(memory, lanes)), dtype, lanes)

    def _lane_steps(self, a: Access) -> ir.Value:
        """Each lane's distance from the first, in elements; lanes off the end stay at the first."""
        assert self.vector_depth is not None
        b, lanes = self.b, self.lanes
        steps: ir.Value = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
        if self.mask is not None:
            steps = b.select(self.mask, steps, constant(0, "int64", lanes))
        step = self.stride(a, self.vector_depth)
        return steps if isinstance(step, ir.Constant) else b.mul(steps, splat(b, step, lanes))

    def _gather(self, base: ir.Value, index: ir.Value, dtype: str, width: int) -> ir.Value:
        b, memory = self.b, scalars.memory_type(dtype)
        if not width:
            at = b.gep(base, [index], source_etype=memory)
            return self._loaded(b.load(at, align=_align(dtype), typ=memory), dtype, 0)
        out: ir.Value = ir.Constant(ir.VectorType(memory, width), ir.Undefined)
        for k in range(width):
            lane = ir.Constant(I32, k)
            at = b.gep(base, [b.extract_element(index, lane)], source_etype=memory)
            out = b.insert_element(out, b.load(at, align=_align(dtype), typ=memory), lane)
        return self._loaded(out, dtype, width)

    def _loaded(self, v: ir.Value, dtype: str, width: int) -> ir.Value:
        if dtype != "bool":
            return v
        return self.b.icmp_unsigned("!=", v, constant(0, "int8", width))

    def _write(self, a: Access, value: ir.Value) -> None:
        b, dtype = self.b, a.buffer.dtype
        memory = scalars.memory_type(dtype)
        step = self._vector_step(a)
        offset = self._offset(a)
        if a.dynamic is not None:
            offset = b.add(offset, self.value(a.dynamic))
        in_lanes = self._in_lanes(a)
        if step is not None or in_lanes:
            value = splat(b, value, self.lanes)
        if in_lanes:
            offset = b.mul(offset, ir.Constant(I64, self.lanes))
        if dtype == "bool":
            width = self._width(value)
            value = b.zext(value, ir.VectorType(I8, width) if width else I8)
        at = b.gep(self.pointer(a.buffer), [offset], source_etype=memory)
        if step is not None and self.mask is not None:
            self._masked_store(at, value, dtype)
        else:
            b.store(value, at, align=_align(dtype))

    def _masked_load(self, at: ir.Value, t: ir.VectorType, dtype: str) -> ir.Value:
        name = f"llvm.masked.load.v{t.count}{scalars.suffix(t.element)}.p0"
        kind = ir.FunctionType(t, [PTR, I32, ir.VectorType(I1, t.count), t])
        zero = ir.Constant(t, [ir.Constant(t.element, 0)] * t.count)
        return self.b.call(scalars.declared(self.module, name, kind), [at, ir.Constant(I32, _align(dtype)), self.mask, zero])

    def _masked_store(self, at: ir.Value, value: ir.Value, dtype: str) -> None:
        t = value.type
        name = f"llvm.masked.store.v{t.count}{scalars.suffix(t.element)}.p0"
        kind = ir.FunctionType(ir.VoidType(), [t, PTR, I32, ir.VectorType(I1, t.count)])
        self.b.call(scalars.declared(self.module, name, kind), [value, at, ir.Constant(I32, _align(dtype)), self.mask])


def _bits(v: ir.Value) -> int:
    t = v.type
    return (t.element if isinstance(t, ir.VectorType) else t).width


def _has_vector(node: Loop, nest: Nest) -> bool:
    """Whether a loop that belongs to ``nest``, from ``node`` inwards, is the vector axis."""
    if node.vector:
        return True
    return any(_has_vector(c, nest) for c in node.children if isinstance(c, Loop) and nest in c.nests)


def _better(b: ir.IRBuilder, kind: str, x: ir.Value, y: ir.Value, dtype: str) -> ir.Value:
    """Whether ``x`` beats ``y`` for argmax or argmin; a nan beats all but a nan."""
    sign = ">" if kind == "argmax" else "<"
    if dtype[0] == "f":
        nan_x, nan_y = b.fcmp_unordered("uno", x, x), b.fcmp_unordered("uno", y, y)
        return b.or_(b.fcmp_ordered(sign, x, y), b.and_(nan_x, b.not_(nan_y)))
    if dtype == "bool":
        return b.and_(x, b.not_(y)) if kind == "argmax" else b.and_(b.not_(x), y)
    return (b.icmp_signed if scalars.is_signed(dtype) else b.icmp_unsigned)(sign, x, y)


def _reduced(nest: Nest, depth: int = 0) -> int:
    """Points of a nest's reduction axes from ``depth`` on."""
    n = 1
    for e, kind in zip(nest.extents[depth:], nest.kinds[depth:], strict=True):
        n *= e if kind == "r" else 1
    return n


def _emptied_at(nest: Nest) -> int:
    """The loop after some rounds of which a long sum's accumulator is emptied: the innermost with terms enough."""
    axes = [k for k, kind in enumerate(nest.kinds) if kind == "r"]
    return next((k for k in reversed(axes) if _reduced(nest, k) > _TERMS), axes[0])


def _separate(nest: Nest) -> bool:
    """Whether different iterations of the first axis write different elements."""
    step = abs(nest.out.strides[0])
    reach = sum(abs(s) * (e - 1) for s, e in zip(nest.out.strides[1:], nest.extents[1:], strict=True))
    return step > reach


def _align(dtype: str) -> int:
    return int(np.dtype(dtype).itemsize)
