"""Reductions down columns go with the group that walks the rows: what moves, what stays, and equal results."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.lower import columns
from tinygraph.lower.columns import reduce_columns_with_rows
from tinygraph.lower.fuse import fuse
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.program.text import program_text

x, w = T.fmatrix("x"), T.fvector("w")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small tables count as large ones."""
    monkeypatch.setattr(columns, "_SAVED", 1)
    monkeypatch.setattr(columns, "_ROW", 1)


def lowered(outputs, *shapes, inputs=(x,)):
    from tinygraph.graph.traversal import toposort

    program = specialise("f", toposort(outputs), list(inputs), [], outputs, [], [Layout(s) for s in shapes], {})
    fuse(program, lambda a, b: True)
    before = program_text(program)
    reduce_columns_with_rows(program)
    return program, program_text(program), before


def scaled(x):
    return x / T.sqrt(T.sqr(x).sum(1, keepdims=True))


def test_the_sum_of_scaled_rows_is_taken_as_they_are_scaled():
    program, text, _ = lowered([scaled(x).sum(0)], (1024, 40))
    assert text == (
        "program f\n"
        "  input i0[1024, 40] float32 x\n"
        "  group over 1:\n"
        "    for i<32, j<40: t6[40*i + j] = 0.0\n"
        "    for i<32, j<32: t2[32*i + j] = add over k<40 of (i0[1280*i + 40*j + k] * i0[1280*i + 40*j + k])\n"
        "    for i<32, j<32, k<1: t3[32*i + j + k] = sqrt(t2[32*i + j])\n"
        "    for i<32, j<32, k<40: t6[40*i + k] += (i0[1280*i + 40*j + k] / t3[32*i + j])\n"
        "  group over 1:\n"
        "    for i<40: o5[i] = add over j<32 of t6[i + 40*j]\n"
        "  output o5[40]"
    )


def test_what_only_the_sum_read_stays_in_the_group():
    y = scaled(x)
    program, text, before = lowered([y.sum(0), (y * T.exp(y)).sum(0), T.exp(y)], (1024, 40))
    group = program.instructions[0]
    outside = {r.buffer for r in program.outputs} | {b for i in program.instructions[1:] for b in i.reads()}
    assert group.private == {n.out.buffer for n in group.nests} - outside
    assert text.count("add over i<1024") == 0


def test_rows_that_fill_no_block_are_a_group_of_their_own():
    program, text, _ = lowered([T.exp(scaled(x)), scaled(x).sum(0)], (1021, 40))
    first, last = program.instructions[:2]
    assert [g.nests[-1].extents[:2] for g in (first, last)] == [(63, 16), (1, 13)]
    assert not first.private & last.private


@pytest.mark.parametrize("why", ["few rows", "a product", "another order", "a position", "what changes meanwhile"])
def test_what_cannot_or_should_not_move_stays(why):
    y, shape = scaled(x), (1024, 40)
    outputs = {
        "few rows": lambda: [y.sum(0)],
        "a product": lambda: [T.dot(y.T, y)],
        "another order": lambda: [T.exp(y), y.reshape((40, 1024)).sum(0)],
        "a position": lambda: [T.exp(y), y.argmax(0)],
        "what changes meanwhile": lambda: [T.set_subtensor(y[:, :3], y[::-1, 3:6]).sum(0)],
    }[why]()
    if why == "few rows":
        shape = (32, 40)
    _, text, before = lowered(outputs, shape)
    assert text == before


def test_little_memory_is_read_again(monkeypatch):
    monkeypatch.setattr(columns, "_SAVED", 1024 * 41 * 4 + 1)  # the table, and its rows' lengths
    _, text, before = lowered([scaled(x).sum(0)], (1024, 40))
    assert text == before
    monkeypatch.setattr(columns, "_SAVED", 1024 * 41 * 4)
    _, text, before = lowered([scaled(x).sum(0)], (1024, 40))
    assert text != before


ROWS = {
    "softmax": lambda x: T.nnet.softmax(x),
    "layer norm": lambda x: (x - x.mean(1, keepdims=True)) / T.sqrt(x.var(1, keepdims=True) + 1e-3) * w,
    "plain": lambda x: T.tanh(x) + w,
    "nested": lambda x: T.nnet.logsoftmax(x - x.max(1, keepdims=True)) * T.nnet.softmax(-x),
}
COMBINED = {
    "sum": lambda y: y.sum(0), "max": lambda y: y.max(0), "min": lambda y: y.min(0), "mean": lambda y: y.mean(0),
    "any": lambda y: (y > 0.3).any(0), "all": lambda y: (y < 0.9).all(0), "of all": lambda y: y.sum(),
    "wide": lambda y: y.sum(0, dtype="float64"), "product": lambda y: (1 + y * 1e-3).prod(0),
}  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(64, 300), width=st.integers(1, 40), kind=st.sampled_from(sorted(ROWS)),
    combined=st.lists(st.sampled_from(sorted(COMBINED)), min_size=1, max_size=3), stored=st.booleans(),
    threads=st.sampled_from([1, 2]), checked=st.booleans(),
)  # fmt: skip
def test_results_are_those_of_numpy(rows, width, kind, combined, stored, threads, checked):
    pytest.importorskip("llvmlite")
    y = ROWS[kind](x)
    outputs = [COMBINED[c](y) for c in combined] + [T.exp(y)] * stored
    rng = np.random.default_rng(rows)
    values = rng.normal(size=(rows, width)).astype("float32"), rng.normal(size=width).astype("float32")
    with pytest.MonkeyPatch.context() as patch, tg.config.change(threads=threads, bounds_check=checked):
        patch.setattr(columns, "_SAVED", 1)
        patch.setattr(columns, "_ROW", 1)
        got = tg.function([x, w], outputs, mode=tg.Mode(target="llvm"), on_unused_input="ignore")(*values)
    want = tg.function([x, w], outputs, mode=tg.Mode("none", target="numpy"), on_unused_input="ignore")(*values)
    for g, v in zip(got, want, strict=True):
        np.testing.assert_allclose(g, v, rtol=2e-5, atol=2e-5)


def test_gradients_of_scale_and_shift_need_no_table_of_their_own():
    pytest.importorskip("llvmlite")
    shift, above = T.fvector("shift"), T.fmatrix("above")
    centred = x - x.mean(1, keepdims=True)
    out = centred / T.sqrt(T.sqr(centred).mean(1, keepdims=True) + np.float32(1e-5)) * w + shift
    grads = tg.grad(None, [x, w, shift], known_grads={out: above})
    f = tg.function([x, w, shift, above], [out, *grads], mode=tg.Mode(target="llvm"))
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype("float32") for s in ((256, 24), (24,), (24,), (256, 24))]
    got = [f(*values) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*got, strict=True))
    (executable,) = f._programs.values()
    assert max(b.size for i in executable.program.instructions for b in i.writes() if b.kind == "temp") < 256 * 24
    centred = values[0] - values[0].mean(1, keepdims=True, dtype="float64")
    normal = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(got[0][2], (values[3] * normal).sum(0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got[0][3], values[3].sum(0, dtype="float64"), rtol=1e-5, atol=1e-4)


def test_sums_over_many_rows_are_as_good_as_pairwise_ones():
    pytest.importorskip("llvmlite")
    value = np.random.default_rng(0).random((100_003, 8), dtype=np.float32)
    total, _ = tg.function([x], [T.sqrt(x).sum(0), T.sqrt(x) + x.sum(1, keepdims=True)], mode=tg.Mode(target="llvm"))(value)
    np.testing.assert_allclose(total, np.sqrt(value.astype("float64")).sum(0), rtol=5e-7)
