"""Ops and the nodes that apply them.

An op's class holds everything that is known of the op:

``infer``       output dtypes and shapes from those of the inputs, in any dimension arithmetic (see ``graph.dims``)
``forward``     its meaning on NumPy arrays, the oracle that every target is tested against
``vjp``         reverse mode: cotangents of the inputs from cotangents of the outputs
``jvp``         forward mode; by default derived from ``vjp``
``host``        its value on integer scalars and short vectors, for shape arithmetic (optional)
``lower``       the loop nests, routines and views that compute it
``samples``     where its tests draw inputs from

Theano's protocol (``make_node``, ``perform``, ``infer_shape``, ``grad``/``L_op``, ``R_op``, ``__props__``,
``itypes``/``otypes``) is the outer layer: the methods below call the short ones, and an op written in Theano's way
overrides the outer ones and works as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinygraph.errors import ShapeMismatch, TypeMismatch
from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import UNKNOWN, Dim, Operand
from tinygraph.graph.origin import user_origin
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.type import DisconnectedType, NullType, Type
from tinygraph.graph.variable import Constant, Scratchpad, Variable, next_serial

if TYPE_CHECKING:
    from tinygraph.graph.origin import Origin


class Apply:
    """One application of ``op`` to ``inputs``, giving ``outputs``."""

    __slots__ = ("__weakref__", "_tag", "inputs", "op", "origin", "outputs", "serial")

    def __init__(self, op: Op, inputs: Sequence[Variable], outputs: Sequence[Variable]):
        self.op = op
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.origin: Origin | None = user_origin()
        self.serial = next_serial()
        self._tag: Scratchpad | None = None
        for i, v in enumerate(self.inputs):
            if not isinstance(v, Variable):
                raise TypeError(f"{op}: input {i} of a node must be a Variable, got {v!r}")
        for i, out in enumerate(self.outputs):
            if out.owner is not None and out.owner is not self:
                raise ValueError(f"{op}: output {i} already belongs to another node")
            out.owner = self
            out.index = i

    @property
    def tag(self) -> Scratchpad:
        if self._tag is None:
            self._tag = Scratchpad()
        return self._tag

    @property
    def nin(self) -> int:
        return len(self.inputs)

    @property
    def nout(self) -> int:
        return len(self.outputs)

    @property
    def out(self) -> Variable:
        return self.default_output()

    def default_output(self) -> Variable:
        index = self.op.default_output
        if index is None:
            if len(self.outputs) != 1:
                raise ValueError(f"{self.op} has {len(self.outputs)} outputs and no default one")
            index = 0
        return self.outputs[index]

    def get_parents(self) -> list[Variable]:
        """The variables that the node reads."""
        return list(self.inputs)

    def clone(self) -> Apply:
        return self.clone_with_new_inputs(self.inputs)

    def clone_with_new_inputs(self, inputs: Sequence[Variable], strict: bool = True) -> Apply:
        """The same op on other inputs; output types are kept where the new inputs' types fit the old ones'."""
        same = all(new.type == old.type for new, old in zip(inputs, self.inputs, strict=True))
        if same:
            node = Apply(self.op, inputs, [self._bare(o) for o in self.outputs])
        else:
            node = self.op.make_node(*inputs)
        node.origin = self.origin
        for new, old in zip(node.outputs, self.outputs, strict=True):
            new.name = old.name
        return node

    @staticmethod
    def _bare(out: Variable) -> Variable:
        new = out.type.make_variable(out.name)
        host = out.__dict__.get("_host")
        if host is not None:
            new.__dict__["_host"] = host
        if "_tag" in out.__dict__:
            new.tag.__dict__.update(out.tag.__dict__)
        return new

    def __reduce__(self) -> Any:
        """Computed inputs are named by their node, so that pickling goes from node to node."""
        inputs = [v if v.owner is None else (v.owner, v.index) for v in self.inputs]
        outputs = [(o.type, o.name) for o in self.outputs]
        usual = ("type", "owner", "index", "name", "_origin")
        extras = [{k: v for k, v in o.__getstate__().items() if k not in usual} for o in self.outputs]
        return (_rebuilt, (self.op, inputs, outputs, self.origin), {"tag": self._tag, "outputs": extras})

    def __setstate__(self, state: dict) -> None:
        self._tag = state["tag"]
        for o, extra in zip(self.outputs, state["outputs"], strict=True):
            o.__dict__.update(extra)

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.inputs))})"


def _rebuilt(op: Op, inputs: Sequence[Any], outputs: Sequence[Any], origin: Origin | None) -> Apply:
    """A node from its pickled parts."""
    variables = [v if isinstance(v, Variable) else v[0].outputs[v[1]] for v in inputs]
    node = Apply(op, variables, [t.make_variable(name) for t, name in outputs])
    node.origin = origin
    return node


class Op:
    """Base class of all ops; see the module's docstring for what a subclass provides."""

    __props__: ClassVar[tuple[str, ...] | None] = None
    #: which output ``op(...)`` returns; None: all of them (or the only one)
    default_output: int | None = None
    #: {output: [inputs it may share memory with]} and {output: [inputs it overwrites]}, for ops run by ``perform``
    view_map: dict[int, list[int]] = {}
    destroy_map: dict[int, list[int]] = {}
    #: inputs whose integer *values* decide output shapes
    shape_inputs: tuple[int, ...] = ()
    #: output shapes depend on the data (nonzero, unique ...): memory is allocated while running
    data_dependent_shape: bool = False
    #: False for ops with effects (printing, callbacks): never merged, folded or dropped while used
    pure: bool = True
    itypes: Sequence[Type] | None = None
    otypes: Sequence[Type] | None = None
    samples: Any = ()

    # -- identity -------------------------------------------------------------------------------------------------

    def _props(self) -> tuple:
        return tuple(getattr(self, p) for p in self.__props__ or ())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if self.__props__ is None:
            return NotImplemented
        return type(self) is type(other) and self._props() == other._props()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        if self.__props__ is None:
            return object.__hash__(self)
        return hash((type(self), self._props()))

    def __str__(self) -> str:
        if self.__props__:
            return f"{type(self).__name__}{{{', '.join(f'{p}={getattr(self, p)}' for p in self.__props__)}}}"
        return getattr(self, "name", None) or type(self).__name__

    __repr__ = __str__

    # -- building -------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        return_list = kwargs.pop("return_list", False)
        name = kwargs.pop("name", None)
        node = self.make_node(*inputs, **kwargs)
        _after_build(node)
        if name is not None and len(node.outputs) == 1:
            node.outputs[0].name = name
        if self.default_output is not None and not return_list:
            return node.outputs[self.default_output]
        if len(node.outputs) == 1 and not return_list:
            return node.outputs[0]
        return node.outputs

    def make_node(self, *inputs: Any) -> Apply:
        """An Apply node on ``inputs`` (anything that converts to variables); checks types and known shapes."""
        variables = [as_variable(x) for x in inputs]
        if self.itypes is not None:
            return self._make_typed_node(variables)
        operands = [static_operand(v) for v in variables]
        try:
            inferred = self.infer(*operands)
        except (TypeMismatch, ShapeMismatch) as error:
            raise _with_origins(error, self, variables) from None
        outputs = [
            TensorType(dtype, tuple(d if isinstance(d, int) else None for d in shape)).make_variable()
            for dtype, shape in inferred
        ]
        node = Apply(self, variables, outputs)
        for out, host in zip(outputs, self._host_values(operands, outputs), strict=True):
            if host is not None:
                out.__dict__["_host"] = host
        return node

    def _make_typed_node(self, variables: list[Variable]) -> Apply:
        assert self.itypes is not None and self.otypes is not None
        if len(variables) != len(self.itypes):
            raise TypeError(f"{self}: expected {len(self.itypes)} inputs, got {len(variables)}")
        for i, (v, t) in enumerate(zip(variables, self.itypes, strict=True)):
            if not t.accepts(v.type):
                raise TypeError(f"{self}: input {i} must be {t}, got {v} of type {v.type}")
        return Apply(self, variables, [t() for t in self.otypes])

    def _host_values(self, operands: list[Operand], outputs: list[Variable]) -> list[Any]:
        if not all(o.type.dtype and o.type.dtype[0] in "iub" and o.type.ndim <= 1 for o in outputs):  # type: ignore
            return [None] * len(outputs)
        values = self.host(*operands)
        return [None] * len(outputs) if values is None else list(values)

    def infer(self, *inputs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        """``(dtype, shape)`` of each output."""
        raise NotImplementedError(f"{type(self).__name__} defines neither infer nor make_node")

    def host(self, *inputs: Operand) -> list[Any] | None:
        """Values of integer outputs (a Dim, or a sequence of Dims) from the operands' values and shapes, or None."""
        return None

    def extra_sizes(self, *inputs: Operand) -> Sequence[Dim]:
        """Sizes besides those of the outputs that ``lower`` needs as numbers (``b.sizes``)."""
        return ()

    def expect(self, condition: Any, what: str, *operands: Operand, error: type[Exception] = TypeMismatch) -> None:
        """Raise ``error`` with a message that shows the operands, unless ``condition`` holds."""
        if condition is False:
            raise error(f"{self}: expected {what}, got {', '.join(map(str, operands))}")

    # -- evaluating -----------------------------------------------------------------------------------------------

    def forward(self, *inputs: Any) -> Any:
        """The op on NumPy arrays: one array, or a tuple of them."""
        raise NotImplementedError(f"{type(self).__name__} defines neither forward nor perform")

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[list[Any]]) -> None:
        """Theano's form of ``forward``: write into one-element lists."""
        outputs = self.forward(*inputs)
        if len(output_storage) == 1 and not isinstance(outputs, (tuple, list)):
            outputs = (outputs,)
        for cell, value, var in zip(output_storage, outputs, node.outputs, strict=True):
            dtype = var.type.dtype
            cell[0] = value if dtype is None else np.asarray(value, dtype=dtype)

    def evaluate(self, node: Apply, inputs: Sequence[Any]) -> list[Any]:
        """Run the node on arrays with either protocol."""
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        self.perform(node, list(inputs), storage)
        return [cell[0] for cell in storage]

    def do_constant_folding(self, fgraph: Any, node: Apply) -> bool:
        return self.pure

    # -- differentiating ------------------------------------------------------------------------------------------

    def vjp(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], grads: Sequence[Variable]
    ) -> Sequence[Variable | None]:
        """Cotangents of ``inputs``; ``None`` where an input has no gradient (an index, a shape)."""
        raise NotImplementedError(f"{self} has no gradient")

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:
        return self.vjp(inputs, outputs, output_grads)

    def grad(self, inputs: Any, output_grads: Any) -> Any:
        raise NotImplementedError

    def jvp(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
    ) -> Sequence[Variable | None] | None:
        """Tangents of the outputs; returning None asks for the rule derived from ``vjp``."""
        return None

    def R_op(self, inputs: Any, eval_points: Any) -> Any:
        raise NotImplementedError

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """``[input][output]``: whether the gradient of that output can reach that input."""
        return [[True] * len(node.outputs) for _ in node.inputs]

    def pullback(
        self, node: Apply, grads: Sequence[Variable], needed: Sequence[bool] | None = None
    ) -> Sequence[Variable | None]:
        """Reverse mode with whichever protocol the op implements; cotangents that are not ``needed`` may be None."""
        cls = type(self)
        if cls.L_op is not Op.L_op:
            return self.L_op(node.inputs, node.outputs, grads)
        if cls.grad is not Op.grad:
            return self.grad(node.inputs, grads)
        return self.vjp(node.inputs, node.outputs, grads)

    # -- lowering -------------------------------------------------------------------------------------------------

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        """Emit instructions through the builder ``b``; by default the op runs in Python, as a host call."""
        return b.host_call(node, inputs)


