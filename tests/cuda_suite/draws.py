"""Random draws: the same bits as on the CPU, call after call."""

import numpy as np

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY, same
from tinygraph.tensor.shared_randomstreams import RandomStreams


def drawn(mode):
    streams = RandomStreams(5)
    exact = [
        streams.uniform((3, 150), dtype="float32"), streams.uniform((131,), dtype="float64"),
        streams.binomial((40,), p=0.3), streams.random_integers((30,), 0, 9), streams.permutation(n=7, size=(2,)),
        streams.uniform((0,)),
    ]  # fmt: skip
    f = tinygraph.function([], [*exact, streams.normal((77,), dtype="float64")], mode=mode)
    return [f(), f()]


def test_draws_are_the_same_bits(device):
    for found, expected in zip(drawn(CUDA), drawn(NUMPY), strict=True):
        for a, b in zip(found[:-1], expected[:-1], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        same(found[-1], expected[-1])  # by logarithm and cosine, which round in their own way


def test_a_draw_fused_into_what_uses_it(device):
    values = []
    for mode in (CUDA, NUMPY):
        x = T.fmatrix("x")
        noise = RandomStreams(1).uniform(x.shape, low=-1, high=1, dtype="float32")
        values.append(tinygraph.function([x], x + noise, mode=mode)(np.zeros((5, 40), "float32")))
    np.testing.assert_array_equal(*values)
