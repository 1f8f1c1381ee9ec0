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
from tinygraph.targets.llvm import philox, scalars, tiles, vmath
from tinygraph.targets.llvm.checks import Builder, Extent, builder
from tinygraph.targets.llvm.contraction import Contraction
from tinygraph.targets.llvm.convolution import ConvolutionPrinter
from tinygraph.targets.llvm.draws import HEAVY, Draws, places
from tinygraph.targets.llvm.looptree import (
    UNROLL,
    Leaf,
    Loop,
    build,
    choose_vector_axes,
    columns,
    has_vector_above,
    moving_axes,
    shared_by,
    unrolled,
    unstored,
)
from tinygraph.targets.llvm.memory import Memory
from tinygraph.targets.llvm.numbers import table_numbers
from tinygraph.targets.llvm.reductions import TERMS, Reductions, emptied_at, reduced
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, constant, splat
from tinygraph.targets.llvm.transposed import Transposition, Turn, turn
from tinygraph.targets.llvm.windows import recognise
from tinygraph.targets.llvm.winograd import WinogradPrinter, suits

BODY = ir.FunctionType(ir.VoidType(), [PTR, I64, I64, I64])


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
        self, text: Any, slots: list[Any], extent: int, parallel: bool, scratch: int, step: int, exact: bool = False,
        setup: int = 0,
    ):  # fmt: skip
        self.text = text
        self.slots = slots  # ints, ("buffer", Buffer), ("param", name), ("bound", what an index is checked against),
        # ("number", (its type, its value)),
        # and ("private", Buffer), the number of a buffer that the kernel keeps in scratch memory
        self.extent = extent  # iterations of the first loop
        self.parallel = parallel
        self.scratch = scratch  # bytes of scratch memory for each thread
        self.step = step  # shares of the first loop are best multiples of it
        self.exact = exact  # and must be
        self.setup = setup  # multiplications that the time before a share's first iteration is worth


