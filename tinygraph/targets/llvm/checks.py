"""Checked kernels: every load and store compared with the extent of its memory before it happens.

All printers of kernels emit their accesses with a :class:`Builder` and tell it what the pointers are that they start
from. In checked kernels that is a :class:`CheckedBuilder`. An access that would leave its memory is recorded (what it
is, the distance from the memory's first byte, the size in bytes, the number of the buffer, the kernel's table) and the
kernel returns without doing it; kernels that start later, in this thread or another, return at once. A checked kernel
in which an access starts from a pointer of which nothing has been told is not printed at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.scalars import I64, PTR

#: the error record's first number: an index out of range, and accesses outside of their memory
BAD_INDEX, BAD_READ, BAD_WRITE = 1, 2, 3
#: the error record's number for scratch memory, which is in no buffer
SCRATCH = -1
#: entries of a kernel's context: its table of numbers, scratch memory, the error record, and the buffers' extents, each
#: the first address and the one behind the last
_TABLE, _SCRATCH, _ERROR, _EXTENTS = 2, 3, 5, 6
#: intrinsics that are given addresses and access nothing that a program could tell
_HARMLESS = ("llvm.prefetch.", "llvm.lifetime.")


class Extent(NamedTuple):
    """The first address of some memory, the one behind its last, and the number by which the host knows it."""

    low: ir.Value
    high: ir.Value
    number: ir.Value


class Builder(ir.IRBuilder):
    """Emits accesses as they are printed; what it is told of pointers is for :class:`CheckedBuilder`."""

    checked = False

    def guard(self, pointer: ir.Value, extent: Extent) -> None:
        """What is accessed through this pointer, and through those computed from it, lies within ``extent``."""

    def guard_buffer(self, pointer: ir.Value, index: ir.Value, top: ir.IRBuilder | None = None) -> None:
        """The pointer is that of the buffer ``index`` of the table. ``top``: emits what all of the kernel needs."""

    def guard_scratch(self, pointer: ir.Value, size: int | ir.Value, top: ir.IRBuilder | None = None) -> None:
        """The pointer is the begin of ``size`` bytes of scratch memory."""

    def follow(self, pointer: ir.Value, source: ir.Value) -> None:
        """The pointer, a loop's variable, stays within the memory that ``source`` leads to."""

    def check(self, at: ir.Value, size: ir.Value, writes: bool) -> None:
        """Code that is called next accesses ``size`` bytes from ``at`` on."""


