"""Scalar expressions: what a loop nest computes at one point of its iteration space, and host integers.

An expression is a tree of ``Expr`` nodes over a closed set of intrinsics, every node with a dtype. The leaves are
loads from buffers, constants, loop indices (``axis``) and host integers (``param``). Python operators build them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.dims import UNKNOWN, UnknownDim

#: intrinsics by number of arguments; every target prints all of them
UNARY = frozenset(
    "neg abs sign sqrt floor ceil trunc rint exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh"
    " tanh asinh acosh atanh sigmoid softplus erf erfc erfinv erfcinv erfcx lgamma gamma digamma trigamma not invert"
    " isnan isinf".split()
)
BINARY = frozenset(
    "add sub mul div floordiv mod pow minimum maximum atan2 eq ne lt le gt ge and or xor shl shr".split()
)
COMPARISONS = frozenset("eq ne lt le gt ge".split())


class Access(NamedTuple):
    """An element of a buffer: ``offset + sum(strides[k] * axis k) + sum(coef * param) + dynamic``, in elements."""

    buffer: Any
    offset: int
    strides: tuple[int, ...]
    params: tuple[tuple[str, int], ...] = ()
    dynamic: Expr | None = None  # an integer expression: gathers and scatters


class Expr:
    """One node. ``attr`` holds an Access (load), a number (const), a position (axis) or a name (param)."""

    __slots__ = ("_loads", "_order", "args", "attr", "dtype", "op", "weight")

    def __init__(self, op: str, args: tuple[Expr, ...], dtype: str, attr: Any = None):
        self.op = op
        self.args = args
        self.dtype = dtype
        self.attr = attr
        #: size of the expression written out as a tree (shared parts counted each time, up to a bound)
        self.weight: int = min(1 + sum([a.weight for a in args]), 1 << 30)
        self._loads: list[Expr] | None = None
        self._order: list[Expr] | None = None

    # arithmetic; Python numbers take the other operand's dtype
    def __add__(self, other: Any) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return binary("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return binary("floordiv", other, self)

    def __mod__(self, other: Any) -> Expr:
        return binary("mod", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return binary("mod", other, self)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __lt__(self, other: Any) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Any) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Any) -> Expr:
        return binary("gt", self, other)

    def __ge__(self, other: Any) -> Expr:
        return binary("ge", self, other)

    # the dimension arithmetic of graph.dims, so that shape rules run on host expressions
    def dim_max(self, other: Any) -> Expr:
        return binary("maximum", self, other)

    def dim_min(self, other: Any) -> Expr:
        return binary("minimum", self, other)

    def dim_eq(self, other: Any) -> Expr:
        return binary("eq", self, other)

    def dim_select(self, a: Any, b: Any) -> Expr:
        return select(self, a, b)

    def __repr__(self) -> str:
        from tinygraph.program.text import expr_text

        return expr_text(self)


def const(value: Any, dtype: str) -> Expr:
    return Expr("const", (), dtype, np.dtype(dtype).type(value).item())


def param(name: str) -> Expr:
    """A host integer, known when the program starts (a slice bound, a loop counter)."""
    return Expr("param", (), "int64", name)


def axis_index(position: int) -> Expr:
    """The loop index of the nest's axis at ``position``."""
    return Expr("axis", (), "int64", position)


def load(access: Access, dtype: str) -> Expr:
    return Expr("load", (), dtype, access)


def cast(x: Expr, dtype: str) -> Expr:
    if x.dtype == dtype:
        return x
    if x.op == "const":
        with np.errstate(all="ignore"):
            return Expr("const", (), dtype, np.asarray(x.attr, x.dtype).astype(dtype).item())
    return Expr("cast", (x,), dtype)


def unary(op: str, x: Expr) -> Expr:
    dtype = "bool" if op in ("isnan", "isinf") else x.dtype
    return Expr(op, (x,), dtype)


def _coerce(x: Any, like: Expr) -> Expr:
    return x if isinstance(x, Expr) else const(x, like.dtype)


def binary(op: str, x: Any, y: Any) -> Any:
    if isinstance(x, UnknownDim) or isinstance(y, UnknownDim):
        return UNKNOWN
    if not isinstance(x, Expr):
        x = _coerce(x, y)
    y = _coerce(y, x)
    if x.dtype != y.dtype:
        raise TypeError(f"{op}: operands of a scalar expression must share one dtype, got {x.dtype} and {y.dtype}")
    return Expr(op, (x, y), "bool" if op in COMPARISONS else x.dtype)


def select(cond: Expr, a: Any, b: Any) -> Any:
    """``a`` where ``cond`` holds, else ``b``; both are evaluated."""
    if isinstance(a, UnknownDim) or isinstance(b, UnknownDim):
        return UNKNOWN
    like = a if isinstance(a, Expr) else b
    if not isinstance(like, Expr):
        a = const(a, "int64")
        like = a
    a, b = _coerce(a, like), _coerce(b, like)
    return Expr("select", (cond, a, b), a.dtype)


def call(op: str, *args: Expr) -> Expr:
    """An intrinsic by name."""
    if op in UNARY:
        return unary(op, *args)
    if op in BINARY:
        return binary(op, *args)
    if op == "select":
        return select(*args)
    raise ValueError(f"unknown intrinsic {op!r}")


def philox(key0: Expr, key1: Expr, counter: Expr, index: Expr) -> Expr:
    """The 32-bit random word of flat element ``index`` of a draw that starts at ``counter`` (see random/philox.py)."""
    return Expr("philox", (key0, key1, counter, index), "uint32")


def loads(e: Expr) -> list[Expr]:
    """Every load in ``e``, those inside dynamic addresses included, each object once. Not to be changed."""
    if e._loads is None:
        seen: dict[int, Expr] = {}
        for x in postorder(e):
            if x.op == "load":
                seen[id(x)] = x
                if x.attr.dynamic is not None:
                    seen.update((id(y), y) for y in loads(x.attr.dynamic))
        e._loads = list(seen.values())
    return e._loads


def rebuild(e: Expr, leaf: Any) -> Expr:
    """``e`` with ``leaf(x)`` applied to each node without arguments."""
    memo: dict[int, Expr] = {}
    stack: list[tuple[Expr, bool]] = [(e, False)]
    while stack:
        x, ready = stack.pop()
        if id(x) in memo:
            continue
        if not x.args:
            memo[id(x)] = leaf(x)
        elif ready:
            args = tuple(memo[id(a)] for a in x.args)
            same = all(p is q for p, q in zip(args, x.args, strict=True))
            memo[id(x)] = x if same else Expr(x.op, args, x.dtype, x.attr)
        else:
            stack.append((x, True))
            stack.extend((a, False) for a in x.args)
    return memo[id(e)]


def postorder(e: Expr) -> list[Expr]:
    """Every node of ``e``, arguments first, each object once (dynamic addresses are not entered). Not to be changed."""
    if e._order is None:
        e._order = _walked(e)
    return e._order


def _walked(e: Expr) -> list[Expr]:
    seen: set[int] = set()
    out: list[Expr] = []
    stack: list[tuple[Expr, bool]] = [(e, False)]
    while stack:
        x, ready = stack.pop()
        if ready:
            out.append(x)
        elif id(x) not in seen:
            seen.add(id(x))
            if x.args:
                stack.append((x, True))
                stack.extend([(a, False) for a in reversed(x.args)])
            else:
                out.append(x)
    return out
