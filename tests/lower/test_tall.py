"""Reductions down tall tables go row by row in blocks: which do, how, and that their results stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.lower import tall
from tinygraph.lower.fuse import fuse
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.lower.tall import reduce_tall_tables
from tinygraph.program.text import program_text

x, y = T.fmatrix("x"), T.fmatrix("y")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small tables count as large ones."""
    monkeypatch.setattr(tall, "_LARGE", 1)


def lowered(output, *shapes, inputs=(x,)):
    """The program's text before and after."""
    from tinygraph.graph.traversal import toposort

    layouts = [Layout(s) for s in shapes]
    program = specialise("f", toposort([output]), list(inputs), [], [output], [], layouts, {})
    fuse(program, lambda a, b: True)
    before = program_text(program)
    reduce_tall_tables(program)
    return before, program_text(program)


def test_rows_are_added_in_blocks_four_at_once():
    _, text = lowered(x.sum(0), (1024, 40))
    assert text == (
        "program f\n"
        "  input i0[1024, 40] float32 x\n"
        "  group over 1:\n"
        "    for i<32, j<40: t2[40*i + j] = 0.0\n"
        "    for i<32, j<8, k<40: t2[40*i + k] += add over l<4 of i0[1280*i + 160*j + k + 40*l]\n"
        "  group over 1:\n"
        "    for i<40: o1[i] = add over j<32 of t2[i + 40*j]\n"
        "  output o1[40]"
    )


def test_rows_that_fill_no_block_have_one_of_their_own():
    _, text = lowered(x.max(0), (1021, 40))
    assert "for i<63, j<4, k<40: t2[40*i + k] maximum= maximum over l<4 of i0[640*i + 160*j + k + 40*l]" in text
    assert "for i<1, j<13, k<40: t2[40*i + k + 2520] maximum= i0[520*i + 40*j + k + 40320]" in text
    assert "for i<40: o1[i] = maximum over j<64 of t2[i + 40*j]" in text


def test_what_follows_the_sum_stays_with_the_results():
    _, text = lowered(T.sqrt(x.sum(0)), (1024, 40))
    assert text.count("group over 1") == 2 and "sqrt" in text.split("group over 1")[2]


@pytest.mark.parametrize("output, shape", [
    (x.sum(1), (1024, 40)), (x.argmax(0), (1024, 40)), (T.exp(x).sum(0), (1024, 40)), (x.T.sum(0), (40, 1024)),
    (x.sum(0), (1024, 7)), (x.sum(0), (16, 40_000)), (x[:, ::2].sum(0), (1024, 40)), (x.sum(), (1024, 40)),
], ids=["along rows", "position", "costly", "turned", "few results", "many results", "gaps", "one result"])  # fmt: skip
def test_others_stay(output, shape):
    before, after = lowered(output, shape)
    assert after == before


def test_what_fits_a_cache_stays(monkeypatch):
    monkeypatch.setattr(tall, "_LARGE", 1024 * 41 * 4 + 1)
    before, after = lowered(x.sum(0), (1024, 40))
    assert after == before


COMBINED = {
    "sum": lambda a: a.sum(0), "max": lambda a: a.max(0), "min": lambda a: a.min(0), "mean": lambda a: a.mean(0),
    "any": lambda a: (a > 1).any(0), "product": lambda a: (1 + a * 1e-3).prod(0),
    "wide": lambda a: a.sum(0, dtype="float64"), "follows": lambda a: a / (a.sum(0) + 1e3),
}  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(1, 400), width=st.integers(8, 70), combined=st.sampled_from(sorted(COMBINED)),
    threads=st.sampled_from([1, 2]), checked=st.booleans(), two=st.booleans(),
)  # fmt: skip
def test_results_are_those_of_numpy(rows, width, combined, threads, checked, two):
    pytest.importorskip("llvmlite")
    output = COMBINED[combined](x - y if two else x)
    rng = np.random.default_rng(rows)
    values = [rng.normal(size=(rows, width)).astype("float32") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, tg.config.change(threads=threads, bounds_check=checked):
        patch.setattr(tall, "_LARGE", 1)
        got = tg.function([x, y], output, mode=tg.Mode(target="llvm"), on_unused_input="ignore")(*values)
    want = tg.function([x, y], output, mode=tg.Mode("none", target="numpy"), on_unused_input="ignore")(*values)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_long_sums_are_as_good_as_pairwise_ones_for_every_number_of_threads():
    pytest.importorskip("llvmlite")
    value = np.random.default_rng(0).random((200_003, 9), dtype=np.float32)
    found = []
    for threads in (1, 2):
        with tg.config.change(threads=threads):
            found.append(tg.function([x], x.sum(0), mode=tg.Mode(target="llvm"))(value))
    np.testing.assert_allclose(found[0], value.astype("float64").sum(0), rtol=5e-7)
    np.testing.assert_array_equal(*found)
