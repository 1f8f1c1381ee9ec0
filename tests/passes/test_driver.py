"""The driver: fixed points, merging, cycles that are named, wrong rules that are caught, users' own rewrites."""

import time

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.errors import InvalidValue, RewriteError
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes.pattern import op, rewrite, variables
from tinygraph.passes.pipeline import PIPELINE, Stage, optimise, report_text, stage_rules
from tinygraph.passes.rewrite import PASSES, RULES, Context, Query, graph_pass, query, rule, unregister
from tinygraph.printing.ssa import ssa

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])


@pytest.fixture
def registered():
    """Names registered by a test are forgotten after it."""
    before = {*RULES, *PASSES}
    yield
    for name in [n for n in (*RULES, *PASSES) if n not in before]:
        unregister(name)


def graph(make, *names):
    inputs = [T.matrix(n) for n in names or ("x",)]
    return FunctionGraph(inputs, [make(*inputs)])


# -- merging -----------------------------------------------------------------------------------------------------------


def test_equal_work_is_done_once_whatever_the_order_of_commutative_operands():
    f = graph(lambda x, y: (x + y) * (y + x), "x", "y")
    Context(f).driver.run([])
    assert ssa(f) == (
        "%0 = add(x, y) : float64[?, ?]\n"
        "%1 = mul(%0, %0) : float64[?, ?]\n"
        "return %1"
    )  # fmt: skip


def test_operands_of_other_ops_keep_their_order():
    f = graph(lambda x, y: (x - y) * (y - x), "x", "y")
    Context(f).driver.run([])
    assert len(f) == 3


def test_equal_constants_of_different_dtype_stay_apart():
    f = graph(lambda x: (x + np.float32(1)) * (x + np.int8(1)))
    Context(f).driver.run([])
    assert len(f) == 3


def test_merging_goes_on_until_the_outputs():
    f = graph(lambda x: T.exp(T.tanh(x + 1)) - T.exp(T.tanh(1 + x)))
    Context(f).driver.run([])
    assert len(f) == 4


# -- rules that never come to rest -------------------------------------------------------------------------------------


def test_rules_that_undo_each_other_are_named():
    @rule("add", register=False)
    def add_to_sub(node):
        """a + b -> a - -b."""
        return T.sub(node.inputs[0], T.neg(node.inputs[1]))

    @rule("sub", register=False)
    def sub_to_add(node):
        """a - -b -> a + b."""
        inner = node.inputs[1].owner
        return T.add(node.inputs[0], inner.inputs[0]) if inner is not None else None

    f = graph(lambda x, y: x + y, "x", "y")
    with pytest.raises(RewriteError, match="add_to_sub -> sub_to_add -> add_to_sub|sub_to_add -> add_to_sub -> sub_to_add"):
        Context(f).driver.run([add_to_sub, sub_to_add])


def test_a_rule_that_grows_for_ever_is_named():
    @rule("exp", register=False)
    def more(node):
        """exp(x) -> exp(x) + 0."""
        return node.outputs[0] + 0

    with pytest.raises(RewriteError, match="more -> more.*exclude one of them by name"):
        Context(graph(T.exp)).driver.run([more])


def test_a_rule_that_gives_nonsense_is_named():
    @rule("exp", register=False)
    def nonsense(node):
        """exp(x) -> 3."""
        return 3

    with pytest.raises(RewriteError, match="rule nonsense must give a variable"):
        Context(graph(T.exp)).driver.run([nonsense])


def test_a_rule_that_changes_the_type_is_named():
    @rule("exp", register=False)
    def narrow(node):
        """exp(x) -> float32(exp(x))."""
        return T.cast(T.exp(node.inputs[0]), "float32")

    with pytest.raises(RewriteError, match="rule narrow is wrong.*float64.*float32"):
        Context(graph(T.exp)).driver.run([narrow])


def test_an_exception_in_a_rule_is_not_swallowed():
    @rule("exp", register=False)
    def broken(node):
        """exp(x) -> ?"""
        raise ZeroDivisionError("in the rule")

    with pytest.raises(ZeroDivisionError, match="in the rule"):
        Context(graph(T.exp)).driver.run([broken])


