"""What a convolutional layer and its gradients cost: which launches there are, and what they compute."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY
from tinygraph.tensor.signal.pool import pool_2d


def normals(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def steps(f):
    """The launches and what they compute, line by line."""
    return [line.strip("/ ") for line in f.source().split("\n") if line.startswith("//")]


def launches(f):
    """The kernels that are launched, by kind, and products of the library."""
    lines = steps(f)
    return [x.split("<<<")[0].split("_")[0] if "<<<" in x else "gemm" for x in lines if "<<<" in x or x.startswith("gemm")]


def both(inputs, outputs, *given, rtol=1e-5):
    """The function on the device, called until it is replayed, after comparing it with NumPy's."""
    f = tinygraph.function(inputs, outputs, mode=CUDA)
    expected = tinygraph.function(inputs, outputs, mode=NUMPY)(*given)
    for _ in range(3):
        found = f(*given)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))
    return f


def test_the_windows_of_a_pool_take_a_thread_each(device):
    """Their gradients: four places or nine, to which a warp would be too many threads."""
    x, g = T.ftensor4("x"), T.ftensor4("g")
    y = pool_2d(x, (2, 2), ignore_border=True)
    f = both([x, g], [T.grad((T.tanh(y) * g).sum(), x)], normals(8, 4, 16, 16), normals(8, 4, 8, 8))
    assert "row_reduce" not in f.source() and "rows" in launches(f)


@pytest.mark.parametrize("options, fill", [({}, False), ({"subsample": (2, 2)}, False), ({"subsample": (3, 3)}, True)],
                         ids=str)  # fmt: skip
def test_gradients_to_the_input_are_stored_where_they_reach_all_of_it(device, options, fill):
    """With steps of three the last row and column of 9 x 9 are read by no window of 2 x 2: zeros are needed there."""
    x, w = T.ftensor4("x"), T.ftensor4("w")
    size = 10 if options == {"subsample": (2, 2)} else 9
    y = T.nnet.conv2d(x, w, **options)
    f = both([x, w], [T.grad((y**2).sum(), x)], normals(2, 3, size, size), normals(4, 3, 2, 2, seed=1), rtol=1e-4)
    assert any(line.endswith("= 0.0") or "= 0.0 " in line for line in steps(f)) is fill


def test_a_flipped_filters_gradient_goes_straight_into_its_update(device):
    x = T.ftensor4("x")
    w = tinygraph.shared(normals(4, 3, 3, 3))
    cost = (T.nnet.conv2d(x, w) ** 2).sum()
    f = tinygraph.function([x], cost, updates=[(w, w - np.float32(0.1) * T.grad(cost, w))], mode=CUDA)
    f(normals(2, 3, 6, 6))
    assert not any("= 0.0 " in line for line in steps(f))
    assert sum("- (0.1" in line for line in steps(f)) == 1


def test_a_mini_batch_that_two_products_read_is_copied_once(device):
    i, data = T.lscalar("i"), tinygraph.shared(normals(12, 5))
    w = tinygraph.shared(normals(5, 4, seed=1))
    batch = data[i * 4 : (i + 1) * 4]
    cost = (T.tanh(T.dot(batch, w)) ** 2).sum()
    f = tinygraph.function([i], cost, updates=[(w, w - T.grad(cost, w))], mode=CUDA)
    for k in range(3):
        f(k)
    assert sum("p0]" in line for line in steps(f)) == 1


# -- what follows a convolution is part of its kernel ---------------------------------------------------------------


def layer(dtype="float32", pool=(2, 2), mode="max", groups=1, act=T.tanh, **options):
    """Convolution, pool, bias, activation: the inputs and the result."""
    x, w = T.TensorType(dtype, (None,) * 4)("x"), T.TensorType(dtype, (None,) * 4)("w")
    b = T.TensorType(dtype, (None,))("b")
    y = T.nnet.conv2d(x, w, num_groups=groups, **options)
    if pool:
        y = pool_2d(y, pool, ignore_border=True, mode=mode)
    return [x, w, b], act(y + b.dimshuffle("x", 0, "x", "x"))


