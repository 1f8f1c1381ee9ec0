"""Elementwise ops: a scalar function applied at every point of the broadcast of its operands.

``ScalarOp`` is one row of a table: name, NumPy meaning, dtype rule, gradient, expression, and where tests draw
inputs. ``Elemwise`` is the op that applies a row to tensors, broadcasting by the real shapes of a call.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygraph.errors import ShapeMismatch
from tinygraph.graph.convert import as_variable
from tinygraph.graph.dims import (
    Dim,
    Operand,
    broadcast_shapes,
    dim_eq,
    dim_max,
    dim_min,
    dim_select,
)
from tinygraph.graph.op import Apply, Op
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable
from tinygraph.program.expr import Expr, call, cast
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.casting import float_dtype, is_python_number, upcast

Grads = Sequence[Variable | None]


@dataclass(frozen=True, eq=False)
class ScalarOp:
    """A function of scalars.

    name : its name, which is also the intrinsic it is printed as unless ``expr`` says otherwise
    nin : number of operands
    numpy : its NumPy form
    out : dtype rule: "same" (upcast of the operands), "float", "bool", or a function of the operands' dtypes
    vjp : ``(g, out, *inputs) -> cotangent of each input`` (None: no gradient); None: zero gradient everywhere
    expr : ``(*arguments) -> Expr`` where the op is not itself an intrinsic
    args : dtype in which operands are taken, by default the output's, for comparisons the operands' upcast
    domain : bounds within which tests draw inputs, for each operand or for all
    """

    name: str
    nin: int
    numpy: Callable[..., Any]
    out: Any = "same"
    vjp: Callable[..., Grads] | None = None
    expr: Callable[..., Expr] | None = None
    args: Callable[..., Sequence[str]] | None = None
    domain: Any = (-3.0, 3.0)
    commutative: bool = False
    associative: bool = False
    integers: bool = True  # whether integer operands make sense in tests
    floats: bool = True
    attrs: tuple = field(default=())

    def out_dtype(self, *dtypes: str) -> str:
        if self.out == "same":
            return upcast(*dtypes)
        if self.out == "float":
            return float_dtype(upcast(*dtypes))
        if self.out == "bool":
            return "bool"
        return self.out(*dtypes)

    def arg_dtypes(self, *dtypes: str) -> Sequence[str]:
        if self.args is not None:
            return self.args(*dtypes)
        return (upcast(*dtypes) if self.out == "bool" else self.out_dtype(*dtypes),) * len(dtypes)

    def expression(self, *args: Expr) -> Expr:
        return call(self.name, *args) if self.expr is None else self.expr(*args)

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScalarOp) and self.name == other.name and self.attrs == other.attrs

    def __hash__(self) -> int:
        return hash((self.name, self.attrs))

    def __reduce__(self) -> Any:
        """By name: a row of functions cannot be pickled, but everyone has the table."""
        return (_row, (self.name, self.attrs))


#: every row, by name
SCALAR_OPS: dict[str, ScalarOp] = {}

_HOST: dict[str, Callable[..., Dim]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": lambda a, b: (0 if b == 0 else a // b) if isinstance(b, int) and isinstance(a, int) else a // b,
    "mod": lambda a, b: (0 if b == 0 else a % b) if isinstance(b, int) and isinstance(a, int) else a % b,
    "neg": operator.neg,
    "maximum": dim_max,
    "minimum": dim_min,
    "cast": lambda a: a,
    "identity": lambda a: a,
    "abs": lambda a: abs(a) if isinstance(a, int) else dim_max(a, -a),
    "eq": dim_eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "switch": dim_select,
}


def _row(name: str, attrs: tuple) -> ScalarOp:
    """The row called ``name``; conversions are made for their dtype on demand."""
    if name == "cast":
        from tinygraph.tensor.maths import cast_op

        return cast_op(*attrs).scalar_op
    return SCALAR_OPS[name]


class Elemwise(Op):
    """``scalar_op`` at every point of the broadcast of the operands.

    Shapes: any that broadcast by NumPy's rule -> their broadcast. Dtypes: by the row's rule.
    Raises ShapeMismatch if known sizes do not broadcast; sizes not known are checked at the call.
    """

    __props__ = ("scalar_op",)

    def __init__(
        self, scalar_op: ScalarOp, inplace_pattern: Any = None, name: str | None = None, nfunc_spec: Any = None
    ):
        self.scalar_op = scalar_op
        self.name = name or scalar_op.name

    def __str__(self) -> str:
        return f"Elemwise{{{self.scalar_op}}}"

    __repr__ = __str__

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        if len(inputs) > self.scalar_op.nin and self.scalar_op.associative:
            total = inputs[0]
            for x in inputs[1:]:
                total = super().__call__(total, x)
            return total
        if len(inputs) == 1 and self.scalar_op.nin == 2 and self.scalar_op.associative:
            return as_variable(inputs[0])
        return super().__call__(*inputs, **kwargs)

    def make_node(self, *inputs: Any) -> Apply:
        if len(inputs) != self.scalar_op.nin:
            raise TypeError(f"{self.name} takes {self.scalar_op.nin} arguments, got {len(inputs)}")
        return super().make_node(*_weak_numbers(inputs))

    def infer(self, *xs: Operand) -> list[tuple[str, Sequence[Dim]]]:
        try:
            shape = broadcast_shapes([x.shape for x in xs])
        except ShapeMismatch as error:
            shapes = " and ".join(str(x) for x in xs)
            raise ShapeMismatch(f"{self.name}: operands {shapes} do not broadcast: {error}") from None
        return [(self.scalar_op.out_dtype(*(x.dtype for x in xs)), shape)]

    def host(self, *xs: Operand) -> list[Any] | None:
        function = _HOST.get(self.scalar_op.name)
        if function is None or any(x.value is None for x in xs):
            return None
        lengths = {len(x.value) for x in xs if isinstance(x.value, (tuple, list))}
        if not lengths:
            return [_as_dim(function(*(x.value for x in xs)))]
        n = max(lengths)
        columns = [_column(x.value, n) for x in xs]
        if any(c is None for c in columns):
            return None
        return [tuple(_as_dim(function(*v)) for v in zip(*columns, strict=True))]

    def forward(self, *xs: Any) -> Any:
        dtypes = [x.dtype.name for x in xs]
        out = self.scalar_op.out_dtype(*dtypes)
        args = [x.astype(d, copy=False) for x, d in zip(xs, self.scalar_op.arg_dtypes(*dtypes), strict=True)]
        with np.errstate(all="ignore"):
            return np.asarray(self.scalar_op.numpy(*args)).astype(out, copy=False)

    def pullback(self, node: Apply, grads: Any, needed: Sequence[bool] | None = None) -> Grads:
        from tinygraph.tensor.broadcast import sum_to

        (g,), inputs, out = grads, node.inputs, node.outputs[0]
        wanted = [True] * len(inputs) if needed is None else needed
        if self.scalar_op.vjp is None or out.type.dtype[0] != "f":  # type: ignore[index]
            return [zero_gradient(x) if w else None for x, w in zip(inputs, wanted, strict=True)]
        found = self.scalar_op.vjp(g, out, *inputs)
        made: list[Variable | None] = []
        for i, (d, x) in enumerate(zip(found, inputs, strict=True)):
            if not wanted[i]:
                made.append(None)
            elif d is None or x.type.dtype[0] != "f":  # type: ignore[index]
                made.append(zero_gradient(x))
            else:
                made.append(d if _alone(i, inputs) and d.type == x.type else sum_to(d, x))
        return made

    def vjp(self, inputs: Any, outputs: Any, grads: Any) -> Grads:
        return self.pullback(outputs[0].owner, grads)

    def jvp(self, inputs: Any, outputs: Any, tangents: Any) -> Any:
        from tinygraph.tensor.maths import add

        if self.scalar_op.vjp is None or outputs[0].type.dtype[0] != "f":
            return [None]
        total = None
        for i, t in enumerate(tangents):
            if t is None or inputs[i].type.dtype[0] != "f":
                continue
            part = self.scalar_op.vjp(t, outputs[0], *inputs)[i]  # elementwise: the rule is its own transpose
            if part is not None:
                total = part if total is None else add(total, part)
        if total is None:
            return [None]
        return [broadcast_as(total, outputs[0])]

    def lower(self, b: Any, node: Apply, xs: Sequence[Any]) -> Sequence[Any]:
        shape = b.shape(node.outputs[0])
        axes = b.axes(*shape)
        dtypes = [x.dtype for x in xs]
        wanted = self.scalar_op.arg_dtypes(*dtypes)
        args = [cast(broadcast_read(x, axes), d) for x, d in zip(xs, wanted, strict=True)]
        return [b.store(cast(self.scalar_op.expression(*args), node.outputs[0].type.dtype), into=axes)]


def _alone(i: int, inputs: Sequence[Variable]) -> bool:
    """Whether operand ``i`` alone decides the result's shape, the others being numbers."""
    return all(x.type.ndim == 0 for k, x in enumerate(inputs) if k != i)  # type: ignore[attr-defined]


