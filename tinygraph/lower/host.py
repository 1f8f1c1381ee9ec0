"""Host integers: Python functions printed from scalar expressions, and the sizes that integer arguments decide.

A function such as ``f(i)`` on ``data[i*500:(i+1)*500]`` needs, before any array work, the slice's length (it is part
of the key under which a program is found) and its start (a parameter of the program). Both are small expressions of
the call's integer arguments and input sizes, printed here as one Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygraph.errors import IndexOutOfRange, TinygraphError
from tinygraph.graph.dims import UNKNOWN, Operand, UnknownDim
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Constant, Variable
from tinygraph.program.expr import Expr, param, postorder

_PYTHON = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "floordiv": "({0} // {1} if {1} else 0)",
    "mod": "({0} % {1} if {1} else 0)",
    "neg": "-{0}",
    "abs": "abs({0})",
    "maximum": "({0} if {0} > {1} else {1})",
    "minimum": "({0} if {0} < {1} else {1})",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "select": "({1} if {0} else {2})",
    "cast": "int({0})",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "not {0}",
}


def checked_index(i: int, n: int) -> int:
    """``i`` counted from the front of a dimension of size ``n``."""
    if i < -n or i >= n:
        source = getattr(n, "source", None)
        where = "" if source is None else f"\n{source.text()}"
        raise IndexOutOfRange(f"index {i} is out of range for a dimension of size {n}{where}")
    return i + n if i < 0 else i


class PythonPrinter:
    """Prints host expressions as assignments; equal objects are computed once."""

    def __init__(self, bounds: dict[str, int] | None = None) -> None:
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        #: takes the sizes that indices are checked against, by their names in the text; None: printed as they are
        self.bounds = bounds

    def name(self, e: Any) -> str:
        """The name (or literal) that holds ``e``, printing what it needs."""
        if isinstance(e, int):
            return repr(e)
        for x in postorder(e):
            if id(x) not in self.names:
                self.names[id(x)] = self._print(x)
        return self.names[id(e)]

    def _print(self, x: Expr) -> str:
        if x.op == "const":
            return repr(int(x.attr))
        if x.op == "param":
            return x.attr
        args = [self.names[id(a)] for a in x.args]
        if x.op == "index":
            text = f"checked_index({args[0]}, {self._bound(x.attr)})"
        elif x.op in _PYTHON:
            text = _PYTHON[x.op].format(*args)
        else:
            raise NotImplementedError(f"host integers have no {x.op}")
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def _bound(self, n: int) -> str:
        if self.bounds is None:
            return str(n)
        name = f"bound{len(self.bounds)}"
        self.bounds[name] = n
        return name



def is_host_leaf(v: Variable) -> bool:
    """Integer scalars among a function's inputs and shared variables can decide sizes."""
    return isinstance(v.type, TensorType) and v.type.ndim == 0 and v.type.dtype[0] in "iu"


def print_host_function(
    leaves: Sequence[Variable], results: Sequence[Any], name: str
) -> tuple[str, Callable[..., Any]]:
    """Source and function: the arrays of ``leaves`` (a sequence) -> tuple of ints, the values of ``results``."""
    bounds: dict[str, int] = {}
    printer = PythonPrinter(bounds)
    found = [printer.name(r) for r in results]
    used = {x.attr for r in results if isinstance(r, Expr) for x in postorder(r) if x.op == "param"}
    head = []
    for k, v in enumerate(leaves):
        if f"in{k}" in used:
            head.append(f"in{k} = int(args[{k}])")
        for j in range(getattr(v.type, "ndim", 0)):
            if f"in{k}_{j}" in used:
                head.append(f"in{k}_{j} = args[{k}].shape[{j}]")
    body = "".join(f"    {line}\n" for line in head + printer.lines)
    source = f"def {name}(args):\n{body}    return ({', '.join(found)}{',' if len(found) == 1 else ''})\n"
    space: dict[str, Any] = {"checked_index": checked_index, **bounds}
    exec(compile(source, f"<host integers of {name}>", "exec"), space)
    return source, space[name]