class CheckedBuilder(Builder):
    """Emits the comparison before each access. ``block`` is where the function's own code begins."""

    checked = True

    def __init__(self, block: ir.Block) -> None:
        super().__init__(block)
        self._context = block.function.args[0]
        self._known: dict[int, Extent] = {}
        self._passed: set[int] = set()
        error = self.load(self.gep(self._context, [ir.Constant(I64, _ERROR)], source_etype=I64), typ=PTR)
        failed = self.load_atomic(error, "monotonic", 8, typ=I64)
        with self.if_then(self.icmp_unsigned("!=", failed, ir.Constant(I64, 0)), likely=False):
            self.ret_void()

    def guard(self, pointer: ir.Value, extent: Extent) -> None:
        self._known[id(pointer)] = extent

    def guard_buffer(self, pointer: ir.Value, index: ir.Value, top: ir.IRBuilder | None = None) -> None:
        b = top or self
        at = b.gep(self._context, [ir.Constant(I64, _EXTENTS)], source_etype=I64)
        extents = b.load(at, typ=PTR)
        low = b.gep(extents, [b.shl(index, ir.Constant(I64, 1))], source_etype=I64)
        high = b.gep(low, [ir.Constant(I64, 1)], source_etype=I64)
        self.guard(pointer, Extent(b.load(low, typ=I64), b.load(high, typ=I64), index))

    def guard_scratch(self, pointer: ir.Value, size: int | ir.Value, top: ir.IRBuilder | None = None) -> None:
        b = top or self
        low = b.ptrtoint(pointer, I64)
        size = ir.Constant(I64, size) if isinstance(size, int) else size
        self.guard(pointer, Extent(low, b.add(low, size), ir.Constant(I64, SCRATCH)))

    def follow(self, pointer: ir.Value, source: ir.Value) -> None:
        extent = self._extent(source)
        assert extent is not None
        self.guard(pointer, extent)

    def select(self, cond: ir.Value, lhs: ir.Value, rhs: ir.Value, *more: Any, **kwargs: Any) -> ir.Value:
        """One of two values; a pointer stays within the memory that the chosen one leads to."""
        out = super().select(cond, lhs, rhs, *more, **kwargs)
        if isinstance(out.type, ir.PointerType):
            first, second = self._extent(lhs), self._extent(rhs)
            assert first is not None and second is not None
            numbers = [super(CheckedBuilder, self).select(cond, x, y) for x, y in zip(first, second, strict=True)]
            self.guard(out, Extent(*numbers))
        return out

    # -- accesses -------------------------------------------------------------------------------------------------

    def load(self, ptr: ir.Value, name: str = "", align: int | None = None, typ: Any = None) -> ir.Value:
        self._check(ptr, typ or ptr.allocated_type, False)
        return super().load(ptr, name, align, typ)

    def store(self, value: ir.Value, ptr: ir.Value, align: int | None = None) -> ir.Value:
        self._check(ptr, value.type, True)
        return super().store(value, ptr, align)

    def call(self, fn: Any, args: Any, *more: Any, **kwargs: Any) -> ir.Value:
        name = getattr(fn, "name", "")
        if name.startswith("llvm.masked.load."):
            self._check_lanes(args[0], fn.function_type.return_type, args[2], False)
        elif name.startswith("llvm.masked.store."):
            self._check_lanes(args[1], args[0].type, args[3], True)
        elif not name.startswith(_HARMLESS) and not all(self._may_pass(x) for x in args):
            raise ValueError(f"checked kernel: what {name} accesses has not been checked")
        return super().call(fn, args, *more, **kwargs)

    def _may_pass(self, x: ir.Value) -> bool:
        kind = x.type.element if isinstance(x.type, ir.VectorType) else x.type
        return not isinstance(kind, ir.PointerType) or id(x) in self._passed

    def check(self, at: ir.Value, size: ir.Value, writes: bool) -> None:
        extent = self._extent(at)
        self._passed.add(id(at))
        if extent is not None:
            first = self.ptrtoint(at, I64)
            self._compare(first, self.add(first, size), None, extent, writes)

    # -- comparisons ----------------------------------------------------------------------------------------------

    def _extent(self, pointer: Any) -> Extent | None:
        """Of what the pointer was computed from; None for a local variable and for the kernel's own tables."""
        base = pointer
        while id(base) not in self._known:
            if isinstance(base, ir.AllocaInstr) and base is pointer or self._is_table(base):
                return None
            if not isinstance(base, ir.GEPInstr):
                raise ValueError(f"checked kernel: nothing is known of where {base} leads")
            base = base.pointer
        return self._known[id(base)]

    def _is_table(self, base: Any) -> bool:
        """Whether the pointer is the context, or what that points to without being scratch memory."""
        if base is self._context:
            return True
        at = base.operands[0] if isinstance(base, ir.LoadInstr) else None
        return isinstance(at, ir.GEPInstr) and at.pointer is self._context and at.indices[0].constant != _SCRATCH

    def _check(self, at: ir.Value, kind: ir.Type, writes: bool) -> None:
        extent = self._extent(at)
        if extent is not None:
            first = self.ptrtoint(at, I64)
            self._compare(first, self.add(first, ir.Constant(I64, _bytes(kind))), None, extent, writes)

    def _check_lanes(self, at: ir.Value, kind: ir.VectorType, mask: ir.Value, writes: bool) -> None:
        """From the first lane in use to the last."""
        extent = self._extent(at)
        if extent is None:
            return
        bits = ir.IntType(kind.count)
        used = self.bitcast(mask, bits)
        no = ir.Constant(ir.IntType(1), 0)
        before = scalars.intrinsic(self, "cttz", [used, no], bits)
        behind = scalars.intrinsic(self, "ctlz", [used, no], bits)
        size = ir.Constant(I64, _bytes(kind.element))
        start = self.ptrtoint(at, I64)
        number = self.zext if kind.count < 64 else self.trunc
        first = self.add(start, self.mul(number(before, I64), size))
        lanes = self.sub(ir.Constant(I64, kind.count), number(behind, I64))
        some = self.icmp_unsigned("!=", used, ir.Constant(bits, 0))
        self._compare(first, self.add(start, self.mul(lanes, size)), some, extent, writes)

    def _compare(self, first: ir.Value, end: ir.Value, some: Any, extent: Extent, writes: bool) -> None:
        bad = self.or_(
            self.icmp_unsigned("<", first, extent.low), self.icmp_unsigned(">", end, extent.high)
        )
        if some is not None:
            bad = self.and_(bad, some)
        with self.if_then(bad, likely=False):
            kind = ir.Constant(I64, BAD_WRITE if writes else BAD_READ)
            super().call(_report(self.module), [self._context, kind, first, *extent])
            self.ret_void()


def builder(block: ir.Block, checked: bool) -> Builder:
    """What a kernel's printer emits accesses with, from ``block`` on."""
    return CheckedBuilder(block) if checked else Builder(block)


def _report(module: ir.Module) -> ir.Function:
    """``outside(context, kind, first, low, high, number)``: records an access, unless a thread has recorded one."""
    known = module.globals.get("outside")
    if known is not None:
        return known
    f = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, *[I64] * 5]), "outside")
    f.linkage = "internal"
    f.attributes.add("noinline")
    f.attributes.add("cold")
    b = ir.IRBuilder(f.append_basic_block("entry"))
    context, kind, first, low, high, number = f.args
    error = b.load(b.gep(context, [ir.Constant(I64, _ERROR)], source_etype=I64), typ=PTR)
    table = b.load(b.gep(context, [ir.Constant(I64, _TABLE)], source_etype=I64), typ=I64)
    taken = b.cmpxchg(error, ir.Constant(I64, 0), kind, "acq_rel", "acquire")
    with b.if_then(b.extract_value(taken, 1)):
        for k, v in enumerate((b.sub(first, low), b.sub(high, low), number, table), 1):
            b.store(v, b.gep(error, [ir.Constant(I64, k)], source_etype=I64))
    b.ret_void()
    return f


def _bytes(kind: ir.Type) -> int:
    """Bytes that a value takes in memory."""
    if isinstance(kind, ir.VectorType):
        return kind.count * _bytes(kind.element)
    if isinstance(kind, ir.IntType):
        return -(-kind.width // 8)
    return {ir.HalfType: 2, ir.FloatType: 4, ir.DoubleType: 8}.get(type(kind), 8)
