"""Long reductions in streams: which are split and how, and that their results stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.program.expr import Access, axis_index, call, cast, load
from tinygraph.program.instructions import Buffer, Group, Nest
from tinygraph.program.text import nest_text
from tinygraph.targets.llvm import streams
from tinygraph.targets.llvm.streams import in_streams

ROWS, LENGTH = 512, 4096


def row_sum(step=lambda e: e, length=LENGTH, strides=None, combine="add"):
    x, s = Buffer(0, "float32", ROWS * length, "input"), Buffer(1, "float32", ROWS, "temp")
    e = load(Access(x, 0, strides or (length, 1)), "float32")
    return Nest((ROWS, length), "pr", step(e), Access(s, 0, (1, 0)), combine)


def after(*nests):
    return [nest_text(n) for n in in_streams(Group(list(nests), 1)).nests]


def test_a_row_is_read_at_four_places():
    assert after(row_sum()) == ["for i<512: t1[i] = add over j<1024, k<4 of i0[4096*i + j + 1024*k]"]


def test_what_follows_for_each_row_stays_beside_it():
    n = row_sum()
    mean = Nest((ROWS,), "p", load(Access(n.out.buffer, 0, (1,)), "float32") / 4096.0, Access(n.out.buffer, 0, (1,)))
    assert after(n, mean)[1] == nest_text(mean)
    assert "k<4" in after(n, mean)[0]


@pytest.mark.parametrize("nest", [
    row_sum(combine="argmax"), row_sum(lambda e: call("tanh", e)), row_sum(length=4098),
    row_sum(strides=(1, ROWS)), row_sum(lambda e: e * cast(axis_index(1), "float32")),
], ids=["position", "costly", "no even parts", "down columns", "numbered"])  # fmt: skip
def test_others_stay(nest):
    assert after(nest) == [nest_text(nest)]


def test_short_ones_and_those_that_share_their_loop_stay():
    short = row_sum(length=512)
    assert after(short) == [nest_text(short)]
    n = row_sum()
    beside = row_sum()
    assert after(n, beside) == [nest_text(n), nest_text(beside)]


@settings(max_examples=10, deadline=None)
@given(
    rows=st.integers(1, 9), quarter=st.integers(1, 80), axis=st.sampled_from([None, 1]),
    combine=st.sampled_from(["sum", "prod", "max", "min", "mean"]), dtype=st.sampled_from(["float32", "float64", "int64"]),
    checked=st.booleans(),
)  # fmt: skip
def test_results_are_those_of_numpy(rows, quarter, axis, combine, dtype, checked):
    value = np.random.default_rng(rows).integers(-3, 4, (rows, 4 * quarter))
    value = (1 + value * 1e-2 if combine == "prod" and dtype != "int64" else value).astype(dtype)
    x = T.matrix(dtype=dtype)
    with pytest.MonkeyPatch.context() as patch, tg.config.change(threads=2, bounds_check=checked):
        patch.setattr(streams, "_MEMORY", 0)
        patch.setattr(streams, "_PAGE", 1)
        got = tg.function([x], getattr(x, combine)(axis), mode=tg.Mode(target="llvm"))(value)
    want = getattr(value.astype("float64") if dtype != "int64" else value, combine)(axis)
    np.testing.assert_allclose(got, want, rtol=1e-4 if combine == "prod" else 1e-5, atol=1e-5)


def test_a_sum_over_everything_is_read_in_streams_whatever_its_length():
    value = np.random.default_rng(0).random(3_000_017, dtype=np.float32)
    x = T.fvector()
    with tg.config.change(threads=2):
        f = tg.function([x], x.sum(), mode=tg.Mode(target="llvm"))
    np.testing.assert_allclose(f(value), value.astype("float64").sum(), rtol=2e-7)
    (executable,) = f._programs.values()
    assert executable.program.instructions[0].nests[0].extents[-1] == streams.STREAMS
