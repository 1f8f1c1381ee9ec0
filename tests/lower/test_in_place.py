"""An op may write over its operand only if nothing else on the same memory is still to be read."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T

x = T.dmatrix("x")
e = T.exp(x)

CASES = {
    "a view of it is read later": e.T * T.inc_subtensor(e[0], 100.0).sum(),
    "what it is a view of is read later": T.inc_subtensor(e.T[0], 100.0).sum() * e,
    "it is read later": e * T.inc_subtensor(e[0], 100.0).sum(),
    "a view of a view is read later": e.T[0] * T.inc_subtensor(e.T[:, 1], 100.0).sum(),
    "nothing is read later": T.inc_subtensor(e[0], 100.0) * 2,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
def test_values_are_read_before_they_are_written_over(name, mode):
    point = np.array([[0.0, 1.0], [2.0, 3.0]])
    expected = {
        "a view of it is read later": np.exp(point).T * (np.exp(point).sum() + 200),
        "what it is a view of is read later": np.exp(point) * (np.exp(point).sum() + 200),
        "it is read later": np.exp(point) * (np.exp(point).sum() + 200),
        "a view of a view is read later": np.exp(point).T[0] * (np.exp(point).sum() + 200),
        "nothing is read later": (np.exp(point) + [[100, 100], [0, 0]]) * 2,
    }[name]
    assert np.allclose(tg.function([x], CASES[name], mode=mode)(point), expected)
