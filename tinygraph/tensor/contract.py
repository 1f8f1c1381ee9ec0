"""Contractions: tensordot, batched_tensordot, einsum. All become matrix products of reshaped operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, ShapeMismatch
from tinygraph.tensor.basic import as_tensor_variable
from tinygraph.tensor.dot import batched_dot_op, dot_op
from tinygraph.tensor.shape import dimshuffle, normalise_axis, reshape, shape_tuple


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over pairs of dimensions, as ``numpy.tensordot``.

    ``axes``: a number n (the last n of ``a`` against the first n of ``b``), or the two lists of dimensions.
    Shapes: (kept of a..., summed...), (summed..., kept of b...) -> (kept of a..., kept of b...).
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    left, right = _axes(a, b, axes, batch=0)
    return _contract(a, b, left, right, batch=0)


def batched_tensordot(x: Any, y: Any, axes: Any = 2) -> Any:
    """``tensordot(x[i], y[i], axes)`` for each i along the first dimension; ``axes`` count that dimension too."""
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if x.type.ndim == 0 or y.type.ndim == 0:
        raise ShapeMismatch("batched_tensordot: both operands need a batch dimension")
    left, right = _axes(x, y, axes, batch=1)
    return _contract(x, y, left, right, batch=1)


def _axes(a: Any, b: Any, axes: Any, batch: int) -> tuple[list[int], list[int]]:
    """The summed dimensions of each operand, checked."""
    if isinstance(axes, np.ndarray):
        axes = axes.tolist()
    if isinstance(axes, (int, np.integer)):
        n = int(axes)
        if n < 0 or n > min(a.type.ndim, b.type.ndim) - batch:
            raise ShapeMismatch(
                f"tensordot: cannot sum over {n} dimensions of {a} ({a.type}) and {b} ({b.type})"
            )
        axes = [list(range(a.type.ndim - n, a.type.ndim)), list(range(batch, batch + n))]
    left, right = ([x] if isinstance(x, (int, np.integer)) else list(x) for x in axes)
    if len(left) != len(right):
        raise ShapeMismatch(f"tensordot: {len(left)} dimensions of {a} against {len(right)} of {b}")
    left_axes: list[int] = [normalise_axis(int(d), a.type.ndim) for d in left]
    right_axes: list[int] = [normalise_axis(int(d), b.type.ndim) for d in right]
    _check_axes(a, b, left_axes, right_axes, axes, batch)
    return left_axes, right_axes


def _check_axes(a: Any, b: Any, left: Sequence[int], right: Sequence[int], axes: Any, batch: int) -> None:
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise InvalidValue(f"tensordot: axes {axes} name a dimension twice")
    if batch and (0 in left or 0 in right):
        raise InvalidValue(f"batched_tensordot: axes {axes} name the batch dimension 0")
    for i, j in zip(left, right, strict=True):
        m, n = a.type.shape[i], b.type.shape[j]
        if m is not None and n is not None and m != n:
            raise ShapeMismatch(
                f"tensordot: dimension {i} of {a} ({a.type}) and dimension {j} of {b} ({b.type}) differ: {m} and {n}"
            )


def _contract(a: Any, b: Any, left: Sequence[int], right: Sequence[int], batch: int) -> Any:
    """Operands as (stacks of) matrices, multiplied, and the kept dimensions put back."""
    lead = list(range(batch))
    rows = [d for d in range(batch, a.type.ndim) if d not in left]
    columns = [d for d in range(batch, b.type.ndim) if d not in right]
    sizes_a, sizes_b = shape_tuple(a), shape_tuple(b)
    if not batch and len(left) == len(rows) == len(columns) == 1:
        return dot_op(dimshuffle(a, [*rows, *left]), dimshuffle(b, [*right, *columns]))
    x = _merged(dimshuffle(a, [*lead, *rows, *left]), batch, len(rows), len(left))
    y = _merged(dimshuffle(b, [*lead, *right, *columns]), batch, len(right), len(columns))
    product = batched_dot_op(x, y) if batch else dot_op(x, y)
    out = [*(sizes_a[d] for d in lead), *(sizes_a[d] for d in rows), *(sizes_b[d] for d in columns)]
    return reshape(product, out, ndim=len(out)) if len(out) != batch + 2 or len(rows) != 1 else product


def _merged(x: Any, batch: int, first: int, second: int) -> Any:
    """``x`` with its ``first`` and its ``second`` dimensions after the batch merged into one each."""
    if first == second == 1:
        return x
    sizes = shape_tuple(x)
    return reshape(
        x,
        [*sizes[:batch], product(sizes[batch : batch + first]), product(sizes[batch + first :])],
        ndim=batch + 2,
    )


def product(sizes: Sequence[Any]) -> Any:
    """The product of sizes, an int where all are."""
    out: Any = 1
    for n in sizes:
        out = n if isinstance(out, int) and out == 1 else n * out
    return out


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's notation, as ``numpy.einsum``: ``einsum('bij,bjk->bik', a, b)``.

    Repeated letters take diagonals, letters missing from the output are summed over, '...' stands for dimensions
    that broadcast; without '->' the output has the letters that occur once, in alphabetical order. Operands are
    contracted two at a time, in the order numpy.einsum_path finds where all sizes are known, else from the left.
    """
    tensors = [as_tensor_variable(x) for x in operands]
    inputs, output = parse_einsum(subscripts, [t.type.ndim for t in tensors])
    terms = [_without_repeats(t, letters) for t, letters in zip(tensors, inputs, strict=True)]
    for pair in _order(inputs, output, tensors):
        chosen = [terms[i] for i in pair]
        terms = [t for i, t in enumerate(terms) if i not in pair]
        needed = set(output).union(*(set(letters) for _, letters in terms))
        terms.append(chosen[0] if len(chosen) == 1 else _product(chosen[0], chosen[1], needed))
    ((x, letters),) = terms
    x, letters = _summed(x, letters, set(output))
    missing = [c for c in output if c not in letters]
    if missing:
        raise InvalidValue(f"einsum: output letter {missing[0]!r} occurs in no operand of {subscripts!r}")
    return dimshuffle(x, [letters.index(c) for c in output])


