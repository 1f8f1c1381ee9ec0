"""What the passes leave of whole training graphs: every rewrite right, nothing computed twice, nothing unused."""

import numpy as np
import pytest

import tinygraph as tg
from tests.passes.networks import NETWORKS
from tinygraph.compile.mode import Mode
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.traversal import ancestors, toposort
from tinygraph.graph.variable import Constant
from tinygraph.passes.pipeline import optimise
from tinygraph.passes.rewrite import Context
from tinygraph.printing.ssa import op_text, ssa

each_network = pytest.mark.parametrize("name", NETWORKS)


def optimised(name):
    inputs, outputs, values = NETWORKS[name]()
    f = FunctionGraph(inputs, outputs)
    before = len(f)
    optimise(f)
    return f, before, values


@each_network
def test_every_rewrite_keeps_the_values_of_a_real_call(name):
    inputs, outputs, values = NETWORKS[name]()
    f = FunctionGraph(inputs, outputs)
    optimise(f, check=values)
    f.verify()


@each_network
def test_nothing_is_computed_twice(name):
    f, _, _ = optimised(name)
    driver = Context(f).driver
    signatures = [driver.signature(n) for n in f.apply_nodes]
    assert len(set(signatures)) == len(signatures)
    constants = [(v.type, v.signature()) for v in f.clients if isinstance(v, Constant)]
    assert len(set(constants)) == len(constants)


@each_network
def test_nothing_is_kept_unused(name):
    f, _, _ = optimised(name)
    assert set(f.apply_nodes) == set(toposort(f.outputs))
    needed = set(ancestors(f.outputs))
    assert all(v in needed or v in f.inputs or v.owner is not None for v in f.clients)


@each_network
def test_no_array_is_computed_for_its_shape_alone(name):
    f, _, _ = optimised(name)
    for node in f.apply_nodes:
        if op_text(node.op).startswith("Shape"):
            assert node.inputs[0].owner is None, ssa(node.outputs[0])


@each_network
def test_logarithms_of_probabilities_and_their_quotients_are_gone(name):
    f, _, _ = optimised(name)
    made = [op_text(n.op) for n in f.apply_nodes]
    assert "log" not in made and "exp" not in made
    assert not any(op_text(n.op) == "div" and n.outputs[0].type.ndim > 0 for n in f.apply_nodes)


@each_network
def test_compiled_function_agrees_with_the_graph_as_written(name):
    inputs, outputs, values = NETWORKS[name]()
    plain = tg.function(inputs, outputs, mode=Mode("none"))(*values)
    fast = tg.function(inputs, outputs)(*values)
    for a, b in zip(plain, fast, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_visits_per_node_stay_few():
    inputs, outputs, _ = NETWORKS["unrolled_rnn"](40)
    f = FunctionGraph(inputs, outputs)
    n = len(f)
    assert sum(r.visits for r in optimise(f)) < 12 * n
