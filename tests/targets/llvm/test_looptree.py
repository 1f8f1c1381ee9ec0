"""Short loops are printed without a loop, as long as nested ones do not multiply."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.targets.llvm.looptree import Leaf, Loop, unrolled
from tinygraph.tensor.nnet.abstract_conv import conv2d_grad_wrt_inputs

pytest.importorskip("llvmlite")


def test_nested_short_loops_do_not_multiply():
    rng = np.random.RandomState(0)
    w, z = rng.randn(4, 3, 4, 4), rng.randn(2, 4, 4, 4)
    W, Z = T.dtensor4("W"), T.dtensor4("Z")
    made = conv2d_grad_wrt_inputs(
        Z, W, input_shape=(2, 3, 8, 8), filter_shape=(4, 3, 4, 4), border_mode=(1, 1), subsample=(2, 2)
    )
    f = tg.function([W, Z], made, mode=tg.Mode(target="llvm"))
    expected = np.zeros((2, 3, 10, 10))
    for y, x in np.ndindex(4, 4):
        spot = np.einsum("nf,fcij->ncij", z[:, :, y, x], w[:, :, ::-1, ::-1])
        expected[:, :, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += spot
    assert np.allclose(f(w, z), expected[:, :, 1:-1, 1:-1])
    assert len(f.source().splitlines()) < 20_000


def test_inner_loops_are_written_out_first():
    def nested(*extents):
        nest, node = SimpleNamespace(extents=extents), None
        for depth in reversed(range(len(extents))):
            node = Loop(depth, [nest], [Leaf([nest]) if node is None else node])
        return node

    assert unrolled(nested(4)) and unrolled(nested(4, 4, 4)) and not unrolled(nested(5))
    assert not unrolled(nested(4, 4, 4, 4)) and unrolled(nested(4, 4, 4, 4).children[0])
    assert unrolled(nested(2, 100, 4))
