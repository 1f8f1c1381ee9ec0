"""The builder through which ops write their instructions (``Op.lower``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import IndexOutOfRange
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, const, postorder
from tinygraph.program.instructions import (
    Bound,
    Buffer,
    Host,
    Instruction,
    Nest,
    Ref,
    Routine,
    Source,
    c_strides,
)
from tinygraph.program.nest_dsl import Axis, Pending, index, resolve, resolve_access


class Array:
    """An array in the nest language. Indexing it with loop axes reads an element; ``at`` names one to write."""

    __slots__ = ("_ref", "_thunk", "dtype", "shape", "value")

    def __init__(self, shape: Sequence[int], dtype: str, ref: Ref | None = None,
                 thunk: Callable[[], Ref] | None = None, value: np.ndarray | None = None):  # fmt: skip
        self.shape = tuple(shape)
        self.dtype = dtype
        self._ref = ref
        self._thunk = thunk
        self.value = value  # known while lowering

    @property
    def ref(self) -> Ref:
        """The memory behind the array; made when first asked for."""
        if self._ref is None:
            assert self._thunk is not None
            self._ref = self._thunk()
        return self._ref

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    def at(self, indices: Any) -> Pending:
        return index(self.ref, indices)

    def __getitem__(self, indices: Any) -> Expr:
        if self.value is not None and self.value.size == 1:
            return const(self.value.reshape(()).item(), self.dtype)
        return Expr("pending", (), self.dtype, index(self.ref, indices))


class Builder:
    """Collects buffers and instructions; ops see shapes and host integers of variables through it."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.constants: list[Buffer] = []
        self.instructions: list[Instruction] = []
        self.params: dict[str, Expr] = {}
        self.shapes: dict[Variable, tuple[int, ...]] = {}
        self.hosts: dict[Variable, Any] = {}
        self.node_sizes: dict[Apply, tuple[Any, ...]] = {}
        #: how many reads of each variable are still to be lowered, and which are wanted at the end
        self.remaining: dict[Variable, int] = {}
        #: the variables whose values lie in a buffer, all of it or part
        self.residents: dict[Buffer, list[Variable]] = {}
        self.pinned: set[Buffer] = set()
        self.node: Apply | None = None
        #: counters of the loops around the instructions being collected, and parameters made of the innermost
        self.counters: tuple[str, ...] = ()
        self.body_params: dict[str, Expr] = {}

    def inner(self) -> tuple[Builder, str]:
        """A builder for the body of a loop, and its counter's name. Memory and parameters are shared, facts are not."""
        body = Builder()
        body.buffers, body.constants, body.params = self.buffers, self.constants, self.params
        body.pinned, body.node = set(self.pinned), self.node
        counter = f"step{len(self.buffers)}"
        self.buffer(0, "bool")  # takes the number, so that no other loop has it
        body.counters = (*self.counters, counter)
        return body, counter

    # -- facts ----------------------------------------------------------------------------------------------------

    def shape(self, v: Variable) -> tuple[int, ...]:
        """The sizes of ``v`` at this call."""
        return self.shapes[v]

    def host(self, v: Variable) -> Any:
        """The value of an integer variable: an int, an expression of the call's integers, a tuple, or None."""
        return self.hosts.get(v)

    def sizes(self, node: Apply) -> tuple[int, ...]:
        """What ``node.op.extra_sizes`` amounts to at this call."""
        return self.node_sizes.get(node, ())

    # -- memory ---------------------------------------------------------------------------------------------------

    def buffer(self, size: int, dtype: str, kind: str = "temp", **more: Any) -> Buffer:
        buf = Buffer(len(self.buffers), dtype, size, kind, **more)
        self.buffers.append(buf)
        return buf

    def empty(self, shape: Sequence[int], dtype: str, kind: str = "temp", **more: Any) -> Array:
        """A new array, not filled."""
        shape = tuple(shape)
        size = 1
        for d in shape:
            size *= d
        return Array(shape, dtype, Ref(self.buffer(size, dtype, kind, **more), shape, c_strides(shape)))

    def constant(self, data: Any) -> Array:
        """An array of known content; single numbers are written into expressions as they are."""
        data = np.asarray(data)

        def make() -> Ref:
            flat = np.ascontiguousarray(data)
            buf = self.buffer(data.size, data.dtype.name, "const", data=flat)
            self.constants.append(buf)
            return Ref(buf, data.shape, c_strides(data.shape))

        return Array(data.shape, data.dtype.name, thunk=make, value=data)

    def view(
        self, x: Array, shape: Sequence[int], strides: Sequence[int], shift: Sequence[tuple[Any, int]] = ()
    ) -> Array:
        """``x``'s memory seen with other sizes and strides, moved by ``sum(index * stride)``; nothing runs."""
        ref = x.ref
        offset, params = ref.offset, dict(ref.params)
        for amount, stride in shift:
            if isinstance(amount, int):
                offset += amount * stride
            else:
                name = self.param(amount)
                params[name] = params.get(name, 0) + stride
        new = Ref(ref.buffer, tuple(shape), tuple(strides), offset, tuple(params.items()))
        value = x.value.reshape(tuple(shape)) if x.value is not None and x.value.size == 1 else None
        return Array(new.shape, x.dtype, new, value=value)

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        """``x`` with other sizes: a view where its memory allows, else of a copy."""
        shape = tuple(shape)
        if shape == x.shape:
            return x
        strides = _reshaped_strides(x.ref, shape)
        if strides is None:
            x = self.copy(x)
            strides = c_strides(shape)
        return self.view(x, shape, strides)

    def copy(self, x: Array) -> Array:
        """A fresh contiguous copy."""
        axes = self.axes(*x.shape)
        return self.store(Expr("pending", (), x.dtype, index(x.ref, tuple(axes))), into=axes)

    def contiguous(self, x: Array) -> Array:
        return x if x.ref.contiguous else self.copy(x)

    def writable(self, x: Array, node: Apply, i: int) -> Array:
        """``x`` to be written over: itself if this is the last use of memory of ours, else a copy."""
        v = node.inputs[i]
        ref = x.ref
        own = ref.buffer.kind == "temp" and ref.whole and ref.buffer not in self.pinned
        last = self.remaining.get(v, 2) <= 1 and self._sole_reader(v, ref.buffer)
        return x if own and last else self.copy(x)

    def _sole_reader(self, v: Variable, buffer: Buffer) -> bool:
        """Whether nothing else that lies in ``buffer`` (a view of ``v``, or what ``v`` is a view of) is still read."""
        others = self.residents.get(buffer, ())
        return v.owner is not None and not any(self.remaining.get(u, 0) > 0 for u in others if u is not v)

    # -- nests ----------------------------------------------------------------------------------------------------

    def axes(self, *sizes: int) -> tuple[Axis, ...]:
        """One loop axis for each size."""
        return tuple(Axis(s) for s in sizes)

    def store(self, value: Expr, into: Sequence[Axis]) -> Array:
        """A new array with ``value`` at every point of ``into``."""
        out = self.empty([a.size for a in into], value.dtype)
        self.store_to(out.at(tuple(into)), value, axes=into)
        return out

    def reduce(self, combine: str, value: Expr, over: Sequence[Axis], into: Sequence[Axis]) -> Array:
        """A new array over ``into``: ``value`` combined over the axes ``over``."""
        dtype = "int64" if combine.startswith("arg") else value.dtype
        out = self.empty([a.size for a in into], dtype)
        if not over:
            value = const(0, "int64") if combine.startswith("arg") else value
            self.store_to(out.at(tuple(into)), value, axes=into)
        else:
            self._nest(out.at(tuple(into)), value, into, over, combine, False)
        return out

    def sum(self, value: Expr, over: Sequence[Axis], into: Sequence[Axis]) -> Array:
        return self.reduce("add", value, over, into)

    def store_to(self, target: Any, value: Expr, axes: Sequence[Axis], combine: str | None = None,
                 accumulate: bool = False, over: Sequence[Axis] = ()) -> None:  # fmt: skip
        """Write ``value`` at ``target`` (``array.at(index)``) for every point of ``axes``.

        ``accumulate``: the array keeps what it holds elsewhere; with ``combine`` values add up ("add") there.
        """
        if isinstance(target, Expr):
            target = target.attr
        self._nest(target, value, axes, over, combine, accumulate)

    def fill(self, x: Array, value: Any) -> None:
        """Set every element."""
        axes = self.axes(*x.shape)
        self.store_to(x.at(tuple(axes)), const(value, x.dtype), axes=axes)

    def zeros(self, shape: Sequence[int], dtype: str) -> Array:
        out = self.empty(shape, dtype)
        self.fill(out, 0)
        return out

    def _nest(self, target: Pending, value: Expr, into: Sequence[Axis], over: Sequence[Axis], combine: str | None,
              accumulate: bool) -> None:  # fmt: skip
        axes = [*into, *over]
        if self._indexes():
            self._name_bounds(value)
        if target.address.dynamic is not None:
            self._name_bounds(target.address.dynamic)
        positions = {a: i for i, a in enumerate(axes)}
        nest = Nest(
            tuple(a.size for a in axes),
            "p" * len(into) + "r" * len(over),
            resolve(value, positions),
            resolve_access(target, positions),
            combine,
            accumulate,
        )
        if not (accumulate and nest.points == 0):
            self.emit(nest)

    # -- other instructions ---------------------------------------------------------------------------------------

    def emit(self, instruction: Instruction) -> None:
        if self.node is not None:
            instruction.origin = self.node.origin
            instruction.label = str(self.node.op)
            instruction.source = self._source()
        self.instructions.append(instruction)

    def _source(self) -> Source | None:
        node = self.node
        return None if node is None else Source(node, tuple(self.shapes.get(v) for v in node.inputs))

    def _indexes(self) -> bool:
        """Whether the node may read elements by number: it has an integer input."""
        return self.node is not None and any(v.type.dtype is not None and v.type.dtype[0] in "iu"
                                             for v in self.node.inputs)  # fmt: skip

    def _name_bounds(self, value: Expr) -> None:
        """Let index checks know their node: its nest may be fused into another's."""
        for x in postorder(value):
            if x.op == "index" and type(x.attr) is int:
                x.attr = Bound(x.attr)
                x.attr.source = self._source()
            elif x.op == "pending" and x.attr.address.dynamic is not None:
                self._name_bounds(x.attr.address.dynamic)

    def routine(self, name: str, inputs: Sequence[Array], outputs: Sequence[tuple[Sequence[int], str]],
                run: Callable[..., None], **attrs: Any) -> list[Array]:  # fmt: skip
        """A library call. ``run(*inputs, *outputs, **attrs)`` is its NumPy form; it writes its last arguments."""
        out = [self.empty(shape, dtype) for shape, dtype in outputs]
        self.emit(Routine(name, [x.ref for x in inputs], [o.ref for o in out], attrs, run))
        return out

    def host_call(self, node: Apply, inputs: Sequence[Array]) -> list[Array]:
        """Run ``node`` in Python."""
        out = [self.empty(self.shape(v), v.type.dtype) for v in node.outputs]  # type: ignore[arg-type]
        self.emit(Host(node, [x.ref for x in inputs], [o.ref for o in out]))
        return out

    def param(self, value: Expr) -> str:
        """A name for a host integer, computed before the program starts."""
        if value.op == "param":
            return value.attr
        known = self.params
        if self.counters and any(x.op == "param" and x.attr in self.counters for x in postorder(value)):
            known = self.body_params
        text = repr(value)
        for name, other in known.items():
            if repr(other) == text:
                return name
        name = f"p{len(known)}" if known is self.params else f"{self.counters[-1]}_{len(known)}"
        known[name] = value
        return name

    def checked_index(self, i: Any, n: int, axis: int) -> Any:
        """``i`` counted from the front of a dimension of size ``n``; out of range raises, now or at the call."""
        if isinstance(i, int):
            if not -n <= i < n:
                raise IndexOutOfRange(f"{self.node}: index {i} is out of range for dimension {axis} of size {n}")
            return i + n if i < 0 else i
        bound = Bound(n)
        bound.source = self._source()
        return Expr("index", (i,), "int64", bound)


def _reshaped_strides(ref: Ref, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides under which ``ref``'s memory reads as ``shape``; None if it must be copied."""
    if ref.contiguous or ref.size == 0:
        return c_strides(shape)
    old = [(d, s) for d, s in zip(ref.shape, ref.strides, strict=True) if d != 1]
    out: list[int] = []
    i = 0
    pending = 1  # elements of the current old block still to be split
    stride = 0
    for d in shape:
        if d == 1:
            out.append(0)
            continue
        if pending == 1:
            if i >= len(old):
                return None
            block, stride = old[i]
            i += 1
            while block % d and i < len(old):  # merge with the next dimension if it continues this one
                if stride != old[i][0] * old[i][1]:
                    return None
                block *= old[i][0]
                stride = old[i][1]
                i += 1
            while block < d and i < len(old) and stride == old[i][0] * old[i][1]:
                block *= old[i][0]
                stride = old[i][1]
                i += 1
            pending = block
        if pending % d:
            return None
        pending //= d
        out.append(stride * pending)
    return tuple(out) if pending == 1 and i == len(old) else None
