"""Passes on loops: what each makes of its specimen (text in ``golden/``), and that values stay what they were.

Run with ``UPDATE_GOLDEN=1`` to write the texts (such a run fails), and read what changed.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tests.passes.loops.specimens import SPECIMENS, arguments
from tinygraph import grad
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes.pipeline import optimise
from tinygraph.passes.reference import evaluate
from tinygraph.passes.rewrite import Context, Query
from tinygraph.printing.ssa import ssa
from tinygraph.scan.op import Scan

GOLDEN = Path(__file__).parent / "golden"
NORMAL = Query(("canonicalise", "merge"))


def picture(fgraph):
    """The graph, and the step of each of its loops."""
    text = ssa(fgraph)
    for k, node in enumerate(n for n in fgraph.toposort() if isinstance(n.op, Scan)):
        op = node.op
        states = "; ".join(
            f"taps {list(s.taps)}" + (f" keep {s.keep}" if s.keep else "") for s in op.spec.states
        )
        more = " backwards" if op.spec.backwards else ""
        text += (
            f"\nstep {k}{more}: {op.spec.n_seqs} sequences, states ({states}), outputs {list(op.spec.outs)}\n"
        )
        text += "\n".join(
            f"  {line}" for line in ssa(FunctionGraph(op.inner.inputs, op.inner.outputs)).splitlines()
        )
    return text


def graph_of(specimen, build=None):
    variables, values = arguments(specimen.shapes)
    fgraph = FunctionGraph(variables, (build or specimen.build)(*variables))
    optimise(fgraph, NORMAL)  # equal things are one thing, as they are where the passes run
    return fgraph, values


def run(passes, fgraph):
    for p in passes:
        p(fgraph, Context(fgraph))
        fgraph.verify()


def results(fgraph, values):
    return evaluate(fgraph.outputs, dict(zip(fgraph.inputs, values, strict=True)))


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_pass_changes_its_specimen_as_written_down_and_keeps_its_values(name):
    specimen = SPECIMENS[name]
    fgraph, values = graph_of(specimen)
    before, want = picture(fgraph), results(fgraph, values)
    run(specimen.passes, fgraph)
    after = picture(fgraph)
    assert after != before, f"nothing changed in\n{before}"
    for a, b in zip(want, results(fgraph, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    text = f"before:\n{before}\n\nafter:\n{after}\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        old = path.read_text() if path.exists() else ""
        path.write_text(text)
        assert old == text, f"{path} is written anew: read it, then run without UPDATE_GOLDEN"
    assert path.read_text() == text


@pytest.mark.parametrize(("name", "k"), [(n, k) for n, s in SPECIMENS.items() for k in range(len(s.misses))])
def test_near_misses_stay(name, k):
    specimen = SPECIMENS[name]
    fgraph, values = graph_of(specimen, specimen.misses[k])
    inner_before = [n.op for n in fgraph.toposort() if isinstance(n.op, Scan)]
    want = results(fgraph, values)
    run(specimen.passes, fgraph)
    assert [n.op for n in fgraph.toposort() if isinstance(n.op, Scan)] == inner_before
    for a, b in zip(want, results(fgraph, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_whole_pipeline_keeps_values(name):
    specimen = SPECIMENS[name]
    fgraph, values = graph_of(specimen)
    want = results(fgraph, values)
    optimise(fgraph, "fast_run")
    for a, b in zip(want, results(fgraph, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_specimen_may_have_no_steps(name):
    specimen = SPECIMENS[name]
    if name.startswith("last_step"):
        pytest.skip("the last of no steps is an error, tested with the loop's errors")
    fgraph, values = graph_of(specimen)
    values = [v[:0] if key in "xy" else v for key, v in zip(specimen.shapes, values, strict=True)]
    want = results(fgraph, values)
    optimise(fgraph, "fast_run")
    for a, b in zip(want, results(fgraph, values), strict=True):
        np.testing.assert_allclose(a, b)


def test_states_that_read_each_other_merge_with_those_of_the_gradients_own_forward_loop():
    """An LSTM's two states start alike: which of their copies is whose shows only in what the step computes."""
    x, w = T.dmatrix("x"), T.dmatrix("w")
    start = T.zeros((3,))

    def step(x_t, h, c, w):
        c = T.tanh(x_t + T.dot(h, w)) * c + T.tanh(x_t)
        return [T.tanh(c) * x_t, c]

    (h, c), _ = tinygraph.scan(step, sequences=[x], outputs_info=[start, start], non_sequences=[w])
    cost = (h * c).sum()
    fgraph = FunctionGraph([x, w], [cost, *grad(cost, [x, w])])
    values = [np.random.default_rng(0).standard_normal((n, 3)) for n in (5, 3)]
    want = results(fgraph, values)
    optimise(fgraph, "fast_run")
    forward, backward = (n.op for n in fgraph.toposort() if isinstance(n.op, Scan))
    assert (len(forward.spec.states), forward.spec.backwards, backward.spec.backwards) == (2, False, True)
    for a, b in zip(want, results(fgraph, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
