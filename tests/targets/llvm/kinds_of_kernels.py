"""Small programs that together have every kind of kernel that the LLVM target prints."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, config, function, grad, scan, shared
from tinygraph.random import RandomStreams
from tinygraph.targets.llvm import executable
from tinygraph.tensor.signal.pool import pool_2d

#: by name: a function that makes a compiled function, arguments for it, and its shared variables
KINDS: dict[str, Callable[[], tuple[Any, list[np.ndarray], list[Any]]]] = {}


def drawn(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Numbers between -1 and 1, always the same."""
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(dtype)


def made(inputs: Any, outputs: Any, updates: Any = ()) -> Any:
    return function(inputs, outputs, updates=updates, mode=Mode(target="llvm"), on_unused_input="ignore")


def kind(build: Callable[[], tuple[Any, ...]]) -> Callable[[], tuple[Any, ...]]:
    KINDS[build.__name__.replace("_", " ")] = build
    return build


@kind
def elementwise_work_of_all_types():
    x, i = T.fmatrix("x"), T.imatrix("i")
    small, half, whole = (T.cast(x * 5, d) for d in ("int8", "float16", "int64"))
    outs = [T.exp(x).T, x[::-1, ::2] + 1, T.gt(x, 0), small // 3, half * 2, whole % 5, T.cast(x, "float64") + i]
    w = shared(drawn(9, 37))
    return made([x, i], outs, [(w, w * 2 + x)]), [drawn(9, 37), np.arange(333, dtype="int32").reshape(9, 37)], [w]


@kind
def elementwise_work_of_many_threads():
    x = T.fvector("x")
    w = shared(drawn(400_000))
    return made([x], T.tanh(x).sum(), [(w, w - T.tanh(x))]), [drawn(400_000)], [w]


@kind
def reductions():
    x, y = T.fmatrix("x"), T.dvector("y")
    outs = [x.sum(0), x.sum(1), x.max(1), T.argmax(x, 1), T.argmin(x, 0), (y * y).sum(), x.any(0), T.nnet.softmax(x)]
    return made([x, y], outs), [drawn(40, 300), drawn(5000, dtype="float64")], []


@kind
def rows_by_number():
    table, rows, more = T.fmatrix("table"), T.lvector("rows"), T.fmatrix("more")
    outs = [table[rows] * 2, T.inc_subtensor(table[rows], more), table[rows, 1] + 1]
    return made([table, rows, more], outs), [drawn(50, 20), np.array([3, -1, 3, 0]), drawn(4, 20)], []


@kind
def draws():
    x = T.fmatrix("x")
    random = RandomStreams(7)
    noise = random.normal(size=x.shape, dtype="float32")
    return made([x], [x * random.binomial(size=x.shape, p=0.5, dtype="float32"), noise + x]), [drawn(30, 50)], []


@kind
def products_by_blas():
    x, y, u, v = T.fmatrix("x"), T.fmatrix("y"), T.dtensor3("u"), T.dtensor3("v")
    w = shared(drawn(16, 400))
    outs = [T.dot(x, y), T.dot(y.T, x.T), T.batched_dot(u, v)]
    values = [drawn(16, 600), drawn(600, 400), drawn(3, 9, 8, dtype="float64"), drawn(3, 8, 10, dtype="float64")]
    return made([x, y, u, v], outs, [(w, w + T.dot(x, y))]), values, [w]


@kind
def products_of_our_own():
    x, y = T.fmatrix("x"), T.fmatrix("y")
    w = shared(drawn(64, 301))
    outs = [T.dot(x, y.T), T.dot(y, x.T), T.dot(x.T, x)]
    return made([x, y], outs, [(w, w - T.dot(x, y.T))]), [drawn(64, 300), drawn(301, 300)], [w]


@kind
def products_in_tiles():
    x, y, b = T.fmatrix("x"), T.fmatrix("y"), T.fvector("b")
    w = shared(drawn(33, 41))
    return made([x, y, b], [T.tanh(T.dot(x, y) + b)], [(w, w - T.dot(x, y))]), [drawn(33, 40), drawn(40, 41), drawn(41)], [w]


@kind
def loops_over_rows_of_their_own():
    return _loop(20, 64, 70)


@kind
def loops_in_one_thread():
    return _loop(4, 5, 21)


def _loop(steps: int, rows: int, units: int) -> tuple[Any, list[np.ndarray], list[Any]]:
    x, start, w = T.ftensor3("x"), T.fmatrix("start"), shared(drawn(units, units) / units, name="w")
    states, _ = scan(lambda x, h, w: T.tanh(x + T.dot(h, w)), sequences=[x], outputs_info=[start], non_sequences=[w])
    f = made([x, start], states, [(w, w - np.float32(0.1) * grad(T.sqr(states).sum(), w))])
    return f, [drawn(steps, rows, units), drawn(rows, units)], [w]


@kind
def convolutions():
    return _convolution(2, 3, 11, 4, 3, ignore_border=True)


@kind
def convolutions_by_winograd():
    return _convolution(2, 8, 12, 16, 5, ignore_border=True)


@kind
def convolutions_without_a_pool():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w, subsample=(2, 1), border_mode="half")
    values = [drawn(2, 3, 9, 10), drawn(5, 3, 3, 3)]
    return made([x, w], [T.tanh(y), *grad(T.sqr(y).sum(), [x, w])]), values, []


