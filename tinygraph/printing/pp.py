r"""``pp``: an expression on one line, in infix notation, as Theano writes it: ``((x ** TensorConstant{2}) \dot y)``."""

from __future__ import annotations

from typing import Any

from tinygraph.graph.traversal import ancestors
from tinygraph.graph.variable import Variable
from tinygraph.tensor.dot import Dot
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.reduce import Reduce

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "true_div": "/", "floordiv": "//", "mod": "%", "pow": "**", "and": "&",
    "or": "|",
    "xor": "^", "shl": "<<", "shr": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "div": "/", "truediv": "/",
}  # fmt: skip


def pp(obj: Any) -> str:
    """The expression ``obj`` (a variable, a compiled function of one output, or a list of them) as text.

    >>> import tinygraph.tensor as T
    >>> x, y = T.dscalars("x", "y")
    >>> pp((x + y) * x)
    '((x + y) * x)'
    """
    if isinstance(obj, (list, tuple)):
        return f"[{', '.join(pp(o) for o in obj)}]"
    if not isinstance(obj, Variable) and hasattr(graph := getattr(obj, "fgraph", obj), "outputs"):
        texts = [pp(o) for o in graph.outputs]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    if not isinstance(obj, Variable):
        raise TypeError(f"pp: expected a variable or a compiled function, got {obj!r}")
    known: dict[Variable, str] = {}
    for v in ancestors([obj]):
        known[v] = str(v) if v.owner is None else _text(v, [known[i] for i in v.owner.inputs])
    return known[obj]


pprint = pp


def _text(v: Variable, args: list[str]) -> str:
    node = v.owner
    assert node is not None
    op = node.op
    if isinstance(op, Elemwise):
        name = op.scalar_op.name
        if name in _INFIX and len(args) == 2:
            return f"({args[0]} {_INFIX[name]} {args[1]})"
        if name == "neg":
            return f"(-{args[0]})"
        if name == "cast":
            return f"Cast{{{v.type.dtype}}}({args[0]})"
        return f"{name}({', '.join(args)})"
    if isinstance(op, Dot):
        return rf"({args[0]} \dot {args[1]})"
    if isinstance(op, Reduce):
        whole = len(op.axes) == node.inputs[0].type.ndim  # type: ignore[attr-defined]
        name = str(op).partition("{")[0]
        return f"{name}({args[0]})" if whole else f"{name}({args[0]}, axis={op.axes})"
    suffix = f".{v.index}" if len(node.outputs) > 1 else ""
    return f"{op}({', '.join(args)}){suffix}"
