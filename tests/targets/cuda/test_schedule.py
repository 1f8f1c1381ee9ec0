"""Which form of kernel a nest takes, and what may share one."""

import pytest

from tinygraph.program.expr import Access, Expr, cast, load
from tinygraph.program.instructions import Buffer, Nest, c_strides
from tinygraph.targets.cuda.contractions import print_contraction
from tinygraph.targets.cuda.kernel import Tuning
from tinygraph.targets.cuda.packs import packs
from tinygraph.targets.cuda.products import overlaps, roles
from tinygraph.targets.cuda.scatters import meets, without_repeats
from tinygraph.targets.cuda.schedule import split
from tinygraph.targets.cuda.writer import index_type

COUNT = iter(range(10**6))


def buffer(size=4096, dtype="float32"):
    return Buffer(next(COUNT), dtype, size, "temp")


def read(b, *strides, offset=0):
    return load(Access(b, offset, strides), b.dtype)


def store(extents, value, out=None, strides=None, **more):
    """A nest over ``extents`` that stores ``value``; its kinds are all parallel unless given."""
    kinds = more.pop("kinds", "p" * len(extents))
    strides = strides or c_strides(extents[: kinds.count("p")]) + (0,) * kinds.count("r")
    return Nest(extents, kinds, value, Access(out or buffer(dtype=value.dtype), 0, strides), **more)


def forms(*nests):
    return [r.form for r in split(nests)]


def test_elementwise_nests_over_the_same_points_share_a_kernel():
    a, b = buffer(), buffer()
    first = store((6, 5), -read(a, 5, 1), out=b)
    assert forms(first, store((6, 5), read(b, 5, 1) + read(a, 5, 1))) == ["points"]
    assert forms(first, store((5, 6), read(b, 1, 5) + read(a, 6, 1))) == ["points", "points"], "other points"
    assert forms(first, store((6, 5), read(b, 5, -1, offset=4))) == ["points", "points"], "reads its neighbours' results"


@pytest.mark.parametrize("size, form", [(32, "points"), (33, "reduce")])
def test_short_reductions_are_loops_in_a_thread(size, form):
    nest = store((7, size), read(buffer(), size, 1), kinds="pr", combine="add")
    assert forms(nest) == [form]


def test_passes_over_rows_share_a_kernel():
    a, total, out = buffer(), buffer(), buffer()
    first = store((40, 50), read(a, 50, 1), kinds="pr", combine="maximum", out=total)
    second = store((40, 50), read(a, 50, 1) - read(total, 1, 0), out=out)
    (run,) = split([first, second])
    assert (run.form, run.outer) == ("rows", 1)


def product(a, b):
    return Expr("mul", (a, b), a.dtype)


def test_places_of_a_strided_convolution_gradient_are_found_in_pairs():
    g, w = buffer(), buffer()
    # out[20 (2 y + k) + (3 x + l)] += g[y, x] w[k, l] for y < 4, x < 5, k < 3, l < 4
    nest = store((3, 4, 4, 5, 1), product(read(g, 0, 0, 5, 1, 0), read(w, 4, 1, 0, 0, 0)), kinds="ppppr",
                 strides=(20, 1, 40, 3, 0), combine="add", accumulate=True)  # fmt: skip
    assert [set(p) for p in overlaps(nest)] == [{1, 3}, {0, 2}]


def test_windows_that_do_not_overlap_have_no_pairs():
    nest = store((4, 2, 3), read(buffer(), 2, 1, 0), kinds="ppr", strides=(2, 1, 0), combine="add", accumulate=True)
    assert overlaps(nest) == [] and not meets(nest)
    closer = store((4, 2, 3), read(buffer(), 2, 1, 0), kinds="ppr", strides=(1, 1, 0), combine="add", accumulate=True)
    assert meets(closer)


def test_more_batches_than_a_grid_holds_are_no_product():
    a, b = buffer(), buffer()

    def batched(n):  # neither operand's rows lie a fixed distance apart along the sum, so cuBLAS is out
        value = product(read(a, 64, 9, 0, 8, 1), read(b, 64, 0, 9, 8, 1))
        return store((n, 2, 2, 2, 2), value, kinds="ppprr", combine="add")

    assert roles(batched(65535)) is not None and roles(batched(65536)) is None


def test_a_sum_into_one_place_becomes_a_reduction():
    nest = store((6, 5), read(buffer(), 5, 1), strides=(0, 1), combine="add", accumulate=True)
    moved = without_repeats(nest)
    assert (moved.extents, moved.kinds, moved.out.strides) == ((5, 6), "pr", (1, 0))
    assert moved.expr.attr.strides == (1, 5)


def test_packs_take_contiguous_operands_only():
    a, b, half = buffer(), buffer(), buffer(dtype="float16")
    assert packs([store((8, 8), -read(a, 8, 1))]) == 4
    assert packs([store((8, 8), read(a, 8, 1) + cast(read(half, 8, 1), "float32"))]) == 4, "by the widest"
    assert packs([store((8, 8), read(a, 8, 1) * read(b, 0, 0))]) == 4, "a number for all"
    assert packs([store((8, 8), read(a, 8, 1) * read(b, 0, 1))]) == 0, "a row for all"
    assert packs([store((8, 8), read(a, 16, 2))]) == 0
    assert packs([store((8, 8), -read(a, 8, 1), out=a)]) == 0, "in place"


@pytest.mark.parametrize("rows, kind", [(2**15, "int"), (2**16, "i64")])
def test_indices_are_as_wide_as_the_arrays_need(rows, kind):
    """2**31 elements and more are addressed with 64 bits, in elementwise kernels and in contractions."""
    columns = 2**15
    a, b = buffer(rows * columns), buffer(columns * 9)
    assert index_type([store((rows, columns), -read(a, columns, 1))]) == kind
    nest = store((rows, 9, columns), product(read(a, columns, 0, 1), read(b, 0, columns, 1)), kinds="ppr", combine="add")
    (main, *_), macros = print_contraction(nest, roles(nest), Tuning(528, 256))
    assert macros["TG_INDEX"] == kind and main.grid[0] * macros["TILE_M"] >= rows


def test_a_contraction_counts_its_sizes_and_not_its_multiplications():
    """2**33 products of arrays with few elements need no wide indices."""
    a, b = buffer(2**22), buffer(2**22)
    nest = store((2**11, 2**11, 2**11), product(read(a, 2**11, 0, 1), read(b, 0, 2**11, 1)), kinds="ppr", combine="add")
    _, macros = print_contraction(nest, roles(nest), Tuning(528, 256))
    assert macros["TG_INDEX"] == "int"
