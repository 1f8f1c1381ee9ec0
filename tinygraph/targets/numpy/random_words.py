"""The ``philox`` intrinsic on NumPy: a nest that draws one element after the other fills a run of words at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinygraph.program.expr import Expr, postorder
from tinygraph.random import philox


class Run(NamedTuple):
    """Element ``start + sum(strides[k] * axis k)`` of a draw, the attribute of a ``philox_run`` expression."""

    start: int
    strides: tuple[int, ...]


def with_runs(e: Expr, n: int) -> Expr:
    """``e`` with each ``philox`` whose element is affine in the ``n`` axes as ``philox_run``."""
    order = postorder(e)
    if not any(x.op == "philox" for x in order):
        return e
    new: dict[int, Expr] = {}
    for x in order:
        args = tuple(new[id(a)] for a in x.args)
        element = affine(x.args[3], n) if x.op == "philox" else None
        if element is not None:
            new[id(x)] = Expr("philox_run", args[:3], x.dtype, element)
        else:
            same = all(a is b for a, b in zip(args, x.args, strict=True))
            new[id(x)] = x if same else Expr(x.op, args, x.dtype, x.attr)
    return new[id(e)]


def affine(e: Expr, n: int) -> Run | None:
    """An integer expression as a constant plus multiples of the axes, or None."""
    memo: dict[int, Run | None] = {}
    for x in postorder(e):
        memo[id(x)] = _affine(x, [memo[id(a)] for a in x.args], n)
    return memo[id(e)]


def _affine(x: Expr, args: Sequence[Run | None], n: int) -> Run | None:
    if x.op == "const":
        return Run(int(x.attr), (0,) * n)
    if x.op == "axis":
        return Run(0, tuple(int(k == x.attr) for k in range(n)))
    if not args or any(a is None for a in args):
        return None
    if x.op == "cast":
        return args[0] if x.dtype in ("int64", "uint64") else None
    if x.op == "neg":
        return _scaled(args[0], -1)  # type: ignore[arg-type]
    if x.op in ("add", "sub"):
        a, b = args[0], _scaled(args[1], 1 if x.op == "add" else -1)  # type: ignore[arg-type]
        return Run(a.start + b.start, tuple(p + q for p, q in zip(a.strides, b.strides, strict=True)))  # type: ignore
    if x.op == "mul":
        a, b = args  # type: ignore[assignment]
        if not any(b.strides):
            return _scaled(a, b.start)  # type: ignore[arg-type]
        return _scaled(b, a.start) if not any(a.strides) else None  # type: ignore[union-attr]
    return None


def _scaled(r: Run, k: int) -> Run:
    return Run(r.start * k, tuple(s * k for s in r.strides))


def flat_step(run: Run, extents: Sequence[int]) -> int | None:
    """The distance between elements that follow each other in the nest's C order, if it is the same everywhere."""
    step = 0
    reach = 1
    for e, s in zip(reversed(extents), reversed(run.strides), strict=True):
        if s == 0 or e == 1:
            continue
        if step == 0:
            step = s
        elif s != step * reach:
            return None
        reach *= e
    return step or 1 if step >= 0 else None


def call(run: Run, extents: Sequence[int], tiled: bool, args: Sequence[str], out: str,
         axis_values: Callable[[int, int], str]) -> str:  # fmt: skip
    """The line that fills ``out``; ``axis_values(k, s)`` names an array of ``s`` times the index of axis ``k``."""
    step = flat_step(run, extents)
    if step is None:
        axes = [axis_values(k, s) for k, s in enumerate(run.strides) if s]
        return f"philox_at({', '.join(args)}, {' + '.join([str(run.start), *axes])}, {out})"
    start = str(run.start)
    if tiled and run.strides[0] and extents[0] != 1:
        start = f"{run.start} + lo * {run.strides[0]}" if run.start else f"lo * {run.strides[0]}"
    return f"philox_fill({', '.join(args)}, {start}, {step}, {out})"


#: what the printed lines call
NAMES = {"philox_fill": philox.fill_strided, "philox_at": philox.fill_at}
