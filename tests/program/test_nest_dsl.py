"""Indices affine in the loop axes become strides; everything else an address read from memory."""

import pytest

from tinygraph.program.expr import cast, load
from tinygraph.program.instructions import Buffer, Ref, c_strides
from tinygraph.program.nest_dsl import Affine, Axis, index, resolve, resolve_access


def array(*shape, dtype="float64", **more):
    size = 1
    for d in shape:
        size *= d
    return Ref(Buffer(0, dtype, size, "temp"), shape, c_strides(shape), **more)


def test_a_window_is_one_stride_for_each_axis():
    y, x, i, j = (Axis(n) for n in (4, 5, 3, 2))
    access = resolve_access(index(array(10, 8), (2 * y + i - 1, x + 3 * j)), {y: 0, x: 1, i: 2, j: 3})
    assert access.strides == (16, 1, 8, 3)
    assert access.offset == -8
    assert access.dynamic is None


def test_the_diagonal_adds_strides():
    i = Axis(3)
    assert resolve_access(index(array(3, 4), (i, i)), {i: 0}).strides == (5,)


def test_an_axis_subtracted_runs_backwards():
    i = Axis(6)
    access = resolve_access(index(array(6), 5 - i), {i: 0})
    assert (access.offset, access.strides) == (5, (-1,))
    access = resolve_access(index(array(6), -i + 5), {i: 0})
    assert (access.offset, access.strides) == (5, (-1,))


def test_an_axis_that_is_not_read_has_stride_zero():
    i, j = Axis(2), Axis(3)
    assert resolve_access(index(array(3), j), {i: 0, j: 1}).strides == (0, 1)


def test_the_place_of_a_view_is_kept():
    i = Axis(2)
    access = resolve_access(index(array(2, offset=7, params=(("p0", 4),)), i), {i: 0})
    assert (access.offset, access.params) == (7, (("p0", 4),))


def test_a_number_read_from_memory_is_a_dynamic_address():
    i, j = Axis(4), Axis(3)
    rows = Ref(Buffer(1, "int32", 4, "temp"), (4,), (1,))
    positions = {i: 0, j: 1}
    read = load(resolve_access(index(rows, i), positions), "int32")
    access = resolve_access(index(array(5, 3), (read, j)), positions)
    assert access.strides == (0, 1)
    assert access.dynamic.op == "mul" and access.dynamic.args[0].dtype == "int64"
    assert access.dynamic.args[1].attr == 3


def test_the_loop_index_is_a_number_too():
    i, j = Axis(4), Axis(3)
    e = resolve(j.value("float32") + 1.0, {i: 0, j: 1})
    assert e.args[0].op == "cast" and e.args[0].args[0].attr == 1
    assert cast(e, "float32") is e


def test_one_index_for_each_dimension():
    with pytest.raises(ValueError, match="1 indices for an array of 2 dimensions"):
        index(array(2, 2), Axis(2))


def test_affine_arithmetic():
    i, j = Axis(2), Axis(3)
    a = 3 * (i + 2 * j - 1) - i
    assert (a.const, a.terms) == (-3, {i: 2, j: 6})
    assert Affine.of(4).const == 4