# -- planted wrong rules -----------------------------------------------------------------------------------------------

WRONG = {
    "drops_a_sign": ("sub", lambda node: T.add(*node.inputs)),
    "slightly_off": ("tanh", lambda node: T.tanh(node.inputs[0] * 1.0001)),
    "wrong_axis": ("exp", lambda node: T.exp(node.inputs[0])[:, ::-1]),
    "hides_nan": ("log", lambda node: T.log(T.abs(node.inputs[0]))),
}


@pytest.mark.parametrize("name", WRONG)
def test_checking_names_a_planted_wrong_rule(name, registered):
    head, function = WRONG[name]

    fired: list[int] = []

    def planted(node):
        """Something -> something else, once."""
        if fired:
            return None
        fired.append(1)
        return function(node)

    rule(head, name=name, tags="specialise")(planted)
    f = graph(lambda x: T.exp(x) + T.log(x) - T.tanh(x))
    with pytest.raises(RewriteError, match=f"rewrite '{name}' changed a result(.|\n)*before:(.|\n)*after:"):
        optimise(f, check=[X])


def test_a_rule_that_claims_to_improve_must_still_agree_where_the_original_is_finite(registered):
    x = variables("x")[0]
    rewrite("claims", op.log(x), op.log(x * 1.00001), tags="specialise", numerics="improves")
    with pytest.raises(RewriteError, match="rewrite 'claims' changed a result"):
        optimise(graph(T.log), check=[X])


def test_checking_a_right_pipeline_passes_and_compares_something():
    f = graph(lambda x: T.grad(-T.log(T.nnet.softmax(x)).sum(), x))
    reports = optimise(f, check={f.inputs[0]: X})
    assert sum(r.replacements for r in reports) > 10 and not f.observers


def test_a_wrong_graph_pass_is_caught_too(registered):
    @graph_pass("halves", "specialise")
    def halves(fgraph, context):
        """out -> out / 2."""
        fgraph.replace(fgraph.outputs[0], fgraph.outputs[0] / 2, "halves")

    with pytest.raises(RewriteError, match="rewrite 'halves' changed a result"):
        optimise(graph(T.exp), check=[X], pipeline=[Stage("halves", "for this test")])


# -- users' own rewrites, modes and queries ----------------------------------------------------------------------------


def test_a_users_rule_runs_in_its_stage_and_can_be_left_out(registered):
    x, y = variables("x y")
    rewrite("my_max", op.maximum(x, y) - op.minimum(x, y), op.abs(x - y), tags="specialise mine")
    make = lambda a, b: T.maximum(a, b) - T.minimum(a, b)  # noqa: E731
    f = graph(make, "a", "b")
    optimise(f)
    assert ssa(f).startswith("%0 = sub(a, b)") and len(f) == 2
    for mode in (Mode().excluding("mine"), Mode().excluding("my_max"), Mode("fast_compile"), Mode("none")):
        f = graph(make, "a", "b")
        optimise(f, mode)
        assert len(f) == 3


def test_including_fast_math_cancels_what_may_be_nan():
    f, g = graph(lambda x: x - x), graph(lambda x: x - x)
    optimise(f)
    optimise(g, Mode().including("fast_math"))
    assert "sub(x, x)" in ssa(f) and "sub" not in ssa(g)


def test_requiring_a_tag_leaves_only_rules_that_have_it():
    f = graph(lambda x: T.log(1 + x) + T.log(T.sigmoid(x)))
    optimise(f, Mode().requiring("sigmoid"))
    assert "log(" in ssa(f) and "softplus" in ssa(f)


def test_mode_none_does_nothing():
    f = graph(lambda x: T.log(1 + x) + 0)
    assert optimise(f, Mode("none")) == [] and len(f) == 3


def test_a_whole_stage_can_be_excluded():
    f = graph(lambda x: T.log(1 + x))
    reports = optimise(f, Mode().excluding("stabilise"))
    assert "log1p" not in ssa(f) and "stabilise" not in [r.name for r in reports]


