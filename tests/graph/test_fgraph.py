"""FunctionGraph: a mutable copy whose networkx structure stays right through every replacement."""

import networkx as nx
import pytest

import tinygraph.tensor as T
from tinygraph.errors import InconsistencyError
from tinygraph.graph import FunctionGraph


def small_graph():
    x, y = T.matrices("x", "y")
    s = x + y
    return x, y, s, FunctionGraph([x, y], [T.tanh(s) * s])


def test_the_users_graph_stays_as_it_is():
    x, y, s, fgraph = small_graph()
    fgraph.replace(fgraph.toposort()[0].outputs[0], fgraph.inputs[0], reason="drop y")
    assert s.owner.inputs == [x, y]
    assert [str(n.op) for n in fgraph.toposort()] == ["Elemwise{tanh}", "Elemwise{mul}"]


def test_structure_is_a_networkx_multigraph_with_an_edge_for_each_use():
    *_, fgraph = small_graph()
    add, tanh, mul = fgraph.toposort()
    assert isinstance(fgraph.graph, nx.MultiDiGraph)
    assert set(fgraph.graph.edges(keys=True)) == {(add, tanh, (0, 0)), (tanh, mul, (0, 0)), (add, mul, (0, 1))}


def test_a_square_has_two_edges():
    x = T.vector("x")
    y = T.exp(x)
    fgraph = FunctionGraph([x], [y * y])
    exp, mul = fgraph.toposort()
    assert set(fgraph.graph.edges(keys=True)) == {(exp, mul, (0, 0)), (exp, mul, (0, 1))}


def test_replace_moves_every_use_and_drops_what_is_left():
    *_, fgraph = small_graph()
    add = fgraph.toposort()[0]
    fgraph.replace(add.outputs[0], fgraph.inputs[0] * 2, reason="test")
    fgraph.verify()
    assert add not in fgraph.graph
    assert fgraph.history[-1].reason == "test"
    assert fgraph.inputs[1] in fgraph.clients  # an input stays, used or not


def test_a_value_may_be_wrapped():
    x = T.vector("x")
    fgraph = FunctionGraph([x], [T.exp(x) + 1])
    e = fgraph.toposort()[0].outputs[0]
    fgraph.replace(e, T.tanh(e), reason="wrap")
    fgraph.verify()
    assert [str(n.op) for n in fgraph.toposort()] == ["Elemwise{exp}", "Elemwise{tanh}", "Elemwise{add}"]


def test_a_replacement_of_another_type_is_refused_and_changes_nothing():
    *_, fgraph = small_graph()
    before = fgraph.toposort()
    with pytest.raises(InconsistencyError, match="cannot replace"):
        fgraph.replace(fgraph.outputs[0], T.vector("v"), reason="wrong rank")
    assert fgraph.toposort() == before
    fgraph.verify()


def test_verify_finds_a_cycle():
    x = T.vector("x")
    fgraph = FunctionGraph([x], [T.exp(T.tanh(x))])
    tanh, exp = fgraph.toposort()
    fgraph._drop_use(x, tanh, 0)
    tanh.inputs[0] = exp.outputs[0]
    fgraph._add_use(exp.outputs[0], tanh, 0)
    fgraph._order = None
    with pytest.raises(InconsistencyError, match="cycle"):
        fgraph.verify()


def test_order_is_by_creation_where_dependencies_leave_a_choice():
    x = T.vector("x")
    first, second = T.exp(x), T.tanh(x)
    fgraph = FunctionGraph([x], [second, first])
    assert [str(n.op) for n in FunctionGraph([x], [second, first]).toposort()] == [str(n.op) for n in fgraph.toposort()]


def test_a_chain_of_100000_nodes_needs_no_recursion():
    x = T.scalar("x")
    y = x
    for _ in range(100_000):
        y = T.exp(y)
    fgraph = FunctionGraph([x], [y])
    assert len(fgraph) == 100_000
    assert len(fgraph.clone()) == 100_000
