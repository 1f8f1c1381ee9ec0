"""Random words: the paper's known answers, the layout of a draw, and every way of asking for a part of it."""

import threading

import numpy as np
import pytest

from tinygraph.random import philox


def by_definition(counter, key):
    """Philox-4x32-10 in Python integers, as the paper writes it."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def drawn(key, counter, n):
    """A draw's words by the stated layout."""
    out = []
    for i in range(n):
        chunk, rest = divmod(i, 128)
        word, lane = divmod(rest, 32)
        at = (counter + chunk * 32 + lane) % 2**64
        out.append(by_definition((at % 2**32, at >> 32, 0, 0), key)[word])
    return np.array(out, "uint32")


KEY = (0xA4093822, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_definition_gives_the_papers_known_answers(counter, key, words):
    assert by_definition(counter, key) == words


@pytest.mark.parametrize("counter", [0, 5, 2**32 - 40, 2**32 - 32, 2**33 - 7, 2**64 - 50], ids=hex)
def test_a_draw_is_what_the_layout_says(counter):
    expected = drawn(KEY, counter, 700)
    np.testing.assert_array_equal(philox.draw(*KEY, counter, 700), expected)
    np.testing.assert_array_equal(philox.at(*KEY, counter, np.arange(700).reshape(7, 100)), expected.reshape(7, 100))


@pytest.mark.parametrize(
    ("start", "n"), [(0, 0), (0, 1), (0, 128), (1, 5), (1, 127), (1, 128), (100, 300), (127, 2), (130, 1), (256, 400)]
)
def test_a_part_is_the_same_as_in_the_whole(start, n):
    whole = philox.draw(*KEY, 2**32 - 64, 700)
    part = np.full(n, 7, "uint32")
    philox.fill(*KEY, 2**32 - 64, start, part)
    np.testing.assert_array_equal(part, whole[start : start + n])


def test_blocks_join():
    n = 3 * 65536 + 77  # more than three blocks
    whole = philox.draw(*KEY, 9, n)
    where = np.array([0, 65535, 65536, 131071, 131072, n - 1])
    np.testing.assert_array_equal(whole[where], philox.at(*KEY, 9, where))
    part = np.empty(70000, "uint32")
    philox.fill(*KEY, 9, 60001, part)
    np.testing.assert_array_equal(part, whole[60001:130001])


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kth_word_into_any_layout(step, order):
    whole = philox.draw(*KEY, 0, 1000)
    out = np.empty((10, 7), "uint32", order=order)
    for offset in range(step):
        philox.fill_strided(np.uint32(KEY[0]), KEY[1], np.array([0], "uint64"), 6 * step + offset, step, out)
        np.testing.assert_array_equal(out, whole[6 * step + offset :: step][:70].reshape(10, 7))


def test_threads_do_not_disturb_each_other():
    expected = [philox.draw(k, 1, 0, 50000) for k in range(4)]
    found = [None] * 4

    def work(k):
        for _ in range(5):
            found[k] = philox.draw(k, 1, 0, 50000)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(expected, found):
        np.testing.assert_array_equal(a, b)


def test_counters_of_a_draw():
    assert [philox.counters_for(n) for n in (0, 1, 128, 129, 1000)] == [0, 32, 32, 64, 256]
