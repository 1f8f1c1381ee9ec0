"""The op that draws: the compiled program gives the bits that the op's NumPy meaning gives, and moves the state on."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import TypeMismatch
from tinygraph.random import philox
from tinygraph.random.draw import KINDS, Draw

STATE = np.array([1, 2, 4294967290, 7], "uint32")  # the counter's low half is about to wrap


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (5,), (0,), (3, 0), (1, 7), (40, 7), (600, 700)])
@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
def test_compiled_draws_are_bit_for_bit_the_meaning(kind, shape, mode):
    state = T.TensorType("uint32", (4,))("state")
    node = Draw(kind).make_node(state, *shape)
    following, sample = tg.function([state], node.outputs, mode=mode)(STATE)
    expected = Draw(kind).forward(STATE, *shape)
    np.testing.assert_array_equal(following, expected[0])
    np.testing.assert_array_equal(sample, expected[1])
    assert sample.dtype == KINDS[kind].dtype and sample.shape == shape


def test_what_is_made_of_words():
    words = philox.draw(1, 2, (7 << 32) + 4294967290, 12)
    high, low = words[0::2].astype("uint64"), words[1::2].astype("uint64")
    found = {kind: Draw(kind).forward(STATE, 6)[1] for kind in KINDS}
    np.testing.assert_array_equal(found["bits32"], words[:6])
    np.testing.assert_array_equal(found["bits64"], high << np.uint64(32) | low)
    np.testing.assert_array_equal(found["float32"], (words[:6] >> 8) / np.float32(2**24))
    np.testing.assert_array_equal(found["float64"], (high << np.uint64(32) | low) // 2**11 / 2**53)


def test_the_state_moves_by_the_counters_used():
    following, _ = Draw("float32").forward(STATE, 129)
    assert following.tolist() == [1, 2, (4294967290 + 64) % 2**32, 8]
    following, _ = Draw("float64").forward(np.array([1, 2, 0, 0], "uint32"), 129)
    assert following.tolist() == [1, 2, 96, 0]


def test_draws_that_follow_each_other_do_not_overlap():
    state = tg.shared(STATE)
    node = Draw("bits32").make_node(state, 500)
    f = tg.function([], node.outputs[1], updates=[(state, node.outputs[0])])
    seen = np.concatenate([f() for _ in range(20)])
    assert len(np.unique(seen)) > 9990  # 2**32 values: repeats are rare


def test_sizes_may_be_symbolic():
    state, n, x = tg.shared(STATE), T.lscalar("n"), T.dmatrix("x")
    f = tg.function([n, x], Draw("float32")(state, n, x.shape[1]))
    assert f(3, np.zeros((2, 5))).shape == (3, 5)
    np.testing.assert_array_equal(f(4, np.zeros((2, 2))), Draw("float32").forward(STATE, 4, 2)[1])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_draws_fused_into_what_uses_them_stay_the_same(kind, transposed):
    state, x = tg.shared(STATE), T.TensorType(kind, (None, None))("x")
    u = Draw(kind)(state, 300, 500)
    value = x * T.switch(T.lt(u.T if transposed else u, 0.5), 2, 0)
    ones = np.ones((500, 300) if transposed else (300, 500), kind)
    mask = Draw(kind).forward(STATE, 300, 500)[1] < 0.5
    np.testing.assert_array_equal(tg.function([x], value)(ones), 2 * (mask.T if transposed else mask))


def test_draws_have_no_gradient():
    x, state = T.dvector("x"), tg.shared(STATE)
    cost = (x * Draw("float64")(state, x.shape[0])).sum()
    g = tg.function([x], tg.grad(cost, x))(np.ones(3))
    np.testing.assert_array_equal(g, Draw("float64").forward(STATE, 3)[1])


def test_bad_arguments_are_named():
    state = tg.shared(STATE)
    with pytest.raises(ValueError, match="there is no draw of 'float128'"):
        Draw("float128")
    with pytest.raises(TypeMismatch, match="expected a state: a uint32 vector of 4"):
        Draw("float32")(tg.shared(np.zeros(4)), 3)
    with pytest.raises(TypeMismatch, match="expected integer scalars as sizes"):
        Draw("float32")(state, 3.5)
    with pytest.raises(TypeMismatch, match="sizes that are not negative, not -3"):
        Draw("float32")(state, -3)
