"""Loads and stores within the printer of kernels: neighbours, gathers, every second element, and lanes left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from tinygraph.program.expr import Access
from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.scalars import I1, I8, I32, I64, PTR, constant, splat


class Memory:
    """What a kernel's printer does at an access."""

    b: Any
    module: ir.Module
    group: Any
    lanes: int
    mask: ir.Value | None
    vector_depth: int | None
    stored: dict[Access, ir.Value]
    stride: Any
    value: Any
    pointer: Any
    _offset: Any
    _width: Any
    _in_lanes: Any
    _is_private: Any
    fixed: Any

    def _vector_step(self, a: Access) -> int | None:
        """The access's stride along the vector axis, None outside of one or where it does not move."""
        if self.vector_depth is None or self.vector_depth >= len(a.strides):
            return None
        s = a.strides[self.vector_depth]
        if self.vector_depth < self.fixed(a.buffer):
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
            width = self._width(index)
            if width:
                index = b.add(splat(b, offset, width), index)
                if step is not None:
                    index = b.add(index, self._lane_steps(a))
                return self._gather(base, index, dtype, width)
            offset = b.add(offset, index)  # one place for all lanes: what lies from there on is read as it lies
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
        function = scalars.declared(self.module, name, kind)
        return self.b.call(function, [at, ir.Constant(I32, _align(dtype)), self.mask, zero])

    def _masked_store(self, at: ir.Value, value: ir.Value, dtype: str) -> None:
        t = value.type
        name = f"llvm.masked.store.v{t.count}{scalars.suffix(t.element)}.p0"
        kind = ir.FunctionType(ir.VoidType(), [t, PTR, I32, ir.VectorType(I1, t.count)])
        self.b.call(scalars.declared(self.module, name, kind), [value, at, ir.Constant(I32, _align(dtype)), self.mask])


def _align(dtype: str) -> int:
    return int(np.dtype(dtype).itemsize)
