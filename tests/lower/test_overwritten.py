"""Stores that are lost go, stores that walk backwards turn round; what a program computes stays."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.lower.overwritten import fills, without_overwritten
from tinygraph.program.expr import Access, const, load
from tinygraph.program.instructions import Buffer, Nest

A, B, C = (Buffer(k, "float32", 12, "temp") for k in range(3))


def store(out, expr, extents=(3, 4), strides=(4, 1), offset=0, **more):
    return Nest(extents, "p" * len(extents), expr, Access(out, offset, strides), **more)


def zeros(out, **more):
    return store(out, const(0.0, "float32"), **more)


def copy(to, source, **more):
    return store(to, load(Access(source, 0, (4, 1)), "float32"), **more)


def test_a_store_that_is_written_again_unread_goes():
    last = copy(A, B)
    assert without_overwritten([zeros(A), last]) == [last]


def test_a_store_that_is_read_in_between_stays():
    block = [zeros(A), copy(C, A), copy(A, B)]
    assert without_overwritten(block) == block


def test_a_store_of_which_something_is_left_stays():
    block = [zeros(A), copy(A, B, extents=(3, 3))]
    assert without_overwritten(block) == block


def test_a_sum_onto_zeros_needs_them():
    block = [zeros(A), copy(A, B, combine="add", accumulate=True)]
    assert without_overwritten(block) == block


def test_setting_everything_is_a_store():
    _, n = without_overwritten([zeros(B), copy(A, B, accumulate=True)])
    assert not n.accumulate


def test_a_store_that_walks_backwards_turns_round():
    (n,) = without_overwritten([copy(A, B, strides=(4, -1), offset=3)])
    assert (n.out.offset, n.out.strides) == (0, (4, 1))
    (x,) = n.accesses()
    assert (x.offset, x.strides) == (3, (4, -1))


@pytest.mark.parametrize("extents, strides, expected", [
    ((3, 4), (4, 1), True), ((4, 3), (1, 4), True), ((3, 4), (-4, -1), True), ((3, 1, 4), (4, 9, 1), True),
    ((3, 3), (4, 1), False), ((12,), (2,), False), ((12, 2), (1, 0), False)])  # fmt: skip
def test_filling_is_writing_each_element_once(extents, strides, expected):
    assert fills(store(A, const(1.0, "float32"), extents, strides)) is expected


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_the_gradient_of_a_flip_is_a_flip(target):
    x, w = T.fmatrix("x"), T.fmatrix("w")
    y = x[::-1, ::-1]
    f = tinygraph.function([x, w], [T.grad((y * w).sum(), x), T.set_subtensor(T.zeros_like(x)[:, ::-1], w) + x],
                           mode=Mode(target=target))  # fmt: skip
    a, b = (np.random.default_rng(k).random((3, 4), dtype=np.float32) for k in range(2))
    flipped, total = f(a, b)
    np.testing.assert_array_equal(flipped, b[::-1, ::-1])
    np.testing.assert_array_equal(total, b[:, ::-1] + a)
