"""Products by dtype and precision, their tiles, and small launches that are joined."""

import numpy as np
import pytest
from cuda_suite.comparing import CUDA, check

import tinygraph
import tinygraph.tensor as T
from tinygraph.config import config
from tinygraph.targets.cuda.contractions import tiling
from tinygraph.targets.cuda.kernel import Tuning


def randoms(*shapes, dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def test_half_precision_products_go_to_cublas(device):
    a, b = T.TensorType("float16", (None, None))(), T.TensorType("float16", (None, None))()
    y = T.dot(a, b)
    given = randoms((5, 300), (300, 4), dtype="float16")
    f = tinygraph.function([a, b], [y, *T.grad(y.astype("float32").sum(), [a, b])], mode=CUDA)
    found = f(*given)
    assert f.source().count("gemm float16") == 3
    wide = [g.astype("float64") for g in given]
    np.testing.assert_allclose(found[0], wide[0] @ wide[1], rtol=2e-3, atol=2e-2)
    np.testing.assert_allclose(found[1], np.broadcast_to(wide[1].sum(1), (5, 300)), rtol=2e-3, atol=2e-2)


def test_half_precision_convolutions_use_tensor_cores(device):
    x, w = T.TensorType("float16", (None,) * 4)(), T.TensorType("float16", (None,) * 4)()
    y = T.nnet.conv2d(x, w, border_mode=1, filter_flip=False)
    given = randoms((2, 3, 6, 5), (4, 3, 3, 3), dtype="float16")
    f = tinygraph.function([x, w], y, mode=CUDA)
    found = f(*given)
    assert "MMA_FP16" in device.sources[-1] + device.sources[-2] and "contraction" in f.source()
    wide = [T.dtensor4(), T.dtensor4()]
    exact = tinygraph.function(wide, T.nnet.conv2d(*wide, border_mode=1, filter_flip=False))
    np.testing.assert_allclose(found, exact(*(g.astype("float64") for g in given)), rtol=2e-3, atol=5e-3)


@pytest.mark.parametrize("factors", ["tf32", "bf16"])
def test_factors_are_rounded_only_when_asked_for(device, factors):
    """Inputs and results stay float32, sums too: the results are those of factors rounded beforehand."""
    from cuda_emulator.device import rounded

    x, w = T.ftensor4("x"), T.ftensor4("w")
    outputs = [T.nnet.conv2d(x, w, filter_flip=False), T.dot(x[0, 0], w[0, 0])]
    given = randoms((2, 3, 6, 6), (4, 3, 6, 3))
    exact = tinygraph.function([x, w], outputs, mode=CUDA)
    with config.change(**{f"allow_{factors}": True}):
        less = tinygraph.function([x, w], outputs, mode=CUDA)
    plain, found = exact(*given), less(*given)
    for a, b, expected in zip(found, plain, exact(*(rounded(g, factors) for g in given)), strict=True):
        assert a.dtype == "float32"
        np.testing.assert_allclose(a, expected, rtol=1e-5, atol=1e-5)
        assert np.abs(a - b).max() > 1e-4


def test_half_and_double_precision_are_left_alone(device):
    with config.change(allow_bf16=True):
        for dtype in ("float16", "float64"):
            a, b = T.TensorType(dtype, (None, None))(), T.TensorType(dtype, (None, None))()
            f = tinygraph.function([a, b], T.dot(a, b), mode=CUDA)
            given = randoms((5, 30), (30, 4), dtype=dtype)
            expected = given[0].astype("float64") @ given[1].astype("float64")
            np.testing.assert_allclose(f(*given), expected, rtol=2e-3 if dtype == "float16" else 1e-12, atol=2e-2)


@pytest.mark.parametrize("m, n, k, tile", [
    (100_352, 64, 576, (128, 64)),  # 3x3, 64 channels at 56
    (1568, 512, 4608, None),  # 3x3, 512 channels at 7
    (288_000, 20, 25, (128, 32)),  # LeNet's first
    (20, 25, 288_000, (32, 32)),  # the gradient to its filters
])  # fmt: skip
def test_tiles_fill_the_device(m, n, k, tile):
    tuning = Tuning(4 * 132, 256)
    rows, columns, splits = tiling({"m": m, "n": n, "k": k, "z": 1}, "float32", tuning)
    assert tile is None or (rows, columns) == tile
    blocks = -(-m // rows) * -(-n // columns) * splits
    assert blocks >= 64, "most multiprocessors have work"
    assert splits == 1 or k // splits >= 256


def test_double_precision_keeps_to_tiles_that_fit_the_registers():
    rows, columns, _ = tiling({"m": 10**5, "n": 512, "k": 512, "z": 1}, "float64", Tuning(528, 256))
    assert max(rows, columns) <= 64


# -- launches that are joined ---------------------------------------------------------------------------------------


def steps(f):
    return [line.split("//")[1].split("<<<")[0].strip().rsplit("_", 1)[0] for line in f.source().split("\n") if "<<<" in line]


def test_all_updates_of_a_step_are_one_launch(device):
    x = T.fmatrix("x")
    params = [tinygraph.shared(v) for v in randoms((4, 3), (3, 5), (5,))]
    a, b, c = params
    cost = (T.tanh(T.dot(T.tanh(T.dot(x, a)), b) + c) ** 2).sum()
    updates = [(p, p - np.float32(0.1) * g) for p, g in zip(params, T.grad(cost, params), strict=True)]
    f = tinygraph.function([x], cost, updates=updates, mode=CUDA)
    given = randoms((6, 4))[0]
    for _ in range(3):
        f(given)
    assert steps(f)[-1] == "together"
    assert sum(line.strip().startswith("SECTION(s") for line in f.source().split("\n")) >= 2


def test_work_that_needs_a_result_stays_behind_it(device):
    x, y = T.fvector("x"), T.fmatrix("y")
    a = x * 2
    b = T.cumsum(a)  # a launch of its own between the two
    check([x, y], [a, b, y + 1, b * 3], *randoms((7,), (3, 4)))


def test_joined_launches_inside_a_loop(device):
    x = T.fmatrix("x")

    def step(row, h, s):
        return T.tanh(h + row), (s + row.sum()) * np.float32(0.5)

    (hs, ss), _ = tinygraph.scan(step, sequences=x, outputs_info=[T.zeros((4,), "float32"), np.float32(0)])
    check([x], [hs, ss], *randoms((5, 4)))