class RuntimeSizes:
    """Which outputs of a graph have sizes that integer arguments decide, and how to compute those sizes.

    ``variables``: (variable, its size expressions) for each; ``key(args)``: all of them, evaluated for one call.
    """

    def __init__(self, nodes: Sequence[Apply], leaves: Sequence[Variable]):
        #: sizes to compute at each call: of variables, and what nodes ask for besides (``Op.extra_sizes``)
        self.sizes: dict[Variable | Apply, tuple[Any, ...]] = {}
        self.leaves = leaves
        self._shapes: dict[Variable, tuple[Any, ...]] = {}
        self._values: dict[Variable, Any] = {}
        #: variables whose value or sizes depend on an integer argument's value
        self._tainted: set[Variable] = set()
        if any(is_host_leaf(v) for v in leaves):
            self._analyse(nodes)
        flat = [d for sizes in self.sizes.values() for d in sizes]
        self.source, self.key = print_host_function(leaves, flat, "sizes")

    def _analyse(self, nodes: Sequence[Apply]) -> None:
        for k, v in enumerate(self.leaves):
            if not isinstance(v.type, TensorType):
                continue
            self._shapes[v] = tuple(
                param(f"in{k}_{j}") if d is None else d for j, d in enumerate(v.type.shape)
            )
            if is_host_leaf(v):
                self._values[v] = param(f"in{k}")
                self._tainted.add(v)
        for node in nodes:
            self._visit(node)

    def _operand(self, v: Variable) -> Operand:
        t = v.type
        if not isinstance(t, TensorType):
            return Operand(str(t), (), None, v)
        shape = self._shapes.get(v)
        if shape is None:
            shape = tuple(UNKNOWN if d is None else d for d in t.shape)
        value = self._values.get(v)
        if value is None and isinstance(v, Constant):
            from tinygraph.graph.op import static_value

            value = static_value(v)
        return Operand(t.dtype, shape, value, v)

    def _visit(self, node: Apply) -> None:
        from tinygraph.graph.op import Op

        if type(node.op).infer is Op.infer:
            return
        operands = [self._operand(v) for v in node.inputs]
        try:
            shapes = [tuple(s) for _, s in node.op.infer(*operands)]
            values = self._host(node, operands)
        except TinygraphError:
            return  # reported with real sizes when the program is made
        decided = any(i < len(node.inputs) and node.inputs[i] in self._tainted for i in node.op.shape_inputs)
        for out, shape, value in zip(node.outputs, shapes, values, strict=True):
            self._shapes[out] = shape
            if value is not None and not _unknown(value):
                self._values[out] = value
                if any(v in self._tainted for v in node.inputs):
                    self._tainted.add(out)
            if decided and not _unknown(shape):
                self.sizes[out] = shape
        if decided:
            extra = tuple(node.op.extra_sizes(*operands))
            if extra and not _unknown(extra):
                self.sizes[node] = extra

    @staticmethod
    def _host(node: Apply, operands: list[Operand]) -> list[Any]:
        if not all(o.type.dtype and o.type.dtype[0] in "iub" and o.type.ndim <= 1 for o in node.outputs):  # type: ignore
            return [None] * len(node.outputs)
        return list(node.op.host(*operands) or [None] * len(node.outputs))

    def resolve(self, key: Sequence[int]) -> Mapping[Variable | Apply, tuple[int, ...]]:
        """The evaluated key as sizes by variable."""
        out: dict[Variable | Apply, tuple[int, ...]] = {}
        at = 0
        for v, sizes in self.sizes.items():
            out[v] = tuple(key[at : at + len(sizes)])
            at += len(sizes)
        return out


def _unknown(value: Any) -> bool:
    items = value if isinstance(value, (tuple, list)) else (value,)
    return any(isinstance(d, UnknownDim) for d in items)
