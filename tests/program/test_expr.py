"""Scalar expressions: dtypes, folding of constants, walks that visit shared parts once."""

import pytest

from tinygraph.graph.dims import UNKNOWN
from tinygraph.program.expr import (
    Access,
    axis_index,
    binary,
    call,
    cast,
    const,
    load,
    loads,
    param,
    postorder,
    rebuild,
    select,
    unary,
)
from tinygraph.program.instructions import Buffer


def test_python_numbers_take_the_other_operands_dtype():
    n = param("n")
    assert (n + 1).args[1].dtype == "int64"
    x = const(2.5, "float32")
    assert (3 * x).args[0].dtype == "float32" and (3 * x).args[0].attr == 3.0


def test_operands_share_one_dtype():
    with pytest.raises(TypeError, match="add: operands of a scalar expression must share one dtype, got float64 and int64"):
        const(1.0, "float64") + param("n")


@pytest.mark.parametrize("op, dtype", [("add", "float32"), ("lt", "bool"), ("eq", "bool"), ("pow", "float32")])
def test_comparisons_are_booleans(op, dtype):
    x = const(1.0, "float32")
    assert binary(op, x, x).dtype == dtype


def test_isnan_is_a_boolean_and_other_functions_keep_the_dtype():
    x = load(Access(Buffer(0, "float32", 1, "temp"), 0, ()), "float32")
    assert unary("isnan", x).dtype == "bool"
    assert call("exp", x).dtype == "float32"


def test_unknown_intrinsics_are_named():
    with pytest.raises(ValueError, match="unknown intrinsic 'sine'"):
        call("sine", const(0.0, "float64"))


def test_casts_of_constants_are_constants():
    assert cast(const(2.7, "float64"), "int64").attr == 2
    assert cast(const(300, "int64"), "int8").attr == 44  # as NumPy wraps
    n = param("n")
    assert cast(n, "int64") is n
    assert cast(n, "float32").op == "cast"


def test_arithmetic_with_an_unknown_size_is_unknown():
    assert binary("add", UNKNOWN, param("n")) is UNKNOWN
    assert select(param("n") > 0, UNKNOWN, 1) is UNKNOWN


def test_select_of_two_numbers_is_an_integer():
    assert select(param("n") > 0, 1, 2).dtype == "int64"


def test_a_shared_part_is_visited_once():
    x = param("n")
    for _ in range(60):  # as a tree this has 2**60 leaves
        x = x + x
    assert len(postorder(x)) == 61
    assert x.weight == 1 << 30
    assert rebuild(x, lambda leaf: leaf) is x


def test_deep_expressions_need_no_recursion():
    x = param("n")
    for _ in range(50_000):
        x = x + 1
    assert len(postorder(x)) == 100_001
    assert rebuild(x, lambda leaf: param("m") if leaf.op == "param" else leaf) is not x


def test_loads_inside_addresses_are_found():
    rows = Buffer(0, "int64", 3, "temp")
    data = Buffer(1, "float64", 9, "temp")
    row = load(Access(rows, 0, (1,)), "int64")
    x = load(Access(data, 0, (0,), (), row * 3), "float64")
    assert [e.attr.buffer for e in loads(x + x)] == [data, rows]


def test_an_expression_reads_as_python():
    n, i = param("n"), axis_index(0)
    assert repr(select(n > 2, (n - i) // 2, -n)) == "(((n - i) // 2) if (n > 2) else neg(n))"
