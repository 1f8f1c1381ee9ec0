"""Expressions as trees of text, in Theano's layout, and on one line."""

import io

import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.printing.debugprint import char_from_number, debugprint
from tinygraph.printing.pp import pp

x, y = T.dmatrix("x"), T.dmatrix("y")


def lines(*args, **kwargs):
    return [line.rstrip() for line in debugprint(*args, file="str", **kwargs).splitlines()]


def test_a_tree():
    assert lines(T.dot(x, y) + y) == [
        "Elemwise{add} [id A] ''",
        " |Dot [id B] ''",
        " | |x [id C]",
        " | |y [id D]",
        " |y [id D]",
    ]


def test_what_was_shown_is_not_shown_again():
    s = T.exp(x)
    s.name = "s"
    assert lines(s * s) == ["Elemwise{mul} [id A] ''", " |Elemwise{exp} [id B] 's'", " | |x [id C]",
                            " |Elemwise{exp} [id B] 's'"]  # fmt: skip


def test_a_function_shows_the_order_in_which_nodes_run():
    f = tg.function([x, y], T.dot(x, y) + 1, mode="NONE")
    assert lines(f)[:2] == ["Elemwise{add} [id A] ''   1", " |Dot [id B] ''   0"]


def test_depth_names_ids_and_types():
    s = T.exp(x)
    s.name = "s"
    assert lines(s + 1, depth=1) == ["Elemwise{add} [id A] ''"]
    assert lines(T.log(s), stop_on_name=True) == ["Elemwise{log} [id A] ''", " |Elemwise{exp} [id B] 's'"]
    assert lines(s, ids="int") == ["Elemwise{exp} [id 0] 's'", " |x [id 1]"]
    assert lines(s, ids="") == ["Elemwise{exp} 's'", " |x"]
    assert lines(s, print_type=True)[1] == " |x [id B] <TensorType(float64, (?, ?))>"
    w = tg.shared(2.0, name="w")
    assert lines(-w, print_storage=True)[1] == " |w [id B] array(2.)"


def test_the_step_of_a_loop():
    found, _ = tg.scan(lambda h: T.tanh(h), outputs_info=T.dvector("h0"), n_steps=3)
    text = lines(found)
    assert "Inner graphs of the scan ops:" in text and any(line.startswith(" >Elemwise{tanh}") for line in text)


def test_several_graphs_and_a_file():
    out = io.StringIO()
    assert debugprint([x + y, x - y], file=out) is out
    assert out.getvalue().count("[id ") == 6


def test_letters():
    assert [char_from_number(n) for n in (0, 25, 26, 27)] == ["A", "Z", "BA", "BB"]


def test_what_cannot_be_printed():
    with pytest.raises(TypeError, match="expected a variable, a node, a function or a list of them, got 3"):
        debugprint(3)
    with pytest.raises(ValueError, match="ids must be"):
        debugprint(x, ids="LETTERS")


def test_one_line():
    assert pp((x + y) * x) == "((x + y) * x)"
    assert pp(T.dot(x, T.tanh(y))) == r"(x \dot tanh(y))"
    assert pp(-x.sum()) == "(-Sum(x))" and pp(x.sum(axis=1)) == "Sum(x, axis=(1,))"
    assert pp(T.cast(x, "float32")) == "Cast{float32}(x)"
    with pytest.raises(TypeError, match="expected a variable or a compiled function"):
        pp(3)
