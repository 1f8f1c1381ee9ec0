"""From a graph to instructions, at one set of shapes.

Three walks over the nodes: forward for shapes and known values, backward for what is needed, forward again to let each
needed op emit its instructions. Values that follow from shapes alone are computed here and become constants.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TinygraphError
from tinygraph.graph.dims import UNKNOWN, Operand, UnknownDim
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.lower.builder import Array, Builder
from tinygraph.program.instructions import Host, Ref

#: arrays of at most this many elements are computed while lowering if they depend on shapes alone
_FOLD_LIMIT = 64


class _NotANumber(Exception):
    """A size that an op gives as a symbolic expression."""


class Leaf:
    """What is given for a leaf of the graph: an array, and for integers perhaps a value or a host expression."""

    __slots__ = ("array", "host", "known")

    def __init__(self, array: Array, host: Any = None, known: np.ndarray | None = None):
        self.array = array
        self.host = host
        self.known = known


class GraphLowering:
    """Lowers ``nodes`` (in order) so that ``outputs`` are computed, into the builder ``b``.

    ``leaves`` gives arrays for inputs and shared variables; ``runtime`` gives the sizes of outputs that depend on the
    call's integer arguments.
    """

    def __init__(
        self,
        b: Builder,
        nodes: Sequence[Apply],
        outputs: Sequence[Variable],
        leaves: Mapping[Variable, Leaf],
        runtime: Mapping[Variable | Apply, tuple[int, ...]] | None = None,
    ):
        self.b = b
        self.nodes = nodes
        self.outputs = outputs
        self.leaves = leaves
        self.runtime = runtime or {}
        self.known: dict[Variable, np.ndarray] = {}
        self.arrays: dict[Variable, Array] = {}
        #: variables whose sizes only the run knows
        self.dynamic: set[Variable] = set()
        #: nodes for which some size besides those of their outputs is of that kind
        self.unsized: set[Apply] = set()

    def run(self) -> list[Array]:
        """Emit everything; the arrays of the outputs."""
        for v, leaf in self.leaves.items():
            self.arrays[v] = leaf.array
            self.b.shapes[v] = leaf.array.shape
            if leaf.host is not None:
                self.b.hosts[v] = leaf.host
            if leaf.known is not None:
                self._know(v, leaf.known)
        for node in self.nodes:
            self._infer(node)
        needed = self._needed()
        for node in self.nodes:
            if node in needed and not self._on_demand(node):
                self._emit(node)
        return [self.array(v) for v in self.outputs]

    # -- shapes and known values ----------------------------------------------------------------------------------

    def _know(self, v: Variable, value: np.ndarray) -> None:
        self.known[v] = value
        self.b.shapes[v] = value.shape
        if value.dtype.kind in "iub" and value.ndim <= 1:
            self.b.hosts[v] = int(value) if value.ndim == 0 else tuple(int(x) for x in value)

    def _constant(self, v: Variable) -> None:
        if isinstance(v, Constant) and v not in self.b.shapes and isinstance(v.type, TensorType):
            self.b.shapes[v] = v.data.shape
            if v.data.size <= _FOLD_LIMIT:
                self._know(v, v.data)

    def operand(self, v: Variable) -> Operand:
        self._constant(v)
        if v not in self.b.shapes:
            if isinstance(v.type, TensorType) and v in self.dynamic:
                shape = tuple(UNKNOWN if d is None else d for d in v.type.shape)
                return Operand(v.type.dtype, shape, None, v)
            return Operand(str(v.type), (), None, v)
        return Operand(v.type.dtype, self.b.shapes[v], self.b.hosts.get(v), v)  # type: ignore[arg-type]

    def _infer(self, node: Apply) -> None:
        if all(v in self.known or self._fold_constant(v) for v in node.inputs) and self._fold(node):
            return
        operands = [self.operand(v) for v in node.inputs]
        try:
            shapes = self._shapes(node, operands)
        except TinygraphError as error:
            raise _at_call(error, node, operands) from None
        for out, shape in zip(node.outputs, shapes, strict=True):
            if shape is None or any(not isinstance(d, int) for d in shape):
                self.dynamic.add(out)
            else:
                self.b.shapes[out] = tuple(shape)
        extra = self.runtime.get(node)
        if extra is None and not any(o in self.dynamic for o in node.outputs):
            extra = tuple(node.op.extra_sizes(*operands))
        if extra:
            self.b.node_sizes[node] = extra
            if not all(isinstance(d, int) for d in extra):
                self.unsized.add(node)
        self._host_values(node, operands)

    def _fold_constant(self, v: Variable) -> bool:
        self._constant(v)
        return v in self.known

    def _shapes(self, node: Apply, operands: list[Operand]) -> list[Any]:
        if node.outputs[0] in self.runtime:
            return [self.runtime[o] for o in node.outputs]
        op = node.op
        if type(op).infer is not Op.infer:
            inferred = [tuple(shape) for _, shape in op.infer(*operands)]
        else:
            inferred = self._foreign_shapes(node, operands)
        if op.data_dependent_shape:
            return [
                s
                if s is not None
                and all(isinstance(d, int) for d in s)
                and all(d is not None for d in o.type.shape)  # type: ignore
                else None
                for s, o in zip(inferred, node.outputs, strict=True)
            ]
        return [
            tuple(k if isinstance(d, UnknownDim) and k is not None else d for d, k in zip(s, o.type.shape, strict=True))  # type: ignore
            if s is not None and isinstance(o.type, TensorType)
            else None
            for s, o in zip(inferred, node.outputs, strict=True)
        ]

    def _foreign_shapes(self, node: Apply, operands: list[Operand]) -> list[Any]:
        """Shapes of an op written in Theano's way: its ``infer_shape``, or its declared types."""
        infer_shape = getattr(node.op, "infer_shape", None)
        known = [tuple(o.shape) if all(isinstance(d, int) for d in o.shape) else None for o in operands]
        if infer_shape is not None and all(k is not None for k in known):
            try:
                # Theano's form takes (node, shapes); later ones put the function graph first
                before = (None,) if len(inspect.signature(infer_shape).parameters) == 3 else ()
                shapes = infer_shape(*before, node, known)
                return [tuple(self._size(d) for d in s) for s in shapes]
            except (NotImplementedError, _NotANumber):
                pass  # found while running
        return [
            tuple(o.type.shape) if isinstance(o.type, TensorType) and None not in o.type.shape else None
            for o in node.outputs
        ]

    @staticmethod
    def _size(d: Any) -> int:
        if isinstance(d, Variable) and not isinstance(d, Constant):
            raise _NotANumber  # a shape as an expression of the inputs
        return int(getattr(d, "data", d))

    def _fold(self, node: Apply) -> bool:
        if not node.op.do_constant_folding(None, node) or node.op.data_dependent_shape or not node.inputs:
            return False
        sizes = [o.type.shape if isinstance(o.type, TensorType) else (None,) for o in node.outputs]
        if any(isinstance(o.type, TensorType) is False for o in node.outputs) or len(sizes[0]) > 2:
            return False
        operands = [self.operand(v) for v in node.inputs]
        try:
            for shape in self._shapes(node, operands):
                if shape is None or any(not isinstance(d, int) for d in shape) or np.prod(shape) > _FOLD_LIMIT:
                    return False
        except TinygraphError as error:
            raise _at_call(error, node, operands) from None
        for out, value in zip(node.outputs, node.op.evaluate(node, [self.known[v] for v in node.inputs]), strict=True):
            self._know(out, np.asarray(value))
        return True

    def _host_values(self, node: Apply, operands: list[Operand]) -> None:
        if not all(o.type.dtype and o.type.dtype[0] in "iub" and o.type.ndim <= 1 for o in node.outputs):  # type: ignore
            return
        values = node.op.host(*operands)
        for out, value in zip(node.outputs, values or (), strict=False):
            if value is None or isinstance(value, UnknownDim):
                continue
            if isinstance(value, (tuple, list)) and any(isinstance(d, UnknownDim) for d in value):
                continue
            if isinstance(value, int) or (isinstance(value, (tuple, list)) and all(isinstance(d, int) for d in value)):
                self._know(out, np.asarray(value, dtype=out.type.dtype))
            else:
                self.b.hosts[out] = value

    # -- what is needed -------------------------------------------------------------------------------------------

    def _needed(self) -> set[Apply]:
        wanted = {v.owner for v in self.outputs if v.owner is not None and v not in self.known}
        counts = self.b.remaining
        for v in self.outputs:
            counts[v] = counts.get(v, 0) + 2  # an output is never written over
        for node in reversed(self.nodes):
            if node not in wanted:
                continue
            for i, v in enumerate(node.inputs):
                if v in self.known or (i in node.op.shape_inputs and self.b.hosts.get(v) is not None):
                    continue
                counts[v] = counts.get(v, 0) + 1
                if v.owner is not None and v not in self.leaves:
                    wanted.add(v.owner)
        for node in self.nodes:
            if not node.op.pure and all(o in self.b.shapes or o in self.dynamic for o in node.outputs):
                wanted.add(node)
        return wanted  # type: ignore[return-value]

    def _on_demand(self, node: Apply) -> bool:
        """Integers that the host knows are computed on the device only if something asks for them there."""
        return all(o in self.known or self.b.hosts.get(o) is not None for o in node.outputs)

    # -- emission -------------------------------------------------------------------------------------------------

    def array(self, v: Variable) -> Array:
        """The array of ``v``, emitted now if it was put off."""
        found = self.arrays.get(v)
        if found is not None:
            return found
        if v in self.known:
            made = self.b.constant(self.known[v])
        elif isinstance(v, Constant):
            # what is no array is put in its place by the host call that reads it
            made = self.b.constant(v.data if isinstance(v.type, TensorType) else 0)
        elif v.owner is not None:
            saved = self.b.node
            self._emit(v.owner)
            self.b.node = saved
            return self.arrays[v]
        else:
            raise TinygraphError(f"{v} has no value here")
        self.arrays[v] = made
        return made

    def _lazy(self, v: Variable) -> Array:
        if v in self.arrays or v in self.known or isinstance(v, Constant) or v.owner is None:
            return self.array(v)
        return Array(self.b.shapes[v], v.type.dtype, thunk=lambda: self.array(v).ref)  # type: ignore[arg-type]

    def _emit(self, node: Apply) -> None:
        if all(o in self.arrays for o in node.outputs):
            return
        self.b.node = node
        dynamic = node in self.unsized or any(v in self.dynamic for v in (*node.inputs, *node.outputs))
        if dynamic or not _is_tensor_node(node):
            self._emit_dynamic(node)
        else:
            inputs = [self._lazy(v) for v in node.inputs]
            for out, array in zip(node.outputs, node.op.lower(self.b, node, inputs), strict=True):
                if array is not None:
                    self.arrays[out] = array
                    self._settle(out, array)
        for v in node.inputs:
            self.b.remaining[v] = self.b.remaining.get(v, 1) - 1

    def _settle(self, v: Variable, array: Array) -> None:
        """Note where ``v`` lies, so that nobody writes over it before it is read."""
        if v not in self.known and isinstance(v.type, TensorType):
            self.b.residents.setdefault(array.ref.buffer, []).append(v)

    def _emit_dynamic(self, node: Apply) -> None:
        """Work whose sizes only the data decide runs as ``forward`` on arrays made while running."""
        inputs = [self.array(v) for v in node.inputs]
        outputs = []
        for v in node.outputs:
            if v in self.b.shapes and isinstance(v.type, TensorType):
                out = self.b.empty(self.b.shapes[v], v.type.dtype)
            else:
                dense = isinstance(v.type, TensorType)
                dtype: Any = v.type.dtype if dense else "object"
                ndim = v.type.ndim if dense else 0  # type: ignore[attr-defined]
                buffer = self.b.buffer(0, dtype, "dynamic")
                out = Array((0,) * ndim, dtype, Ref(buffer, (0,) * ndim, (0,) * ndim))
            self.arrays[v] = out
            outputs.append(out)
        self.b.emit(Host(node, [x.ref for x in inputs], [o.ref for o in outputs]))


def _is_tensor_node(node: Apply) -> bool:
    return all(isinstance(v.type, TensorType) for v in (*node.inputs, *node.outputs))


def _at_call(error: Exception, node: Apply, operands: Iterable[Operand]) -> Exception:
    """The same error with the node, the shapes of this call and the user's line."""
    shapes = ", ".join(str(o) for o in operands)
    where = f"\n  built at {node.origin.text()}" if node.origin is not None else ""
    names = ", ".join(str(v) for v in node.inputs)
    return type(error)(f"{error}\n  in {node.op}({names}) with inputs {shapes}{where}")
