"""Streams: seeds, default updates, independence, and reproducibility."""

import pickle

import numpy as np
import pytest
from scipy import stats

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.random import MRG_RandomStreams, RandomStreams
from tinygraph.random.streams import state_from_seed

BOTH = pytest.mark.parametrize("streams", [RandomStreams, MRG_RandomStreams])


@BOTH
def test_every_call_draws_anew(streams):
    f = tg.function([], streams(1).uniform((4,)))
    first, second = f(), f()
    assert not np.any(first == second)


@BOTH
def test_equal_seeds_give_equal_streams(streams):
    f, g = (tg.function([], [s.uniform((4,)), s.normal((3,))]) for s in (streams(7), streams(7)))
    for _ in range(3):
        for a, b in zip(f(), g()):
            np.testing.assert_array_equal(a, b)


def test_both_classes_draw_the_same():
    f, g = (tg.function([], s(7).uniform((4,))) for s in (RandomStreams, MRG_RandomStreams))
    np.testing.assert_array_equal(f(), g())


def test_the_bits_are_fixed_for_ever():
    """Stored experiments must be reproducible: a change here is a change of every seeded result."""
    assert state_from_seed(42, 3).tolist() == [3276785861, 872644253, 0, 0]
    found = tg.function([], RandomStreams(42).uniform((4,), dtype="float32"))()
    assert (found * 2**24).tolist() == [541840, 15280038, 7904811, 294518]


@BOTH
def test_other_seeds_and_other_samples_differ(streams):
    s = streams(1)
    f = tg.function([], [s.uniform((5,)), s.uniform((5,)), streams(2).uniform((5,))])
    a, b, c = f()
    assert len({*a, *b, *c}) == 15


@BOTH
def test_seed_restarts_all_streams_and_fixes_later_ones(streams):
    s = streams(5)
    u = s.uniform((3,))
    f = tg.function([], u)
    first = f()
    s.seed(6)
    assert not np.any(f() == first)
    s.seed(5)
    np.testing.assert_array_equal(f(), first)
    s.seed()  # the seed given at first
    np.testing.assert_array_equal(f(), first)
    later = tg.function([], s.uniform((3,)))()
    twin = streams(5)
    twin.uniform((3,))
    np.testing.assert_array_equal(later, tg.function([], twin.uniform((3,)))())


def test_no_seed_means_a_new_one_each_time():
    f, g = (tg.function([], RandomStreams().uniform((4,))) for _ in range(2))
    assert not np.any(f() == g())
    default = [tg.function([], MRG_RandomStreams().uniform((4,)))() for _ in range(2)]
    np.testing.assert_array_equal(*default)


@pytest.mark.parametrize("seed", [0, 2**40, [1, 2, 3], np.arange(6), np.int64(3)], ids=str)
def test_seeds_of_many_kinds(seed):
    f, g = (tg.function([], RandomStreams(seed).uniform((4,))) for _ in range(2))
    np.testing.assert_array_equal(f(), g())


def test_bad_seeds():
    with pytest.raises(InvalidValue, match="a seed must not be negative, got -1"):
        RandomStreams(-1)
    with pytest.raises(TypeMismatch, match="a seed must be an integer, a list of them, or None, got 'x'"):
        RandomStreams("x")


def test_without_default_updates_the_stream_stands_still():
    u = RandomStreams(1).uniform((4,))
    f = tg.function([], u, no_default_updates=True)
    np.testing.assert_array_equal(f(), f())
    g = tg.function([], u, no_default_updates=[u.rng])
    np.testing.assert_array_equal(g(), g())


def test_updates_can_be_handed_over():
    s = RandomStreams(1)
    u = s.uniform((4,))
    f = tg.function([], u, updates=s.updates(), no_default_updates=True)
    assert not np.any(f() == f())
    assert u.update == s.updates()[0] == (u.rng, u.rng.default_update)


def test_two_functions_share_a_stream():
    u = RandomStreams(1).uniform((4,))
    f, g = tg.function([], u), tg.function([], 2 * u)
    a, b = f(), g()
    twin = RandomStreams(1).uniform((4,))
    h = tg.function([], twin)
    np.testing.assert_array_equal(a, h())
    np.testing.assert_array_equal(b, 2 * h())


def test_one_draw_used_twice_is_one_draw():
    u = RandomStreams(1).uniform((4,))
    np.testing.assert_array_equal(tg.function([], u - u)(), np.zeros(4))


def test_a_state_can_be_saved_and_put_back():
    u = RandomStreams(1).uniform((4,))
    f = tg.function([], u)
    f()
    saved = pickle.loads(pickle.dumps(u.rng.get_value()))
    after = f()
    u.rng.set_value(saved)
    np.testing.assert_array_equal(f(), after)


def test_a_single_stream_is_seeded_as_theano_documents():
    u = RandomStreams(1).uniform((4,))
    f = tg.function([], u)
    state = u.rng.get_value(borrow=True)
    state.seed(89234)
    u.rng.set_value(state, borrow=True)
    first = f()
    state = u.rng.get_value(borrow=True)
    state.seed(89234)
    u.rng.set_value(state, borrow=True)
    np.testing.assert_array_equal(f(), first)


def test_a_numpy_generator_sets_a_state():
    u = RandomStreams(1).uniform((4,))
    f = tg.function([], u)
    u.rng.set_value(np.random.RandomState(3))
    first = f()
    u.rng.set_value(np.random.RandomState(3))
    np.testing.assert_array_equal(f(), first)
    u.rng.set_value(np.random.default_rng(3))
    assert not np.any(f() == first)


def test_streams_by_state():
    s = RandomStreams(1)
    u = s.uniform((2,))
    s[u.rng] = np.array([1, 2, 3, 4], "uint32")
    assert s[u.rng].tolist() == [1, 2, 3, 4]
    with pytest.raises(KeyError, match="is not a state of these streams"):
        s[tg.shared(1.0, name="other")]


def test_streams_are_independent():
    """No linear correlation between streams of one seed, of neighbouring seeds, and of successive calls."""
    n = 20000
    one, two = RandomStreams(10), RandomStreams(11)
    f = tg.function([], [one.uniform((n,)), one.uniform((n,)), two.uniform((n,))])
    samples = [*f(), *f()]
    correlation = np.corrcoef(samples) - np.eye(len(samples))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)
    for a in samples:
        assert abs(np.corrcoef(a[:-1], a[1:])[0, 1]) < 4.5 / np.sqrt(n)


def test_joint_distribution_of_two_streams_is_uniform():
    s = RandomStreams(3)
    a, b = tg.function([], [s.uniform((40000,)), s.uniform((40000,))])()
    counts, _, _ = np.histogram2d(a, b, bins=10)
    assert stats.chisquare(counts.reshape(-1)).pvalue > 1e-4


def test_module_names_of_theano():
    assert T.shared_randomstreams.RandomStreams is RandomStreams
    from tinygraph.sandbox.rng_mrg import MRG_RandomStreams as again

    assert again is MRG_RandomStreams
