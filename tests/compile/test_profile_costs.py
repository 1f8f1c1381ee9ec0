"""What a profile says of each kernel: operations and bytes as counted by hand, its name, its share of the roofline."""

import re

import numpy as np
import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph import Mode, function, grad, scan
from tinygraph.compile import profiling, roofline
from tinygraph.compile.profiling import Entry, Profile
from tinygraph.program.instructions import Group, Nest
from tinygraph.program.titles import op_class, title
from tinygraph.tensor.signal import downsample

pytest.importorskip("llvmlite")

TARGETS = ["numpy", "llvm"]


def entries(build, *values, target="llvm", calls=1):
    """The profile's instructions after some calls."""
    inputs = [T.tensor(v.dtype.name, shape=(None,) * v.ndim) for v in values]
    f = function(inputs, build(*inputs), profile=True, mode=Mode(target=target), on_unused_input="ignore")
    for _ in range(calls):
        f(*values)
    return list(f.profile.entries.values())


def floats(*shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def flops_of(found, op):
    return sum(e.flops for e in found if e.op == op)


# -- counts by hand ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype, size", [("float32", 4), ("float64", 8)])
def test_a_product_multiplies_and_adds_for_each_of_its_points(target, dtype, size):
    (e,) = entries(T.dot, floats(30, 40, dtype=dtype), floats(40, 50, dtype=dtype), target=target)
    assert e.flops == 2 * 30 * 40 * 50 and e.typed_flops == {dtype: e.flops}
    assert e.bytes == e.touched == (30 * 40 + 40 * 50 + 30 * 50) * size


@pytest.mark.parametrize("target", TARGETS)
def test_elementwise_work_counts_each_operation_once_and_each_array_once(target):
    (e,) = entries(lambda x, y: T.exp(x) * y + x, floats(30, 40), floats(30, 40), target=target)
    assert (e.flops, e.bytes) == (3 * 30 * 40, 3 * 30 * 40 * 4)


@pytest.mark.parametrize("target", TARGETS)
def test_a_reduction_adds_once_for_each_element(target):
    (e,) = entries(lambda x: x.sum(1), floats(30, 40, dtype="float64"), target=target)
    assert (e.flops, e.bytes) == (30 * 40, (30 * 40 + 30) * 8)


BATCH, CHANNELS, FILTERS, TAPS, IMAGE = 3, 2, 5, 4, 19
POINTS = IMAGE - TAPS + 1
CONVOLUTION = 2 * BATCH * FILTERS * CHANNELS * TAPS**2 * POINTS**2  # each of three sums has as many products


@pytest.fixture
def images():
    return floats(BATCH, CHANNELS, IMAGE, IMAGE), floats(FILTERS, CHANNELS, TAPS, TAPS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_convolution_and_its_gradients_have_as_many_products(target, images):
    found = entries(lambda x, w: T.nnet.conv2d(x, w), *images, target=target)
    assert flops_of(found, "Conv") == CONVOLUTION
    above = floats(BATCH, FILTERS, POINTS, POINTS)

    def gradients(x, w, g):
        return grad(None, [x, w], known_grads={T.nnet.conv2d(x, w): g})

    found = entries(gradients, *images, above, target=target)
    assert flops_of(found, "ConvGradWeights") == flops_of(found, "ConvGradInputs") == CONVOLUTION


@pytest.mark.parametrize("wrt, op", [("w", "ConvGradWeights"), ("x", "ConvGradInputs")])
def test_gradients_from_pooled_gradients_leave_out_three_quarters_of_the_products(images, wrt, op):
    def gradient(x, w):
        pooled = downsample.max_pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True)
        return grad(T.sqr(pooled).sum(), {"x": x, "w": w}[wrt])

    found = entries(gradient, *images)
    (e,) = [e for e in found if "from pooled gradients" in e.label]
    assert e.op == op and e.flops == CONVOLUTION // 4
    windows = BATCH * FILTERS * (POINTS // 2) ** 2
    operand = {"x": FILTERS * CHANNELS * TAPS**2, "w": BATCH * CHANNELS * IMAGE**2}[wrt]
    result = {"x": BATCH * CHANNELS * IMAGE**2, "w": FILTERS * CHANNELS * TAPS**2}[wrt]
    least = windows * (4 + 1) + 4 * (operand + result)  # a place is a byte; packed rows end in some zeros
    assert least <= e.bytes <= 2.5 * least


STEPS, ROWS, HIDDEN = 7, 6, 64


def recurrent(x, w):
    """A loop of a product and of two operations at each of its results."""
    start = T.zeros_like(x[0])
    out, _ = scan(lambda x_t, h, w: T.tanh(T.dot(h, w) + x_t), sequences=[x], outputs_info=[start], non_sequences=[w])
    return out


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_is_as_many_times_its_step(target):
    found = entries(recurrent, floats(STEPS, ROWS, HIDDEN), floats(HIDDEN, HIDDEN), target=target)
    (e,) = [e for e in found if e.kind == "Loop"]
    assert e.flops == STEPS * (2 * ROWS * HIDDEN**2 + 2 * ROWS * HIDDEN)


# -- kernels inside native loops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(STEPS, ROWS, HIDDEN), (40, ROWS, 128)], ids=["serial", "rows shared out"])
def test_the_kernels_of_a_native_loop_have_entries_of_their_own(sizes):
    steps, rows, hidden = sizes
    found = entries(recurrent, floats(*sizes), floats(hidden, hidden), calls=3)
    (loop,) = [e for e in found if e.kind == "Loop"]
    if not loop.inner:
        pytest.skip("this processor's ticks are not read")
    product, rest = loop.inner.values()
    assert product.label == "Scan: Dot (with packed panels)" and rest.label == "Scan: Elemwise{add} + Elemwise{tanh}"
    assert product.calls == rest.calls == 3 * steps and loop.calls == 3
    assert product.flops == 2 * rows * hidden**2 and rest.flops == 2 * rows * hidden
    assert product.seconds + rest.seconds == pytest.approx(loop.seconds) and min(product.seconds, rest.seconds) > 0


def test_steps_that_a_condition_ends_are_counted_as_they_ran():
    def build(x):
        out, _ = scan(lambda h: (h * 2, tg.until(h.sum() > 1000)), outputs_info=[x], n_steps=500)
        return out[-1]

    found = entries(build, np.ones(10, "float32"))
    inner = [k for e in found for k in e.inner.values()]
    if not inner:
        pytest.skip("this processor's ticks are not read")
    assert {e.calls for e in inner} == {8}  # sums of 10, 20, ... 1280


def test_a_summary_lists_a_loops_kernels_instead_of_the_loop():
    p = Profile("some")
    kernel, loop = Nest((4,), "p", None, None, label="Dot"), Entry("Scan", "", "Loop", 10, 10, "Scan")
    loop.seconds, loop.calls, p.entries["k"] = 2.0, 1, loop
    loop.inner[kernel] = Entry("Scan: Dot", "", "Nest", 5, 5, "Dot", {"float32": 5}, 5, calls=2, seconds=2.0)
    assert [(row[:5]) for row in p.by(lambda e: e.label)] == [("Scan: Dot", 2, 2.0, 10, 10)]


# -- the roofline ------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """100 GFLOP/s in float32 and 40 in float64, 10 GB/s from memory and 50 below a megabyte."""
    monkeypatch.setattr(roofline, "product_rate", lambda dtype: {"float32": 100e9, "float64": 40e9}[dtype])
    monkeypatch.setattr(roofline, "bandwidth", lambda touched: 50e9 if touched < 1 << 20 else 10e9)


@pytest.mark.parametrize("flops, moved, touched, seconds", [
    ({"float32": 10**9}, 1000, 1000, 0.01),
    ({"float64": 10**9}, 1000, 1000, 0.025),
    ({"float32": 10**9, "float64": 10**9}, 1000, 1000, 0.035),
    ({"int64": 10**9}, 1000, 1000, 0.025),
    ({"int32": 10**9, "bool": 10**9}, 1000, 1000, 0.02),
    ({"float32": 1}, 10**9, 10**9, 0.1),
    ({"float32": 1}, 10**9, 10**5, 0.02),
    ({}, 0, 0, 0.0),
])  # fmt: skip
def test_the_roof_is_that_of_the_numbers_type_and_of_the_memory_that_holds_them(machine, flops, moved, touched, seconds):
    assert roofline.best_seconds(flops, moved, touched) == pytest.approx(seconds)


def test_a_summary_shows_rates_and_the_share_of_the_roof(machine, monkeypatch):
    monkeypatch.setattr(profiling, "_machine", lambda: "machine")
    p = Profile("some")
    for dtype in ("float32", "float64"):
        e = p.entries[dtype] = Entry(f"Dot of {dtype}", "here.py:7", "Group", 10**9, 10**6, "Dot", {dtype: 10**9}, 10**6)
        e.calls, e.seconds = 2, 0.1
    rows = re.findall(r"([0-9.]+)ms .*?2 +([0-9.]+) +([0-9.]+) +(\d+)% +Dot of (float\d+)  here.py:7", p.summary())
    assert rows == [("100.000", "20.00", "0.02", "20", "float32"), ("100.000", "20.00", "0.02", "50", "float64")]


def test_rates_are_measured():
    assert roofline.product_rate("float32") > roofline.product_rate("float64") > 1e8
    assert roofline.bandwidth(1 << 16) > 1e8 and roofline.bandwidth(0) > 1e8


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_name_lists_the_ops_of_all_fused_nests_and_what_mere_copies_are_for():
    def nest(label, op="add", combine=None):
        x = tg.program.expr
        e = {"add": x.const(1.0, "float32") + x.const(2.0, "float32"), "const": x.const(0.0, "float32")}[op]
        return Nest((4,), "p", e, None, combine, label=label)

    clear, product, tanh = nest("Dot", "const"), nest("Dot", combine="add"), nest("Elemwise{add} + Elemwise{tanh}")
    assert title(clear) == "Dot (fill)" and title(product) == "Dot"
    assert title(Group([clear, product, tanh], 1)) == "Dot + Elemwise{add} + Elemwise{tanh}"
    assert title(Group([nest("Alloc", "const"), tanh], 1)) == "Alloc (fill) + Elemwise{add} + Elemwise{tanh}"
    assert title(Group([nest(f"Op{k}") for k in range(9)], 1)) == "Op0 + Op1 + Op2 + Op3 + Op4 + Op5 + 3 more"
    assert title(nest("Sum{axis=a + b}")) == "Sum{axis=a + b}" and op_class("Sum{axis=a + b}") == "Sum"


def test_the_nests_around_a_pooled_gradient_are_called_copies(images):
    def gradient(x, w):
        pooled = downsample.max_pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True)
        return grad(T.sqr(pooled).sum(), w)

    labels = [e.label for e in entries(gradient, *images)]
    assert any(re.search(r"ConvGradWeights \(copy\)", label) for label in labels)
    assert not any(re.search(r"ConvGradWeights(?! \()", label) for label in labels)
    assert any(label.startswith("Conv + MaxPool") for label in labels)
