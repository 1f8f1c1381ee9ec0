"""Every rule: what it makes of its specimen, that near misses stay as they are, and that values stay what they were.

The texts before and after are in ``golden/``; run with ``UPDATE_GOLDEN=1`` to write them (such a run fails), and read
what changed.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.passes import specimens_algebra, specimens_matrices, specimens_stabilise, specimens_structure  # noqa: F401
from tests.passes.specimens import SPECIMENS, built, value_of
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.traversal import ancestors
from tinygraph.passes import families  # noqa: F401
from tinygraph.passes.check import difference
from tinygraph.passes.pipeline import optimise
from tinygraph.passes.reference import evaluate
from tinygraph.passes.rewrite import RULES, Context, Query
from tinygraph.printing.ssa import ssa

GOLDEN = Path(__file__).parent / "golden"
OWN = [r for r in RULES.values() if not r.function.__module__.startswith("tinygraph.passes.loops")]
NAMES = sorted(SPECIMENS)


def applied(rule, fgraph):
    """Run one rule to its fixed point; how often it was used."""
    Context(fgraph).driver.run([rule])
    fgraph.verify()
    return sum(h.reason == rule.name for h in fgraph.history)


def results(fgraph, special):
    return evaluate(fgraph.outputs, {v: value_of(v, special) for v in fgraph.inputs})


@pytest.mark.parametrize("name", NAMES)
def test_rule_rewrites_its_specimen_as_written_down(name):
    inputs, outputs = built(SPECIMENS[name].fires)
    fgraph = FunctionGraph(inputs, outputs)
    before = ssa(fgraph)
    assert applied(RULES[name], fgraph) > 0, f"{name} does not fire on\n{before}"
    assert [o.type.dtype for o in fgraph.outputs] == [o.type.dtype for o in outputs]
    text = f"before:\n{before}\nafter:\n{ssa(fgraph)}\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        old = path.read_text() if path.exists() else ""
        path.write_text(text)
        assert old == text, f"{path} is written anew: read it, then run without UPDATE_GOLDEN"
    assert path.read_text() == text
    assert applied(RULES[name], fgraph) == sum(h.reason == name for h in fgraph.history), "it goes on rewriting"


@pytest.mark.parametrize("special", [False, True], ids=["ordinary", "nan-inf-extremes"])
@pytest.mark.parametrize("name", NAMES)
def test_rule_keeps_values(name, special):
    rule = RULES[name]
    fgraph = FunctionGraph(*built(SPECIMENS[name].fires))
    before = results(fgraph, special)
    applied(rule, fgraph)
    if rule.numerics == "fast_math" and special:
        return  # what such rules may change is what they are kept out of the default mode for
    for a, b in zip(before, results(fgraph, special), strict=True):
        may_improve = rule.numerics in ("improves", "fast_math")
        assert difference(a, b, may_improve, operands=2.0) is None, ssa(fgraph)


@pytest.mark.parametrize(
    ("name", "k"), [(n, k) for n in NAMES for k in range(len(SPECIMENS[n].misses))], ids=lambda x: str(x)
)
def test_rule_leaves_near_misses_alone(name, k):
    fgraph = FunctionGraph(*built(SPECIMENS[name].misses[k]))
    before = ssa(fgraph)
    assert applied(RULES[name], fgraph) == 0, f"{name} rewrites\n{before}\nto\n{ssa(fgraph)}"


@pytest.mark.parametrize("name", NAMES)
def test_whole_pipeline_with_every_intermediate_value_used(name):
    inputs, outputs = built(SPECIMENS[name].fires)
    inner = [v for v in ancestors(outputs) if v.owner is not None and v not in outputs]
    fgraph = FunctionGraph(inputs, [*outputs, *inner])
    before = results(fgraph, False)
    optimise(fgraph, check=[value_of(v) for v in fgraph.inputs])
    fgraph.verify()
    for a, b in zip(before, results(fgraph, False), strict=True):
        assert difference(a, b, True, operands=2.0) is None


@pytest.mark.parametrize("name", NAMES)
def test_second_run_of_the_pipeline_changes_nothing(name):
    fgraph = FunctionGraph(*built(SPECIMENS[name].fires))
    optimise(fgraph)
    once = ssa(fgraph)
    optimise(fgraph)
    assert ssa(fgraph) == once and not any(r.replacements for r in fgraph.reports)


def test_every_rule_has_a_specimen_and_every_specimen_a_rule():
    assert {r.name for r in OWN} == set(SPECIMENS)


def test_every_golden_text_belongs_to_a_rule():
    assert {p.stem for p in GOLDEN.glob("*.txt")} == set(SPECIMENS)


@pytest.mark.parametrize("rule", OWN, ids=lambda r: r.name)
def test_rule_states_what_it_does(rule):
    assert "->" in rule.doc.partition("\n\n")[0] and rule.doc.rstrip().endswith((".", "...", ")"))


def test_rules_that_change_nan_or_infinity_stay_out_of_the_default_mode():
    risky = [r for r in OWN if r.numerics == "fast_math"]
    assert risky and not any(Query(("fast_run",)).chooses(r) or Query(("fast_compile",)).chooses(r) for r in risky)
    assert all(Query(("fast_run", "fast_math")).chooses(r) for r in risky)


def test_a_specimen_with_special_values_has_them():
    assert np.isnan(value_of(built(lambda v: v.x)[0][0], special=True)).any()
