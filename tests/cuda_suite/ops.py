"""Every op of the tensor language, with its gradient, in a few large functions: kernels are compiled together."""

import numpy as np
import pytest
from op_cases import CASES

import tinygraph.tensor as T
from cuda_suite.comparing import check

BATCH = 45
BATCHES = [CASES[i : i + BATCH] for i in range(0, len(CASES), BATCH)]


def graph_of(case):
    """Inputs, and outputs with the gradients of the sum of their squares."""
    inputs = [T.TensorType(a.dtype.name, (None,) * a.ndim)() for a in case.arrays]
    built = case.build(*inputs)
    outputs = list(built) if isinstance(built, (list, tuple)) else [built]
    floats = [x for x in inputs if x.type.dtype.startswith("float")]
    squares = [(o * o).sum() for o in outputs if o.type.dtype.startswith("float")]
    if case.grad and floats and squares:
        outputs += T.grad(sum(squares), floats, disconnected_inputs="ignore")
    return inputs, outputs


@pytest.mark.parametrize("batch", range(len(BATCHES)))
def test_every_op_and_its_gradient(device, batch):
    graphs = [graph_of(case) for case in BATCHES[batch]]
    inputs = [x for xs, _ in graphs for x in xs]
    outputs = [y for _, ys in graphs for y in ys]
    arrays = [a.copy() for case in BATCHES[batch] for a in case.arrays]
    check(inputs, outputs, *arrays)


DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "float16", "float32", "float64"]


def test_every_dtype(device):
    """Arithmetic, comparisons, reductions of every dtype, with wrapping and rounding as NumPy's."""
    inputs, outputs, arrays = [], [], []
    rng = np.random.default_rng(3)
    for dtype in DTYPES:
        x, y = T.TensorType(dtype, (None, None))(), T.TensorType(dtype, (None,))()
        inputs += [x, y]
        arrays += [rng.integers(0, 100, (3, 40)).astype(dtype), rng.integers(1, 100, 40).astype(dtype)]
        outputs += [x.max(axis=1), x.argmax(axis=0), T.eq(x, y), x.sum(axis=0), x.astype("float32")]
        if dtype != "bool":
            outputs += [x + y, x * y, T.maximum(x, y), x.sum(axis=1, dtype=dtype), (x - y).astype("uint8")]
    check(inputs, outputs, *arrays)


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 300), (300, 1), (7, 1000), (1000, 7), (65, 33), (0, 4), (4, 0)])
def test_reductions_of_any_shape(device, rows, columns):
    x = T.fmatrix("x")
    outputs = [x.sum(), x.sum(axis=0), x.sum(axis=1), (2 * x).mean(axis=1) + 1, T.any(x > 0.5, axis=1), T.exp(x)]
    if rows and columns:
        outputs += [x.max(axis=0), x.argmax(axis=1), x.min(), T.nnet.softmax(x), x - x.max(axis=1, keepdims=True)]
    check([x], outputs, np.random.default_rng(0).random((rows, columns)).astype("float32"))


def test_views_strides_and_offsets(device):
    x, i = T.fmatrix("x"), T.lscalar("i")
    outputs = [x[::2, 1:] + x[::-1][::2, :-1], x[i : i + 2].sum(axis=0), x.T[1:].argmax(axis=0), T.dot(x.T, x[:, ::2])]
    check([x, i], outputs, np.random.default_rng(1).random((6, 5)).astype("float32"), 3)


def test_a_long_reduction_is_shared_out_over_blocks(device):
    x = T.fvector("x")
    check([x], [x.sum(), x.argmin()], np.random.default_rng(2).random(40_000).astype("float32"))


@pytest.mark.parametrize("deterministic", [False, True])
def test_scatters(device, deterministic):
    from tinygraph.config import config

    with config.change(deterministic=deterministic):
        x, v, i = T.fmatrix("x"), T.fmatrix("v"), T.lvector("i")
        outputs = [
            T.inc_subtensor(x[i], v), T.set_subtensor(x[i], v), T.inc_subtensor(x[:, i], v.T[: x.shape[0]]),
            T.inc_subtensor(x[1:3], 2), T.set_subtensor(x[i, 0], v[:, 1]),
        ]  # fmt: skip
        rng = np.random.default_rng(4)
        check([x, v, i], outputs, rng.random((4, 6)).astype("float32"), rng.random((6, 6)).astype("float32"),
              np.array([0, 3, 3, -1, 0, 2]))  # fmt: skip


CONVOLUTIONS = [
    dict(),
    dict(border_mode="half"),
    dict(border_mode="full"),
    dict(subsample=(2, 3)),
    dict(subsample=(2, 1), border_mode=(1, 2), filter_dilation=(1, 2)),
    dict(filter_flip=False, border_mode=1),
    dict(num_groups=2),
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_convolution_and_its_gradients(device, options):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w, **options)
    rng = np.random.default_rng(5)
    given = rng.standard_normal((2, 4, 9, 8)), rng.standard_normal((6, 4 // options.get("num_groups", 1), 3, 2))
    check([x, w], [y, *T.grad((y**2).sum(), [x, w])], *(a.astype("float32") for a in given))
