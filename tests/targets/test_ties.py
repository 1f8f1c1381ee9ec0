"""Of equal maxima and minima the first in row-major order counts: on NumPy, natively, and without any rewriting.

``tests/targets/cuda/test_ties.py`` has the same for the GPU.
"""

import pytest

from tests.cuda_suite.ties import CASES, check, positions
from tinygraph import Mode


@pytest.fixture(params=["numpy", "llvm", "llvm, checked", "numpy, no rewrites"])
def mode(request):
    if request.param.startswith("llvm"):
        pytest.importorskip("llvmlite")
    from tinygraph import config

    with config.change(bounds_check="checked" in request.param):
        rewrites = "none" if "no rewrites" in request.param else "fast_run"
        yield Mode(rewrites, target=request.param.split(",")[0])


@pytest.mark.parametrize("name", CASES)
def test_the_first_of_equal_extrema_takes_the_gradient(mode, name):
    check(name, mode)


def test_positions_are_those_of_the_first(mode):
    positions(mode)
