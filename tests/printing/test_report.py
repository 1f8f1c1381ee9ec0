"""The report: complete, self-contained, and alive in a browser where one is installed."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, function, grad, shared
from tinygraph.printing import explain
from tinygraph.printing.report import report_html


def softmax_regression(profile=True):
    x, y = T.matrix("x"), T.ivector("y")
    w = shared(np.zeros((4, 3)), name="w")
    cost = -T.mean(T.log(T.nnet.softmax(T.dot(x, w)))[T.arange(y.shape[0]), y])
    f = function([x, y], cost, updates=[(w, w - 0.1 * grad(cost, w))], profile=profile, name="train")
    f(np.ones((5, 4)), np.zeros(5, "int32"))
    return f


def data_of(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S).group(1))


def test_the_page_holds_graph_passes_program_source_memory_and_profile():
    page = report_html(softmax_regression())
    data = data_of(page)
    assert "%%" not in page
    assert any("Dot" in str(d) for d in data["boxes"].values())
    assert data["passes"][0]["name"] == "as given" and len(data["passes"]) > 2
    assert "program train" in data["program"] and "bytes read and written" in data["program"]
    assert "profile of train: 1 calls" in data["profile"]
    assert data["source"]


def test_a_node_shows_the_users_line_and_its_cost():
    data = data_of(report_html(softmax_regression()))
    dot = next(d for d in data["boxes"].values() if d.get("op") == "Dot")
    assert "test_report.py" in dot["line"]
    assert dot["flops"] == f"{2 * 5 * 4 * 3:,}" and dot["bytes"] == f"{8 * (5 * 4 + 4 * 3 + 5 * 3):,}"
    assert dot["time"].endswith("us a call") and dot["instructions"]


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_times_of_nodes_add_up_to_those_of_instructions(target):
    if target == "llvm":
        pytest.importorskip("llvmlite", reason="the llvm target needs llvmlite")
    x, w = T.matrix("x"), T.matrix("w")
    f = function([x, w], T.tanh(T.dot(x, w) + 1).sum(axis=1), profile=True, mode=Mode(target=target))
    f(np.ones((50, 40)), np.ones((40, 30)))
    boxes = data_of(report_html(f))["boxes"].values()
    times = [float(d["time"].split()[0]) for d in boxes if "time" in d]
    assert len(times) >= 4  # product, sum, tanh, addition: each its own, though they run in fewer instructions
    assert sum(times) == pytest.approx(f.profile.instruction_seconds * 1e6, abs=0.1 * len(times))


def test_the_time_of_each_pass_is_shown():
    page = data_of(report_html(softmax_regression()))
    assert all("ms)" in p["name"] for p in page["passes"][1:])
    assert "pass canonicalise" in page["profile"]


def test_the_memory_picture_has_its_axes_and_names_who_made_each_block():
    page = report_html(softmax_regression())
    picture = page[page.index("Bytes of temporary memory") :].partition("</svg>")[0]
    assert "largest live set" in picture and "stroke-dasharray" in picture
    assert re.findall(r"<title>(.*?): [0-9,]+ bytes, instructions", picture)
    assert 'text-anchor="end">0</text>' in picture


def test_each_pass_lists_its_rules():
    passes = data_of(report_html(softmax_regression()))["passes"]
    assert any("log_softmax" in p.get("rules", "") for p in passes)


def test_the_page_asks_for_nothing_from_elsewhere():
    page = report_html(softmax_regression())
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_function_never_called_and_not_profiled_has_a_page_too():
    x = T.vector("x")
    assert "(not yet called)" in report_html(function([x], x * 2))


def test_explain_runs_a_script(tmp_path, capsys):
    script = tmp_path / "script.py"
    script.write_text("import tinygraph as tg\nx = tg.tensor.scalar('x')\nf = tg.function([x], x + 1)\nf(1.0)\n")
    import argparse

    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    explain.run(parser.parse_args([f"{script}:f", "--out", str(tmp_path / "f.html")]))
    assert "<svg" in (tmp_path / "f.html").read_text()
    for what, message in ((f"{script}:g", "no compiled function 'g'; it has: f"), ("missing.py:f", "no file missing.py"),
                          ("script.py", "expected FILE.py:NAME, got 'script.py'")):  # fmt: skip
        capsys.readouterr()
        assert explain.run(parser.parse_args([what])) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1  # no traceback


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_works_in_a_browser(tmp_path):
    page = report_html(softmax_regression())
    probe = """
<script>
window.onerror = m => { document.title = "error: " + m; };
const box = [...document.querySelectorAll(".box")].find(b => b.textContent.includes("Dot"));
box.dispatchEvent(new MouseEvent("click"));
const clicked = byId("details").textContent.includes("test_report.py");
byId("search").value = "dot"; byId("search").dispatchEvent(new Event("input"));
const found = document.querySelectorAll(".box.found").length > 0;
slider.value = slider.max; slider.dispatchEvent(new Event("input"));
const rules = byId("rules").textContent.includes("nodes: ");
const texts = data.passes.map(p => p.text.split("\\n"));
const same = texts.slice(1).every((now, i) => {  // without its marks a comparison gives both texts back
  const made = compared(texts[i], now, l => l.replace(/%\\d+/g, "%"));
  return made.filter(p => p[0] >= 0).map(p => p[1]).join() === now.join()
    && made.filter(p => p[0] <= 0).length === texts[i].length;
});
const cut = document.querySelectorAll("#diff .cut").length, shown = byId("diff").children.length;
const wires = document.querySelectorAll(".wire.lit").length > 0;
byId("leaves").click();
const hidden = [...document.querySelectorAll(".box.leaf")].every(b => getComputedStyle(b).display === "none");
const before = svg.getAttribute("viewBox");
svg.dispatchEvent(new WheelEvent("wheel", { deltaY: -1, clientX: 300, clientY: 300 }));
const zoomed = svg.getAttribute("viewBox") !== before;
if (!(rules && same && wires && hidden && zoomed && cut < shown)) document.title = "error: " + [rules, same, wires, hidden, zoomed, cut, shown];
else document.title = "clicked " + clicked + " found " + found + " moved " + (byId("pass").textContent !== "as given");
</script></body>"""
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", probe))
    out = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--disable-background-networking", "--dump-dom", f"file://{file}"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert "<title>clicked true found true moved true</title>" in out
