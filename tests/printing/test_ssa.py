"""Graphs as text: stable, shared nodes once, leaves by their names."""

import numpy as np

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.printing.ssa import ssa, type_text


def test_one_line_for_each_node_with_its_type():
    x, b = T.matrix("x"), T.vector("b", dtype="float32")
    assert ssa(T.tanh(x + b).sum(axis=1)) == (
        "%0 = add(x, b) : float64[?, ?]\n"
        "%1 = tanh(%0) : float64[?, ?]\n"
        "%2 = Sum{axis=[1]}(%1) : float64[?]\n"
        "return %2"
    )  # fmt: skip


def test_shared_nodes_stand_once_and_several_outputs_are_returned():
    x = T.scalar("x")
    y = T.exp(x)
    assert ssa([y * y, y]) == "%0 = exp(x) : float64[]\n%1 = mul(%0, %0) : float64[]\nreturn %1, %0"


def test_leaves_that_share_a_name_or_have_none_are_told_apart():
    a, b, c = T.scalar("a"), T.scalar("a"), T.scalar()
    text = ssa(FunctionGraph([a, b, c], [a + b * c]))
    assert text.splitlines()[0] == "%0 = mul(a_2, in2) : float64[]"


def test_constants_are_written_out_if_small():
    x = T.matrix("x")
    text = ssa([x + 2.5, x + np.arange(3.0), x + np.zeros((9, 9)), x + np.arange(90.0).reshape(9, 10)])
    assert "add(x, 2.5)" in text and "add(x, [0.0, 1.0, 2.0])" in text
    assert "add(x, 0.0[9, 9])" in text and "constant<float64[9, 10]>" in text


def test_casts_name_their_type_and_shared_variables_their_name():
    s = tg.shared(np.zeros(3), name="weights")
    assert ssa(T.cast(s, "int32")) == f"%0 = cast{{int32}}(weights) : {type_text(T.cast(s, 'int32').type)}\nreturn %0"


def test_the_same_graph_built_twice_gives_the_same_text():
    texts = []
    for _ in range(2):
        x, w = T.matrices("x", "w")
        texts.append(ssa(T.grad(T.sqr(T.tanh(T.dot(x, w))).sum(), [x, w])))
    assert texts[0] == texts[1]


def test_a_deep_graph_does_not_recurse():
    y = T.scalar("x")
    for _ in range(5000):
        y = T.tanh(y)
    assert ssa(y).count("\n") == 5000