def broadcast_read(x: Any, axes: Sequence[Any]) -> Expr:
    """``x`` read at the point ``axes`` of a broadcast: its size-1 dimensions stay at index 0."""
    lead = len(axes) - x.ndim
    return x[tuple(0 if d == 1 else axes[lead + i] for i, d in enumerate(x.shape))]


def broadcast_as(x: Variable, like: Variable) -> Variable:
    """``x`` spread over the shape of ``like`` where their types do not already agree."""
    from tinygraph.tensor.broadcast import broadcast_like

    return x if x.type.shape == like.type.shape and None not in x.type.shape else broadcast_like(x, like)  # type: ignore


def zero_gradient(x: Variable) -> Variable | None:
    """The gradient of a function that is constant by ``x``: zeros for a float, nothing for an integer."""
    from tinygraph.tensor.creation import zeros_like

    return zeros_like(x) if x.type.dtype and x.type.dtype[0] == "f" else None


def _weak_numbers(inputs: Sequence[Any]) -> list[Variable]:
    """Operands as variables; Python numbers take their dtype from the tensors beside them."""
    made: list[Any] = [None if is_python_number(x) else as_variable(x) for x in inputs]
    tensors = [v.type.dtype for v in made if v is not None and isinstance(v.type, TensorType)]
    floats = [d for d in tensors if d.startswith("float")]
    like = upcast(*floats) if floats else None
    return [as_tensor_variable(x, like=like) if v is None else v for x, v in zip(inputs, made, strict=True)]


def _as_dim(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _column(value: Any, n: int) -> Any:
    if not isinstance(value, (tuple, list)):
        return (value,) * n
    if len(value) == n:
        return value
    return tuple(value) * n if len(value) == 1 else None


def elemwise(name: str, nin: int, numpy: Callable[..., Any], doc: str = "", **row: Any) -> Elemwise:
    """Add a row to the table and return the op that applies it."""
    if name in SCALAR_OPS:
        raise ValueError(f"there is a scalar op {name!r} already")
    SCALAR_OPS[name] = scalar = ScalarOp(name, nin, numpy, **row)
    op = Elemwise(scalar)
    op.__doc__ = doc or f"Elementwise {name}."
    return op
