"""Fusion on programs: what is inlined, what is grouped, what must stay apart, and equal results throughout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph.tensor as T
from tinygraph import Mode, function
from tinygraph.lower.cost import operations
from tinygraph.lower.fuse import fuse
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.program.instructions import Group
from tinygraph.program.text import program_text
from tinygraph.tensor.signal.pool import pool_2d


def lowered(inputs, outputs, shapes, updates=()):
    """The program of plain expressions, without graph passes and before fusion."""
    from tinygraph.graph.traversal import toposort

    return specialise("f", toposort([*outputs, *updates]), inputs, [], outputs, updates, [Layout(s) for s in shapes], {})


def groups(program, may_group=lambda a, b: True):
    fuse(program, may_group)
    return [i for i in program.instructions if isinstance(i, Group)]


def test_an_elementwise_chain_is_one_expression():
    x = T.matrix("x")
    program = lowered([x], [T.exp(T.tanh(x) * 2.0)], [(3, 4)])
    (g,) = groups(program)
    (nest,) = g.nests
    assert "for i<3, j<4: o3[4*i + j] = exp((tanh(i0[4*i + j]) * 2.0))" in program_text(program)
    assert str(nest.expr) == "exp((tanh(i0[4*i + j]) * 2.0))"


def test_a_reduction_takes_its_producer_in():
    x = T.matrix("x")
    (g,) = groups(lowered([x], [T.exp(x).sum(axis=1)], [(3, 4)]))
    (nest,) = g.nests
    assert nest.combine == "add" and str(nest.expr) == "exp(i0[4*i + j])"


def test_softmax_and_its_logarithm_share_maxima_exponentials_and_sums():
    x = T.matrix("x")
    (g,) = groups(lowered([x], [T.nnet.softmax(x), T.nnet.logsoftmax(x)], [(5, 7)]))
    assert sorted(str(n.combine) for n in g.nests) == ["None", "None", "None", "add", "maximum"]
    assert sum("exp" in str(n.expr) for n in g.nests) == 1


def test_equal_work_on_memory_that_changed_meanwhile_is_done_again():
    x = T.vector("x")
    e = T.exp(x)
    changed = T.inc_subtensor(e[0], 1.0)  # in place, so the sums read one buffer before and after
    f = function([x], [e.sum() + changed.sum()], mode=Mode("none", target="numpy"))
    np.testing.assert_allclose(f(np.zeros(3)), [7.0])


def test_cheap_work_is_done_again_rather_than_stored():
    x, w = T.matrix("x"), T.matrix("w")
    h = T.maximum(x, 0)  # one operation, two readers that walk it differently
    found = groups(lowered([x, w], [T.dot(h * 2, w), h.sum(axis=0)], [(5, 5)] * 2))
    assert not any(str(n.expr) == "maximum(i0[5*i + j], 0.0)" for g in found for n in g.nests if n.combine is None)


def test_work_that_costs_more_than_its_memory_is_stored():
    x, w = T.matrix("x"), T.matrix("w")
    h = T.tanh(x)
    found = groups(lowered([x, w], [T.dot(h * 2, w), h.sum(axis=0)], [(5, 5)] * 2))
    assert sum("tanh" in str(n.expr) for g in found for n in g.nests) == 1


def test_a_reader_that_cannot_take_a_value_in_leaves_it_stored_for_all():
    x, w = T.matrix("x"), T.matrix("w")
    h = x * 2  # the product reads plain memory
    found = groups(lowered([x, w], [T.dot(h, w), h + 1], [(5, 5)] * 2))
    assert sum("* 2.0" in str(n.expr) for g in found for n in g.nests) == 1


def test_constants_go_wherever_they_are_read():
    x = T.matrix("x")
    (g,) = groups(lowered([x], [x + T.zeros_like(x[0]) + 1], [(4, 3000)]))
    assert [str(n.expr) for n in g.nests] == ["((i0[3000*i + j] + 0.0) + 1.0)"]


def test_a_value_with_two_readers_is_computed_once_and_shared_within_a_group():
    x = T.matrix("x")
    e = T.exp(x)
    (g,) = groups(lowered([x], [e / e.sum(axis=1, keepdims=True)], [(3, 4)]))
    assert [str(n.expr).count("exp") for n in g.nests] == [1, 0, 0]
    assert g.outer == 1
    assert len(g.private) == 2  # neither the exponentials nor the sums need leave the group


def test_a_transposed_reader_does_not_share_loops():
    x = T.matrix("x")
    e = T.exp(x)
    found = groups(lowered([x], [e + e.T], [(4, 4)]))
    assert len(found) == 2


def test_column_sums_cannot_run_row_by_row_with_what_they_feed():
    x = T.matrix("x")
    program = lowered([x], [x - x.sum(axis=0)], [(3, 4)])
    found = groups(program)
    assert len(found) == 2  # every row needs all sums first


def test_a_target_may_keep_nests_apart():
    x = T.matrix("x")
    e = T.exp(x)
    found = groups(lowered([x], [e / e.sum(axis=1, keepdims=True)], [(3, 4)]), may_group=lambda a, b: False)
    assert all(len(g.nests) == 1 for g in found)


def test_an_output_that_is_read_again_is_still_written():
    x = T.vector("x")
    e = T.exp(x)
    program = lowered([x], [e, T.tanh(e)], [(5,)])
    (g,) = groups(program)
    assert {n.out.buffer.kind for n in g.nests} == {"output"}
    assert not g.private


def test_a_group_never_encloses_a_path_that_leaves_it():
    # e -> dot -> e + dot: the sum must not join e's group, for the product lies between
    x = T.matrix("x")
    e = T.exp(x)
    f = function([x], T.tanh(e) + T.dot(e, e))
    value = np.random.default_rng(0).random((6, 6))
    want = np.tanh(np.exp(value)) + np.exp(value) @ np.exp(value)
    np.testing.assert_allclose(f(value), want)


def test_a_result_and_its_gradient_walk_their_rows_together():
    # the gradient's first nest needs nothing of the forward group; its second needs both, and brings them together
    x, above = T.matrices("x", "above")
    p = T.nnet.softmax(x)
    scaled = above * 3
    inner = (scaled * p).sum(axis=1, keepdims=True)
    program = lowered([x, above], [p, p * (scaled - inner)], [(5, 7)] * 2)
    (g,) = groups(program)
    assert len(g.nests) > 3 and {b.kind for b in g.writes()} == {"output"}


def test_softmax_is_one_group_and_only_its_result_leaves():
    x = T.matrix("x")
    (g,) = groups(lowered([x], [T.nnet.softmax(x * 2 + 1)], [(5, 7)]))
    assert [b.kind for b in g.writes()] == ["output"]
    assert {b.kind for b in g.reads()} == {"input"}


def test_convolution_bias_activation_and_pooling_are_one_group():
    x, k, b = T.tensor4("x"), T.tensor4("k"), T.vector("b")
    pooled = pool_2d(T.nnet.conv2d(x, k), (2, 2), ignore_border=True)
    out = T.tanh(pooled + b.dimshuffle("x", 0, "x", "x"))
    (g,) = groups(lowered([x, k, b], [out], [(2, 2, 8, 8), (3, 2, 3, 3), (3,)]))
    assert [buffer.kind for buffer in g.writes()] == ["output"]
    assert not any(n.combine == "argmax" for n in g.nests)  # positions of maxima are for the gradient alone


def test_what_only_a_gradient_reads_is_kept_where_there_is_one():
    x = T.tensor4("x")
    pooled = pool_2d(x, (2, 2), ignore_border=True)
    program = lowered([x], [T.grad(T.sqr(pooled).sum(), x)], [(2, 2, 8, 8)])
    assert any(n.combine == "argmax" for g in groups(program) for n in g.nests)


def test_an_update_reads_gradient_and_parameter_once():
    w, g, v = T.matrix("w"), T.matrix("g"), T.matrix("v")
    moved = 0.9 * v - 0.1 * g
    found = groups(lowered([w, g, v], [], [(4, 3)] * 3, updates=[moved, w + 0.9 * moved - 0.1 * g]))
    assert len(found) == 1 and len(found[0].nests) == 2


def test_a_chain_of_a_thousand_functions_is_cut_into_groups_of_bounded_work():
    x = T.vector("x")
    y = x
    for k in range(1000):
        y = T.tanh(y) * (1 + k % 3)
    found = groups(lowered([x], [y], [(5,)]))
    work = [sum(operations(n.expr) for n in g.nests) for g in found]
    assert max(work) <= 4000 and 10 <= len(found) <= 2 * sum(work) / 4000


@pytest.mark.parametrize("target", ["numpy", None])
def test_fusion_moves_fewer_bytes_and_the_profile_says_how_many(target):
    x = T.matrix("x")
    f = function([x], T.tanh(T.exp(x) * 2 + 1).sum(axis=1), profile=True, mode=Mode(target=target))
    f(np.ones((30, 40)))
    ((before, after),) = f.profile.moved
    assert after == 8 * (30 * 40 + 30) < before / 2
    assert f"{after:,} bytes, {before:,} before fusion" in f.profile.summary()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_fused_programs_compute_what_the_ops_say(choices, m, n, seed):
    x = T.matrix("x")
    values = [x]
    reference = [np.random.default_rng(seed).standard_normal((m, n))]

    def push(v, r):
        values.append(v)
        reference.append(r)

    for c in choices:
        v, r = values[c % len(values)], reference[c % len(values)]
        w, q = values[-1], reference[-1]
        if c == 0:
            push(T.tanh(v), np.tanh(r))
        elif c == 1:
            push(v + w, r + q)
        elif c == 2:
            push(v - v.mean(axis=0, keepdims=True), r - r.mean(axis=0, keepdims=True))
        elif c == 3:
            push(v * w.sum(axis=1, keepdims=True), r * q.sum(axis=1, keepdims=True))
        elif c == 4:
            push(T.maximum(v, w), np.maximum(r, q))
        elif c == 5:
            push(v.max(axis=1, keepdims=True) - w, r.max(axis=1, keepdims=True) - q)
        elif c == 6:
            push(v[::-1, :], r[::-1, :])
        else:
            push(T.concatenate([w, v], axis=0)[: v.shape[0]], np.concatenate([q, r], axis=0)[: r.shape[0]])
    f = function([x], [values[-1], values[len(values) // 2].sum()], on_unused_input="ignore")
    out, total = f(reference[0])
    np.testing.assert_allclose(out, reference[-1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(total, reference[len(values) // 2].sum(), rtol=1e-6, atol=1e-6)
