"""Random graphs: no passes, the whole pipeline, each stage alone, and the compiled function agree."""

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tests.passes.random_graphs import Builder
from tinygraph.compile.mode import Mode
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes.check import difference
from tinygraph.passes.pipeline import PIPELINE, optimise
from tinygraph.passes.reference import evaluate
from tinygraph.printing.ssa import ssa

STAGES = [s for s in PIPELINE if s.rules]


def built(seed, dtype="float64"):
    """A random graph with, for odd seeds, a gradient among its outputs; and values for its inputs."""
    b = Builder(seed, dtype).grow(8)
    outputs = b.outputs()
    if seed % 2:
        outputs.append(T.grad(outputs[1], b.x, disconnected_inputs="ignore"))
    return [b.x, b.y, b.b], outputs, b.values()


def agree(before, after):
    for a, b in zip(before, after, strict=True):
        assert difference(a, b, True, operands=1.0) is None


@pytest.mark.parametrize("seed", range(60))
def test_each_rewrite_keeps_values_and_a_second_run_changes_nothing(seed):
    inputs, outputs, values = built(seed)
    f = FunctionGraph(inputs, outputs)
    before = evaluate(f.outputs, dict(zip(f.inputs, values, strict=True)))
    optimise(f, check=values)
    f.verify()
    agree(before, evaluate(f.outputs, dict(zip(f.inputs, values, strict=True))))
    text = ssa(f)
    optimise(f)
    assert ssa(f) == text


@pytest.mark.parametrize("seed", range(110, 160))
def test_each_rewrite_treats_nan_and_infinity_as_its_class_says(seed):
    inputs, outputs, values = built(seed)
    rng = np.random.RandomState(seed)
    for v in values:
        for special in rng.permutation([np.nan, np.inf, -np.inf, 0.0, 1e300, -1e4, 1e-310])[:2]:
            v[tuple(rng.randint(0, 3, v.ndim))] = special
    f = FunctionGraph(inputs, outputs)
    optimise(f, check=values)
    f.verify()


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("seed", range(160, 180))
def test_sizes_of_one_that_only_the_call_knows_broadcast_as_written(seed, shape):
    inputs, outputs, values = built(seed)
    values[1], values[2] = values[1][: shape[0], : shape[1]], values[2][: shape[1]]
    f = FunctionGraph(inputs, outputs)
    try:
        before = evaluate(f.outputs, dict(zip(f.inputs, values, strict=True)))
    except ValueError:
        pytest.skip("the expression as written does not take these shapes")
    optimise(f, check=values)
    agree(before, evaluate(f.outputs, dict(zip(f.inputs, values, strict=True))))


@pytest.mark.parametrize("stage", STAGES, ids=[s.name for s in STAGES])
@pytest.mark.parametrize("seed", range(60, 75))
def test_each_stage_alone_keeps_values(seed, stage):
    inputs, outputs, values = built(seed, "float32" if seed % 3 == 0 else "float64")
    f = FunctionGraph(inputs, outputs)
    optimise(f, check=values, pipeline=[stage])
    f.verify()


@pytest.mark.parametrize("seed", range(75, 95))
def test_compiled_function_agrees_with_and_without_passes(seed):
    inputs, outputs, values = built(seed)
    plain = tg.function(inputs, outputs, mode=Mode("none"), on_unused_input="ignore")(*values)
    quick = tg.function(inputs, outputs, on_unused_input="ignore")(*values)
    agree([np.asarray(v) for v in plain], [np.asarray(v) for v in quick])


def test_fast_math_agrees_on_ordinary_values():
    for seed in range(95, 110):
        inputs, outputs, values = built(seed)
        f = FunctionGraph(inputs, outputs)
        optimise(f, Mode().including("fast_math"), check=values)
