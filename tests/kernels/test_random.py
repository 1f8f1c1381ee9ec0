"""Random draws against Philox-4x32-10 written out in NumPy, and its published test vectors."""

from __future__ import annotations

import numpy as np
import pytest
from on_emulator import c_type, launch, needs_emulator, out, run
from scipy import stats

from tinygraph.random import philox as philox_on_numpy
from tinygraph.targets.cuda import kernels

pytestmark = needs_emulator

MASK = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Philox-4x32-10 of four uint32 arrays by two key words."""
    c, k = [np.asarray(word, "uint64") for word in counter], [np.uint64(word) for word in key]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & MASK, (p0 >> np.uint64(32)) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + np.uint64(0x9E3779B9)) & MASK, (k[1] + np.uint64(0xBB67AE85)) & MASK]
    return np.array(c, "uint32")


def words(n, key, counter):
    """The first n elements of a draw, in the layout that all targets share."""
    i = np.arange(n, dtype="uint64")
    chunk, rest = i // np.uint64(128), i % np.uint64(128)
    at = np.uint64(counter) + chunk * np.uint64(32) + rest % np.uint64(32)
    zero = np.zeros(n, "uint64")
    return philox((at & MASK, at >> np.uint64(32), zero, zero), key)[
        (rest // np.uint64(32)).astype(int), np.arange(n)
    ]


def uniform(n, key, counter, dtype):
    if dtype == "float32":
        return (words(n, key, counter) >> np.uint32(8)).astype("float32") * np.float32(2**-24)
    pairs = words(2 * n, key, counter).astype("uint64").reshape(n, 2)
    return ((pairs[:, 0] << np.uint64(32) | pairs[:, 1]) >> np.uint64(11)).astype("float64") * 2.0**-53


def advanced(counter, n):
    return counter + 32 * -(-n // 128)


KEY, COUNTER = (0x12345678, 0x9ABCDEF0), 2**32 - 5  # the low word overflows within the draw
STATE = np.array([*KEY, COUNTER & 0xFFFFFFFF, COUNTER >> 32], "uint32")
SIZES = [1, 31, 128, 129, 1000, 0]


@pytest.mark.parametrize(
    "counter, key, expected",
    [  # Random123's kat_vectors
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_vectors(counter, key, expected):
    source = kernels.expand("""#include "philox.cuh"
    extern "C" __global__ void once(const u32* in, u32* out) {
        const Words words = philox4x32_10(in[0], in[1], in[2], in[3], in[4], in[5]);
        for (int i = 0; i < 4; ++i) out[i] = words.word[i];
    }""")
    (found,) = launch(source, "once", 1, 1, (np.array([*counter, *key], "uint32"), out(4, "uint32")))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(philox([[word] for word in counter], key)[:, 0], expected)


@pytest.mark.parametrize("n", SIZES)
def test_bits(n):
    (found,) = run("random.cu", "random_bits", 2, 64, (STATE, out(n, "uint32"), np.int64(n)))
    np.testing.assert_array_equal(found, words(n, KEY, COUNTER))


@pytest.mark.parametrize("n", SIZES)
def test_the_numpy_draw_is_the_same(n):
    (found,) = run("random.cu", "random_bits", 2, 64, (STATE, out(n, "uint32"), np.int64(n)))
    np.testing.assert_array_equal(found, philox_on_numpy.draw(*KEY, COUNTER, n))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
def test_uniform_is_bit_identical(n, dtype):
    (found,) = run(
        "random.cu", "random_uniform", 2, 64, (STATE, out(n, dtype), np.int64(n)), {"TG_T": c_type(dtype)}
    )
    np.testing.assert_array_equal(found, uniform(n, KEY, COUNTER, dtype))


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("n", SIZES)
def test_normal_is_box_muller_of_two_draws(n, dtype, tolerance):
    (found,) = run(
        "random.cu", "random_normal", 3, 32, (STATE, out(n, dtype), np.int64(n)), {"TG_T": c_type(dtype)}
    )
    u = uniform(n, KEY, COUNTER, dtype)
    v = uniform(n, KEY, advanced(COUNTER, n if dtype == "float32" else 2 * n), dtype)
    expected = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v.astype("float64"))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_normal_passes_kolmogorov_smirnov():
    n = 20000
    (found,) = run("random.cu", "random_normal", 4, 256, (STATE, out(n), np.int64(n)))
    assert stats.kstest(found, "norm").pvalue > 0.01


@pytest.mark.parametrize("one", [0, 1])
def test_bernoulli(one):
    n = 1000
    p = np.linspace(0, 1, n, dtype="float32") if not one else np.array([0.3], "float32")
    (found,) = run("random.cu", "random_bernoulli", 2, 64, (STATE, p, out(n), np.int64(n), one))
    np.testing.assert_array_equal(found, uniform(n, KEY, COUNTER, "float32") < (p[0] if one else p))


@pytest.mark.parametrize("n, draws", [(129, 2), (0, 1), (1, 1)])
def test_advancing_moves_the_counter_only(n, draws):
    (found,) = run(
        "random.cu", "random_advance", 1, 32, (STATE, out(4, "uint32"), np.int64(n), np.int64(draws))
    )
    counter = COUNTER + draws * 32 * -(-n // 128)
    np.testing.assert_array_equal(found, [*KEY, counter & 0xFFFFFFFF, counter >> 32])


def test_single_elements_have_the_words_of_the_whole_draw():
    source = kernels.expand("""#include "philox.cuh"
    extern "C" __global__ void each(u64 counter, u32 k0, u32 k1, u32* out, int n) {
        const int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) out[i] = philox_word(counter, i, k0, k1);
    }""")
    args = (np.uint64(COUNTER), np.uint32(KEY[0]), np.uint32(KEY[1]), out(300, "uint32"), 300)
    (found,) = launch(source, "each", 5, 64, args)
    np.testing.assert_array_equal(found, words(300, KEY, COUNTER))
