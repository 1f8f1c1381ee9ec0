"""Rewrites that a program registers run: in theano.compile.optdb, in stages, in registries of its own, in modes."""

import pytest

from tinygraph.passes.rewrite import PASSES, RULES


@pytest.fixture
def theano(installed):
    import theano

    rules, passes = dict(RULES), dict(PASSES)
    yield theano
    for registry, old in ((RULES, rules), (PASSES, passes)):
        registry.clear()
        registry.update(old)


@pytest.fixture
def twice(theano):
    """An op that cannot run, and a rewrite that replaces it."""

    class Twice(theano.Op):
        __props__ = ()

        def make_node(self, x):
            return theano.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] + 100.0

    @theano.gof.local_optimizer([Twice])
    def local_twice(node):
        return [node.inputs[0] * 2] if isinstance(node.op, Twice) else False

    return Twice(), local_twice


def value(theano, op, mode=None):
    x = theano.tensor.dscalar("x")
    return float(theano.function([x], op(x), mode=mode)(3.0))


@pytest.mark.parametrize("position", [0.5, 1.5, 3, 50, "last"])
def test_a_local_rewrite_registered_in_the_global_registry_runs(theano, twice, position):
    op, rewrite = twice
    theano.compile.optdb.register("my_twice", rewrite, position, "fast_run")
    assert value(theano, op) == 6
    assert value(theano, op, theano.compile.get_mode("FAST_RUN").excluding("my_twice")) == 103
    assert "my_twice" in theano.compile.optdb and theano.compile.optdb["my_twice"].name == "my_twice"


def test_a_rewrite_without_the_modes_tag_runs_where_it_is_asked_for(theano, twice):
    op, rewrite = twice
    theano.compile.mode.optdb.register("my_twice", rewrite, 2, "mine")
    assert value(theano, op) == 103
    assert value(theano, op, theano.compile.get_default_mode().including("mine")) == 6
    with pytest.raises(ValueError, match="already"):
        theano.compile.optdb.register("my_twice", rewrite, 2, "mine")


def test_a_rewrite_in_a_stage(theano, twice):
    op, rewrite = twice
    theano.compile.optdb["canonicalize"].register("my_twice", rewrite, "fast_run")
    assert value(theano, op) == 6


@pytest.mark.parametrize("position", [0.1, 60])
def test_a_rewrite_of_a_whole_graph(theano, twice, position):
    op, _ = twice

    class Replace(theano.gof.Optimizer):
        def apply(self, fgraph):
            for node in fgraph.toposort():
                if node.op == op:
                    fgraph.replace_validate(node.outputs[0], node.inputs[0] * 2, reason="twice")

    theano.compile.optdb.register("whole", Replace(), position, "fast_run")
    assert value(theano, op) == 6


def test_modes_of_optimizers_and_queries(theano, twice):
    op, rewrite = twice
    gof = theano.gof
    for own in (rewrite, gof.opt.out2in(rewrite), gof.opt.SeqOptimizer([gof.EquilibriumOptimizer([rewrite])])):
        mode = theano.Mode(linker="py", optimizer=own)
        assert value(theano, op, mode) == 6 and mode.linker == "py" and mode.provided_optimizer is own
        assert value(theano, op, mode.including("fusion")) == 6
    theano.compile.optdb.register("my_twice", rewrite, 2, "mine")
    query = gof.Query(include=["fast_run"]).including("mine")
    assert value(theano, op, theano.Mode("vm", query)) == 6
    assert value(theano, op, theano.Mode("vm", query.excluding("my_twice"))) == 103
    assert value(theano, op, theano.Mode("vm", theano.compile.optdb.query("+fast_run", "+mine"))) == 6
    with pytest.raises(TypeError, match="optimizer"):
        theano.Mode(optimizer=3)


def test_registries_of_ones_own(theano, twice):
    op, rewrite = twice
    gof = theano.gof
    local, sequence = gof.EquilibriumDB(), gof.SequenceDB()
    local.register("my_twice", rewrite, "mine")
    sequence.register("merge", gof.MergeOptimizer(), 0, "mine", "other")
    sequence.register("locals", local, 1, "mine")
    assert [type(o).__name__ for o in sequence.query("+mine")] == ["MergeOptimizer", "EquilibriumOptimizer"]
    assert len(sequence.query(gof.Query(include=["mine"], exclude=["locals"]))) == 1
    assert len(sequence.query("+mine", "&other")) == 1
    assert value(theano, op, theano.Mode(optimizer=sequence.query("+mine"))) == 6
    assert sequence["locals"] is local and "locals" in sequence and "no" not in sequence
    with pytest.raises(ValueError, match="already"):
        sequence.register("locals", local, 1)

