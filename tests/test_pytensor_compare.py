"""The comparison with PyTensor: what is counted of tinygraph, and that FAST_RUN needs no less where it is installed."""

import pytest

from tests.benchmarks import pytensor_steps
from tests.benchmarks.pytensor_compare import Figures, of_pytensor, of_tinygraph, page
from tinygraph import Mode, config

WORKS = ["logistic_regression", "softmax_regression", "mlp", "rnn"]


@pytest.fixture(autouse=True)
def _own_floats():
    with config.change(floatX=config.floatX):  # the works set it
        yield


def ours(work):
    step = pytensor_steps.build(work, pytensor_steps.Tinygraph(), mode=Mode())
    step()
    return of_tinygraph(step)


def test_a_sum_is_one_instruction_that_moves_three_numbers():
    assert ours("scalar_add") == Figures(1, 24, 8, 0)


def test_new_parameters_are_counted_apart():
    assert ours("softmax_regression").apart == 4 * (784 * 10 + 10)


def test_the_page_has_a_row_for_each():
    text = page({"work": {"tinygraph numpy": (Figures(3, 2000, 1000, 500), 2e-3)}}, "versions")
    assert "| work | tinygraph numpy | 3 | 2.0 | 1.0 | 0.5 | 2.00 ms |" in text


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS)
def test_fast_run_needs_no_fewer_instructions_bytes_and_memory(work):
    pytest.importorskip("pytensor")
    step = pytensor_steps.build(work, pytensor_steps.PyTensor(), mode="FAST_RUN")
    a, b = ours(work), of_pytensor(step)
    assert a.instructions <= b.instructions and a.moved <= b.moved and a.peak <= b.peak
