"""The vector mathematics of one argument at each of the 2**32 float32: minutes for each function."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")
pytest.importorskip("mpmath")

from tests.targets.llvm import test_vmath as oracle  # noqa: E402
from tests.targets.llvm.vmath_bounds import may_exceed, worst_float32  # noqa: E402
from tinygraph.targets.llvm import vmath  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("name", oracle.UNARY)
def test_every_float32_keeps_the_bound(name):
    assert worst_float32(name) <= vmath.FUNCTIONS[name].ulp32


def test_what_is_left_out_of_the_measure_is_never_worse():
    """Results some numbers away from the reference, powers of two, zeros, infinities and nan among them."""
    random = np.random.default_rng(0)
    near = (np.arange(1, 250, dtype=np.uint32) << 23)[:, None] + np.arange(-9, 10).astype(np.uint32)
    bits = np.concatenate([near.ravel(), random.integers(0, 2**32, 20_000, dtype=np.uint32)])
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo("f4").max], "f4")
    x = np.concatenate([bits.view("f4"), np.repeat(special, 6)])
    with np.errstate(all="ignore"):
        want = x.astype(np.float64) * (1 + random.uniform(-0.4, 0.4, len(x)) * 2.0**-24)
        got = (want.astype("f4").view(np.uint32) + random.integers(-4, 5, len(x)).astype(np.uint32)).view("f4")
        got[-36:] = np.tile(special, 6)
        error = oracle.ulp_error(got, want)
        for worst in (0.5, 0.7, 1.2, 1.6, 2.4, 3.4):
            left_out = ~may_exceed(worst, got, want.astype("f4"))
            assert np.all(error[left_out] <= worst)
            assert worst < 1.5 or left_out.any()
