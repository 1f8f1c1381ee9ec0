"""The one op that draws: ``state -> (next state, sample)``, pure, so that every target draws the same bits.

A state is a uint32 vector ``[key0, key1, counter low, counter high]``; the words of a draw are laid out as
``random/philox.py`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.dims import Dim, Operand
from tinygraph.graph.op import Apply, Disconnected, Op
from tinygraph.program.expr import Expr, binary, cast, const, philox, select
from tinygraph.random import philox as words
from tinygraph.tensor.basic import as_tensor_variable


class Kind(NamedTuple):
    """What is made of random words: ``expr(word 0, word 1 ...)`` of ``count`` words, and the same on arrays."""

    dtype: str
    count: int
    expr: Callable[..., Expr]
    numpy: Callable[..., np.ndarray]


def _joined(high: Expr, low: Expr) -> Expr:
    return binary("or", binary("shl", cast(high, "uint64"), const(32, "uint64")), cast(low, "uint64"))


def _joined_numpy(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return (high.astype("uint64") << np.uint64(32)) | low


def _top(word: Expr, bits: int, dtype: str) -> Expr:
    """The first ``bits`` of a word as a fraction in [0, 1)."""
    size = 64 if word.dtype == "uint64" else 32
    return cast(binary("shr", word, const(size - bits, word.dtype)), dtype) * const(2.0**-bits, dtype)


def _top_numpy(word: np.ndarray, bits: int, dtype: str) -> np.ndarray:
    size = word.dtype.itemsize * 8
    return (word >> word.dtype.type(size - bits)).astype(dtype) * np.dtype(dtype).type(2.0**-bits)


#: what can be drawn; fractions are multiples of 2**-24 (float32), 2**-53 (float64) or 2**-11 (float16) in [0, 1)
KINDS: dict[str, Kind] = {
    "bits32": Kind("uint32", 1, lambda a: a, lambda a: a),
    "bits64": Kind("uint64", 2, _joined, _joined_numpy),
    "float16": Kind("float16", 1, lambda a: _top(a, 11, "float16"), lambda a: _top_numpy(a, 11, "float16")),
    "float32": Kind("float32", 1, lambda a: _top(a, 24, "float32"), lambda a: _top_numpy(a, 24, "float32")),
    "float64": Kind("float64", 2, lambda a, b: _top(_joined(a, b), 53, "float64"),
                    lambda a, b: _top_numpy(_joined_numpy(a, b), 53, "float64")),
}  # fmt: skip


class Draw(Disconnected, Op):
    """``Draw(kind)(state, *sizes)``: the next state, and an array of independent draws.

    Shapes: (4,), scalars d0 .. dn -> (4,), (d0, ..., dn). Dtypes: uint32, integers -> uint32, that of the kind:
    "float32", "float64", "float16" (uniform in [0, 1)), "bits32", "bits64" (unsigned integers of all values).
    """

    __props__ = ("kind",)
    default_output = 1

    def __init__(self, kind: str):
        if kind not in KINDS:
            raise ValueError(f"there is no draw of {kind!r}; there are {', '.join(KINDS)}")
        self.kind = kind

    def make_node(self, state: Any, *sizes: Any) -> Apply:
        return super().make_node(state, *(as_tensor_variable(d) for d in sizes))

    @property
    def shape_inputs(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(range(1, 64))

    def infer(self, state: Operand, *sizes: Operand) -> list[tuple[str, Sequence[Dim]]]:
        self.expect(state.dtype == "uint32" and state.ndim == 1, "a state: a uint32 vector of 4", state)
        for d in sizes:
            self.expect(d.ndim == 0 and d.is_int, "integer scalars as sizes", d)
        dims = [d.scalar() for d in sizes]
        for d in dims:
            self.expect(not isinstance(d, int) or d >= 0, f"sizes that are not negative, not {d}", *sizes)
        return [("uint32", (4,)), (KINDS[self.kind].dtype, dims)]

    def forward(self, state: Any, *sizes: Any) -> Any:
        kind = KINDS[self.kind]
        shape = tuple(int(d) for d in sizes)
        n = int(np.prod(shape, dtype="int64")) * kind.count
        key0, key1, low, high = (int(x) for x in state)
        counter = high << 32 | low
        drawn = words.draw(key0, key1, counter, n)
        sample = kind.numpy(*(drawn[k :: kind.count] for k in range(kind.count))).reshape(shape)
        counter += words.counters_for(n)
        return np.array([key0, key1, counter & words.MASK, counter >> 32 & words.MASK], "uint32"), sample

    def lower(self, b: Any, node: Apply, inputs: Sequence[Any]) -> Sequence[Any]:
        state, kind = inputs[0], KINDS[self.kind]
        shape = b.shape(node.outputs[1])
        axes = b.axes(*shape)
        counter = _joined(state[3], state[2])
        element = const(0, "int64")
        step = kind.count
        for axis in reversed(axes):
            element = element + axis.value() * step
            step *= axis.size
        drawn = [philox(state[0], state[1], counter, element + k if k else element) for k in range(kind.count)]
        sample = b.store(kind.expr(*drawn), into=axes)
        used = words.counters_for(step if axes else kind.count)
        (i,) = b.axes(4)
        moved = counter + const(used, "uint64")
        low, high = cast(moved, "uint32"), cast(binary("shr", moved, const(32, "uint64")), "uint32")
        k = i.value()
        following = b.store(select(_equals(k, 2), low, select(_equals(k, 3), high, state[i])), into=(i,))
        return [following, sample]


def _equals(k: Expr, n: int) -> Expr:
    return binary("eq", k, const(n, "int64"))