def test_queries_choose_by_tag_and_name():
    assert {r.name for r in query("sigmoid")} >= {"log_sigmoid", "one_minus_sigmoid"}
    assert [r.name for r in query("merge")] == ["merge"]
    assert not {r.name for r in query("sigmoid", exclude=["log_sigmoid"])} & {"log_sigmoid"}
    assert all("stabilise" in r.tags for r in query("fast_run", require=["stabilise"]))
    chosen = Query().excluding("softmax").including("pow_half")
    assert not chosen.chooses(RULES["log_softmax"]) and chosen.chooses(RULES["pow_half"])


def test_names_are_given_once(registered):
    with pytest.raises(InvalidValue, match="there is a rewrite named 'neg_neg' already"):
        rewrite("neg_neg", op.neg(op.neg(variables("x")[0])), variables("x")[0])
    with pytest.raises(InvalidValue, match="numerics must be one of"):
        rule("exp", numerics="perhaps")
    with pytest.raises(InvalidValue, match="no elementwise function 'sine'"):
        op.sine(variables("x")[0])
    with pytest.raises(InvalidValue, match="there is no rewrite named"):
        unregister("nothing_of_that_name")


def test_every_entry_of_the_pipeline_says_why_and_finds_something_to_run():
    for stage in PIPELINE:
        found = stage_rules(stage, Query()) if stage.rules else [p for p in PASSES.values() if stage.name in p.tags]
        assert stage.why and found, stage.name


# -- reports and speed -------------------------------------------------------------------------------------------------


def test_reports_say_what_each_pass_did():
    f = graph(lambda x: T.log(T.nnet.softmax(x)) + 0)
    reports = optimise(f, snapshot=ssa)
    by_name = {r.name: r for r in reports}
    assert by_name["canonicalise"].rules["add_zero"] == 1 and by_name["stabilise"].rules["log_softmax"] == 1
    assert by_name["canonicalise"].nodes_before == 3 and by_name["canonicalise"].nodes_after == 2
    assert "LogSoftmax" in by_name["stabilise"].snapshot and "LogSoftmax" not in by_name["canonicalise"].snapshot
    assert f.reports is reports and "add_zero 1" in report_text(reports)


def test_the_user_line_of_a_rewritten_node_is_kept():
    f = graph(lambda x: T.log(1 + x))
    optimise(f)
    assert f.outputs[0].owner.origin.file == __file__


def _visits(n):
    x = T.matrix("x")
    y = x
    for _ in range(n):
        y = T.tanh(y * 1.5 + x) + 0
    f = FunctionGraph([x], [y])
    started = time.perf_counter()
    reports = optimise(f)
    return sum(r.visits for r in reports) / n, time.perf_counter() - started


def test_work_grows_linearly_with_the_graph():
    assert _visits(2000)[0] < 1.2 * _visits(200)[0]


def test_a_chain_deeper_than_pythons_stack_is_rewritten():
    assert _visits(3000)[0] < 60


def test_a_graph_pass_of_the_users_runs_in_the_stage_it_names_and_rules_go_on_from_there():
    x = T.dvector("x")

    @graph_pass("sines_to_exponentials", tags="specialise mine")
    def sines_to_exponentials(fgraph, context):
        """sin(x) -> log(exp(x)), wrong but seen."""
        for node in fgraph.toposort():
            if str(node.op) == "Elemwise{sin}":
                fgraph.replace(node.outputs[0], T.log(T.exp(node.inputs[0])), "sines_to_exponentials")

    try:
        fgraph = FunctionGraph([x], [T.sin(x)])
        optimise(fgraph)
        assert fgraph.outputs == fgraph.inputs  # log(exp(x)) was a rule's to finish
        fgraph = FunctionGraph([x], [T.sin(x)])
        optimise(fgraph, Mode().excluding("mine"))
        assert len(fgraph) == 1
    finally:
        unregister("sines_to_exponentials")
