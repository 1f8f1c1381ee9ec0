"""Checked kernels: every load and store compared with the extent of its buffer before it happens.

The printer of a kernel works with a :class:`CheckedBuilder` where accesses are to be checked. An access that would
leave its buffer is recorded (``OUTSIDE``, the distance from the buffer's first byte, the buffer's size in bytes, the
number of the check) and the kernel returns without doing it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.scalars import I64

#: the error record's first number: an index out of range, and an access outside of its buffer
BAD_INDEX, OUTSIDE = 1, 2
#: the entry of a kernel's context that points to the buffers' extents: first and last address + 1 of each
EXTENTS = 6


class Extent(NamedTuple):
    """A buffer's first address and the one behind its last, as known to the kernel."""

    low: ir.Value
    high: ir.Value


class CheckedBuilder(ir.IRBuilder):
    """Emits the comparison before each access to memory that derives from a pointer that :meth:`guard` knows.

    ``error``: gives the pointer to the error record. ``number``: gives the value of a check's number, for what is
    accessed and whether it is a write.
    """

    def __init__(
        self, block: ir.Block, error: Callable[[], ir.Value], number: Callable[[Any, bool], ir.Value]
    ) -> None:
        super().__init__(block)
        self._error, self._number = error, number
        self._known: dict[int, tuple[Any, Extent]] = {}

    def guard(self, pointer: ir.Value, buffer: Any, extent: Extent) -> None:
        """Check all accesses through this pointer, and those that are computed from it."""
        self._known[id(pointer)] = buffer, extent

    def load(self, ptr: ir.Value, *args: Any, **kwargs: Any) -> ir.Value:
        kind = kwargs.get("typ")
        if kind is not None:
            self._check(ptr, _bytes(kind), False)
        return super().load(ptr, *args, **kwargs)

    def store(self, value: ir.Value, ptr: ir.Value, *args: Any, **kwargs: Any) -> ir.Value:
        self._check(ptr, _bytes(value.type), True)
        return super().store(value, ptr, *args, **kwargs)

    def call(self, fn: Any, args: Any, *more: Any, **kwargs: Any) -> ir.Value:
        name = getattr(fn, "name", "")
        if name.startswith("llvm.masked.load."):
            self._check_lanes(args[0], fn.function_type.return_type, args[2], False)
        elif name.startswith("llvm.masked.store."):
            self._check_lanes(args[1], args[0].type, args[3], True)
        return super().call(fn, args, *more, **kwargs)

    # -- comparisons ----------------------------------------------------------------------------------------------

    def _root(self, pointer: Any) -> tuple[Any, Extent] | None:
        """What the pointer was computed from, if that is guarded."""
        while pointer is not None:
            if id(pointer) in self._known:
                return self._known[id(pointer)]
            pointer = pointer.pointer if isinstance(pointer, ir.GEPInstr) else None
        return None

    def _check(self, at: ir.Value, size: int, writes: bool) -> None:
        root = self._root(at)
        if root is None:
            return
        first = self.ptrtoint(at, I64)
        self._compare(first, self.add(first, ir.Constant(I64, size)), None, root, writes)

    def _check_lanes(self, at: ir.Value, kind: ir.VectorType, mask: ir.Value, writes: bool) -> None:
        """From the first lane in use to the last."""
        root = self._root(at)
        if root is None:
            return
        bits = ir.IntType(kind.count)
        used = self.bitcast(mask, bits)
        no = ir.Constant(ir.IntType(1), 0)
        before = scalars.intrinsic(self, "cttz", [used, no], bits)
        behind = scalars.intrinsic(self, "ctlz", [used, no], bits)
        size = ir.Constant(I64, _bytes(kind.element))
        start = self.ptrtoint(at, I64)
        first = self.add(start, self.mul(self.zext(before, I64), size))
        lanes = self.sub(ir.Constant(I64, kind.count), self.zext(behind, I64))
        some = self.icmp_unsigned("!=", used, ir.Constant(bits, 0))
        self._compare(first, self.add(start, self.mul(lanes, size)), some, root, writes)

    def _compare(self, first: ir.Value, end: ir.Value, some: Any, root: tuple[Any, Extent], writes: bool) -> None:
        buffer, extent = root
        bad = self.or_(
            self.icmp_unsigned("<", first, extent.low), self.icmp_unsigned(">", end, extent.high)
        )
        if some is not None:
            bad = self.and_(bad, some)
        with self.if_then(bad, likely=False):
            error = self._error()
            distance = self.sub(first, extent.low)
            size = self.sub(extent.high, extent.low)
            record = ir.Constant(I64, OUTSIDE), distance, size, self._number(buffer, writes)
            for k, v in enumerate(record):
                super().store(v, self.gep(error, [ir.Constant(I64, k)], source_etype=I64))
            self.ret_void()


def _bytes(kind: ir.Type) -> int:
    """Bytes that a value takes in memory."""
    if isinstance(kind, ir.VectorType):
        return kind.count * _bytes(kind.element)
    if isinstance(kind, ir.IntType):
        return -(-kind.width // 8)
    return {ir.HalfType: 2, ir.FloatType: 4, ir.DoubleType: 8}.get(type(kind), 8)