class KernelPrinter(Reductions, Memory, Draws):
    """Prints one group. ``bits``: width of a vector register. ``checked``: with every access compared."""

    def __init__(
        self, group: Group, bits: int, name: str = "kernel", triple: str = "", features: str = "",
        checked: bool = False,
    ):  # fmt: skip
        self.group = group
        self.module = ir.Module(name=name)
        if features:
            vmath.allow_features(self.module, triple, features)
        self.function = ir.Function(self.module, BODY, name)
        self.context, self.begin, self.end, self.thread = self.function.args
        self.entry = self.function.append_basic_block("entry")
        self.top = ir.IRBuilder(self.entry)  # allocas and loads of the table
        start = self.function.append_basic_block("start")
        self.b: Builder = builder(start, checked)
        self.slots = Slots()
        self.table_numbers = {k for nest in group.nests for k in table_numbers(nest.expr)}
        self.lanes = self._lanes(bits)
        self.bits = bits
        self.convolution = recognise(group)
        self._arrange(group.nests[self.convolution.count() :] if self.convolution else group.nests)
        if self.convolution and self.tree and (len(self.tree) > 1 or self.tree[0].vector):
            self.convolution = None
            self._arrange(group.nests)
        self.skipped = unstored(self.tree, group.private)
        self._wide_private = has_vector_above(self.tree, group.outer)
        self.scratch = 0
        self.setup = 0
        self.share = 1  # iterations of the first loop that belong together
        self._fixed: dict[Buffer, int] = {}
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

    def _arrange(self, nests: Sequence[Nest]) -> None:
        """Decide on the loops of nests."""
        self.tree: Any = build(nests, self.group.outer)
        self.tiled: dict[Nest, tiles.Schedule] = {}
        self.turned: dict[Nest, Turn] = {}
        # what a convolution leaves is printed within its samples' loop
        inside = [c for node in self.tree for c in getattr(node, "children", [])]
        self._schedule(inside if self.convolution else self.tree, self.bits)
        choose_vector_axes(self.tree, self.lanes, {*self.tiled, *self.turned})
        if not self.tiled and not self.convolution:
            self.lanes *= columns(self.tree, self.lanes, 32 if self.bits == 512 else 16)

    def _schedule(self, nodes: Sequence[Loop | Leaf], bits: int) -> None:
        """How to print the contractions, and the copies that turn rows into columns, where they share no loop."""
        for node in nodes:
            if isinstance(node, Leaf):
                continue
            if len(node.nests) > 1:
                self._schedule(node.children, bits)
                continue
            nest = node.nests[0]
            s, t = tiles.schedule(nest, node.depth, bits), turn(nest, node.depth, bits)
            if s is not None:
                self.tiled[nest] = s
            elif t is not None:
                self.turned[nest] = t

    def _lanes(self, bits: int) -> int:
        widest = 4
        for nest in self.group.nests:
            for x in [nest.expr, *loads(nest.expr)]:
                widest = max(widest, np.dtype(x.dtype).itemsize)
            numbers = places(nest.expr)
            if any(
                (x.op in ("axis", "index") or x.dtype in ("int64", "float64")) and id(x) not in numbers
                for x in postorder(nest.expr)
            ):
                widest = 8
        return max(2, bits // (8 * widest))

    # -- the whole ------------------------------------------------------------------------------------------------

    def print(self) -> Kernel:
        parallel = self._parallel()
        self.iterations = self.group.nests[0].extents[0] if parallel else 1  # of the loop that threads share
        table = self._context_pointer(0)
        self._table, self._params, self._args = table, self._context_pointer(1), self._context_pointer(2)
        if self.convolution is not None:
            lanes = self.bits // (8 * self.convolution.nest.out.buffer.itemsize)
            kind = WinogradPrinter if suits(self.convolution, lanes) else ConvolutionPrinter
            self._samples(kind(self, self.convolution, self.bits), parallel)
        else:
            for node in self.tree:
                self._node(node, parallel)
        self.b.ret_void()
        self.top.branch(self.function.basic_blocks[1])
        first = self.group.nests[0]
        extent = self.iterations if parallel else 1
        step, exact = 1 if self.convolution else max(self.lanes, self.share), False
        if parallel and first in self.tiled and len(self.group.nests) == 1:
            s = self.tiled[first]
            step = s.tile.get(0, 1) * (s.width if s.vector_axis == 0 else s.rows if s.row_axis == 0 else 1)
            exact = True
        return Kernel(str(self.module), self.slots.values, extent, parallel, self.scratch, step, exact, self.setup)

    def _samples(self, convolution: ConvolutionPrinter, parallel: bool) -> None:
        """The samples' loop around a convolution and the nests that it leaves; without any, a loop of smaller parts."""
        convolution.begin()
        self.setup = convolution.setup
        units = 1 if self.tree else convolution.units
        self.iterations = convolution.c.samples.extent * units

        def part(i: ir.Value) -> None:
            n, u = i, ir.Constant(I64, 0)
            if self.tree:
                convolution.sample(n)
            else:
                u, n = convolution._digit(i, units)
                convolution.unit(n, u)
            for node in self.tree:
                self._iteration(node, n)

        first = self.group.nests[0]
        span = (self.begin, self.end) if parallel else (ir.Constant(I64, 0), self.size(self.iterations, (first, 0)))
        self._loop(*span, 1, part)

    def _parallel(self) -> bool:
        """Whether iterations of the one outermost loop are independent of each other."""
        if self.convolution is None and (len(self.tree) != 1 or not isinstance(self.tree[0], Loop)):
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
        s = 0 if k < self.fixed(a.buffer) else a.strides[k]
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

    def fixed(self, buffer: Buffer) -> int:
        """How many outer loops do not move accesses to a buffer: those for each of whose passes it is private."""
        if not self._is_private(buffer):
            return 0
        if buffer not in self._fixed:
            nests = {n for n in self.group.nests if any(a.buffer is buffer for a in self.accesses(n))}
            self._fixed[buffer] = max(self.group.outer, shared_by(self.tree, nests))
        return self._fixed[buffer]

    def pointer(self, buffer: Buffer) -> ir.Value:
        """Where the buffer starts."""
        if buffer not in self._pointers:
            if self._is_private(buffer):
                self._pointers[buffer] = self._private_pointer(buffer)
            else:
                index = self._slot(("buffer", buffer))
                at = self.top.gep(self._table, [index], source_etype=I64)
                self._pointers[buffer] = self.top.load(at, typ=PTR)
                self.b.guard_buffer(self._pointers[buffer], index, self.top)
        return self._pointers[buffer]

    def _private_pointer(self, buffer: Buffer) -> ir.Value:
        """A place in the thread's scratch memory, large enough for one pass of the loops that its nests share."""
        ends: list[int] = []
        for nest in self.group.nests:
            for a in [*nest.accesses(), nest.out]:
                if a.buffer is buffer:
                    reach = [s * (e - 1) for s, e in zip(a.strides, nest.extents, strict=True)][self.fixed(buffer) :]
                    ends += [a.offset + sum(min(r, 0) for r in reach), a.offset + sum(max(r, 0) for r in reach)]
        low, high = min(ends), max(ends)
        start = self.scratch
        # with the vector axis among the shared loops every element is a vector: one value for each lane
        self.scratch += -(-((high - low + 1) * buffer.itemsize * self.lanes) // 64) * 64 + 64
        base, step = self._context_pointer(3), self._context_number(4)
        mine = self.top.gep(base, [self.top.mul(self.thread, step)], source_etype=I8)
        at = self._slot(start - low * buffer.itemsize * (self.lanes if self._wide_private else 1))
        pointer = self.top.gep(mine, [at], source_etype=I8)
        if self.b.checked:
            first = self.top.add(self.top.ptrtoint(mine, I64), self._slot(start))
            size = self._slot((high - low + 1) * buffer.itemsize * (self.lanes if self._wide_private else 1))
            self.b.guard(pointer, Extent(first, self.top.add(first, size), self._slot(("private", buffer))))
        return pointer

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
        if len(node.nests) == 1 and node.nests[0] in self.turned:
            nest = node.nests[0]
            span = (self.begin, self.end) if parallel else (None, None)
            Transposition(self, nest, node.depth, self.turned[nest]).print(*span)
            return
        saved = dict(self.values), dict(self.offsets)
        self._hoist(node)
        starting = [n for n in node.nests if n.combine is not None and n.kinds[node.depth] == "r"
                    and (node.depth == 0 or n.kinds[node.depth - 1] == "p")]  # fmt: skip
        for nest in starting:
            self._start_reduction(nest, node)
        n = self.size(node.extent, (node.nests[0], node.depth))
        first, last = (self.begin, self.end) if parallel else (ir.Constant(I64, 0), n)
        if any(n in self.totals and node.depth == emptied_at(n) for n in node.nests):
            self._summing_loop(node, first, last)
        elif node.vector:
            self._vector_loop(node, first, last)
        elif not parallel and unrolled(node):
            for i in range(node.extent):
                self._iteration(node, ir.Constant(I64, i))
        else:
            self._loop(first, last, 1, lambda i: self._iteration(node, i))
        for nest in starting:
            self._finish_reduction(nest, node)
        self.values, self.offsets = saved

    def _loop(self, first: ir.Value, last: ir.Value, step: int, body: Callable[[ir.Value], None]) -> None:
        scalars.loop(self.b, first, last, step, body)

    def _summing_loop(self, node: Loop, first: ir.Value, last: ir.Value) -> None:
        """A loop of long sums in blocks that each end with the accumulators' emptying."""
        b = self.b
        emptied = [n for n in node.nests if n in self.totals and node.depth == emptied_at(n)]
        inner = min(reduced(n, node.depth + 1) for n in emptied)
        length = ir.Constant(I64, max(1, TERMS // max(inner, 1)) * (self.lanes if node.vector else 1))

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
        drawn = self._drawn(node)
        if drawn is not None:
            self._drawing_loop(node, first, last, drawn)
            self.vector_depth = None
            return

        def masked(i: ir.Value) -> None:
            left = b.sub(last, i)
            steps = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
            self.mask = b.icmp_signed("<", steps, splat(b, left, lanes))
            self._iteration(node, i)
            self.mask = None

        if sum(n.expr.weight for n in node.nests) > HEAVY:
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
            return self._number(x) if id(x) in self.table_numbers else constant(x.attr, x.dtype)
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

    def _number(self, x: Expr) -> ir.Value:
        """A constant that is no part of the code."""
        key = ("number", x.dtype, x.attr)
        if key not in self._numbers:
            t = scalars.typed(x.dtype, 0)
            bits = ir.IntType(8 * np.dtype(x.dtype).itemsize)
            slot = self._slot(("number", (x.dtype, x.attr)))
            self._numbers[key] = self.top.bitcast(slot if bits.width == 64 else self.top.trunc(slot, bits), t)
        return self._numbers[key]

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

def _bits(v: ir.Value) -> int:
    t = v.type
    return (t.element if isinstance(t, ir.VectorType) else t).width


def _separate(nest: Nest) -> bool:
    """Whether different iterations of the first axis write different elements."""
    step = abs(nest.out.strides[0])
    reach = sum(abs(s) * (e - 1) for s, e in zip(nest.out.strides[1:], nest.extents[1:], strict=True))
    return step > reach
