"""Symbolic sizes: one normal form, so that equal sizes are one object; and shapes found through ``Op.infer``."""

import itertools

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.graph.dims import UNKNOWN, broadcast_dim, dim_eq, dim_max, dim_min, dim_select
from tinygraph.passes.reference import evaluate
from tinygraph.passes.shapes import ShapeAnalysis, same_sizes
from tinygraph.passes.sizes import Arena, Size, leaves


@pytest.fixture
def sizes():
    """Two dimensions n, m (at least 0) and an integer k of any sign."""
    arena = Arena()
    v = [T.vector(), T.vector(), T.lscalar()]
    return arena.leaf("dim", v[0], 0, nonneg=True), arena.leaf("dim", v[1], 0, nonneg=True), arena.leaf("value", v[2], nonneg=False)


def value(size, at):
    """The number that a size is, ``at`` giving those of its leaves."""
    if isinstance(size, int):
        return size
    total = 0
    for atoms, c in size.terms:
        for a in atoms:
            c *= at[a] if a in at else _apply(a.kind, [value(x, at) for x in a.args])
        total += c
    return total


def _apply(kind, args):
    table = {"floordiv": lambda a, b: a // b if b else 0, "mod": lambda a, b: a % b if b else 0, "maximum": max, "minimum": min,
             "eq": lambda a, b: a == b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
             "ge": lambda a, b: a >= b, "select": lambda c, a, b: a if c else b, "bcast": lambda *a: max(a)}  # fmt: skip
    return table[kind](*args)


def test_equal_polynomials_are_one_object(sizes):
    n, m, k = sizes
    assert (n + m) * k is k * m + n * k
    assert n - n == 0 and n * 0 == 0 and (n + m) - m is n and 2 * n - n is n
    negated = -k
    assert -negated is k and n + 0 is n and (n + 1) - 1 is n
    assert n + m is not n + k


def test_division_that_comes_out_even(sizes):
    n, m, k = sizes
    assert (n * m) // n is m and (6 * n + 4 * m) // 2 is 3 * n + 2 * m and n // 1 is n and 0 // n == 0
    assert isinstance((n + 1) // 2, Size) and (n + 1) // 2 is (1 + n) // 2


def test_what_signs_decide(sizes):
    n, m, k = sizes
    assert dim_max(n, 0) is n and dim_min(n, 0) == 0 and dim_max(n + 2, n) is n + 2 and dim_max(n + m, n) is n + m
    assert isinstance(dim_max(k, 0), Size) and abs(n) is n
    assert (n >= 0) is True and (n + 1 > 0) is True and (n < 0) is False and dim_eq(n + 1, n) is False and dim_eq(n, n) is True
    assert isinstance(k >= 0, Size) and isinstance(n > 0, Size)


def test_broadcasting_is_symmetric_and_idempotent(sizes):
    n, m, k = sizes
    both = broadcast_dim(n, m)
    assert both is broadcast_dim(m, n) and broadcast_dim(both, n) is both and broadcast_dim(n, n) is n
    assert broadcast_dim(n, 1) is n and broadcast_dim(n, 5) == 5
    assert dim_select(n > 3, m, m) is m


def test_unknown_stays_unknown(sizes):
    n, _, _ = sizes
    assert n + UNKNOWN is UNKNOWN and n * UNKNOWN is UNKNOWN and dim_max(n, UNKNOWN) is UNKNOWN and n // UNKNOWN is UNKNOWN


def test_what_grows_too_large_is_not_followed(sizes):
    n, m, k = sizes
    total = n
    for i in range(60):
        total = (total // 3 + i) % 7 if total is not UNKNOWN else total
    assert total is UNKNOWN


def test_arithmetic_agrees_with_integers(sizes):
    leaf = [s.only_atom for s in sizes]
    n, m, k = sizes
    made = [(2 * n + m) * k - m, (n * n + k) // 3, dim_max(k - n, m), dim_min(n, m + k), abs(k), (n + k) % 5,
            dim_select(n > m, n - m, k), (3 * n * m) // (3 * m)]  # fmt: skip
    want = [lambda a, b, c: (2 * a + b) * c - b, lambda a, b, c: (a * a + c) // 3, lambda a, b, c: max(c - a, b),
            lambda a, b, c: min(a, b + c), lambda a, b, c: abs(c), lambda a, b, c: (a + c) % 5,
            lambda a, b, c: a - b if a > b else c, lambda a, b, c: a]  # fmt: skip
    for a, b, c in itertools.product((0, 1, 4), (1, 3), (-7, 0, 2)):
        at = dict(zip(leaf, (a, b, c), strict=True))
        assert [value(s, at) for s in made] == [w(a, b, c) for w in want]
    assert set(leaves(made[0])) == set(leaf)


# -- shapes of expressions ---------------------------------------------------------------------------------------------

x, y, w, b = T.matrix("x"), T.matrix("y"), T.matrix("w"), T.vector("b")
n = T.lscalar("n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (T.exp(x).T, x.T), (x + x.sum(axis=0), x), (T.concatenate([x, x])[: x.shape[0]], x), (T.zeros_like(x), x),
        (T.dot(x, w)[:, :3].T.T, T.dot(x, T.exp(w))[:, :3]), (x.flatten().reshape(x.shape), x), (x[::-1], x),
        (T.nnet.softmax(x), x), (x[1:], x[:-1]), (x[1:][:-1], x[2:]), (x + b + x, b + x), (T.set_subtensor(x[0], 0.0), x),
        (T.zeros((n + 1, n)), T.ones((1 + n, n))),
    ],
    ids=lambda v: str(v),
)  # fmt: skip
def test_shapes_proven_equal(one, other):
    assert ShapeAnalysis().same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(x, y), (x.T, x), (x + b, x), (x[1:], x), (T.dot(x, w), x), (x + y, x), (T.zeros((n, 2)), T.zeros((2, n)))],
    ids=lambda v: str(v),
)
def test_shapes_that_may_differ(one, other):
    assert not ShapeAnalysis().same(one, other)


@pytest.mark.parametrize(
    "made", [T.dot(x, w), x + b, x[1::2], T.concatenate([x, y]), x.reshape((-1, 2)), x[:n], x.flatten()], ids=str
)
def test_formulas_for_sizes_give_the_real_ones(made):
    given = {x: np.zeros((4, 6)), y: np.zeros((2, 6)), w: np.zeros((6, 3)), b: np.zeros(6), n: np.asarray(3)}
    shapes = ShapeAnalysis()
    built = [shapes.build(d) for d in shapes.of(made)]
    assert all(v is not None for v in built)
    (real,) = evaluate([made], given)
    assert [int(v) for v in evaluate(built, given)] == list(real.shape)


def test_sizes_that_only_the_data_decide_have_no_formula():
    found = T.nonzero(x)[0]
    shapes = ShapeAnalysis()
    assert shapes.build(shapes.of(found)[0]) is None and same_sizes(shapes.of(found), shapes.of(T.neg(found)))


def test_narrow_integers_wrap_and_are_not_followed():
    small = T.bscalar("small")
    shapes = ShapeAnalysis()
    assert shapes.value(small + np.int8(100) > small) is not True
    assert shapes.value(T.cast(n, "int64") + 1 > n) == 1
