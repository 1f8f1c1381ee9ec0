"""One or more uses of every op of the tensor language, each with its NumPy (or SciPy) meaning.

``case(name, build, arrays, expected)``: ``build`` makes symbolic outputs from variables for ``arrays``, which must equal
``expected``. ``grad``: check first derivatives too; ``second``: second ones as well. Sizes differ between dimensions,
because equal ones hide swapped axes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

import tinygraph.tensor as T
from tinygraph.tensor import nlinalg, slinalg


@dataclass
class Case:
    name: str
    build: Callable[..., Any]
    arrays: Sequence[np.ndarray]
    expected: Any
    grad: bool = True
    second: bool = False

    def __str__(self) -> str:
        return self.name


CASES: list[Case] = []


def case(name: str, build: Callable[..., Any], arrays: Sequence[Any], expected: Any, **more: Any) -> None:
    """Add a case; names of a family are numbered."""
    count = sum(c.name.split("-")[0] == name for c in CASES)
    CASES.append(Case(f"{name}-{count}", build, [np.asarray(a) for a in arrays], expected, **more))


rng = np.random.default_rng(20)
X = rng.uniform(0.2, 2.0, (3, 4))
Y = rng.uniform(0.2, 2.0, (3, 4))
V = rng.uniform(0.2, 2.0, 5)
Z = rng.uniform(-1.0, 1.0, (2, 3, 4))
S = np.array(1.7)
EMPTY = np.zeros((0, 4))
MASK = X > 1.0
COUNTS = np.array([2, 0, 1])
SQUARE = rng.standard_normal((4, 4))
TALL = rng.standard_normal((5, 3))
STACK = rng.standard_normal((2, 3, 3))
POSITIVE = SQUARE @ SQUARE.T + np.eye(4)
RIGHT = rng.standard_normal((4, 3))
VECTOR = rng.standard_normal(4)

# -- shapes -------------------------------------------------------------------------------------------------------

case("shape", lambda x: x.shape, [X], np.array([3, 4]), grad=False)
case("shape", lambda x: x.shape[1] + x.size, [X], np.int64(16), grad=False)
case("reshape", lambda x: x.reshape((2, -1)), [X], X.reshape(2, 6), second=True)
case("reshape", lambda x, s: x.reshape(s, ndim=3), [X, np.array([2, 3, 2])], X.reshape(2, 3, 2), grad=False)
case("flatten", lambda x: T.flatten(x, 2), [Z], Z.reshape(2, 12))
case("dimshuffle", lambda x: x.dimshuffle(1, "x", 0), [X], X.T[:, None, :], second=True)
case("transpose", lambda x: x.transpose(2, 0, 1), [Z], Z.transpose(2, 0, 1))
case("swapaxes", lambda x: x.swapaxes(0, 2), [Z], Z.swapaxes(0, 2))
case("moveaxis", lambda x: T.moveaxis(x, 0, 2), [Z], np.moveaxis(Z, 0, 2))
case("rollaxis", lambda x: T.rollaxis(x, 2), [Z], np.rollaxis(Z, 2))
case("pads", lambda x: [T.shape_padleft(x), T.shape_padright(x, 2), T.shape_padaxis(x, 1)], [X],
     [X[None], X[:, :, None, None], X[:, None]])  # fmt: skip
case("squeeze", lambda x: T.squeeze(x, 0), [X[:1]], X[0])
case("specify_shape", lambda x: T.specify_shape(x, (3, None)), [X], X)
case("addbroadcast", lambda x: T.addbroadcast(x, 0) + T.unbroadcast(x, 0), [X[:1]], 2 * X[:1])
case("patternbroadcast", lambda x: T.patternbroadcast(x, (True, False)), [X[:1]], X[:1])

# -- making and broadcasting --------------------------------------------------------------------------------------

case("alloc", lambda v: T.alloc(v, 2, 5), [V], np.broadcast_to(V, (2, 5)), second=True)
case("broadcast_to", lambda v: T.broadcast_to(v, (2, 5)), [V], np.broadcast_to(V, (2, 5)))
case("sum_to", lambda x, v: T.sum_to(x, v), [X, X[:1]], X.sum(0, keepdims=True))
case("fill", lambda x, s: T.fill(x, s), [X, S], np.full((3, 4), 1.7))
case("zeros_ones", lambda x: [T.zeros_like(x), T.ones_like(x), T.full_like(x, 2)], [X],
     [np.zeros((3, 4)), np.ones((3, 4)), np.full((3, 4), 2.0)], grad=False)  # fmt: skip
case("arange", lambda n: T.arange(1, n, 2), [np.array(8)], np.arange(1, 8, 2), grad=False)
case("arange", lambda s: T.arange(0.0, s, 0.5), [S], np.arange(0, 1.7, 0.5), grad=False)
case("eye", lambda n: T.eye(n, 4, 1), [np.array(3)], np.eye(3, 4, 1), grad=False)
case("tri", lambda x: [T.tril(x, -1), T.triu(x, 1)], [Z], [np.tril(Z, -1), np.triu(Z, 1)])
case("tri", lambda n: [T.tri(n), *T.tril_indices(n), *T.triu_indices(n, 1)], [np.array(3)],
     [np.tri(3), *np.tril_indices(3), *np.triu_indices(3, 1)], grad=False)  # fmt: skip
case("linspace", lambda s: T.linspace(0, s, 5), [S], np.linspace(0, 1.7, 5))
case("meshgrid", lambda v, w: T.meshgrid(v, w), [V, V[:2]], np.meshgrid(V, V[:2]))
case("mgrid", lambda n: T.mgrid[0:n, 1:7:2], [np.array(3)], np.mgrid[0:3, 1:7:2], grad=False)
case("ogrid", lambda n: T.ogrid[0:n, 1:7:2], [np.array(3)], list(np.ogrid[0:3, 1:7:2]), grad=False)

# -- joining and splitting ----------------------------------------------------------------------------------------

for axis in (0, 1, -1):
    case("concatenate", lambda x, y, axis=axis: T.concatenate([x, y, x], axis), [X, Y], np.concatenate([X, Y, X], axis))
    case("stack", lambda x, y, axis=axis: T.stack([x, y], axis=axis), [X, Y], np.stack([X, Y], axis))
case("concatenate", lambda x, e: T.concatenate([x, e]), [X, EMPTY], X)
case("make_vector", lambda a, b: T.stack([a, b, a]), [S, np.array(2.5)], np.array([1.7, 2.5, 1.7]), second=True)
case("split", lambda x: T.split(x, [1, 3], axis=1), [X], np.split(X, [1], axis=1))

# -- arrangement --------------------------------------------------------------------------------------------------

for axis in (None, 0, -1):
    case("repeat", lambda x, axis=axis: T.repeat(x, 3, axis), [X], np.repeat(X, 3, axis))
    case("roll", lambda x, axis=axis: T.roll(x, -5, axis), [X], np.roll(X, -5, axis))
    case("flip", lambda x, axis=axis: T.flip(x, axis), [X], np.flip(X, axis))
case("repeat", lambda x: T.repeat(x, [2, 0, 1], 0), [X], np.repeat(X, [2, 0, 1], 0))
case("repeat", lambda x, n: T.repeat(x, n, 0), [X, COUNTS], np.repeat(X, COUNTS, 0), grad=False)
case("repeat", lambda x, n: T.repeat(x, n, 1), [X, np.array(2)], np.repeat(X, 2, 1), grad=False)
case("repeat", lambda x: T.repeat(x, 2, 0), [EMPTY], EMPTY)
case("roll", lambda x, n: T.roll(x, n, 1), [X, np.array(7)], np.roll(X, 7, 1), grad=False)
case("roll", lambda x: T.roll(x, (1, 2), (0, 1)), [X], np.roll(X, (1, 2), (0, 1)))
for reps in (2, (2,), (2, 3), (2, 1, 3), (0, 2)):
    case("tile", lambda x, reps=reps: T.tile(x, reps), [X], np.tile(X, reps))
case("tile", lambda x, n: T.tile(x, (n, 1), ndim=3), [X, np.array(2)], np.tile(X, (1, 2, 1)), grad=False)
for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    for width in (1, ((0, 2), (3, 1)), 6):
        case(f"pad {mode}", lambda x, w=width, m=mode: T.pad(x, w, m), [X], np.pad(X, width, mode))
case("pad constant", lambda x: T.pad(x, ((1, 2), (3, 0)), "constant", constant_values=((1, 2), (3, 4))), [X],
     np.pad(X, ((1, 2), (3, 0)), "constant", constant_values=((1, 2), (3, 4))))  # fmt: skip
case("diff", lambda x: T.diff(x, 2), [X], np.diff(X, 2))
case("diff", lambda x: T.diff(x, 1, 0), [X], np.diff(X, 1, 0), second=True)

# -- diagonals ----------------------------------------------------------------------------------------------------

for k in (-2, 0, 1, 3, 9):
    case("diagonal", lambda x, k=k: T.diagonal(x, k), [X], np.diagonal(X, k))
    case("diag", lambda v, k=k: T.diag(v, k), [V], np.diag(V, k))
    case("fill_diagonal_offset", lambda x, s, k=k: T.fill_diagonal_offset(x, s, k), [X, S],
         np.where(np.eye(3, 4, k, dtype=bool), S, X))  # fmt: skip
case("fill_diagonal_offset", lambda x, k: T.fill_diagonal_offset(x, 3.0, k), [X, np.array(-1)],
     np.where(np.eye(3, 4, -1, dtype=bool), 3.0, X), grad=False)  # fmt: skip
case("diagonal", lambda x: T.diagonal(x, 1, 2, 0), [Z], np.diagonal(Z, 1, 2, 0), second=True)
case("fill_diagonal", lambda x, s: T.fill_diagonal(x, s), [X, S], np.where(np.eye(3, 4, dtype=bool), S, X), second=True)
case("trace", lambda x: T.trace(x, 0, 1, 2), [Z], np.trace(Z, 0, 1, 2))

# -- reductions ---------------------------------------------------------------------------------------------------

for axis in (None, 0, 2, -2, (0, 2)):
    for keep in (False, True):
        for name in ("sum", "prod", "mean", "var", "std", "max", "min"):
            case(name, lambda x, f=name, a=axis, k=keep: getattr(T, f)(x, axis=a, keepdims=k), [Z],
                 getattr(np, name)(Z, axis=axis, keepdims=keep), second=name in ("sum", "prod", "var"))  # fmt: skip
        case("any", lambda x, a=axis, k=keep: [T.any(x > 0.5, a, k), T.all(x > 0.5, a, k)], [Z],
             [np.any(Z > 0.5, axis, keepdims=keep), np.all(Z > 0.5, axis, keepdims=keep)], grad=False)  # fmt: skip
        case("logsumexp", lambda x, a=axis, k=keep: T.logsumexp(x, a, k), [Z],
             np.log(np.exp(Z).sum(axis=axis, keepdims=keep)), second=True)  # fmt: skip
    for order in (0.5, 1, 2, 3):
        case("norm", lambda x, a=axis, p=order: x.norm(p, axis=a), [Z], (np.abs(Z) ** order).sum(axis) ** (1 / order))
    case("norm", lambda x, a=axis: [x.norm(np.inf, axis=a), x.norm(-np.inf, axis=a)], [Z],
         [np.abs(Z).max(axis), np.abs(Z).min(axis)])  # fmt: skip
for axis in (None, 0, 2):
    case("argmax", lambda x, a=axis: [T.argmax(x, a), T.argmin(x, a)], [Z], [np.argmax(Z, axis), np.argmin(Z, axis)],
         grad=False)  # fmt: skip
    case("ptp", lambda x, a=axis: T.ptp(x, a), [Z], np.ptp(Z, axis))
    case("cumsum", lambda x, a=axis: T.cumsum(x, a), [Z], np.cumsum(Z, axis), second=True)
    case("cumprod", lambda x, a=axis: T.cumprod(x, a), [Z], np.cumprod(Z, axis), second=axis == 2)
case("argmax", lambda x: T.argmax(x, keepdims=True), [X], np.argmax(X, keepdims=True), grad=False)
case("prod", lambda x: T.prod(x, axis=1), [np.array([[0.0, 2, 3], [0, 0, 4], [1, 2, 3]])], np.array([0.0, 0, 6]))
case("cumprod", lambda x: T.cumprod(x), [np.array([2.0, 0.0, 3.0, 0.0, 5.0])], np.array([2.0, 0, 0, 0, 0]), second=True)
case("sum", lambda x: [T.sum(x, axis=0), T.prod(x), T.mean(x, axis=1)], [np.zeros((0, 3))],
     [np.zeros(3), np.array(1.0), np.zeros(0)], grad=False)  # fmt: skip
case("sum", lambda x: [x.sum(), x.prod(0), x.cumsum(1)], [np.array([[100, 100, 100]], "int8")],
     [np.int64(300), np.array([100, 100, 100]), np.array([[100, 200, 300]])], grad=False)  # fmt: skip

# -- products -----------------------------------------------------------------------------------------------------

for a, b in ((X, Y.T), (X, V[:4]), (V[:3], X), (V, V), (S, X), (Z, RIGHT), (X, EMPTY.T)):
    case("dot", lambda p, q: T.dot(p, q), [a, b], np.dot(a, b), second=a.ndim <= 2)
for a, b in ((Z, RIGHT), (VECTOR, rng.random((2, 4, 3))), (Z, VECTOR), (Z[:1], rng.random((2, 4, 5)))):
    case("matmul", lambda p, q: p @ q, [a, b], a @ b, second=True)
case("batched_dot", T.batched_dot, [Z, rng.random((2, 4, 5))], None, second=True)
case("batched_dot", T.batched_dot, [Z[:, 0], Z[:, 1]], (Z[:, 0] * Z[:, 1]).sum(1))
case("outer", T.outer, [V, VECTOR], np.outer(V, VECTOR))
for axes, b in ((0, X), (1, RIGHT), (2, rng.random((3, 4, 2))), ([[1], [0]], TALL.T), ([[2, 1], [1, 0]], rng.random((3, 4, 2)))):
    case("tensordot", lambda p, q, axes=axes: T.tensordot(p, q, axes), [Z, b], np.tensordot(Z, b, axes))
case("tensordot", lambda p, q: T.tensordot(p, q, [[1], [0]]), [COUNTS[None], COUNTS], np.array([5]), grad=False)
B3 = rng.random((2, 4, 5))
case("batched_tensordot", lambda p, q: T.batched_tensordot(p, q, [[2], [1]]), [Z, B3], Z @ B3)
B4 = rng.random((2, 3, 4, 5))
case("batched_tensordot", lambda p, q: T.batched_tensordot(p, q, 2), [Z, B4], np.einsum("bij,bijk->bk", Z, B4))
EINSUMS = {
    "ij,jk->ik": [(2, 3), (3, 4)], "ij,jk": [(2, 3), (3, 4)], "ii->i": [(3, 3)], "ii": [(3, 3)], "ij->ji": [(2, 3)],
    "ij->": [(2, 3)], "i,i": [(3,), (3,)], "i,j->ij": [(3,), (2,)], "bij,bjk->ikb": [(2, 3, 4), (2, 4, 5)],
    "...ij,...jk->...ik": [(2, 3, 4), (1, 4, 5)], "...ij,...jk": [(2, 3, 4), (4, 5)], "ijk,jil->kl": [(2, 3, 4), (3, 2, 5)],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)], "ij,jk,kl,lm->im": [(2, 3), (3, 4), (4, 2), (2, 5)],
    "bhqd,bhkd->bhqk": [(2, 2, 3, 4), (2, 2, 5, 4)], "iij,jk->ik": [(3, 3, 2), (2, 4)], "ij,ij->i": [(2, 3), (2, 3)],
    "ab,cd->abcd": [(2, 3), (1, 2)], "i...->...": [(2, 3, 4)], "ij,kj->": [(2, 3), (4, 3)], "ijij->ij": [(2, 3, 2, 3)],
    "ij,ik,il->jkl": [(2, 3), (2, 4), (2, 5)], "ij,jk->ki": [(2, 0), (0, 4)],
}  # fmt: skip
for spec, shapes in EINSUMS.items():
    operands = [rng.random(s) for s in shapes]
    case(f"einsum {spec}", lambda *xs, s=spec: T.einsum(s, *xs), operands, np.asarray(np.einsum(spec, *operands)))

# -- indexing (all keys are in test_index.py and test_advanced_index.py) ------------------------------------------

case("subtensor", lambda x: x[1:, ::-2], [X], X[1:, ::-2], second=True)
case("subtensor", lambda x, i: x[i, i:], [X, np.array(1)], X[1, 1:], grad=False)
case("set_subtensor", lambda x, y: T.set_subtensor(x[1:, 2], y), [X, V[:2]], None, second=True)
case("inc_subtensor", lambda x, y: T.inc_subtensor(x[1:], y), [X, S], None, second=True)
case("gather", lambda x: x[:, [0, 2, 2]], [X], X[:, [0, 2, 2]], second=True)
case("scatter", lambda x, y: T.inc_subtensor(x[[0, 2, 2]], y), [X, Y], None, second=True)
case("mask", lambda x: x[MASK], [X], X[MASK])
case("mask", lambda x, m: x[m], [X, MASK], X[MASK], grad=False)
case("take", lambda x: T.take(x, [[5, -7], [1, 2]], 1, "wrap"), [X], np.take(X, [[5, -7], [1, 2]], 1, mode="wrap"))
case("take", lambda x: T.take(x, [[5, -7], [1, 2]], None, "clip"), [X], np.take(X, [[5, -7], [1, 2]], mode="clip"))
case("take_along_axis", lambda x, i: T.take_along_axis(x, i, 0), [X, np.argsort(X, 0)], np.sort(X, 0), grad=False)

# -- selection ----------------------------------------------------------------------------------------------------

case("nonzero", lambda m: T.nonzero(m), [MASK], list(np.nonzero(MASK)), grad=False)
case("nonzero", lambda m: T.nonzero(m, return_matrix=True), [MASK], np.array(np.nonzero(MASK)), grad=False)
case("flatnonzero", T.flatnonzero, [COUNTS], np.flatnonzero(COUNTS), grad=False)
case("nonzero_values", T.nonzero_values, [X], X.ravel())
case("compress", lambda x: T.compress([1, 0, 1], x, 0), [X], np.compress([1, 0, 1], X, 0))
WHICH = np.array([[0, 1, 2, 0], [1, 1, 1, 1], [2, 2, 0, 0]])
CUBE = rng.random((3, 3, 1))
case("choose", lambda c: T.choose(WHICH, c), [CUBE], np.choose(WHICH, CUBE))
case("choose", lambda x, y: T.choose(WHICH - 1, [x, y], mode="wrap"), [X, X[:, :1]],
     np.choose(WHICH - 1, [X, X[:, :1]], mode="wrap"))  # fmt: skip
case("to_one_hot", lambda y: T.to_one_hot(y, 4), [np.array([1, 0, 3])], np.eye(4)[[1, 0, 3]], grad=False)
for order in "CF":
    case("ravel_multi_index", lambda a, b, o=order: T.ravel_multi_index((a, b), (3, 4), order=o), [[1, 2], [3, 0]],
         np.ravel_multi_index(([1, 2], [3, 0]), (3, 4), order=order), grad=False)  # fmt: skip
    case("unravel_index", lambda a, o=order: T.unravel_index(a, (3, 4, 2), o), [[1, 23, 7]],
         list(np.unravel_index([1, 23, 7], (3, 4, 2), order)), grad=False)  # fmt: skip
case("isclose", T.isclose, [X, X + 1e-9], np.isclose(X, X + 1e-9), grad=False)

# -- sorting and counting -----------------------------------------------------------------------------------------

for axis in (None, 0, -1):
    at = 0 if axis is None else axis
    case("sort", lambda x, a=axis: T.sort(x, a), [X], np.sort(X, axis), second=True)
    case("argsort", lambda x, a=axis: T.argsort(x, a), [X], np.argsort(X, axis), grad=False)
    case("topk", lambda x, a=axis: T.topk(x, 2, a), [X], np.take(np.flip(np.sort(X, axis), at), [0, 1], at))
    case("topk", lambda x, a=axis: T.topk(x, -2, a), [X], np.take(np.sort(X, axis), [0, 1], at))
TIES = np.array([1.0, 2, 2, 1, 3, 3])
case("argtopk", lambda x: T.argtopk(x, 4), [TIES], np.array([4, 5, 1, 2]), grad=False)
case("topk", lambda x, k: T.topk_and_argtopk(x, k), [TIES, np.array(3)], [np.array([3.0, 3, 2]), np.array([4, 5, 1])],
     grad=False)  # fmt: skip
for side in ("left", "right"):
    case("searchsorted", lambda x, v, s=side: T.searchsorted(x, v, s), [np.sort(V), X],
         np.searchsorted(np.sort(V), X, side), grad=False)  # fmt: skip
    case("searchsorted", lambda x, v, o, s=side: T.searchsorted(x, v, s, o), [V, X, np.argsort(V)],
         np.searchsorted(V, X, side, np.argsort(V)), grad=False)  # fmt: skip
ROWS = np.array([[3.0, 1, 3, 2], [1, 1, 2, 5], [3, 1, 3, 2]])
for axis in (None, 0):
    found = np.unique(ROWS, True, True, True, axis=axis)
    case("unique", lambda x, a=axis: T.unique(x, True, True, True, axis=a), [ROWS],
         [found[0], *(np.ravel(f) for f in found[1:])], grad=False)  # fmt: skip
case("unique", T.unique, [X], np.unique(X))
LABELS = np.array([1, 3, 3, 0])
case("bincount", T.bincount, [LABELS], np.bincount(LABELS), grad=False)
case("bincount", lambda x: T.bincount(x, minlength=7), [LABELS], np.bincount(LABELS, minlength=7), grad=False)
case("bincount", lambda w: T.bincount(LABELS, w), [VECTOR], np.bincount(LABELS, VECTOR))
for n in (0, 1, 2, 5, 8):
    case("bartlett", lambda m: T.bartlett(m), [np.array(n)], np.bartlett(n), grad=False)

# -- linear algebra -----------------------------------------------------------------------------------------------

for a in (SQUARE, STACK):
    case("inverse", nlinalg.inv, [a], np.linalg.inv(a), second=True)
    case("det", nlinalg.det, [a], np.linalg.det(a), second=True)
    case("slogdet", lambda x: nlinalg.slogdet(x)[1], [a], np.linalg.slogdet(a)[1], second=True)
    case("expm", slinalg.expm, [a], scipy.linalg.expm(a))
case("slogdet", nlinalg.slogdet, [SQUARE], list(np.linalg.slogdet(SQUARE)), grad=False)
for a in (TALL, TALL.T):
    case("pinv", nlinalg.pinv, [a], np.linalg.pinv(a))
    case("svd", nlinalg.svd, [a], list(np.linalg.svd(a)), grad=False)
for a in (TALL, TALL.T, SQUARE):
    case("svd", lambda x: nlinalg.svd(x, compute_uv=False), [a], np.linalg.svd(a, compute_uv=False), second=True)
    for i in range(3):
        case("svd", lambda x, i=i: nlinalg.svd(x, False)[i], [a], np.linalg.svd(a, False)[i])
for triangle in "LU":
    for i in range(2):
        case("eigh", lambda x, t=triangle, i=i: nlinalg.eigh(x, t)[i], [POSITIVE], np.linalg.eigh(POSITIVE, triangle)[i])
for i in range(2):
    case("qr", lambda x, i=i: nlinalg.qr(x)[i], [TALL], np.linalg.qr(TALL)[i])
    case("qr", lambda x, i=i: nlinalg.qr(x, "complete")[i], [TALL], np.linalg.qr(TALL, "complete")[i], grad=False)
case("qr", lambda x: nlinalg.qr(x, "r"), [TALL], np.linalg.qr(TALL, "r"))
case("eig", nlinalg.eig, [POSITIVE], list(np.linalg.eig(POSITIVE)), grad=False)
case("lstsq", lambda a, b: nlinalg.lstsq(a, b)[0], [TALL, TALL[:, 0] + 1], np.linalg.lstsq(TALL, TALL[:, 0] + 1)[0],
     grad=False)  # fmt: skip
for b in (RIGHT, VECTOR):
    case("solve", slinalg.solve, [SQUARE, b], np.linalg.solve(SQUARE, b), second=True)
    case("solve", lambda a, b: slinalg.solve(a, b, "pos", lower=True), [POSITIVE, b], np.linalg.solve(POSITIVE, b),
         grad=False)  # fmt: skip
    for lower in (False, True):
        for trans in (0, 1):
            for unit in (False, True):
                case("solve_triangular",
                     lambda a, b, o=(trans, lower, unit): slinalg.solve_triangular(a, b, *o), [POSITIVE, b],
                     scipy.linalg.solve_triangular(POSITIVE, b, trans, lower, unit))  # fmt: skip
case("solve", slinalg.solve, [STACK, RIGHT[:3]], np.linalg.solve(STACK, RIGHT[:3]))
for lower in (False, True):
    case("cholesky", lambda a, o=lower: slinalg.cholesky(a, o), [POSITIVE], scipy.linalg.cholesky(POSITIVE, lower),
         second=True)  # fmt: skip
    case("eigvalsh", lambda a, o=lower: slinalg.eigvalsh(a, None, o), [POSITIVE],
         scipy.linalg.eigvalsh(POSITIVE, lower=lower))  # fmt: skip
    case("eigvalsh", lambda a, b, o=lower: slinalg.eigvalsh(a, b, o), [SQUARE + SQUARE.T, POSITIVE],
         scipy.linalg.eigvalsh(SQUARE + SQUARE.T, POSITIVE, lower=lower))  # fmt: skip
for n in (1, 3, 5, -2):
    case("matrix_power", lambda a, n=n: nlinalg.matrix_power(a, n), [SQUARE], np.linalg.matrix_power(SQUARE, n))
for order in (None, "fro", "nuc", 1, -1, 2, -2, "inf", "-inf"):
    number = float(order) if order in ("inf", "-inf") else order
    case("matrix norm", lambda a, o=order: nlinalg.norm(a, o), [SQUARE], np.linalg.norm(SQUARE, number))
case("kron", slinalg.kron, [STACK, RIGHT], np.kron(STACK, RIGHT))
case("block_diag", slinalg.block_diag, [SQUARE, RIGHT], scipy.linalg.block_diag(SQUARE, RIGHT))
SIX = rng.standard_normal((4, 6, 8, 3))
case("tensorinv", nlinalg.tensorinv, [SIX], np.linalg.tensorinv(SIX), grad=False)
FIVE = rng.standard_normal((2, 3, 6))
case("tensorsolve", nlinalg.tensorsolve, [FIVE, X[:2, :3]], np.linalg.tensorsolve(FIVE, X[:2, :3]))

case("gammainc", lambda x: [T.gammainc(2.5, x), T.gammaincc(2.5, x)], [X],
     [scipy.special.gammainc(2.5, X), scipy.special.gammaincc(2.5, X)])  # fmt: skip

# -- Fourier transforms -------------------------------------------------------------------------------------------


def pairs(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], -1)


for shape in ((2, 4), (2, 5), (2, 3, 4), (2, 3, 5)):
    data = rng.standard_normal(shape)
    axes = tuple(range(1, len(shape)))
    for norm in (None, "ortho", "no_norm"):
        forward = np.fft.rfftn(data, axes=axes, norm="ortho" if norm == "ortho" else None)
        case("rfft", lambda x, n=norm: T.fft.rfft(x, n), [data], pairs(forward), second=norm is None)
        z = rng.standard_normal((*forward.shape, 2))
        back = np.fft.irfftn(z[..., 0] + 1j * z[..., 1], shape[1:], axes=axes, norm={"no_norm": "forward"}.get(norm, norm))  # type: ignore
        case("irfft", lambda z, n=norm, odd=shape[-1] % 2: T.fft.irfft(z, n, is_odd=odd), [z], back)
