"""Pictures: what they show, in which formats, and what is missing where Graphviz is not there."""

import shutil
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import function, shared
from tinygraph.errors import InvalidValue, TargetUnavailable
from tinygraph.printing.draw import dot_text, draw, pydotprint, svg_text
from tinygraph.printing.picture import picture_of


def expression():
    x = T.matrix("x")
    w = shared(np.ones((3, 2)), name="w")
    return x, T.tanh(T.dot(x, w) + 1.0)


def test_boxes_for_leaves_ops_and_outputs_with_the_users_line():
    picture = picture_of(expression()[1])
    kinds = sorted(b.kind for b in picture.boxes.values())
    assert kinds.count("op") >= 3 and set(kinds) == {"constant", "input", "op", "output", "shared"}
    tanh = next(b for b in picture.boxes.values() if b.label == "tanh")
    assert "test_draw.py" in tanh.details["line"]


def test_layers_run_from_inputs_to_outputs_and_boxes_do_not_overlap():
    picture = picture_of(expression()[1])
    for a, b, _ in picture.arrows:
        assert picture.boxes[a].y < picture.boxes[b].y
    rows = {}
    for box in picture.boxes.values():
        rows.setdefault(box.y, []).append(box.x)
    assert all(q - p >= 149 for xs in rows.values() for p, q in zip(sorted(xs), sorted(xs)[1:], strict=False))


def test_svg_is_well_formed_and_names_every_op():
    x, y = expression()
    root = ET.fromstring(svg_text(picture_of(function([x], y))))
    text = " ".join(root.itertext())
    assert "Dot" in text and "tanh" in text and "w" in text


def test_files_by_their_ending(tmp_path):
    _, y = expression()
    draw(y, tmp_path / "a.svg")
    ET.parse(tmp_path / "a.svg")
    draw(y, tmp_path / "a.dot")
    assert (tmp_path / "a.dot").read_text() == dot_text(picture_of(y))
    with pytest.raises(InvalidValue, match="must end in .svg, .png or .dot"):
        draw(y, tmp_path / "a.bmp")


def test_png_is_drawn_by_matplotlib_where_graphviz_is_absent(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures without Graphviz need Matplotlib")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    picture = picture_of(expression()[1])
    pydotprint(expression()[1], tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[k : k + 4], "big") for k in (16, 20))
    assert abs(width - picture.width - 20) <= 1 and abs(height - picture.height - 20) <= 1


def test_png_says_what_it_needs_where_there_is_neither(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TargetUnavailable, match="needs Graphviz .* or Matplotlib"):
        draw(expression()[1], tmp_path / "a.png")


def test_leaves_stand_right_above_what_reads_them_first():
    x = T.vector("x")
    picture = picture_of(T.exp(T.tanh(T.sin(x))) * 2.0)
    at = {b.label: b.y for b in picture.boxes.values()}
    assert at["x"] < at["sin"] < at["tanh"] == at["2.0"] - 70 and at["mul"] == at["2.0"] + 70


def test_pydotprint_adds_the_ending(tmp_path):
    pydotprint(expression()[1], outfile=tmp_path / "picture")
    assert (tmp_path / "picture.svg").exists()
