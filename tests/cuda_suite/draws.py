"""Random draws: the same bits as on the CPU, call after call."""

import numpy as np

import tinygraph
import tinygraph.tensor as T
from cuda_suite.comparing import CUDA, NUMPY
from tinygraph.tensor.shared_randomstreams import RandomStreams


def drawn(mode):
    """Two calls of one function that draws from every distribution, in every dtype it has."""
    streams = RandomStreams(5)
    outputs = [
        streams.binomial((40,), p=0.3), streams.random_integers((30,), 0, 9), streams.permutation(n=7, size=(2,)),
        streams.uniform((0,)), streams.binomial((20,), n=5, p=0.4), streams.poisson((20,), lam=3.0),
        streams.multinomial((15,), pvals=[0.2, 0.5, 0.3]), streams.choice((9,), 20, replace=False),
        streams.choice((9,), 4, p=np.array([0.1, 0.2, 0.3, 0.4])),
    ]  # fmt: skip
    for dtype in ("float16", "float32", "float64"):
        outputs += [
            streams.uniform((3, 150), dtype=dtype), streams.uniform((131,), low=1, high=2, dtype=dtype),
            streams.normal((177,), dtype=dtype), streams.normal((8,), avg=2.0, std=0.5, dtype=dtype),
            streams.truncated_normal((130,), dtype=dtype), streams.exponential((130,), scale=2.0, dtype=dtype),
            streams.gamma((7,), shape=2.0, dtype=dtype),
        ]  # fmt: skip
    f = tinygraph.function([], outputs, mode=mode)
    return [f(), f()]


def test_draws_are_the_same_bits(device):
    for found, expected in zip(drawn(CUDA), drawn(NUMPY), strict=True):
        for position, (a, b) in enumerate(zip(found, expected, strict=True)):
            np.testing.assert_array_equal(a, b, err_msg=f"output {position}")
            assert a.dtype == b.dtype


def test_a_draw_fused_into_what_uses_it(device):
    values = []
    for mode in (CUDA, NUMPY):
        x = T.fmatrix("x")
        noise = RandomStreams(1).uniform(x.shape, low=-1, high=1, dtype="float32")
        values.append(tinygraph.function([x], x + noise, mode=mode)(np.zeros((5, 40), "float32")))
    np.testing.assert_array_equal(*values)