def given(dtype="float32", size=(9, 11), groups=1, filters=6, batch=3):
    return (normals(batch, 4, *size).astype(dtype), normals(filters, 4 // groups, 3, 3, seed=1).astype(dtype),
            normals(filters, seed=2).astype(dtype))  # fmt: skip


LAYERS = {
    "a pool": {}, "no pool": {"pool": None}, "relu": {"pool": None, "act": T.nnet.relu},
    "rows that no window takes": {"size": (9, 12)}, "rows": {"pool": (1, 2)}, "columns": {"pool": (2, 1)},
    "means": {"mode": "average_exc_pad"}, "steps": {"subsample": (2, 1)},
    "double precision": {"dtype": "float64"},
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_one_launch(device, name):
    options = dict(LAYERS[name])
    size = options.pop("size", (9, 11))
    inputs, y = layer(**options)
    f = both(inputs, [y], *given(options.get("dtype", "float32"), size))
    assert launches(f) == ["contraction"]


@pytest.mark.parametrize("options", [{"groups": 2}, {"border_mode": "half"}], ids=str)
def test_groups_and_borders(device, options):
    inputs, y = layer(**options)
    both(inputs, [y, *T.grad((y**2).sum(), inputs)], *given(groups=options.get("groups", 1)), rtol=1e-4)


def test_a_pool_and_the_place_of_its_maximum_are_found_together(device):
    inputs, y = layer()
    f = both(inputs, [y, *T.grad((y**2).sum(), inputs)], *given(), rtol=1e-4)
    fused = next(k for k, line in enumerate(steps(f)) if line.startswith("contraction"))
    assert any("argmax" in line for line in steps(f)[:fused]) and any("tanh" in line for line in steps(f)[:fused])


@pytest.mark.parametrize("pool, count", [((3, 3), 2), ((2, 4), 2)])
def test_windows_that_are_no_run_of_rows_are_pooled_by_a_second_kernel(device, pool, count):
    inputs, y = layer(pool=pool)
    f = both(inputs, [y, T.grad(y.sum(), inputs[2])], *given())
    assert launches(f)[:2] == ["contraction", "points"]


def test_results_that_are_wanted_themselves_are_stored(device):
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w)
    f = both([x, w], [T.tanh(y) * 2, y], *given()[:2])
    assert launches(f)[0] == "contraction" and len(launches(f)) == 2


def test_half_precision_is_rounded_before_the_epilogue(device):
    inputs, y = layer("float16", pool=None, act=lambda v: v * 3)
    arrays = given("float16")
    f = tinygraph.function(inputs, y, mode=CUDA)
    exact, z = layer("float64", pool=None, act=lambda v: v * 3)
    expected = tinygraph.function(exact, z, mode=NUMPY)(*(a.astype("float64") for a in arrays))
    np.testing.assert_allclose(f(*arrays), expected, rtol=4e-3, atol=3e-2)
    assert launches(f) == ["contraction"]


def test_tensor_cores_leave_the_pool_to_a_second_kernel(device):
    from tinygraph.config import config

    with config.change(allow_tf32=True):
        inputs, y = layer()
        f = tinygraph.function(inputs, y, mode=CUDA)
        inputs, z = layer(pool=None)
        g = tinygraph.function(inputs, z, mode=CUDA)
    plain = tinygraph.function(*layer(), mode=NUMPY)(*given())
    np.testing.assert_allclose(f(*given()), plain, atol=3e-2)
    g(*given())
    assert launches(f) == ["contraction", "points"] and launches(g) == ["contraction"]


def test_a_mask_drawn_behind_a_convolution_keeps_its_bits(device):
    from tinygraph.tensor.shared_randomstreams import RandomStreams

    inputs, y = layer(pool=None)
    mask = RandomStreams(3).binomial((3, 6, 7, 9), p=0.5, dtype="float32")
    masked, drawn = tinygraph.function(inputs, [y * mask, mask], mode=CUDA)(*given())
    alone = RandomStreams(3).binomial((3, 6, 7, 9), p=0.5, dtype="float32")
    np.testing.assert_array_equal(drawn, tinygraph.function([], alone, mode=NUMPY)())
    plain = tinygraph.function(inputs, y, mode=NUMPY)(*given())
    np.testing.assert_allclose(masked, plain * drawn, rtol=1e-5, atol=1e-5)


def test_a_layer_inside_a_loop(device):
    x, w = T.ftensor4("x"), T.ftensor4("w")

    def step(h):
        return T.tanh(T.nnet.conv2d(h, w, border_mode="half") + h)

    hs, _ = tinygraph.scan(step, outputs_info=x, n_steps=3)
    both([x, w], [hs, T.grad(hs[-1].sum(), w)], normals(2, 4, 6, 6), 0.2 * normals(4, 4, 3, 3, seed=1), rtol=1e-4)