Term = tuple[Any, str]  # a tensor and one letter for each of its dimensions, all different

_ELLIPSIS = [
    chr(c) for c in range(0x3B1, 0x3B1 + 25)
]  # letters that users do not write: dimensions under '...'


def parse_einsum(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """A letter for each dimension of each operand, and of the output; '...' gets letters of its own."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise InvalidValue(f"einsum: {subscripts!r} describes {len(parts)} operands, got {len(ranks)}")
    inputs = [_spelled_out(part, rank, subscripts) for part, rank in zip(parts, ranks, strict=True)]
    widest = max((sum(c in _ELLIPSIS for c in part) for part in inputs), default=0)
    dots = "".join(_ELLIPSIS[len(_ELLIPSIS) - widest :])
    if arrow:
        _check_letters(right, subscripts)
        output = right.replace("...", dots)
    else:
        every = "".join(parts).replace("...", "")
        output = dots + "".join(sorted(c for c in set(every) if every.count(c) == 1))
    if len(set(output)) != len(output):
        raise InvalidValue(f"einsum: a letter occurs twice in the output of {subscripts!r}")
    return inputs, output


def _check_letters(part: str, subscripts: str) -> None:
    if not all(c.isascii() and c.isalpha() for c in part.replace("...", "", 1)):
        raise InvalidValue(f"einsum: {part!r} in {subscripts!r} is not made of letters and one '...'")


def _spelled_out(part: str, rank: int, subscripts: str) -> str:
    _check_letters(part, subscripts)
    named = len(part.replace("...", ""))
    if named > rank or (named < rank and "..." not in part):
        raise ShapeMismatch(
            f"einsum: {part!r} in {subscripts!r} does not fit an operand of {rank} dimensions"
        )
    return part.replace("...", "".join(_ELLIPSIS[len(_ELLIPSIS) - (rank - named) :]))


def _order(inputs: Sequence[str], output: str, tensors: Sequence[Any]) -> list[tuple[int, ...]]:
    """Which terms to multiply at each step; results go to the end of the list."""
    if (
        len(tensors) <= 2
        or any(None in t.type.shape for t in tensors)
        or any(c in _ELLIPSIS for c in "".join(inputs))
    ):
        in_turn: list[tuple[int, ...]] = [(0, 1), *((0, n) for n in range(len(tensors) - 2, 0, -1))]
        return in_turn if len(tensors) > 1 else [(0,)]
    shapes = [np.broadcast_to(np.float32(0), t.type.shape) for t in tensors]
    path = np.einsum_path(f"{','.join(inputs)}->{output}", *shapes, optimize="greedy")[0][1:]
    steps: list[tuple[int, ...]] = []
    count = len(tensors)
    for chosen in path:  # a step of more than two operands is taken apart
        pair = sorted(chosen)
        if len(pair) <= 2:
            steps.append(tuple(pair))
            count -= len(pair) - 1
            continue
        steps.append((pair[0], pair[1]))
        rest = [i - 2 for i in pair[2:]]
        count -= 1
        while rest:
            steps.append((rest[0], count - 1))
            rest = [i - 1 for i in rest[1:]]
            count -= 1
    return steps


def _without_repeats(x: Any, letters: str) -> Term:
    """``x`` with its diagonal taken over dimensions of the same letter."""
    from tinygraph.tensor.diagonal import diagonal

    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
    return x, letters


def _summed(x: Any, letters: str, needed: set[str]) -> Term:
    """``x`` summed over the dimensions whose letters nothing needs any more."""
    gone = tuple(i for i, c in enumerate(letters) if c not in needed)
    return (
        (x.sum(axis=gone, dtype=x.type.dtype), "".join(c for c in letters if c in needed))
        if gone
        else (x, letters)
    )


def _product(a: Term, b: Term, needed: set[str]) -> Term:
    """Two terms multiplied, and summed over the letters that nothing needs any more."""
    (x, of_x), (y, of_y) = _summed(*a, needed | set(b[1])), _summed(*b, needed | set(a[1]))
    shared = [c for c in of_x if c in of_y]
    batch = [c for c in shared if c in needed]
    inner = [c for c in shared if c not in needed]
    rows, columns = [c for c in of_x if c not in shared], [c for c in of_y if c not in shared]
    if not inner or _may_broadcast(x, y, of_x, of_y, shared):
        return _elementwise_product((x, of_x), (y, of_y), needed)
    letters = "".join([*batch, *rows, *columns])
    left = dimshuffle(x, [of_x.index(c) for c in [*batch, *rows, *inner]])
    right = dimshuffle(y, [of_y.index(c) for c in [*batch, *inner, *columns]])
    return _stacked_product(left, right, len(batch), len(rows), len(inner), len(columns)), letters


def _may_broadcast(x: Any, y: Any, of_x: str, of_y: str, shared: Sequence[str]) -> bool:
    """Whether a dimension the two share is of size 1 in only one of them (NumPy lets it broadcast)."""
    return any(
        (x.type.shape[of_x.index(c)] == 1) != (y.type.shape[of_y.index(c)] == 1) for c in shared
    ) or any(c in _ELLIPSIS for c in shared)


def _elementwise_product(a: Term, b: Term, needed: set[str]) -> Term:
    (x, of_x), (y, of_y) = a, b
    letters = of_x + "".join(c for c in of_y if c not in of_x)
    x = dimshuffle(x, [of_x.index(c) if c in of_x else "x" for c in letters])
    y = dimshuffle(y, [of_y.index(c) if c in of_y else "x" for c in letters])
    return _summed(x * y, letters, needed)


def _stacked_product(x: Any, y: Any, batch: int, rows: int, inner: int, columns: int) -> Any:
    """(batch..., rows..., inner...), (batch..., inner..., columns...) -> (batch..., rows..., columns...)."""
    if not batch:
        axes = [list(range(rows, rows + inner)), list(range(inner))]
        return tensordot(x, y, axes)
    sizes_x, sizes_y = shape_tuple(x), shape_tuple(y)
    lead, m = sizes_x[:batch], sizes_x[batch : batch + rows]
    k, n = sizes_x[batch + rows :], sizes_y[batch + inner :]
    left = reshape(x, [product(lead), product(m), product(k)], ndim=3)
    right = reshape(y, [product(lead), product(k), product(n)], ndim=3)
    return reshape(batched_dot_op(left, right), [*lead, *m, *n], ndim=batch + rows + columns)
