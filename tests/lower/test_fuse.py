"""Fusion on programs: what is inlined, what is grouped, what must stay apart, and equal results throughout."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph.tensor as T
from tinygraph import function
from tinygraph.lower.fuse import fuse
from tinygraph.lower.specialise import Layout, specialise
from tinygraph.program.instructions import Group
from tinygraph.program.text import program_text


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
