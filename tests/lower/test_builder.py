"""What ops write through the builder: views that run nothing, copies only where memory forces them."""

import numpy as np
import pytest

from tinygraph.errors import IndexOutOfRange
from tinygraph.lower.builder import Builder
from tinygraph.program.expr import param
from tinygraph.program.instructions import Ref, c_strides
from tinygraph.program.text import instruction_lines


@pytest.fixture
def b():
    return Builder()


def strides_of(a):
    """NumPy's strides in elements, 0 for sizes of 1 (which do not matter)."""
    return tuple(0 if n == 1 else s // a.itemsize for n, s in zip(a.shape, a.strides, strict=True))


def text(b):
    return [line for i in b.instructions for line in instruction_lines(i)]


#: array (as a view of an arange), new shape; NumPy says whether that needs a copy
RESHAPES = {
    "split a dimension": (np.arange(24).reshape(4, 6), (2, 2, 3, 2)),
    "join dimensions": (np.arange(24).reshape(2, 3, 4), (6, 4)),
    "join and split at once": (np.arange(24).reshape(4, 6), (8, 3)),
    "ones come and go": (np.arange(6).reshape(1, 6, 1), (2, 1, 3)),
    "transposed, dimensions kept apart": (np.arange(24).reshape(4, 6).T, (3, 2, 2, 2)),
    "transposed, dimensions joined": (np.arange(24).reshape(4, 6).T, (24,)),
    "every second row": (np.arange(24).reshape(6, 4)[::2], (3, 2, 2)),
    "every second row joined to its columns": (np.arange(24).reshape(6, 4)[::2], (12,)),
    "every second element": (np.arange(24)[::2], (3, 4)),
    "backwards": (np.arange(24)[::-1], (4, 6)),
    "broadcast rows": (np.broadcast_to(np.arange(4), (3, 4)), (3, 2, 2)),
    "broadcast rows joined": (np.broadcast_to(np.arange(4), (3, 4)), (12,)),
    "a broadcast number": (np.broadcast_to(np.arange(1), (6,)), (2, 3)),
    "nothing": (np.arange(0).reshape(0, 3), (5, 0)),
    "to a scalar": (np.arange(1).reshape(1, 1), ()),
}


@pytest.mark.parametrize("name", RESHAPES)
def test_reshape_is_a_view_where_memory_allows(b, name):
    a, shape = RESHAPES[name]
    x = b.view(b.empty((24,), "float64"), a.shape, [s // a.itemsize for s in a.strides])
    out = b.reshape(x, shape)
    expected = a.reshape(shape)
    shared = a.size == 0 or np.may_share_memory(a, expected)
    assert out.shape == shape
    assert (out.ref.buffer is x.ref.buffer) is shared
    assert len(b.instructions) == (0 if shared else 1)
    if shared and a.size:
        assert tuple(0 if n == 1 else s for n, s in zip(shape, out.ref.strides, strict=True)) == strides_of(expected)


def test_views_compose_their_places(b):
    x = b.empty((4, 6), "float64")
    part = b.view(x, (2, 3), (6, 1), [(1, 6), (2, 1)])
    again = b.view(part, (3,), (1,), [(1, 6)])
    assert (again.ref.offset, again.ref.buffer) == (14, x.ref.buffer)
    assert not b.instructions


def test_a_place_that_comes_with_the_call_is_a_parameter_and_equal_ones_are_one(b):
    x = b.empty((8, 2), "float64")
    first = b.view(x, (2, 2), (2, 1), [(param("in0") * 2, 2)])
    second = b.view(first, (1, 2), (2, 1), [(param("in0") * 2, 2)])
    assert first.ref.params == (("p0", 2),)
    assert second.ref.params == (("p0", 4),)
    assert list(b.params) == ["p0"] and repr(b.params["p0"]) == "(in0 * 2)"


def test_stores_and_reductions(b):
    x = b.empty((3, 4), "float32")
    i, j = b.axes(3, 4)
    b.store(x[i, j] * 2, into=(j, i))
    total = b.reduce("add", x[i, j], over=(j,), into=(i,))
    where = b.reduce("argmax", x[i, j], over=(j,), into=(i,))
    assert (total.dtype, where.dtype) == ("float32", "int64")
    assert text(b) == [
        "for i<4, j<3: t1[3*i + j] = (t0[i + 4*j] * 2.0)",
        "for i<3: t2[i] = add over j<4 of t0[4*i + j]",
        "for i<3: t3[i] = argmax over j<4 of t0[4*i + j]",
    ]


def test_a_reduction_over_no_axis_is_a_copy_and_its_position_zero(b):
    x = b.empty((3,), "float64")
    (i,) = b.axes(3)
    b.reduce("add", x[i], over=(), into=(i,))
    b.reduce("argmax", x[i], over=(), into=(i,))
    assert text(b) == ["for i<3: t1[i] = t0[i]", "for i<3: t2[i] = 0"]


def test_adding_nothing_is_not_emitted_but_filling_is(b):
    x = b.empty((3,), "float64")
    (i,) = b.axes(0)
    b.store_to(x.at(i), b.empty((0,), "float64")[i], axes=(i,), combine="add", accumulate=True)
    assert not b.instructions
    b.fill(x, 1)
    assert text(b) == ["for i<3: t0[i] = 1.0"]


def test_single_numbers_are_written_into_expressions(b):
    half = b.constant(0.5)
    i, = b.axes(2)
    b.store(b.empty((2,), "float64")[i] * half[()], into=(i,))
    assert text(b) == ["for i<2: t1[i] = (t0[i] * 0.5)"]
    assert not b.constants


def test_constants_have_memory_once_they_are_read(b):
    table = b.constant([[1.0, 2.0]])
    assert not b.constants
    assert table.ref.shape == (1, 2)
    assert b.constants == [table.ref.buffer]
    np.testing.assert_array_equal(b.constants[0].data, [[1.0, 2.0]])


def test_contiguous_copies_only_what_is_not(b):
    x = b.empty((3, 4), "float64")
    assert b.contiguous(x) is x
    turned = b.view(x, (4, 3), (1, 4))
    assert b.contiguous(turned).ref.strides == c_strides((4, 3))
    assert len(b.instructions) == 1


def test_indices_out_of_range_are_found_while_lowering(b):
    assert b.checked_index(-1, 5, 0) == 4
    with pytest.raises(IndexOutOfRange, match="index 5 is out of range for dimension 1 of size 5"):
        b.checked_index(5, 5, 1)
    assert repr(b.checked_index(param("in0"), 5, 0)) == "index(in0, 5)"


def test_contiguity_ignores_sizes_of_one():
    x = Builder().empty((3, 1, 4), "float64").ref
    assert Ref(x.buffer, (3, 1, 4), (4, 99, 1)).contiguous
    assert not Ref(x.buffer, (3, 4), (4, 2)).contiguous
    assert Ref(x.buffer, (0, 4), (7, 7)).contiguous