def _convolution(samples: int, channels: int, size: int, filters: int, taps: int, **pool: Any) -> Any:
    """One with a pool, a bias and an activation, and its gradients, which come from the places of the maxima."""
    x, b = T.ftensor4("x"), T.fvector("b")
    w = shared(drawn(filters, channels, taps, taps), name="w")
    y = T.tanh(pool_2d(T.nnet.conv2d(x, w), (2, 2), **pool) + b.dimshuffle("x", 0, "x", "x"))
    to_x, to_w = grad(T.sqr(y).sum(), [x, w])
    return made([x, b], [y, to_x], [(w, w - to_w)]), [drawn(samples, channels, size, size), drawn(filters)], [w]


@kind
def steps_with_all_their_updates():
    x, y = T.fmatrix("x"), T.ivector("y")
    parameters = [shared(v) for m, n in ((200, 320), (320, 10)) for v in (drawn(m, n) / 9, drawn(n))]
    h = T.tanh(T.dot(x, parameters[0]) + parameters[1])
    p = T.nnet.softmax(T.dot(h, parameters[2]) + parameters[3])
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    rules = [(q, q - np.float32(0.1) * g) for q, g in zip(parameters, grad(cost, parameters), strict=True)]
    return made([x, y], cost, rules), [drawn(128, 200), np.arange(128, dtype="int32") % 10], parameters


class Built(NamedTuple):
    """A program of some kind that has been called once: its executable, and the texts of the kernels in that."""

    f: Any
    values: list[np.ndarray]
    shared: list[Any]
    executable: Any
    texts: list[str]


def build(kind: str, bounds_check: bool = True) -> Built:
    """The program of that name for two threads."""
    texts: dict[str, None] = {}
    executables: list[Any] = []
    load, start = executable.load, executable.LlvmExecutable.__init__

    def loaded(text: Any, digest: Any = None) -> Any:
        library = load(text, digest)
        texts[library.ir_text()] = None
        return library

    def started(self: Any, *args: Any, **more: Any) -> None:
        start(self, *args, **more)
        executables.append(self)

    with config.change(bounds_check=bounds_check, threads=2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(executable, "load", loaded)
        patch.setattr(executable.LlvmExecutable, "__init__", started)
        f, values, shareds = KINDS[kind]()
        f(*values)
    return Built(f, values, shareds, executables[-1], list(texts))


#: the same, made once
built = cache(build)