class Disconnected:
    """Mixed into ops whose outputs do not move with their inputs: shapes, draws. No gradient passes, none is missed."""

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * len(node.outputs) for _ in node.inputs]

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Sequence[Variable | None]:
        return [None] * len(inputs)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        return [None] * len(outputs)


def static_operand(v: Variable) -> Operand:
    """What is known of ``v`` while the graph is built."""
    t = v.type
    if not isinstance(t, TensorType):
        return Operand(repr(t), (), None, v)
    shape = tuple(UNKNOWN if d is None else d for d in t.shape)
    return Operand(t.dtype, shape, static_value(v), v)


def static_value(v: Variable) -> Any:
    """The value of an integer scalar or short vector, as far as it is known: int, tuple (with UNKNOWN) or None."""
    host = v.__dict__.get("_host")
    if host is not None:
        return host
    if isinstance(v, Constant) and isinstance(v.type, TensorType):
        data = v.data
        if data.dtype.kind in "iub" and (data.ndim == 0 or (data.ndim == 1 and data.size <= 64)):
            return int(data) if data.ndim == 0 else tuple(int(d) for d in data)
    return None


def is_disconnected(v: Variable | None) -> bool:
    return v is None or isinstance(v.type, DisconnectedType)


def is_null(v: Variable | None) -> bool:
    return v is not None and isinstance(v.type, NullType)


def _with_origins(error: Exception, op: Op, variables: Sequence[Variable]) -> Exception:
    """The same error, followed by the lines where the operands were built."""
    lines = [f"  {v} of type {v.type}, built at {v.origin}" for v in variables]
    return type(error)(f"{error}\n" + "\n".join(lines))


_build_hooks: list[Any] = []


def add_build_hook(hook: Any) -> None:
    """``hook(node)`` runs after every node is built (test values use it)."""
    _build_hooks.append(hook)


def _after_build(node: Apply) -> None:
    for hook in _build_hooks:
        hook(node)
