"""Graphs as trees and formulas, in notebooks, and ops that print or stop: what each shows."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import function, grad, printing, shared
from tinygraph.compile.mode import Mode
from tinygraph.printing import Assert, PdbBreakpoint, Print, debugprint, pp


def tree(what, **options):
    return debugprint(what, file="str", **options).replace("''   ", "''")


def test_a_tree_marks_what_was_shown_already_by_its_id():
    x = T.dvector("x")
    e = T.exp(x)
    assert tree(e + e) == (
        "Elemwise{add} [id A] ''\n |Elemwise{exp} [id B] ''\n | |x [id C]\n |Elemwise{exp} [id B] ''\n"
    )


def test_types_and_known_shapes_on_demand():
    x = T.tensor("float32", shape=(None, 3), name="x")
    text = tree(T.tanh(x), print_type=True, print_shape=True)
    assert text.count("shape=(?, 3)") == 2 and "float32" in text
    assert tree(T.dvector("v"), print_shape=True) == "v [id A] shape=(?,)\n"


def test_views_and_destroyed_inputs_on_demand():
    x = T.dmatrix("x")
    assert "v={0: [0]}" in tree(x.T, print_view_map=True) and "v=" not in tree(x.T)
    node = T.exp(x).owner
    node.op.destroy_map = {0: [0]}  # an op written in Theano's way
    try:
        assert "d={0: [0]}" in tree(node.outputs[0], print_destroy_map=True)
    finally:
        del node.op.destroy_map


def test_a_compiled_function_shows_the_order_in_which_it_runs():
    x = T.dvector("x")
    text = tree(function([x], T.exp(x).sum()))
    assert [line.rsplit("''")[1] for line in text.splitlines()[:2]] == ["1", "0"]


def test_depth_bounds_the_tree_and_deep_graphs_need_no_recursion():
    x = T.dscalar("x")
    e = x
    for _ in range(3000):
        e = T.sin(e)
    assert len(tree(e, depth=3).splitlines()) == 3
    assert len(tree(e).splitlines()) == 3001


def test_formulas_in_infix_notation():
    x, y = T.dmatrices("x", "y")
    assert pp(T.dot(x, y) + T.exp(-x)) == r"((x \dot y) + exp((-x)))"
    assert pp([x * y, x.sum()]) == "[(x * y), Sum(x)]".replace("Sum", pp(x.sum()).partition("(")[0])
    with pytest.raises(TypeError, match="expected a variable"):
        pp(3)


def test_notebooks_get_a_picture_and_text_and_for_large_graphs_text_alone():
    x = T.dvector("x")
    f = function([x], T.exp(x), name="f")
    for what in (T.exp(x), f):
        assert what._repr_svg_().startswith("<svg")
        html = what._repr_html_()
        assert "<svg" in html and "Elemwise{exp} [id A]" in html
    e = x
    for _ in range(500):
        e = T.sin(e)
    assert e._repr_svg_() is None and "<svg" not in e._repr_html_() and "lines more" in e._repr_html_()


@pytest.mark.parametrize("target", ["numpy", None])
def test_print_shows_what_passes_each_time(target, capsys):
    x = T.dvector("x")
    f = function([x], Print("x", attrs=["shape", "max"])(x) * 2, mode=Mode(target=target))
    np.testing.assert_array_equal(f(np.array([1.0, 3.0])), [2, 6])
    assert capsys.readouterr().out == "x shape = (2,)\nx max = 3.0\n"


def test_assert_holds_or_raises_with_its_message():
    x = T.dvector("x")
    f = function([x], Assert("x must be positive")(x, (x > 0).all()).sum())
    assert f(np.ones(2)) == 2
    with pytest.raises(AssertionError, match="x must be positive"):
        f(-np.ones(2))


@pytest.mark.parametrize("target", ["numpy", None])
def test_a_breakpoint_stops_when_its_condition_holds_and_passes_values_and_gradients(target, monkeypatch, capsys):
    stops = []
    monkeypatch.setattr("pdb.set_trace", lambda: stops.append(1))
    x, w = T.dvector("x"), shared(np.ones(2), name="w")
    seen, ws = PdbBreakpoint("large")(x.max() > 5, x, w)
    f = function([x], [seen * 2, grad((seen * ws).sum(), w)], mode=Mode(target=target))
    out, gradient = f(np.array([1.0, 2.0]))
    assert not stops and out.tolist() == [2, 4] and gradient.tolist() == [1, 2]
    f(np.array([1.0, 9.0]))
    assert stops and "breakpoint 'large': 2 values" in capsys.readouterr().out


def test_a_breakpoint_wants_a_scalar_condition_and_something_to_look_at():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="must be a scalar"):
        PdbBreakpoint("p")(x > 1, x)
    with pytest.raises(TypeError, match="at least one"):
        PdbBreakpoint("p")(x.sum() > 1)


def test_all_of_it_under_one_name():
    assert set(printing.__all__) >= {"debugprint", "draw", "pp", "pydotprint", "Print", "Assert", "PdbBreakpoint"}
    assert all(callable(getattr(printing, name)) for name in printing.__all__)
