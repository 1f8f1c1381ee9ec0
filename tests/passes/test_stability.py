"""Naive formulas become exact ones: errors in units in the last place, and the compiled function agrees."""

from pathlib import Path

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tests.passes.stability import FORMULAS, LABELS, LOGITS, _nll_gradient, measure, ulp
from tinygraph.compile.mode import Mode

TABLE = Path(__file__).parents[2] / "docs" / "stability.md"
IDS = [f"{i}: {f.text}" for i, f in enumerate(FORMULAS)]


@pytest.mark.parametrize("formula", FORMULAS, ids=IDS)
def test_rewritten_formula_is_exact_to_a_few_ulp_and_never_worse(formula):
    found = measure(formula)
    assert found.after <= 4, found
    assert found.after <= found.before + 1


def test_most_formulas_need_it():
    assert sum(measure(f).before > 1e6 for f in FORMULAS) > len(FORMULAS) - 4


def test_table_has_a_row_for_each_formula():
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
    assert [r.split(" | ")[0].strip("| ").replace("\\*", "*") for r in rows] == [f.text for f in FORMULAS]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_negative_log_likelihood_of_logits_of_magnitude_1e4(dtype):
    x, y = T.matrix("x", dtype=dtype), T.ivector("y")
    cost = -T.mean(T.log(T.nnet.softmax(x))[T.arange(y.shape[0]), y])
    f = tg.function([x, y], [cost, T.grad(cost, x)])
    loss, gradient = f(LOGITS.astype(dtype), LABELS.astype("int32"))
    eps = np.finfo(dtype).eps
    assert abs(loss - (20000 + np.log(np.exp([-1.0, 0, 1]).sum())) / 2) < 4 * eps * 10000
    np.testing.assert_allclose(gradient, _nll_gradient(LOGITS.astype(np.longdouble)).astype("f8"), atol=4 * eps)


def test_without_the_stabilising_rules_the_same_formula_is_infinite():
    x = T.matrix("x")
    cost = -T.mean(T.log(T.nnet.softmax(x))[T.arange(x.shape[0]), LABELS])
    assert np.isinf(tg.function([x], cost, mode=Mode().excluding("stabilise"))(LOGITS))


def test_fast_compile_keeps_the_stable_forms():
    x = T.matrix("x")
    cost = -T.mean(T.log(T.nnet.softmax(x))[T.arange(x.shape[0]), LABELS])
    assert np.isfinite(tg.function([x], T.grad(cost, x), mode="FAST_COMPILE")(LOGITS)).all()


def test_the_measure_sees_errors():
    exact = np.array([1.0], np.longdouble)
    assert ulp([1.0], exact) == 0 and ulp([1 + 2**-51], exact) == 2 and ulp([np.nan], exact) == np.inf
