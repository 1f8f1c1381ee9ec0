"""Loops and branches on the device."""

import numpy as np

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import check
from tinygraph import until


def test_a_loop_that_ends_on_a_condition(device):
    x = T.dscalar("x")
    values, _ = tinygraph.scan(lambda h: (2 * h, until(2 * h > 50)), outputs_info=x, n_steps=20)
    check([x], [values, values[-1], values.shape[0]], 1.5)


def test_taps_backwards_and_rings(device):
    x, h = T.dvector("x"), T.dvector("h")
    values, _ = tinygraph.scan(
        lambda a, b, p, q: a * b + p - 0.5 * q, sequences=dict(input=x, taps=[0, -1]),
        outputs_info=dict(initial=h, taps=[-1, -2]), go_backwards=True,
    )  # fmt: skip
    check([x, h], [values, values[-1], *T.grad(values[-1], [x, h])], np.linspace(0, 1, 7), np.array([0.5, -1.0]))


def test_a_loop_inside_a_loop(device):
    x = T.dmatrix("x")

    def row_total(row):
        total, _ = tinygraph.scan(lambda e, s: s + e**2, sequences=row, outputs_info=np.float64(0))
        return total[-1]

    totals, _ = tinygraph.scan(row_total, sequences=x)
    check([x], [totals, T.grad(totals.sum(), x)], np.random.default_rng(0).random((3, 4)))


def test_one_branch_runs(device):
    from tinygraph.ifelse import ifelse

    x, c = T.dvector("x"), T.lscalar("c")
    for chosen in (0, 1):
        check([x, c], [ifelse(c, x * 2, x.sum() + x)], np.arange(3.0), chosen)


def test_a_number_of_steps_known_only_at_the_call(device):
    x, n = T.dscalar("x"), T.lscalar("n")
    values, _ = tinygraph.scan(lambda h: h * 0.5 + 1, outputs_info=x, n_steps=n)
    for steps in (1, 3, 6):
        check([x, n], [values], 4.0, steps)
